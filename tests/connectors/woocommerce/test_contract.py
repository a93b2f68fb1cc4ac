"""The WooCommerce connector keeps the contract: against a server of its own that was held to a real shop's answers."""

import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import ConnectorContract, ContractClock, HttpFaults, Offered
from channelsync.sdk.contract.declared import BehaviourContract, WriteContract
from channelsync.sdk.contract.failures import SecretContract
from channelsync.sdk.contract.numbers import PushContract, ReadContract
from channelsync.sdk.contract.orders import LifeContract, OrderContract
from channelsync.sdk.contract.pages import ListingPageContract, PageContract
from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.settings import WooSettings
from loopback_wire import loopback_wire
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.world import PER_PAGE, WooWorld

FLAT = "/wp-json/wc/v3/variations"
"""What a shop before WooCommerce 10.3 does not have, so it is asked once whether it does."""


class Noting(httpx.AsyncBaseTransport):
    """Passes everything on and notes the credentials that leave."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.credentials: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.credentials |= set(request.headers.get("Authorization", "").split()[1:])
        self.credentials |= {value for name, value in request.url.params.items() if name == "oauth_signature"}
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """The test that made the inner transport closes it."""


class NotingWorld(WooWorld):
    """A shop whose visitor's credentials are noted on their way, as base64 and as signatures, to be looked for."""

    def __init__(self, clock: Clock, options: SiteOptions | None = None, way: httpx.AsyncBaseTransport | None = None):
        super().__init__(clock, options=options)
        self.noting = Noting(way or self.site.transport)
        self.transport = HttpFaults(self.noting)

    @property
    def secrets(self) -> Collection[str]:
        return {*super().secrets, *self.noting.credentials}


class VariationWorld(NotingWorld):
    """A shop that offers nothing but variations, each of a product of its own."""

    by_parent = False

    async def offer(self, sku: str, number: int) -> Offered:
        return await self.offer_variation(sku, number, by_parent=self.by_parent)


class FamilyWorld(VariationWorld):
    """A shop whose variations share the number of their product."""

    by_parent = True


def settings_of(world: WooWorld, **more: Any) -> WooSettings:
    """The settings with which a seller connects this shop."""
    site = world.site
    return WooSettings(
        **{
            "base_url": world.base_url,
            "consumer_key": site.consumer_key,
            "consumer_secret": site.consumer_secret,
            "webhook_secrets": (site.webhook_secret,),
            **more,
        }
    )


def refused(world: WooWorld) -> list[str]:
    """The requests that the shop refused, but for the one by which the connector learns how old it is."""
    old = not world.site.api.options.has_flat_variations
    found = [one for one in world.site.api.exchanges if one.reply.status >= 400]
    return [
        f"{one.request.method} {one.request.path} {one.reply.status} {one.reply.body[:200]!r}"
        for one in found
        if not (old and one.request.path == FLAT and one.reply.status == 404)
    ]


class OnTheVendorsServer:
    """The contract's fixtures. After each test the shop's own record shows no request that it refused."""

    connector = CONNECTOR

    @pytest.fixture
    def clock(self) -> Clock:
        return ContractClock()

    @pytest.fixture
    def shop(self, clock: Clock) -> NotingWorld:
        """A shop that puts at most `PER_PAGE` rows on a page, whatever is asked for."""
        return NotingWorld(clock)

    @pytest.fixture
    def world(self, shop: NotingWorld) -> Iterator[NotingWorld]:
        yield shop
        assert refused(shop) == []

    @pytest.fixture
    def transport(self, shop: NotingWorld) -> httpx.AsyncBaseTransport:
        return shop.transport

    @pytest.fixture
    def channel_settings(self, shop: NotingWorld) -> WooSettings:
        return settings_of(shop)


class TestInProcess(OnTheVendorsServer, ConnectorContract):
    """Everything, on a shop as it is installed."""


