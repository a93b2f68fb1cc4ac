"""A full comparison now: what every number shows, what it should be, and why; then publishing until it is so.

The same functions that the daemon runs on its schedule, for chosen numbers and at once. A dry run does the first two
steps on a copy of the database that is thrown away, so it takes orders in and understands reads exactly as the real
thing would, and its plan is the real plan.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.publishing import Decision
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.paging import in_batches
from channelsync.store import agenda, channels, keys, sharing
from channelsync.store.database import Database
from channelsync.store.leases import LeaseLost
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.decide_writes import next_steps
from channelsync.sync.item_names import named, skus_of
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import Measures
from channelsync.sync.publish import SURVEYED_AT_ONCE, publish_keys
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.read_numbers import Published, read_keys, read_wanted
from channelsync.sync.setup import Setup
from channelsync.sync.steps import plain_steps, told_steps
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.targets import Target, compute_targets

State = Literal["right", "on its way", "to do", "waits", "question", "not allowed", "not stated"]
LEFT: frozenset[State] = frozenset({"on its way", "to do", "waits", "question"})
"""What is not done yet. A number that a rule or a switch keeps from being written is not left: it is as wanted.
Nor is one that its channel takes no more writes of for hours, or of which nobody has said how many units there are."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is compared. channels: their names. items: None means all that these channels list."""

    channels: tuple[str, ...]
    items: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One number. shown: as last read, None: never; should: as it should be, None: nobody has said how many
    units there are; both in units a buyer may buy.

    action: the next step, as `Decision` has it. why: why this step, and how the number came about.
    """

    key: int
    channel: str
    listing: str
    remote: str
    sku: str
    shown: int | None
    should: int | None
    state: State
    action: str
    why: str


@dataclass(slots=True)
class Looked:
    """What looking brought. failures: by channel, why it could not be asked; its numbers are those of before."""

    orders: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def chosen_ids(connection: Connection, chosen: Chosen) -> list[int]:
    """The keys that are compared."""
    return agenda.chosen_keys(connection, chosen.channels, chosen.items)


async def look(agent: Agent, chosen: Chosen) -> Looked:
    """Brings all that the comparison needs up to date: listings, numbers, orders. Writes nothing to any channel.

    Without chosen items all listings of the chosen channels are pulled. The numbers of other channels that share a
    position are read as well, for a raise is computed from reads of all of them; then every channel's orders are
    taken in, those that explain what the reads have shown among them.
    """
    looked = Looked(failures=dict(agent.unopened))
    began = agent.clock.now()
    for channel in tuple(agent.channels.values()):
        try:
            await identify(agent, channel)
            if chosen.items is None and channel.name in chosen.channels:
                await pull_listings(agent, channel)
        except ChannelError as error:
            looked.failures[channel.name] = str(error)
    for channel, ids in await _unread(agent, chosen, began):
        if channel.name not in looked.failures:
            try:
                await read_keys(agent, channel, ids, Published())
            except ChannelError as error:
                looked.failures[channel.name] = str(error)
    for channel in tuple(agent.channels.values()):
        if channel.name not in looked.failures:
            taken = await poll_orders(agent, channel)
            looked.orders += taken.booked
            if taken.failed:
                looked.failures[channel.name] = taken.failed
    return looked


async def _unread(agent: Agent, chosen: Chosen, since: datetime) -> list[tuple[OpenChannel, list[int]]]:
    """The chosen keys and those that share positions with them, by open channel, as far as not read since then."""

    def needed(connection: Connection) -> list[keys.KeyRecord]:
        ids = chosen_ids(connection, chosen)
        items = {one.item for one in keys.load_keys(connection, ids).values() if one.item}
        shared = {name for item in items for name in agent.setup.shown_by_parts_of(item)}
        return list(keys.load_keys(connection, {*ids, *sharing.keys_sharing(connection, shared)}).values())

    records = await agent.database.query(needed)
    unread = [one for one in records if one.read_at is None or one.read_at < since]
    return [
        (channel, [one.id for one in unread if one.channel == channel.name])
        for channel in agent.channels.values()
        if any(one.channel == channel.name for one in unread)
    ]


def plan(
    connection: Connection, setup: Setup, measures: Measures, ids: Collection[int], now: datetime
) -> list[Planned]:
    """What each of these keys shows, should show, and what its next step is. Reads only."""
    targets = compute_targets(connection, setup, measures, ids)
    states = channels.channel_states(connection)
    numbers = agenda.key_numbers(connection, sorted(targets))
    skus = skus_of(connection, setup, {target.key.item for target in targets.values() if target.key.item})
    steps = next_steps(connection, setup, targets, states, now)
    rows = [_planned(target, steps[key], setup, numbers[key].shown, skus) for key, target in sorted(targets.items())]
    return sorted(rows, key=lambda row: (row.channel, row.sku, row.listing, row.remote))


def _planned(target: Target, decision: Decision, setup: Setup, shown: int | None, skus: dict[str, str]) -> Planned:
    record = target.key
    state = _state(target, decision)
    steps = "" if state == "not stated" else told_steps(plain_steps(target.offer, target.unsaid))
    timing = setup.channels[record.channel].capabilities.timing
    return Planned(
        key=record.id,
        channel=record.channel,
        listing=record.listing,
        remote=record.remote,
        sku=skus.get(record.item or "", ""),
        shown=shown,
        should=target.should_show(decision, timing),
        state=state,
        action=decision.action,
        why=named(f"{decision.why}; {steps}" if steps else decision.why, skus),
    )


def _state(target: Target, decision: Decision) -> State:
    record = target.key
    if target.unstated and decision.action == "none":
        return "not stated"
    if decision.action == "none":
        return "on its way" if record.state.writes else "right"
    if decision.action != "wait":
        return "to do"
    if record.held:
        return "question"
    return "waits" if record.rise else "not allowed"


async def planned_now(agent: Agent, ids: Collection[int]) -> list[Planned]:
    """`plan` on the agent's database, now."""
    now = agent.clock.now()
    return await agent.database.query(lambda c: plan(c, agent.setup, agent.measures, ids, now))


