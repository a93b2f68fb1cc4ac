"""The shop's orders as Shopify tells them: what became of each line as fulfilments, refunds and returns.

The lab's marketplace keeps the order of now. This book hears of every version and writes down the difference, so
whoever cancels, ships or edits (a buyer of the lab, a test, a mutation), Shopify's documents of it are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_orders import Pile
from channelsync.lab.marketplace_values import Happened, Line, News, NumberKey, Order, units
from vendor_shopify.ids import Numbers

Restock = Literal["CANCEL", "RETURN", "NO_RESTOCK"]
ReturnStatus = Literal["REQUESTED", "OPEN", "CLOSED", "CANCELED", "DECLINED"]

_REFUNDS: tuple[tuple[Pile, Restock], ...] = (
    ("cancelled", "CANCEL"),
    ("written_off", "NO_RESTOCK"),
    ("returned", "RETURN"),
    ("quarantined", "NO_RESTOCK"),
)


@dataclass(frozen=True, slots=True)
class RefundLine:
    """Units of a line in a refund. location: where they were put back; empty where they were not."""

    number: str
    line: str
    units: int
    restock: Restock
    location: str


@dataclass(frozen=True, slots=True)
class RefundNote:
    """One refund. from_return: the number of the return that it settles; empty for none."""

    number: str
    at: datetime
    lines: tuple[RefundLine, ...]
    from_return: str = ""


@dataclass(frozen=True, slots=True)
class ReturnNote:
    """One return. units by line id. CLOSED: they came back; of no other status has any unit come back."""

    number: str
    at: datetime
    units: tuple[tuple[str, int], ...]
    status: ReturnStatus = "CLOSED"


@dataclass(slots=True)
class FulfillmentNote:
    """One shipment. units by line id; none left after it was taken back."""

    number: str
    at: datetime
    location: str
    units: dict[str, int]


@dataclass(slots=True)
class Story:
    """What Shopify keeps of one order beside the lab's own state. most: units ever ordered, by line id.

    on_hold, in_progress (its fulfilment orders, as the staff reported), test: as tests set them.
    confirmed: its units are reserved; unreserved, uncommitted: what its numbers lack of that while they are not.
    assigned: fulfilment orders by item, of items that were moved. emptied: those that lost all items to another one, as
    (number, location, items). moved_at: when one changed without its order, by number.
    """

    most: dict[str, int] = field(default_factory=dict)
    refunds: list[RefundNote] = field(default_factory=list)
    returns: list[ReturnNote] = field(default_factory=list)
    fulfillments: list[FulfillmentNote] = field(default_factory=list)
    edited: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str = "OTHER"
    staff_note: str | None = None
    test: bool = False
    on_hold: bool = False
    in_progress: bool = False
    confirmed: bool = True
    unreserved: Counter[NumberKey] = field(default_factory=Counter)
    uncommitted: Counter[NumberKey] = field(default_factory=Counter)
    assigned: dict[str, str] = field(default_factory=dict)
    emptied: list[tuple[str, str, tuple[Item, ...]]] = field(default_factory=list)
    moved_at: dict[str, datetime] = field(default_factory=dict)
    last: Order | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A line item as Shopify shows it: a line, or one component of a bundle's line. each: its units per unit."""

    number: str
    line: Line
    listing: str
    each: int
    location: str
    of_bundle: bool


