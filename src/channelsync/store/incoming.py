"""Units on their way, by position and the caller's reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Connection, and_, delete, select

from channelsync.domain.quantities import PositionKey
from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_INCOMING = metadata.tables["incoming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Units on their way. due None: nobody knows when."""

    position: PositionKey
    reference: str
    units: int
    due: date | None = None


def find_incoming(connection: Connection, position: PositionKey, reference: str) -> Incoming | None:
    """What is on its way under a reference, locked; None: nothing."""
    row = connection.execute(select(_INCOMING).where(_this(position, reference)).with_for_update()).first()
    return None if row is None else Incoming(position=position, reference=reference, units=row.units, due=row.due)


def references_of(connection: Connection, position: PositionKey) -> list[str]:
    """Under which references units are on their way to a position."""
    found = connection.execute(
        select(_INCOMING.c.reference)
        .where(_INCOMING.c.item == position.item, _INCOMING.c.location == position.location)
        .order_by(_INCOMING.c.reference)
    )
    return list(found.scalars())


def save_incoming(connection: Connection, wanted: Incoming, run: str) -> None:
    """Says how many units are on their way under a reference; none any more where there are 0."""
    if wanted.units == 0:
        connection.execute(delete(_INCOMING).where(_this(wanted.position, wanted.reference)))
        return
    row = {
        "item": wanted.position.item,
        "location": wanted.position.location,
        "reference": wanted.reference,
        "units": wanted.units,
        "due": wanted.due,
        "run": run,
    }
    keys = ("item", "location", "reference")
    connection.execute(upsert(_INCOMING, connection.dialect.name, keys=keys, update=("units", "due", "run")), [row])


def incoming_of_item(connection: Connection, item: str) -> list[Incoming]:
    """All that is on its way of an item, locked."""
    found = connection.execute(
        select(_INCOMING)
        .where(_INCOMING.c.item == item)
        .order_by(_INCOMING.c.location, _INCOMING.c.reference)
        .with_for_update()
    )
    return [
        Incoming(position=PositionKey(row.item, row.location), reference=row.reference, units=row.units, due=row.due)
        for row in found
    ]


def _this(position: PositionKey, reference: str) -> ColumnElement[bool]:
    return and_(
        _INCOMING.c.item == position.item,
        _INCOMING.c.location == position.location,
        _INCOMING.c.reference == reference,
    )
