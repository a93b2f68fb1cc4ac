"""Orders are taken in page by page, each with its cursor in one transaction; none is lost and none counts twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.domain.orders import OrderSnapshot, OrderStatus
from channelsync.sdk.values import OrderPage
from channelsync.store import channels, orders_view
from channelsync.store.items import Item, add_items, item_id
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync import take_orders
from channelsync.sync.book_orders import expire_orders
from channelsync.sync.housekeeping import keep_house
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand
from channelsync.sync.take_orders import book_unmapped, poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import ShopShut, ShopSilent
from channelsync_memory.world import memory_connector


class PowerCut(BaseException):
    """The process dies here."""


async def poll(seller: Any, channel: str = "shop") -> Any:
    return await poll_orders(seller.agent, seller.channel(channel))


async def state(seller: Any, channel: str = "shop") -> Any:
    return await seller.database.transact(lambda c: channels.channel_state(c, channel))


async def booked_ids(seller: Any) -> set[str]:
    found = await seller.database.query(lambda c: orders_view.find_orders(c, OrdersWanted()))
    return {one.order for one in found}


# Pages and cursors


@pytest.mark.fault(6, "the next poll books what no delivery told of")
async def test_a_poll_books_what_changed_since_the_last_one_and_nothing_twice(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    shop = seller.shop()
    sale = shop.buy((shop.items[mug], 2))

    first, second = await poll(seller), await poll(seller)
    shop.ship(sale, 2)
    third = await poll(seller)

    assert [(taken.orders, taken.booked) for taken in (first, second, third)] == [(1, 1), (0, 0), (1, 1)]
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (7, 0)


async def test_a_complete_poll_says_up_to_when_orders_are_known_and_when_it_asked(open_seller: Any) -> None:
    seller = await open_seller("shop", page=2)
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))
    assert (await state(seller)).covered_to is None

    taken = await poll(seller)

    now = seller.clock.now()
    assert taken.pages == 2
    after = await state(seller)
    assert (after.covered_to, after.orders_asked_at, after.orders_failed) == (now, now, "")


class Interrupted(MemoryChannel):
    """A channel whose process dies between two pages, once."""

    pages_before = 1

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        told = 0
        async for page in super().orders(cursor=cursor):
            if told == Interrupted.pages_before:
                Interrupted.pages_before = -1
                raise PowerCut
            told += 1
            yield page


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Interrupted, "pages_before", 1)
    return memory_connector(Interrupted)


async def test_a_crash_between_two_pages_keeps_the_first_and_goes_on_with_the_second(
    open_seller: Any, interrupted: Any
) -> None:
    seller = await open_seller("shop", connectors={"shop": interrupted}, page=2)
    mug = await seller.sells("MUG", 9)
    for _ in range(5):
        seller.shop().buy((seller.shop().items[mug], 1))

    with pytest.raises(PowerCut):
        await poll(seller)

    assert (await seller.position("MUG")).reserved == 2
    assert (await state(seller)).covered_to is None, "nobody knows yet whether there were more"
    taken = await poll(seller)
    assert (taken.pages, taken.orders) == (2, 3), "the page that was booked is not asked for again"
    assert (await seller.position("MUG")).reserved == 5


async def test_a_page_and_its_cursor_are_one_transaction(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the rows of a page were written and before its cursor is."""
    seller = await open_seller("shop", page=2)
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))
    save = channels.save_channel

    def die(connection: Any, name: str, **fields: object) -> None:
        if "cursor" in fields:
            raise PowerCut
        save(connection, name, **fields)

    monkeypatch.setattr(channels, "save_channel", die)
    with pytest.raises(PowerCut):
        await poll(seller)
    monkeypatch.undo()

    assert await booked_ids(seller) == set()
    assert (await seller.position("MUG")).reserved == 0
    assert (await state(seller)).cursor is None
    assert (await poll(seller)).booked == 3
    assert (await seller.position("MUG")).reserved == 3


class Stuttering(MemoryChannel):
    """A channel that tells every page twice, and the orders of a page backwards."""

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in super().orders(cursor=cursor):
            backwards = replace(page, orders=page.orders[::-1])
            yield replace(backwards, covered_to=None)
            yield backwards


async def test_a_page_that_comes_twice_counts_once(open_seller: Any) -> None:
    seller = await open_seller("shop", connectors={"shop": memory_connector(Stuttering)})
    mug = await seller.sells("MUG", 9)
    for units in (1, 2):
        seller.shop().buy((seller.shop().items[mug], units))

    taken = await poll(seller)

    assert (taken.orders, taken.booked) == (4, 2)
    assert (await seller.position("MUG")).reserved == 3


# What a channel's failure leaves behind


