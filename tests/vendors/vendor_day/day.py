"""The day of the demo on four channels at once: real HTTP on loopback, simulated time, faults, human slips.

The truth is the test servers' own: what they sold, what they show, which calls were above a budget. Our
database is asked only for which orders it has, and for what it booked while one channel was down.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import Connection, func, select

from channelsync.domain.demand import DemandRate
from channelsync.lab.baskets import DEFAULT_DAY, load_day
from channelsync.lab.buyers import send_buyers
from channelsync.lab.replay_day import BEFORE, POLL, TICK, day_begins, wares_of
from channelsync.lab.stage import LOCATION, Stage, StageOptions, open_stage
from channelsync.lab.trading_day import TradingDay, plan_trading_day
from channelsync.lab.virtual_time import InFlightTransport, LabClock, loopback_server, run_virtual
from channelsync.sdk.channel import Capabilities
from channelsync.store import audits
from channelsync.store.database import Database, open_database
from channelsync.store.tables import metadata
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.verify import verify
from vendor_day.buyers import buyers_in
from vendor_day.counting import Counts, Tick
from vendor_day.naming import in_words_of
from vendor_day.stalls import VendorStall, open_stalls
from vendor_day.trouble import Window, outage_of, trouble_of
from vendor_day.watching import Watch
from vendor_day.wrong import Wrong, drift

SETTLES_WITHIN = timedelta(hours=8)
"""After the last event; whatever is not right then, is drift."""

_LOOK_EVERY = timedelta(minutes=10)
_SWEEP = timedelta(hours=12)
_PRIOR = DemandRate(0.03)
"""How fast an item of such an assortment sells before it was watched."""

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of an unguessable name is made in it
_WHERE = _MEMORY if _MEMORY.is_dir() else None

_ENTRY = metadata.tables["ledger_entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOptions:
    """What is played. contracts: the folder of the vendors' contracts. scale: 1 is the whole day."""

    contracts: Path
    day: date = DEFAULT_DAY
    seed: int = 1
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What the day came to at one channel.

    units: of the items that its sales took. missing: its orders that we do not have. faults: calls that met one.
    ticks: those that wrote. over, complaints: see `VendorStall`.
    stood_wrong: the longest that one of its numbers did, see `Watch`.
    took_meanwhile, wrote_meanwhile: entries of its orders, and numbers written to it, while `DOWN` was down.
    """

    orders: int
    units: int
    oversold: int
    missing: tuple[str, ...]
    drift: tuple[Wrong, ...]
    calls: Mapping[str, int]
    over: tuple[object, ...]
    faults: int
    ticks: tuple[Tick, ...]
    complaints: tuple[object, ...]
    stood_wrong: timedelta
    took_meanwhile: int
    wrote_meanwhile: int

    @property
    def writes(self) -> int:
        """Calls that wrote."""
        return sum(tick.calls for tick in self.ticks)

    @property
    def fewest(self) -> int:
        """The sum over ticks of ceil(due keys / batch size)."""
        return sum(tick.fewest for tick in self.ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The day on all of them. buyers: where our database names one, see `buyers_in`."""

    channels: Mapping[str, Channel]
    listings: int
    settled_after: timedelta
    ledger_problems: int
    ledger_entries: int
    buyers: tuple[str, ...]


def play_day(options: DayOptions) -> Played:
    """Plays it in simulated time. The same options give the same buyers, faults and slips."""
    return run_virtual(_play(options), start=day_begins(options.day) - BEFORE)


async def _play(options: DayOptions) -> Played:
    clock = LabClock()
    stalls = open_stalls(clock, seed=options.seed, contracts=options.contracts)
    drawn = plan_trading_day(load_day(options.day), seed=options.seed, scale=options.scale, marketplaces=list(stalls))
    plan = in_words_of(stalls, drawn)
    for stall in stalls.values():
        stall.suffer(trouble_of(plan, options.day, stall, seed=options.seed))
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(_open(options, plan, stalls, clock))
        counts = Counts()
        stack.enter_context(counts.of_stage(stage, stalls))
        watch = Watch(lambda: drift(stage), _typed(plan, stalls))
        watching = asyncio.create_task(watch.run(clock), name="watch")
        running = asyncio.create_task(stage.run(), name="agent")
        try:
            await _unless_ended(asyncio.create_task(_happen(plan, stalls, clock, options.seed)), running)
            ended = clock.now()
            while drift(stage) and clock.now() - ended < SETTLES_WITHIN:
                await _unless_ended(asyncio.create_task(clock.sleep(_LOOK_EVERY.total_seconds())), running)
        finally:
            for task in (watching, running):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        counted = _Counted(counts, watch.longest, outage_of(plan), clock.now() - ended)
        return await _judged(stage, stalls, counted)


