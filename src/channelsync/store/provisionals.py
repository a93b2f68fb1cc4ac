"""Provisional reservations: units held because a read showed a drop that no order explains yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, literal_column, select, update

from channelsync.domain.findings import FindingKind, fingerprint
from channelsync.domain.provisional import Provisional
from channelsync.store import findings
from channelsync.store.among import among, values
from channelsync.store.codec import dump, load
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_ROW = metadata.tables["provisional"]

HOLDING = _ROW.c.open > literal_column("0")
"""Rows that still hold units. The 0 is part of the statement: with a parameter the index of just these rows is not used
by PostgreSQL, and SQLite prepares the statement anew each time."""


def open_provisionals(connection: Connection, keys: Iterable[int]) -> dict[int, list[Provisional]]:
    """The rows of these keys that still hold units, oldest first, locked."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found = fetch(connection, _select_open(connection.dialect.name), {"keys": values(connection, wanted)})
    rows: dict[int, list[Provisional]] = {}
    for row in found:
        rows.setdefault(row.key, []).append(provisional_of(row))
    return rows


@cache
def _select_open(dialect: str) -> Select[Any]:
    return (
        select(_ROW)
        .where(among(_ROW.c.key, "keys", dialect), HOLDING)
        .order_by(_ROW.c.key, _ROW.c.window_from, _ROW.c.id)
        .with_for_update()
    )


def add_provisionals(connection: Connection, channel: str, rows: Sequence[Provisional]) -> None:
    """Adds rows; one of a known id stays as it is."""
    if rows:
        connection.execute(
            insert_ignoring(_ROW, connection.dialect.name),
            [
                {
                    "id": row.id,
                    "key": row.key,
                    "channel": channel,
                    "location": row.location,
                    "takes": dump(row.takes),
                    "units": row.units,
                    "open": row.open,
                    "plausible": row.plausible,
                    "window_from": row.window_from,
                    "window_to": row.window_to,
                    "found_at": row.found_at,
                    "named": row.named,
                    "closed_at": None,
                    "closed_by": "",
                }
                for row in rows
            ],
        )


def close_units(connection: Connection, ended: Mapping[str, tuple[int, str]], now: datetime) -> None:
    """Ends units of rows: id -> (units, what ended them). Raises IntegrityError where more would end than is open.

    Where nothing more than plausible is held of a key any more, the finding that says so is closed.
    """
    rows = [{"b_id": name, "b_units": units, "b_by": by, "b_now": now} for name, (units, by) in sorted(ended.items())]
    if rows:
        connection.execute(
            update(_ROW)
            .where(_ROW.c.id == bindparam("b_id"))
            .values(open=_ROW.c.open - bindparam("b_units"), closed_at=bindparam("b_now"), closed_by=bindparam("b_by")),
            rows,
        )
        _close_implausible(connection, sorted(ended), now)


def _close_implausible(connection: Connection, ended: Sequence[str], now: datetime) -> None:
    found = connection.execute(_select_large(connection.dialect.name), {"ended": values(connection, ended)})
    wanted = set(found.scalars())
    held = open_provisionals(connection, wanted)
    over = [key for key in wanted if not any(row.excess and not row.named for row in held.get(key, ()))]
    closed = [fingerprint(FindingKind.IMPLAUSIBLE_DROP, str(key)) for key in over]
    findings.close_findings(connection, closed, "no more is held than the channel is likely to have sold", now)


@cache
def _select_large(dialect: str) -> Select[Any]:
    """The keys of those of these rows that held more than was plausible."""
    return select(_ROW.c.key).where(among(_ROW.c.id, "ended", dialect), _ROW.c.units > _ROW.c.plausible).distinct()


def provisional_of(row: Row[Any]) -> Provisional:
    """A provisional reservation from its row."""
    return Provisional(
        id=row.id,
        key=row.key,
        units=row.units,
        open=row.open,
        plausible=row.plausible,
        window_from=row.window_from,
        window_to=row.window_to,
        found_at=row.found_at,
        location=row.location,
        takes=tuple((item, units) for item, units in load(row.takes)),
        named=row.named,
    )