@pytest.mark.fault(25, "a finding says that the channel cannot be reached, until it answers; its neighbours go on")
@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(ShopSilent("no answer came"), FindingKind.CHANNEL_DOWN), (ShopShut("closed"), FindingKind.NEEDS_SELLER)],
)
async def test_a_channel_that_fails_is_found_once_and_closed_when_it_answers_again(
    open_seller: Any, trouble: Exception, kind: FindingKind
) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 9)
    seller.shop().buy((seller.shop().items[mug], 2))
    seller.shop().trouble = trouble

    failed = [await poll(seller), await poll(seller)]
    await poll(seller, "market")

    assert all(taken.failed for taken in failed)
    (found,) = await seller.findings()
    assert (found.kind, found.channel) == (kind, "shop")
    assert (await state(seller)).orders_failed == failed[0].failed
    assert (await state(seller, "market")).orders_failed == "", "its neighbour has nothing to do with it"

    seller.shop().trouble = None
    assert (await poll(seller)).booked == 1
    assert await seller.findings() == []
    (closed,) = await seller.findings(only_open=False)
    assert closed.closed_why == "the channel's orders could be read"
    assert (await state(seller)).orders_failed == ""


# Lines that wait for a mapping


@pytest.mark.fault(18, "the order is kept, found, and booked when the mapping appears")
async def test_an_order_of_an_unknown_sku_is_kept_and_found_and_booked_when_the_mapping_appears(seller: Any) -> None:
    await seller.has("MUG", 5)
    mug = await seller.lists("MUG", 5)
    seller.shop().buy((seller.shop().items[mug], 2))

    await poll(seller)

    assert await booked_ids(seller) == {"sale-1"}
    assert (await seller.position("MUG")).reserved == 0
    assert await seller.kinds() == [FindingKind.UNMAPPED_LINE]

    await seller.pull()
    await seller.map(mug, "MUG")
    assert (await seller.position("MUG")).reserved == 2
    assert await seller.findings() == []
    (closed,) = await seller.findings(only_open=False)
    assert closed.closed_why == "it waits for no item any more"
    assert await book_unmapped(seller.agent, "shop") == 0, "nothing waits any more"


async def test_of_an_order_with_two_unknown_listings_each_is_booked_when_it_is_mapped(seller: Any) -> None:
    await seller.has("MUG", 5)
    await seller.has("LAMP", 5)
    mug, lamp = await seller.lists("MUG", 5), await seller.lists("LAMP", 5)
    shop = seller.shop()
    shop.buy((shop.items[mug], 2), (shop.items[lamp], 1))
    await poll(seller)
    await seller.pull()

    await seller.map(lamp, "LAMP")
    assert (await seller.position("LAMP")).reserved == 1
    assert len(await seller.findings()) == 1

    await seller.map(mug, "MUG")
    assert ((await seller.position("MUG")).reserved, (await seller.position("LAMP")).reserved) == (2, 1)
    assert await seller.findings() == []


@pytest.mark.fault(64, "kept and found; its neighbours are booked")
async def test_orders_that_go_on_waiting_do_not_keep_others_from_being_booked(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_orders, "WAITING_AT_ONCE", 2)
    await seller.has("MUG", 9)
    lamp, mug = await seller.lists("LAMP", 9), await seller.lists("MUG", 9)
    shop = seller.shop()
    for _ in range(5):
        shop.buy((shop.items[lamp], 1))
    for _ in range(3):
        shop.buy((shop.items[mug], 1))
    await poll(seller)
    await seller.pull()

    await seller.map(mug, "MUG")

    assert (await seller.position("MUG")).reserved == 3
    assert len(await seller.findings()) == 5


async def test_an_order_that_was_cancelled_while_it_waited_takes_nothing_when_it_is_mapped(seller: Any) -> None:
    await seller.has("MUG", 5)
    mug = await seller.lists("MUG", 5)
    sale = seller.shop().buy((seller.shop().items[mug], 2))
    await poll(seller)
    seller.shop().cancel(sale)
    await poll(seller)
    assert await seller.kinds() == [], "nothing of it waits any more"
    await seller.pull()

    await seller.map(mug, "MUG")

    assert (await seller.position("MUG")).entries == 1


async def test_a_waiting_order_of_ours_is_booked_once_an_item_has_its_sku(seller: Any) -> None:
    at = seller.clock.now()
    wanted = BookByHand(order="P-1", lines=(LineByHand("LAMP", 2),))
    await seller.database.transact(lambda c: book_by_hand(c, seller.agent.setup, wanted, now=at, run="test"))
    assert await book_unmapped(seller.agent, "manual") == 0
    await seller.database.transact(lambda c: add_items(c, [Item(id=item_id("LAMP"), sku="LAMP")], at))

    assert await book_unmapped(seller.agent, "manual") == 1
    assert (await seller.position("LAMP")).reserved == 2


