"""A whole catalogue of quantity keys, page by page: one row for each item, which says in which situation it is.

The situation is a text that the database makes, to be compared and to be looked up: most items of a catalogue are in
one of a few thousand situations, and an object for each key would cost more than all that is found out with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    union,
)

from channelsync.store.among import among, values
from channelsync.store.keys import UNSETTLED
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_EFFECT = metadata.tables["effect"]
_WRITE = metadata.tables["quantity_write"]
_POSITION = metadata.tables["position"]
_INCOMING = metadata.tables["incoming"]
_ITEM = metadata.tables["item"]


class Page(NamedTuple):
    """Some items. rows: (item, the ids of its keys, what they are now), the last two as texts in one order.

    available, incoming: by item, the units at each location as a text (of those that are there with whether anybody has
    said how many); an item that has none is left out.
    """

    rows: Sequence[tuple[str, str, str]]
    available: Mapping[str, str]
    incoming: Mapping[str, str]


class KeyNow(NamedTuple):
    """What a key's target and next step follow from, beside the units of its item, as long as it is clear.

    begun: it had a target before. clear: its number was read, nothing about it is in doubt, and no question about it is
    open.
    """

    channel: str
    remote: str
    multiple: int
    value: int | None
    sells_below_zero: bool
    begun: bool
    clear: bool


def key_ids(text: str) -> list[int]:
    """The ids of an item's keys."""
    ids: list[int] = orjson.loads(text)
    return ids


def keys_now(text: str) -> list[KeyNow]:
    """What an item's keys are now."""
    return [KeyNow(*row) for row in orjson.loads(text)]


def pages(connection: Connection, items_at_once: int) -> Iterator[Page]:
    """All items that keys of ours show, so many at a time."""
    dialect = connection.dialect.name
    last: str | None = ""
    while True:
        span: dict[str, object] = {"after": last}
        last = connection.execute(_select_last(), {**span, "most": items_at_once}).scalar_one()
        if last is None:
            return
        span["last"] = last
        available = dict(_plain(connection, _select_available(dialect), span))
        incoming = dict(_plain(connection, _select_incoming(dialect), span))
        yield Page(_plain(connection, _select_keys(dialect), span), available, incoming)


def items_apart(connection: Connection, listings: Collection[str]) -> set[str]:
    """Items with a key that has unsettled effects or open writes, or that stands behind one of these listings."""
    moving = union(select(_EFFECT.c.key).where(UNSETTLED), select(_WRITE.c.key).where(_WRITE.c.closed_at.is_(None)))
    named = among(_KEY.c.listing, "listings", connection.dialect.name)
    apart = select(_KEY.c.item).where(_KEY.c.item.is_not(None), or_(_KEY.c.id.in_(moving), named)).distinct()
    return set(connection.execute(apart, {"listings": values(connection, sorted(listings))}).scalars())


def _plain(connection: Connection, statement: Select[Any], parameters: dict[str, object]) -> Sequence[Any]:
    """The driver's own rows."""
    cursor = connection.execute(statement, parameters).cursor
    return cursor.fetchall() if cursor is not None else []


@cache
def _select_last() -> Select[Any]:
    """The last item of a page; None where there is none any more."""
    page = select(_ITEM.c.id).where(_ITEM.c.id > bindparam("after")).order_by(_ITEM.c.id).limit(bindparam("most"))
    return select(func.max(page.subquery().c.id))


@cache
def _select_keys(dialect: str) -> Select[Any]:
    key = _KEY.c
    clear = and_(key.value.is_not(None), key.verified.is_(True), key.rise == 0, key.held == literal_column("''"))
    made = {"begun": key.target.is_not(None), "clear": clear}
    now = {name: key[name] for name in KeyNow._fields if name not in made} | made
    ids, keys = _list(dialect, key.id), _list(dialect, _row(dialect, *(now[name] for name in KeyNow._fields)))
    return select(key.item, ids, keys).where(*_of_page(key.item), key.ours.is_(True)).group_by(key.item)


@cache
def _select_available(dialect: str) -> Select[Any]:
    place = _POSITION.c
    stated = place.stated_by != literal_column("''")
    units = _list(dialect, _row(dialect, place.location, place.on_hand - place.reserved - place.withheld, stated))
    return select(place.item, units).where(*_of_page(place.item)).group_by(place.item)


@cache
def _select_incoming(dialect: str) -> Select[Any]:
    units = _list(dialect, _row(dialect, _INCOMING.c.location, _INCOMING.c.units))
    return select(_INCOMING.c.item, units).where(*_of_page(_INCOMING.c.item)).group_by(_INCOMING.c.item)


def _of_page(item: ColumnElement[Any]) -> tuple[ColumnElement[bool], ...]:
    return item > bindparam("after"), item <= bindparam("last")


def _row(dialect: str, *columns: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json_array(*columns) if dialect == "sqlite" else func.json_build_array(*columns)


def _list(dialect: str, each: ColumnElement[Any]) -> ColumnElement[Any]:
    """As a text: PostgreSQL's driver would make lists of it, which nothing can be looked up by."""
    return func.json_group_array(each) if dialect == "sqlite" else cast(func.json_agg(each), Text)
