"""Quantity keys and positions as plain rows, page by page of items: for whoever looks at a whole catalogue.

The rows are the driver's own: at a catalogue's length an object for each costs more than what is found out with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, func, literal_column, select, union

from channelsync.store.among import among, values
from channelsync.store.keys import UNSETTLED
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_EFFECT = metadata.tables["effect"]
_WRITE = metadata.tables["quantity_write"]
_POSITION = metadata.tables["position"]
_INCOMING = metadata.tables["incoming"]
_ITEM = metadata.tables["item"]


class KeyRow(NamedTuple):
    """What the columns of `Page.keys` mean; the rows themselves are plain tuples.

    Everything from the third column on says in which situation the key is. clear: its number was read, nothing about
    it is in doubt, and no question about it is open. Unsettled effects and open writes are told by `keys_in_motion`.
    """

    id: int
    item: str
    listing: str
    channel: str
    remote: str
    multiple: int
    value: int
    sells_below_zero: bool
    clear: bool


class Page(NamedTuple):
    """Some items, in the order of their ids, with all keys of ours that show them.

    units: (item, location, available, 0) and (item, location, 0, incoming), in base units.
    """

    keys: Sequence[tuple[Any, ...]]
    units: Sequence[tuple[str, str, int, int]]


def pages(connection: Connection, items_at_once: int) -> Iterator[Page]:
    """All keys of ours that are mapped, so many items at a time."""
    last = ""
    while True:
        span = {"after": last, "most": items_at_once}
        last = connection.execute(_select_last(), span).scalar_one()
        if last is None:
            return
        span = {"after": span["after"], "last": last}
        keys = _plain(connection, _select_keys(), span)
        yield Page(keys, [*_plain(connection, _select_units(), span), *_plain(connection, _select_incoming(), span)])


def keys_in_motion(connection: Connection) -> set[int]:
    """Keys with effects that are not settled, or with writes that may still come to be applied."""
    moved = select(_EFFECT.c.key).where(UNSETTLED)
    written = select(_WRITE.c.key).where(_WRITE.c.closed_at.is_(None))
    return set(connection.execute(union(moved, written)).scalars())


def items_shown(connection: Connection, ids: Sequence[int]) -> set[str]:
    """The items that these keys show, as far as they are ours."""
    found = connection.execute(_select_items(connection.dialect.name), {"ids": values(connection, ids)})
    return set(found.scalars())


def _plain(connection: Connection, statement: Select[Any], parameters: dict[str, object]) -> Sequence[Any]:
    cursor = connection.execute(statement, parameters).cursor
    return cursor.fetchall() if cursor is not None else []


@cache
def _select_last() -> Select[Any]:
    """The last item of a page; None where there is none any more."""
    page = select(_ITEM.c.id).where(_ITEM.c.id > bindparam("after")).order_by(_ITEM.c.id).limit(bindparam("most"))
    return select(func.max(page.subquery().c.id))


@cache
def _select_keys() -> Select[Any]:
    clear = and_(_KEY.c.value.is_not(None), _KEY.c.verified.is_(True), _KEY.c.rise == 0, _KEY.c.held == "")
    columns = (_KEY.c[name] for name in KeyRow._fields if name != "clear")
    of_page = (_KEY.c.item > bindparam("after"), _KEY.c.item <= bindparam("last"))
    return select(*columns, clear.label("clear")).where(*of_page, _KEY.c.ours.is_(True)).order_by(_KEY.c.item)


@cache
def _select_units() -> Select[Any]:
    available = _POSITION.c.on_hand - _POSITION.c.reserved - _POSITION.c.withheld
    of_page = (_POSITION.c.item > bindparam("after"), _POSITION.c.item <= bindparam("last"))
    rows = select(_POSITION.c.item, _POSITION.c.location, available, literal_column("0")).where(*of_page)
    return rows.order_by(_POSITION.c.item, _POSITION.c.location)


@cache
def _select_incoming() -> Select[Any]:
    of_page = (_INCOMING.c.item > bindparam("after"), _INCOMING.c.item <= bindparam("last"))
    units = func.sum(_INCOMING.c.units)
    rows = select(_INCOMING.c.item, _INCOMING.c.location, literal_column("0"), units).where(*of_page)
    return rows.group_by(_INCOMING.c.item, _INCOMING.c.location).order_by(_INCOMING.c.item, _INCOMING.c.location)


@cache
def _select_items(dialect: str) -> Select[Any]:
    theirs = select(_KEY.c.item).where(among(_KEY.c.id, "ids", dialect))
    return theirs.where(_KEY.c.ours.is_(True), _KEY.c.item.is_not(None)).distinct()
