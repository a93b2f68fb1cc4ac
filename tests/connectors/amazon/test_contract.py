"""The Amazon connector keeps the contract: against a server that was written without knowledge of it.

The server holds every request to Amazon's own models. After each test its record is looked at: it refused nothing, it
was told nothing that the models do not name, no call was above a rate, and its own answers keep the models too.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.channel import Channel
from channelsync.sdk.contract import ConnectorContract, ContractClock, HttpFaults, Offered
from channelsync.sdk.contract.declared import BehaviourContract, WriteContract
from channelsync.sdk.contract.numbers import PushContract, ReadContract
from channelsync.sdk.contract.orders import LifeContract, OrderContract
from channelsync.sdk.contract.pages import ListingPageContract, PageContract
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import QuantityKey
from channelsync_amazon import CONNECTOR
from channelsync_amazon.settings import AmazonSettings
from loopback_wire import loopback_wire
from vendor_amazon import AmazonHabits, AmazonSite
from vendor_amazon.world import ORDERS_PER_PAGE, AmazonWorld


class Noting(httpx.AsyncBaseTransport):
    """Passes everything on and notes what was refused."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.refused: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        if response.status_code >= 400:
            self.refused.add(f"{response.status_code} {request.method} {request.url.path}")
        return response

    async def aclose(self) -> None:
        """Who made the inner transport closes it."""


class FbaWorld(AmazonWorld):
    """An Amazon that keeps units of some listings, and ships them."""

    async def keep(self, sku: str, units: int) -> Offered:
        """A listing of FBA, with its units in the pool of the first marketplace."""
        self.site.catalogue.list_item(sku, 0, fba=True)
        self.site.pool.receive(sku, units, inbound=4)
        return Offered(sku, sku, QuantityKey(sku, self.site.marketplace_ids[0]))


SELLER = "A3EXAMPLESELLER"
PROVOKED = {
    "400 GET /orders/2026-01-01/orders/no-such-order",
    "404 GET /orders/2026-01-01/orders/000-0000000-0000000",
    f"404 GET /listings/2021-08-01/items/{SELLER}/no-such-key",
    f"404 GET /listings/2021-08-01/items/{SELLER}/no-such-listing",
}
"""What the contract asks for that does not exist, and the order that a check asks for."""


class OnTheServer:
    """The contract's fixtures, for a new account a test."""

    connector = CONNECTOR
    settings = AmazonSettings(
        seller_id=SELLER,
        region="eu",
        marketplaces=("A1F83G8C2ARO7P",),
        client_id="x",
        client_secret="y",
        refresh_token="z",
    )

    @pytest.fixture
    def clock(self) -> ContractClock:
        return ContractClock()

    @pytest.fixture
    def by_server(self) -> bool:
        """Whether the server makes the faults that it can."""
        return False

    @pytest.fixture
    def habits(self) -> AmazonHabits:
        """How this Amazon behaves where nobody outside knows for sure."""
        return AmazonHabits()

    @pytest.fixture
    def more(self) -> dict[str, Any]:
        """Settings that differ from the usual ones."""
        return {}

    @pytest.fixture
    def channel_settings(self, site: AmazonSite, settings_of: Any, more: dict[str, Any]) -> AmazonSettings:
        pools = {"fba_pools": site.marketplace_ids[:1]}
        return settings_of(site, orders_per_page=ORDERS_PER_PAGE, **(pools | more))

    @pytest.fixture
    def way(self, site: AmazonSite) -> httpx.AsyncBaseTransport:
        """How Amazon is reached: in process."""
        return site.transport

    @pytest.fixture
    def noting(self, way: httpx.AsyncBaseTransport) -> Noting:
        return Noting(way)

    @pytest.fixture
    def transport(self, noting: Noting) -> HttpFaults:
        return HttpFaults(noting)

    @pytest.fixture
    def world(
        self, site: AmazonSite, transport: HttpFaults, clock: ContractClock, by_server: bool, noting: Noting
    ) -> Iterator[AmazonWorld]:
        yield FbaWorld(site, transport, clock, by_server=by_server)
        assert by_server or noting.refused <= PROVOKED
        assert site.api.problems == [], "the server's own answers stray from the models"
        assert site.api.refused == []
        assert site.api.ignored == []
        assert site.api.buckets.violations == [], "calls above a rate"


class TestInProcess(OnTheServer, ConnectorContract):
    """Everything, with faults made on our side of the wire."""


@pytest.mark.processes
class TestOverASocket(OnTheServer, ConnectorContract):
    """Everything, behind a real server, which makes most faults itself."""

    @pytest.fixture
    async def address(self, site: AmazonSite) -> AsyncIterator[str]:
        async with loopback_server(site.app) as address:
            yield address

    @pytest.fixture
    async def way(self, address: str) -> AsyncIterator[httpx.AsyncBaseTransport]:
        async with loopback_wire() as transport:
            yield transport

    @pytest.fixture
    def more(self, address: str) -> dict[str, Any]:
        return {"base_url": address, "lwa_url": address}

    @pytest.fixture
    def by_server(self) -> bool:
        return True


@asynccontextmanager
async def opened_for_raises(settings: BaseModel, resources: Resources) -> AsyncIterator[Channel]:
    """The channel, told that all numbers are raises: only those may go in a feed."""
    async with CONNECTOR.open(settings, resources) as channel:
        push = channel.push
        channel.push = lambda updates: push([replace(one, lowering=False) for one in updates])
        yield channel


TWO = ("A1PA6795UKMFR9", "A1F83G8C2ARO7P")
AMAZONS: dict[str, AmazonHabits] = {
    "cancelled units are taken off": AmazonHabits(cancelled_units="taken off"),
    "cancelled units are left in": AmazonHabits(cancelled_units="left in"),
    "no rate is told": AmazonHabits(rate_header_share=0.0),
}
WAYS: dict[str, dict[str, Any]] = {
    "usual": {},
    "numbers by feed": {"feed_from": 1, "feed_wait_s": 300},
    "listings by report": {"report_from": 1},
    "two marketplaces": {"marketplaces": TWO, "fba_pools": TWO},
}


@pytest.mark.parametrize("amazon_like", list(AMAZONS))
@pytest.mark.parametrize("way_like", list(WAYS))
class TestEveryAmazon(
    OnTheServer,
    PageContract,
    ListingPageContract,
    OrderContract,
    LifeContract,
    ReadContract,
    PushContract,
    BehaviourContract,
    WriteContract,
):
    """What is declared is what is done, whatever Amazon leaves open and whichever way is gone."""

    connector = replace(CONNECTOR, open=opened_for_raises)

    @pytest.fixture
    def habits(self, amazon_like: str) -> AmazonHabits:
        return AMAZONS[amazon_like]

    @pytest.fixture
    def more(self, way_like: str) -> dict[str, Any]:
        """All go as raises here, so no more of them in a push than of any."""
        return {"raises_per_push": 100, **WAYS[way_like]}
