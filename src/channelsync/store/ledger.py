"""The only writer of ledger entries and positions: both in one transaction, or neither.

Locks are taken in one order everywhere: positions (item, then location), then quantity keys (by id), then the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, and_, bindparam, select, update

from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, append
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store.among import among, values
from channelsync.store.prepared import fetch, run
from channelsync.store.tables import metadata
from channelsync.store.together import Change, Into, Rows, write_together
from channelsync.store.upsert import insert_ignoring

_POSITION = metadata.tables["position"]
_ENTRY = metadata.tables["ledger_entry"]
_RESERVATION = metadata.tables["reservation"]
_CHANGED = ("on_hand", "reserved", "withheld", "entries", "head", "stated_by")
_MOVED = Into(_POSITION, keys=("item", "location"), update=_CHANGED)
_ADDED = Into(_ENTRY)
_OPENED = Into(_RESERVATION, keys=("id",), add=("open",))

Positions = dict[PositionKey, Position]


def lock_positions(connection: Connection, items: Iterable[str]) -> Positions:
    """All positions of these items, locked until the transaction ends."""
    wanted = sorted(set(items))
    if not wanted:
        return {}
    found = fetch(connection, _lock_positions(connection.dialect.name), {"items": values(connection, wanted)})
    return {position.key: position for position in map(_position, found)}


def keep_positions(connection: Connection, items: Iterable[str]) -> Positions:
    """All positions of these items, which nobody changes until the transaction ends; others may keep them as well.

    For whoever decides by them and does not write them: the publishers of many channels show the same items.
    """
    wanted = sorted(set(items))
    if not wanted:
        return {}
    found = fetch(connection, _keep_positions(connection.dialect.name), {"items": values(connection, wanted)})
    return {position.key: position for position in map(_position, found)}


def read_positions(connection: Connection, items: Iterable[str]) -> Positions:
    """All positions of these items, not locked."""
    wanted = sorted(set(items))
    if not wanted:
        return {}
    found = fetch(connection, _select_positions(connection.dialect.name), {"items": values(connection, wanted)})
    return {position.key: position for position in map(_position, found)}


def open_positions(connection: Connection, keys: Iterable[PositionKey]) -> None:
    """Makes sure that these positions exist, so that they can be locked. Call it before `lock_positions`."""
    rows = [{"item": key.item, "location": key.location} for key in sorted(set(keys))]
    if rows:
        connection.execute(insert_ignoring(_POSITION, connection.dialect.name), rows)


def write(
    connection: Connection,
    movements: Sequence[Movement],
    positions: Positions,
    now: datetime,
    *,
    new: bool = False,
    along: tuple[Sequence[Rows], Sequence[Change]] = ((), ()),
) -> list[LedgerEntry]:
    """Appends movements to the ledger and changes the positions they touch, which the caller has locked.

    positions: changed in place. Movements whose id is in the ledger already are left out: writing a cause twice
    changes nothing. Returns the entries that are new. Raises BadEntry when a reservation would end twice.
    new: the caller holds the row of their cause, which says that none of them was written; nothing is looked up.
    along: rows and changes of other tables that go with them, in the same round trip.
    """
    known = set() if new or not movements else _known(connection, [m.id for m in movements])
    entries: list[LedgerEntry] = []
    for movement in movements:
        if movement.id in known:
            continue
        known.add(movement.id)
        before = positions.get(movement.position) or Position(key=movement.position)
        positions[movement.position], entry = append(before, movement, now)
        entries.append(entry)
    touched = sorted({e.movement.position for e in entries})
    opened, ended = _reservations(entries)
    rows = (
        (_MOVED, [_position_row(positions[key]) for key in touched]),
        (_ADDED, [_entry_row(e) for e in entries]),
        (_OPENED, opened),
    )
    write_together(connection, (*along[0], *rows), along[1])
    if ended:
        run(connection, _end_reservations(), ended)
    return entries


def set_counted(connection: Connection, counted: Mapping[PositionKey, datetime]) -> None:
    """Says up to which moment shipments and returns are in the on hand of these positions already."""
    if counted:
        connection.execute(
            update(_POSITION)
            .where(_POSITION.c.item == bindparam("b_item"), _POSITION.c.location == bindparam("b_location"))
            .values(counted_up_to=bindparam("b_at")),
            [{"b_item": key.item, "b_location": key.location, "b_at": at} for key, at in sorted(counted.items())],
        )


def state(connection: Connection, stated: Iterable[PositionKey], positions: Positions, run: str) -> None:
    """Somebody has said how many units are at these locked positions, and that is as many as are booked.

    positions: changed in place. One of which it was said before stays as it is.
    """
    newly = sorted(key for key in set(stated) if not positions[key].stated_by)
    rows = [{"b_item": key.item, "b_location": key.location, "b_run": run} for key in newly]
    positions |= {key: replace(positions[key], stated_by=run) for key in newly}
    if rows:
        here = and_(_POSITION.c.item == bindparam("b_item"), _POSITION.c.location == bindparam("b_location"))
        connection.execute(update(_POSITION).where(here).values(stated_by=bindparam("b_run")), rows)


def _known(connection: Connection, ids: list[str]) -> set[str]:
    found = fetch(connection, _select_known(connection.dialect.name), {"ids": values(connection, ids)})
    return {row.id for row in found}


@cache
def _select_positions(dialect: str) -> Select[Any]:
    return (
        select(_POSITION)
        .where(among(_POSITION.c.item, "items", dialect))
        .order_by(_POSITION.c.item, _POSITION.c.location)
    )


@cache
def _lock_positions(dialect: str) -> Select[Any]:
    return _select_positions(dialect).with_for_update()


@cache
def _keep_positions(dialect: str) -> Select[Any]:
    return _select_positions(dialect).with_for_update(read=True)


@cache
def _select_known(dialect: str) -> Select[Any]:
    return select(_ENTRY.c.id).where(among(_ENTRY.c.id, "ids", dialect))


@cache
def _end_reservations() -> Update:
    return (
        update(_RESERVATION)
        .where(_RESERVATION.c.id == bindparam("b_id"))
        .values(open=_RESERVATION.c.open + bindparam("b_units"))
    )


def _reservations(entries: list[LedgerEntry]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rows of reservations that got units, and by how much others lost some: how many have not ended yet."""
    changes: dict[str, int] = {}
    first: dict[str, LedgerEntry] = {}
    for entry in entries:
        name = entry.movement.reservation
        if name and entry.movement.reserved:
            changes[name] = changes.get(name, 0) + entry.movement.reserved
            first.setdefault(name, entry)
    opened = [_reservation_row(first[name], units) for name, units in sorted(changes.items()) if units >= 0]
    ended: list[dict[str, object]] = [
        {"b_id": name, "b_units": units} for name, units in sorted(changes.items()) if units < 0
    ]
    return opened, ended


