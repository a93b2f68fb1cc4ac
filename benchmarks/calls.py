"""Calls: how many a day of real baskets takes, on three simulated marketplaces, with the loops of the daemon.

The lab's day (`lab.replay_day`): real HTTP on loopback, simulated time, faults and human slips included. Calls are
counted where they leave; which keys were due is what every publishing tick says itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from pathlib import Path
from unittest.mock import patch

import httpx
import orjson
from sqlalchemy import Connection, select, text

from benchmarks.measuring import Effort, folder
from channelsync.domain.demand import DemandRate
from channelsync.lab.baskets import DEFAULT_DAY, load_day
from channelsync.lab.figures import Figure, number
from channelsync.lab.replay_day import BEFORE, POLL, TICK, OpenDay, day_begins, open_day
from channelsync.lab.stage import LOCATION, Stage, StageOptions, open_stage
from channelsync.lab.stall import settings_of
from channelsync.lab.trading_day import MARKETPLACES, TradingDay, plan_trading_day
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.channel import Capabilities
from channelsync.store.database import open_database
from channelsync.store.leases import Lease
from channelsync.store.tables import metadata
from channelsync.sync import loops
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.publish import publish_tick
from channelsync.sync.read_numbers import Published
from channelsync.sync.setup import ChannelSetup, Setup

_ENTRY = metadata.tables["ledger_entry"]

SEED = 1
SWEEP = timedelta(hours=12)
PRIOR = DemandRate(0.03)
"""How fast an item of such an assortment sells before it was watched."""


@dataclass(slots=True)
class Wire(httpx.AsyncBaseTransport):
    """The way to a marketplace. written, read: the keys in each of the calls that left."""

    inner: httpx.AsyncBaseTransport
    written: list[list[str]] = field(default_factory=list)
    read: list[list[str]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Counts the request and sends it."""
        match request.method, request.url.path:
            case "POST", "/v1/numbers":
                self.written.append([row["key"] for row in orjson.loads(request.content)["updates"]])
            case "POST", "/v1/numbers/read":
                self.read.append([row["key"] for row in orjson.loads(request.content)["keys"]])
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.inner.aclose()


@dataclass(frozen=True, slots=True)
class Tick:
    """One publishing tick in which calls left.

    size: of the channel's batches of writes. due: the keys that it found to be written, or wrote: one that became due
    only by what it read, or whose call failed, is among the latter. numbers: that it wrote, again and again or not.
    """

    size: int
    due: int
    numbers: int


