"""Pages of orders and of listings: none is lost, none comes from nowhere, whatever moves while they are read."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from channelsync.sdk.channel import Capabilities, Channel
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import (
    MOMENT,
    ContractBase,
    OpenChannel,
    bought,
    ids_of,
    lag,
    offered_many,
    pages_from,
    snapshots_of,
)
from channelsync.sdk.contract.world import Fault, World
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import OrderPage, OrderStatus


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

    @pytest.mark.parametrize("full", [1, 2])
    @pytest.mark.parametrize("surplus", [-1, 0, 1])
    async def test_orders_come_however_they_fill_their_pages(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, full: int, surplus: int
    ) -> None:
        placed = await bought(world, full * world.orders_per_page + surplus) if world.orders_per_page + surplus else []
        await world.advance(capabilities.order_visibility)
        async with open_channel() as channel:
            came = await pages_from(channel)
            assert [ids_of(came), came[-1].covered_to is not None] == [set(placed), True]
            await world.advance(capabilities.order_visibility + MOMENT)
            again = await pages_from(channel, came[-1].cursor)
        assert ids_of(again) <= set(placed)
        assert again[-1].covered_to is not None

    async def test_orders_of_one_moment_that_no_page_holds_all_come(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        placed = await bought(world, 2 * world.orders_per_page + 1, apart=timedelta(0))
        await world.advance(capabilities.order_visibility + MOMENT)
        async with open_channel() as channel:
            pages = await pages_from(channel)
        assert ids_of(pages) == set(placed)
        for number, page in enumerate(pages, 1):
            async with open_channel() as channel:
                rest = await pages_from(channel, page.cursor)
            missing = set(placed) - ids_of([*pages[:number], *rest])
            assert not missing, f"resumed after page {number} of {len(pages)}, {missing} never came"

    @pytest.mark.parametrize("moved", ["those of the first page", "those that were not read yet"])
    async def test_pages_that_shift_lose_nothing(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, moved: str
    ) -> None:
        placed = await bought(world, 3 * world.orders_per_page)
        first = moved == "those of the first page"
        cancelled = placed[: world.orders_per_page] if first else placed[-world.orders_per_page :]
        # So long that the next round's overlap does not bring what this one lost.
        await world.advance(
            capabilities.order_visibility + capabilities.order_overlap + capabilities.timing.skew + MOMENT
        )
        pages: list[OrderPage] = []
        async with open_channel() as channel:
            async for page in channel.orders(cursor=None):
                # While the first page with orders is read some of them change, so that all that follows moves up.
                if page.orders and not ids_of(pages):
                    for order in cancelled:
                        await world.cancel(order)
                    placed += await bought(world, 1, sku="MUG-RED", apart=timedelta(0))
                pages.append(page)
            await world.advance(capabilities.order_visibility)
            pages += await pages_from(channel, pages[-1].cursor)
        assert ids_of(pages) == set(placed), f"lost: {set(placed) - ids_of(pages)}"
        now = snapshots_of(pages)
        assert {now[order].status for order in cancelled} == {OrderStatus.CANCELLED}, (
            "a change during the paging did not come"
        )

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


class ListingPageContract(ContractBase):
    """`listings`: every one of them comes, and comes once."""

    async def test_a_listing_that_leaves_while_they_are_read_hides_no_other(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        many = {one.listing: one for one in await offered_many(world, 2 * world.listings_per_page + 1)}
        await world.advance(lag(capabilities))
        found: list[str] = []
        async with open_channel() as channel:
            async for listing in channel.listings():
                if not found:  # what is read next moves up by one
                    await world.remove(many[listing.listing])
                found.append(listing.listing)
        assert set(found) >= set(many) - {found[0]}, f"never came: {set(many) - set(found)}"
        assert len(found) == len(set(found)), "a listing came twice"

    async def test_a_listing_that_is_new_while_they_are_read_doubles_no_other(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        many = {one.listing for one in await offered_many(world, 2 * world.listings_per_page + 1)}
        await world.advance(lag(capabilities))
        found: list[str] = []
        async with open_channel() as channel:
            async for listing in channel.listings():
                if not found:  # what is read next moves down by one, where the newest come first
                    many.add((await world.offer("NEW", 5)).listing)
                found.append(listing.listing)
        assert len(many - set(found)) <= 1, f"never came: {many - set(found)}"
        assert set(found) <= many
        assert len(found) == len(set(found)), "a listing came twice"

    @pytest.mark.parametrize("surplus", [-1, 0, 1])
    async def test_listings_come_however_they_fill_their_pages(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, surplus: int
    ) -> None:
        many = await offered_many(world, 2 * world.listings_per_page + surplus)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            found = [one.listing async for one in channel.listings()]
        assert sorted(found) == sorted(one.listing for one in many)