class OrderBook:
    """All orders, by the lab's id and by plain number. odd: orders that are shown as nobody could ship them."""

    def __init__(self, marketplace: Marketplace, numbers: Numbers) -> None:
        self._marketplace = marketplace
        self._numbers = numbers
        self._stories: dict[str, Story] = {}
        self.odd: dict[str, Literal["no lines", "negative units"]] = {}
        marketplace.on_news.append(self._hear)

    # Names

    def number(self, order: Order) -> str:
        """An order's plain number: its own id where that is one."""
        return order.id if order.id.isdecimal() else self._numbers.of("Order", order.id)

    def find(self, number: str) -> Order | None:
        """The order of a plain number."""
        found = self._marketplace.orders.get(number)
        if found is not None:
            return found
        name = self._numbers.name("Order", number)
        return None if name is None else self._marketplace.orders.get(name[0])

    def story(self, order: Order) -> Story:
        """What was written down of an order."""
        return self._stories.setdefault(order.id, Story())

    def items(self, order: Order) -> list[Item]:
        """Its line items; a bundle's line shows its components, as fixed bundles do at checkout."""
        if self.odd.get(order.id) == "no lines":
            return []
        return [item for line in order.lines for item in self._items(order, line)]

    def _items(self, order: Order, line: Line) -> Iterator[Item]:
        offer = self._marketplace.offers[line.listing]
        if not offer.parts or offer.keys:
            yield Item(self._numbers.of("LineItem", order.id, line.id), line, line.listing, 1, line.location, False)
            return
        for (part, each), move in zip(offer.parts, line.moves, strict=False):
            number = self._numbers.of("LineItem", order.id, line.id, part)
            yield Item(number, line, part, each, move.key.location, of_bundle=True)

    def item(self, number: str) -> tuple[Order, Item] | None:
        """The order and the line item of a plain number."""
        name = self._numbers.name("LineItem", number)
        order = None if name is None else self._marketplace.orders.get(name[0])
        if order is None:
            return None
        return next(((order, item) for item in self.items(order) if item.number == number), None)

    # Numbers of a line

    def most(self, order: Order, line: Line) -> int:
        """Units ever ordered: LineItem.quantity, which edits downwards do not lower."""
        return max(line.ordered, self.story(order).most.get(line.id, 0))

    def current(self, order: Order, line: Line) -> int:
        """Units less those removed or refunded: LineItem.currentQuantity."""
        if self.odd.get(order.id) == "negative units":
            return -1
        return line.ordered - sum(units(getattr(line, pile)) for pile, _ in _REFUNDS)

    # Reserving

    def leave_unreserved(self, order: str) -> None:
        """Shopify has the order and reserves its units later: until then its numbers are as if nobody had bought."""
        found = self._marketplace.orders[order]
        self.story(found).confirmed = False
        self._settle(found)

    def reserve(self, order: str) -> None:
        """Shopify reserves the order's units, which changes the order."""
        market = self._marketplace
        changed = replace(market.orders[order], updated_at=market.time())
        self.story(changed).confirmed = True
        self._settle(changed)
        market.orders[order] = changed
        market.search.add(changed, market.now())

    def _settle(self, order: Order) -> None:
        """Gives back to the numbers what the lab took for an order that is not reserved, or takes it after all."""
        story, numbers, now = self.story(order), self._marketplace.shelf.numbers, self._marketplace.now()
        taken: Counter[NumberKey] = Counter()
        still_open: Counter[NumberKey] = Counter()
        for line in order.lines if not story.confirmed else ():
            for move in line.moves:
                taken[move.key] += (line.deducted - line.given_back) * move.units
                still_open[move.key] += line.open * move.units
        for key in {*taken, *story.unreserved}:
            back = taken[key] - story.unreserved[key]
            numbers.move(key, back, "given back" if back > 0 else "sold", now)
            numbers.commit(key, story.uncommitted[key] - still_open[key], now)
        story.unreserved, story.uncommitted = taken, still_open

    # Writing down what happens

    def announce_return(self, order: Order, line: str, many: int, status: ReturnStatus = "OPEN") -> None:
        """A return that no unit came back of yet."""
        story = self.story(order)
        number = self._numbers.of("Return", order.id, str(len(story.returns)))
        story.returns.append(ReturnNote(number, self._marketplace.time(), ((line, many),), status))

    def _hear(self, news: News) -> None:
        if news.order is None:
            return
        order = news.order
        story = self.story(order)
        before, story.last = story.last, order
        refunded: list[RefundLine] = []
        back: dict[str, int] = {}
        for line in order.lines:
            known = None if before is None else _line(before, line.id)
            if known is not None and line.ordered != known.ordered:
                story.edited = True
            story.most[line.id] = max(line.ordered, story.most.get(line.id, 0))
            for pile, restock in _REFUNDS:
                new = _new(known, line, pile)
                refunded += [self._refund_line(line, each, restock) for each in new]
                if pile in ("returned", "quarantined") and new:
                    back[line.id] = back.get(line.id, 0) + units(new)
            self._shipped(story, order, known, line)
        if not story.confirmed:
            self._settle(order)
        number = self._numbers.of("Return", order.id, str(len(story.returns))) if back else ""
        if back:
            story.returns.append(ReturnNote(number, order.updated_at, tuple(back.items())))
        if refunded:
            story.refunds.append(
                RefundNote(
                    self._numbers.of("Refund", order.id, str(len(story.refunds))),
                    order.updated_at,
                    tuple(refunded),
                    number,
                )
            )

    def _refund_line(self, line: Line, happened: Happened, restock: Restock) -> RefundLine:
        where = happened.location or line.location
        return RefundLine(
            self._numbers.new("RefundLineItem"),
            line.id,
            happened.units,
            restock,
            where if restock != "NO_RESTOCK" else "",
        )

    def _shipped(self, story: Story, order: Order, before: Line | None, line: Line) -> None:
        was = units(before.shipped) if before else 0
        more = units(line.shipped) - was
        if more > 0:
            where = line.shipped[-1].location or line.location
            last = story.fulfillments[-1] if story.fulfillments else None
            if last is not None and last.at == order.updated_at and last.location == where:
                last.units[line.id] = last.units.get(line.id, 0) + more
            else:
                number = self._numbers.of("Fulfillment", order.id, str(len(story.fulfillments)))
                story.fulfillments.append(FulfillmentNote(number, order.updated_at, where, {line.id: more}))
        for note in reversed(story.fulfillments):
            off = min(-more, note.units.get(line.id, 0))
            if off > 0:
                note.units[line.id] -= off
                more += off


def _line(order: Order, line: str) -> Line | None:
    return next((each for each in order.lines if each.id == line), None)


def _new(before: Line | None, line: Line, pile: Pile) -> tuple[Happened, ...]:
    """What was put on a pile since."""
    found: tuple[Happened, ...] = getattr(line, pile)
    return found[len(getattr(before, pile)) if before else 0 :]
