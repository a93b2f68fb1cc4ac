"""The nightly comparison of one channel: every number is read, and held against what it should be.

The loops put right what changes; this finds what slipped through all of them. It writes nothing itself: numbers that
are wrong go on the publisher's agenda, where budgets, write limits and every switch hold as ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.store import agenda, channels, findings, key_reads, keys
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.compare_all import Step, compare_all
from channelsync.sync.reconcile import Planned, planned_now
from channelsync.sync.switches import mode_now

Review = Callable[[Agent, str, Sequence[Step]], Awaitable[Sequence[Step]]]
"""Looks over what a comparison of a channel (its name) would put right; returns what of it may be."""

READ_LATELY = timedelta(hours=1)
"""A number that was read within this time before the comparison began is not read again."""

READS_AT_ONCE = 500
READS_WITHIN = timedelta(hours=3)
"""How long the reads may take. They are bounded by the channel's read share; what is not read by then is told."""

SETTLES_WITHIN_TICKS = 10
"""So many of the publisher's ticks are waited for before what is wrong still becomes a finding."""

_EXAMINED_MAX = 5_000
_TOLD_MAX = 20


async def compare_channel(agent: Agent, name: str, review: Review | None = None) -> str:
    """Reads, compares and has put right what is wrong; says how it came out.

    review: asked before anything is put on the agenda; None: all of it is. Raises KeyError for a channel that is not
    open here.
    """
    channel = agent.channels[name]
    unread = await _read_all(agent, channel)
    states = await agent.database.query(channels.channel_states)
    missed = f"; {unread} could not be read in time" if unread else ""
    if mode_now(channel.setup, states.get(name)) != "live":
        return f"every number was read, and none is written: the channel is not live{missed}"
    now = agent.clock.now()
    whole, wrong = await agent.database.query(lambda c: _compared(c, agent, name, now))
    allowed = await review(agent, name, wrong) if review is not None and wrong else wrong
    mended = [step.key for step in allowed]
    if mended:
        await agent.database.transact(lambda c: keys.mark_keys_due(c, mended, now))
        agent.wake_publishers()
    left = await _left(agent, channel, mended[:_EXAMINED_MAX])
    held = len(wrong) - len(mended)
    whole_known = not (unread or held) and len(mended) <= _EXAMINED_MAX
    await agent.database.transact(lambda c: _find(c, agent, name, left, whole_known=whole_known))
    told = [f"{whole} numbers, {len(wrong)} differed"]
    told += [f"{held} wait for approval"] if held else []
    told += [f"{len(left)} differ still"] if left else []
    return ", ".join(told) + missed


async def _read_all(agent: Agent, channel: OpenChannel) -> int:
    """Has every number read that was not lately; returns how many were not in time, counted up to a page."""
    clock = agent.clock
    since = clock.now() - READ_LATELY
    ends = clock.monotonic() + READS_WITHIN.total_seconds()
    while unread := await agent.database.query(
        lambda c: key_reads.unread_since(c, channel.identity, since, READS_AT_ONCE)
    ):
        if clock.monotonic() >= ends:
            return len(unread)
        await agent.database.transact(lambda c, unread=unread: keys.want_reads(c, unread))  # type: ignore[misc]
        channel.wake_publisher.set()
        await clock.sleep(channel.setup.tick.total_seconds())
    return 0


def _compared(connection: Connection, agent: Agent, name: str, now: datetime) -> tuple[int, list[Step]]:
    """How many numbers the channel has, and those that should be written, or read because they are in doubt."""
    whole = set(agenda.chosen_keys(connection, [name]))
    wrong = [
        step
        for page in compare_all(connection, agent.setup, agent.measures, now)
        for step in page.steps
        if step.key in whole and step.decision.action in ("lower", "raise", "read first")
    ]
    return len(whole), wrong


async def _left(agent: Agent, channel: OpenChannel, mended: Sequence[int]) -> list[Planned]:
    """Of these the numbers that are wrong still when the publisher has had time to put them right."""
    for _ in range(SETTLES_WITHIN_TICKS if mended else 0):
        await agent.clock.sleep(channel.setup.tick.total_seconds())
        left = [row for row in await planned_now(agent, mended) if row.state in ("to do", "on its way")]
        if not left:
            return []
    return left if mended else []


def _find(connection: Connection, agent: Agent, name: str, left: Sequence[Planned], *, whole_known: bool) -> None:
    """whole_known: every number was read, and none waits for approval: only then are all right where none is left."""
    now = agent.clock.now()
    if not left:
        if not whole_known:
            return
        closed = [fingerprint(FindingKind.NUMBERS_WRONG, name)]
        findings.close_findings(connection, closed, "the last comparison found every number right", now)
        return
    found = Finding(
        kind=FindingKind.NUMBERS_WRONG,
        subject=(name,),
        channel=name,
        summary=f"{len(left)} numbers on {name} were wrong when all were compared, and are so still, "
        f"{left[0].sku or left[0].listing} among them. `channelsync reconcile --channel {name}` shows why, one by one.",
        evidence={
            "numbers": [
                {"sku": row.sku, "listing": row.listing, "shown": row.shown, "should": row.should, "why": row.why}
                for row in left[:_TOLD_MAX]
            ]
        },
    )
    findings.open_findings(connection, [found], now)
