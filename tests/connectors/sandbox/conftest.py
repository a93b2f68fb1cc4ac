"""A marketplace of the lab as the other side of the sandbox connector."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import httpx
import orjson
import pytest

from channelsync.lab.faults import Fault as LabFault
from channelsync.lab.faults import FaultKind, FaultPlan
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_json import CANARY
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.lab.webhook_sender import signed
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import ContractClock, Delivery, Fault, HttpFaults, Nonsense, Offered
from channelsync.sdk.resources import Resources, unused
from channelsync.sdk.values import QuantityKey
from channelsync_sandbox import CONNECTOR
from channelsync_sandbox.settings import SandboxSettings

SERVER_FAULTS = {
    Fault.THROTTLED: FaultKind.TOO_MANY,
    Fault.SERVER_ERROR: FaultKind.SERVER_ERROR,
    Fault.NO_ANSWER: FaultKind.NO_ANSWER,
    Fault.NO_ANSWER_AFTER: FaultKind.NO_ANSWER_AFTER,
    Fault.HTML: FaultKind.HTML,
    Fault.EMPTY: FaultKind.EMPTY_AFTER,
}
"""The faults that the marketplace's own server can make; the others are made on our side of the wire."""

ODDITIES = {
    Nonsense.NO_LINES: "no lines",
    Nonsense.FRACTION: "half a unit",
    Nonsense.NEGATIVE: "negative units",
}


class Noting(httpx.AsyncBaseTransport):
    """Passes everything on and notes the credentials that leave."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.credentials: set[str] = set()
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.credentials |= {part for part in request.headers.get("Authorization", "").split()[1:] if part}
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """The test that made the inner transport closes it."""


class SandboxWorld:
    """One marketplace of the lab, driven by the contract's tests.

    by_server: whether faults are made by the marketplace's own server, as far as it can.
    """

    canaries: Collection[str] = (CANARY,)

    def __init__(self, site: Site, subscription, wire: Noting, faults: HttpFaults, clock: Clock, *, by_server: bool):
        self.site = site
        self.marketplace = site.marketplace
        self.wire = wire
        self._subscription = subscription
        self._faults = faults
        self._clock = clock
        self._by_server = by_server

    @property
    def orders_per_page(self) -> int:
        return self.marketplace.rules.orders_per_page

    @property
    def listings_per_page(self) -> int:
        return self.marketplace.rules.listings_per_page

    @property
    def secrets(self) -> Collection[str]:
        return self.wire.credentials

    async def offer(self, sku: str, number: int) -> Offered:
        listing = f"L-{len(self.marketplace.offers) + 1}"
        (key,) = self.marketplace.open_listing(Offer(listing=listing, sku=sku), number).keys
        return Offered(listing, sku, QuantityKey(key.key, key.location))

    async def remove(self, offered: Offered) -> None:
        pytest.skip("a marketplace of the lab never forgets a listing: one that has ended stays in the list")

    async def stop_counting(self, offered: Offered) -> None:
        self.marketplace.set_policy(offered.listing, tracked=False)

    async def number(self, key: QuantityKey) -> int | None:
        known = NumberKey(key.key, key.location)
        return self.marketplace.number(known) if known in self.marketplace.quantity_keys() else None

    async def set_number(self, key: QuantityKey, number: int) -> None:
        self.marketplace.edit_number(NumberKey(key.key, key.location), number)

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        basket = [Wanted(offered.listing, units) for offered, units in lines]
        sale = self.marketplace.place(basket, partial=False, paid=False)
        assert sale.order is not None
        assert not sale.missed
        return sale.order.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        order = await self.buy((await self.offer("NONSENSE", 10), 1))
        self.site.api.orders.odd[order] = ODDITIES[nonsense]
        return order

    async def pay(self, order: str) -> None:
        self.marketplace.pay(order)

    async def edit(self, order: str, units: int) -> None:
        self.marketplace.edit(order, self._line(order), units)

    async def cancel(self, order: str) -> None:
        self.marketplace.cancel(order)

    async def ship(self, order: str, units: int) -> None:
        self.marketplace.ship(order, {self._line(order): units})

    async def take_back(self, order: str, units: int) -> None:
        self.marketplace.bring_back(order, self._line(order), units)

    async def keep_back(self, order: str, units: int) -> None:
        self.marketplace.bring_back(order, self._line(order), units, quarantined=True)

    async def refuse(self, offered: Offered, reason: str) -> None:
        self.marketplace.set_policy(offered.listing, tracked=False)

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        if self._by_server and fault in SERVER_FAULTS:
            now = self._clock.now()
            ends = now + timedelta(days=1)
            self.site.api.faults.faults = (
                LabFault(kind=SERVER_FAULTS[fault], starts=now, ends=ends, retry_after=retry_after),
            )
        else:
            self._faults.fail(fault, retry_after=retry_after)

    async def heal(self) -> None:
        self.site.api.faults.faults = ()
        self._faults.heal()

    async def advance(self, by: timedelta) -> None:
        await self._clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        told = {"order": self.site.api.orders.write(self.marketplace.orders[order])}
        body = orjson.dumps({"type": "order.created", "timestamp": None, "account": "agora", "data": told})
        event = f"msg-{order}"
        headers = signed(self._subscription, event, self.marketplace.time(), body)
        return Delivery(headers, body, event)

    def _line(self, order: str) -> str:
        return self.marketplace.orders[order].lines[0].id


@pytest.fixture
def rules() -> MarketplaceRules:
    """The marketplace's rules; override it for another one."""
    return PRESETS["plain"]


@pytest.fixture
def clock() -> Clock:
    return ContractClock()


@pytest.fixture
def site(rules: MarketplaceRules, clock: Clock) -> Site:
    return open_site("agora", replace(rules, orders_per_page=3, listings_per_page=3), clock, faults=FaultPlan())


@pytest.fixture
def subscription(site: Site):
    return site.api.subscriptions.add(site.account.name, "https://receiver.example", ("order.created",))


@pytest.fixture
def channel_settings(site: Site, subscription) -> SandboxSettings:
    return SandboxSettings(**site.settings(), webhook_secrets=(subscription.secret,))


@pytest.fixture
def way(site: Site) -> httpx.AsyncBaseTransport:
    """How the marketplace is reached: in process. Override it for a socket."""
    return site.transport


@pytest.fixture
def faults(way: httpx.AsyncBaseTransport) -> HttpFaults:
    return HttpFaults(Noting(way))


@pytest.fixture
def transport(faults: HttpFaults) -> HttpFaults:
    return faults


@pytest.fixture
def by_server() -> bool:
    """Whether the marketplace's own server makes the faults."""
    return False


@pytest.fixture
def world(site: Site, subscription, faults: HttpFaults, clock: Clock, by_server: bool) -> SandboxWorld:
    return SandboxWorld(site, subscription, faults._inner, faults, clock, by_server=by_server)


@pytest.fixture
def resources(channel_settings: SandboxSettings, clock: Clock, transport: HttpFaults) -> Resources:
    return unused("agora-uk", CONNECTOR.budgets(channel_settings), clock, transport=transport)
