"""What `verify` reads: every entry in the order of its chain, and everything that ought to add up to it.

Large tables are read page by page, so that a ledger of millions of entries needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, String, bindparam, func, or_, select, tuple_

from channelsync.domain.booked import BookedOrder
from channelsync.domain.errors import DomainError
from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.provisional import Provisional
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store.among import among, values
from channelsync.store.codec import load_booked
from channelsync.store.ledger import entry_of
from channelsync.store.provisionals import provisional_of
from channelsync.store.tables import metadata

_ITEM = metadata.tables["item"]
_POSITION = metadata.tables["position"]
_ENTRY = metadata.tables["ledger_entry"]
_RESERVATION = metadata.tables["reservation"]
_ORDER = metadata.tables["sales_order"]
_PROVISIONAL = metadata.tables["provisional"]
_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]

ENTRIES_AT_ONCE = 5_000
ORDERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it lies in the table. entry None: what lies there cannot be an entry; `wrong` says why."""

    position: PositionKey
    number: int
    entry: LedgerEntry | None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class OpenUnits:
    """A reservation's open units by its row, and by its entries. row None: there is no row of it."""

    id: str
    position: PositionKey
    channel: str
    order: str
    row: int | None
    entries: int


@dataclass(frozen=True, slots=True)
class ReservedUnits:
    """Units reserved at a position by its row, and by its reservations. row None: there is no position."""

    position: PositionKey
    row: int | None
    reservations: int


@dataclass(frozen=True, slots=True)
class OrderAsBooked:
    """An order as it was booked. booked None: what lies in the table cannot be one; `wrong` says why."""

    channel: str
    order: str
    booked: BookedOrder | None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class WriteOfKey:
    """Two writes of one key, the newer generation behind the older one. newer None: that of the key's own row."""

    key: int
    channel: str
    listing: str
    generation: int
    newer: int | None
    sent: datetime | None = None
    newer_sent: datetime | None = None


def entries_in_order(connection: Connection) -> Iterator[StoredEntry]:
    """Every entry, position by position, the oldest of each first."""
    statement = _entries_after()
    after: dict[str, object] = {"b_item": "", "b_location": "", "b_number": 0}
    while True:
        page = connection.execute(statement, after).all()
        for row in page:
            yield _stored_entry(row)
        if len(page) < ENTRIES_AT_ONCE:
            return
        last = page[-1]
        after = {"b_item": last.item, "b_location": last.location, "b_number": last.number}


def _entries_after() -> Select[Any]:
    chain = (_ENTRY.c.item, _ENTRY.c.location, _ENTRY.c.number)
    last = (
        bindparam("b_item", type_=String),
        bindparam("b_location", type_=String),
        bindparam("b_number", type_=Integer),
    )
    return select(_ENTRY).where(tuple_(*chain) > tuple_(*last)).order_by(*chain).limit(ENTRIES_AT_ONCE)


def _stored_entry(row: Row[Any]) -> StoredEntry:
    key = PositionKey(row.item, row.location)
    try:
        return StoredEntry(key, row.number, entry_of(row))
    except (DomainError, ValueError, ArithmeticError) as error:
        return StoredEntry(key, row.number, None, str(error))


def all_positions(connection: Connection) -> dict[PositionKey, Position]:
    """Every position as its row says."""
    found: dict[PositionKey, Position] = {}
    for row in connection.execute(select(_POSITION)):
        key = PositionKey(row.item, row.location)
        found[key] = Position(
            key=key,
            on_hand=row.on_hand,
            reserved=row.reserved,
            withheld=row.withheld,
            counted_up_to=row.counted_up_to,
            entries=row.entries,
            head=row.head,
        )
    return found


