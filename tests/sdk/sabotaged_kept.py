"""Connectors that mistake units which the channel keeps, and the contract that must see it.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

from dataclasses import replace

import pytest

from channelsync.sdk.contract import ConnectorContract, Offered
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey
from channelsync_memory import MemoryChannel, MemorySettings, listing_of
from channelsync_memory.world import MemoryWorld, memory_connector

DEPOT = "depot"


class KeepingWorld(MemoryWorld):
    """A shop with a depot of its own, for listings whose SKU says so."""

    async def keep(self, sku, units):
        item = self.shop.list_item(f"{sku}-KEPT", units)
        return Offered(item.id, item.sku, QuantityKey(item.id, DEPOT))


class KeepingChannel(MemoryChannel):
    """Tells of the depot as it should."""

    async def listings(self):
        async for one in super().listings():
            yield self._told(one.listing)

    async def listings_by_id(self, listings):
        return [self._told(one.listing) for one in await super().listings_by_id(listings)]

    async def read(self, keys):
        reads = await super().read(keys)
        return [self._read(one) for one in reads]

    def _set(self, update):
        if update.key.location:
            return PushResult.refused(update.key, "the depot is the shop's")
        return super()._set(update)

    def _kept(self, name):
        return self._shop.items[name].sku.endswith("-KEPT") if name in self._shop.items else False

    def _told(self, name):
        listing = listing_of(self._shop.items[name])
        if not self._kept(name):
            return listing
        return replace(listing, kept=(QuantityKey(name, DEPOT),), shown={}, fulfilled_by_channel=True)

    def _read(self, read):
        if read.key.location not in ("", DEPOT) or self._kept(read.key.key) != (read.key.location == DEPOT):
            return replace(read, value=None)
        return self._counted(read) if read.key.location else read

    def _counted(self, read: KeyRead) -> KeyRead:
        lines = [line for sale in self._shop.sales.values() for line in sale.lines]
        return replace(read, committed=sum(line.open for line in lines if line.item.id == read.key.key), held=0)


class Sabotaged(ConnectorContract):
    connector = memory_connector(KeepingChannel)
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return KeepingWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


class RaisesKeptUnits(KeepingChannel):
    def _set(self, update):
        return MemoryChannel._set(self, update)


class TestKeptUnitsAreRaised(Sabotaged):
    connector = memory_connector(RaisesKeptUnits)


class TakesTheDepotForDone(KeepingChannel):
    def _set(self, update):
        return PushResult.accepted(update.key) if update.key.location else super()._set(update)


class TestKeptUnitsSaidToBeWritten(Sabotaged):
    connector = memory_connector(TakesTheDepotForDone)


class ListsTheDepotAsOurs(KeepingChannel):
    def _told(self, name):
        listing = super()._told(name)
        return replace(listing, keys=(*listing.keys, *listing.kept))


class TestKeptKeysAmongOurs(Sabotaged):
    connector = memory_connector(ListsTheDepotAsOurs)


class TellsNoZeroes(KeepingChannel):
    def _counted(self, read):
        counted = super()._counted(read)
        return replace(counted, committed=counted.committed or None, held=None)


class TestNothingKeptIsUnknown(Sabotaged):
    connector = memory_connector(TellsNoZeroes)


class ReadsAnyPlace(KeepingChannel):
    def _read(self, read):
        return self._counted(read) if read.key.location else super()._read(read)


class TestAnyPlaceIsOne(Sabotaged):
    connector = memory_connector(ReadsAnyPlace)


class ForgetsOrders(KeepingChannel):
    def _counted(self, read):
        return replace(super()._counted(read), committed=0)


class TestOrdersLetGoOfKeptUnits(Sabotaged):
    connector = memory_connector(ForgetsOrders)


class KeepsEverything(KeepingChannel):
    def _kept(self, name):
        return name in self._shop.items


class TestOurUnitsCalledKept(Sabotaged):
    connector = memory_connector(KeepsEverything)
