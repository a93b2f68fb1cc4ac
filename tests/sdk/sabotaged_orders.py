"""Connectors that lose, repeat or misunderstand orders, and the contract that must see it.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import OrderPage, OrderSnapshot, UnreadableOrder
from channelsync_memory import MemoryChannel, MemorySettings
from channelsync_memory.world import MemoryWorld, memory_connector


class Sabotaged(ConnectorContract):
    connector = memory_connector()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return MemoryWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


# Pages of orders


class SkippingCursor(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, cursor=str(int(page.cursor) + 1))


class TestCursorSkips(Sabotaged):
    connector = memory_connector(SkippingCursor)


class ForgetfulCursor(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=None):
            yield replace(page, cursor="0")


class TestCursorStandsStill(Sabotaged):
    connector = memory_connector(ForgetfulCursor)


class CountingRows(MemoryChannel):
    """Pages by row number: an order that changes moves to the end, and the rows behind it move up."""

    async def orders(self, *, cursor):
        change, row = int(cursor or "0"), 0
        asked = self._clock.now()
        while True:
            sales = self._shop.changed_after(change)
            page = OrderPage(orders=(), cursor="")
            rows = sales[row : row + self._settings.orders_per_page]
            row += len(rows)
            orders = tuple(await self.orders_by_id([sale.id for sale in rows]))
            more = row < len(sales)
            newest = rows[-1].change if rows else change
            yield replace(page, orders=orders, cursor=str(newest), covered_to=None if more else asked)
            if not more:
                return


class TestPagesByRowNumber(Sabotaged):
    connector = memory_connector(CountingRows)


class SwallowsFailures(MemoryChannel):
    async def orders(self, *, cursor):
        try:
            async for page in super().orders(cursor=cursor):
                yield page
        except TryLater:
            return


class TestPagingEndsSilently(Sabotaged):
    connector = memory_connector(SwallowsFailures)


class NoPageWithoutOrders(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            if page.orders or page.unreadable:
                yield page


class TestNoPageWithoutOrders(Sabotaged):
    connector = memory_connector(NoPageWithoutOrders)


class NeverCovers(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, covered_to=None)


class TestNothingCovered(Sabotaged):
    connector = memory_connector(NeverCovers)


class CoversTheFuture(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, covered_to=self._clock.now() + timedelta(hours=1))


class TestTheFutureCovered(Sabotaged):
    connector = memory_connector(CoversTheFuture)


class LaggingSearch(MemoryChannel):
    """Lists orders ten minutes late, and moves its cursor past them; five minutes are declared."""

    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            visible = self._clock.now() - timedelta(minutes=10)
            yield replace(page, orders=tuple(one for one in page.orders if one.placed_at < visible))


class TestOrdersLaterThanDeclared(Sabotaged):
    connector = memory_connector(LaggingSearch)


# What an order says


class ForgetsTheSku(MemoryChannel):
    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [
            replace(one, lines=tuple(replace(line, sku=None) for line in one.lines))
            if isinstance(one, OrderSnapshot)
            else one
            for one in found
        ]


class TestOneOrderTwoAnswers(Sabotaged):
    connector = memory_connector(ForgetsTheSku)


class RaisesForUnknownOrders(MemoryChannel):
    async def orders_by_id(self, orders):
        return [(await super(RaisesForUnknownOrders, self).orders_by_id([one]))[0] for one in orders]


class TestUnknownOrdersRaise(Sabotaged):
    connector = memory_connector(RaisesForUnknownOrders)


class DropsUnreadable(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, unreadable=())

    async def orders_by_id(self, orders):
        return [one for one in await super().orders_by_id(orders) if isinstance(one, OrderSnapshot)]


class TestUnreadableOrdersDropped(Sabotaged):
    connector = memory_connector(DropsUnreadable)


class KeepsTheBuyer(MemoryChannel):
    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [
            replace(one, raw=self._shop.sales[one.order].buyer) if isinstance(one, UnreadableOrder) else one
            for one in found
        ]


class TestBuyerInTheRawOrder(Sabotaged):
    connector = memory_connector(KeepsTheBuyer)


class DropsCancelledIds(MemoryChannel):
    async def order_ids(self, day):
        async for one in super().order_ids(day):
            if self._shop.sales[one].cancelled_at is None:
                yield one


class TestIdsOfCancelledOrdersMissing(Sabotaged):
    connector = memory_connector(DropsCancelledIds)


class LocalDays(MemoryChannel):
    async def order_ids(self, day: date):
        for sale in self._shop.sales.values():
            if (sale.placed_at + timedelta(hours=2)).date() == day:
                yield sale.id


class TestIdsOfALocalDay(Sabotaged):
    connector = memory_connector(LocalDays)


class ForgetsShipments(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            lines = [tuple(replace(line, shipped=()) for line in one.lines) for one in page.orders]
            orders = tuple(replace(one, lines=kept) for one, kept in zip(page.orders, lines, strict=True))
            yield replace(page, orders=orders)

    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [replace(one, lines=tuple(replace(line, shipped=()) for line in one.lines)) for one in found]


class TestShipmentsForgotten(Sabotaged):
    connector = memory_connector(ForgetsShipments)


class VersionOfThePlacing(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, orders=tuple(replace(one, version=one.placed_at) for one in page.orders))

    async def orders_by_id(self, orders):
        return [replace(one, version=one.placed_at) for one in await super().orders_by_id(orders)]


class TestVersionNeverRises(Sabotaged):
    connector = memory_connector(VersionOfThePlacing)