@asynccontextmanager
async def _open(
    options: DayOptions, plan: TradingDay, stalls: Mapping[str, VendorStall], clock: LabClock
) -> AsyncIterator[Stage]:
    """The seller with all that it offers, at four servers on loopback."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="channelsync-day-", dir=_WHERE))
        database = await stack.enter_async_context(open_database(f"sqlite:///{folder}/day.db", inline=True))
        await database.transact(metadata.create_all)
        addresses = {name: await stack.enter_async_context(loopback_server(one.app)) for name, one in stalls.items()}
        chosen = StageOptions(
            seed=options.seed,
            transports={name: InFlightTransport(httpx.AsyncHTTPTransport()) for name in stalls},
            addresses=addresses,
            setup=Setup(channels={}, locations=(LOCATION,), prior_demand=_PRIOR),
            pull=False,
        )
        yield await stack.enter_async_context(
            open_stage(
                database=database,
                clock=clock,
                sites=stalls,
                wares=wares_of(plan),
                channels={name: _setup(stall) for name, stall in stalls.items()},
                options=chosen,
            )
        )


def _setup(stall: VendorStall) -> ChannelSetup:
    return ChannelSetup(
        name=stall.name,
        capabilities=Capabilities(),
        locations=(LOCATION,),
        remotes=dict.fromkeys(stall.remotes, LOCATION),
        poll=POLL,
        tick=TICK,
        sweep=_SWEEP,
        hot_reads=False,  # thousands of items that sell once a day would all be hot
    )


async def _happen(plan: TradingDay, stalls: Mapping[str, VendorStall], clock: LabClock, seed: int) -> None:
    """Buyers, what becomes of their orders, and human hands. Returns after the last."""
    async with asyncio.TaskGroup() as tasks:
        for name, stall in stalls.items():
            orders = [order for order in plan.orders if order.marketplace == name]
            market = {name: stall.marketplace}
            tasks.create_task(send_buyers(orders, market, clock, fates=stall.fates, seed=seed))
            tasks.create_task(stall.faults.do_deeds(stall.marketplace, stall.tokens, clock))


async def _unless_ended(work: asyncio.Task[None], running: asyncio.Task[None]) -> None:
    """Waits for the work; what ends the agent meanwhile is raised instead of waited out."""
    await asyncio.wait([work, running], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        work.cancel()
        await asyncio.wait([work])
        running.result()
    await work


def _typed(plan: TradingDay, stalls: Mapping[str, VendorStall]) -> set[tuple[str, str]]:
    """The listings whose numbers people type over, with their channel."""
    keys = {(name, deed.key) for name, stall in stalls.items() for deed in stall.faults.deeds if deed.key is not None}
    return {
        (one.marketplace, one.listing_id)
        for one in plan.listings
        if (one.marketplace, stalls[one.marketplace].names.key(one.listing_id)) in keys
    }


@dataclass(frozen=True, slots=True)
class _Counted:
    """What was counted while the day went on."""

    counts: Counts
    longest: Mapping[str, timedelta]
    down: Window
    settled: timedelta


async def _judged(stage: Stage, stalls: Mapping[str, VendorStall], counted: _Counted) -> Played:
    database, counts, down = stage.agent.database, counted.counts, counted.down
    proof = await database.query(verify, snapshot=True)
    wrong = drift(stage)
    channels = {}
    for name, stall in stalls.items():
        sold = [entry for entry in stall.marketplace.log if entry.what == "sold"]
        ticks = tuple(tick for tick in counts.ticks if tick.channel == name)
        channels[name] = Channel(
            orders=len(stall.marketplace.orders),
            units=sum(entry.units * sum(each for _, each in entry.takes) for entry in sold),
            oversold=counts.oversold[name],
            missing=await _missing(database, stall),
            drift=wrong.get(name, ()),
            calls=dict(stall.calls),
            over=tuple(stall.over()),
            faults=len(stall.faults.log),
            ticks=ticks,
            complaints=tuple(stall.complaints()),
            stood_wrong=counted.longest.get(name, timedelta(0)),
            took_meanwhile=await database.query(lambda c, name=name: _entries(c, name, down.starts, down.ends)),  # type: ignore[misc]
            wrote_meanwhile=sum(tick.numbers for tick in ticks if tick.began in down),
        )
    return Played(
        channels=channels,
        listings=len(stage.wares.listings),
        settled_after=counted.settled,
        ledger_problems=len(proof.problems) + proof.not_shown,
        ledger_entries=proof.entries,
        buyers=await database.query(buyers_in),
    )


async def _missing(database: Database, stall: VendorStall) -> tuple[str, ...]:
    theirs = set(stall.marketplace.orders)
    known = await database.query(lambda c: audits.known_orders(c, [stall.name], theirs))
    return tuple(sorted(theirs - known))


def _entries(connection: Connection, channel: str, since: datetime, until: datetime) -> int:
    """How many entries of its orders were recorded in that time."""
    during = _ENTRY.c.recorded_at.between(since, until)
    statement = select(func.count()).select_from(_ENTRY).where(_ENTRY.c.channel == channel, during)
    return connection.execute(statement).scalar_one()
