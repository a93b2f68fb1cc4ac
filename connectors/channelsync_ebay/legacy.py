"""Listings that are not migrated to the Inventory API, as listings and numbers of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

from channelsync.sdk.http import Answer
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_ebay.client import together
from channelsync_ebay.trading import LegacyRow, Trading
from channelsync_ebay.translate_listings import Legacy


class LegacyListings:
    """The listings of one seller that only the Trading API can change."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    async def listings(self, migrated: Collection[str]) -> AsyncIterator[Listing]:
        """All that are active, but those with these ids: the Inventory API keeps them."""
        seen: set[Legacy] = set()
        async for row in self._trading.active():
            if row.name.item not in migrated and row.name not in seen:
                seen.add(row.name)
                yield listing_of(row)

    async def listings_by_id(self, names: Sequence[Legacy]) -> list[Listing]:
        """These listings; unknown ones are missing."""
        found = {row.name: row for rows, _ in await self._items(names) for row in rows}
        return [listing_of(found[name]) for name in names if name in found]

    async def numbers(self, names: Sequence[Legacy]) -> dict[str, tuple[int, datetime, datetime]]:
        """What is left of each, with the times of the answer; unknown ones are missing."""
        wanted = set(names)
        return {
            row.name.name: (row.left, answer.asked_at, answer.answered_at)
            for rows, answer in await self._items(names)
            for row in rows
            if row.name in wanted
        }

    async def _items(self, names: Sequence[Legacy]) -> list[tuple[list[LegacyRow], Answer]]:
        items = dict.fromkeys(name.item for name in names)
        return await together(lambda item=item: self._trading.item(item) for item in items)  # type: ignore[misc]


def listing_of(row: LegacyRow) -> Listing:
    """A row of the Trading API as a listing. At 0 it is hidden, where it has not ended."""
    key = QuantityKey(row.name.name)
    state, reasons = ListingState.ACTIVE, tuple[str, ...]()
    if row.status != "Active":
        state, reasons = ListingState.ENDED, (f"{row.status}: the listing has ended",)
    elif row.left == 0:
        state, reasons = ListingState.INACTIVE, ("out of stock: hidden until there is something to sell",)
    return Listing(
        listing=row.name.name,
        sku=row.sku,
        title=row.title,
        state=state,
        reasons=reasons,
        keys=(key,),
        shown={key: row.left},
        page=row.name.item,
    )
