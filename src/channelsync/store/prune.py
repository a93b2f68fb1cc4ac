"""Old rows that nothing needs any more, taken away in small steps: each function is one short transaction.

Never touched: the ledger, positions, reservations, orders, runs and changes, so that `verify` proves the same as
before; whatever is still open; of every key what held when the time that is kept begins, for `explain --at` then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Table, bindparam, delete, func, select, update

from channelsync.store.among import among, values
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]
_UNREADABLE = metadata.tables["unreadable_order"]

KEYS_AT_ONCE = 200
ROWS_AT_ONCE = 1_000

HISTORIES = ("quantity_read", "quantity_write", "prediction")
"""Tables with the history of keys; see `prune_history`."""

ENDED = ("effect", "provisional", "finding")
"""Tables whose rows end; see `prune_ended`."""

_ENDED_AT = {"effect": "settled_at", "provisional": "closed_at", "finding": "closed_at"}


def keys_after(connection: Connection, after: int) -> list[int]:
    """The next keys, by their ids, whose history is looked at together; empty: there are no more."""
    found = select(_KEY.c.id).where(_KEY.c.id > bindparam("after")).order_by(_KEY.c.id).limit(KEYS_AT_ONCE)
    return list(connection.execute(found, {"after": after}).scalars())


def prune_history(connection: Connection, table: str, keys: Sequence[int], before: datetime) -> int:
    """Takes away what is older than this of the history of these keys; returns how many rows.

    The newest of it stays: it tells what held from then until the first that is younger.
    Of writes only what has ended, and never what the key's watermark has not gone beyond.
    """
    gone = connection.execute(
        _delete_history(table, connection.dialect.name), {"keys": values(connection, keys), "b_before": before}
    )
    return gone.rowcount


@cache
def _delete_history(table: str, dialect: str) -> Delete:
    old = metadata.tables[table]
    at = {"quantity_read": "answered_at", "quantity_write": "sent_at", "prediction": "at"}[table]
    order = "generation" if table == "quantity_write" else at
    newer = old.alias("newer")
    before = bindparam("b_before", type_=old.c[at].type)
    newest = select(func.max(newer.c[order])).where(newer.c.key == old.c.key, newer.c[at] < before).scalar_subquery()
    statement = delete(old).where(among(old.c.key, "keys", dialect), old.c[at] < before, old.c[order] < newest)
    if table == "quantity_write":
        confirmed = select(_KEY.c.confirmed).where(_KEY.c.id == old.c.key).scalar_subquery()
        statement = statement.where(old.c.closed_at.is_not(None), old.c.generation < confirmed)
    return statement


def prune_ended(connection: Connection, table: str, before: datetime) -> int:
    """Takes away some of what ended before this; returns how many rows, 0 when there is nothing more."""
    ended = metadata.tables[table]
    at = ended.c[_ENDED_AT[table]]
    return _delete_some(connection, ended, at.is_not(None) & (at < before) & _over(ended))


def _over(table: Table) -> ColumnElement[bool]:
    """What marks a row as ended, beside its time."""
    if table.name == "provisional":
        return table.c.open == 0
    if table.name == "effect":
        return ~table.c.settled.in_(["", "shown"])
    return table.c.closed_at.is_not(None)


def _delete_some(connection: Connection, table: Table, which: ColumnElement[Any]) -> int:
    some = select(table.c.id).where(which).limit(ROWS_AT_ONCE)
    return connection.execute(delete(table).where(table.c.id.in_(some))).rowcount


def forget_bodies(connection: Connection, before: datetime) -> int:
    """Drops what channels sent of orders that could not be understood before this; that they came, and why, stays."""
    dropped = connection.execute(
        update(_UNREADABLE).where(_UNREADABLE.c.seen_at < before, _UNREADABLE.c.raw != "").values(raw="")
    )
    return dropped.rowcount


def tidy(connection: Connection) -> None:
    """SQLite only, within a transaction: lets it renew what it knows about its tables, where that is worth it."""
    connection.exec_driver_sql("PRAGMA optimize")


def shorten_log(connection: Connection) -> bool:
    """SQLite only, outside of any transaction: writes the log into the file and empties it; False: somebody reads."""
    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    return not busy
