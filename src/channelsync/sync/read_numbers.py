"""Numbers are read: which of them out of turn, and what becomes of what comes back. See the publishing rules, 5."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from channelsync.domain.watermark import Meaning
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, ChannelMisbehaved
from channelsync.sdk.paging import in_batches
from channelsync.sdk.values import KeyRead, QuantityKey
from channelsync.store import key_reads
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.understand_reads import ReadsUnderstood, understand_reads

# So many calls in a row that the channel refuses as a whole are its own trouble, not that of single rows in them. More
# than it takes to halve a full call down to its one bad row.
REFUSED_IN_A_ROW = 12

Waits = Literal["always", "until interrupted", "never"]

_NOTHING_NEW = (Meaning.TOO_SOON, Meaning.NOT_VISIBLE_YET)


@dataclass(slots=True)
class Published:
    """What one tick did.

    conflicts: writes that the channel refused because its number was another one. conflicted: keys of such writes,
    until a read tells what they show. undecided: of these, those of which a read told nothing new; nothing more is
    written to them, for it would meet the same answer.
    failed: why the tick stopped early; empty: it did not. held_back: why nothing more leaves in it (no budget, breaker
    open, the right to write lost); empty: it may. refused_in_a_row, reads_refused: calls that the channel refused as a
    whole, since the last that it took. unread: why numbers could not be read before a write, so that no raise leaves
    any more; None: they could. left_unread: numbers that are wanted would have waited for budget, and are read when
    lowerings have left.
    interrupted: set when something else is due, so that no raise goes on waiting for budget; None: it waits.
    """

    reads: int = 0
    read_calls: int = 0
    writes: int = 0
    write_calls: int = 0
    due_keys: int = 0
    conflicts: int = 0
    conflicted: set[int] = field(default_factory=set)
    undecided: set[int] = field(default_factory=set)
    ask_orders: bool = False
    failed: str = ""
    held_back: str = ""
    refused_in_a_row: int = 0
    reads_refused: int = 0
    unread: ChannelError | None = None
    left_unread: bool = False
    interrupted: asyncio.Event | None = None


async def read_keys(
    agent: Agent, channel: OpenChannel, wanted: Sequence[int], done: Published, *, waits: Waits = "always"
) -> None:
    """Reads these keys now and understands what comes back. Raises what the channel raises.

    waits: for budget, all of the calls; the first of them, and the others until something else became due; or none.
    What they would have read is left unread then.
    """
    for call, some in enumerate(in_batches(wanted, channel.setup.capabilities.reads_per_call)):
        if waits != "always" and _would_wait(channel):
            done.left_unread = done.left_unread or waits == "never"
            if waits == "never" or (call and done.interrupted is not None and done.interrupted.is_set()):
                return
        names = await agent.database.query(lambda c, some=some: key_reads.names_of(c, some))  # type: ignore[misc]
        asked = [(key, QuantityKey(*names[key])) for key in some if key in names]
        refused: list[tuple[int, KeyRead]] = []
        if asked:
            await _read(agent, channel, asked, done, refused)
        if refused and not done.read_calls:  # none was answered: it is the channel that refuses
            raise ChannelMisbehaved(refused[0][1].unreadable)
        if refused:
            await take_reads(agent, channel, refused, done)


def _would_wait(channel: OpenChannel) -> bool:
    cost = channel.setup.capabilities.read_cost
    return channel.limiter.would_wait(cost.cost, bucket=cost.bucket) > 0


async def _read(
    agent: Agent,
    channel: OpenChannel,
    wanted: Sequence[tuple[int, QuantityKey]],
    done: Published,
    refused: list[tuple[int, KeyRead]],
) -> None:
    """One call; or the halves of one that the channel refuses as a whole, until it is known which key it minds.

    refused: takes that one, as a number that cannot be read. Raises after so many refusals in a row: then it is the
    channel's own trouble.
    """
    asked = agent.clock.now()
    try:
        answers = await channel.channel.read([name for _, name in wanted])
    except ChannelMisbehaved as error:
        done.reads_refused += 1
        if done.reads_refused > REFUSED_IN_A_ROW or isinstance(error, AnswerUnreadable):
            raise
        if len(wanted) > 1:
            for half in in_batches(wanted, (len(wanted) + 1) // 2):
                await _read(agent, channel, half, done, refused)
            return
        now, why = agent.clock.now(), str(error)
        key, name = wanted[0]
        refused.append((key, KeyRead(key=name, value=None, asked=asked, answered=now, unreadable=why)))
        return
    done.reads_refused = 0
    reads = [(key, answer) for (key, _), answer in zip(wanted, answers, strict=True)]
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
    done.conflicted -= {key for key, meaning in understood.meanings.items() if meaning not in _NOTHING_NEW}
    if understood.changed:
        agent.wake_publishers()
    return understood


async def read_left(agent: Agent, channel: OpenChannel, done: Published) -> None:
    """What is wanted and was left unread, for it would have waited for budget. Raises what the channel raises."""
    if done.left_unread:
        await read_wanted(agent, channel, done, waits="until interrupted")
        channel.wake_publisher.set()  # for what has waited for these reads


async def read_wanted(agent: Agent, channel: OpenChannel, done: Published, *, waits: Waits = "never") -> None:
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
    await read_keys(agent, channel, wanted[: calls * setup.capabilities.reads_per_call], done, waits=waits)
