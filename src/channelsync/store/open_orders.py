"""Orders that hold units still, as they were booked; for what must know more of them than sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from channelsync.domain.booked import BookedOrder
from channelsync.store.among import among, values
from channelsync.store.codec import dump_booked, load_booked
from channelsync.store.orders import booked_orders
from channelsync.store.tables import metadata

_ORDER = metadata.tables["sales_order"]
_RESERVATION = metadata.tables["reservation"]


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as booked, with when it was placed."""

    booked: BookedOrder
    placed_at: datetime


def orders_holding(connection: Connection, items: Iterable[str], placed_up_to: datetime) -> Iterator[PlacedOrder]:
    """Orders placed up to then that hold units of these items, by channel and id; not locked."""
    held = select(_RESERVATION.c.id).where(
        _RESERVATION.c.channel == _ORDER.c.channel,
        _RESERVATION.c.order == _ORDER.c.order,
        _RESERVATION.c.open > 0,
        among(_RESERVATION.c.item, "items", connection.dialect.name),
    )
    found = connection.execute(
        select(_ORDER)
        .where(held.exists(), _ORDER.c.placed_at <= placed_up_to)
        .order_by(_ORDER.c.channel, _ORDER.c.order),
        {"items": values(connection, sorted(set(items)))},
    )
    for row in found:
        yield PlacedOrder(_booked(row), row.placed_at)


def lock_orders_naming(connection: Connection, item: str) -> list[BookedOrder]:
    """Every order whose booked lines name an item, open or not, locked, by channel and id.

    The text of the column is searched, so this reads every order there is.
    """
    text = f'"{item}"'
    wanted = (
        func.convert_from(_ORDER.c.booked, "UTF8").contains(text, autoescape=True)
        if connection.dialect.name == "postgresql"
        else func.instr(_ORDER.c.booked, text.encode()) > 0
    )
    found = connection.execute(
        select(_ORDER).where(wanted).order_by(_ORDER.c.channel, _ORDER.c.order).with_for_update()
    )
    orders = [_booked(row) for row in found]
    return [order for order in orders if names(order, item)]


def lock_orders(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], BookedOrder]:
    """These orders (channel, id) as booked, locked; one that is not there is left out."""
    by_channel: dict[str, list[str]] = {}
    for channel, order in sorted(set(wanted)):
        by_channel.setdefault(channel, []).append(order)
    found: dict[tuple[str, str], BookedOrder] = {}
    for channel, orders in by_channel.items():
        booked = booked_orders(connection, channel, orders)
        found |= {(channel, order): one for order, one in booked.items()}
    return found


def names(order: BookedOrder, item: str) -> bool:
    """Whether an order's lines stand for an item, or take units of it."""
    return any(
        (line.sold is not None and line.sold.item == item) or any(item in dict(leg.takes) for leg in line.legs)
        for line in order.lines
    )


def rewrite_booked(connection: Connection, orders: Iterable[BookedOrder]) -> None:
    """Writes what is booked of locked orders, and nothing else of them."""
    for order in orders:
        connection.execute(
            update(_ORDER)
            .where(_ORDER.c.channel == order.channel, _ORDER.c.order == order.order)
            .values(booked=dump_booked(order))
        )


def _booked(row: Any) -> BookedOrder:
    return load_booked(
        row.booked,
        channel=row.channel,
        order=row.order,
        version=row.version,
        content=row.content,
        status=row.status,
    )
