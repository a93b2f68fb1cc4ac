"""What is booked of orders, whichever channel of an account booked them: all that booking needs, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, cast, select

from channelsync.domain.booked import BookedOrder
from channelsync.store.among import among, values
from channelsync.store.codec import load_booked
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_CHANNEL = metadata.tables["channel"]
_ORDER = metadata.tables["sales_order"]


def booked_of_account(
    connection: Connection, channel: str, wanted: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, BookedOrder]]:
    """The names of all channels of this one's account, sorted, and what is booked of these orders under any of them.

    An order that was never seen is left out; one that two of them booked is that of the first. The orders are locked
    until the transaction ends.
    """
    wanted_of = {"channel": channel, "orders": values(connection, wanted)}
    found = fetch(connection, _select(connection.dialect.name), wanted_of)
    account: dict[str, None] = {}
    booked: dict[str, BookedOrder] = {}
    for row in found:
        account[row.of] = None
        if row.order is not None and row.order not in booked:
            booked[row.order] = load_booked(
                row.booked,
                channel=row.of,
                order=row.order,
                version=row.version,
                content=row.content,
                status=row.status,
            )
    return tuple(account), booked


@cache
def _select(dialect: str) -> Select[Any]:
    """The account is the channel itself and whatever has its identity, once that is known."""
    other = _CHANNEL.alias("other")
    account = (
        select(cast(bindparam("channel"), Text).label("name"))
        .union(
            select(other.c.name)
            .join_from(_CHANNEL, other, other.c.identity == _CHANNEL.c.identity)
            .where(_CHANNEL.c.name == bindparam("channel"), _CHANNEL.c.identity != "")
        )
        .cte("account")
    )
    booked = (
        select(*(_ORDER.c[name] for name in ("channel", "order", "version", "content", "status", "booked")))
        .where(_ORDER.c.channel.in_(select(account.c.name)), among(_ORDER.c.order, "orders", dialect))
        .order_by(_ORDER.c.channel, _ORDER.c.order)
        .with_for_update()
        .cte("booked_order")
    )
    return (
        select(account.c.name.label("of"), *(column for column in booked.c if column.name != "channel"))
        .join_from(account, booked, booked.c.channel == account.c.name, isouter=True)
        .order_by(account.c.name, booked.c.order)
    )
