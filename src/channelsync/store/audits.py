"""Which of a channel's orders we know, and what the completeness audits found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import Connection, select

from channelsync.store.among import among, values
from channelsync.store.codec import dump
from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_ORDER = metadata.tables["sales_order"]
_UNREADABLE = metadata.tables["unreadable_order"]
_AUDIT = metadata.tables["audited_day"]


def known_orders(connection: Connection, channels: Sequence[str], orders: Iterable[str]) -> set[str]:
    """Of these orders those that we have under one of these channels, booked or kept as unreadable."""
    listed = {"orders": values(connection, sorted(orders))}
    known: set[str] = set()
    for table in (_ORDER, _UNREADABLE):
        statement = select(table.c.order).where(
            table.c.channel.in_(channels), among(table.c.order, "orders", connection.dialect.name)
        )
        known |= set(connection.execute(statement, listed).scalars())
    return known


def save_audit(
    connection: Connection, channel: str, day: date, theirs: int, missing: Sequence[str], now: datetime
) -> None:
    """Records the result of one day, over that of an earlier audit of it."""
    connection.execute(
        upsert(
            _AUDIT,
            connection.dialect.name,
            keys=("channel", "day"),
            update=("theirs", "missing", "evidence", "checked_at"),
        ),
        [
            {
                "channel": channel,
                "day": day,
                "theirs": theirs,
                "missing": len(missing),
                "evidence": dump(list(missing)),
                "checked_at": now,
            }
        ],
    )
