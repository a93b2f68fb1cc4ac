"""The connector keeps the contract against a Shopify shop that was written without knowledge of it.

The server holds every request to the vendor's whole schema. After each test its record is looked at: it refused
nothing as invalid, was asked for nothing above the budget, and its own answers keep the schema too.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from channelsync.lab.faults import FaultPlan
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import ConnectorContract, Fault, HttpFaults
from channelsync.sdk.contract.base import OpenChannel, lag, read_one, snapshot
from channelsync.sdk.contract.failures import FailureContract, SecretContract
from channelsync.sdk.contract.faults import Answering
from channelsync.sdk.contract.numbers import ReadContract
from channelsync.sdk.contract.orders import OrderContract
from channelsync.sdk.contract.pages import ListingPageContract, PageContract
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings
from loopback_wire import loopback_wire
from vendor_shopify import ShopifySite, open_vendor
from vendor_shopify.world import ANSWERS, ShopifyWorld

TOKEN = "/admin/oauth/access_token"
LIMITS = "https://shopify.dev/api/usage/rate-limits"


def _refusing(code: str, message: str, *, data: bool = False, **more: Any) -> Answering:
    """How the GraphQL endpoint words a failure: HTTP 200 with errors. data: whether there is any, all of it null."""
    error = {"message": message, "extensions": {"code": code, **more}}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return ANSWERS[Fault.FORBIDDEN](request)
        cost = {
            "requestedQueryCost": 1000,
            "actualQueryCost": None,
            "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 25.0},
        }
        content = {"errors": [error], "extensions": {"cost": cost}} | ({"data": {"root": None}} if data else {})
        return httpx.Response(200, json=content)

    return answer


IN_GRAPHQL = {
    Fault.THROTTLED: _refusing("THROTTLED", "Throttled", documentation=LIMITS),
    Fault.FORBIDDEN: _refusing(
        "ACCESS_DENIED",
        "Access denied for shop field. Required access: `read_orders` access scope.",
        data=True,
        requiredAccess="`read_orders` access scope.",
    ),
    Fault.SERVER_ERROR: _refusing("INTERNAL_SERVER_ERROR", "Internal error. Looks like something went wrong."),
}
"""Faults in GraphQL's own words. THROTTLED and ACCESS_DENIED as recorded; the server error without data."""


class OnTheServer:
    """The contract's fixtures, for a new shop a test."""

    connector = CONNECTOR
    settings = ShopifySettings(shop="corner-shop.myshopify.com", client_id="x", client_secret="y")

    @pytest.fixture
    def by_server(self) -> bool:
        """Whether the shop's own server makes the faults."""
        return False

    @pytest.fixture
    def orders_per_page(self) -> int:
        """As the connector is set: Shopify puts as many orders on a page as are asked for."""
        return 3

    @pytest.fixture
    def answers(self) -> Mapping[Fault, Answering]:
        """How faults are worded that are made on our side of the wire."""
        return ANSWERS

    @pytest.fixture
    def world(
        self,
        contracts: Path,
        clock: Clock,
        by_server: bool,
        orders_per_page: int,
        answers: Mapping[Fault, Answering],
    ) -> Iterator[ShopifyWorld]:
        site = open_vendor("corner-shop", clock, contracts=contracts.parent, faults=FaultPlan())
        world = ShopifyWorld(site, clock, by_server=by_server, orders_per_page=orders_per_page)
        world.transport = HttpFaults(world.wire, answers)
        yield world
        api = world.site.api
        assert api.problems == [], "the server's own answers stray from the schema"
        assert api.bucket.violations == [], "calls above the budget"
        assert [one for seen in api.seen for one in _invalid(seen.reply.body)] == []

    @pytest.fixture
    def transport(self, world: ShopifyWorld) -> httpx.AsyncBaseTransport:
        return world.transport

    @pytest.fixture
    def channel_settings(self, world: ShopifyWorld) -> ShopifySettings:
        return settings_of(world.site, orders_per_page=world.orders_per_page)


def settings_of(site: ShopifySite, **more: Any) -> ShopifySettings:
    """What a seller would set for this shop."""
    given = {"client_id": site.client_id, "client_secret": site.client_secret, "listings_per_page": 3}
    return ShopifySettings(shop=site.domain, **{**given, **more})


