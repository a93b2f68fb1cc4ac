"""Quantity keys as the guard looks at them: many at once, and no more of each than it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, literal_column, select

from channelsync.store.among import among, values
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_ENTRY = metadata.tables["ledger_entry"]
_READ = metadata.tables["quantity_read"]

# The text is part of the statement, so that the index of just these rows is used.
_HAS_COST = _ENTRY.c.unit_cost != literal_column("''")


class GuardedKey(NamedTuple):
    """A mapped key of ours. target: as the publisher last saw it, None: none yet. shown: as last read, None: never."""

    id: int
    channel: str
    remote: str
    listing: str
    item: str
    multiple: int
    target: int | None
    shown: int | None


class Shown(NamedTuple):
    """What a channel shows of one item. units: of its keys; base_units: of the item."""

    item: str
    units: int
    base_units: int


def keys_of_items(connection: Connection, items: Sequence[str]) -> list[GuardedKey]:
    """Every key of ours, on whichever channel, that shows one of these items."""
    found = connection.execute(_select_keys(connection.dialect.name), {"items": values(connection, items)})
    return [GuardedKey(*row) for row in found]


@cache
def _select_keys(dialect: str) -> Select[Any]:
    key = _KEY.c
    named = (key.id, key.channel, key.remote, key.listing, key.item, key.multiple, key.target, _last_shown())
    return select(*named).where(among(key.item, "items", dialect), key.ours.is_(True)).order_by(key.item, key.id)


def keys_by_id(connection: Connection, ids: Sequence[int]) -> dict[int, GuardedKey]:
    """These keys, as far as they are mapped and ours."""
    key = _KEY.c
    named = (key.id, key.channel, key.remote, key.listing, key.item, key.multiple, key.target, _last_shown())
    statement = select(*named).where(
        among(key.id, "ids", connection.dialect.name), key.ours.is_(True), key.item.is_not(None)
    )
    found = connection.execute(statement, {"ids": values(connection, ids)})
    return {row.id: GuardedKey(*row) for row in found}


def _last_shown() -> Any:
    """What a key was last read to show, also where it was mapped anew since."""
    of_key = select(_READ.c.value).where(_READ.c.key == _KEY.c.id).order_by(_READ.c.answered_at.desc()).limit(1)
    return func.coalesce(_KEY.c.value, of_key.correlate(_KEY).scalar_subquery())


def items_shown(connection: Connection, channel: str | None = None) -> list[str]:
    """All items that keys of ours show; channel: on this one."""
    statement = select(_KEY.c.item).where(_KEY.c.item.is_not(None), _KEY.c.ours.is_(True))
    if channel is not None:
        statement = statement.where(_KEY.c.channel == channel)
    return list(connection.execute(statement.distinct().order_by(_KEY.c.item)).scalars())


def numbers_shown(connection: Connection, channel: str, listings: Collection[str]) -> dict[int, int]:
    """By key of these listings of a channel, the number that it was last read to show, as far as it ever was."""
    statement = select(_KEY.c.id, _KEY.c.value).where(
        _KEY.c.channel == channel,
        among(_KEY.c.listing, "listings", connection.dialect.name),
        _KEY.c.value.is_not(None),
    )
    found = connection.execute(statement, {"listings": values(connection, sorted(listings))})
    return {row.id: row.value for row in found}


def size_of(connection: Connection, channel: str) -> tuple[int, int]:
    """How many mapped listings a channel has, and how many units they are to show, or do where that is not known."""
    row = connection.execute(_select_size(), {"channel": channel}).one()
    return int(row.listings), int(row.units)


@cache
def _select_size() -> Any:
    units = func.coalesce(func.sum(func.coalesce(_KEY.c.target, _KEY.c.value, 0)), 0).label("units")
    listings = func.count(_KEY.c.listing.distinct()).label("listings")
    sizes = select(listings, units)
    return sizes.where(*_mapped())


def shown_items(connection: Connection, channel: str) -> Iterator[Shown]:
    """What a channel shows, item by item, as `size_of` has it."""
    number = func.coalesce(_KEY.c.target, _KEY.c.value, 0)
    statement = select(_KEY.c.item, func.sum(number), func.sum(number * _KEY.c.multiple)).where(*_mapped())
    for row in connection.execute(statement.group_by(_KEY.c.item), {"channel": channel}):
        yield Shown(row[0], int(row[1]), int(row[2]))


def _mapped() -> tuple[Any, ...]:
    return _KEY.c.channel == bindparam("channel"), _KEY.c.item.is_not(None), _KEY.c.ours.is_(True)


def unit_costs(connection: Connection) -> dict[str, tuple[Decimal, str]]:
    """By item, what a base unit last cost, with its currency, as far as entries say so."""
    named = (_ENTRY.c.item, _ENTRY.c.unit_cost, _ENTRY.c.currency)
    statement = select(*named).where(_HAS_COST).order_by(_ENTRY.c.recorded_at, _ENTRY.c.number)
    return {row.item: (Decimal(row.unit_cost), row.currency) for row in connection.execute(statement)}
