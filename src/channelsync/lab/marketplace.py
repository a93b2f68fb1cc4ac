"""A marketplace that sells from its own numbers: the state machine behind every simulated sales channel.

It knows nothing of us. Buyers buy from what its numbers say, orders live their lives, humans edit, and our writes
arrive like anybody's. Its truth is its own log: who bought what, and which change of a number had which cause.

What happens by itself later (a write applied with a delay, an unpaid order that lapses) is caught up with, at the
time when it was due, by the next thing that anybody does here.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from channelsync.lab import marketplace_orders as after_sales
from channelsync.lab.marketplace_numbers import Reading, Result, Update, drawn
from channelsync.lab.marketplace_orders import Changed, Pile
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_search import OrderSearch
from channelsync.lab.marketplace_shelf import Place, Shelf
from channelsync.lab.marketplace_values import (
    Line,
    LogEntry,
    News,
    NumberChange,
    NumberKey,
    Offer,
    Order,
    State,
    Status,
    Topic,
    What,
)
from channelsync.sdk.clock import Clock

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a buyer wants of one listing. line: the id of the order line, within the order; empty: we number it."""

    listing: str
    units: int
    line: str = ""


@dataclass(frozen=True, slots=True)
class Sale:
    """What a buyer got. order: None when the buyer was turned away with nothing. missed: units not got."""

    order: Order | None
    units: int
    missed: int


