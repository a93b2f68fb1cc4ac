"""The four vendors' test servers as stalls of the lab: how each is opened, named and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

import httpx

from channelsync.lab.buyers import Fates
from channelsync.lab.faults import FaultPlan, HoldsTokens
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_fronts import MarketplaceApp
from channelsync.lab.marketplace_http import Request
from channelsync.lab.marketplace_values import NumberKey, Offer, Takes
from channelsync.lab.trading_day import Cancel, Edit, Return, Ship
from channelsync.sdk.channel import Connector
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import installed
from vendor_amazon import open_vendor as open_amazon
from vendor_day.own_budget import OwnBudget
from vendor_ebay import open_vendor as open_ebay
from vendor_shopify import open_vendor as open_shopify
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.routes import Routes
from vendor_woocommerce.site import open_vendor as open_woocommerce

Event = type[Cancel] | type[Edit] | type[Ship] | type[Return]

Fewest = Callable[[Sequence[Sequence[bool]], int], int]
"""The calls that a tick needs: of the numbers that it wrote, push by push, each key's first, and whether it raises one
above 0; and of the keys due."""

PAID_SOON = Fates(left_open=0.0, payment=(20.0, 240.0))
PAID_OR_LAPSED = Fates(left_open=0.0, payment=(20.0, 240.0), unpaid=0.04)
"""When orders are paid; some never are, and lapse where the channel lets them within the day."""

SMALL_HOST = {"calls_at_once": 4, "calls_per_second": 1}
"""What WooCommerce's connector is set to: so little that a sweep of this seller's numbers has to wait."""

FEED_FROM = 50
"""From so many raises on Amazon's connector is set to send one feed instead of patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """How a channel names the things of the plan, which are numbered from 0. line: the number of the plan's order,
    and of the line in it. key: of a listing's name."""

    listing: Callable[[int, str], str]
    order: Callable[[int, str], str]
    line: Callable[[int, int], str]
    key: Callable[[str], NumberKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorStall:
    """One vendor's test server. `Stall` of the lab, and what a day needs beyond that.

    knows: what can become of its orders so that it tells. ships_parts: whether it tells that some units left. fates:
    when orders are paid; None: at once. remotes: its locations. own_sku: a listing's name is its SKU. over: calls
    above what the vendor publishes, or, where it publishes none, above what the connector's settings declare, as the
    server noted them. fewest: see `Fewest`.
    complaints: answers of the server itself that its vendor's schema forbids, and requests that it does.
    """

    name: str
    marketplace: Marketplace
    transport: httpx.AsyncBaseTransport
    app: MarketplaceApp
    api: Any
    tokens: HoldsTokens
    given: Callable[[str], dict[str, object]]
    names: Name
    knows: frozenset[Event]
    fewest: Fewest
    over: Callable[[], Sequence[object]]
    complaints: Callable[[], Sequence[object]]
    fates: Fates | None = None
    ships_parts: bool = True
    remotes: Sequence[str] = ()
    own_sku: bool = False
    site: str = ""

    @property
    def connector(self) -> Connector:
        """The installed one of the channel's name."""
        return installed().connector(self.name)

    @property
    def calls(self) -> Mapping[str, int]:
        """That reached the server, by endpoint."""
        found: Mapping[str, int] = self.api.calls
        return found

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong there."""
        found: FaultPlan = self.api.faults
        return found

    def suffer(self, faults: FaultPlan) -> None:
        """From now on this goes wrong."""
        self.api.faults = faults

    def settings(self, base_url: str = "") -> dict[str, object]:
        """See `Stall`. base_url: these servers are reached on a socket."""
        return self.given(base_url)

    def offer(self, listing: str, sku: str, title: str, takes: Takes) -> Offer:
        """See `Stall`."""
        shown = listing if self.own_sku else sku
        key = self.names.key(listing)
        return Offer(listing=listing, sku=shown, title=title, site=self.site, keys=(key,), takes=takes)


class NoTokens:
    """An API without access tokens."""

    def drop(self) -> None:
        """There are none."""


def in_batches(size: int) -> Fewest:
    """Calls for numbers that go so many at a time."""
    return lambda _, due: ceil(due / size)


def patches_or_feed(pushes: Sequence[Sequence[bool]], _due: int) -> int:
    """Amazon's: what is urgent one by one; raises too, or together in a feed where one push has many.

    A batch of one gives nothing to save, so what was due and not written saves nothing either.
    """
    raises = [sum(push) for push in pushes]
    urgent = sum(map(len, pushes)) - sum(raises)
    return urgent + sum(many if many < FEED_FROM else 1 for many in raises)


def open_stalls(clock: Clock, *, seed: int, contracts: Path) -> dict[str, VendorStall]:
    """The four of them, with empty shelves, by the names of their connectors. contracts: one folder for each vendor."""
    stalls = (
        _shopify(clock, seed, contracts),
        _woocommerce(clock, seed, contracts),
        _amazon(clock, seed, contracts),
        _ebay(clock, seed, contracts),
    )
    return {stall.name: stall for stall in stalls}


def _shopify(clock: Clock, seed: int, contracts: Path) -> VendorStall:
    site = open_shopify("day-shop", clock, seed=seed, contracts=contracts, remember=1)
    place = site.shop.catalogue.primary
    return VendorStall(
        name="shopify",
        marketplace=site.marketplace,
        transport=site.transport,
        app=site.app,
        api=site.api,
        tokens=site.shop.access,
        given=lambda address: {
            "shop": site.domain,
            "client_id": site.client_id,
            "client_secret": site.client_secret,
            "base_url": address,
        },
        names=Name(
            listing=lambda number, _: str(40_400_001_000_000 + number),
            order=lambda number, _: str(5_100_001_000_000 + number),
            line=lambda _, line: str(line),
            key=lambda listing: NumberKey(str(int(listing) + 2_100_000_000_000), place),
        ),
        knows=frozenset({Cancel, Edit, Ship, Return}),
        fewest=in_batches(250),
        over=lambda: site.api.bucket.violations,
        complaints=lambda: [*site.api.problems, *site.api.refused],
        remotes=(place,),
    )


def _woocommerce(clock: Clock, seed: int, contracts: Path) -> VendorStall:
    site = open_woocommerce("day-shop", clock, seed=seed, options=SiteOptions(https=False))

    def given(address: str) -> dict[str, object]:
        key = {"consumer_key": site.consumer_key, "consumer_secret": site.consumer_secret}
        return {"base_url": address, **key, **SMALL_HOST}

    connector = installed().connector("woocommerce")
    (declared,) = connector.budgets(connector.settings.model_validate(given("http://127.0.0.1")))
    budget = OwnBudget(site.marketplace.name, declared)
    recorded = contracts.parent / "recordings" / "woocommerce"
    routes = Routes.read(recorded) if recorded.is_dir() else None
    wrong: list[str] = []

    def hear(now: datetime, request: Request) -> None:
        budget.take(now)
        if routes is not None:
            wrong.extend(routes.problems(request.method, request.path, request.raw_query, request.body))

    site.api.on_call.append(hear)
    return VendorStall(
        name="woocommerce",
        marketplace=site.marketplace,
        transport=site.transport,
        app=site.app,
        api=site.api,
        tokens=NoTokens(),
        given=given,
        names=Name(
            listing=lambda number, _: str(1_000 + number),
            order=lambda _, basket: f"basket {basket}",  # the shop numbers it; the lab finds it by this name
            line=lambda _, line: str(line),
            key=NumberKey,
        ),
        knows=frozenset({Cancel, Edit, Ship, Return}),
        fewest=in_batches(100),
        over=lambda: budget.violations,  # the connector's own: WooCommerce publishes none
        complaints=lambda: [*site.api.refused, *wrong],  # nobody publishes a schema of its answers
        fates=PAID_OR_LAPSED,
        ships_parts=False,
    )


def _amazon(clock: Clock, seed: int, contracts: Path) -> VendorStall:
    site = open_amazon("day-seller", clock, seed=seed, contracts=contracts)
    return VendorStall(
        name="amazon",
        marketplace=site.marketplace,
        transport=site.transport,
        app=site.app,
        api=site.api,
        tokens=site.api.tokens,
        given=lambda address: {
            "seller_id": site.seller_id,
            "region": "eu",
            "marketplaces": site.marketplace_ids[:1],
            "client_id": site.client_id,
            "client_secret": site.client_secret,
            "refresh_token": site.refresh_token,
            "feed_from": FEED_FROM,
            "base_url": address,
            "lwa_url": address,
        },
        names=Name(
            listing=lambda _, name: name,
            order=lambda number, _: f"202-{number // 10_000_000:07}-{number % 10_000_000:07}",
            line=lambda number, line: f"{10_000_000_000 + number}{line:03}",
            key=NumberKey,
        ),
        knows=frozenset({Cancel, Ship}),  # returns are in reports only, and nobody edits an order
        fewest=patches_or_feed,
        over=lambda: site.api.buckets.violations,
        complaints=lambda: [*site.api.problems, *site.api.refused, *site.api.ignored],
        fates=PAID_SOON,
        own_sku=True,
        site=site.marketplace_ids[0],
    )


def _ebay(clock: Clock, seed: int, contracts: Path) -> VendorStall:
    site = open_ebay("day", clock, seed=seed, contracts=contracts)
    return VendorStall(
        name="ebay",
        marketplace=site.marketplace,
        transport=site.transport,
        app=site.app,
        api=site.api,
        tokens=site.api.oauth,
        given=lambda address: {
            "client_id": site.client_id,
            "client_secret": site.client_secret,
            "ru_name": site.ru_name,
            "refresh_token": site.refresh_token,
            "base_url": address,
        },
        names=Name(
            listing=lambda _, name: name,
            order=lambda number, _: f"12-{number // 100_000:05}-{number % 100_000:05}",
            line=lambda number, line: f"{10_000_000_000 + number}{line:03}",
            key=NumberKey,
        ),
        knows=frozenset({Cancel, Ship}),  # returns are told as money, and nobody edits an order
        fewest=in_batches(25),
        over=lambda: site.api.meter.violations,
        complaints=lambda: [*site.api.answer_problems, *site.api.refused],
        own_sku=True,
    )
