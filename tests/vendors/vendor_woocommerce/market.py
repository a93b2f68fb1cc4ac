"""The lab's marketplace as a WooCommerce shop: ids, numbers and listings as WooCommerce has them.

The lab's buyers, humans, referee and scenarios use it like any other; whatever they do shows in the shop's API. Its
`paid_at` says since when an order's units are taken off the numbers, which for WooCommerce is not the payment.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from channelsync.lab.marketplace import Marketplace, Sale, Wanted
from channelsync.lab.marketplace_orders import Changed, wanted_now
from channelsync.lab.marketplace_rules import NOTHING, MarketplaceRules, Span
from channelsync.lab.marketplace_values import Line, Move, NumberChange, NumberKey, Offer, Order, State, Status, Topic
from channelsync.sdk.clock import Clock
from channelsync.sdk.values import Deducts, GivesBack
from vendor_woocommerce import order_ops
from vendor_woocommerce.numbers import WooNumbers
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.order_book import OrderBook
from vendor_woocommerce.orders import WooOrder
from vendor_woocommerce.products import Ids, Product, Products

Heard = Callable[[str, int], None]
"""Told of what webhooks may tell: a topic ("order.updated") and the id."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One line of an order that comes in over the API."""

    listing: str
    units: int
    price: Decimal
    title: str = ""


class NamedOrders(dict[str, Order]):
    """Orders by their number, found by the name that a planned buyer gave them, too."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, str] = {}

    def __getitem__(self, name: str) -> Order:
        return super().__getitem__(self.numbers.get(name, name))

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.numbers


def rules_of(options: SiteOptions, latency: Span = NOTHING) -> MarketplaceRules:
    """The lab's rules that come nearest; what they cannot say is in the classes here."""
    return MarketplaceRules(
        updates_per_push=options.batch_limit,
        deducts=Deducts.AS_TOLD,
        gives_back=frozenset(GivesBack),
        backorders=True,
        answers_with_number=True,
        order_pages="shifting",
        pending_limit=None if options.hold_minutes is None else options.hold_minutes * 60.0,
        skew=options.skew,
        latency=latency,
    )


