"""The rows of the schedule: planned, claimed by one worker at a time, ended with the claim's token.

Times are the database's on PostgreSQL and this machine's on SQLite; see `leases.database_now`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, Update, bindparam, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from channelsync.store.leases import database_now
from channelsync.store.prepared import fetch, run
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_SCHEDULE = metadata.tables["schedule"]

CLAIM_LASTS = timedelta(seconds=60)
"""How long a claim holds after its worker's last sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTask:
    """A task's row. outcome: "done", "failed" or empty: it never ended. seconds: that its last run took."""

    name: str
    rule: str
    next_run_at: datetime
    owner: str
    token: int
    lease_until: datetime | None
    asked_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str
    told: str
    seconds: float
    failures: int

    def running(self, now: datetime) -> bool:
        """Whether somebody has claimed it. A claim that ends later than any could is of before a clock went back."""
        return self.owner != "" and self.lease_until is not None and now < self.lease_until <= now + CLAIM_LASTS * 2

    def due(self, now: datetime) -> bool:
        """Whether it should run now."""
        return self.next_run_at <= now or self.asked_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When a task runs next. seen: its row as it was when this was decided; None: it had none."""

    name: str
    rule: str
    next_run_at: datetime
    seen: ScheduledTask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run a task once. slot: the time for which it was due; asked: somebody wanted it before that."""

    name: str
    owner: str
    token: int
    slot: datetime
    started_at: datetime
    asked: bool
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended, and when the next one is."""

    outcome: str
    told: str
    seconds: float
    failures: int
    next_run_at: datetime


def schedule_now(connection: Connection, local: datetime) -> tuple[datetime, dict[str, ScheduledTask]]:
    """The time by which the schedule goes, and every row by its name."""
    rows = fetch(connection, _select_all(), {})
    return database_now(connection, local), {row.name: ScheduledTask(**row._asdict()) for row in rows}


@cache
def _select_all() -> Select[Any]:
    return select(_SCHEDULE).order_by(_SCHEDULE.c.name)


def save_plans(connection: Connection, plans: Sequence[Plan]) -> None:
    """Writes when tasks run next; a row that another worker has changed since it was seen is left alone."""
    for plan in plans:
        if plan.seen is None:
            new = {"name": plan.name, "rule": plan.rule, "next_run_at": plan.next_run_at}
            rest = {"owner": "", "token": 0, "outcome": "", "told": "", "seconds": 0.0, "failures": 0}
            connection.execute(insert_ignoring(_SCHEDULE, connection.dialect.name), [new | rest])
        else:
            connection.execute(
                update(_SCHEDULE)
                .where(
                    _SCHEDULE.c.name == plan.name,
                    _SCHEDULE.c.rule == plan.seen.rule,
                    _SCHEDULE.c.next_run_at == plan.seen.next_run_at,
                )
                .values(rule=plan.rule, next_run_at=plan.next_run_at)
            )


def claim_task(connection: Connection, name: str, owner: str, local: datetime) -> Claim | None:
    """Claims a task that is due or asked for; None: it is neither, or another has claimed it."""
    now = database_now(connection, local)
    times = {"now": now, "until": now + CLAIM_LASTS, "impossible": now + CLAIM_LASTS * 2}
    row = connection.execute(_claim(), {"task": name, "claims": owner} | times).first()
    if row is None:
        return None
    return Claim(
        name=name,
        owner=owner,
        token=row.token,
        slot=row.next_run_at,
        started_at=now,
        asked=row.next_run_at > now,
        failures=row.failures,
    )


@cache
def _claim() -> ReturningUpdate[Any]:
    now: BindParameter[datetime] = bindparam("now")
    due = or_(_SCHEDULE.c.next_run_at <= now, _SCHEDULE.c.asked_at.is_not(None))
    until = _SCHEDULE.c.lease_until
    free = or_(_SCHEDULE.c.owner == "", until <= now, until > bindparam("impossible"))
    return (
        update(_SCHEDULE)
        .where(_SCHEDULE.c.name == bindparam("task"), due, free)
        .values(
            owner=bindparam("claims"),
            token=_SCHEDULE.c.token + 1,
            lease_until=bindparam("until"),
            started_at=now,
        )
        .returning(_SCHEDULE.c.token, _SCHEDULE.c.next_run_at, _SCHEDULE.c.failures)
    )


def renew_claim(connection: Connection, claim: Claim, local: datetime) -> bool:
    """Makes a claim last longer; False: another worker has the task by now."""
    until = database_now(connection, local) + CLAIM_LASTS
    return bool(connection.execute(_held().values(lease_until=until), _holder(claim)).rowcount)


def end_claim(connection: Connection, claim: Claim, ending: Ending, local: datetime) -> bool:
    """Records how a run ended; False: another worker has claimed the task since, and nothing was recorded.

    A wish for a run out of turn is met, unless it came after this run had begun; one of the future is of a clock that
    was put back since.
    """
    now = database_now(connection, local)
    ended = connection.execute(
        _end(),
        _holder(claim)
        | {
            "b_ended": now,
            "b_outcome": ending.outcome,
            "b_told": ending.told,
            "b_seconds": ending.seconds,
            "b_failures": ending.failures,
            "b_next": ending.next_run_at,
        },
    )
    run(connection, _meet_wish(), [{"b_name": claim.name, "b_started": claim.started_at, "b_now": now}])
    return bool(ended.rowcount)


@cache
def _end() -> Update:
    return _held().values(
        owner="",
        lease_until=None,
        ended_at=bindparam("b_ended"),
        outcome=bindparam("b_outcome"),
        told=bindparam("b_told"),
        seconds=bindparam("b_seconds"),
        failures=bindparam("b_failures"),
        next_run_at=bindparam("b_next"),
    )


@cache
def _meet_wish() -> Update:
    asked = _SCHEDULE.c.asked_at
    met = or_(asked <= bindparam("b_started"), asked > bindparam("b_now"))
    return update(_SCHEDULE).where(_SCHEDULE.c.name == bindparam("b_name"), met).values(asked_at=None)


def give_up_claim(connection: Connection, claim: Claim) -> None:
    """Ends a claim whose run did not end: the task is due as before, for any worker."""
    connection.execute(_held().values(owner="", lease_until=None), _holder(claim))


def ask_for_run(connection: Connection, name: str, local: datetime) -> datetime:
    """Wants a task that has a row run now; returns since when, in the schedule's time."""
    now = database_now(connection, local)
    connection.execute(update(_SCHEDULE).where(_SCHEDULE.c.name == name).values(asked_at=now))
    return now


def _held() -> Update:
    """Changes the row of a claim, see `_holder`, for as long as no other worker has it."""
    return update(_SCHEDULE).where(
        _SCHEDULE.c.name == bindparam("b_task"),
        _SCHEDULE.c.owner == bindparam("b_owner"),
        _SCHEDULE.c.token == bindparam("b_token"),
    )


def _holder(claim: Claim) -> dict[str, object]:
    return {"b_task": claim.name, "b_owner": claim.owner, "b_token": claim.token}
