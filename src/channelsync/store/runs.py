"""Runs (one command, import, rule change or daemon session) and their changes, so that they can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, tuple_, update

from channelsync.store.codec import dump, load
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_RUN = metadata.tables["run"]
_CHANGE = metadata.tables["change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. ended_at None: it goes on, or was killed. undone_by: the run that reversed it; empty: none did."""

    id: str
    command: str
    actor: str
    arguments: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    undone_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a mapping, rule, item or switch. before, after: plain values; None: it was not there."""

    run: str
    kind: str
    subject: str
    before: Any
    after: Any
    at: datetime


def begin_run(
    connection: Connection, run: str, command: str, actor: str, arguments: Mapping[str, object], now: datetime
) -> None:
    """Records that a run began; the same run again changes nothing."""
    connection.execute(
        insert_ignoring(_RUN, connection.dialect.name),
        [
            {
                "id": run,
                "command": command,
                "actor": actor,
                "arguments": dump(dict(arguments)),
                "started_at": now,
                "ended_at": None,
                "outcome": "",
                "undone_by": "",
            }
        ],
    )


def end_run(connection: Connection, run: str, outcome: str, now: datetime) -> None:
    """Records how a run ended."""
    connection.execute(update(_RUN).where(_RUN.c.id == run).values(ended_at=now, outcome=outcome))


def mark_undone(connection: Connection, run: str, by: str) -> None:
    """Records that a run was reversed by another."""
    connection.execute(update(_RUN).where(_RUN.c.id == run).values(undone_by=by))


def get_run(connection: Connection, run: str) -> Run | None:
    """A run; None when there is none of this id."""
    row = connection.execute(select(_RUN).where(_RUN.c.id == bindparam("b_id")), {"b_id": run}).first()
    return None if row is None else _run(row)


def latest_run(connection: Connection) -> tuple[str, datetime | None] | None:
    """The id of the latest run and when it ended; None when there is none. Ids begin with the time: they sort."""
    row = connection.execute(select(_RUN.c.id, _RUN.c.ended_at).order_by(_RUN.c.id.desc()).limit(1)).first()
    return None if row is None else (row.id, row.ended_at)


def list_runs(
    connection: Connection,
    limit: int = 50,
    *,
    after: tuple[datetime, str] | None = None,
    since: datetime | None = None,
    command: str = "",
) -> list[Run]:
    """The latest runs, newest first. after: only those behind this (begin, id). since: only those begun then or later.

    command: only of this command, or of those that begin with these words; empty: of all.
    """
    statement = select(_RUN).order_by(_RUN.c.started_at.desc(), _RUN.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(_RUN.c.started_at, _RUN.c.id) < tuple_(*after))
    if since is not None:
        statement = statement.where(_RUN.c.started_at >= since)
    if command:
        begins = _RUN.c.command.startswith(f"{command} ", autoescape=True)
        statement = statement.where(or_(_RUN.c.command == command, begins))
    return [_run(row) for row in connection.execute(statement)]


def record_change(connection: Connection, change: Change) -> None:
    """Keeps what a change was and what it became."""
    connection.execute(
        _CHANGE.insert(),
        [
            {
                "run": change.run,
                "kind": change.kind,
                "subject": change.subject,
                "before": dump(change.before),
                "after": dump(change.after),
                "at": change.at,
            }
        ],
    )


def changes_of(connection: Connection, run: str, limit: int | None = None) -> list[Change]:
    """The changes of one run, oldest first. limit: at most so many; None: all."""
    found = connection.execute(select(_CHANGE).where(_CHANGE.c.run == run).order_by(_CHANGE.c.id).limit(limit))
    return [
        Change(
            run=row.run,
            kind=row.kind,
            subject=row.subject,
            before=load(row.before),
            after=load(row.after),
            at=row.at,
        )
        for row in found
    ]


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        command=row.command,
        actor=row.actor,
        arguments=load(row.arguments) or {},
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        undone_by=row.undone_by,
    )
