"""Amazon as the other side of the connectors' contract."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from channelsync.lab.faults import Fault as LabFault
from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_values import NumberKey
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.world import CANARY, Delivery, Fault, Nonsense, Offered, World
from channelsync.sdk.values import QuantityKey
from vendor_amazon.order_book import Oddity
from vendor_amazon.site import AmazonSite

ORDERS_PER_PAGE = 5
"""What the connector must ask for (`maxResultsPerPage`), or `AmazonHabits.page_max` must be."""

LISTINGS_PER_PAGE = 20
"""The most that Amazon gives (`pageSize`)."""

SERVER_FAULTS = {
    Fault.THROTTLED: FaultKind.TOO_MANY,
    Fault.SERVER_ERROR: FaultKind.SERVER_ERROR,
    Fault.NO_ANSWER: FaultKind.NO_ANSWER,
    Fault.NO_ANSWER_AFTER: FaultKind.NO_ANSWER_AFTER,
    Fault.HTML: FaultKind.HTML,
    Fault.EMPTY: FaultKind.EMPTY_AFTER,
}
"""The faults that Amazon's own server can make; the others are made on our side of the wire."""

_ODD: dict[Nonsense, Oddity] = {
    Nonsense.NO_LINES: "no lines",
    Nonsense.FRACTION: "half a unit",
    Nonsense.NEGATIVE: "negative units",
}


class FaultyWire(Protocol):
    """What makes faults on our side of the wire: `channelsync.sdk.contract.HttpFaults`."""

    def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """Every call fails so from now on."""
        ...

    def heal(self) -> None:
        """Calls get through again."""
        ...


class AmazonWorld:
    """`channelsync.sdk.contract.World` over an `AmazonSite`.

    wire: between the connector and the site. by_server: whether the server makes the faults that it can.
    The site must put at most `ORDERS_PER_PAGE` orders on a page (`AmazonHabits.page_max`).
    """

    canaries: Collection[str] = CANARY

    def __init__(self, site: AmazonSite, wire: FaultyWire, clock: Clock, *, by_server: bool = False) -> None:
        self.site = site
        self.marketplace = site.marketplace
        self._wire = wire
        self._clock = clock
        self._by_server = by_server
        self._rng = random.Random("world")

    @property
    def orders_per_page(self) -> int:
        """At most as many."""
        return ORDERS_PER_PAGE

    @property
    def listings_per_page(self) -> int:
        """What `searchListingsItems` puts on a page."""
        return LISTINGS_PER_PAGE

    @property
    def secrets(self) -> Collection[str]:
        """The access tokens issued so far."""
        return self.site.api.tokens.issued

    async def offer(self, sku: str, number: int) -> Offered:
        """A new listing in all marketplaces of the seller. A SKU that is taken gets a suffix."""
        name = sku
        while name in self.marketplace.offers:
            name = f"{sku}-{self._rng.randrange(10_000)}"
        self.site.catalogue.list_item(name, number)
        return Offered(name, name, QuantityKey(name))

    async def remove(self, offered: Offered) -> None:
        """The seller deletes the listing."""
        self.site.catalogue.remove(offered.sku)

    async def stop_counting(self, offered: Offered) -> None:
        """Amazon ships it from now on, from units of its own."""
        self.site.catalogue.convert(offered.sku, fba=True)

    async def number(self, key: QuantityKey) -> int | None:
        """The number in force."""
        known = NumberKey(key.key, key.location)
        return self.marketplace.number(known) if known in self.marketplace.quantity_keys() else None

    async def set_number(self, key: QuantityKey, number: int) -> None:
        """Somebody types it in Seller Central."""
        self.marketplace.edit_number(NumberKey(key.key, key.location), number)

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        """A pending order."""
        basket = [Wanted(offered.listing, units) for offered, units in lines]
        sale = self.marketplace.place(basket, partial=False, paid=False)
        assert sale.order is not None, "the test bought more than there is"
        assert not sale.missed, "the test bought more than there is"
        return sale.order.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        """An order that Amazon's own models do not allow, mostly."""
        order = await self.buy((await self.offer("NONSENSE", 10), 1))
        self.site.book.odd[order] = _ODD[nonsense]
        self.site.api.lies = True
        return order

    async def pay(self, order: str) -> None:
        """Payment is authorised: the order is unshipped."""
        self.marketplace.pay(order)

    async def edit(self, order: str, units: int) -> None:
        """Nobody can edit an order at Amazon: some of its units are cancelled."""
        line = self.marketplace.orders[order].lines[0]
        if units > line.ordered:
            pytest.skip("nobody can add units to an order at Amazon")
        self.site.book.cancel(order, lines={line.id: line.ordered - units})

    async def cancel(self, order: str) -> None:
        """The buyer cancels the whole order, and Amazon carries it out."""
        self.site.book.cancel(order)

    async def ship(self, order: str, units: int) -> None:
        """So many units are confirmed as shipped."""
        self.marketplace.ship(order, {self.marketplace.orders[order].lines[0].id: units})

    async def take_back(self, order: str, units: int) -> None:
        """Not for an order: Amazon tells of returns in reports only, and never raises a seller's own number."""
        pytest.skip(f"Amazon tells of the {units} units returned of {order} in reports, not in the order")

    async def keep_back(self, order: str, units: int) -> None:
        """Not told of an order either."""
        pytest.skip(f"Amazon tells of the {units} units returned of {order} in reports, not in the order")

    async def refuse(self, offered: Offered, reason: str) -> None:
        """Submissions to this listing are INVALID from now on."""
        item = self.site.catalogue.item(offered.sku)
        assert item is not None, f"{offered.sku} is not listed"
        item.refuses = reason

    async def garble(self, offered: Offered) -> None:
        """Amazon tells half a unit of it."""
        item = self.site.catalogue.item(offered.sku)
        assert item is not None, f"{offered.sku} is not listed"
        item.garbled = True
        self.site.api.lies = True

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """Every call fails so from now on."""
        if not (self._by_server and fault in SERVER_FAULTS):
            self._wire.fail(fault, retry_after=retry_after)
            return
        now = self._clock.now()
        ends = now + timedelta(days=1)
        made = LabFault(kind=SERVER_FAULTS[fault], starts=now, ends=ends, retry_after=retry_after)
        self.site.api.faults.faults = (made,)

    async def heal(self) -> None:
        """Calls succeed again."""
        self.site.api.faults.faults = ()
        self._wire.heal()

    async def advance(self, by: timedelta) -> None:
        """Time passes."""
        await self._clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        """There is none: Amazon puts notifications into queues."""
        pytest.skip(f"Amazon tells of {order} through a queue, not by webhook")


if TYPE_CHECKING:

    def _as_the_contract_wants_it(world: AmazonWorld) -> World:
        return world
