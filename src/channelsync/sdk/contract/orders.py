"""Orders: none is lost, none comes from nowhere, and each says the same whenever and however it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

import pytest

from channelsync.sdk.channel import Capabilities, Channel
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import (
    MOMENT,
    ContractBase,
    OpenChannel,
    everything,
    ids_of,
    pages_from,
    snapshot,
    snapshots_of,
)
from channelsync.sdk.contract.world import Fault, Nonsense, Offered, World
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import OrderPage, OrderSnapshot, OrderStatus, UnreadableOrder

UNKNOWN = "no-such-order"

_Change = Callable[[str], Awaitable[None]]


async def bought(world: World, orders: int, *, sku: str = "MUG-BLUE", apart: timedelta = MOMENT) -> list[str]:
    """So many orders of one unit each, some time apart. sku: of a new listing; some channels take none twice."""
    offered = await world.offer(sku, 1_000)
    return await _more(world, offered, orders, apart)


async def _more(world: World, offered: Offered, orders: int, apart: timedelta) -> list[str]:
    placed = []
    for _ in range(orders):
        placed.append(await world.buy((offered, 1)))
        await world.advance(apart)
    return placed


class PageContract(ContractBase):
    """`orders`: pages, cursors and what they cover."""

    async def test_without_orders_there_is_still_a_page_that_says_where_to_go_on(
        self, open_channel: OpenChannel
    ) -> None:
        async with open_channel() as channel:
            pages = await pages_from(channel)
        assert pages, "no page, so no cursor to save"
        assert pages[-1].cursor
        assert pages[-1].covered_to is not None

    async def test_every_page_has_a_cursor_and_the_last_says_what_is_covered(
        self, world: World, clock: Clock, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        placed = await bought(world, 2 * world.orders_per_page + 1)
        await world.advance(capabilities.order_visibility)
        async with open_channel() as channel:
            pages = await pages_from(channel)
        assert len(pages) > 1, "more orders than fit on a page came on one"
        assert all(page.cursor for page in pages)
        assert ids_of(pages) == set(placed)
        for page in pages[:-1]:
            assert page.covered_to is None or page.covered_to <= clock.now()
        covered_to = pages[-1].covered_to
        assert covered_to is not None
        assert covered_to.utcoffset() == timedelta(0), "times are UTC"
        now = clock.now()
        behind = capabilities.order_visibility + capabilities.order_overlap + capabilities.timing.skew + MOMENT
        assert now - behind <= covered_to <= now, "it covers up to now, less what the channel is behind"

    async def test_what_a_page_covers_holds_no_order_that_comes_later(
        self, world: World, clock: Clock, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 1_000)
        behind = capabilities.order_visibility + capabilities.timing.skew + MOMENT
        placed: dict[str, datetime] = {}
        async with open_channel() as channel:
            pages = await pages_from(channel)
            for wait in (timedelta(0), MOMENT, capabilities.order_visibility, 2 * capabilities.order_visibility):
                placed[await world.buy((offered, 1))] = clock.now()
                await world.advance(wait)
                pages += await pages_from(channel, pages[-1].cursor)
                covered_to = pages[-1].covered_to
                assert covered_to is not None
                missing = {one for one, at in placed.items() if at < covered_to - behind} - ids_of(pages)
                assert not missing, f"what was visible by {covered_to} is covered, but {missing} did not come"
            await world.advance(capabilities.order_visibility + MOMENT)
            pages += await pages_from(channel, pages[-1].cursor)
        assert ids_of(pages) == set(placed), "an order was not listed within the declared `order_visibility`"

    async def test_a_resumed_cursor_loses_nothing(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        placed = await bought(world, 3 * world.orders_per_page)
        await world.advance(capabilities.order_visibility)
        async with open_channel() as channel:
            pages = await pages_from(channel)
        later = await bought(world, 2, sku="MUG-RED")
        await world.advance(capabilities.order_visibility)
        for number, page in enumerate(pages, 1):
            async with open_channel() as channel:
                rest = await pages_from(channel, page.cursor)
            missing = {*placed, *later} - ids_of([*pages[:number], *rest])
            assert not missing, f"resumed after page {number} of {len(pages)}, {missing} never came"

    async def test_a_resumed_cursor_repeats_nothing_beyond_the_overlap(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        beyond = capabilities.order_overlap + capabilities.order_visibility + capabilities.timing.skew + MOMENT
        await bought(world, world.orders_per_page + 1)
        await world.advance(beyond * 2)
        async with open_channel() as channel:
            pages = await pages_from(channel)
        covered_to, cursor = pages[-1].covered_to, pages[-1].cursor
        assert covered_to is not None
        later = await bought(world, 1, sku="MUG-RED")
        await world.advance(capabilities.order_visibility)
        async with open_channel() as channel:
            resumed = await pages_from(channel, cursor)
        old = {one.order for page in resumed for one in page.orders if one.version < covered_to - beyond}
        assert not old, f"{old} came before and did not change, yet came again"
        assert set(later) <= ids_of(resumed)

    async def test_pages_that_shift_lose_nothing(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        placed = await bought(world, 3 * world.orders_per_page)
        # So long that the next round's overlap does not bring what this one lost.
        await world.advance(
            capabilities.order_visibility + capabilities.order_overlap + capabilities.timing.skew + MOMENT
        )
        pages: list[OrderPage] = []
        async with open_channel() as channel:
            async for page in channel.orders(cursor=None):
                # What came on the first page with orders changes, so that all that follows moves up.
                if page.orders and not ids_of(pages):
                    for order in placed[: world.orders_per_page]:
                        await world.cancel(order)
                pages.append(page)
            await world.advance(capabilities.order_visibility)
            pages += await pages_from(channel, pages[-1].cursor)
        assert ids_of(pages) == set(placed), f"lost: {set(placed) - ids_of(pages)}"
        now = snapshots_of(pages)
        assert [now[order].status for order in placed[: world.orders_per_page]] == [
            OrderStatus.CANCELLED
        ] * world.orders_per_page, "a change during the paging did not come"

    async def test_a_failure_between_pages_is_raised_and_the_last_cursor_still_holds(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        placed = await bought(world, 3 * world.orders_per_page)
        await world.advance(capabilities.order_visibility)
        pages: list[OrderPage] = []

        async def fail_after_the_first(channel: Channel) -> None:
            async for page in channel.orders(cursor=None):
                pages.append(page)
                await world.fail(Fault.SERVER_ERROR)

        async with open_channel() as channel:
            with pytest.raises(TryLater):
                await fail_after_the_first(channel)
        await world.heal()
        async with open_channel() as channel:
            pages += await pages_from(channel, pages[-1].cursor)
        assert ids_of(pages) == set(placed), f"lost: {set(placed) - ids_of(pages)}"


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
        today = await _more(world, offered, world.orders_per_page + 1, MOMENT)
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