@dataclass(slots=True)
class Day:
    """What left in a day.

    changes: how often a number should have become another one, because units moved on account of another channel.
    coalesced: of these, how many came in the same tick as another change of the same number.
    allowed: by channel, the read calls that its share of the budget allows over the day.
    """

    wires: Mapping[str, Wire]
    ticks: list[Tick] = field(default_factory=list)
    changes: int = 0
    coalesced: int = 0
    allowed: dict[str, float] = field(default_factory=dict)

    def tightest(self) -> str:
        """The channel that used the largest part of the reads that it was allowed."""
        return max(self.allowed, key=lambda name: len(self.wires[name].read) / self.allowed[name])


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Writes, reads, changes that needed no write of their own."""
    plan = plan_trading_day(load_day(DEFAULT_DAY), seed=SEED, scale=effort.scale)
    with folder() as there:
        day = await asyncio.to_thread(replay, plan, there / "day.db")
    written = [len(keys) for wire in day.wires.values() for keys in wire.written]
    read = [len(keys) for wire in day.wires.values() for keys in wire.read]
    due = sum(ceil(tick.due / tick.size) for tick in day.ticks)
    full = sum(ceil(tick.numbers / tick.size) for tick in day.ticks)
    tightest = day.tightest()
    used, allowed = len(day.wires[tightest].read), day.allowed[tightest]
    yield Figure(
        name="calls_writes",
        value=len(written),
        unit=f"calls for {number(sum(written))} numbers of {number(len(plan.orders))} orders",
        against=f"due keys of every tick in full batches: {number(due)}",
        ratio=round(len(written) / max(1, due), 3),
        aim="<= 1.05",
    )
    yield Figure(
        name="calls_batches",
        value=len(written),
        unit="calls",
        against=f"what every tick wrote in full batches: {number(full)}",
        ratio=round(len(written) / max(1, full), 3),
    )
    yield Figure(
        name="calls_reads",
        value=len(read),
        unit=f"calls for {number(sum(read))} numbers",
        against=f"calls that the read share of {tightest} allows, which used {number(used)}: {number(round(allowed))}",
        ratio=round(used / allowed, 3),
        aim="<= 1",
    )
    yield Figure(
        name="calls_coalesced",
        value=day.coalesced,
        unit="changes that went out with another one of the same number",
        against=f"changes of what a number should be: {number(day.changes)}",
        ratio=round(day.coalesced / max(1, day.changes), 3),
    )


def replay(plan: TradingDay, path: Path) -> Day:
    """The day in simulated time."""
    return run_virtual(_replay(plan, path), start=day_begins(DEFAULT_DAY) - BEFORE)


async def _replay(plan: TradingDay, path: Path) -> Day:
    clock = LabClock()
    began = clock.now()
    channels = {
        name: ChannelSetup(
            name=name,
            capabilities=Capabilities(),
            locations=(LOCATION,),
            poll=POLL,
            tick=TICK,
            sweep=SWEEP,
            hot_reads=False,  # thousands of items that sell once a day would all be hot
        )
        for name in MARKETPLACES
    }
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(f"sqlite:///{path}", inline=True))
        await database.transact(metadata.create_all)
        opened = await stack.enter_async_context(open_day(plan, DEFAULT_DAY, clock, seed=SEED))
        day = Day({name: Wire(transport) for name, transport in opened.transports.items()})
        options = StageOptions(
            seed=SEED,
            transports=day.wires,
            addresses=opened.addresses,
            setup=Setup(channels={}, locations=(LOCATION,), prior_demand=PRIOR),
            pull=False,
        )
        stage = await stack.enter_async_context(
            open_stage(
                database=database,
                clock=clock,
                sites=opened.sites,
                wares=opened.wares,
                channels=channels,
                options=options,
            )
        )
        with _counted(day):
            running = asyncio.create_task(stage.run(), name="agent")
            await opened.happen(clock)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        day.changes, day.coalesced = await database.query(lambda c: _changes(c, stage.agent.setup))
        day.allowed = _allowed(stage, opened, clock.now() - began)
    return day


@contextmanager
def _counted(day: Day) -> Iterator[None]:
    """Inside, every tick of the daemon's loops in which calls left is kept."""

    async def tick(agent: Agent, channel: OpenChannel, lease: Lease | None) -> Published:
        written = day.wires[channel.name].written
        before = len(written)
        done = await publish_tick(agent, channel, lease)
        keys = [key for one in written[before:] for key in one]
        if keys:
            due = max(done.due_keys, len(set(keys)))
            day.ticks.append(Tick(channel.setup.capabilities.updates_per_push, due, len(keys)))
        return done

    with patch.object(loops, "publish_tick", tick):
        yield


def _changes(connection: Connection, setup: Setup) -> tuple[int, int]:
    """Every entry that changed what is available, once for each key of another channel that shows its item.

    The channel of the order has changed its own number by itself. Second: those that share their tick with another.
    """
    keys: dict[str, list[tuple[int, str]]] = {}
    for key, item, channel in connection.execute(text("SELECT id, item, channel FROM quantity_key")):
        keys.setdefault(item, []).append((key, channel))
    entries = connection.execute(
        select(_ENTRY.c.item, _ENTRY.c.channel, _ENTRY.c.recorded_at).where(
            _ENTRY.c.on_hand - _ENTRY.c.reserved - _ENTRY.c.withheld != 0, _ENTRY.c.reason != "opening units"
        )
    )
    changed = Counter(
        (key, recorded_at.timestamp() // TICK.total_seconds())
        for item, channel, recorded_at in entries
        for name in setup.shown_by(item)
        for key, its_channel in keys.get(name, ())
        if its_channel != channel
    )
    return changed.total(), changed.total() - len(changed)


def _allowed(stage: Stage, opened: OpenDay, lasted: timedelta) -> dict[str, float]:
    """Read calls that the read shares allow: of what the buckets held at first, and of what ran in since."""
    allowed = {}
    for name, channel in stage.agent.channels.items():
        cost = channel.setup.capabilities.read_cost
        site = opened.sites[name]
        budgets = site.connector.budgets(settings_of(site, opened.addresses[name]))
        budget = next(budget for budget in budgets if cost.bucket in (None, budget.name))
        units = budget.capacity + budget.per_second * lasted.total_seconds()
        allowed[name] = channel.setup.read_share * units / cost.cost
    return allowed
