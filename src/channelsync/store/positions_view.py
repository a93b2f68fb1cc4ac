"""Positions looked at: for lists, for one item whole, for its history, for exports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, tuple_

from channelsync.store.among import among, values
from channelsync.store.tables import metadata

_ITEM = metadata.tables["item"]
_POSITION = metadata.tables["position"]
_ENTRY = metadata.tables["ledger_entry"]
_RESERVATION = metadata.tables["reservation"]
_INCOMING = metadata.tables["incoming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionOnView:
    """One item at one location. available: on hand - reserved - withheld. oversold: units promised but not there.

    counted_up_to: shipments and returns up to then are in on hand already; None: nothing was counted.
    """

    sku: str
    title: str
    location: str
    on_hand: int
    reserved: int
    withheld: int
    available: int
    oversold: int
    counted_up_to: datetime | None
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationOnView:
    """Units promised and not shipped. order: empty where none does, as for a provisional reservation."""

    location: str
    kind: str
    channel: str
    order: str
    line: str
    open: int
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisedOnView(ReservationOnView):
    """Units of a SKU promised and not shipped. kind: "order", or "provisional" where no order explains them yet."""

    sku: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisesWanted:
    """Which reservations to look at; what is empty does not restrict. item: its id."""

    item: str = ""
    location: str = ""
    channel: str = ""
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingOnView:
    """Units on their way. due None: nobody knows."""

    location: str
    reference: str
    units: int
    due: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOnView:
    """One ledger entry, as a person reads it. at: when it happened; recorded_at: when we wrote it."""

    at: datetime
    recorded_at: datetime
    location: str
    number: int
    kind: str
    on_hand: int
    reserved: int
    withheld: int
    reason: str
    actor: str
    run: str
    channel: str
    order: str
    lot: str
    unit_cost: str
    currency: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsWanted:
    """Which positions to look at; what is empty does not restrict. items: ids; search: a part of SKU or title.

    below: only those with less available; None: whatever is available. everything: also those that never had a unit.
    only_stated: of items of which somebody has said how many units there are.
    """

    items: Collection[str] | None = None
    search: str = ""
    location: str = ""
    below: int | None = None
    only_withheld: bool = False
    everything: bool = False
    only_stated: bool = False


def find_positions(
    connection: Connection,
    wanted: PositionsWanted,
    *,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[PositionOnView]:
    """Positions by SKU and location; those of items that were merged are left out.

    after: only those behind this (SKU, location). limit: at most so many.
    """
    available = _POSITION.c.on_hand - _POSITION.c.reserved - _POSITION.c.withheld
    statement = _joined().where(_ITEM.c.merged_into.is_(None))
    parameters: dict[str, object] = {}
    if wanted.items is not None:
        statement = statement.where(among(_POSITION.c.item, "items", connection.dialect.name))
        parameters["items"] = values(connection, sorted(wanted.items))
    if wanted.search:
        statement = statement.where(
            or_(
                _ITEM.c.sku.icontains(wanted.search, autoescape=True),
                _ITEM.c.title.icontains(wanted.search, autoescape=True),
            )
        )
    if wanted.location:
        statement = statement.where(_POSITION.c.location == wanted.location)
    if wanted.below is not None:
        statement = statement.where(available < wanted.below)
    if wanted.only_withheld:
        statement = statement.where(_POSITION.c.withheld > 0)
    if not wanted.everything:
        statement = statement.where(_POSITION.c.entries > 0)
    if wanted.only_stated:
        other = _POSITION.alias("other")
        said = select(other.c.item).where(other.c.item == _POSITION.c.item, other.c.stated_by != "")
        statement = statement.where(said.exists())
    if after is not None:
        statement = statement.where(tuple_(_ITEM.c.sku, _POSITION.c.location) > tuple_(*after))
    for row in connection.execute(statement.limit(limit), parameters):
        yield _position(row)


def _joined() -> Select[Any]:
    return (
        select(_POSITION, _ITEM.c.sku, _ITEM.c.title)
        .join_from(_POSITION, _ITEM, _ITEM.c.id == _POSITION.c.item)
        .order_by(_ITEM.c.sku, _POSITION.c.location)
    )


def _position(row: Row[Any]) -> PositionOnView:
    available = row.on_hand - row.reserved - row.withheld
    return PositionOnView(
        sku=row.sku,
        title=row.title,
        location=row.location,
        on_hand=row.on_hand,
        reserved=row.reserved,
        withheld=row.withheld,
        available=available,
        oversold=max(0, -available),
        counted_up_to=row.counted_up_to,
        item=row.item,
    )


def open_reservations(connection: Connection, item: str) -> list[ReservationOnView]:
    """What is promised of an item, the oldest first."""
    columns = ("location", "kind", "channel", "order", "line", "open", "opened_at")
    found = connection.execute(
        select(*(_RESERVATION.c[name] for name in columns))
        .where(_RESERVATION.c.item == item, _RESERVATION.c.open > 0)
        .order_by(_RESERVATION.c.opened_at, _RESERVATION.c.id)
    )
    return [ReservationOnView(**row) for row in found.mappings()]


def find_promises(
    connection: Connection, wanted: PromisesWanted, *, after: tuple[datetime, str] | None = None, limit: int
) -> list[PromisedOnView]:
    """What is promised, the oldest first. after: only what is behind the one of this (time, id)."""
    columns = ("id", "location", "kind", "channel", "order", "line", "open", "opened_at")
    statement = (
        select(*(_RESERVATION.c[name] for name in columns), _ITEM.c.sku)
        .join_from(_RESERVATION, _ITEM, _ITEM.c.id == _RESERVATION.c.item)
        .where(_RESERVATION.c.open > 0)
        .order_by(_RESERVATION.c.opened_at, _RESERVATION.c.id)
        .limit(limit)
    )
    for name in ("item", "location", "channel", "order"):
        said = getattr(wanted, name)
        if said:
            statement = statement.where(_RESERVATION.c[name] == said)
    if after is not None:
        statement = statement.where(tuple_(_RESERVATION.c.opened_at, _RESERVATION.c.id) > tuple_(*after))
    return [PromisedOnView(**row) for row in connection.execute(statement).mappings()]


def incoming_of(connection: Connection, item: str) -> list[IncomingOnView]:
    """What is on its way of an item, by the day it is due."""
    columns = ("location", "reference", "units", "due")
    found = connection.execute(
        select(*(_INCOMING.c[name] for name in columns))
        .where(_INCOMING.c.item == item)
        .order_by(_INCOMING.c.due.is_(None), _INCOMING.c.due, _INCOMING.c.reference)
    )
    return [IncomingOnView(**row) for row in found.mappings()]


def history_of(
    connection: Connection,
    item: str,
    *,
    location: str = "",
    since: datetime | None = None,
    after: tuple[datetime, str, int] | None = None,
    limit: int | None = None,
) -> Sequence[EntryOnView]:
    """The entries of an item, the one written last first. Empty arguments do not restrict.

    after: only those behind the entry with this (time of writing, location, number).
    """
    columns = (
        *("at", "recorded_at", "location", "number", "kind", "on_hand", "reserved", "withheld", "reason", "actor"),
        *("run", "channel", "order", "lot", "unit_cost", "currency", "id"),
    )
    statement = (
        select(*(_ENTRY.c[name] for name in columns))
        .where(_ENTRY.c.item == item)
        .order_by(_ENTRY.c.recorded_at.desc(), _ENTRY.c.location, _ENTRY.c.number.desc())
        .limit(limit)
    )
    if location:
        statement = statement.where(_ENTRY.c.location == location)
    if since is not None:
        statement = statement.where(_ENTRY.c.recorded_at >= since)
    if after is not None:
        at, where, number = after
        behind = or_(_ENTRY.c.location > where, and_(_ENTRY.c.location == where, _ENTRY.c.number < number))
        statement = statement.where(or_(_ENTRY.c.recorded_at < at, and_(_ENTRY.c.recorded_at == at, behind)))
    return [EntryOnView(**row) for row in connection.execute(statement).mappings()]