class WooMarketplace(Marketplace):
    """One shop's truth.

    products, book: what WooCommerce keeps beside the lab's state. named: `orders`, with the names that planned buyers
    gave them. heard: see `Heard`.
    """

    def __init__(
        self, name: str, options: SiteOptions, clock: Clock, rng: random.Random, latency: Span = NOTHING
    ) -> None:
        super().__init__(name, rules_of(options, latency), clock, rng)
        self.named = NamedOrders()
        self.orders = self.named
        self.ids = Ids()
        self.products = Products()
        self.book = OrderBook(self.ids, rng)
        self.heard: list[Heard] = []
        self.shelf.numbers = WooNumbers(self.rules, rng, self._moved_number, self._reserved)

    def tell(self, topic: str, number: int) -> None:
        """Something that a webhook may tell."""
        for hear in self.heard:
            hear(topic, number)

    # Listings, as the lab opens and changes them

    def open_listing(self, offer: Offer, number: int | Mapping[NumberKey, int] | None = None) -> Offer:
        """Offers a simple product ("15") or a variation ("15:18") whose parent is made when it is not there.

        Raises ValueError for other names, bundles, several keys or a SKU that is taken.
        """
        parent, _, last = offer.listing.rpartition(":")
        if not last.isdecimal() or not (parent or "0").isdecimal() or offer.parts or len(offer.keys) > 1:
            raise ValueError(f'{self.name}: a listing is "15" or "15:18", no bundle, with one number: {offer.listing}.')
        if offer.sku and self.products.by_sku(offer.sku) is not None:
            raise ValueError(f"{self.name} has a product of the SKU {offer.sku} already.")
        family = self._family(int(parent)) if parent else None
        count = self.products
        product = count.add(
            Product(
                id=self._taken(int(last)),
                type="variation" if family else "simple",
                name=offer.title or offer.sku or offer.listing,
                created=self.time(),
                modified=self.time(),
                parent=family.id if family else 0,
                sku=offer.sku or "",
                regular_price=str(offer.price),
                manages=offer.tracked and not (family and family.manages),
                backorders="notify" if offer.sells_below_zero else "no",
            )
        )
        offer.keys = ((count.managing(product) or product).key,)
        if isinstance(number, Mapping):
            number = next(iter(number.values()), 0)
        opened = super().open_listing(offer, number)
        self.tell("product.created", product.id)
        return opened

    def _family(self, parent: int) -> Product:
        found = self.products.get(parent)
        if found is None:
            now = self.time()
            found = self.products.add(
                Product(id=self._taken(parent), type="variable", name=f"Family {parent}", created=now, modified=now)
            )
        return found

    def _taken(self, number: int) -> int:
        if self.products.get(number) is not None or str(number) in self.orders:
            raise ValueError(f"{self.name}: the id {number} is taken.")
        self.ids.skip(number)
        return number

    def recreate(self, listing: str, new: str, *, new_key: bool = True) -> Offer:
        """Trashes a product and offers the same under a new id, which here always has a number of its own."""
        if not new_key:
            raise ValueError(f"{self.name}: a number belongs to its product, {new} cannot keep the one of {listing}.")
        old = self.offers[listing]
        product = self._product(listing)
        number = self.number(old.keys[0])
        product.status, product.sku = "trash", ""
        old.state = State.ENDED
        return self.open_listing(replace(old, listing=new, keys=(), state=State.ACTIVE, reasons=[]), number)

    def switch(self, listing: str, *, on: bool) -> None:
        """The seller makes it a draft, or publishes it again."""
        product = self._product(listing)
        product.status = "publish" if on else "draft"
        self.settle(product)

    def set_policy(self, listing: str, *, tracked: bool | None = None, sells_below_zero: bool | None = None) -> None:
        """The seller ticks "manage stock" or backorders, or takes the tick away."""
        product = self._product(listing)
        product.manages = product.manages if tracked is None else tracked
        if sells_below_zero is not None:
            (self.products.managing(product) or product).backorders = "notify" if sells_below_zero else "no"
        self.settle(product)

    def _product(self, listing: str) -> Product:
        product = self.products.of_listing(listing)
        if product is None:
            raise KeyError(f"{self.name} has no product {listing}")
        return product

    # Products, as the API and the seller's pages change them

    def settle(self, product: Product, number: int | None = None, *, made: bool = False) -> None:
        """After a product changed: its listings follow.

        number: written to whatever it manages; None leaves it. made: it is new.
        """
        product.modified = self.time()
        concerned = [product, *self.products.variations(product)]
        for each in concerned:
            if each.manages:
                self.shelf.numbers.open(each.key, 0, self.now())
                self.shelf.numbers.allow_below_zero(each.key, allowed=each.backorders != "no")
        if product.manages and number is not None:
            self.shelf.numbers.put(product.key, number, "write", self.now(), self.now())
        for each in concerned:
            if each.type in ("simple", "variation", "external"):
                self._settle_listing(each)
        if product.parent:
            self.products.parent_of(product).modified = product.modified  # type: ignore[union-attr] # it has a parent
        self.tell("product.created" if made else "product.updated", product.id)

    def _settle_listing(self, product: Product) -> None:
        managing = self.products.managing(product)
        keys = ((managing or product).key,)
        offer = self.offers.get(product.listing)
        if offer is None:
            price = Decimal(product.regular_price or "0")
            fresh = Offer(listing=product.listing, sku=product.sku or None, title=product.name, price=price, keys=keys)
            offer = super().open_listing(fresh)
        elif offer.keys != keys:
            self.use_keys(offer, keys)
        offer.sku = product.sku or None
        offer.price = Decimal(product.regular_price or "0")
        offer.tracked = managing is not None
        offer.sells_below_zero = self.products.allows_backorders(product) != "no"
        super().switch(product.listing, on=self._buyable(product))

    def _buyable(self, product: Product) -> bool:
        parent = self.products.parent_of(product)
        shown = product.status == "publish" and (parent is None or parent.status == "publish")
        there = self.products.managing(product) is not None or product.stock_status != "outofstock"
        return shown and there and bool(product.regular_price)

    def remove(self, product: Product) -> None:
        """Deletes it for good."""
        for each in [*self.products.variations(product), product]:
            if each.listing in self.offers:
                self.offers[each.listing].state = State.ENDED
        self.products.drop(product)

    def shows(self, product: Product) -> int | None:
        """The number that the product shows, its own or its parent's; None when nobody manages one."""
        managing = self.products.managing(product)
        return None if managing is None else self.number(managing.key)

    # Numbers

    def _moved_number(self, change: NumberChange) -> None:
        self.shelf.number_changed(change)
        product = self.products.of_listing(change.key.key)
        if product is None or change.why == "opened":
            return
        product.modified = change.at + timedelta(seconds=self.rules.skew)
        parent = self.products.parent_of(product)
        if parent is not None:
            parent.modified = product.modified
        if change.why != "write":
            self.tell("product.updated", product.id)

    def _reserved(self, key: NumberKey) -> int:
        """Units that unpaid checkouts hold in the table of reserved stock, which no number shows."""
        waiting = (self.orders[str(each.id)] for each in self.book.waiting_checkouts())
        return sum(
            line.open * move.units
            for order in waiting
            if order.status is Status.AWAITING_PAYMENT
            for line in order.lines
            for move in line.moves
            if move.key == key
        )

    # Orders

    def place(self, basket: Sequence[Wanted], *, order: str = "", partial: bool = True, paid: bool = True) -> Sale:
        """A buyer checks out; the order's id is the next number of the site's sequence.

        order: a name under which `orders` finds it beside its number. Raises ValueError for one that is taken.
        """
        if order in self.orders:
            raise ValueError(f"{self.name}: order {order} is there already.")
        number = str(self.ids.take())
        sale = super().place(basket, order=number, partial=partial, paid=paid)
        if sale.order is not None and order:
            self.named.numbers[order] = number
        return sale

    def take(self, basket: Sequence[Ordered]) -> Order:
        """An order that the API makes: taken without a limit, waiting for payment."""
        now = self.now()
        name = str(self.ids.take())
        stamp = self._stamp(now)
        self._numbered += 1
        draft = Order(id=name, number=self._numbered, site="", placed_at=stamp, updated_at=stamp, lines=())
        draft = replace(draft, status=Status.AWAITING_PAYMENT)
        lines = [self._line_of(f"{name}-{turn}", each) for turn, each in enumerate(basket, 1)]
        order = replace(draft, lines=tuple(self._move(None, line, draft, now) for line in lines))
        with self.by_api():
            self._save(order, now, "order.created")
        for line in order.lines:
            self._log(now, "sold", line.ordered, self.offers[line.listing], name, line.id)
        return order

    def _line_of(self, name: str, ordered: Ordered) -> Line:
        offer = self.offers[ordered.listing]
        moves = tuple(Move(key) for key in offer.keys) if offer.tracked else ()
        title = ordered.title or offer.title
        return Line(
            id=name,
            listing=offer.listing,
            sku=offer.sku,
            title=title,
            price=ordered.price,
            ordered=ordered.units,
            location="",
            moves=moves,
        )

    def ship(self, order: str, lines: Mapping[str, int] | None = None, location: str | None = None) -> Order:
        """The seller completes it; one that nobody paid takes its units off at that moment."""
        if self.orders[order].paid_at is None:
            self.pay(order)
        return super().ship(order, lines, location)

    def cancel(self, order: str, lines: Mapping[str, int] | None = None) -> Order:
        """The seller cancels all of it, or refunds units before they are shipped; a part that was shipped stays so."""
        before = self.orders[order]
        if lines is None and before.status not in (Status.CANCELLED, Status.DONE):
            if not any(line.shipped for line in before.lines):
                return self.void(order)
            lines = {line.id: line.open for line in before.lines}
        return super().cancel(order, lines)

    def take_off(self, order: str) -> Order:
        """Takes its units off the numbers, unless that was done before."""
        before = self.orders[order]
        if before.paid_at is not None:
            return before
        now = self.now()
        return self._change(Changed(replace(before, paid_at=self._stamp(now))), now)

    def void(self, order: str) -> Order:
        """Cancelled whole, whatever happened to it before."""
        now = self.now()
        return self._change(order_ops.voided(self.orders[order], self._stamp(now)), now)

    def reopen(self, order: str) -> Order:
        """A cancelled order lives again."""
        return self._change(order_ops.reopened(self.orders[order]), self.now())

    def unship(self, order: str) -> Order:
        """A completed order is not."""
        now = self.now()
        return self._change(order_ops.unshipped(self.orders[order], self._stamp(now)), now)

    def unpay(self, order: str) -> Order:
        """Back to waiting for payment: the numbers come back."""
        now = self.now()
        return self._change(order_ops.unpaid(self.orders[order], self._stamp(now)), now)

    def reorder(self, order: str, line: str, units: int) -> Order:
        """The API sets a line's quantity, without a limit."""
        return self._change(self._wanting(order, line, units), self.now())

    def _wanting(self, order: str, line: str, units: int) -> Changed:
        return wanted_now(self.orders[order], line, units)

    def touch(self, record: WooOrder) -> None:
        """Saved again: a later time of change, and news."""
        record.modified = self._stamp(self.now())
        self.tell("order.updated", record.id)

    @contextmanager
    def by_api(self) -> Iterator[None]:
        """What happens inside does not make its record follow: the caller writes that itself."""
        before, self.book.follows = self.book.follows, False
        try:
            yield
        finally:
            self.book.follows = before

    def _save(self, order: Order, now: datetime, topic: Topic) -> None:
        super()._save(order, now, topic)
        self.book.saved(order)
        if self.book.get(int(order.id)) is None:
            return
        # A new order is saved twice, so it is told as updated, too.
        if topic == "order.created":
            self.tell("order.created", int(order.id))
        self.tell("order.updated", int(order.id))

    def _lapse(self, due: datetime, order: str) -> None:
        """`wc_cancel_unpaid_orders`: checkouts only, so long after their last change."""
        record = self.book.get(int(order))
        if record is None or record.status != "pending":
            return
        later = record.modified + timedelta(seconds=(self.rules.pending_limit or 0) - self.rules.skew)
        if later > due:
            heapq.heappush(self._lapses, (later, order))
        else:
            super()._lapse(due, order)
