"""What the database knows of one item and its numbers, now and at a past time; for `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.quantities import PositionKey
from channelsync.store.among import among, values
from channelsync.store.codec import load
from channelsync.store.ledger import entry_of
from channelsync.store.tables import metadata

_RESERVATION = metadata.tables["reservation"]
_ENTRY = metadata.tables["ledger_entry"]
_WRITE = metadata.tables["quantity_write"]
_READ = metadata.tables["quantity_read"]
_EFFECT = metadata.tables["effect"]
_PROVISIONAL = metadata.tables["provisional"]
_PREDICTION = metadata.tables["prediction"]
_FINDING = metadata.tables["finding"]

PlainStep = tuple[str, int | None, int | None, str, str | None]
"""A step of an offer as `sync.steps` stores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedUnits:
    """Base units of one reservation that have not ended. kind: "order", or "provisional" (no order explains it yet)."""

    item: str
    location: str
    kind: str
    channel: str
    order: str
    line: str
    units: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWrite:
    """A write to a key. why: the decision that sent it; steps: how the number came about.

    outcome: what the channel answered, empty: nothing yet; reason: what it said. visible_at: when it was seen.
    """

    key: int
    generation: int
    value: int
    expected: int | None
    run: str
    sent_at: datetime
    answered_at: datetime | None
    outcome: str
    reason: str
    visible_at: datetime | None
    closed_at: datetime | None
    why: str
    steps: tuple[PlainStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRead:
    """A read of a key and what it meant: units unexplained, and what was expected, from low to high."""

    key: int
    value: int
    asked_at: datetime
    answered_at: datetime
    meaning: str
    units: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEffect:
    """What a booked order did to a key's number. settled: how it was; empty while it cannot be told."""

    key: int
    order: str
    delta: int
    earliest: datetime
    latest: datetime
    booked_at: datetime
    settled: str
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProvisional:
    """Units of a key held because a read showed a drop that no order explained then. Units are the key's."""

    key: int
    location: str
    units: int
    open: int
    found_at: datetime
    closed_at: datetime | None
    closed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrediction:
    """What an observed key should have shown from then on."""

    key: int
    at: datetime
    shown: int | None
    target: int
    steps: tuple[PlainStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingAbout:
    """A finding about the item or one of its numbers."""

    kind: str
    channel: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str


def reserved_units(connection: Connection, items: Sequence[str]) -> list[ReservedUnits]:
    """The open reservations of these items, oldest first."""
    found = connection.execute(
        select(_RESERVATION)
        .where(among(_RESERVATION.c.item, "items", connection.dialect.name), _RESERVATION.c.open > 0)
        .order_by(_RESERVATION.c.opened_at, _RESERVATION.c.id),
        {"items": values(connection, list(items))},
    )
    return [
        ReservedUnits(
            item=row.item,
            location=row.location,
            kind=row.kind,
            channel=row.channel,
            order=row.order,
            line=row.line,
            units=row.open,
            since=row.opened_at,
        )
        for row in found
    ]


def entries_until(connection: Connection, items: Sequence[str], at: datetime) -> dict[PositionKey, list[LedgerEntry]]:
    """The entries of these items that were recorded by then, by position, oldest first."""
    found = connection.execute(
        select(_ENTRY)
        .where(among(_ENTRY.c.item, "items", connection.dialect.name), _ENTRY.c.recorded_at <= at)
        .order_by(_ENTRY.c.item, _ENTRY.c.location, _ENTRY.c.number),
        {"items": values(connection, list(items))},
    )
    entries: dict[PositionKey, list[LedgerEntry]] = {}
    for row in found:
        entries.setdefault(PositionKey(row.item, row.location), []).append(entry_of(row))
    return entries


def writes_until(connection: Connection, key: int, at: datetime, limit: int) -> list[StoredWrite]:
    """The last writes to a key that were sent by then, newest first."""
    found = connection.execute(
        select(_WRITE)
        .where(_WRITE.c.key == key, _WRITE.c.sent_at <= at)
        .order_by(_WRITE.c.generation.desc())
        .limit(limit)
    )
    return [_write(row) for row in found]


def reads_until(connection: Connection, key: int, at: datetime, limit: int) -> list[StoredRead]:
    """The last reads of a key that told something new, answered by then, newest first."""
    return _reads(connection, (_READ.c.key == key, _READ.c.answered_at <= at), _READ.c.answered_at.desc(), limit)


def reads_after(connection: Connection, key: int, at: datetime, limit: int) -> list[StoredRead]:
    """The first reads of a key that told something new after then, oldest first."""
    return _reads(connection, (_READ.c.key == key, _READ.c.answered_at > at), _READ.c.answered_at, limit)


def open_effects(connection: Connection, key: int, at: datetime) -> list[StoredEffect]:
    """The effects of a key that were booked by then and not settled yet, oldest first."""
    found = connection.execute(
        select(_EFFECT)
        .where(_EFFECT.c.key == key, _EFFECT.c.booked_at <= at, _open_at(_EFFECT.c.settled_at, at))
        .order_by(_EFFECT.c.latest, _EFFECT.c.id)
    )
    return [
        StoredEffect(
            key=row.key,
            order=row.order,
            delta=row.delta,
            earliest=row.earliest,
            latest=row.latest,
            booked_at=row.booked_at,
            settled=row.settled,
            settled_at=row.settled_at,
        )
        for row in found
    ]


def provisionals_of(connection: Connection, key: int, at: datetime, limit: int) -> list[StoredProvisional]:
    """The last provisional reservations of a key that were found by then, newest first."""
    found = connection.execute(
        select(_PROVISIONAL)
        .where(_PROVISIONAL.c.key == key, _PROVISIONAL.c.found_at <= at)
        .order_by(_PROVISIONAL.c.found_at.desc(), _PROVISIONAL.c.id)
        .limit(limit)
    )
    return [
        StoredProvisional(
            key=row.key,
            location=row.location,
            units=row.units,
            open=row.open,
            found_at=row.found_at,
            closed_at=row.closed_at,
            closed_by=row.closed_by,
        )
        for row in found
    ]


def prediction_at(connection: Connection, key: int, at: datetime) -> StoredPrediction | None:
    """What an observed key should have shown at that time; None where nothing was predicted by then."""
    row = connection.execute(
        select(_PREDICTION)
        .where(_PREDICTION.c.key == key, _PREDICTION.c.at <= at)
        .order_by(_PREDICTION.c.at.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return StoredPrediction(key=row.key, at=row.at, shown=row.shown, target=row.target, steps=_steps(row.why))


def findings_about(connection: Connection, items: Sequence[str], at: datetime) -> list[FindingAbout]:
    """The findings about these items that were open at that time, newest first."""
    found = connection.execute(
        select(_FINDING)
        .where(
            among(_FINDING.c.item, "items", connection.dialect.name),
            _FINDING.c.opened_at <= at,
            _open_at(_FINDING.c.closed_at, at),
        )
        .order_by(_FINDING.c.opened_at.desc(), _FINDING.c.id.desc()),
        {"items": values(connection, list(items))},
    )
    return [
        FindingAbout(
            kind=row.kind,
            channel=row.channel,
            summary=row.summary,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            closed_why=row.closed_why,
        )
        for row in found
    ]


def _open_at(ended_at: Any, at: datetime) -> ColumnElement[bool]:
    return or_(ended_at.is_(None), ended_at > at)


def _reads(connection: Connection, where: Sequence[Any], order: Any, limit: int) -> list[StoredRead]:
    found = connection.execute(select(_READ).where(*where).order_by(order, _READ.c.id).limit(limit))
    return [
        StoredRead(
            key=row.key,
            value=row.value,
            asked_at=row.asked_at,
            answered_at=row.answered_at,
            meaning=row.meaning,
            units=row.units,
            low=row.low,
            high=row.high,
        )
        for row in found
    ]


def _write(row: Row[Any]) -> StoredWrite:
    return StoredWrite(
        key=row.key,
        generation=row.generation,
        value=row.value,
        expected=row.expected,
        run=row.run,
        sent_at=row.sent_at,
        answered_at=row.answered_at,
        outcome=row.outcome,
        reason=row.reason,
        visible_at=row.visible_at,
        closed_at=row.closed_at,
        why=(load(row.why) or {}).get("decision", row.reason),
        steps=_steps(row.why),
    )


def _steps(raw: bytes) -> tuple[PlainStep, ...]:
    stored = (load(raw) or {}).get("steps", ())
    return tuple((name, before, after, why, rule) for name, before, after, why, rule in stored)
