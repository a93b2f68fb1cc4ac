"""Items looked at: for lists, and for one item whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from channelsync.store.tables import metadata

_ITEM = metadata.tables["item"]
_ALIAS = metadata.tables["item_alias"]
_POSITION = metadata.tables["position"]
_LISTING = metadata.tables["listing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOnView:
    """An item with its sums over all locations. listings: mapped to it and not gone. merged_into: SKU of the item that
    it became; empty: it is one of its own."""

    sku: str
    title: str
    barcode: str | None
    aliases: tuple[str, ...]
    on_hand: int
    available: int
    listings: int
    merged_into: str
    created_at: datetime
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingOfItem:
    """A listing that means an item: `multiple` base units of it."""

    channel: str
    listing: str
    sku: str | None
    title: str
    state: str
    multiple: int
    gone: bool


def find_items(
    connection: Connection, *, item: str = "", search: str = "", include_merged: bool = False
) -> Iterator[ItemOnView]:
    """Items by SKU. search: a part of the SKU, the title or a further SKU. Empty arguments do not restrict."""
    statement = _items()
    if item:
        statement = statement.where(_ITEM.c.id == item)
    if search:
        aliased = select(_ALIAS.c.item).where(_ALIAS.c.sku.icontains(search, autoescape=True))
        statement = statement.where(
            or_(
                _ITEM.c.sku.icontains(search, autoescape=True),
                _ITEM.c.title.icontains(search, autoescape=True),
                _ITEM.c.id.in_(aliased),
            )
        )
    if not include_merged:
        statement = statement.where(_ITEM.c.merged_into.is_(None))
    aliases: dict[str, list[str]] = {}
    for row in connection.execute(select(_ALIAS.c.item, _ALIAS.c.sku).order_by(_ALIAS.c.sku)):
        aliases.setdefault(row.item, []).append(row.sku)
    for row in connection.execute(statement):
        yield _item(row, tuple(aliases.get(row.id, ())))


def _items() -> Select[Any]:
    became = _ITEM.alias("became")
    available = _POSITION.c.on_hand - _POSITION.c.reserved - _POSITION.c.withheld
    sums = (
        select(
            _POSITION.c.item,
            func.sum(_POSITION.c.on_hand).label("on_hand"),
            func.sum(available).label("available"),
        )
        .group_by(_POSITION.c.item)
        .subquery()
    )
    listed = (
        select(_LISTING.c.item, func.count().label("listings"))
        .where(_LISTING.c.item.is_not(None), _LISTING.c.gone_at.is_(None))
        .group_by(_LISTING.c.item)
        .subquery()
    )
    return (
        select(_ITEM, became.c.sku.label("became"), sums.c.on_hand, sums.c.available, listed.c.listings)
        .join_from(_ITEM, became, became.c.id == _ITEM.c.merged_into, isouter=True)
        .join(sums, sums.c.item == _ITEM.c.id, isouter=True)
        .join(listed, listed.c.item == _ITEM.c.id, isouter=True)
        .order_by(_ITEM.c.sku)
    )


def _item(row: Any, aliases: tuple[str, ...]) -> ItemOnView:
    return ItemOnView(
        sku=row.sku,
        title=row.title,
        barcode=row.barcode,
        aliases=aliases,
        on_hand=int(row.on_hand or 0),
        available=int(row.available or 0),
        listings=int(row.listings or 0),
        merged_into=row.became or "",
        created_at=row.created_at,
        item=row.id,
    )


def listings_of_item(connection: Connection, item: str) -> list[ListingOfItem]:
    """What an item is listed as, by channel; those that are gone too."""
    found = connection.execute(
        select(_LISTING).where(_LISTING.c.item == item).order_by(_LISTING.c.channel, _LISTING.c.listing)
    )
    return [
        ListingOfItem(
            channel=row.channel,
            listing=row.listing,
            sku=row.sku,
            title=row.title,
            state=row.state,
            multiple=row.multiple,
            gone=row.gone_at is not None,
        )
        for row in found
    ]
