"""Findings: opened once, closed once, and current while they are open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, func, select, tuple_, update

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.store.among import among, values
from channelsync.store.codec import dump, load
from channelsync.store.prepared import run
from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_FINDING = metadata.tables["finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFinding:
    """A finding as stored. closed_at None: it is open."""

    id: int
    fingerprint: str
    kind: str
    channel: str
    item: str
    summary: str
    evidence: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str


def open_findings(connection: Connection, findings: Iterable[Finding], now: datetime) -> None:
    """Opens those that are not open yet, and makes the others say what they say now; see `make_current`."""
    rows = {
        finding.fingerprint: {
            "fingerprint": finding.fingerprint,
            "kind": finding.kind.value,
            "channel": finding.channel,
            "item": finding.item,
            "summary": finding.summary,
            "evidence": dump(dict(finding.evidence)),
            "opened_at": now,
            "closed_at": None,
            "closed_why": "",
        }
        for finding in findings
    }
    if rows:
        statement = upsert(
            _FINDING,
            connection.dialect.name,
            keys=("fingerprint",),
            update=("summary", "evidence"),
            unique_where="closed_at IS NULL",
        )
        connection.execute(statement, [rows[name] for name in sorted(rows)])


def make_current(connection: Connection, findings: Iterable[Finding]) -> None:
    """Gives open findings the summary and evidence of these; those that are not open stay so.

    When they were opened stays as it was, so nobody is told of them again.
    """
    rows = {
        finding.fingerprint: {
            "b_fingerprint": finding.fingerprint,
            "b_summary": finding.summary,
            "b_evidence": dump(dict(finding.evidence)),
        }
        for finding in findings
    }
    if rows:
        connection.execute(_make_current(), [rows[name] for name in sorted(rows)])


@cache
def _make_current() -> Update:
    return (
        update(_FINDING)
        .where(_FINDING.c.fingerprint == bindparam("b_fingerprint"), _FINDING.c.closed_at.is_(None))
        .values(summary=bindparam("b_summary"), evidence=bindparam("b_evidence"))
    )


def close_findings(connection: Connection, fingerprints: Iterable[str], why: str, now: datetime) -> None:
    """Closes the open findings among these; the others are left alone."""
    wanted = sorted(set(fingerprints))
    if wanted:
        listed = {"fingerprints": values(connection, wanted), "b_now": now, "b_why": why}
        run(connection, _close(connection.dialect.name), [listed])


@cache
def _close(dialect: str) -> Update:
    return (
        update(_FINDING)
        .where(among(_FINDING.c.fingerprint, "fingerprints", dialect), _FINDING.c.closed_at.is_(None))
        .values(closed_at=bindparam("b_now"), closed_why=bindparam("b_why"))
    )


def list_findings(
    connection: Connection,
    *,
    kinds: Sequence[str] = (),
    channel: str = "",
    only_open: bool = True,
    limit: int = 1000,
    after: tuple[datetime, int] | None = None,
) -> list[StoredFinding]:
    """Findings, newest first. kinds empty: all. channel empty: all. after: only those behind this (opened, number)."""
    statement = select(_FINDING).order_by(_FINDING.c.opened_at.desc(), _FINDING.c.id.desc()).limit(limit)
    if only_open:
        statement = statement.where(_FINDING.c.closed_at.is_(None))
    if channel:
        statement = statement.where(_FINDING.c.channel == channel)
    if kinds:
        statement = statement.where(_FINDING.c.kind.in_(kinds))
    if after is not None:
        statement = statement.where(tuple_(_FINDING.c.opened_at, _FINDING.c.id) < tuple_(*after))
    return [_stored(row) for row in connection.execute(statement)]


def last_opened(connection: Connection, kind: FindingKind, *subject: str) -> datetime | None:
    """When a problem of this kind was last found whose subject begins so, be it closed by now; None: never."""
    begins = fingerprint(kind, *subject, "")
    found = select(func.max(_FINDING.c.opened_at)).where(
        _FINDING.c.kind == kind.value, _FINDING.c.fingerprint.startswith(begins, autoescape=True)
    )
    last: datetime | None = connection.execute(found).scalar()
    return last


def get_findings(connection: Connection, ids: Sequence[int]) -> dict[int, StoredFinding]:
    """Findings by their numbers; an unknown one is left out."""
    found = connection.execute(
        select(_FINDING).where(among(_FINDING.c.id, "ids", connection.dialect.name)), {"ids": values(connection, ids)}
    )
    return {row.id: _stored(row) for row in found}


def _stored(row: Row[Any]) -> StoredFinding:
    return StoredFinding(
        id=row.id,
        fingerprint=row.fingerprint,
        kind=row.kind,
        channel=row.channel,
        item=row.item,
        summary=row.summary,
        evidence=load(row.evidence),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        closed_why=row.closed_why,
    )