class Marketplace:
    """One marketplace. `name` is in the log and in order ids. All public methods act at the clock's present.

    log: the truth about orders and buyers. `on_log` and `on_news` are called at once, in the order of what happens.
    """

    def __init__(self, name: str, rules: MarketplaceRules, clock: Clock, rng: random.Random) -> None:
        self.name = name
        self.rules = rules
        self.orders: dict[str, Order] = {}
        self.log: list[LogEntry] = []
        self.on_log: list[Callable[[LogEntry], None]] = []
        self.on_news: list[Callable[[News], None]] = []
        self.search = OrderSearch(rules.order_pages)
        self._shelf = Shelf(name, rules, rng, self._number_changed)
        self._clock = clock
        self._rng = rng
        self._lapses: list[tuple[datetime, str]] = []
        self._stamped = datetime.min.replace(tzinfo=UTC)
        self._numbered = 0

    @property
    def shelf(self) -> Shelf:
        """What it offers, with the numbers behind it; a marketplace that keeps numbers otherwise puts its own there."""
        return self._shelf

    @property
    def offers(self) -> Mapping[str, Offer]:
        """All listings by id, as they are now."""
        return self._shelf.offers

    @property
    def changes(self) -> Sequence[NumberChange]:
        """Every change of a number, with its cause, in order of time."""
        return self._shelf.changes

    def now(self) -> datetime:
        """The lab's true time, after catching up with what was due by then."""
        now = self._clock.now()
        numbers = self._shelf.numbers
        while True:
            write = numbers.next_due()
            lapse = self._lapses[0][0] if self._lapses else None
            if write is not None and write <= now and (lapse is None or write <= lapse):
                numbers.apply_next()
            elif lapse is not None and lapse <= now:
                self._lapse(*heapq.heappop(self._lapses))
            else:
                return now

    def time(self) -> datetime:
        """The time by the marketplace's own clock."""
        return self._clock.now() + timedelta(seconds=self.rules.skew)

    # Listings, and what humans do to them

    def open_listing(self, offer: Offer, number: int | Mapping[NumberKey, int] | None = None) -> Offer:
        """Offers a listing. number: of its only key, or of each; None: its keys are there, or it has none.

        Without keys it gets one of its own name, unless it is a bundle whose parts' keys count. Listings may share
        keys. Raises ValueError where SKUs are unique and this one is taken, or a part is not listed.
        """
        return self._shelf.open(offer, number, self.now())

    def use_keys(self, offer: Offer, keys: Sequence[NumberKey]) -> None:
        """From now on a listing sells from these keys; one that was not there yet begins at 0."""
        self._shelf.use_keys(offer, keys, self.now())

    def recreate(self, listing: str, new: str, *, new_key: bool = True) -> Offer:
        """Ends a listing and offers the same under a new id, with a key of its own or the old one."""
        return self._shelf.recreate(listing, new, self.now(), new_key=new_key)

    def switch(self, listing: str, *, on: bool) -> None:
        """The seller switches a listing off, or on again, by hand. An ended one stays ended."""
        self.now()
        self._shelf.switch(listing, on=on)

    def set_policy(self, listing: str, *, tracked: bool | None = None, sells_below_zero: bool | None = None) -> None:
        """Changes whether units are counted, and whether it sells below zero; None leaves it as it is.

        Raises ValueError for backorders where the rules know none.
        """
        self.now()
        self._shelf.set_policy(listing, tracked=tracked, sells_below_zero=sells_below_zero)

    def edit_number(self, key: NumberKey, number: int) -> None:
        """A human sets a number by hand."""
        self._shelf.numbers.put(key, number, "human edit", self.now())

    def hold(self, key: NumberKey, units: int) -> None:
        """A draft, a transfer or a checkout takes units off without an order; negative gives them back."""
        self._shelf.numbers.hold(key, units, self.now())

    # Numbers

    def quantity_keys(self) -> tuple[NumberKey, ...]:
        """All quantity keys there are."""
        return self._shelf.numbers.keys()

    def number(self, key: NumberKey) -> int:
        """The truth: the number in force now."""
        self.now()
        return self._shelf.numbers.value(key)

    def read(self, keys: Sequence[NumberKey]) -> list[Reading | None]:
        """What a read shows, in the order of the keys, all as of one moment; None: no such number (any more)."""
        return self._shelf.read(keys, self.now())

    def push(self, updates: Sequence[Update]) -> list[Result]:
        """Takes our writes, each by itself, in their order."""
        now = self.now()
        today = self.time().date()
        return [self._shelf.push(update, now, today) for update in updates]

    def _number_changed(self, change: NumberChange) -> None:
        if self.on_news:
            shown = self._shelf.numbers.shown(change.key)
            self._tell(News("number.changed", change.at, key=change.key, number=shown))

    # Buying

    def buy(self, listing: str, wanted: int, *, partial: bool = True, paid: bool = True) -> Sale:
        """A buyer orders one listing. partial: takes fewer when there are not enough."""
        return self.place([Wanted(listing, wanted)], partial=partial, paid=paid)

    def place(self, basket: Sequence[Wanted], *, order: str = "", partial: bool = True, paid: bool = True) -> Sale:
        """A buyer orders a basket: of each line what can be had, or (not partial) all of it or nothing of the line.

        order: its id; empty: the next number. Raises ValueError for an id that is taken, or units below 1.
        """
        now = self.now()
        self._numbered += 1
        name = order or f"{self.name}-{1000 + self._numbered}"
        if name in self.orders or not basket or any(wanted.units < 1 for wanted in basket):
            raise ValueError(f"{self.name}: order {name} is there already, or wants less than one unit of something.")
        stamp = self._stamp(now)
        draft = Order(
            id=name,
            number=self._numbered,
            site=self.offers[basket[0].listing].site,
            placed_at=stamp,
            updated_at=stamp,
            lines=(),
            status=Status.OPEN if paid else Status.AWAITING_PAYMENT,
            paid_at=stamp if paid else None,
        )
        lines: list[Line] = []
        missed: list[int] = []
        for number, wanted in enumerate(basket, 1):
            got = self._lines(wanted, wanted.line or f"{name}-{number}", partial=partial)
            # Each line moves the numbers at once: the next line of the basket finds what this one left.
            lines += [self._move(None, line, draft, now) for line in got]
            missed.append(wanted.units - sum(line.ordered for line in got))
        if lines:
            draft = replace(draft, lines=tuple(lines))
            self._save(draft, now, "order.created")
        for line in lines:
            self._log(now, "sold", line.ordered, self.offers[line.listing], name, line.id)
        for wanted, short in zip(basket, missed, strict=True):
            if short:
                self._log(now, "turned away", short, self.offers[wanted.listing], name if lines else "")
        if not lines:
            return Sale(None, 0, sum(missed))
        if not paid and self.rules.pending_limit is not None:
            heapq.heappush(self._lapses, (now + timedelta(seconds=self.rules.pending_limit), name))
        return Sale(draft, sum(line.ordered for line in draft.lines), sum(missed))

    def can_buy(self, listing: str) -> int | None:
        """Units that a buyer could order now, over all locations; None for no limit."""
        self.now()
        places = self._shelf.places(listing)
        some = [place.units for place in places if place.units is not None]
        return sum(some) if len(some) == len(places) else None

    def _lines(self, wanted: Wanted, name: str, *, partial: bool) -> list[Line]:
        """The order lines for what can be had: one, or one per location where no single one has enough."""
        places = self._shelf.places(wanted.listing)
        whole = [place for place in places if place.units is None or place.units >= wanted.units]
        there = sum(place.units or 0 for place in places)
        if not whole and (there == 0 or (not partial and there < wanted.units)):
            return []
        left = wanted.units
        lines: list[Line] = []
        for place in whole[:1] or sorted(places, key=lambda place: -(place.units or 0)):
            here = left if place.units is None else min(left, place.units)
            if here:
                part = f"{name}.{len(lines) + 1}" if lines else name
                lines.append(self._line(self.offers[wanted.listing], part, here, place))
                left -= here
        return lines

    def _line(self, offer: Offer, name: str, units: int, place: Place) -> Line:
        return Line(
            id=name,
            listing=offer.listing,
            sku=offer.sku,
            title=offer.title,
            price=offer.price,
            ordered=units,
            location=place.location,
            moves=place.moves,
        )

    # What happens to orders

    def pay(self, order: str) -> Order:
        """The buyer pays."""
        now = self.now()
        before = self.orders[order]
        if before.paid_at is not None or before.status is not Status.AWAITING_PAYMENT:
            return before
        return self._change(Changed(replace(before, paid_at=self._stamp(now), status=Status.OPEN)), now)

    def edit(self, order: str, line: str, ordered: int) -> Order:
        """The buyer wants so many units of a line instead; more only as far as there are any."""
        now = self.now()
        before = self.orders[order]
        now_has = before.line(line)
        if before.status is Status.CANCELLED:
            return before
        offer = self.offers[now_has.listing]
        limit = self._shelf.limit(now_has.moves) if offer.state is State.ACTIVE else 0
        more = max(0, ordered - now_has.ordered)
        short = 0 if limit is None else max(0, more - limit)
        after = self._change(after_sales.wanted_now(before, line, ordered - short), now)
        if short:
            self._log(now, "turned away", short, offer, order, line)
        return after

    def cancel(self, order: str, lines: Mapping[str, int] | None = None) -> Order:
        """Cancels the order, or so many units of some lines; as far as they are not shipped."""
        now = self.now()
        before = self.orders[order]
        if lines is not None:
            return self._put_on(order, "cancelled", lines, None, now)
        if before.status in (Status.CANCELLED, Status.DONE):
            return before
        return self._change(after_sales.cancelled(before, self._stamp(now)), now)

    def ship(self, order: str, lines: Mapping[str, int] | None = None, location: str | None = None) -> Order:
        """Ships all that is open, or so many units of some lines; from where they are assigned, or from elsewhere."""
        now = self.now()
        many = {line.id: line.open for line in self.orders[order].lines} if lines is None else lines
        return self._put_on(order, "shipped", many, location, now)

    def take_back_shipment(self, order: str, line: str, units: int) -> Order:
        """A shipment was none: its units are open again; those of a cancelled order are cancelled."""
        now = self.now()
        return self._change(after_sales.shipment_taken_back(self.orders[order], line, units, self._stamp(now)), now)

    def write_off(self, order: str, line: str, units: int) -> Order:
        """Refunds unshipped units without putting them back on sale."""
        return self._put_on(order, "written_off", {line: units}, None, self.now())

    def refund(self, order: str, share: int) -> Order:
        """Refunds so many percent of the money and moves no units."""
        now = self.now()
        before = self.orders[order]
        worth = sum((line.price * line.ordered for line in before.lines), start=before.refunded * 0)
        return self._change(Changed(replace(before, refunded=(worth * share / 100).quantize(before.refunded))), now)

    def bring_back(
        self, order: str, line: str, units: int, *, quarantined: bool = False, location: str | None = None
    ) -> Order:
        """Units come back from the buyer: for sale again, or quarantined."""
        pile: Pile = "quarantined" if quarantined else "returned"
        return self._put_on(order, pile, {line: units}, location, self.now())

    def _put_on(self, order: str, pile: Pile, many: Mapping[str, int], location: str | None, now: datetime) -> Order:
        before = self.orders[order]
        if before.status is Status.CANCELLED and pile in ("shipped", "written_off", "cancelled"):
            return before
        return self._change(after_sales.put_on(before, pile, many, self._stamp(now), location), now)

    def _lapse(self, due: datetime, order: str) -> None:
        before = self.orders[order]
        if before.status is Status.AWAITING_PAYMENT:
            self._change(after_sales.cancelled(before, self._stamp(due)), due)

    def _change(self, changed: Changed, now: datetime) -> Order:
        """Saves a new version of an order, unless nothing differs, and lets it move the numbers."""
        before = self.orders[changed.order.id]
        if changed.order == before:
            return before
        order = self._moved(after_sales.with_status(replace(changed.order, updated_at=self._stamp(now))), now)
        topic: Topic = "order.updated"
        if order.status is Status.CANCELLED and before.status is not Status.CANCELLED:
            topic = "order.cancelled"
        self._save(order, now, topic)
        for told in changed.told:
            self._log(now, told.what, told.units, self.offers[told.line.listing], order.id, told.line.id)
        return order

    def _moved(self, order: Order, now: datetime) -> Order:
        """The order with its effects on the numbers counted, after moving the numbers by what is new."""
        before = {line.id: line for line in self.orders[order.id].lines} if order.id in self.orders else {}
        return replace(order, lines=tuple(self._move(before.get(line.id), line, order, now) for line in order.lines))

    def _move(self, before: Line | None, line: Line, order: Order, now: datetime) -> Line:
        after = after_sales.with_effects(line, order, self.rules)
        sold = (before.deducted if before else 0) - after.deducted
        back = after.given_back - (before.given_back if before else 0)
        opened = after.open - (before.open if before else 0)
        for move in line.moves:
            if opened:
                self._shelf.numbers.commit(move.key, opened * move.units, now)
            if sold:
                self._shelf.numbers.move(move.key, sold * move.units, "sold" if sold < 0 else "given back", now)
            if back:
                self._shelf.numbers.move(move.key, back * move.units, "given back" if back > 0 else "sold", now)
        return after

    def _save(self, order: Order, now: datetime, topic: Topic) -> None:
        self.orders[order.id] = order
        rules = self.rules
        delay = drawn(self._rng, rules.visibility)
        if rules.late_share and self._rng.random() < rules.late_share:
            delay += timedelta(seconds=rules.late_by)
        self.search.add(order, now + delay)
        if self.on_news:
            self._tell(News(topic, now, order=order))

    # Telling

    def _stamp(self, now: datetime) -> datetime:
        """The next time of the marketplace's clock; no two are the same."""
        self._stamped = max(self._stamped + _TICK, now + timedelta(seconds=self.rules.skew))
        return self._stamped

    def _log(self, now: datetime, what: What, units: int, offer: Offer, order: str = "", line: str = "") -> None:
        takes = offer.takes if offer.own else ()
        entry = LogEntry(now, self.name, what, units, offer.listing, takes, order, line)
        self.log.append(entry)
        for tell in self.on_log:
            tell(entry)

    def _tell(self, news: News) -> None:
        for tell in self.on_news:
            tell(news)
