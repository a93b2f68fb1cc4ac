"""What would have been pushed while observing, and what the reports on it are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from channelsync.domain.orders import OrderSnapshot
from channelsync.domain.quantities import PositionKey
from channelsync.store.among import among, values
from channelsync.store.codec import load, load_snapshot
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_PREDICTION = metadata.tables["prediction"]
_READ = metadata.tables["quantity_read"]
_ENTRY = metadata.tables["ledger_entry"]
_ORDER = metadata.tables["sales_order"]
_WRITE = metadata.tables["quantity_write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a key should have shown from then on. shown: what it did show; None: not known. steps: how it came about."""

    key: int
    channel: str
    at: datetime
    shown: int | None
    target: int
    steps: tuple[tuple[str, int, int, str, str | None], ...]


@dataclass(frozen=True, slots=True)
class ShownAt:
    """A number that a read of a key showed."""

    key: int
    at: datetime
    value: int


@dataclass(frozen=True, slots=True)
class AvailableChange:
    """By how much an entry changed what is available at a position, and when we knew."""

    position: PositionKey
    at: datetime
    units: int


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order of a channel, as last told."""

    channel: str
    said: OrderSnapshot


def record_predictions(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Keeps predictions; one of a known id stays as it is."""
    if rows:
        connection.execute(insert_ignoring(_PREDICTION, connection.dialect.name), list(rows))


def predictions(connection: Connection, begin: datetime, end: datetime) -> Iterator[Prediction]:
    """Per key the last one before `begin` and all up to `end`, oldest first."""
    before = (
        select(_PREDICTION.c.key, func.max(_PREDICTION.c.at).label("at"))
        .where(_PREDICTION.c.at < begin)
        .group_by(_PREDICTION.c.key)
        .subquery()
    )
    last = select(_PREDICTION).join(before, (before.c.key == _PREDICTION.c.key) & (before.c.at == _PREDICTION.c.at))
    during = select(_PREDICTION).where(_PREDICTION.c.at >= begin, _PREDICTION.c.at < end)
    for statement in (last, during):
        for row in connection.execute(statement.order_by(_PREDICTION.c.at, _PREDICTION.c.key)):
            yield _prediction(row)


def shown_numbers(connection: Connection, keys: Sequence[int], begin: datetime, end: datetime) -> Iterator[ShownAt]:
    """What reads of these keys showed: per key the last one before `begin` and all up to `end`, oldest first."""
    dialect = connection.dialect.name
    listed = {"keys": values(connection, list(keys))}
    before = (
        select(_READ.c.key, func.max(_READ.c.answered_at).label("at"))
        .where(among(_READ.c.key, "keys", dialect), _READ.c.answered_at < begin)
        .group_by(_READ.c.key)
        .subquery()
    )
    last = select(_READ).join(before, (before.c.key == _READ.c.key) & (before.c.at == _READ.c.answered_at))
    during = select(_READ).where(
        among(_READ.c.key, "keys", dialect), _READ.c.answered_at >= begin, _READ.c.answered_at < end
    )
    for statement in (last, during):
        for row in connection.execute(statement.order_by(_READ.c.answered_at, _READ.c.id), listed):
            yield ShownAt(row.key, row.answered_at, row.value)


def first_writes(connection: Connection, keys: Sequence[int], begin: datetime) -> dict[int, datetime]:
    """When our first own write to each of these keys was sent, from `begin` on; keys without one are left out."""
    found = connection.execute(
        select(_WRITE.c.key, func.min(_WRITE.c.sent_at).label("at"))
        .where(among(_WRITE.c.key, "keys", connection.dialect.name), _WRITE.c.sent_at >= begin)
        .group_by(_WRITE.c.key),
        {"keys": values(connection, list(keys))},
    )
    return {row.key: row.at for row in found}


def available_before(connection: Connection, items: Sequence[str], moment: datetime) -> dict[PositionKey, int]:
    """What was available at the positions of these items, as far as it was known at a moment."""
    net = func.sum(_ENTRY.c.on_hand - _ENTRY.c.reserved - _ENTRY.c.withheld)
    found = connection.execute(
        _entries(connection, net.label("units")).where(_ENTRY.c.recorded_at < moment).group_by(*_POSITION),
        {"items": values(connection, list(items))},
    )
    return {PositionKey(row.item, row.location): int(row.units) for row in found}


def available_changes(
    connection: Connection, items: Sequence[str], begin: datetime, end: datetime
) -> Iterator[AvailableChange]:
    """Every change of what is available at the positions of these items, in the order in which we knew of them."""
    net = _ENTRY.c.on_hand - _ENTRY.c.reserved - _ENTRY.c.withheld
    found = connection.execute(
        _entries(connection, net.label("units"), _ENTRY.c.recorded_at)
        .where(_ENTRY.c.recorded_at >= begin, _ENTRY.c.recorded_at < end, net != 0)
        .order_by(_ENTRY.c.recorded_at, *_POSITION, _ENTRY.c.number),
        {"items": values(connection, list(items))},
    )
    for row in found:
        yield AvailableChange(PositionKey(row.item, row.location), row.recorded_at, int(row.units))


def orders_placed(
    connection: Connection, channels: Sequence[str], begin: datetime, end: datetime
) -> Iterator[PlacedOrder]:
    """The orders that were placed on these channels in this time, oldest first."""
    found = connection.execute(
        select(_ORDER.c.channel, _ORDER.c.said)
        .where(
            among(_ORDER.c.channel, "channels", connection.dialect.name),
            _ORDER.c.placed_at >= begin,
            _ORDER.c.placed_at < end,
        )
        .order_by(_ORDER.c.placed_at, _ORDER.c.order),
        {"channels": values(connection, list(channels))},
    )
    for row in found:
        yield PlacedOrder(row.channel, load_snapshot(row.said))


_POSITION = (_ENTRY.c.item, _ENTRY.c.location)


def _entries(connection: Connection, *columns: Any) -> Select[Any]:
    return select(*_POSITION, *columns).where(among(_ENTRY.c.item, "items", connection.dialect.name))


def _prediction(row: Row[Any]) -> Prediction:
    steps = (load(row.why) or {}).get("steps", ())
    return Prediction(
        key=row.key,
        channel=row.channel,
        at=row.at,
        shown=row.shown,
        target=row.target,
        steps=tuple((name, before, after, why, rule) for name, before, after, why, rule in steps),
    )