@pytest.mark.processes
class TestOverASocket(OnTheVendorsServer, ConnectorContract):
    """Everything, on a shop behind a real server."""

    @pytest.fixture
    async def way(self) -> AsyncIterator[httpx.AsyncBaseTransport]:
        async with loopback_wire() as transport:
            yield transport

    @pytest.fixture
    def shop(self, clock: Clock, way: httpx.AsyncBaseTransport) -> NotingWorld:
        """In plain http: what the server serves on a socket has no certificate."""
        return NotingWorld(clock, SiteOptions(https=False, per_page_cap=PER_PAGE), way)

    @pytest.fixture
    async def channel_settings(self, shop: NotingWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WooSettings]:
        monkeypatch.setattr(logging.getLogger("uvicorn.access"), "disabled", True)  # the other side's log, not ours
        async with loopback_server(shop.site.app) as address:
            yield settings_of(shop, base_url=address)


@dataclass(frozen=True)
class Shop:
    """A shop that differs. settings: what its seller must say in the configuration."""

    options: SiteOptions = field(default_factory=SiteOptions)
    world: type[NotingWorld] = NotingWorld
    settings: Mapping[str, Any] = field(default_factory=dict)


SMALL_PAGES = {"orders_per_page": PER_PAGE, "listings_per_page": PER_PAGE}
DIFFERENT = {
    "asked for small pages": Shop(settings=SMALL_PAGES),
    "plain http": Shop(SiteOptions(https=False), settings=SMALL_PAGES),
    "drops the header": Shop(SiteOptions(strips_authorization=True), settings={"auth": "query", **SMALL_PAGES}),
    "east of Greenwich": Shop(SiteOptions(zone=ZoneInfo("Pacific/Kiritimati")), settings=SMALL_PAGES),
    "west of Greenwich": Shop(SiteOptions(zone=ZoneInfo("America/St_Johns")), settings=SMALL_PAGES),
    "clock 90 s ahead": Shop(SiteOptions(skew=90), settings={"skew_s": 90, **SMALL_PAGES}),
    "clock 90 s behind": Shop(SiteOptions(skew=-90), settings={"skew_s": 90, **SMALL_PAGES}),
    "variations": Shop(world=VariationWorld, settings=SMALL_PAGES),
    "variations, short pages": Shop(SiteOptions(per_page_cap=PER_PAGE), VariationWorld),
    "variations, 10.3": Shop(SiteOptions(version="10.3.0"), VariationWorld, SMALL_PAGES),
    "variations, 10.3, short pages": Shop(SiteOptions(version="10.3.0", per_page_cap=PER_PAGE), VariationWorld),
    "variations by the parent": Shop(world=FamilyWorld, settings=SMALL_PAGES),
    "variations by the parent, 10.3": Shop(SiteOptions(version="10.3.0"), FamilyWorld, SMALL_PAGES),
    "smaller batches": Shop(SiteOptions(batch_limit=2), settings={"updates_per_push": 2, **SMALL_PAGES}),
}


class OnADifferentShop(OnTheVendorsServer):
    """The contract's fixtures, on the shop of this name."""

    @pytest.fixture
    def shop(self, clock: Clock, different: str) -> NotingWorld:
        return DIFFERENT[different].world(clock, DIFFERENT[different].options)

    @pytest.fixture
    def channel_settings(self, shop: NotingWorld, different: str) -> WooSettings:
        return settings_of(shop, **DIFFERENT[different].settings)


@pytest.mark.parametrize("different", list(DIFFERENT))
class TestEveryShop(
    OnADifferentShop,
    PageContract,
    ListingPageContract,
    OrderContract,
    LifeContract,
    ReadContract,
    PushContract,
    BehaviourContract,
    WriteContract,
):
    """What is declared is what is done, shop by shop."""


@pytest.mark.parametrize("different", ["plain http", "drops the header"])
class TestEveryWayIn(OnADifferentShop, SecretContract):
    """No way of showing the key leaves it in a log or an error."""
