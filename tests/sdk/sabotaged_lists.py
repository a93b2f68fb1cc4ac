"""Connectors that page by rows, list wrongly or take what was ignored for done, and the contract that must see it.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

from dataclasses import replace

import pytest

from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.values import OrderPage, PushResult
from channelsync_memory import MemoryChannel, MemorySettings, listing_of
from channelsync_memory.world import MemoryWorld, memory_connector


class Sabotaged(ConnectorContract):
    connector = memory_connector()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return MemoryWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


# Pages of listings


class CountsListingRows(MemoryChannel):
    """Pages by row number: where a listing is taken off, the rows behind it move up."""

    newest_first = False

    async def listings(self):
        row = 0
        while True:
            items = list(self._shop.items.values())
            items = items[::-1] if self.newest_first else items
            page = items[row : row + MemoryWorld.listings_per_page]
            if not page:
                return
            for item in page:
                yield listing_of(item)
            row += len(page)


class TestListingsByRowNumber(Sabotaged):
    connector = memory_connector(CountsListingRows)


class CountsListingRowsFromTheNewest(CountsListingRows):
    newest_first = True


class TestNewestListingsByRowNumber(Sabotaged):
    connector = memory_connector(CountsListingRowsFromTheNewest)


class LeavesOutTheLastPage(MemoryChannel):
    async def listings(self):
        items = list(self._shop.items.values())
        for item in items[: len(items) - len(items) % MemoryWorld.listings_per_page]:
            yield listing_of(item)


class TestShortPagesOfListingsLost(Sabotaged):
    connector = memory_connector(LeavesOutTheLastPage)


# Pages of orders


class LeavesOutShortPages(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            full = len(page.orders) == self._settings.orders_per_page
            yield page if full else replace(page, orders=())


class TestShortPagesOfOrdersLost(Sabotaged):
    connector = memory_connector(LeavesOutShortPages)


class PagesBySecond(MemoryChannel):
    """Goes on after the second of the last order of a page, whatever else changed in it."""

    async def orders(self, *, cursor):
        after, more = cursor or "0", True
        while more:
            asked = self._clock.now()
            left = [sale for sale in self._shop.changed_after(0) if self._second(sale) > int(after)]
            page, more = left[: self._settings.orders_per_page], len(left) > self._settings.orders_per_page
            after = str(self._second(page[-1])) if page else after
            found = await self.orders_by_id([sale.id for sale in page])
            yield OrderPage.of(found, cursor=after, covered_to=None if more else asked)

    def _second(self, sale):
        return int(sale.changed_at.timestamp())


class TestOrdersBySecond(Sabotaged):
    connector = memory_connector(PagesBySecond)


# What is listed and read


class ListsNoSku(MemoryChannel):
    async def listings(self):
        async for one in super().listings():
            yield replace(one, sku=None)


class TestSkusNotListed(Sabotaged):
    connector = memory_connector(ListsNoSku)


class SortsListings(MemoryChannel):
    async def listings_by_id(self, listings):
        return sorted(await super().listings_by_id(listings), key=lambda one: one.listing)


class TestListingsInAnotherOrder(Sabotaged):
    connector = memory_connector(SortsListings)


class ReadsWithoutEnd(MemoryChannel):
    async def read(self, keys):
        return [one for key in keys for one in await super(ReadsWithoutEnd, self).read([key])]


class TestAnyNumberOfReadsTaken(Sabotaged):
    connector = memory_connector(ReadsWithoutEnd)


class ReadsOneTooMany(MemoryChannel):
    async def read(self, keys):
        return [one if one.value is None else replace(one, value=one.value + 1) for one in await super().read(keys)]


class TestReadsOneTooMany(Sabotaged):
    connector = memory_connector(ReadsOneTooMany)


class GarblingWorld(MemoryWorld):
    async def garble(self, offered):
        self.shop.items[offered.listing].number = "half"


class TestNonsenseReadAsANumber(Sabotaged):
    @pytest.fixture
    def world(self, clock):
        return GarblingWorld("sabotaged", clock)


# What is pushed


class IgnoresRaises(MemoryChannel):
    def _set(self, update):
        shown = self._shop.items[update.key.key].number
        return super()._set(replace(update, value=min(update.value, shown)))


class TestRaisesIgnored(Sabotaged):
    connector = memory_connector(IgnoresRaises)


class RaisesForUnknownKeys(MemoryChannel):
    def _set(self, update):
        if update.key.key not in self._shop.items:
            raise ChannelMisbehaved("there is no such item")
        return super()._set(update)


class TestUnknownKeysRaise(Sabotaged):
    connector = memory_connector(RaisesForUnknownKeys)


class TakesIgnoredForDone(MemoryChannel):
    def _set(self, update):
        if not self._shop.items[update.key.key].counted:
            return PushResult.accepted(update.key)
        return super()._set(update)


class TestIgnoredTakenForDone(Sabotaged):
    connector = memory_connector(TakesIgnoredForDone)
