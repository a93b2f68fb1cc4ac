"""Orders looked at: for lists, for one order whole, for booking again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, and_, bindparam, or_, select, tuple_

from channelsync.domain.booked import BookedOrder
from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.orders import OrderSnapshot
from channelsync.store.among import among, values
from channelsync.store.codec import load_booked, load_snapshot
from channelsync.store.ledger import entry_of
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_ORDER = metadata.tables["sales_order"]
_UNREADABLE = metadata.tables["unreadable_order"]
_ENTRY = metadata.tables["ledger_entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """An order's row. said: as last told; booked: as booked. unmapped: lines that wait for an item.

    expires_at: when what it holds ends without news; None: never.
    """

    channel: str
    order: str
    said: OrderSnapshot
    booked: BookedOrder
    first_seen_at: datetime
    booked_at: datetime
    expires_at: datetime | None
    unmapped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOrder:
    """An order that could not be understood. raw: what the channel sent, less everything about the buyer."""

    channel: str
    order: str
    reason: str
    raw: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersWanted:
    """Which orders to look at; what is empty does not restrict. orders: ids; item: those that took units of it."""

    channel: str = ""
    orders: Sequence[str] = ()
    status: str = ""
    item: str = ""
    since: datetime | None = None
    until: datetime | None = None
    only_unmapped: bool = False


def find_orders(
    connection: Connection,
    wanted: OrdersWanted,
    limit: int | None = None,
    *,
    after: tuple[datetime, str, str] | None = None,
) -> list[StoredOrder]:
    """Orders by when they were placed, newest first. after: only those behind this (time, channel, order)."""
    statement, parameters = _wanted(connection, wanted)
    if after is not None:
        statement = statement.where(_behind(_ORDER, _ORDER.c.placed_at, after))
    ordered = statement.order_by(_ORDER.c.placed_at.desc(), _ORDER.c.channel, _ORDER.c.order).limit(limit)
    return [_order(row) for row in connection.execute(ordered, parameters)]


def orders_after(connection: Connection, wanted: OrdersWanted, after: tuple[str, str], limit: int) -> list[StoredOrder]:
    """A page of orders by channel and id, those behind `after` (channel, order); for whoever goes through all."""
    statement, parameters = _wanted(connection, wanted)
    name = tuple_(_ORDER.c.channel, _ORDER.c.order)
    page = statement.where(name > tuple_(*after)).order_by(_ORDER.c.channel, _ORDER.c.order).limit(limit)
    return [_order(row) for row in connection.execute(page, parameters)]


def _wanted(connection: Connection, wanted: OrdersWanted) -> tuple[Select[Any], dict[str, object]]:
    statement = select(_ORDER)
    parameters: dict[str, object] = {}
    if wanted.channel:
        statement = statement.where(_ORDER.c.channel == wanted.channel)
    if wanted.orders:
        statement = statement.where(among(_ORDER.c.order, "orders", connection.dialect.name))
        parameters["orders"] = values(connection, list(wanted.orders))
    if wanted.status:
        statement = statement.where(_ORDER.c.status == wanted.status)
    if wanted.since is not None:
        statement = statement.where(_ORDER.c.placed_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(_ORDER.c.placed_at < wanted.until)
    if wanted.only_unmapped:
        statement = statement.where(_ORDER.c.unmapped > 0)
    if wanted.item:
        took = select(_ENTRY.c.id).where(
            _ENTRY.c.channel == _ORDER.c.channel, _ENTRY.c.order == _ORDER.c.order, _ENTRY.c.item == wanted.item
        )
        statement = statement.where(took.exists())
    return statement, parameters


def waiting_orders(connection: Connection, channel: str, after: str, limit: int) -> list[StoredOrder]:
    """Orders of a channel with lines that wait for an item, by id, those behind `after`; not locked."""
    span = {"channel": channel, "after": after, "most": limit}
    return [_order(row) for row in fetch(connection, _select_waiting(), span)]


@cache
def _select_waiting() -> Select[Any]:
    theirs = select(_ORDER).where(_ORDER.c.channel == bindparam("channel"), _ORDER.c.unmapped > 0)
    behind = theirs.where(_ORDER.c.order > bindparam("after"))
    return behind.order_by(_ORDER.c.order).limit(bindparam("most"))


def _behind(table: Table, column: Column[Any], after: tuple[datetime, str, str]) -> ColumnElement[bool]:
    at, *name = after
    return or_(column < at, and_(column == at, tuple_(table.c.channel, table.c.order) > tuple_(*name)))


def kept_orders(
    connection: Connection,
    *,
    channel: str = "",
    order: str = "",
    after: tuple[datetime, str, str] | None = None,
    limit: int | None = None,
) -> list[KeptOrder]:
    """Orders that could not be understood, the latest first. Empty arguments do not restrict; after: see above."""
    statement = select(_UNREADABLE).order_by(_UNREADABLE.c.seen_at.desc(), _UNREADABLE.c.channel, _UNREADABLE.c.order)
    if channel:
        statement = statement.where(_UNREADABLE.c.channel == channel)
    if order:
        statement = statement.where(_UNREADABLE.c.order == order)
    if after is not None:
        statement = statement.where(_behind(_UNREADABLE, _UNREADABLE.c.seen_at, after))
    return [KeptOrder(**row) for row in connection.execute(statement.limit(limit)).mappings()]


def entries_of_order(connection: Connection, channel: str, order: str) -> list[LedgerEntry]:
    """The ledger entries that an order caused, in the order of their making."""
    found = connection.execute(
        select(_ENTRY)
        .where(_ENTRY.c.channel == channel, _ENTRY.c.order == order)
        .order_by(_ENTRY.c.recorded_at, _ENTRY.c.item, _ENTRY.c.location, _ENTRY.c.number)
    )
    return [entry_of(row) for row in found]


def _order(row: Row[Any]) -> StoredOrder:
    return StoredOrder(
        channel=row.channel,
        order=row.order,
        said=load_snapshot(row.said),
        booked=load_booked(
            row.booked,
            channel=row.channel,
            order=row.order,
            version=row.version,
            content=row.content,
            status=row.status,
        ),
        first_seen_at=row.first_seen_at,
        booked_at=row.booked_at,
        expires_at=row.expires_at,
        unmapped=row.unmapped,
    )
