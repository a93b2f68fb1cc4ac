"""The demo: one trading day on three simulated marketplaces, kept right by the real agent; and the same day plainly.

Both run as whole worlds of their own, at the same time, in two processes: real HTTP servers on loopback, a clock that
stands still while a request or the database is at work, the same buyers, faults and human slips. What is counted
comes from the marketplaces' own logs, never from our database.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from channelsync.domain.demand import DemandRate
from channelsync.lab.baskets import DEFAULT_DAY, load_day
from channelsync.lab.fewest_writes import MarketLog, fewest_writes
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import Topic
from channelsync.lab.plain_set import PlainChannel, PlainSeller
from channelsync.lab.replay_day import BEFORE, POLL, TICK, OpenDay, day_begins, open_day
from channelsync.lab.stage import (
    LOCATION,
    Stage,
    StageOptions,
    Wares,
    drift_left,
    open_offers,
    open_stage,
)
from channelsync.lab.stall import settings_of
from channelsync.lab.trading_day import MARKETPLACES, TradingDay, plan_trading_day
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.lab.webhook_hints import webhooks
from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.resources import unused
from channelsync.store import agenda
from channelsync.store.database import Database, open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.migrations import upgrade
from channelsync.store.positions_view import PositionsWanted, find_positions
from channelsync.sync.audit import audit_day
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.targets import compute_targets
from channelsync.sync.verify import verify

Engine = Literal["sqlite", "postgresql"]
Told = Callable[[float, str], None]
"""Progress: the part of the day that is over (0 to 1), and what happens now."""

SETTLES_WITHIN = timedelta(hours=6)
"""After the last event; whatever is not right then, is drift."""

_LOOK_EVERY = timedelta(minutes=10)
_SWEEP = timedelta(hours=12)
"""Every number is read at least so often, which is what finds the slips of human hands."""

_THROWN_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""The server's files end with the demo: nothing in them has to outlive the machine."""

_WEBHOOKS = WebhookPlan(delay=(1.0, 20.0), lost=0.1, doubled=0.1, late_share=0.1)
_TOLD_OF: tuple[Topic, ...] = ("order.created", "order.updated", "order.cancelled")

_PRIOR = DemandRate(0.03)
"""How fast an item of such an assortment sells before it was watched: most sell once a day or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What is replayed. day: of the baskets' data. scale: 1 is the whole day. engine: our database."""

    day: date = DEFAULT_DAY
    seed: int = 1
    scale: float = 1.0
    engine: Engine = "sqlite"

    def plan(self) -> TradingDay:
        """The plan of the day. Raises what `load_day` and `plan_trading_day` raise."""
        return plan_trading_day(load_day(self.day), seed=self.seed, scale=self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a day came to, by the marketplaces' own logs. units: of the items that a sale really took.

    writes: pushed numbers that came into force; fewest: see `fewest_writes`.
    missed_while_left: units that buyers wanted and were there, but were not shown.
    """

    orders: int
    lines: int
    sold: int
    shipped: int
    cancelled: int
    returned: int
    oversold: int
    unsold: int
    missed_while_left: int
    violations: int
    faults: int
    writes: int
    fewest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The day kept by the real agent. missing: orders that we do not have, by marketplace, of how many."""

    counted: Counted
    drift: int
    settled_after: timedelta
    missing: Mapping[str, tuple[int, int]]
    ledger_problems: int
    ledger_entries: int
    reserved_units: int


def run_demo(options: DemoOptions, told: Told) -> tuple[Ours, Counted]:
    """Both days at once: ours here, the plain one in a process of its own. Raises what `DemoOptions.plan` raises."""
    plan = options.plan()
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, initializer=_be_quiet) as beside:
        plain = beside.submit(run_plain, options, plan)
        ours = run_ours(options, told, plan)
        told(1.0, "the same day, plainly")
        return ours, plain.result()


