"""A shop as the other side of the connectors' contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.faults import Answering, HttpFaults
from channelsync.sdk.contract.world import CANARY, Delivery, Fault, Nonsense, Offered
from channelsync.sdk.values import QuantityKey
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.site import WooSite, open_vendor

PER_PAGE = 3
"""Rows of a page, few enough for the contract."""


class WooWorld:
    """One shop, driven by the contract's tests.

    site: the shop; its key and its webhook secret go into the connector's settings. transport: what HTTP calls go
    through. base_url: the shop's address.

    per_page: orders on a page. options: of the shop; None: one that cuts every list to `per_page` rows whatever is
    asked for, as a site's filter may do, so a connector must go on to X-WP-TotalPages, not stop at a short page. With
    options of its own the connector is to be set to ask for `per_page` rows.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        per_page: int = PER_PAGE,
        options: SiteOptions | None = None,
        answers: Mapping[Fault, Answering] | None = None,
        name: str = "contract",
    ) -> None:
        self.site: WooSite = open_vendor(name, clock, options=options or SiteOptions(per_page_cap=per_page))
        self._per_page = per_page
        self.transport = HttpFaults(self.site.transport, answers)
        self._clock = clock

    @property
    def base_url(self) -> str:
        """Where the connector finds the shop."""
        return self.site.api.address

    @property
    def orders_per_page(self) -> int:
        """See `World`."""
        return self._per_page

    @property
    def listings_per_page(self) -> int:
        """See `World`."""
        return self._per_page

    @property
    def canaries(self) -> Collection[str]:
        """See `World`."""
        return CANARY

    @property
    def secrets(self) -> Collection[str]:
        """See `World`."""
        return (self.site.consumer_secret, self.site.webhook_secret)

    async def offer(self, sku: str, number: int) -> Offered:
        """A new simple product that manages its own number."""
        market = self.site.marketplace
        listing = str(market.ids.take())
        market.open_listing(Offer(listing=listing, sku=sku, title=f"Product {sku}"), number)
        return Offered(listing, sku, QuantityKey(listing))

    async def offer_variation(self, sku: str, number: int, *, by_parent: bool = False) -> Offered:
        """A new variation of a new product; by_parent: the product manages the number for all of its variations."""
        market = self.site.marketplace
        parent, child = market.ids.take(), market.ids.take()
        listing = f"{parent}:{child}"
        market.open_listing(Offer(listing=listing, sku=sku, title=f"Variation {sku}"), None if by_parent else number)
        if by_parent:
            family, variation = market.products.get(parent), market.products.get(child)
            if family is None or variation is None:
                raise KeyError(listing)
            family.manages, variation.manages = True, False
            market.settle(family, number)
        return Offered(listing, sku, QuantityKey(str(parent) if by_parent else listing))

    async def remove(self, offered: Offered) -> None:
        """The seller deletes the product for good; of a variation the product that it is of."""
        products = self.site.marketplace.products
        product = products.of_listing(offered.listing)
        if product is None:
            raise KeyError(offered.listing)
        self.site.marketplace.remove(products.parent_of(product) or product)

    async def stop_counting(self, offered: Offered) -> None:
        """The seller takes the tick off "Track stock quantity": WooCommerce then ignores numbers without a word."""
        for name in dict.fromkeys((offered.listing, offered.key.key)):
            self.site.marketplace.set_policy(name, tracked=False)

    async def number(self, key: QuantityKey) -> int | None:
        """See `World`."""
        wanted = NumberKey(key.key, key.location)
        market = self.site.marketplace
        return market.number(wanted) if wanted in market.quantity_keys() else None

    async def set_number(self, key: QuantityKey, number: int) -> None:
        """See `World`."""
        self.site.marketplace.edit_number(NumberKey(key.key, key.location), number)

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        """A checkout that waits for its payment: "pending"."""
        sale = self.site.marketplace.place([Wanted(each.listing, units) for each, units in lines], paid=False)
        if sale.order is None or sale.missed:
            raise AssertionError(f"the shop did not sell all of {lines}")
        return sale.order.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        """An order that a broken plugin writes."""
        offers = self.site.marketplace.offers
        if not offers:
            await self.offer("NONSENSE", 10)
        order = self.site.marketplace.place([Wanted(next(iter(offers)), 1)], paid=False).order
        record = self.site.marketplace.book.get(int(order.id)) if order else None
        if record is None:
            raise AssertionError("the shop sold nothing")
        record.odd = nonsense
        return str(record.id)

    async def pay(self, order: str) -> None:
        """Paid: "processing"."""
        self.site.marketplace.pay(order)

    async def edit(self, order: str, units: int) -> None:
        """The seller edits the first line's quantity on the order's page."""
        market = self.site.marketplace
        market.edit(order, market.orders[order].lines[0].id, units)

    async def cancel(self, order: str) -> None:
        """The seller cancels it."""
        self.site.marketplace.void(order)

    async def ship(self, order: str, units: int) -> None:
        """The seller completes it; a part of it cannot be told."""
        line = self.site.marketplace.orders[order].lines[0]
        if units != line.open:
            pytest.skip("WooCommerce knows no partial shipment: an order is completed as a whole")
        self.site.marketplace.ship(order)

    async def take_back(self, order: str, units: int) -> None:
        """A refund of the first line's units, put back on sale."""
        market = self.site.marketplace
        market.bring_back(order, market.orders[order].lines[0].id, units)

    async def keep_back(self, order: str, units: int) -> None:
        """A refund of the first line's units that asks for no restocking."""
        market = self.site.marketplace
        market.bring_back(order, market.orders[order].lines[0].id, units, quarantined=True)

    async def refuse(self, offered: Offered, reason: str) -> None:
        """A plugin of the shop refuses every write to the product, and to the one that has its number."""
        for name in (offered.listing, offered.key.key):
            self.site.api.products.writes.refusals[int(name.rpartition(":")[2])] = reason

    async def garble(self, offered: Offered) -> None:
        """A plugin that sells by the metre tells half a unit of it."""
        products = self.site.marketplace.products
        product = products.get(int(offered.key.key.rpartition(":")[2]))
        assert product is not None
        product.garbled = True

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """See `World`."""
        self.transport.fail(fault, retry_after=retry_after)

    async def heal(self) -> None:
        """See `World`."""
        self.transport.heal()

    async def advance(self, by: timedelta) -> None:
        """See `World`."""
        await self._clock.sleep(by.total_seconds())
        self.site.marketplace.now()

    async def delivery(self, order: str) -> Delivery:
        """The delivery of an order's update. Its id says nothing: all that a webhook sends in one second share it."""
        made = self.site.delivery(order)
        return Delivery(made.headers, made.body, None)