def _invalid(body: bytes) -> list[Any]:
    """What the server found wrong with a request. Throttled and spoilt answers are none of it."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    errors = content.get("errors", []) if isinstance(content, dict) else []
    if isinstance(errors, str) or errors == {}:
        return []
    found = list(errors.values()) if isinstance(errors, dict) else errors
    return [one for one in found if not isinstance(one, dict) or one.get("extensions", {}).get("code") != "THROTTLED"]


class TakesWhenItReserves:
    """What the contract does not know of: an order that Shopify has taken, but whose units it reserves later."""

    async def test_the_number_falls_when_an_order_is_reserved_and_not_when_it_is_paid(
        self, world: ShopifyWorld, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered, book = await world.offer("MUG-BLUE", 10), world.site.shop.book
        at_once, later = await world.buy((offered, 2)), await world.buy((offered, 3))
        book.leave_unreserved(later)
        async with open_channel() as channel:

            async def told() -> tuple[int | None, list[bool]]:
                await world.advance(lag(capabilities))
                found = [await snapshot(channel, order) for order in (at_once, later)]
                assert [one.lines[0].to_ship for one in found] == [2, 3], "both are reserved here"
                assert all(one.deducted_at in (None, one.placed_at) for one in found)
                return (await read_one(channel, offered.key)).value, [one.deducted_at is not None for one in found]

            assert await told() == (8, [True, False])
            await world.pay(later)
            assert await told() == (8, [True, False]), "a payment takes nothing"
            book.reserve(later)
            assert await told() == (5, [True, True])
            await world.ship(later, 3)
            await world.advance(lag(capabilities))
            assert (await read_one(channel, offered.key)).value == 5


class TestInProcess(TakesWhenItReserves, OnTheServer, ConnectorContract):
    """Everything, with faults made on our side of the wire, as plain HTTP."""


@pytest.mark.processes
class TestOverASocket(TakesWhenItReserves, OnTheServer, ConnectorContract):
    """Everything, behind a real server, which makes most faults itself."""

    @pytest.fixture
    def by_server(self) -> bool:
        return True

    @pytest.fixture
    async def address(self, world: ShopifyWorld) -> AsyncIterator[str]:
        async with loopback_server(world.site.app) as address:
            yield address

    @pytest.fixture
    async def transport(self, world: ShopifyWorld, address: str) -> AsyncIterator[httpx.AsyncBaseTransport]:
        async with loopback_wire() as wire:
            world.wire.inner = wire
            yield world.transport

    @pytest.fixture
    def channel_settings(self, world: ShopifyWorld, address: str) -> ShopifySettings:
        return settings_of(world.site, orders_per_page=world.orders_per_page, base_url=address)


class TestFailuresInGraphql(OnTheServer, FailureContract, SecretContract):
    """Failures that come as an answer with HTTP 200."""

    @pytest.fixture
    def answers(self) -> Mapping[Fault, Answering]:
        return {**ANSWERS, **IN_GRAPHQL}


class TestListingsInBulk(OnTheServer, ListingPageContract, ReadContract):
    """Listings by a bulk operation, however few they are."""

    @pytest.fixture
    def channel_settings(self, world: ShopifyWorld) -> ShopifySettings:
        return settings_of(world.site, orders_per_page=world.orders_per_page, bulk_from=1)


class TestSmallestPages(OnTheServer, PageContract, ListingPageContract, OrderContract):
    """One order and one listing a page: whatever spans a page does so at every row."""

    @pytest.fixture
    def orders_per_page(self) -> int:
        return 1

    @pytest.fixture
    def channel_settings(self, world: ShopifyWorld) -> ShopifySettings:
        return settings_of(world.site, orders_per_page=1, listings_per_page=1)


class TestWithARefreshToken(OnTheServer, PageContract, SecretContract):
    """An app of another organisation: access that ends after an hour, kept in the vault."""

    @pytest.fixture
    def channel_settings(self, world: ShopifyWorld, clock: Clock) -> ShopifySettings:
        first = world.site.shop.access.refresh_token(clock.now())
        return settings_of(world.site, orders_per_page=world.orders_per_page, refresh_token=SecretStr(first))