def _reservation_row(entry: LedgerEntry, units: int) -> dict[str, object]:
    movement = entry.movement
    return {
        "id": movement.reservation,
        "item": movement.position.item,
        "location": movement.position.location,
        "kind": "provisional" if movement.kind is EntryKind.PROVISIONAL else "order",
        "channel": movement.cause.channel,
        "order": movement.cause.order,
        "line": movement.cause.line,
        "open": units,
        "opened_at": movement.at,
    }


def _position(row: Row[Any]) -> Position:
    return Position(
        key=PositionKey(row.item, row.location),
        on_hand=row.on_hand,
        reserved=row.reserved,
        withheld=row.withheld,
        counted_up_to=row.counted_up_to,
        entries=row.entries,
        head=row.head,
        stated_by=row.stated_by,
    )


def _position_row(position: Position) -> dict[str, object]:
    return {
        "item": position.key.item,
        "location": position.key.location,
        "on_hand": position.on_hand,
        "reserved": position.reserved,
        "withheld": position.withheld,
        "entries": position.entries,
        "head": position.head,
        "stated_by": position.stated_by,
    }


def _entry_row(entry: LedgerEntry) -> dict[str, object]:
    movement, cause = entry.movement, entry.movement.cause
    return {
        "id": movement.id,
        "item": movement.position.item,
        "location": movement.position.location,
        "number": entry.number,
        "kind": movement.kind.value,
        "on_hand": movement.on_hand,
        "reserved": movement.reserved,
        "withheld": movement.withheld,
        "at": movement.at,
        "recorded_at": entry.recorded_at,
        "actor": cause.actor,
        "run": cause.run,
        "reason": cause.reason,
        "channel": cause.channel,
        "order": cause.order,
        "line": cause.line,
        "reservation": movement.reservation,
        "lot": movement.lot,
        "unit_cost": "" if movement.unit_cost is None else str(movement.unit_cost),
        "currency": movement.currency,
        "previous": entry.previous,
        "hash": entry.hash,
    }


def entry_of(row: Row[Any]) -> LedgerEntry:
    """A ledger entry from its row."""
    movement = Movement(
        id=row.id,
        position=PositionKey(row.item, row.location),
        kind=EntryKind(row.kind),
        on_hand=row.on_hand,
        reserved=row.reserved,
        withheld=row.withheld,
        at=row.at,
        cause=Cause(
            actor=row.actor, run=row.run, reason=row.reason, channel=row.channel, order=row.order, line=row.line
        ),
        reservation=row.reservation,
        lot=row.lot,
        unit_cost=Decimal(row.unit_cost) if row.unit_cost else None,
        currency=row.currency,
    )
    return LedgerEntry(
        movement=movement, number=row.number, recorded_at=row.recorded_at, previous=row.previous, hash=row.hash
    )