async def publish_until_settled(
    agent: Agent, leases: Leases, ids: Sequence[int], looked: Looked, within: timedelta
) -> list[Planned]:
    """Reads and writes these keys until each is right, not allowed, or `within` has passed; returns how they stand.

    The caller holds the right to publish. Channels that fail are left alone and noted in `looked`.
    """
    ends = agent.clock.monotonic() + within.total_seconds()
    pause = _FIRST_PAUSE
    # Once for all, the right ones too: that takes them off the agenda, and records what is only observed.
    await _rounds(agent, leases, await planned_now(agent, ids), looked)
    while True:
        rows = await planned_now(agent, ids)
        left = [row for row in rows if row.state in LEFT and row.state != "question"]
        left = [row for row in left if row.channel in agent.channels and row.channel not in looked.failures]
        if not left or agent.clock.monotonic() >= ends:
            return rows
        await agent.clock.sleep(min(pause, max(0.0, ends - agent.clock.monotonic())))
        pause = min(_LONGEST_PAUSE, pause * 2)
        await _rounds(agent, leases, left, looked)


async def _rounds(agent: Agent, leases: Leases, rows: Sequence[Planned], looked: Looked) -> None:
    for channel in tuple(agent.channels.values()):
        here = [row for row in rows if row.channel == channel.name]
        if here and channel.name not in looked.failures:
            await _one_round(agent, channel, leases, here, looked)


async def _one_round(
    agent: Agent, channel: OpenChannel, leases: Leases, rows: Sequence[Planned], looked: Looked
) -> None:
    """One round on one channel: write what can be written, read what is on its way and what a raise waits for."""
    held = leases.held(channel.identity)
    if held is None:
        looked.failures[channel.name] = "another process publishes to its account"
        return
    done = Published()
    try:
        wanted = [row.key for row in rows if row.state != "on its way"]
        for some in in_batches(wanted, SURVEYED_AT_ONCE):
            with leases.writing(channel.identity, held):
                found = await publish_keys(agent, channel, some, held.lease, done)
                if found.reads:  # what was read is looked at again, and recorded where it is only observed
                    await publish_keys(agent, channel, found.reads, held.lease, done)
        await read_keys(agent, channel, [row.key for row in rows if row.state == "on its way"], done)
        for other in agent.channels.values():
            if other.name not in looked.failures:
                await read_wanted(agent, other, done)
    except (ChannelError, LeaseLost) as error:
        looked.failures[channel.name] = str(error)
        return
    if done.ask_orders or any(row.state == "waits" for row in rows):
        taken = await poll_orders(agent, channel)
        looked.orders += taken.booked


def ask_publisher(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Beside a running daemon: its publisher is to read these keys and look at them at once."""
    agenda.ask_for(connection, ids, now)


async def wait_for_publisher(
    database: Database, clock: Clock, setup: Setup, measures: Measures, ids: Sequence[int], within: timedelta
) -> list[Planned]:
    """Waits until the daemon has read each of these keys since now and left nothing to do, or `within` has passed.

    A key that was right once is told as it was then: in a busy shop orders go on moving it, which is the daemon's work.
    """
    asked = clock.now()
    ends = clock.monotonic() + within.total_seconds()
    settled: dict[int, Planned] = {}
    while True:
        now = clock.now()
        rows = await database.query(lambda c, now=now: plan(c, setup, measures, ids, now))  # type: ignore[misc]
        numbers = await database.query(lambda c: agenda.key_numbers(c, ids))
        unseen = {key for key, one in numbers.items() if one.seen_at is None or one.seen_at < asked}
        done = [row for row in rows if row.key not in unseen and (row.state not in LEFT or row.state == "question")]
        settled = {row.key: row for row in done} | settled
        if unseen.union(row.key for row in rows) <= settled.keys() or clock.monotonic() >= ends:
            return [settled.get(row.key, row) for row in rows]
        await clock.sleep(_FIRST_PAUSE)
