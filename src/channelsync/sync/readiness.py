"""Whether a process may be given work: the database, its tables, the right to publish, the clock, the channels.

red: it cannot do its work. amber: it works, and something is not as it should be. green: all is well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from channelsync.store import channels, findings
from channelsync.store.channels import ChannelState
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError
from channelsync.store.findings import StoredFinding
from channelsync.store.migrations import check_schema
from channelsync.sync.agent import Agent
from channelsync.sync.switches import mode_now

Level = Literal["green", "amber", "red"]

DATABASE_WITHIN = 3.0
"""Seconds that the database has to answer."""

CLOCK_AMBER = timedelta(seconds=30)
CLOCK_RED = timedelta(minutes=4)
"""How far our clock may be from a channel's. Signed deliveries are refused by both sides from five minutes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One thing that was looked at. what: its name. found: in words, with what to do where it is not green."""

    what: str
    level: Level
    found: str


async def readiness(agent: Agent) -> list[State]:
    """Everything that tells whether this process can work now. Raises nothing: what cannot be told is red."""
    try:
        async with asyncio.timeout(DATABASE_WITHIN):
            await check_schema(agent.database)
            states = await agent.database.query(channels.channel_states)
            down = await agent.database.query(lambda c: findings.list_findings(c, kinds=("task failed",), limit=20))
    except (DatabaseError, TimeoutError) as error:
        said = str(error) or f"no answer within {DATABASE_WITHIN:.0f} s"
        return [State(what="database", level="red", found=said), *_clocks(agent)]
    return [
        _database(agent.database),
        *_accounts(agent, states),
        *_clocks(agent),
        *_channels(agent, states),
        *_failed(down),
    ]


async def receiver_readiness(database: Database) -> list[State]:
    """Whether a process that only takes webhooks can work now: it needs the database. Raises nothing."""
    try:
        async with asyncio.timeout(DATABASE_WITHIN):
            await check_schema(database)
    except (DatabaseError, TimeoutError) as error:
        said = str(error) or f"no answer within {DATABASE_WITHIN:.0f} s"
        return [State(what="database", level="red", found=said)]
    return [_database(database)]


def _database(database: Database) -> State:
    """Of one that answers. Every process writes a sign of life to it, so it is soon known when there is room again."""
    if database.full:
        return State(what="database", level="red", found=database.full)
    return State(what="database", level="green", found=f"{database.name} answers, its tables are right")


def _accounts(agent: Agent, states: dict[str, ChannelState]) -> Iterator[State]:
    """Who publishes. Another worker may well hold all accounts: this one stands by."""
    if agent.database.dialect == "sqlite":
        yield State(what="publisher", level="green", found="this process alone publishes from the file")
        return
    used = {one.identity for name, one in states.items() if name in agent.channels and one.identity}
    ours = used & set(agent.held())
    if used and not ours:
        yield State(what="publisher", level="amber", found="other workers hold all accounts; this one stands by")
    else:
        yield State(what="publisher", level="green", found=f"holds {len(ours)} of {len(used)} accounts")


def _clocks(agent: Agent) -> Iterator[State]:
    """Our clock is off where all channels that told the time say so alike."""
    told = [
        channel.breaker.server_time.ahead
        for channel in agent.channels.values()
        if channel.breaker.server_time is not None
    ]
    if not told:
        return
    least = min(told, key=abs)
    level: Level = "red" if abs(least) >= CLOCK_RED else "amber" if abs(least) >= CLOCK_AMBER else "green"
    found = "agrees with the channels"
    if level != "green":
        way = "behind" if least > timedelta() else "ahead of"
        found = f"our clock is {abs(least).total_seconds():.0f} s {way} every channel's: let NTP set it"
    yield State(what="clock", level=level, found=found)


def _channels(agent: Agent, states: dict[str, ChannelState]) -> Iterator[State]:
    """What is amber about single channels: one that is down is no reason to restart or to route around us."""
    for name, setup in sorted(agent.setup.channels.items()):
        if setup.by_sku or mode_now(setup, states.get(name)) == "off":
            continue
        said = _trouble(agent, name, states.get(name))
        yield State(what=f"channel {name}", level="amber" if said else "green", found=said or "is used")


def _trouble(agent: Agent, name: str, state: ChannelState | None) -> str:
    channel = agent.channels.get(name)
    if channel is None:
        return "is not open: `channelsync findings list` says why"
    if channel.breaker.state.needs_seller:
        return f"waits for the seller: {channel.breaker.state.needs_seller}"
    if channel.breaker.state.retry_at is not None:
        return f"is left alone until {channel.breaker.state.retry_at:%H:%M:%S} UTC after failures"
    if state is not None and state.orders_failed:
        return f"its orders cannot be read: {state.orders_failed}"
    if state is not None and state.unreadable:
        return f"its numbers {state.unreadable}"
    return ""


def _failed(found: Sequence[StoredFinding]) -> Iterator[State]:
    for one in found:
        yield State(what="part", level="amber", found=one.summary)
