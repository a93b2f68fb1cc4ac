"""Which items keys show, and which other keys show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from channelsync.store.among import among, values
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]


class ShownKey(NamedTuple):
    """What a key means: all that other keys of its items need to know of it. Its columns are `QuantityKeyRow`'s."""

    id: int
    channel: str
    remote: str
    listing: str
    item: str
    multiple: int


def keys_showing(connection: Connection, items: Iterable[str]) -> list[ShownKey]:
    """Every key of ours, on any channel, that shows one of these items."""
    wanted = sorted(set(items))
    if not wanted:
        return []
    listed = {"items": values(connection, wanted)}
    return [ShownKey(*row) for row in fetch(connection, _select_sharing(connection.dialect.name), listed)]


def keys_sharing(connection: Connection, items: Iterable[str]) -> list[int]:
    """The ids of `keys_showing`."""
    return [key.id for key in keys_showing(connection, items)]


@cache
def _select_sharing(dialect: str) -> Select[Any]:
    columns = (_KEY.c[name] for name in ShownKey._fields)
    return select(*columns).where(among(_KEY.c.item, "items", dialect), _KEY.c.ours.is_(True)).order_by(_KEY.c.id)


def items_shown(connection: Connection, ids: Sequence[int]) -> set[str]:
    """The items that these keys show, as far as they are ours."""
    listed = {"ids": values(connection, ids)}
    return {row.item for row in fetch(connection, _select_items(connection.dialect.name), listed)}


@cache
def _select_items(dialect: str) -> Select[Any]:
    theirs = select(_KEY.c.item).where(among(_KEY.c.id, "ids", dialect))
    return theirs.where(_KEY.c.ours.is_(True), _KEY.c.item.is_not(None)).distinct()
