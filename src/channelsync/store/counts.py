"""What a count must know: what has happened since the moment it speaks of, and what orders held at that moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from channelsync.domain.quantities import PositionKey
from channelsync.store import ledger
from channelsync.store.among import among, values
from channelsync.store.codec import load
from channelsync.store.runs import Change, record_change
from channelsync.store.tables import metadata

_ENTRY = metadata.tables["ledger_entry"]
_RESERVATION = metadata.tables["reservation"]
_ORDER = metadata.tables["sales_order"]
_CHANGE = metadata.tables["change"]
_RUN = metadata.tables["run"]

COUNTED = "counted"
"""The kind of a `Change` that remembers which positions a run counted; see `record_counts`."""


def on_hand_since(
    connection: Connection, items: Iterable[str], as_of: datetime, orders_up_to: datetime
) -> dict[PositionKey, int]:
    """By how much on hand has changed since a count of what is physically there.

    Of orders counts what was shipped or came back after `orders_up_to`, of all else what happened after `as_of`.
    """
    later = or_(and_(_ENTRY.c.order == "", _ENTRY.c.at > as_of), and_(_ENTRY.c.order != "", _ENTRY.c.at > orders_up_to))
    return _sums(connection, items, _ENTRY.c.on_hand, later)


def for_sale_since(
    connection: Connection, items: Iterable[str], as_of: datetime, orders_up_to: datetime
) -> dict[PositionKey, int]:
    """By how much on hand, less what is withheld, has changed since somebody said how much is available.

    Orders placed after `orders_up_to` were not counted, so all that was shipped of them counts. Of orders that were,
    a shipment takes a unit that was not available already; only what came back after `as_of` counts.
    """
    placed_later = _ORDER.c.placed_at > orders_up_to
    later = or_(
        and_(_ENTRY.c.order == "", _ENTRY.c.at > as_of),
        and_(_ENTRY.c.order != "", or_(placed_later, and_(_ENTRY.c.reserved == 0, _ENTRY.c.at > as_of))),
    )
    return _sums(connection, items, _ENTRY.c.on_hand - _ENTRY.c.withheld, later)


def _sums(
    connection: Connection, items: Iterable[str], what: ColumnElement[Any], which: ColumnElement[bool]
) -> dict[PositionKey, int]:
    found = connection.execute(
        select(_ENTRY.c.item, _ENTRY.c.location, func.sum(what).label("units"))
        .join_from(
            _ENTRY,
            _ORDER,
            and_(_ORDER.c.channel == _ENTRY.c.channel, _ORDER.c.order == _ENTRY.c.order),
            isouter=True,
        )
        .where(among(_ENTRY.c.item, "items", connection.dialect.name), which)
        .group_by(_ENTRY.c.item, _ENTRY.c.location),
        {"items": values(connection, sorted(set(items)))},
    )
    return {PositionKey(row.item, row.location): int(row.units) for row in found}


@dataclass(frozen=True, slots=True)
class Promised:
    """Units that are promised to orders, and when the first of those orders was placed."""

    units: int
    since: datetime


def promised_to_orders(
    connection: Connection, items: Iterable[str], placed_up_to: datetime
) -> dict[PositionKey, Promised]:
    """What is promised still to orders placed up to then. Provisional reservations are not among them."""
    found = connection.execute(
        select(
            _RESERVATION.c.item,
            _RESERVATION.c.location,
            func.sum(_RESERVATION.c.open).label("units"),
            func.min(_ORDER.c.placed_at).label("since"),
        )
        .join_from(
            _RESERVATION,
            _ORDER,
            and_(_ORDER.c.channel == _RESERVATION.c.channel, _ORDER.c.order == _RESERVATION.c.order),
        )
        .where(
            among(_RESERVATION.c.item, "items", connection.dialect.name),
            _RESERVATION.c.open > 0,
            _ORDER.c.placed_at <= placed_up_to,
        )
        .group_by(_RESERVATION.c.item, _RESERVATION.c.location),
        {"items": values(connection, sorted(set(items)))},
    )
    return {PositionKey(row.item, row.location): Promised(int(row.units), row.since) for row in found}


@dataclass(frozen=True, slots=True)
class CountOf:
    """One count of one position. was, up_to: `counted_up_to` before and after it."""

    position: PositionKey
    as_of: datetime
    was: datetime | None
    up_to: datetime | None


def record_counts(connection: Connection, run: str, counts: Iterable[CountOf], now: datetime) -> None:
    """Remembers which positions a run counted, as of when: to undo it, and to know a count that is overtaken.

    One row a run, however many positions.
    """
    alike: dict[tuple[str, datetime, datetime | None, datetime | None], list[str]] = {}
    for one in counts:
        alike.setdefault((one.position.location, one.as_of, one.was, one.up_to), []).append(one.position.item)
    told = [
        {"location": location, "as_of": as_of, "was": was, "up_to": up_to, "items": sorted(items)}
        for (location, as_of, was, up_to), items in alike.items()
    ]
    if told:
        record_change(connection, Change(run=run, kind=COUNTED, subject="", before=None, after=told, at=now))


def counts_of(after: Any) -> Iterator[CountOf]:
    """The counts that a `Change` of kind COUNTED remembers."""
    for one in after or ():
        as_of, was, up_to = (
            datetime.fromisoformat(one[name]) if one[name] else None for name in ("as_of", "was", "up_to")
        )
        for item in one["items"]:
            if as_of is not None:
                yield CountOf(PositionKey(item, one["location"]), as_of, was, up_to)


def counts_recorded_since(connection: Connection, since: datetime, *, but: str = "") -> dict[PositionKey, datetime]:
    """As of when positions were counted by what was recorded after `since` and not undone, the latest of each.

    but: a run whose counts are left out.
    """
    found = connection.execute(
        select(_CHANGE.c.after)
        .join_from(_CHANGE, _RUN, _RUN.c.id == _CHANGE.c.run)
        .where(_CHANGE.c.kind == COUNTED, _CHANGE.c.at > since, _CHANGE.c.run != but, _RUN.c.undone_by == "")
    )
    latest: dict[PositionKey, datetime] = {}
    for after in found.scalars():
        for one in counts_of(load(after)):
            latest[one.position] = max(one.as_of, latest.get(one.position, one.as_of))
    return latest


def set_counted_up_to(connection: Connection, counted: Mapping[PositionKey, datetime | None]) -> None:
    """Says up to which moment shipments and returns are in the on hand of locked positions; None: none is."""
    ledger.set_counted(connection, cast("Mapping[PositionKey, datetime]", counted))
