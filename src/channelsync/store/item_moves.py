"""What names an item beside its positions, found and pointed at another one: for merging items and taking that back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from channelsync.domain.provisional import Provisional
from channelsync.domain.sourcing import Composition
from channelsync.store.among import among, values
from channelsync.store.codec import dump
from channelsync.store.items import Item, item_of
from channelsync.store.provisionals import provisional_of
from channelsync.store.tables import metadata

_ITEM = metadata.tables["item"]
_ALIAS = metadata.tables["item_alias"]
_LISTING = metadata.tables["listing"]
_KEY = metadata.tables["quantity_key"]
_PROVISIONAL = metadata.tables["provisional"]
_RULE = metadata.tables["rule"]


def item_by_name(connection: Connection, sku: str) -> Item | None:
    """The item of this SKU or alias itself, also one that was merged into another; None: there is none."""
    row = connection.execute(select(_ITEM).where(_ITEM.c.sku == sku)).first()
    if row is None:
        aliased = select(_ITEM).join(_ALIAS, _ALIAS.c.item == _ITEM.c.id).where(_ALIAS.c.sku == sku)
        row = connection.execute(aliased).first()
    return item_of(row) if row is not None else None


def alias_of(connection: Connection, sku: str) -> str | None:
    """The item that has this further SKU text; None: none has."""
    found: str | None = connection.execute(select(_ALIAS.c.item).where(_ALIAS.c.sku == sku)).scalar()
    return found


def merged_into(connection: Connection, item: str) -> list[str]:
    """The items that became this one."""
    return list(
        connection.execute(select(_ITEM.c.id).where(_ITEM.c.merged_into == item).order_by(_ITEM.c.id)).scalars()
    )


def set_merged(connection: Connection, items: Sequence[str], into: str | None) -> None:
    """Says what items became; None: they are ones of their own."""
    connection.execute(
        update(_ITEM).where(among(_ITEM.c.id, "ids", connection.dialect.name)).values(merged_into=into),
        {"ids": values(connection, items)},
    )


def listings_of(connection: Connection, item: str) -> list[tuple[str, str]]:
    """(channel, listing) of every listing that means this item, also of those that are gone."""
    found = connection.execute(
        select(_LISTING.c.channel, _LISTING.c.listing)
        .where(_LISTING.c.item == item)
        .order_by(_LISTING.c.channel, _LISTING.c.listing)
    )
    return [(row.channel, row.listing) for row in found]


def keys_of(connection: Connection, item: str) -> list[int]:
    """The quantity keys that show this item."""
    return list(connection.execute(select(_KEY.c.id).where(_KEY.c.item == item).order_by(_KEY.c.id)).scalars())


def point_listings(connection: Connection, listings: Iterable[tuple[str, str]], was: str, item: str) -> None:
    """Lets listings that mean one item mean another; their keys and what is known of those stay as they are."""
    by_channel: dict[str, list[str]] = {}
    for channel, listing in listings:
        by_channel.setdefault(channel, []).append(listing)
    for channel, names in sorted(by_channel.items()):
        connection.execute(
            update(_LISTING)
            .where(
                _LISTING.c.channel == channel,
                among(_LISTING.c.listing, "listings", connection.dialect.name),
                _LISTING.c.item == was,
            )
            .values(item=item),
            {"listings": values(connection, names)},
        )


def point_keys(connection: Connection, keys: Sequence[int], was: str, item: str) -> None:
    """Lets locked keys that show one item show another: the same number of the channel, counted elsewhere by us."""
    connection.execute(
        update(_KEY).where(among(_KEY.c.id, "ids", connection.dialect.name), _KEY.c.item == was).values(item=item),
        {"ids": values(connection, keys)},
    )


def point_aliases(connection: Connection, skus: Sequence[str], was: str, item: str) -> None:
    """Gives further SKU texts of one item to another."""
    connection.execute(
        update(_ALIAS)
        .where(among(_ALIAS.c.sku, "skus", connection.dialect.name), _ALIAS.c.item == was)
        .values(item=item),
        {"skus": values(connection, skus)},
    )


def open_rows(connection: Connection) -> list[tuple[str, Provisional]]:
    """Every provisional row that holds units, with its channel, locked."""
    found = connection.execute(
        select(_PROVISIONAL).where(_PROVISIONAL.c.open > 0).order_by(_PROVISIONAL.c.id).with_for_update()
    )
    return [(row.channel, provisional_of(row)) for row in found]


def rewrite_takes(connection: Connection, rows: Mapping[str, Composition]) -> None:
    """Says what locked provisional rows take: id -> items and base units."""
    for name, takes in sorted(rows.items()):
        connection.execute(update(_PROVISIONAL).where(_PROVISIONAL.c.id == name).values(takes=dump(takes)))


def rules_naming(connection: Connection, item: str) -> list[str]:
    """The ids of stored rules that speak of this item alone."""
    found: Any = connection.execute(select(_RULE.c.id, _RULE.c.scope).order_by(_RULE.c.id))
    return [row.id for row in found if f'"item":"{item}"'.encode() in bytes(row.scope)]
