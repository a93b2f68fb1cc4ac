"""Wake-ups between processes: that something changed is told and heard, so that nobody waits for the next tick.

Only hints: what there is to do stands in the database, and every loop looks there by itself once a tick, and for rules
once a minute: behind a pooler nothing is ever heard. On PostgreSQL they are notifications. On SQLite the one daemon
looks every two seconds whether a command has begun or ended a run; its own changes wake it without that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from channelsync.store import runs
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.agent import Agent
from channelsync.sync.rule_changes import refresh_rules

log = structlog.get_logger(__name__)

CHANGED = "channelsync_changed"
"""The notification channel. The payload is the run whose process tells; nobody wakes itself."""

_TOGETHER_SECONDS = 0.2
"""Changes within this time are told once."""

_LOOK_EVERY_SECONDS = 2
_RULES_EVERY_SECONDS = 60


async def tell_others(agent: Agent) -> None:
    """Tells other processes of this one's changes, until it is cancelled."""
    while True:
        await agent.changed.wait()
        await agent.clock.sleep(_TOGETHER_SECONDS)
        agent.changed.clear()
        await agent.database.notify(CHANGED, agent.run)


async def hear_others(agent: Agent) -> None:
    """Wakes the publishers of this process when another has changed something, until it is cancelled."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_hear(agent), name="hear: others")
        both.create_task(_look_anyway(agent), name="hear: rules")


async def _hear(agent: Agent) -> None:
    heard = _runs_begun_or_ended(agent) if agent.database.dialect == "sqlite" else _notifications(agent)
    async for _ in heard:
        agent.wake_schedule.set()
        await _take_rules(agent)
        _wake(agent)


async def _look_anyway(agent: Agent) -> None:
    """A rule that nobody was told of holds after a minute."""
    while True:
        await agent.clock.sleep(_RULES_EVERY_SECONDS)
        try:
            if await _take_rules(agent):
                _wake(agent)
        except DatabaseError as error:
            log.warning("rules.not_looked_at", reason=str(error))


async def _take_rules(agent: Agent) -> bool:
    changed = await refresh_rules(agent)
    if changed:
        log.info("rules.changed", stored=len(agent.setup.stored_rules))
    return changed


def _wake(agent: Agent) -> None:
    for channel in agent.channels.values():
        channel.wake_publisher.set()


async def _notifications(agent: Agent) -> AsyncIterator[str]:
    async for run in agent.database.listen(CHANGED):
        if run != agent.run:
            yield run


async def _runs_begun_or_ended(agent: Agent) -> AsyncIterator[str]:
    """The latest run of another process whenever it is a new one or has ended, and once more after that.

    Once more, because what a command does may be committed a moment after its run has begun.
    """
    known = await agent.database.query(runs.latest_run)
    again = False
    while True:
        await agent.clock.sleep(_LOOK_EVERY_SECONDS)
        latest = await agent.database.query(runs.latest_run)
        if latest != known or again:
            again = latest != known
            known = latest
            yield latest[0] if latest else ""
