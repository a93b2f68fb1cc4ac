"""A trading day on three simulated marketplaces: who differs how, what goes wrong, and who buys what.

Everything is a function of the plan and the seed, so that two strategies meet the same day: the same buyers at the
same moments, the same human slips, the same hours of trouble.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import httpx

from channelsync.domain.bundles import Part, Recipe
from channelsync.lab.buyers import Fates, send_buyers
from channelsync.lab.faults import Deed, Fault, FaultKind, FaultPlan, orders_down, outage
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey
from channelsync.lab.stage import StagedListing, Wares
from channelsync.lab.trading_day import TradingDay
from channelsync.lab.virtual_time import InFlightTransport, LabClock, loopback_server
from channelsync.sdk.values import Applies, Deducts

BEFORE = timedelta(minutes=30)
"""The shops open so long before the day begins, for the seller to connect them."""

POLL = timedelta(minutes=10)
TICK = timedelta(minutes=1)
"""How often orders are asked for and numbers are published; the same for both strategies."""

RULES: Mapping[str, MarketplaceRules] = {
    # A modern one: checks the number that a write expects to replace, and answers with the one in force.
    "agora": MarketplaceRules(
        compare_and_set=True,
        answers_with_number=True,
        updates_per_push=50,
        reads_per_call=50,
        visibility=(0.0, 20.0),
        latency=(0.02, 0.3),
    ),
    # An old one: takes writes without a check, applies them later in their order, and reads lag a little.
    "bazaar": MarketplaceRules(
        updates_per_push=50,
        reads_per_call=50,
        applies=Applies.IN_ORDER,
        apply_delay=(2.0, 20.0),
        read_lag=(0.0, 15.0),
        visibility=(0.0, 60.0),
        order_pages="shifting",
        latency=(0.05, 0.8),
    ),
    # A tight one: takes units off when they are paid, shows orders late, small batches, little budget.
    "corso": MarketplaceRules(
        updates_per_push=20,
        reads_per_call=20,
        deducts=Deducts.AS_TOLD,
        pending_limit=7_200.0,
        visibility=(0.0, 180.0),
        orders_per_page=20,
        budget_capacity=120.0,
        budget_per_second=2.0,
        token_lifetime=3_600.0,
        retry_after="date",
        latency=(0.05, 0.5),
    ),
}
"""The three marketplaces, by the names of the plan."""

PAYMENTS = Fates(left_open=0.0, payment=(20.0, 240.0), unpaid=0.04)
"""When orders are paid where units are taken off at payment; some never are, and lapse."""

_PASSING = 0.02
"""The share of calls that meet one of the passing faults, at any time of the day."""


def wares_of(plan: TradingDay) -> Wares:
    """What the seller has and offers on that day."""
    return Wares(
        opening=plan.opening,
        listings=[
            StagedListing(marketplace=x.marketplace, listing=x.listing_id, sku=x.sku, multiple=x.multiple)
            for x in plan.listings
        ],
        recipes={
            bundle.sku: Recipe(bundle.sku, "virtual", tuple(Part(one.sku, one.units) for one in bundle.components))
            for bundle in plan.bundles
        },
    )


def faults_of(plan: TradingDay, day: date, name: str, *, seed: int) -> FaultPlan:
    """What goes wrong at one marketplace, from the day's first minute to the last event of the plan.

    Everywhere calls fail now and then, there are spells of 429 and of 5xx, and the seller types by hand. Beyond
    that bazaar's orders cannot be read for a while in the busy hours, and corso is down as a whole.
    """
    starts = day_begins(day)
    lasts = plan.ends_at() - starts
    usual = FaultPlan.random(_number(seed, name), starts=starts, lasts=lasts, rate=_PASSING, humans=False)
    dice = random.Random(f"{seed} {name} trouble")
    at = starts + lasts * dice.uniform(0.6, 0.75)
    trouble: Mapping[str, list[Fault]] = {
        "agora": [Fault(kind=FaultKind.NO_ANSWER_AFTER, starts=at, ends=at + timedelta(minutes=10), chance=0.3)],
        "bazaar": [orders_down(at, at + timedelta(minutes=45))],
        "corso": [outage(at, at + timedelta(minutes=25))],
    }
    kept = [fault for fault in usual.faults if fault.kind is not FaultKind.OUTAGE]
    over = [replace(fault, ends=min(fault.ends, plan.ends_at())) for fault in (*trouble.get(name, ()), *kept)]
    return FaultPlan(over, [*usual.deeds, *_human(plan, name, starts, dice)], seed=seed)


def _human(plan: TradingDay, name: str, starts: datetime, dice: random.Random) -> list[Deed]:
    """A typo that is noticed and put right, and an edit that nobody puts right, of wares that are in demand.

    The numbers are fixed here and not drawn from what is shown, so that both strategies meet the same ones.
    """
    opening, lasts = plan.opening, plan.ends_at() - starts
    popular = {item.sku for item in plan.items if item.popular} or {item.sku for item in plan.items}
    offered = [one for one in plan.listings if one.marketplace == name and one.multiple == 1 and one.sku in popular]
    first, second = dice.sample(offered, 2) if len(offered) > 1 else (offered * 2)[:2]
    slip = opening[first.sku] * 10 + dice.randint(0, 9) if dice.random() < 0.5 else opening[first.sku] // 10
    return [
        Deed(
            what="typo",
            at=starts + lasts * dice.uniform(0.5, 0.8),
            key=NumberKey(first.listing_id),
            number=slip,
            corrected_after=timedelta(minutes=dice.uniform(4, 18)),
        ),
        Deed(
            what="human edit",
            at=starts + lasts * dice.uniform(0.5, 0.8),
            key=NumberKey(second.listing_id),
            number=dice.randint(0, opening[second.sku] + 3),
        ),
    ]


def _number(seed: int, name: str) -> int:
    return random.Random(f"{seed} {name}").getrandbits(32)


def day_begins(day: date) -> datetime:
    """Midnight, UTC."""
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDay:
    """The marketplaces of a day, serving on loopback, before the first buyer comes.

    addresses, transports: by marketplace; requests that leave through the transports hold simulated time still.
    """

    plan: TradingDay
    seed: int
    wares: Wares
    sites: Mapping[str, Site]
    addresses: Mapping[str, str]
    transports: Mapping[str, httpx.AsyncBaseTransport]

    @property
    def marketplaces(self) -> dict[str, Marketplace]:
        """By name."""
        return {name: site.marketplace for name, site in self.sites.items()}

    async def happen(self, clock: LabClock) -> None:
        """Lets the day happen: buyers, what becomes of their orders, and human hands. Returns after the last."""
        async with asyncio.TaskGroup() as tasks:
            for name, site in self.sites.items():
                orders = [order for order in self.plan.orders if order.marketplace == name]
                pays_later = site.marketplace.rules.deducts is Deducts.AS_TOLD
                fates = PAYMENTS if pays_later else None
                tasks.create_task(send_buyers(orders, self.marketplaces, clock, fates=fates, seed=self.seed))
                tasks.create_task(site.api.faults.do_deeds(site.marketplace, site.api.tokens, clock))


@asynccontextmanager
async def open_day(plan: TradingDay, day: date, clock: LabClock, *, seed: int) -> AsyncIterator[OpenDay]:
    """The marketplaces of a plan as real HTTP servers, for as long as the block lasts; their shelves are empty."""
    async with AsyncExitStack() as stack:
        sites, addresses, transports = {}, {}, {}
        for name, rules in RULES.items():
            faults = faults_of(plan, day, name, seed=seed)
            sites[name] = site = open_site(name, rules, clock, seed=seed, faults=faults)
            addresses[name] = await stack.enter_async_context(loopback_server(site.app))
            transports[name] = InFlightTransport(httpx.AsyncHTTPTransport())
        yield OpenDay(
            plan=plan, seed=seed, wares=wares_of(plan), sites=sites, addresses=addresses, transports=transports
        )