def _be_quiet() -> None:
    """In the process beside: standard output belongs to the summary."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def run_ours(options: DemoOptions, told: Told, plan: TradingDay | None = None) -> Ours:
    """The day with the real loops, on the chosen database in a temporary folder. plan: None for that of the options."""
    return run_virtual(_ours(options, plan or options.plan(), told), start=day_begins(options.day) - BEFORE)


def run_plain(options: DemoOptions, plan: TradingDay | None = None) -> Counted:
    """The day with the plain seller."""
    return run_virtual(_plain(options, plan or options.plan()), start=day_begins(options.day) - BEFORE)


async def _ours(options: DemoOptions, plan: TradingDay, told: Told) -> Ours:
    clock = LabClock()
    told(0.0, "opening three marketplaces")
    channels = {name: _channel(name) for name in MARKETPLACES}
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(options.engine))
        day = await stack.enter_async_context(open_day(plan, options.day, clock, seed=options.seed))
        chosen = StageOptions(
            seed=options.seed,
            transports=day.transports,
            addresses=day.addresses,
            setup=Setup(channels={}, locations=(LOCATION,), prior_demand=_PRIOR),
            pull=False,
        )
        stage = await stack.enter_async_context(
            open_stage(
                database=database, clock=clock, sites=day.sites, wares=day.wares, channels=channels, options=chosen
            )
        )
        running = asyncio.create_task(_running(stage, day, clock), name="agent")
        watching = asyncio.create_task(_tell(plan, clock, stage.referee, told), name="progress")
        try:
            await _unless_ended(day.happen(clock), running)
            watching.cancel()
            drift, after = await _settle(stage, clock, running, told)
        finally:
            await _ended(running, watching)
        told(1.0, "auditing and verifying")
        return await _judged(stage, day, drift, after)


async def _running(stage: Stage, day: OpenDay, clock: LabClock) -> None:
    """The agent, which marketplaces tell of orders; some of what they tell is lost, doubled or late."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.run())
        for name, site in day.sites.items():
            rng = random.Random(f"{day.seed} {name} webhooks")
            tasks.create_task(webhooks(site, clock, lambda: stage.agent, _WEBHOOKS, rng, _TOLD_OF).run())


def _channel(name: str) -> ChannelSetup:
    """A channel of ours. Hot reads are off: thousands of items that sell once a day would all be hot, and reading
    them every minute changes little; what hot reads do for scarce items is measured by the strategies."""
    return ChannelSetup(
        name=name,
        capabilities=Capabilities(),
        locations=(LOCATION,),
        poll=POLL,
        tick=TICK,
        sweep=_SWEEP,
        hot_reads=False,
    )


async def _judged(stage: Stage, day: OpenDay, drift: int, after: timedelta) -> Ours:
    agent = stage.agent
    first, last = day.plan.orders[0].placed_at.date(), day.plan.ends_at().date()
    missing: dict[str, tuple[int, int]] = {}
    for name, channel in agent.channels.items():
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        audits = [await audit_day(agent, channel, one) for one in days]
        known = len(day.sites[name].marketplace.orders)
        missing[name] = (sum(len(one.missing) + one.fetched for one in audits), known)
    proof = await agent.database.query(verify, snapshot=True)
    reserved = await agent.database.query(
        lambda c: sum(position.reserved for position in find_positions(c, PositionsWanted()))
    )
    return Ours(
        counted=counted(day.sites, stage.referee, day.wares),
        drift=drift,
        settled_after=after,
        missing=missing,
        ledger_problems=len(proof.problems) + proof.not_shown,
        ledger_entries=proof.entries,
        reserved_units=reserved,
    )


async def _plain(options: DemoOptions, plan: TradingDay) -> Counted:
    clock = LabClock()
    async with AsyncExitStack() as stack:
        day = await stack.enter_async_context(open_day(plan, options.day, clock, seed=options.seed))
        referee = open_offers(day.sites, day.wares)
        channels = []
        for name, site in day.sites.items():
            connector, settings = site.connector, settings_of(site, day.addresses[name])
            resources = unused(
                name, connector.budgets(settings), clock, seed=str(options.seed), transport=day.transports[name]
            )
            listings = {one.listing: one for one in day.wares.listings if one.marketplace == name}
            channels.append(
                PlainChannel(
                    name=name,
                    channel=await stack.enter_async_context(connector.open(settings, resources)),
                    capabilities=connector.capabilities(settings),
                    listings=listings,
                    sent={key: day.wares.shown(one, day.wares.opening) for key, one in listings.items()},
                )
            )
        running = asyncio.create_task(PlainSeller(day.wares, channels, clock).run(POLL, TICK), name="plain")
        try:
            await _unless_ended(day.happen(clock), running)
        finally:
            await _ended(running)
        return counted(day.sites, referee, day.wares)


