"""A Shopify shop as the other side of a connector in the contract tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from channelsync.lab.faults import Fault as LabFault
from channelsync.lab.faults import FaultKind, FaultPlan
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.faults import Answering, HttpFaults
from channelsync.sdk.contract.world import CANARY, Delivery, Fault, Nonsense, Offered
from channelsync.sdk.values import QuantityKey
from vendor_shopify.api import TOKEN
from vendor_shopify.site import ShopifySite, open_vendor
from vendor_shopify.webhooks import Deliveries

SERVER_FAULTS: Mapping[Fault, FaultKind] = {
    Fault.THROTTLED: FaultKind.TOO_MANY,
    Fault.SERVER_ERROR: FaultKind.SERVER_ERROR,
    Fault.NO_ANSWER: FaultKind.NO_ANSWER,
    Fault.NO_ANSWER_AFTER: FaultKind.NO_ANSWER_AFTER,
    Fault.HTML: FaultKind.HTML,
    Fault.EMPTY: FaultKind.EMPTY_AFTER,
}
"""The faults that the shop's own server can make; the others are made on our side of the wire."""


def _unauthorised(request: httpx.Request) -> httpx.Response:
    if request.url.path == TOKEN:
        wrong = {"error": "invalid_client", "error_description": "Client authentication failed."}
        return httpx.Response(400, json=wrong)
    return httpx.Response(
        401, json={"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
    )


def _forbidden(request: httpx.Request) -> httpx.Response:
    if request.url.path == TOKEN:
        wrong = {"error": "shop_not_permitted", "error_description": "This shop does not allow the app."}
        return httpx.Response(403, json=wrong)
    return httpx.Response(403, json={"errors": "[API] This action requires merchant approval for read_orders scope."})


ANSWERS: Mapping[Fault, Answering] = {Fault.UNAUTHORISED: _unauthorised, Fault.FORBIDDEN: _forbidden}
"""How Shopify words faults that are made on our side of the wire."""


class Noting(httpx.AsyncBaseTransport):
    """Passes everything on to the shop and keeps the requests."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """The test that made the inner transport closes it."""


class ShopifyWorld:
    """One shop, driven by the contract's tests. transport: what the connector's calls go through.

    by_server: whether faults are made by the shop's own server, as far as it can.
    """

    canaries: Collection[str] = CANARY

    def __init__(
        self,
        site: ShopifySite,
        clock: Clock,
        *,
        way: httpx.AsyncBaseTransport | None = None,
        by_server: bool = False,
        orders_per_page: int = 3,
    ) -> None:
        self.site = site
        self.wire = Noting(way or site.transport)
        self.transport = HttpFaults(self.wire, ANSWERS)
        self._clock = clock
        self._by_server = by_server
        self._orders_per_page = orders_per_page
        self._orders = 5_100_000_100_000
        self._deliveries = Deliveries(site.shop, site.api.orders)

    @property
    def orders_per_page(self) -> int:
        """As the connector must be set: Shopify gives as many as are asked for."""
        return self._orders_per_page

    @property
    def listings_per_page(self) -> int:
        """Likewise."""
        return self._orders_per_page

    @property
    def secrets(self) -> Collection[str]:
        """Every token that the shop gave."""
        return set(self.site.shop.access.issued)

    async def offer(self, sku: str, number: int) -> Offered:
        offer = self.site.shop.catalogue.offer(sku, number)
        (key,) = offer.keys
        return Offered(offer.listing, sku, QuantityKey(key.key, key.location))

    async def remove(self, offered: Offered) -> None:
        """The seller deletes the variant."""
        self.site.shop.catalogue.delete(offered.listing)

    async def stop_counting(self, offered: Offered) -> None:
        """The seller takes the tick off "Track quantity"."""
        self.site.marketplace.set_policy(offered.listing, tracked=False)

    async def number(self, key: QuantityKey) -> int | None:
        known = NumberKey(key.key, key.location)
        market = self.site.marketplace
        return market.number(known) if known in market.quantity_keys() else None

    async def set_number(self, key: QuantityKey, number: int) -> None:
        self.site.marketplace.edit_number(NumberKey(key.key, key.location), number)

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        self._orders += 1
        basket = [Wanted(offered.listing, units) for offered, units in lines]
        sale = self.site.marketplace.place(basket, order=str(self._orders), partial=False, paid=False)
        assert sale.order is not None
        assert not sale.missed
        return sale.order.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        if nonsense is Nonsense.FRACTION:
            pytest.skip("Shopify's quantities are GraphQL integers: no answer can hold half a unit")
        order = await self.buy((await self.offer("NONSENSE", 10), 1))
        self.site.shop.book.odd[order] = "no lines" if nonsense is Nonsense.NO_LINES else "negative units"
        return order

    async def pay(self, order: str) -> None:
        self.site.marketplace.pay(order)

    async def edit(self, order: str, units: int) -> None:
        self.site.marketplace.edit(order, self._line(order), units)

    async def cancel(self, order: str) -> None:
        self.site.marketplace.cancel(order)

    async def ship(self, order: str, units: int) -> None:
        self.site.marketplace.ship(order, {self._line(order): units})

    async def take_back(self, order: str, units: int) -> None:
        self.site.marketplace.bring_back(order, self._line(order), units)

    async def keep_back(self, order: str, units: int) -> None:
        """A refund of shipped units of the type NO_RESTOCK."""
        self.site.marketplace.bring_back(order, self._line(order), units, quarantined=True)

    async def refuse(self, offered: Offered, reason: str) -> None:
        self.site.shop.catalogue.fixed.add(offered.key.key)

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        if self._by_server and fault in SERVER_FAULTS:
            now = self._clock.now()
            spoilt = LabFault(
                kind=SERVER_FAULTS[fault], starts=now, ends=now + timedelta(days=1), retry_after=retry_after
            )
            self.site.api.faults.faults = (spoilt,)
        else:
            self.transport.fail(fault, retry_after=retry_after)

    async def heal(self) -> None:
        self.site.api.faults.faults = ()
        self.transport.heal()

    async def advance(self, by: timedelta) -> None:
        await self._clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        made = self._deliveries.of_order(self.site.marketplace.orders[order])
        return Delivery(made.headers, made.body, made.event)

    def _line(self, order: str) -> str:
        return self.site.marketplace.orders[order].lines[0].id


def open_world(
    clock: Clock, contracts: Path, *, rules: MarketplaceRules | None = None, by_server: bool = False
) -> ShopifyWorld:
    """A world with a new shop."""
    site = open_vendor("corner-shop", clock, contracts=contracts, rules=rules, faults=FaultPlan())
    return ShopifyWorld(site, clock, by_server=by_server)
