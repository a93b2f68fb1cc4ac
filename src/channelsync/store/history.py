"""What happened, for measuring: units sold, and how late orders and pushes became visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from channelsync.store.codec import load
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_ORDER = metadata.tables["sales_order"]
_WRITE = metadata.tables["quantity_write"]
_KEY = metadata.tables["quantity_key"]

# Of the delays only the latest so many count: more change no quantile that we use.
_SAMPLES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class UnitsSold:
    """Base units of an item that one order on a channel took."""

    item: str
    channel: str
    at: datetime
    units: int


def first_order_at(connection: Connection) -> datetime | None:
    """When the oldest order that we have seen was placed; None when there is none."""
    first: datetime | None = connection.execute(select(func.min(_ORDER.c.placed_at))).scalar()
    return first


def units_sold(connection: Connection, since: datetime) -> Iterator[UnitsSold]:
    """What orders placed since then took, cancelled units included: they were wanted."""
    found = connection.execute(
        select(_ORDER.c.channel, _ORDER.c.placed_at, _ORDER.c.booked).where(_ORDER.c.placed_at >= since)
    )
    for row in found:
        for line in load(row.booked)["lines"]:
            for _, takes, *ended in line["legs"]:
                wanted = sum(ended[:5])
                for item, each in takes if wanted > 0 else ():
                    yield UnitsSold(item, row.channel, row.placed_at, wanted * each)


def order_delays(connection: Connection, since: datetime) -> dict[str, list[timedelta]]:
    """Per channel: how late it listed each order, so far as reads of its orders can tell.

    An order was late by the time from its placing to the asking of the last complete read that did not bring it
    (`absent_at`); by nothing where no such read was asked after it was placed. How long it was then until the next
    read is our own delay and not in it: the pause between polls, a night in which nothing of ours ran, an interface
    that was down. So this is never more than the order's true lateness, and less by one such pause at most: over many
    orders, placed at any moment between two reads, the upper quantiles are those of the true lateness.

    Just this is what both who ask for it need. What holds units until a complete read that covers a moment plus a
    limit gives up too early on those orders alone that are later than the limit here. And an order is booked at the
    latest so much later as is told here, plus the pause between two polls.

    Orders of which it is not known tell nothing and are left out: what came with the first complete read of a channel
    is its history; what was read by its id was not looked for in the list; rows of a version that did not keep it.
    """
    found = connection.execute(
        select(_ORDER.c.channel, _ORDER.c.placed_at, _ORDER.c.absent_at)
        .where(_ORDER.c.placed_at >= since, _ORDER.c.absent_at.is_not(None))
        .order_by(_ORDER.c.placed_at.desc())
        .limit(_SAMPLES_MAX)
    )
    delays: dict[str, list[timedelta]] = {}
    for row in found:
        delays.setdefault(row.channel, []).append(max(timedelta(0), row.absent_at - row.placed_at))
    return delays


def push_delays(connection: Connection, since: datetime) -> dict[str, list[timedelta]]:
    """Per channel: how long after it was sent a write was seen in force."""
    delays: dict[str, list[timedelta]] = {}
    for row in fetch(connection, _select_seen_writes(), {"since": since}):
        delays.setdefault(row.channel, []).append(row.visible_at - row.sent_at)
    return delays


@cache
def _select_seen_writes() -> Select[Any]:
    return (
        select(_KEY.c.channel, _WRITE.c.sent_at, _WRITE.c.visible_at)
        .join(_KEY, _KEY.c.id == _WRITE.c.key)
        .where(_WRITE.c.visible_at.is_not(None), _WRITE.c.sent_at >= bindparam("since"))
        .order_by(_WRITE.c.sent_at.desc())
        .limit(_SAMPLES_MAX)
    )
