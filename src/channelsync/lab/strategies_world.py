"""A world in which some stories of one strategy happen: marketplaces, buyers, the seller, and who watches.

See `strategies` for what a story is, and for what keeps the stories of one world independent of one another.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from channelsync.domain.demand import DemandRate
from channelsync.domain.rules import LastUnits, Rule, RuleScope, RuleValues
from channelsync.lab.buyers import send_buyers
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import LogEntry, NumberKey
from channelsync.lab.plain_set import PlainChannel, PlainSeller
from channelsync.lab.stage import (
    LOCATION,
    Stage,
    StagedListing,
    StageOptions,
    Wares,
    open_offers,
    open_stage,
    schedule_of,
)
from channelsync.lab.stall import settings_of
from channelsync.lab.strategies import Outcome, Strategy, Terms, buyers_of, sku_of
from channelsync.lab.strategies_peers import ByDifference, Showing
from channelsync.lab.virtual_time import LabClock
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock
from channelsync.sdk.resources import unused
from channelsync.store.database import open_database
from channelsync.store.tables import metadata
from channelsync.sync.agent import OpenChannel
from channelsync.sync.leasing import Leases
from channelsync.sync.loops import run_channel
from channelsync.sync.setup import ChannelSetup, Setup

_QUIET = timedelta(minutes=2)
"""A story is over when nothing can be sold for a poll and so long: by then every strategy knows all of its orders."""

_RIGHT_AFTER = timedelta(seconds=1)
"""The peers publish so long after their polls, so that what was polled goes out at once, as ours does."""

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of an unguessable name is made in it
_WHERE = _MEMORY if _MEMORY.is_dir() else None


class _Deaf(asyncio.Event):
    """Nobody hears it: the orders of all stories are not read early because one of them has a question."""

    def set(self) -> None:
        """Stays as it is."""


class _CountedReads(httpx.AsyncBaseTransport):
    """The way to a marketplace, counting how often each number is asked for."""

    def __init__(self, way: httpx.AsyncBaseTransport) -> None:
        self.read: Counter[str] = Counter()
        self._way = way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/numbers/read":
            self.read.update(row["key"] for row in orjson.loads(request.content)["keys"])
        return await self._way.handle_async_request(request)


@dataclass(slots=True, kw_only=True)
class _World:
    """Some stories in one world. wares: all their SKUs. reads: counted on the way, by marketplace."""

    strategy: Strategy
    terms: Terms
    skus: Sequence[str]
    sites: Mapping[str, Site]
    clock: LabClock
    seed: int
    wares: Wares = field(init=False)
    reads: Mapping[str, _CountedReads] = field(init=False)
    referees: dict[str, Referee] = field(init=False)

    def __post_init__(self) -> None:
        listings = [
            StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku)
            for name in self.sites
            for sku in self.skus
        ]
        self.wares = Wares(opening=dict.fromkeys(self.skus, self.terms.units), listings=listings)
        self.reads = {name: _CountedReads(site.transport) for name, site in self.sites.items()}
        self.referees = {sku: Referee({sku: self.terms.units}) for sku in self.skus}

    def watch(self) -> None:
        """From here on every referee is told of its own story."""

        def tell(entry: LogEntry) -> None:
            self.referees[entry.takes[0][0]].tell(entry)

        for site in self.sites.values():
            site.marketplace.on_log.append(tell)
        for way in self.reads.values():
            way.read.clear()

    @asynccontextmanager
    async def open_seller(self) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
        """The seller with its listings shown; what is yielded runs it until it is cancelled."""
        ours = self.strategy.way == "watermark"
        async with self._agent() if ours else self._peer() as run:
            yield run

    @asynccontextmanager
    async def _agent(self) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
        terms = self.terms
        setup = Setup(channels={}, locations=(LOCATION,), rules=self._rules())
        if not self.strategy.new_item:
            setup = replace(setup, prior_demand=DemandRate(terms.known))
        channels = {
            name: ChannelSetup(
                name=name,
                capabilities=Capabilities(),
                locations=(LOCATION,),
                poll=terms.poll,
                tick=terms.tick,
                hot_reads=self.strategy.hot_reads,
            )
            for name in self.sites
        }
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=_WHERE))
            database = await stack.enter_async_context(open_database(f"sqlite:///{folder}/story.db", inline=True))
            await database.transact(metadata.create_all)
            stage = await stack.enter_async_context(
                open_stage(
                    database=database,
                    clock=self.clock,
                    sites=self.sites,
                    wares=self.wares,
                    channels=channels,
                    options=StageOptions(seed=self.seed, transports=self.reads, setup=setup),
                )
            )
            for channel in stage.agent.channels.values():
                channel.wake_orders = _Deaf()
            yield lambda: self._run(stage)

    async def _run(self, stage: Stage) -> None:
        """What `Stage.run` does, with channels that are polled one after the other."""
        leases = Leases(stage.agent, "lab")

        async def run_one(channel: OpenChannel, begins: timedelta) -> None:
            await self.clock.sleep(begins.total_seconds())
            await run_channel(stage.agent, channel, leases)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leases.keep(), name="leases")
            tasks.create_task(schedule_of(stage.agent, "lab", leases).keep(), name="schedule")
            for turn, channel in enumerate(stage.agent.channels.values()):
                tasks.create_task(run_one(channel, self.terms.apart * turn), name=channel.name)

    def _rules(self) -> tuple[Rule, ...]:
        if not self.strategy.last_units:
            return ()
        last = LastUnits(self.terms.last_units, (self.terms.preferred,))
        return (Rule("last", RuleScope(), RuleValues(last_units=last), "lab"),)

    @asynccontextmanager
    async def _peer(self) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
        terms, strategy = self.terms, self.strategy
        open_offers(self.sites, self.wares)
        showing = Showing(
            wares=self.wares,
            buffer=terms.buffer if strategy.buffered else 0,
            last_units=terms.last_units if strategy.last_units else 0,
            preferred=terms.preferred,
        )
        async with AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(self._plain_channel(name)) for name in self.sites]
            seller = PlainSeller(self.wares, channels, self.clock, shows=showing)
            yield lambda: seller.run(terms.poll, terms.tick, apart=terms.apart, after=_RIGHT_AFTER)

    @asynccontextmanager
    async def _plain_channel(self, name: str) -> AsyncIterator[PlainChannel]:
        site = self.sites[name]
        connector, settings = site.connector, settings_of(site)
        resources = unused(
            name, connector.budgets(settings), self.clock, seed=str(self.seed), transport=self.reads[name]
        )
        listings = {one.listing: one for one in self.wares.listings if one.marketplace == name}
        sent = dict.fromkeys(listings, self.terms.units)
        async with connector.open(settings, resources) as channel:
            by_difference = self.strategy.way == "delta"
            yield PlainChannel(
                name=name,
                channel=ByDifference(channel, site.marketplace, sent) if by_difference else channel,
                capabilities=connector.capabilities(settings),
                listings=listings,
                sent=sent,
                due=set(listings),
            )


async def play(strategy: Strategy, stories: Sequence[int], terms: Terms, seed: int) -> list[Outcome]:
    """These stories in one world, on a virtual clock (see `run_virtual`). The same arguments give the same outcomes."""
    clock = LabClock()
    sites = {name: open_site(name, strategy.rules(terms.rules), clock, seed=seed) for name in terms.shares}
    skus = [sku_of(story) for story in stories]
    world = _World(strategy=strategy, terms=terms, skus=skus, sites=sites, clock=clock, seed=seed)
    async with world.open_seller() as run:
        world.watch()
        orders = [order for story in stories for order in buyers_of(story, terms, clock.now(), seed)]
        orders.sort(key=lambda order: (order.placed_at, order.order_id))
        markets = {name: site.marketplace for name, site in sites.items()}
        running = asyncio.create_task(run(), name=strategy.name)
        buying = asyncio.create_task(send_buyers(orders, markets, clock), name="buyers")
        try:
            ends = await _until_over(world, clock, running)
        finally:
            for task in (running, buying):
                task.cancel()
            await asyncio.wait([running, buying])
    return [
        Outcome(
            oversold=referee.oversold_units,
            unsold=sum(referee.unsold.values()),
            turned_away=referee.turned_away_while_left,
            key_reads=ends[sku][1],
            minutes=ends[sku][0],
        )
        for sku, referee in world.referees.items()
    ]


async def _until_over(world: _World, clock: Clock, running: asyncio.Task[None]) -> dict[str, tuple[int, int]]:
    """Waits until every story is over; returns for each how many minutes it took and how many numbers were read.

    What ends the seller meanwhile is raised.
    """
    terms, began = world.terms, clock.now()
    quiet_since: dict[str, datetime] = {}
    ends: dict[str, tuple[int, int]] = {}
    while len(ends) < len(world.skus):
        # A little beside the ticks, so that no look falls into the middle of one.
        passed = (clock.now() - began) // terms.tick
        await clock.sleep((began + (passed + 1.25) * terms.tick - clock.now()).total_seconds())
        if running.done():
            running.result()
        now = clock.now()
        for sku in world.skus:
            if sku in ends:
                continue
            if _may_sell(world, sku):
                quiet_since.pop(sku, None)
            since = quiet_since.setdefault(sku, now)
            if now - since >= terms.poll + _QUIET or now - began >= terms.lasts:
                reads = sum(world.reads[name].read[f"{name}-{sku}"] for name in world.sites)
                ends[sku] = (round((now - began).total_seconds() / 60), reads)
    return ends


def _may_sell(world: _World, sku: str) -> bool:
    """Whether units are left, or a marketplace shows some."""
    if world.referees[sku].left[sku] > 0:
        return True
    return any(site.marketplace.number(NumberKey(f"{name}-{sku}")) > 0 for name, site in world.sites.items())