async def _tell(plan: TradingDay, clock: LabClock, referee: Referee, told: Told) -> None:
    """Tells how far the day is, every five simulated minutes."""
    begins, ends = clock.now(), plan.ends_at()
    while True:
        part = (clock.now() - begins) / (ends - begins)
        told(min(1.0, part), f"{clock.now():%H:%M}  {referee.sold.total():,} units sold")
        await clock.sleep(300)


async def _settle(stage: Stage, clock: LabClock, running: asyncio.Task[None], told: Told) -> tuple[int, timedelta]:
    """Lets the agent go on until every number is right; returns what is not, and how long it took."""
    began = clock.now()
    while True:
        await _unless_ended(clock.sleep(_LOOK_EVERY.total_seconds()), running)
        left = await drift(stage)
        passed = clock.now() - began
        told(1.0, f"bringing the last {left} numbers right" if left else "all numbers are right")
        if not left or passed >= SETTLES_WITHIN:
            return left, passed


async def drift(stage: Stage) -> int:
    """How many numbers at the marketplaces are not what they should be now."""
    agent = stage.agent

    def targets(connection: Connection) -> list[tuple[str, str, int]]:
        every = agenda.chosen_keys(connection, list(agent.channels))
        found = compute_targets(connection, agent.setup, agent.measures, every)
        return [(target.key.channel, target.key.key, target.units) for target in found.values()]

    return len(drift_left(stage, await agent.database.query(targets)))


def counted(sites: Mapping[str, Site], referee: Referee, wares: Wares) -> Counted:
    """What the marketplaces' own logs say."""
    units: Counter[str] = Counter()
    for site in sites.values():
        for entry in site.marketplace.log:
            units[entry.what] += entry.units * sum(each for _, each in entry.takes)
    told = {name: MarketLog(site.marketplace.log, site.marketplace.changes) for name, site in sites.items()}
    return Counted(
        orders=sum(len(site.marketplace.orders) for site in sites.values()),
        lines=sum(len(order.lines) for site in sites.values() for order in site.marketplace.orders.values()),
        sold=units["sold"],
        shipped=units["shipped"],
        cancelled=units["cancelled"],
        returned=units["returned"] + units["quarantined"],
        oversold=referee.oversold_units,
        unsold=sum(referee.unsold.values()),
        missed_while_left=referee.missed_while_left,
        violations=sum(len(site.api.meter.violations) for site in sites.values()),
        faults=sum(len(site.api.faults.log) for site in sites.values()),
        writes=sum(change.why == "write" for one in told.values() for change in one.changes),
        fewest=fewest_writes(wares, told, TICK),
    )


@asynccontextmanager
async def _database(engine: Engine) -> AsyncIterator[Database]:
    """A database of its own, with today's tables, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="channelsync-demo-", ignore_cleanup_errors=True) as folder:
        if engine == "sqlite":
            async with open_database(f"sqlite:///{folder}/demo.db", inline=True) as database:
                await upgrade(database)
                yield database
            return
        with EmbeddedPostgres(_reachable(folder) / "data", settings=_THROWN_AWAY) as server:
            server.create_database("demo")
            async with open_database(server.url("demo")) as database:
                await upgrade(database)
                yield database


def _reachable(folder: str) -> Path:
    """The folder, which others may enter but not list: started by root, the server is another user."""
    path = Path(folder)
    path.chmod(0o711)
    return path


async def _unless_ended(work: Coroutine[Any, Any, None], running: asyncio.Task[None]) -> None:
    """Waits for the work; what ends the agent meanwhile is raised instead of waited out."""
    task = asyncio.create_task(work)
    await asyncio.wait([task, running], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        task.cancel()
        await asyncio.wait([task])
        running.result()
    await task


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
