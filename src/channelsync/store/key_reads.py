"""Which quantity keys are to be read, and what the channel calls them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    exists,
    or_,
    select,
    text,
)

from channelsync.store.among import among, values
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]


def names_of(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """By row id: (the channel's key, its remote location); an unknown one is left out."""
    rows = fetch(connection, _select_names(connection.dialect.name), {"ids": values(connection, ids)})
    return {row.id: (row.key, row.remote) for row in rows}


@cache
def _select_names(dialect: str) -> Select[Any]:
    return select(_KEY.c.id, _KEY.c.key, _KEY.c.remote).where(among(_KEY.c.id, "ids", dialect))


def keys_to_read(
    connection: Connection, identity: str, not_since: datetime, hot_not_since: datetime | None
) -> list[int]:
    """Keys whose number is wanted now: for a raise elsewhere, or hot ones that show units. Longest unread first.

    not_since: a key that was read after this is left out; hot_not_since: a hot one that nobody asks for. None: those
    are not read out of turn.
    """
    span: dict[str, object] = {"identity": identity, "not_since": not_since}
    span |= {} if hot_not_since is None else {"hot_not_since": hot_not_since}
    return [row.id for row in fetch(connection, _select_to_read(hot_not_since is not None), span)]


@cache
def _select_to_read(hot: bool) -> Select[Any]:  # noqa: FBT001 - a cache's key
    def unread(since: str) -> ColumnElement[bool]:
        return or_(_KEY.c.read_at.is_(None), _KEY.c.read_at <= bindparam(since, type_=_KEY.c.read_at.type))

    # The conditions of the two indexes, as they are written there: SQLite uses a partial index for nothing else.
    wanted, hot_one = text("quantity_key.read_wanted"), text("quantity_key.hot")
    theirs = select(_KEY.c.id, _KEY.c.read_wanted, _KEY.c.read_at).where(
        _KEY.c.identity == bindparam("identity"), _KEY.c.ours.is_(True)
    )
    asked_for = theirs.where(wanted, unread("not_since"))
    read_anyway = theirs.where(hot_one, _KEY.c.value > 0, unread("hot_not_since"))
    one = (asked_for.union(read_anyway) if hot else asked_for).subquery()
    return select(one.c.id).order_by(one.c.read_wanted.desc(), one.c.read_at, one.c.id)


def untouched_since(connection: Connection, ids: Sequence[int], since: datetime) -> list[int]:
    """Of these keys those that were neither read nor written since then."""
    span = {"ids": values(connection, ids), "since": since}
    found = {row.id for row in fetch(connection, _select_untouched(connection.dialect.name), span)}
    return [key for key in ids if key in found]


@cache
def _select_untouched(dialect: str) -> Select[Any]:
    since: BindParameter[datetime] = bindparam("since", type_=_KEY.c.read_at.type)
    written = exists().where(_WRITE.c.key == _KEY.c.id, _WRITE.c.sent_at > since)
    unread = or_(_KEY.c.read_at.is_(None), _KEY.c.read_at <= since)
    return select(_KEY.c.id).where(among(_KEY.c.id, "ids", dialect), unread, ~written)


def unread_since(connection: Connection, identity: str, since: datetime, limit: int) -> list[int]:
    """Mapped keys of ours that were not read since then, the longest unread first; for the sweep."""
    span = {"identity": identity, "most": limit}
    found = [row.id for row in fetch(connection, _select_never_read(), span)]
    span |= {"since": since, "most": limit - len(found)}
    return found + [row.id for row in fetch(connection, _select_unread(), span)]


# Two statements, for an index finds the rows of each in their order.
@cache
def _select_never_read() -> Select[Any]:
    return _select_mapped().where(_KEY.c.read_at.is_(None)).order_by(_KEY.c.id)


@cache
def _select_unread() -> Select[Any]:
    return _select_mapped().where(_KEY.c.read_at < bindparam("since")).order_by(_KEY.c.read_at, _KEY.c.id)


def _select_mapped() -> Select[Any]:
    theirs = select(_KEY.c.id).where(_KEY.c.identity == bindparam("identity"), _KEY.c.ours.is_(True))
    return theirs.where(_KEY.c.item.is_not(None)).limit(bindparam("most"))
