"""Taking away what is old, a little at a time, and SQLite's own care for its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.publishing import WriteLimit
from channelsync.store import plans, prune
from channelsync.sync.agent import Agent

AT_LEAST = timedelta(days=2)
"""What is younger is never taken away, whatever is configured."""

_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept. bodies: what channels sent of orders that could not be understood."""

    history: timedelta = timedelta(days=90)
    bodies: timedelta = timedelta(days=7)


async def prune_old(agent: Agent, keep: Keep) -> str:
    """Takes away the history that is older than asked for; others get a turn at the database after each step.

    Writes of the longest span in which any channel counts them stay in any case, and so does the last day's.
    """
    now = agent.clock.now()
    before = now - max(keep.history, AT_LEAST, *(span + timedelta(days=1) for span in _write_spans(agent)))
    removed = dict.fromkeys((*prune.HISTORIES, *prune.ENDED), 0)
    keys = await agent.database.query(lambda c: prune.keys_after(c, 0))
    while keys:
        for table in prune.HISTORIES:
            removed[table] += await _step(agent, _history(table, keys, before))
        last = keys[-1]
        keys = await agent.database.query(lambda c, last=last: prune.keys_after(c, last))  # type: ignore[misc]
    for table in prune.ENDED:
        while some := await _step(agent, _ended(table, before)):
            removed[table] += some
    plans_taken = 0
    while await _step(agent, lambda c: plans.forget_plan(c, before)):
        plans_taken += 1
    bodies = await _step(agent, lambda c: prune.forget_bodies(c, now - keep.bodies))
    told = [f"{many} of {table}" for table, many in removed.items() if many]
    told += [f"{plans_taken} decided plans"] if plans_taken else []
    told += [f"{bodies} bodies of unreadable orders"] if bodies else []
    return f"older than {before:%Y-%m-%d}, taken away: {', '.join(told) or 'nothing'}"


async def care_for_file(agent: Agent) -> str:
    """What keeps a SQLite file fast and its log short."""
    await agent.database.transact(prune.tidy)
    short = await agent.database.query(prune.shorten_log)
    return "statistics renewed, log emptied" if short else "statistics renewed; the log was being read and stays"


def _write_spans(agent: Agent) -> list[timedelta]:
    limits: list[WriteLimit | None] = [one.capabilities.writes_per_day for one in agent.setup.channels.values()]
    return [one.span for one in limits if one is not None]


def _history(table: str, keys: list[int], before: datetime) -> Callable[[Connection], int]:
    return lambda c: prune.prune_history(c, table, keys, before)


def _ended(table: str, before: datetime) -> Callable[[Connection], int]:
    return lambda c: prune.prune_ended(c, table, before)


async def _step(agent: Agent, work: Callable[[Connection], int]) -> int:
    done = await agent.database.transact(work)
    if done:
        await agent.clock.sleep(_PAUSE)
    return done
