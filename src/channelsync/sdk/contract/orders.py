"""Orders: each says the same whenever and however it is asked for, and tells what has happened to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

import pytest

from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import (
    MOMENT,
    ContractBase,
    OpenChannel,
    bought,
    bought_of,
    everything,
    pages_from,
    snapshot,
    snapshots_of,
)
from channelsync.sdk.contract.world import Nonsense, World
from channelsync.sdk.values import OrderSnapshot, OrderStatus, UnreadableOrder

UNKNOWN = "no-such-order"

_Change = Callable[[str], Awaitable[None]]


class OrderContract(ContractBase):
    """What an order says, however it is asked for."""

    async def test_an_order_is_the_same_however_it_is_asked_for(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        (order,) = await bought(world, 1)
        await world.advance(capabilities.order_visibility)
        async with open_channel() as channel:
            listed = snapshots_of(await pages_from(channel))[order]
            again = snapshots_of(await pages_from(channel))[order]
            by_id = await snapshot(channel, order)
        assert listed == again == by_id
        assert listed.content == by_id.content

    async def test_orders_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out(
        self, world: World, open_channel: OpenChannel
    ) -> None:
        first, second, third = await bought(world, 3)
        async with open_channel() as channel:
            found = await channel.orders_by_id([third, UNKNOWN, first, second])
            assert list(await channel.orders_by_id([])) == []
        assert [one.order for one in found] == [third, first, second]

    async def test_an_order_names_what_was_bought_how_many_and_when(
        self, world: World, clock: Clock, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        blue, red = await world.offer("MUG-BLUE", 10), await world.offer("MUG-RED", 10)
        before = clock.now()
        order = await world.buy((blue, 2), (red, 1))
        await world.pay(order)
        async with open_channel() as channel:
            found = await snapshot(channel, order)
        assert [line.ordered for line in found.lines] == [2, 1]
        for line, offered in zip(found.lines, (blue, red), strict=True):
            assert line.listing == offered.listing or (line.listing is None and line.sku == offered.sku)
            assert line.to_ship == line.ordered
        assert found.status is OrderStatus.OPEN
        skew = capabilities.timing.skew + MOMENT
        assert before - skew <= found.placed_at <= clock.now() + skew, "placed_at is the channel's time, in UTC"

    async def test_the_ids_of_a_day_are_those_of_the_orders_placed_on_it(
        self, world: World, clock: Clock, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        midnight = datetime.combine(clock.now().date() + timedelta(days=1), time(), tzinfo=UTC)
        offered = await world.offer("MUG-BLUE", 1_000)
        edge = capabilities.timing.skew + MOMENT
        today = await bought_of(world, offered, world.orders_per_page + 1, MOMENT)
        await world.cancel(today[0])
        await world.advance(midnight - edge - clock.now())
        today.append(await world.buy((offered, 1)))
        await world.advance(2 * edge)
        tomorrow = [await world.buy((offered, 1))]
        await world.advance(capabilities.order_visibility + MOMENT)
        async with open_channel() as channel:
            for day, placed in ((midnight.date() - timedelta(days=1), today), (midnight.date(), tomorrow)):
                ids = await everything(channel.order_ids(day))
                assert sorted(ids) == sorted(placed), f"orders of {day}"
            assert await everything(channel.order_ids(midnight.date() + timedelta(days=7))) == []

    @pytest.mark.parametrize("nonsense", list(Nonsense))
    async def test_an_order_that_cannot_be_understood_is_reported_and_its_neighbours_come(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, nonsense: Nonsense
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        before = await world.buy((offered, 1))
        broken = await world.buy_nonsense(nonsense)
        after = await world.buy((offered, 1))
        await world.advance(capabilities.order_visibility + MOMENT)
        async with open_channel() as channel:
            pages = await pages_from(channel)
            by_id = await channel.orders_by_id([before, broken, after])
        assert set(snapshots_of(pages)) == {before, after}
        unreadable = {one.order: one for page in pages for one in page.unreadable}
        assert set(unreadable) == {broken}
        assert unreadable[broken].reason
        assert [isinstance(one, UnreadableOrder) for one in by_id] == [False, True, False]

    async def test_nothing_about_the_buyer_is_in_any_value(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        orders = [await world.buy((offered, 1)), await world.buy_nonsense(Nonsense.NO_LINES)]
        await world.advance(capabilities.order_visibility + MOMENT)
        async with open_channel() as channel:
            told = repr((await pages_from(channel), await channel.orders_by_id(orders)))
        assert orders[0] in told
        assert not [text for text in world.canaries if text in told]


class LifeContract(ContractBase):
    """What happens to an order shows in its next snapshot."""

    async def test_a_cancelled_order_ships_nothing_more(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        _, after = await self._changed(world, open_channel, capabilities, units=2, change=world.cancel)
        assert after.status is OrderStatus.CANCELLED
        assert [after.to_ship(line) for line in after.lines] == [0]

    async def test_an_edited_order_asks_for_the_new_number_of_units(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        async def edit(order: str) -> None:
            await world.edit(order, 1)

        _, after = await self._changed(world, open_channel, capabilities, units=3, change=edit)
        assert [after.to_ship(line) for line in after.lines] == [1]

    async def test_a_part_shipment_leaves_the_rest_to_ship(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        async def ship(order: str) -> None:
            await world.pay(order)
            await world.ship(order, 1)

        _, after = await self._changed(world, open_channel, capabilities, units=3, change=ship)
        assert [sum(moved.units for moved in line.shipped) for line in after.lines] == [1]
        assert [after.to_ship(line) for line in after.lines] == [2]

    async def test_a_return_that_may_be_sold_again_is_told(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        async def bring_back(order: str) -> None:
            await world.pay(order)
            await world.ship(order, 2)
            await world.take_back(order, 1)

        _, after = await self._changed(world, open_channel, capabilities, units=2, change=bring_back)
        assert [sum(moved.units for moved in line.returned) for line in after.lines] == [1]
        assert [sum(moved.units for moved in line.shipped) for line in after.lines] == [2]
        assert [after.to_ship(line) for line in after.lines] == [0]

    async def test_of_units_that_come_back_only_those_that_may_be_sold_again_count_as_returned(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        async def bring_back(order: str) -> None:
            await world.pay(order)
            await world.ship(order, 3)
            await world.take_back(order, 1)
            await world.keep_back(order, 1)

        _, after = await self._changed(world, open_channel, capabilities, units=3, change=bring_back)
        assert [sum(moved.units for moved in line.returned) for line in after.lines] == [1]
        assert [sum(moved.units for moved in line.shipped) for line in after.lines] == [3]
        assert [after.to_ship(line) for line in after.lines] == [0]

    async def test_a_return_that_may_not_be_sold_again_returns_nothing(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        async def bring_back(order: str) -> None:
            await world.pay(order)
            await world.ship(order, 2)
            await world.keep_back(order, 2)

        _, after = await self._changed(world, open_channel, capabilities, units=2, change=bring_back)
        assert [sum(moved.units for moved in line.returned) for line in after.lines] == [0]
        assert [sum(moved.units for moved in line.shipped) for line in after.lines] == [2]
        assert [after.to_ship(line) for line in after.lines] == [0]

    async def _changed(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, *, units: int, change: _Change
    ) -> tuple[OrderSnapshot, OrderSnapshot]:
        """An order before and after something happened to it, which the poll from the cursor in between brings."""
        offered = await world.offer("MUG-BLUE", 10)
        order = await world.buy((offered, units))
        await world.advance(capabilities.order_visibility + MOMENT)
        async with open_channel() as channel:
            pages = await pages_from(channel)
            await change(order)
            await world.advance(capabilities.order_visibility + MOMENT)
            changed = snapshots_of(await pages_from(channel, pages[-1].cursor))
            assert order in changed, "the order changed after the cursor, yet did not come again"
            by_id = await snapshot(channel, order)
        before, after = snapshots_of(pages)[order], changed[order]
        assert after == by_id
        assert after.version > before.version, "a changed order has a later version"
        assert after.placed_at == before.placed_at
        return before, after
