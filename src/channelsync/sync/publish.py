"""The publisher of one channel: reads what it must, writes what it should, verifies what it wrote.

One tick: read the keys that are hot, wanted or in doubt, as far as that waits for no budget; survey what is due; send
the lowerings; read what must be read first; send the raises; read what is left. What cannot be read holds up no
lowering. See the publishing rules, sections 3 to 6.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from channelsync.sdk.errors import BudgetShort, ChannelError, NeedsSeller
from channelsync.store import channels, keys
from channelsync.store.key_writes import UNSEEN
from channelsync.store.leases import Lease
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.decide_writes import Survey, survey
from channelsync.sync.needs_seller import waits_for_seller, works_again
from channelsync.sync.read_numbers import Published, read_keys, read_left, read_wanted
from channelsync.sync.send_writes import ending, ready, send_writes

log = structlog.get_logger(__name__)

# Keys surveyed in one transaction: their positions stay locked meanwhile.
SURVEYED_AT_ONCE = 500
# Seconds of waiting for budget after which a channel counts as one that cannot be read: raises elsewhere go without it.
SHORT_FOR = 300
# Rounds of survey, read and write within one tick: a conflict asks for a read, a read for a decision.
ROUNDS_MAX = 4


async def publish_tick(agent: Agent, channel: OpenChannel, lease: Lease | None = None) -> Published:
    """One tick of one channel; what it could not do is said, not raised. Raises LeaseLost."""
    channel.wake_publisher.clear()  # for what is due by now; what becomes due meanwhile interrupts whoever waits
    done, unreadable = Published(interrupted=channel.wake_publisher), False
    read, left = (partial(part, agent, channel, done) for part in (read_wanted, read_left))
    for part in (read, partial(_rounds, agent, channel, lease, done), left):
        try:
            await part()
        except ChannelError as error:
            if done.failed != str(error):
                log.warning("publish.failed", channel=channel.name, reason=str(error))
            done.failed = str(error)
            unreadable = unreadable or not isinstance(error, BudgetShort) or (error.retry_after or 0) > SHORT_FOR
            if isinstance(error, NeedsSeller):  # until the seller acts nothing can be read, and no raise leaves
                done.unread = error
            if isinstance(error, NeedsSeller) and channel.breaker.state.needs_seller is None:  # else the polls tell
                await agent.database.transact(lambda c: _needs_seller(c, channel.name, done.failed, agent.clock.now()))
    if unreadable != channel.unreadable:
        why = done.failed if unreadable else ""
        await agent.database.transact(lambda c: _changed(c, channel.name, why, agent.clock.now()))
        channel.unreadable = unreadable
    if done.ask_orders:
        agent.wake_orders(channel.identity)
    agent.counts.ticks[channel.name, "failed" if done.failed else "done"] += 1
    agent.counts.reads[channel.name] += done.reads
    return done


def _changed(connection: Connection, channel: str, failed: str, now: datetime) -> None:
    """Ticks fail from now on, or are well again."""
    channels.save_channel(connection, channel, unreadable_since=now if failed else None, unreadable_why=failed)
    if not failed:
        works_again(connection, channel, "numbers", "its numbers could be read and written", now)


def _needs_seller(connection: Connection, channel: str, what_to_do: str, now: datetime) -> None:
    summary = f"{channel}: its numbers cannot be read or written: {what_to_do}"
    waits_for_seller(connection, channel, "numbers", summary, now)


async def _rounds(agent: Agent, channel: OpenChannel, lease: Lease | None, done: Published) -> None:
    """Round after round while there is more to do at once, for as long as a tick lasts.

    A full survey of keys that this tick has not seen yet costs none of the rounds: a catalogue that is all due, e.g.
    after its first pull, would else take hours, and a change wait behind it.
    """
    began, seen, rounds = agent.clock.monotonic(), set[int](), 0
    while rounds < ROUNDS_MAX and not (ending(agent, channel) or done.held_back):
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
    crowded = len(due) == _most(channel)
    found = await publish_keys(agent, channel, [*due], lease, done, unseen=unseen, another=another, crowded=crowded)
    if first:
        done.due_keys += len(found.writes)
    return due, bool(found.reads) or done.conflicts > conflicts or crowded


async def publish_keys(
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[int],
    lease: Lease | None,
    done: Published,
    *,
    unseen: Collection[int] = (),
    another: bool = False,
    crowded: bool = False,
) -> Survey:
    """Surveys these keys of one account, reads and writes them once. Raises LeaseLost, and what the channel raises.

    Lowerings leave before anything is read: they wait for no read, but for that of a key which showed another number
    than the last write of it expected. Where keys are read, raises leave afterwards.
    unseen: of these, those of which only a write may be left to see.
    another: another round follows when keys were read. Raises then leave with those of that round, in fuller calls.
    crowded: as `survey` has it.
    """
    found = await agent.database.transact(lambda c: survey(c, agent, channel, wanted, unseen, crowded=crowded))
    found.writes = [key for key in found.writes if key not in done.undecided]
    conflicted = done.conflicted.intersection(found.writes)
    found.reads += conflicted
    at_once: list[int] = []
    if found.reads:
        at_once = [key for key in found.writes if key in found.lowerings - conflicted]
        await send_writes(agent, channel, at_once, found, lease, done)
        await read_keys(agent, channel, found.reads, done, waits="until interrupted")
        done.undecided |= conflicted & done.conflicted
    left = [key for key in found.writes if key not in {*at_once, *done.undecided}]
    if found.reads and another:
        left = [key for key in left if key in found.lowerings]
    await send_writes(agent, channel, await ready(agent, channel, left, found), found, lease, done)
    return found
