"""New items: made by name, remembered by their run, with an id that no other item has or ever had."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.store import items, runs
from channelsync.store.items import Item, item_id
from channelsync.store.runs import Change
from channelsync.sync.stock import By

ITEM = "item"
"""The kind of a `Change` of an item. subject: its id; before, after: None where there was none, else its columns that
changed."""


def add_new_items(connection: Connection, by: By, skus: Sequence[str]) -> dict[str, Item]:
    """Makes an item of each SKU, which must be neither an item's nor an alias; by SKU.

    An item that was renamed keeps the id that its first SKU gave it, so that id may be taken when the SKU comes back.
    """
    taken = items.items_by_id(connection, (item_id(sku) for sku in skus))
    made = {}
    for sku in skus:
        name = item_id(sku)
        made[sku] = Item(id=f"i-{entry_id('item', sku, by.run)[:16]}" if name in taken else name, sku=sku)
    items.add_items(connection, list(made.values()), by.now)
    for item in made.values():
        change = Change(run=by.run, kind=ITEM, subject=item.id, before=None, after={"sku": item.sku}, at=by.now)
        runs.record_change(connection, change)
    return made
