"""Orders can be booked again from what was said of them, at any time and as often as one likes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.store.orders_view import OrdersWanted
from channelsync.sync import replay_orders as replaying
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand
from channelsync.sync.replay_orders import Replayed, replay_orders
from channelsync.sync.take_orders import poll_orders


async def replay(seller: Any, **wanted: Any) -> Replayed:
    return await replay_orders(seller.agent, OrdersWanted(**wanted))


@pytest.fixture
async def sold(seller: Any) -> Any:
    """Three orders on the shop, an hour apart: for MUG, for MUG (cancelled), and for LAMP, which is not mapped."""
    mug = await seller.sells("MUG", 9)
    lamp = await seller.lists("LAMP", 9)
    shop = seller.shop()
    shop.buy((shop.items[mug], 1))
    await seller.clock.sleep(3600)
    shop.cancel(shop.buy((shop.items[mug], 2)))
    await seller.clock.sleep(3600)
    shop.buy((shop.items[lamp], 3))
    await poll_orders(seller.agent, seller.channel())
    return seller


async def test_what_is_booked_already_stays_as_it_is(sold: Any) -> None:
    before = await sold.position("MUG")

    first, second = await replay(sold), await replay(sold)

    assert (first.orders, first.changed, first.waiting) == (3, [], 1)
    assert second == first
    assert await sold.position("MUG") == before


async def test_what_waited_is_booked(sold: Any) -> None:
    await sold.has("LAMP", 9)
    await sold.pull()
    await sold.map("item-2", "LAMP", books=False)

    done = await replay(sold)

    assert (done.changed, done.waiting) == ([("shop", "sale-3")], 0)
    assert (await sold.position("LAMP")).reserved == 3
    assert await sold.findings() == []


@pytest.mark.parametrize(
    ("wanted", "orders"),
    [
        ({"orders": ("sale-1", "sale-9")}, 1),
        ({"channel": "shop"}, 3),
        ({"channel": "market"}, 0),
        ({"status": "cancelled"}, 1),
        ({"only_unmapped": True}, 1),
    ],
)
async def test_only_what_is_wanted_is_booked_again(sold: Any, wanted: dict[str, Any], orders: int) -> None:
    assert (await replay(sold, **wanted)).orders == orders


async def test_orders_since_a_time_are_those_placed_since(sold: Any) -> None:
    now = sold.clock.now()

    assert (await replay(sold, since=now - timedelta(minutes=90))).orders == 2
    assert (await replay(sold, since=now - timedelta(hours=3), until=now)).orders == 2


async def test_many_orders_are_gone_through_page_by_page(sold: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "REPLAYED_AT_ONCE", 2)
    wanted = BookByHand(order="0", lines=(LineByHand("MUG", 1),))
    await sold.database.transact(lambda c: book_by_hand(c, sold.agent.setup, wanted, now=sold.clock.now(), run="test"))

    assert (await replay(sold)).orders == 4


async def test_orders_of_a_channel_that_was_removed_are_left_as_they_are_and_said(sold: Any) -> None:
    sold.agent.setup = replace(sold.agent.setup, channels={})

    done = await replay(sold)

    assert (done.orders, done.left_out) == (0, {"shop": 3})
