"""One call of writes: wait for the budget, read where nothing else protects them, decide, record, send, record.

See the publishing rules, section 6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from channelsync.sdk.budgets import Grant, Lane, in_lane
from channelsync.sdk.errors import (
    AnswerUnreadable,
    ChannelError,
    ChannelMisbehaved,
    NotSent,
    OutcomeUnknown,
)
from channelsync.sdk.limiter import unpaid
from channelsync.sdk.paging import in_batches
from channelsync.sdk.right_to_write import check_may_write
from channelsync.sdk.values import KeyRead, PushResult
from channelsync.store import key_reads
from channelsync.store.leases import Lease
from channelsync.store.sent_writes import NEVER_LEFT
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.beats import WORK_SECONDS, publish_part
from channelsync.sync.decide_writes import Prepared, Survey, prepare
from channelsync.sync.push_results import no_pause, record_failure, record_results
from channelsync.sync.raise_waits import raises_waiting_for_reads
from channelsync.sync.read_numbers import REFUSED_IN_A_ROW, Published, read_keys, take_reads

# Seconds after which a raise that waited, for the budget or behind others, is judged anew: are the reads that it is
# computed from still of this round?
JUDGED_AGAIN_AFTER = 1.0


def ending(agent: Agent, channel: OpenChannel) -> bool:
    """Whether no other call is to be begun: the agent stops, or the channel is being closed."""
    return agent.stopping or channel.closing


async def send_writes(
    agent: Agent, channel: OpenChannel, wanted: Sequence[int], found: Survey, lease: Lease | None, done: Published
) -> None:
    """Sends these writes of a survey, in its order, call by call; only some lowerings where numbers cannot be read.

    Raises LeaseLost, and what the channel raises; what a read before a write raised, when all that may leave has left.
    """
    judged, unread = agent.clock.monotonic(), done.unread
    left = _while_readable(channel, wanted, found, done)
    while left:
        call = _next_call(channel, left, found)
        left = [key for key in left if key not in call]
        await _send(agent, channel, [*call], found, lease, done, judged)
    if done.unread is not None and unread is None:
        raise done.unread


def _while_readable(channel: OpenChannel, wanted: Sequence[int], found: Survey, done: Published) -> Sequence[int]:
    """What leaves although numbers cannot be read: no raise; lowerings, of scarce units or where the channel compares.

    Of what there is plenty nobody is short meanwhile, and a number over one that nobody has read puts all that was sold
    unseen back on sale.
    """
    if done.unread is None:
        return wanted
    lowered = [key for key in wanted if key in found.lowerings]
    if channel.setup.capabilities.compare_and_set:
        return lowered
    return [key for key in lowered if found.targets[key].hot or not found.targets[key].units]


def _next_call(channel: OpenChannel, left: Sequence[int], found: Survey) -> Mapping[int, None]:
    """Of the writes that are left those of the next call, in their order; lowerings first.

    Many raises have fuller calls of their own, where the channel has a way for them. Rows of a call of which the
    outcome was unknown go in smaller ones, after the others.
    """
    size, most = channel.setup.capabilities.updates_per_push, channel.setup.capabilities.raises_per_push
    lowered = [key for key in left if key in found.lowerings]
    raised = [key for key in left if key not in found.lowerings]
    mixed = most is None or len(raised) <= size
    full = size if lowered or most is None or mixed else most
    limits = {key: min(full, channel.rows_at_most.get(key, full)) for key in left}
    limit = max(limits[key] for key in lowered or raised)
    these = [*lowered, *raised] if mixed else lowered or raised
    return dict.fromkeys([key for key in these if limits[key] == limit][:limit])


async def ready(agent: Agent, channel: OpenChannel, wanted: Sequence[int], found: Survey) -> list[int]:
    """Of these writes those that need not wait for reads of other keys; the missing reads are asked for."""
    raises = [key for key in wanted if key not in found.lowerings]
    if not raises:
        return [*wanted]
    timing = channel.setup.capabilities.timing
    fresh_since = agent.clock.now() - max(channel.setup.tick * 1.5, timing.staleness * 2)
    waiting = await agent.database.transact(lambda c: raises_waiting_for_reads(c, agent, raises, fresh_since))
    for name in sorted(waiting.ask & agent.channels.keys()):
        agent.channels[name].wake_publisher.set()
    return [key for key in wanted if key not in waiting.raises]


async def _send(
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[int],
    found: Survey,
    lease: Lease | None,
    done: Published,
    judged: float,
) -> None:
    """One call, or the halves of one that the channel refuses as a whole, until it is known which row it minds.

    judged: when it was last looked whether the reads that raises are computed from are of this round.
    """
    if ending(agent, channel) or done.held_back:
        return
    lane = Lane.URGENT if any(key in found.lowerings for key in wanted) else Lane.NORMAL
    grant = await _granted(agent, channel, lane, done)
    if grant is None:
        return
    refused = False
    with channel.limiter.prepaid(grant), in_lane(lane):
        wanted = await _protected(agent, channel, wanted, found, done, judged)
        if not wanted or _paused(channel, done):
            return
        async with agent.pushing.setdefault(channel.identity, asyncio.Lock()):
            lowered = found.lowerings
            prepared = await agent.database.transact(lambda c: prepare(c, agent, channel, wanted, lease, lowered))
            if prepared:
                done.writes += len(prepared)
                done.write_calls += 1
                refused = await _push(agent, channel, prepared, done)
    if refused:
        sent = [one.key for one in prepared]
        for half in in_batches(sent, (len(sent) + 1) // 2):
            await _send(agent, channel, half, found, lease, done, judged)


async def _granted(agent: Agent, channel: OpenChannel, lane: Lane, done: Published) -> Grant | None:
    """Budget for one call. None: it holds raises only, and something else became due while they waited for it."""
    cost = channel.setup.capabilities.push_cost
    wait = channel.limiter.would_wait(cost.cost, lane=lane, bucket=cost.bucket)
    agent.beats.touch(publish_part(channel.name), wait + WORK_SECONDS)
    acquire = channel.limiter.acquire(cost.cost, lane=lane, bucket=cost.bucket)
    if not wait or lane is Lane.URGENT or done.interrupted is None:
        return await acquire
    asked, something = asyncio.ensure_future(acquire), asyncio.ensure_future(done.interrupted.wait())
    try:
        await asyncio.wait({asked, something}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return await asked
        done.held_back = "something else became due while raises waited for the budget"
        return None
    finally:
        for one in (asked, something):
            one.cancel()
            await asyncio.wait({one})


def _paused(channel: OpenChannel, done: Published) -> bool:
    """Whether the channel is left alone now, so that nothing is recorded which would not leave. Raises NeedsSeller."""
    try:
        channel.breaker.check(cheap_read=False)
    except NotSent as error:
        done.held_back = str(error)
    return bool(done.held_back)


async def _protected(
    agent: Agent, channel: OpenChannel, wanted: Sequence[int], found: Survey, done: Published, judged: float
) -> Sequence[int]:
    """What may leave now that the call is granted.

    Without compare-and-set only a read right before the write shows what it would swallow; where that fails, lowerings
    of scarce units leave without, these and those after them. A channel that was left alone after failures takes writes
    again once a read has succeeded; this one may be it.
    """
    compares = channel.setup.capabilities.compare_and_set
    if (not compares or channel.breaker.half_open) and done.unread is None:
        try:
            with unpaid():
                await _read_before_write(agent, channel, wanted, done)
        except ChannelError as error:
            done.unread = error
    wanted = _while_readable(channel, wanted, found, done)
    # The reads that raises are computed from may be too old by now: the grant and this read may have been waited for.
    long_ago = agent.clock.monotonic() - judged > JUDGED_AGAIN_AFTER
    return await ready(agent, channel, wanted, found) if long_ago else wanted


async def _read_before_write(agent: Agent, channel: OpenChannel, wanted: Sequence[int], done: Published) -> None:
    """Without compare-and-set a write must not swallow a sale that a read a moment before would have shown.

    Where reads are stale, a key that was read or written within that span is left out: a read of it decides nothing.
    """
    staleness = channel.setup.capabilities.timing.staleness
    if staleness:
        since = agent.clock.now() - staleness
        wanted = await agent.database.query(lambda c: key_reads.untouched_since(c, wanted, since))
    await read_keys(agent, channel, wanted, done)


async def _push(agent: Agent, channel: OpenChannel, prepared: Sequence[Prepared], done: Published) -> bool:
    """Sends one call and records what came of it; returns whether it was refused as a whole, for some row of several.

    Raises what is the channel's own trouble and not that of a row: it wants its seller, it is busy, it refuses all.
    """
    asked = agent.clock.now()
    try:
        check_may_write(f"{channel.name}: quantities")
        results = await channel.channel.push([one.update for one in prepared])
    except (OutcomeUnknown, AnswerUnreadable) as error:
        results = [PushResult.unknown(one.update.key, str(error)) for one in prepared]
        fewer = max(1, len(prepared) // 2)
        channel.rows_at_most |= {one.key: min(fewer, channel.rows_at_most.get(one.key, fewer)) for one in prepared}
    except ChannelError as error:
        misbehaved = isinstance(error, ChannelMisbehaved)
        done.refused_in_a_row += misbehaved
        if not misbehaved or len(prepared) > 1 or done.refused_in_a_row > REFUSED_IN_A_ROW:
            return await _nothing_changed(agent, channel, prepared, error, done)
        results = [PushResult.refused(one.update.key, str(error)) for one in prepared]
        channel.blamed.update(one.key for one in prepared)
    else:
        done.refused_in_a_row = 0
        await _taken(agent, channel, prepared)
    await _record(agent, channel, prepared, results, asked, done)
    return False


async def _taken(agent: Agent, channel: OpenChannel, prepared: Sequence[Prepared]) -> None:
    """A call was answered: its rows go in full calls again. Where they did not, the others' calls may be larger too.

    Rows that were blamed while the channel refused all calls are tried again at once: it was the channel's own trouble.
    """
    if any([channel.rows_at_most.pop(one.key, 0) for one in prepared]):  # noqa: C419 - of every one
        channel.rows_at_most = {key: limit * 2 for key, limit in channel.rows_at_most.items()}
    if channel.refuses_all and channel.blamed:
        now = agent.clock.now()
        await agent.database.transact(lambda c: no_pause(c, channel.blamed, now))
    channel.refuses_all, channel.blamed = False, set()


async def _nothing_changed(
    agent: Agent, channel: OpenChannel, prepared: Sequence[Prepared], error: ChannelError, done: Published
) -> bool:
    """The whole call did nothing; its keys stay on the agenda. Returns whether smaller calls may tell more."""
    await agent.database.transact(lambda c: record_failure(c, agent, prepared, str(error)))
    agent.counts.pushes[channel.name, NEVER_LEFT] += len(prepared)
    if isinstance(error, NotSent):
        done.held_back = str(error)
        return False
    channel.refuses_all = channel.refuses_all or done.refused_in_a_row > REFUSED_IN_A_ROW
    if not isinstance(error, ChannelMisbehaved) or done.refused_in_a_row > REFUSED_IN_A_ROW:
        raise error
    return True


async def _record(
    agent: Agent,
    channel: OpenChannel,
    prepared: Sequence[Prepared],
    results: Sequence[PushResult],
    asked: datetime,
    done: Published,
) -> None:
    """Records the results, row by row. A number that the answer states is a read."""
    answered = agent.clock.now()
    conflicted = {one.key for one, result in zip(prepared, results, strict=True) if result.state == "conflict"}
    done.conflicts += len(conflicted)
    done.conflicted |= conflicted
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
