"""The schedule as people see it, and a task that somebody wants now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.sdk.clock import Clock
from channelsync.store import schedule
from channelsync.store.database import Database
from channelsync.store.schedule import ScheduledTask
from channelsync.sync.schedule import Task, plans_of
from channelsync.sync.when import first_run

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskShown:
    """One task. state: running, asked, due, waits, or tries again (it failed). last: "done", "failed", or "".

    told: what its last run did, or why it failed. ended_at None: it never ran to an end.
    """

    name: str
    runs: str
    channel: str
    next_run_at: datetime
    state: str
    last: str
    ended_at: datetime | None
    seconds: float
    told: str


def shown(tasks: Sequence[Task], rows: Mapping[str, ScheduledTask], now: datetime) -> list[TaskShown]:
    """Every configured task, those that run next in front. One without a row has not met a daemon yet."""
    found = [_shown(task, rows.get(task.name), now) for task in tasks]
    return sorted(found, key=lambda one: (one.next_run_at, one.name))


def _shown(task: Task, row: ScheduledTask | None, now: datetime) -> TaskShown:
    planned = {plan.name: plan.next_run_at for plan in plans_of([task], {} if row is None else {row.name: row}, now)}
    next_run_at = planned.get(task.name) or (row.next_run_at if row is not None else first_run(task.when, now))
    return TaskShown(
        name=task.name,
        runs=str(task.when),
        channel=task.channel,
        next_run_at=next_run_at,
        state=_state(row, next_run_at, now),
        last="" if row is None else row.outcome,
        ended_at=None if row is None else row.ended_at,
        seconds=0.0 if row is None else row.seconds,
        told="" if row is None else row.told,
    )


def _state(row: ScheduledTask | None, next_run_at: datetime, now: datetime) -> str:
    if row is not None and row.running(now):
        return "running"
    if row is not None and row.asked_at is not None:
        return "asked"
    if next_run_at <= now:
        return "due"
    return "tries again" if row is not None and row.failures else "waits"


def ask_now(connection: Connection, task: Task, local: datetime) -> datetime:
    """Wants a task run now, by whoever may; returns since when, in the schedule's time."""
    now, rows = schedule.schedule_now(connection, local)
    schedule.save_plans(connection, plans_of([task], rows, now))
    return schedule.ask_for_run(connection, task.name, local)


async def wait_for_run(
    database: Database, clock: Clock, name: str, since: datetime, within: timedelta
) -> ScheduledTask | None:
    """The row of a task once a run has ended that began since then; None when none has within this time."""
    ends = clock.monotonic() + within.total_seconds()
    while True:
        local = clock.now()
        _, rows = await database.query(lambda c, local=local: schedule.schedule_now(c, local))  # type: ignore[misc]
        row = rows.get(name)
        if row is not None and _ran_since(row, since):
            return row
        if clock.monotonic() >= ends:
            return None
        await clock.sleep(_LOOK_SECONDS)


def _ran_since(row: ScheduledTask, since: datetime) -> bool:
    began, ended = row.started_at, row.ended_at
    return began is not None and ended is not None and since <= began <= ended