def reservations_that_differ(connection: Connection) -> Iterator[OpenUnits]:
    """Reservations whose open units are not the sum of their entries."""
    sums = (
        select(_ENTRY.c.reservation, _ENTRY.c.item, _ENTRY.c.location, func.sum(_ENTRY.c.reserved).label("units"))
        .where(_ENTRY.c.reservation != "")
        .group_by(_ENTRY.c.reservation, _ENTRY.c.item, _ENTRY.c.location)
        .subquery()
    )
    same = (
        (sums.c.reservation == _RESERVATION.c.id)
        & (sums.c.item == _RESERVATION.c.item)
        & (sums.c.location == _RESERVATION.c.location)
    )
    rows = select(_RESERVATION, func.coalesce(sums.c.units, 0).label("units")).join_from(
        _RESERVATION, sums, same, isouter=True
    )
    for row in connection.execute(rows.where(_RESERVATION.c.open != func.coalesce(sums.c.units, 0))):
        yield OpenUnits(row.id, PositionKey(row.item, row.location), row.channel, row.order, row.open, int(row.units))
    without = select(sums).join_from(sums, _RESERVATION, same, isouter=True)
    for row in connection.execute(without.where(_RESERVATION.c.id.is_(None), sums.c.units != 0)):
        yield OpenUnits(row.reservation, PositionKey(row.item, row.location), "", "", None, int(row.units))


def positions_that_differ(connection: Connection) -> Iterator[ReservedUnits]:
    """Positions whose reserved units are not the sum of their reservations' open ones."""
    sums = (
        select(_RESERVATION.c.item, _RESERVATION.c.location, func.sum(_RESERVATION.c.open).label("units"))
        .group_by(_RESERVATION.c.item, _RESERVATION.c.location)
        .subquery()
    )
    same = (sums.c.item == _POSITION.c.item) & (sums.c.location == _POSITION.c.location)
    units = func.coalesce(sums.c.units, 0)
    rows = select(_POSITION.c.item, _POSITION.c.location, _POSITION.c.reserved, units.label("units"))
    for row in connection.execute(
        rows.join_from(_POSITION, sums, same, isouter=True).where(_POSITION.c.reserved != units)
    ):
        yield ReservedUnits(PositionKey(row.item, row.location), row.reserved, int(row.units))
    without = select(sums).join_from(sums, _POSITION, same, isouter=True)
    for row in connection.execute(without.where(_POSITION.c.item.is_(None), sums.c.units != 0)):
        yield ReservedUnits(PositionKey(row.item, row.location), None, int(row.units))


def booked_orders_by_page(connection: Connection) -> Iterator[list[OrderAsBooked]]:
    """Every order as booked, page by page."""
    columns = (_ORDER.c.channel, _ORDER.c.order)
    last = (bindparam("b_channel", type_=String), bindparam("b_order", type_=String))
    statement = (
        select(*columns, _ORDER.c.version, _ORDER.c.content, _ORDER.c.status, _ORDER.c.booked)
        .where(tuple_(*columns) > tuple_(*last))
        .order_by(*columns)
        .limit(ORDERS_AT_ONCE)
    )
    after: dict[str, object] = {"b_channel": "", "b_order": ""}
    while True:
        page = connection.execute(statement, after).all()
        if page:
            yield [_order_as_booked(row) for row in page]
        if len(page) < ORDERS_AT_ONCE:
            return
        after = {"b_channel": page[-1].channel, "b_order": page[-1].order}


def _order_as_booked(row: Any) -> OrderAsBooked:
    try:
        booked = load_booked(
            row.booked,
            channel=row.channel,
            order=row.order,
            version=row.version,
            content=row.content,
            status=row.status,
        )
    except (DomainError, ValueError, TypeError, KeyError) as error:
        return OrderAsBooked(row.channel, row.order, None, f"{type(error).__name__}: {error}")
    return OrderAsBooked(row.channel, row.order, booked)


def open_by_order(connection: Connection, channel: str, orders: list[str]) -> dict[str, OpenUnits]:
    """The reservations of these orders of a channel, by id; entries: not looked up, 0."""
    found = connection.execute(
        select(_RESERVATION).where(
            _RESERVATION.c.channel == channel,
            _RESERVATION.c.kind == "order",
            among(_RESERVATION.c.order, "orders", connection.dialect.name),
        ),
        {"orders": values(connection, orders)},
    )
    return {
        row.id: OpenUnits(row.id, PositionKey(row.item, row.location), channel, row.order, row.open, 0) for row in found
    }


