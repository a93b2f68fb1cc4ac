"""Units that a channel's own open orders hold, as far as we know: booked ones, less what seems to have shipped."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from channelsync.store.among import among, values
from channelsync.store.codec import load_booked, load_snapshot
from channelsync.store.tables import metadata

_ORDER = metadata.tables["sales_order"]
_RESERVATION = metadata.tables["reservation"]
_PROVISIONAL = metadata.tables["provisional"]


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
        booked = load_booked(
            row.booked, channel=channel, order=row.order, version=row.version, content=row.content, status=row.status
        )
        for line in booked.lines:
            listing = listings.get(line.line)
            if listing is not None:
                units[listing] = units.get(listing, 0) + line.sum("open")
    return units


@cache
def _select_open(dialect: str) -> Select[Any]:
    open_orders = select(_RESERVATION.c.order).where(
        _RESERVATION.c.channel == bindparam("channel"),
        _RESERVATION.c.kind == "order",
        _RESERVATION.c.open > 0,
        among(_RESERVATION.c.item, "items", dialect),
    )
    columns = (_ORDER.c.order, _ORDER.c.version, _ORDER.c.content, _ORDER.c.status, _ORDER.c.said, _ORDER.c.booked)
    return select(*columns).where(_ORDER.c.channel == bindparam("channel"), _ORDER.c.order.in_(open_orders))


def unexplained_units(connection: Connection, keys: Iterable[int]) -> dict[int, int]:
    """By key: units that its number lost and that no order explains yet."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found = connection.execute(_select_unexplained(connection.dialect.name), {"keys": values(connection, wanted)})
    return {row.key: int(row.units) for row in found}


@cache
def _select_unexplained(dialect: str) -> Select[Any]:
    return (
        select(_PROVISIONAL.c.key, func.sum(_PROVISIONAL.c.open).label("units"))
        .where(among(_PROVISIONAL.c.key, "keys", dialect), _PROVISIONAL.c.open > 0)
        .group_by(_PROVISIONAL.c.key)
    )
