"""The sandbox connector keeps the contract: on every marketplace of the lab that differs in what the contract sees."""

from collections.abc import AsyncIterator

import httpx
import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.contract.declared import BehaviourContract, WriteContract
from channelsync.sdk.contract.numbers import PushContract, ReadContract
from channelsync.sdk.contract.orders import LifeContract, OrderContract
from channelsync.sdk.contract.pages import ListingPageContract, PageContract
from channelsync_sandbox import CONNECTOR
from channelsync_sandbox.settings import SandboxSettings
from loopback_wire import loopback_wire

DIFFERENT = (
    "compare-and-set",
    "compare-and-set, stale 3 min",
    "idempotency keys",
    "one at a time",
    "small pages",
    "applies later, in order",
    "applies later, in any order",
    "applies later with compare-and-set",
    "deducts at payment",
    "deducts at shipment",
    "never deducts",
    "gives nothing back",
    "gives back on restock",
    "cap on writing",
    "cap on reading",
    "zero deactivates",
    "zero ends",
    "physical, committed readable",
    "backorders",
    "orders found late",
    "pages that shift",
    "tells no times",
    "clock 90 s ahead",
    "clock 90 s behind",
    "tokens last 10 min",
    "tight budget",
)
"""Left out: those that differ only in what no test of the contract looks at, and those that break a promise."""


class OnTheLab:
    """The contract's fixtures, from conftest.py."""

    connector = CONNECTOR

    @pytest.fixture
    def clock(self, clock):
        return clock

    @pytest.fixture
    def channel_settings(self, channel_settings: SandboxSettings) -> SandboxSettings:
        return channel_settings

    @pytest.fixture
    def transport(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        return transport

    @pytest.fixture
    def world(self, world):
        return world


class TestInProcess(OnTheLab, ConnectorContract):
    """Everything, on a plain marketplace, with faults made on our side of the wire."""


@pytest.mark.processes
class TestOverASocket(OnTheLab, ConnectorContract):
    """Everything, on a plain marketplace behind a real server, which makes most faults itself."""

    @pytest.fixture
    async def address(self, site: Site) -> AsyncIterator[str]:
        async with loopback_server(site.app) as address:
            yield address

    @pytest.fixture
    async def way(self, address: str) -> AsyncIterator[httpx.AsyncBaseTransport]:
        async with loopback_wire() as transport:
            yield transport

    @pytest.fixture
    def channel_settings(self, channel_settings: SandboxSettings, address: str) -> SandboxSettings:
        return channel_settings.model_copy(update={"base_url": address})

    @pytest.fixture
    def by_server(self) -> bool:
        return True


@pytest.mark.parametrize("preset", DIFFERENT)
class TestEveryMarketplace(
    OnTheLab,
    PageContract,
    ListingPageContract,
    OrderContract,
    LifeContract,
    ReadContract,
    PushContract,
    BehaviourContract,
    WriteContract,
):
    """What is declared is what is done, marketplace by marketplace."""

    @pytest.fixture
    def rules(self, preset: str) -> MarketplaceRules:
        return PRESETS[preset]
