"""Calls: how many a day of real baskets takes, on three simulated marketplaces, with the loops of the daemon.

The lab's day (`lab.replay_day`): real HTTP on loopback, simulated time, faults and human slips included. What every
publishing tick did is what it says itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import Connection, select, text

from benchmarks.measuring import Effort, folder
from channelsync.domain.demand import DemandRate
from channelsync.lab.baskets import DEFAULT_DAY, load_day
from channelsync.lab.figures import Figure, number
from channelsync.lab.replay_day import BEFORE, POLL, TICK, OpenDay, day_begins, open_day
from channelsync.lab.stage import CONNECTOR, LOCATION, Stage, StageOptions, open_stage, settings_of
from channelsync.lab.trading_day import MARKETPLACES, TradingDay, plan_trading_day
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.discovery import installed
from channelsync.store.database import open_database
from channelsync.store.leases import Lease
from channelsync.store.tables import metadata
from channelsync.sync import loops
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.publish import Published, publish_tick
from channelsync.sync.setup import ChannelSetup, Setup

_ENTRY = metadata.tables["ledger_entry"]

SEED = 1
SWEEP = timedelta(hours=12)
PRIOR = DemandRate(0.03)
"""How fast an item of such an assortment sells before it was watched."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One publishing tick. size: of the channel's batches of writes. done: what the tick says it did."""

    channel: str
    size: int
    done: Published


@dataclass(slots=True)
class Day:
    """What the ticks of a day did.

    changes: how often a number should have become another one, because units moved on account of another channel.
    coalesced: of these, how many came in the same tick as another change of the same number.
    allowed: by channel, the read calls that its share of the budget allows over the day.
    """

    ticks: list[Tick] = field(default_factory=list)
    changes: int = 0
    coalesced: int = 0
    allowed: dict[str, float] = field(default_factory=dict)

    def sum(self, name: str, channel: str | None = None) -> int:
        """A count, over all ticks, or over those of one channel."""
        return sum(getattr(tick.done, name) for tick in self.ticks if channel in (None, tick.channel))

    def calls_for(self, name: str) -> int:
        """The calls that so many keys take, tick by tick, when every batch is full."""
        return sum(ceil(getattr(tick.done, name) / tick.size) for tick in self.ticks)

    def tightest(self) -> str:
        """The channel that used the largest part of the reads that it was allowed."""
        return max(self.allowed, key=lambda name: self.sum("read_calls", name) / self.allowed[name])


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Writes, reads, changes that needed no write of their own."""
    plan = plan_trading_day(load_day(DEFAULT_DAY), seed=SEED, scale=effort.scale)
    with folder() as there:
        day = await asyncio.to_thread(replay, plan, there / "day.db")
    writes, tightest = day.sum("write_calls"), day.tightest()
    reads, allowed = day.sum("read_calls", tightest), day.allowed[tightest]
    yield Figure(
        name="calls_writes",
        value=writes,
        unit=f"calls for {number(day.sum('writes'))} numbers of {number(len(plan.orders))} orders",
        against=f"due keys of every tick in full batches: {number(day.calls_for('due_keys'))}",
        ratio=round(writes / max(1, day.calls_for("due_keys")), 3),
        aim="<= 1.05",
    )
    yield Figure(
        name="calls_batches",
        value=writes,
        unit="calls",
        against=f"what every tick wrote in full batches: {number(day.calls_for('writes'))}",
        ratio=round(writes / max(1, day.calls_for("writes")), 3),
    )
    yield Figure(
        name="calls_reads",
        value=day.sum("read_calls"),
        unit=f"calls for {number(day.sum('reads'))} numbers",
        against=f"of the tightest account's read share, {number(round(allowed))} calls, {number(reads)}",
        ratio=round(reads / allowed, 3),
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
    day = Day()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(f"sqlite:///{path}", inline=True))
        await database.transact(metadata.create_all)
        opened = await stack.enter_async_context(open_day(plan, DEFAULT_DAY, clock, seed=SEED))
        options = StageOptions(
            seed=SEED,
            transports=opened.transports,
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
    """Inside, every tick of the daemon's loops is kept."""

    async def tick(agent: Agent, channel: OpenChannel, lease: Lease | None) -> Published:
        done = await publish_tick(agent, channel, lease)
        day.ticks.append(Tick(channel.name, channel.setup.capabilities.updates_per_push, done))
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
    connector = installed().connector(CONNECTOR)
    allowed = {}
    for name, channel in stage.agent.channels.items():
        cost = channel.setup.capabilities.read_cost
        budgets = connector.budgets(settings_of(connector, opened.sites[name], opened.addresses[name]))
        budget = next(budget for budget in budgets if cost.bucket in (None, budget.name))
        units = budget.capacity + budget.per_second * lasted.total_seconds()
        allowed[name] = channel.setup.read_share * units / cost.cost
    return allowed
