"""What a caller names, looked up: 404 says that it is not there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from channelsync.store import items
from channelsync.store.items import Item
from channelsync.sync.setup import BY_HAND, Setup
from channelsync.web.api.problems import not_found


def item_of(connection: Connection, sku: str) -> Item:
    """The item that a SKU or alias leads to. Raises Problem."""
    found = items.items_by_sku(connection, [sku]).get(sku)
    if found is None:
        raise not_found(f"No item has the SKU {sku!r}, and it is no alias of one.")
    return found


def items_of(connection: Connection, skus: Sequence[str]) -> list[str]:
    """The ids of these items. Raises Problem."""
    return [item_of(connection, sku).id for sku in skus]


def known_location(setup: Setup, location: str) -> str:
    """The location to look at, when there is one of this name or none is named. Raises Problem."""
    known = (*setup.locations, *setup.kept_by)
    if location and location not in known:
        raise not_found(f"There is no location {location!r}; there is {', '.join(known) or 'none'}.")
    return location


def known_channels(setup: Setup, channels: Sequence[str], *, by_hand: bool = False) -> list[str]:
    """The channels, when all are configured. by_hand: orders of our own have a channel too. Raises Problem."""
    known = [name for name in setup.channels if by_hand or name != BY_HAND]
    for name in channels:
        if name not in known:
            raise not_found(f"There is no channel {name!r}; there is {', '.join(known) or 'none'}.")
    return list(dict.fromkeys(channels))
