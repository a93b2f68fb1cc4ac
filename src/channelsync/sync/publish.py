"""The publisher of one channel: reads what it must, writes what it should, verifies what it wrote.

One tick: read the keys that are hot, wanted or in doubt; survey what is due; read what must be read first; send
lowerings before raises, in full batches. See the publishing rules, sections 3 to 6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from channelsync.sdk.budgets import Lane, in_lane
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, NeedsSeller, NotSent, OutcomeUnknown
from channelsync.sdk.paging import in_batches
from channelsync.sdk.right_to_write import check_may_write
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey
from channelsync.store import channels, key_reads, keys
from channelsync.store.key_writes import UNSEEN
from channelsync.store.leases import Lease
from channelsync.store.sent_writes import NEVER_LEFT
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.beats import WORK_SECONDS, publish_part
from channelsync.sync.decide_writes import Prepared, Survey, prepare, survey
from channelsync.sync.needs_seller import waits_for_seller, works_again
from channelsync.sync.push_results import record_failure, record_results
from channelsync.sync.raise_waits import raises_waiting_for_reads
from channelsync.sync.understand_reads import ReadsUnderstood, understand_reads

log = structlog.get_logger(__name__)

# Keys surveyed in one transaction: their positions stay locked meanwhile.
SURVEYED_AT_ONCE = 500
# Rounds of survey, read and write within one tick: a conflict asks for a read, a read for a decision.
ROUNDS_MAX = 4


@dataclass(slots=True)
class Published:
    """What one tick did.

    conflicts: writes that the channel refused because its number was another one. failed: why the tick stopped early;
    empty: it did not. held_back: why nothing more leaves in it (no budget, breaker open, the right to write lost);
    empty: it may.
    """

    reads: int = 0
    read_calls: int = 0
    writes: int = 0
    write_calls: int = 0
    due_keys: int = 0
    conflicts: int = 0
    ask_orders: bool = False
    failed: str = ""
    held_back: str = ""


async def publish_tick(agent: Agent, channel: OpenChannel, lease: Lease | None = None) -> Published:
    """One tick of one channel; what it could not do is said, not raised. Raises LeaseLost."""
    done = Published()
    try:
        await read_wanted(agent, channel, done)
        await _rounds(agent, channel, lease, done)
    except ChannelError as error:
        done.failed = str(error)
        log.warning("publish.failed", channel=channel.name, reason=done.failed)
        if isinstance(error, NeedsSeller) and channel.breaker.state.needs_seller is None:  # else the polls tell
            await agent.database.transact(lambda c: _needs_seller(c, channel.name, done.failed, agent.clock.now()))
    if bool(done.failed) != channel.unreadable:
        await agent.database.transact(lambda c: _changed(c, channel.name, done.failed, agent.clock.now()))
        channel.unreadable = bool(done.failed)
    if done.ask_orders:
        agent.wake_orders(channel.identity)
    agent.counts.ticks[channel.name, "failed" if done.failed else "done"] += 1
    agent.counts.reads[channel.name] += done.reads
    return done


def _changed(connection: Connection, channel: str, failed: str, now: datetime) -> None:
    """Ticks fail from now on, or are well again."""
    channels.save_channel(connection, channel, unreadable_since=now if failed else None)
    if not failed:
        works_again(connection, channel, "numbers", "its numbers could be read and written", now)


def _needs_seller(connection: Connection, channel: str, what_to_do: str, now: datetime) -> None:
    summary = f"{channel}: its numbers cannot be read or written: {what_to_do}"
    waits_for_seller(connection, channel, "numbers", summary, now)


def _ending(agent: Agent, channel: OpenChannel) -> bool:
    return agent.stopping or channel.closing


async def read_keys(agent: Agent, channel: OpenChannel, wanted: Sequence[int], done: Published) -> None:
    """Reads these keys now and understands what comes back. Raises what the channel raises."""
    size = channel.setup.capabilities.reads_per_call
    for some in in_batches(wanted, size):
        names = await agent.database.query(lambda c, some=some: key_reads.names_of(c, some))  # type: ignore[misc]
        asked = [key for key in some if key in names]
        answers = await channel.channel.read([QuantityKey(*names[key]) for key in asked])
        reads = list(zip(asked, answers, strict=True))
        await take_reads(agent, channel, reads, done)
        done.reads += len(reads)
        done.read_calls += 1


async def take_reads(
    agent: Agent,
    channel: OpenChannel,
    reads: Sequence[tuple[int, KeyRead]],
    done: Published,
    answers: Mapping[int, int] | None = None,
) -> ReadsUnderstood:
    """Understands reads in one transaction, and wakes whoever must act on them. answers: see `understand_reads`."""
    understood = await agent.database.transact(lambda c: understand_reads(c, agent, channel, reads, answers))
    done.ask_orders = done.ask_orders or understood.ask_orders
    if understood.changed:
        agent.wake_publishers()
    return understood


async def read_wanted(agent: Agent, channel: OpenChannel, done: Published) -> None:
    """Hot keys, and keys that a raise elsewhere waits for; as many as the share of the read budget allows.

    What a raise waits for is read as often as it is asked for: were it left for this channel's own, perhaps slow,
    tick, the other reads that the raise needs would be too old by then, again and again.
    """
    setup = channel.setup
    now = agent.clock.now()
    staleness = setup.capabilities.timing.staleness
    hot_not_since = now - max(staleness, setup.tick * 0.5) if setup.hot_reads else None
    wanted = await agent.database.query(
        lambda c: key_reads.keys_to_read(c, channel.identity, now - staleness, hot_not_since)
    )
    cost = setup.capabilities.read_cost
    there = channel.limiter.available(bucket=cost.bucket)
    # One that needs more than the share of a full bucket would never be made, and raises elsewhere wait for it.
    calls = max(int(there * setup.read_share / cost.cost), int(there >= cost.cost)) if cost.cost else len(wanted)
    await read_keys(agent, channel, wanted[: calls * setup.capabilities.reads_per_call], done)


async def _rounds(agent: Agent, channel: OpenChannel, lease: Lease | None, done: Published) -> None:
    """Round after round while there is more to do at once, for as long as a tick lasts.

    A full survey of keys that this tick has not seen yet costs none of the rounds: a catalogue that is all due, e.g.
    after its first pull, would else take hours, and a change wait behind it.
    """
    began, seen, rounds = agent.clock.monotonic(), set[int](), 0
    while rounds < ROUNDS_MAX and not (_ending(agent, channel) or done.held_back):
        if agent.clock.monotonic() - began > channel.setup.tick.total_seconds():
            channel.wake_publisher.set()  # what is hot is read first
            return
        due, more = await _round(agent, channel, lease, done, first=not seen, another=rounds + 1 < ROUNDS_MAX)
        if not more:
            return
        rounds += len(due) < _most(channel) or not seen.isdisjoint(due)
        seen.update(due)


def _most(channel: OpenChannel) -> int:
    """Keys of one survey."""
    return max(SURVEYED_AT_ONCE, channel.setup.capabilities.raises_per_push or 0)


async def _round(
    agent: Agent, channel: OpenChannel, lease: Lease | None, done: Published, *, first: bool, another: bool
) -> tuple[Collection[int], bool]:
    """Surveys what is due, reads and writes; returns what was due, and whether there is more to do at once.

    That is: keys that were read and may be written now, that the channel showed otherwise than we expected, or that
    are too many for one survey. What becomes due meanwhile is the next tick's: whoever makes it due wakes us.
    """
    now = agent.clock.now()
    due = await agent.database.query(lambda c: keys.due_keys(c, channel.identity, now, _most(channel)))
    if not due:
        return due, False
    conflicts = done.conflicts
    unseen = {key for key, urgency in due.items() if urgency == UNSEEN}
    found = await publish_keys(agent, channel, [*due], lease, done, unseen=unseen, another=another)
    if first:
        done.due_keys += len(found.writes)
    return due, bool(found.reads) or done.conflicts > conflicts or len(due) == _most(channel)


async def publish_keys(
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[int],
    lease: Lease | None,
    done: Published,
    *,
    unseen: Collection[int] = (),
    another: bool = False,
) -> Survey:
    """Surveys these keys of one account, reads and writes them once. Raises LeaseLost, and what the channel raises.

    unseen: of these, those of which only a write may be left to see.
    another: another round follows when keys were read. Raises then leave with those of that round, in fuller calls; a
    lowering never waits.
    """
    found = await agent.database.transact(lambda c: survey(c, agent, channel, wanted, unseen))
    if found.reads:
        await read_keys(agent, channel, found.reads, done)
    found.ready = await _ready(agent, channel, found)
    if found.reads and another:
        found.ready = [key for key in found.ready if key in found.lowerings]
    for some in _calls(found, channel.setup.capabilities):
        if not _ending(agent, channel) and not done.held_back:
            await _send(agent, channel, some, found, lease, done)
    return found


def _calls(found: Survey, capabilities: Capabilities) -> list[Sequence[int]]:
    """The writes that are ready, call by call, lowerings first. Many raises have fuller calls of their own, where the
    channel has a way for them."""
    size, most = capabilities.updates_per_push, capabilities.raises_per_push
    raised = [key for key in found.ready if key not in found.lowerings]
    if most is None or len(raised) <= size:
        return [*in_batches(found.ready, size)]
    lowered = [key for key in found.ready if key in found.lowerings]
    return [*in_batches(lowered, size), *in_batches(raised, most)]


async def _ready(agent: Agent, channel: OpenChannel, found: Survey) -> list[int]:
    """The writes that need not wait for reads of other keys."""
    raises = [key for key in found.writes if key not in found.lowerings]
    if not raises:
        return found.writes
    timing = channel.setup.capabilities.timing
    fresh_since = agent.clock.now() - max(channel.setup.tick * 1.5, timing.staleness * 2)
    waiting = await agent.database.transact(lambda c: raises_waiting_for_reads(c, agent, raises, fresh_since))
    for name in sorted(waiting.ask & agent.channels.keys()):
        agent.channels[name].wake_publisher.set()
    return [key for key in found.writes if key not in waiting.raises]


async def _send(
    agent: Agent, channel: OpenChannel, wanted: Sequence[int], found: Survey, lease: Lease | None, done: Published
) -> None:
    """One call: wait for the budget, read where nothing else protects the write, decide, record, send, record."""
    capabilities = channel.setup.capabilities
    lane = Lane.URGENT if any(key in found.lowerings for key in wanted) else Lane.NORMAL
    if not capabilities.compare_and_set:
        with in_lane(lane):
            await _read_before_write(agent, channel, wanted, done)
    cost = capabilities.push_cost
    wait = channel.limiter.would_wait(cost.cost, lane=lane, bucket=cost.bucket)
    agent.beats.touch(publish_part(channel.name), wait + WORK_SECONDS)
    grant = await channel.limiter.acquire(cost.cost, lane=lane, bucket=cost.bucket)
    in_turn = agent.pushing.setdefault(channel.identity, asyncio.Lock())
    with channel.limiter.prepaid(grant), in_lane(lane):
        async with in_turn:
            prepared = await agent.database.transact(lambda c: prepare(c, agent, channel, wanted, lease))
            if not prepared:
                return
            done.writes += len(prepared)
            done.write_calls += 1
            await _push(agent, channel, prepared, done)


async def _read_before_write(agent: Agent, channel: OpenChannel, wanted: Sequence[int], done: Published) -> None:
    """Without compare-and-set a write must not swallow a sale that a read a moment before would have shown.

    Where reads are stale, a key that was read or written within that span is left out: a read of it decides nothing.
    """
    staleness = channel.setup.capabilities.timing.staleness
    if staleness:
        since = agent.clock.now() - staleness
        wanted = await agent.database.query(lambda c: key_reads.untouched_since(c, wanted, since))
    await read_keys(agent, channel, wanted, done)


async def _push(agent: Agent, channel: OpenChannel, prepared: Sequence[Prepared], done: Published) -> None:
    asked = agent.clock.now()
    try:
        check_may_write(f"{channel.name}: quantities")
        results = await channel.channel.push([one.update for one in prepared])
    except (OutcomeUnknown, AnswerUnreadable) as error:
        results = [PushResult.unknown(one.update.key, str(error)) for one in prepared]
    except ChannelError as error:
        sent = not isinstance(error, NotSent)
        await agent.database.transact(lambda c, reason=str(error): record_failure(c, agent, prepared, reason))  # type: ignore[misc]
        agent.counts.pushes[channel.name, NEVER_LEFT] += len(prepared)
        if isinstance(error, NeedsSeller) or sent:
            raise
        done.held_back = str(error)
        return
    answered = agent.clock.now()
    done.conflicts += sum(result.state == "conflict" for result in results)
    for result in results:
        agent.counts.pushes[channel.name, result.state] += 1
    await agent.database.transact(lambda c: record_results(c, agent, channel, prepared, results, answered))
    reads = [
        (one.key, KeyRead(key=one.update.key, value=result.shown, asked=asked, answered=answered))
        for one, result in zip(prepared, results, strict=True)
        if result.shown is not None
    ]
    if reads:
        accepted = zip(prepared, results, strict=True)
        answers = {one.key: one.generation for one, result in accepted if result.state == "accepted"}
        await take_reads(agent, channel, reads, done, answers)