async def test_orders_that_nobody_booked_after_their_listing_was_mapped_are_booked_by_the_daemon(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that mapped it died before it came to them."""
    await seller.has("MUG", 5)
    mug = await seller.lists("MUG", 5)
    seller.shop().buy((seller.shop().items[mug], 2))
    await poll(seller)
    await seller.pull()
    await seller.map(mug, "MUG", books=False)

    assert await keep_house(seller.agent)

    assert (await seller.position("MUG")).reserved == 2


async def test_waiting_orders_of_a_channel_that_was_removed_are_left_alone(seller: Any) -> None:
    assert await book_unmapped(seller.agent, "gone") == 0


# Orders that cannot be understood


@pytest.mark.fault(21, "the order is kept as unreadable, found, and nothing is booked; its neighbours are")
async def test_an_unreadable_order_is_kept_and_found_and_cleared_when_it_becomes_readable(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shop = seller.shop()
    sale = shop.buy((shop.items[mug], 1))
    shop.buy((shop.items[mug], 2))
    sale.lines[0].units = 0.5  # type: ignore[assignment]

    await poll(seller)

    assert (await seller.position("MUG")).reserved == 2, "its neighbour on the page is booked"
    (found,) = await seller.findings()
    assert found.kind == FindingKind.UNREADABLE_ORDER
    assert "sale-1" in found.summary
    (kept,) = await seller.database.query(orders_view.kept_orders)
    assert (kept.order, "0.5" in kept.raw) == ("sale-1", True)

    sale.lines[0].units = 0
    shop.edit(sale, 1)
    await poll(seller)
    assert (await seller.position("MUG")).reserved == 3
    assert await seller.findings() == []
    assert await seller.database.query(orders_view.kept_orders) == []


async def test_an_order_that_becomes_unreadable_stays_booked_as_it_was(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shop = seller.shop()
    sale = shop.buy((shop.items[mug], 1))
    await poll(seller)
    shop.edit(sale, 2)
    sale.lines[0].units = -1

    await poll(seller)

    assert (await seller.position("MUG")).reserved == 1
    assert await seller.kinds() == [FindingKind.UNREADABLE_ORDER]


# Orders that are read again by id


class Wavering(MemoryChannel):
    """A channel whose list of orders shows another number of units each time, always with the same version.

    It lists every order again and again.
    """

    told: Iterator[int]

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        units = next(Wavering.told)
        async for page in super().orders(cursor=None):
            yield replace(page, orders=tuple(_with_units(order, units) for order in page.orders))


def _with_units(order: OrderSnapshot, units: int) -> OrderSnapshot:
    return replace(order, lines=(replace(order.lines[0], ordered=units),))


async def test_two_snapshots_of_one_version_that_differ_are_read_again_by_id(
    open_seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wavering, "told", iter((4, 5, 4)), raising=False)
    seller = await open_seller("shop", connectors={"shop": memory_connector(Wavering)})
    mug = await seller.sells("MUG", 9)
    seller.shop().buy((seller.shop().items[mug], 2))

    reserved = []
    for _ in range(3):
        await poll(seller)
        reserved.append((await seller.position("MUG")).reserved)

    assert reserved == [4, 2, 2], "the list was believed once, then the order itself was asked for"
    assert await seller.hinted() == []


# Time limits


class Pending(MemoryChannel):
    """A channel whose orders nobody ever pays."""

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in super().orders(cursor=cursor):
            yield replace(page, orders=tuple(replace(one, status=OrderStatus.PENDING) for one in page.orders))


async def test_a_pending_order_without_news_expires_and_reserves_again_when_the_channel_tells_of_it(
    open_seller: Any,
) -> None:
    seller = await open_seller("shop", connectors={"shop": memory_connector(Pending, pending_limit=timedelta(hours=2))})
    mug = await seller.sells("MUG", 9)
    sale = seller.shop().buy((seller.shop().items[mug], 3))
    await poll(seller)
    assert (await seller.position("MUG")).reserved == 3

    async def expire() -> None:
        await seller.database.transact(
            lambda c: expire_orders(c, seller.agent.setup, now=seller.clock.now(), run="test")
        )

    await seller.clock.sleep(9_000)
    await expire()
    assert (await seller.position("MUG")).reserved == 3, "its orders were not read since"
    await poll(seller)
    await expire()
    assert (await seller.position("MUG")).reserved == 0

    seller.shop().edit(sale, 2)
    await poll(seller)
    assert (await seller.position("MUG")).reserved == 2
