"""Units of a channel's listings in its own open orders, as far as we have booked them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from channelsync.store.among import among, values
from channelsync.store.codec import load, load_snapshot
from channelsync.store.tables import metadata

_ORDER = metadata.tables["sales_order"]
_RESERVATION = metadata.tables["reservation"]


def open_units(connection: Connection, channel: str, items: Iterable[str]) -> dict[str, int]:
    """By listing: its units in open orders of a channel, of those orders that take any of these items."""
    wanted = sorted(set(items))
    if not wanted:
        return {}
    found = connection.execute(
        _select_open(connection.dialect.name), {"channel": channel, "items": values(connection, wanted)}
    )
    units: dict[str, int] = {}
    for row in found:
        listings = {line.line: line.listing for line in load_snapshot(row.said).lines}
        for line in load(row.booked)["lines"]:
            listing = listings.get(line["line"])
            if listing is not None:
                units[listing] = units.get(listing, 0) + sum(leg[2] for leg in line["legs"])
    return units


@cache
def _select_open(dialect: str) -> Select[Any]:
    open_orders = select(_RESERVATION.c.order).where(
        _RESERVATION.c.channel == bindparam("channel"),
        _RESERVATION.c.kind == "order",
        _RESERVATION.c.open > 0,
        among(_RESERVATION.c.item, "items", dialect),
    )
    return select(_ORDER.c.said, _ORDER.c.booked).where(
        _ORDER.c.channel == bindparam("channel"), _ORDER.c.order.in_(open_orders)
    )