def open_without_order(connection: Connection) -> Iterator[OpenUnits]:
    """Reservations that hold units for orders that we do not have. Those of callers of ours name no order."""
    theirs = select(_ORDER.c.order).where(
        _ORDER.c.channel == _RESERVATION.c.channel, _ORDER.c.order == _RESERVATION.c.order
    )
    found = connection.execute(
        select(_RESERVATION).where(
            _RESERVATION.c.kind == "order",
            _RESERVATION.c.order != "",
            _RESERVATION.c.open > 0,
            ~theirs.exists(),
        )
    )
    for row in found:
        yield OpenUnits(row.id, PositionKey(row.item, row.location), row.channel, row.order, row.open, 0)


def open_provisional_rows(connection: Connection) -> Iterator[Provisional]:
    """Every provisional row that still holds units."""
    for row in connection.execute(select(_PROVISIONAL).where(_PROVISIONAL.c.open > 0)):
        yield provisional_of(row)


def open_provisional_reservations(connection: Connection) -> dict[str, OpenUnits]:
    """Every reservation for provisional rows that still holds units, by id."""
    found = connection.execute(
        select(_RESERVATION).where(_RESERVATION.c.kind == "provisional", _RESERVATION.c.open > 0)
    )
    return {
        row.id: OpenUnits(row.id, PositionKey(row.item, row.location), row.channel, row.order, row.open, 0)
        for row in found
    }


def writes_out_of_order(connection: Connection) -> Iterator[WriteOfKey]:
    """Writes that left after a write of a newer generation, and keys whose row knows fewer than were written."""
    newer = func.lead(_WRITE.c.generation).over(partition_by=_WRITE.c.key, order_by=_WRITE.c.generation)
    newer_sent = func.lead(_WRITE.c.sent_at).over(partition_by=_WRITE.c.key, order_by=_WRITE.c.generation)
    pairs = select(
        _WRITE.c.key,
        _WRITE.c.generation,
        _WRITE.c.sent_at,
        newer.label("newer"),
        newer_sent.label("newer_sent"),
    ).subquery()
    last = select(_WRITE.c.key, func.max(_WRITE.c.generation).label("generation")).group_by(_WRITE.c.key).subquery()
    named = (_KEY.c.channel, _KEY.c.listing)
    crossed = select(pairs, *named).join_from(pairs, _KEY, _KEY.c.id == pairs.c.key)
    for row in connection.execute(crossed.where(pairs.c.newer_sent < pairs.c.sent_at)):
        yield WriteOfKey(row.key, row.channel, row.listing, row.generation, row.newer, row.sent_at, row.newer_sent)
    behind = select(last, *named).join_from(last, _KEY, _KEY.c.id == last.c.key)
    for row in connection.execute(behind.where(_KEY.c.generation < last.c.generation)):
        yield WriteOfKey(row.key, row.channel, row.listing, row.generation, None)


def merged_items_with_units(connection: Connection) -> Iterator[tuple[str, str, Position]]:
    """Positions of merged items that still hold units: (SKU, SKU of the item that it became, position)."""
    became = _ITEM.alias("became")
    rows = (
        select(_POSITION, _ITEM.c.sku, became.c.sku.label("became"))
        .join_from(_POSITION, _ITEM, _ITEM.c.id == _POSITION.c.item)
        .join(became, became.c.id == _ITEM.c.merged_into)
        .where(or_(_POSITION.c.on_hand != 0, _POSITION.c.reserved != 0, _POSITION.c.withheld != 0))
    )
    for row in connection.execute(rows):
        key = PositionKey(row.item, row.location)
        position = Position(key=key, on_hand=row.on_hand, reserved=row.reserved, withheld=row.withheld)
        yield row.sku, row.became, position


def sku_by_item(connection: Connection) -> dict[str, str]:
    """The SKU of every item."""
    return {row.id: row.sku for row in connection.execute(select(_ITEM.c.id, _ITEM.c.sku))}


def count_of(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())
