"""Items: what is counted. Each has an id of its own; its SKU is an attribute that may change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from channelsync.domain.ledger import entry_id
from channelsync.store.among import among, values
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_ITEM = metadata.tables["item"]
_ALIAS = metadata.tables["item_alias"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item. merged_into: the item that it became; None: it is one of its own."""

    id: str
    sku: str
    title: str = ""
    barcode: str | None = None
    sku_class: str = ""
    merged_into: str | None = None


def item_id(sku: str) -> str:
    """The id that an item gets when it is first seen under this SKU; it keeps it whatever the SKU becomes."""
    return f"i-{entry_id('item', sku)[:16]}"


def add_items(connection: Connection, items: Sequence[Item], now: datetime) -> None:
    """Adds items; one whose id or SKU is known stays as it is."""
    if items:
        connection.execute(
            insert_ignoring(_ITEM, connection.dialect.name),
            [
                {
                    "id": item.id,
                    "sku": item.sku,
                    "title": item.title,
                    "barcode": item.barcode,
                    "sku_class": item.sku_class,
                    "merged_into": item.merged_into,
                    "created_at": now,
                }
                for item in items
            ],
        )


def items_by_sku(connection: Connection, skus: Iterable[str]) -> dict[str, Item]:
    """Items by SKU or alias; an unknown SKU is left out. A merged item stands for the one it became."""
    wanted = sorted(set(skus))
    listed = {"skus": values(connection, wanted)}
    found = {
        row.sku: item_of(row)
        for row in connection.execute(select(_ITEM).where(among(_ITEM.c.sku, "skus", connection.dialect.name)), listed)
    }
    aliased = connection.execute(
        select(_ALIAS.c.sku.label("alias"), _ITEM)
        .join_from(_ALIAS, _ITEM, _ITEM.c.id == _ALIAS.c.item)
        .where(among(_ALIAS.c.sku, "skus", connection.dialect.name)),
        listed,
    )
    found |= {row.alias: item_of(row) for row in aliased if row.alias not in found}
    merged = items_by_id(connection, {item.merged_into for item in found.values() if item.merged_into})
    return {sku: merged[item.merged_into] if item.merged_into else item for sku, item in found.items()}


def items_by_id(connection: Connection, ids: Iterable[str | None]) -> dict[str, Item]:
    """Items by id; an unknown id is left out."""
    wanted = sorted({one for one in ids if one})
    if not wanted:
        return {}
    found = connection.execute(
        select(_ITEM).where(among(_ITEM.c.id, "ids", connection.dialect.name)), {"ids": values(connection, wanted)}
    )
    return {row.id: item_of(row) for row in found}


def all_items(connection: Connection, *, include_merged: bool = False) -> list[Item]:
    """Every item by SKU."""
    statement = select(_ITEM).order_by(_ITEM.c.sku)
    if not include_merged:
        statement = statement.where(_ITEM.c.merged_into.is_(None))
    return [item_of(row) for row in connection.execute(statement)]


def change_item(connection: Connection, item: str, **fields: object) -> None:
    """Writes single columns of an item."""
    connection.execute(update(_ITEM).where(_ITEM.c.id == bindparam("b_id")).values(**fields), {"b_id": item})


def add_alias(connection: Connection, sku: str, item: str, run: str) -> None:
    """A further SKU text of an item; one that is taken stays as it is."""
    connection.execute(insert_ignoring(_ALIAS, connection.dialect.name), [{"sku": sku, "item": item, "run": run}])


def remove_alias(connection: Connection, sku: str) -> None:
    """Forgets a further SKU text."""
    connection.execute(_ALIAS.delete().where(_ALIAS.c.sku == sku))


def aliases_of(connection: Connection, item: str) -> list[str]:
    """The further SKU texts of an item."""
    found = connection.execute(select(_ALIAS.c.sku).where(_ALIAS.c.item == item).order_by(_ALIAS.c.sku))
    return list(found.scalars())


def item_of(row: Row[Any]) -> Item:
    """The item of a row of its table."""
    return Item(
        id=row.id,
        sku=row.sku,
        title=row.title,
        barcode=row.barcode,
        sku_class=row.sku_class,
        merged_into=row.merged_into,
    )
