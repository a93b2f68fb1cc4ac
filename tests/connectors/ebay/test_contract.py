"""The eBay connector keeps the contract: against a server that was written without knowledge of it.

The server holds every request to eBay's own descriptions. After each test its record is looked at: it refused nothing
but what the test provoked, was asked for nothing above the budget, and its own answers keep the descriptions too.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from channelsync.lab.faults import Fault as LabFault
from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.contract import ConnectorContract, ContractClock, Fault, HttpFaults
from channelsync.sdk.contract.declared import BehaviourContract, WriteContract
from channelsync.sdk.contract.numbers import PushContract, ReadContract
from channelsync.sdk.contract.orders import LifeContract, OrderContract
from channelsync.sdk.contract.pages import ListingPageContract, PageContract
from channelsync_ebay import CONNECTOR
from channelsync_ebay.settings import EbaySettings
from loopback_wire import loopback_wire
from vendor_ebay import EBAY_RULES, EbayBehaviour, EbaySite, EbayWorld

SERVER_FAULTS = {
    Fault.THROTTLED: FaultKind.TOO_MANY,
    Fault.SERVER_ERROR: FaultKind.SERVER_ERROR,
    Fault.NO_ANSWER: FaultKind.NO_ANSWER,
    Fault.NO_ANSWER_AFTER: FaultKind.NO_ANSWER_AFTER,
    Fault.HTML: FaultKind.HTML,
    Fault.EMPTY: FaultKind.EMPTY_AFTER,
}
"""The faults that the server itself can make; the others are made on our side of the wire."""

PROVOKED = {
    25702: "no such SKU",
    25713: "no offers of such a SKU",
    25019: "the listing that refuses every write",
    240: "the same by the Trading API",
    25025: "another write has the SKU in hand",
    2001: "a fault: too many requests",
    2003: "a fault: a server error",
}
"""The errors that tests of the contract ask for, by eBay's numbers. Others mean that a request was wrong."""


class FailsByItself(EbayWorld):
    """An eBay whose own server makes the faults, as far as it can."""

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        if fault not in SERVER_FAULTS:
            await super().fail(fault, retry_after=retry_after)
            return
        now = self._clock.now()
        made = LabFault(kind=SERVER_FAULTS[fault], starts=now, ends=now + timedelta(days=1), retry_after=retry_after)
        self.site.api.faults.faults = (made,)

    async def heal(self) -> None:
        self.site.api.faults.faults = ()
        await super().heal()


@dataclass(frozen=True)
class Kind:
    """A kind of eBay. world: how its listings are made. settings: what the seller sets accordingly."""

    behaviour: EbayBehaviour = field(default_factory=EbayBehaviour)
    rules: MarketplaceRules = EBAY_RULES
    world: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class OnTheServer:
    """The contract's fixtures. After each test nothing was refused but what it provoked."""

    connector = CONNECTOR
    other_side = EbayWorld

    @pytest.fixture
    def clock(self) -> ContractClock:
        return ContractClock()

    @pytest.fixture
    def kind(self) -> Kind:
        return Kind()

    @pytest.fixture
    def behaviour(self, kind: Kind) -> EbayBehaviour:
        return kind.behaviour

    @pytest.fixture
    def rules(self, kind: Kind) -> MarketplaceRules:
        return kind.rules

    @pytest.fixture
    def channel_settings(self, site: EbaySite, kind: Kind, sellers: Callable[..., EbaySettings]) -> EbaySettings:
        return sellers(site, **kind.settings)

    @pytest.fixture
    def faults(self, noting) -> HttpFaults:
        return HttpFaults(noting)

    @pytest.fixture
    def transport(self, faults: HttpFaults) -> httpx.AsyncBaseTransport:
        return faults

    @pytest.fixture
    def world(
        self, site: EbaySite, noting, faults: HttpFaults, clock: ContractClock, kind: Kind
    ) -> Iterator[EbayWorld]:
        yield self.other_side(site, faults, clock, **kind.world)
        assert [(call, number) for call, number in noting.refused if number not in PROVOKED] == []
        assert site.api.meter.violations == [], "calls above the budget"


class TestInProcess(OnTheServer, ConnectorContract):
    """Everything, at the hosts that eBay has, with faults made on our side of the wire."""


@pytest.mark.processes
class TestOverASocket(OnTheServer, ConnectorContract):
    """Everything, behind a real server, which makes most faults itself."""

    other_side = FailsByItself

    @pytest.fixture
    async def address(self, site: EbaySite) -> AsyncIterator[str]:
        async with loopback_server(site.app) as address:
            yield address

    @pytest.fixture
    async def noting(self, noting, address: str) -> AsyncIterator[Any]:
        async with loopback_wire() as wire:
            noting.inner = wire
            yield noting

    @pytest.fixture
    def channel_settings(self, site: EbaySite, address: str, sellers: Callable[..., EbaySettings]) -> EbaySettings:
        return sellers(site, base_url=address)


OLD = {"world": {"legacy": True}, "settings": {"legacy_listings": True}}

KINDS = {
    "oldest orders first": Kind(EbayBehaviour(newest_first=False)),
    "a row for the item too": Kind(EbayBehaviour(item_rows=True)),
    "busy after a write": Kind(EbayBehaviour(busy_after_write=2.0)),
    "the lower number counts": Kind(EbayBehaviour(lower_counts=True)),
    "offers without numbers": Kind(world={"in_offer": False}),
    "not migrated": Kind(**OLD),
    "migrated, both kinds kept": Kind(settings={"legacy_listings": True}),
    "relists nothing": Kind(rules=replace(EBAY_RULES, gives_back=frozenset()), settings={"relists_cancelled": False}),
    "clock 90 s ahead": Kind(rules=replace(EBAY_RULES, skew=90.0), settings={"skew_s": 90}),
    "clock 90 s behind": Kind(rules=replace(EBAY_RULES, skew=-90.0), settings={"skew_s": 90}),
    "tokens last 10 min": Kind(rules=replace(EBAY_RULES, token_lifetime=600.0)),
}


@pytest.mark.parametrize("one", list(KINDS))
class TestEveryEbay(
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
    """What is declared is what is done, whatever eBay leaves open and however listings were made."""

    @pytest.fixture
    def kind(self, one: str) -> Kind:
        return KINDS[one]
