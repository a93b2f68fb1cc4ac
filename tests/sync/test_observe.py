"""Observing: orders are booked, numbers seen, pushes predicted, and nothing is ever written to the channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store import keys
from channelsync.store.tables import metadata
from channelsync.sync.observe import ObserveReport, observe_report
from channelsync.sync.publish import publish_tick
from channelsync.sync.setup import Mode
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

Seller = Any
PUSHED: list[QuantityUpdate] = []


class NotingChannel(MemoryChannel):
    """Notes every update that leaves."""

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        PUSHED.extend(updates)
        return await super().push(updates)


@pytest.fixture(autouse=True)
def nothing_pushed_yet() -> None:
    PUSHED.clear()


async def opened(open_seller: Any, mode: Mode = "observe", **more: Any) -> Seller:
    noting = {"shop": memory_connector(NotingChannel), "market": memory_connector(NotingChannel)}
    return await open_seller("shop", "market", connectors=noting, channel={"mode": mode, **more})


async def tick(seller: Seller, times: int = 1) -> None:
    """A minute passes, and every channel takes orders and publishes, as its loops do."""
    for _ in range(times):
        await seller.clock.sleep(60)
        for channel in seller.agent.channels.values():
            await publish_tick(seller.agent, channel)
            await poll_orders(seller.agent, channel)


async def report(seller: Seller, begin: datetime) -> ObserveReport:
    end = seller.clock.now()
    return await seller.database.query(
        lambda c: observe_report(c, seller.agent.setup, begin.date(), begin, end), snapshot=True
    )


async def rows(seller: Seller, table: str) -> list[Any]:
    return await seller.database.query(lambda c: c.execute(text(f"SELECT * FROM {table}")).all())


async def trading_hour(seller: Seller) -> None:
    """Receipts, sales, hand edits up and down, a cancel and a sell-out; another tool writes whatever it likes."""
    mug = await seller.sells("MUG", 6)
    listing = await seller.lists("MUG", 9, channel="market")
    await seller.pull("market")
    await seller.map(listing, "MUG", channel="market")
    await tick(seller, 3)
    shop, market = seller.shop(), seller.shop("market")
    sale = shop.buy((shop.items[mug], 2))
    await tick(seller, 3)
    shop.items[mug].number = 1
    market.items[listing].number = 20
    await tick(seller, 3)
    shop.cancel(sale)
    await tick(seller, 3)
    market.buy((market.items[listing], market.items[listing].number))
    await tick(seller, 3)
    await seller.has("MUG", 4)
    shop.items[mug].number = 0
    await tick(seller, 20)


@pytest.mark.parametrize("how", [{"mode": "observe"}, {"mode": "live", "only_observe": True}])
async def test_no_push_ever_leaves_while_observing(open_seller: Any, how: dict[str, Any]) -> None:
    seller = await opened(open_seller, **how)
    await trading_hour(seller)

    assert PUSHED == []
    assert await rows(seller, "quantity_write") == []
    assert len(await rows(seller, "prediction")) >= 4


async def test_the_same_hour_is_full_of_pushes_when_the_channels_are_live(open_seller: Any) -> None:
    await trading_hour(await opened(open_seller, "live"))

    assert len(PUSHED) >= 4


async def test_orders_are_booked_while_observing(open_seller: Any) -> None:
    seller = await opened(open_seller)
    mug = await seller.sells("MUG", 6)
    seller.shop().buy((seller.shop().items[mug], 2))
    await tick(seller)

    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (6, 2)


async def test_another_tools_numbers_are_no_drop_and_no_rise(open_seller: Any) -> None:
    seller = await opened(open_seller)
    mug = await seller.sells("MUG", 6)
    await tick(seller, 2)
    for number in (1, 30, 0, 4):
        seller.shop().items[mug].number = number
        await seller.pull()
        await tick(seller, 2)

    assert await rows(seller, "provisional") == []
    assert await seller.findings(only_open=False) == []
    assert (await seller.position("MUG")).available == 6


async def test_a_prediction_is_recorded_when_the_number_that_should_be_shown_changes(open_seller: Any) -> None:
    seller = await opened(open_seller)
    await seller.sells("MUG", 6)
    await tick(seller, 3)
    await seller.has("MUG", 2)
    await seller.agent.database.transact(
        lambda c: c.execute(text("UPDATE quantity_key SET due_at = :now"), {"now": seller.clock.now()})
    )
    await tick(seller, 3)

    found = [(row.shown, row.target) for row in sorted(await rows(seller, "prediction"), key=lambda row: row.at)]
    assert found == [(6, 6), (6, 8)]


async def test_the_report_tells_what_would_have_been_pushed_and_why(open_seller: Any) -> None:
    seller = await opened(open_seller)
    begin = seller.clock.now()
    mug = await seller.sells("MUG", 6)
    await tick(seller, 3)
    seller.shop().items[mug].number = 9
    await seller.pull()
    await tick(seller, 2)

    found = await report(seller, begin)
    (push,) = found.pushes
    assert (push.channel, push.sku, push.shown, push.should) == ("shop", "MUG", 9, 6)
    assert "sum of locations 6 (main 6)" in push.why
    (channel,) = found.channels
    assert (channel.numbers, channel.would_push, channel.lowerings, channel.raises) == (1, 1, 1, 0)
    assert (channel.differing, channel.written) == (1, 0)
    assert found.oversells == ()


async def test_the_report_of_a_day_on_which_we_wrote_before_says_that_nothing_is_known(open_seller: Any) -> None:
    seller = await opened(open_seller)
    begin = seller.clock.now()
    await seller.sells("MUG", 6)
    written = metadata.tables["quantity_write"]
    (key,) = [row.id for row in await rows(seller, "quantity_key")]
    ours = {"key": key, "generation": 1, "value": 6, "run": "test", "sent_at": begin, "closed_at": begin}
    await seller.database.transact(lambda c: c.execute(written.insert().values(ours)))
    await seller.database.transact(lambda c: keys.save_key(c, key, generation=1))
    await tick(seller, 3)

    (channel,) = (await report(seller, begin)).channels
    assert (channel.numbers, channel.written, channel.would_push) == (1, 1, 0)


async def test_the_report_tells_the_orders_that_a_live_channel_would_not_have_taken(open_seller: Any) -> None:
    seller = await opened(open_seller)
    begin = seller.clock.now()
    mug = await seller.sells("MUG", 3)
    other = await seller.lists("MUG", 3, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")
    await tick(seller, 3)
    seller.shop().buy((seller.shop().items[mug], 3))
    await tick(seller, 5)
    market = seller.shop("market")
    late = market.buy((market.items[other], 2))
    await tick(seller, 2)

    found = await report(seller, begin)
    (oversell,) = found.oversells
    assert (oversell.channel, oversell.sku, oversell.shown) == ("market", "MUG", 3)
    assert (oversell.orders, oversell.units) == ((late.id,), 2)
    market_day = next(one for one in found.channels if one.channel == "market")
    assert (market_day.oversells, market_day.orders, market_day.units) == (1, 1, 2)
    shop_day = next(one for one in found.channels if one.channel == "shop")
    assert shop_day.oversells == 0


async def test_a_bundle_is_oversold_when_its_parts_are_gone(open_seller: Any) -> None:
    noting = {"shop": memory_connector(NotingChannel)}
    seller = await open_seller(
        "shop", connectors=noting, channel={"mode": "observe"}, recipes={"SET": {"MUG": 2, "TRAY": 1}}
    )
    begin = seller.clock.now()
    await seller.has("TRAY", 9)
    mug = await seller.sells("MUG", 4)
    bundle = await seller.lists("SET", 2)
    await seller.pull()
    await seller.map(bundle, "SET")
    await tick(seller, 3)
    seller.shop().buy((seller.shop().items[mug], 4))
    await tick(seller, 5)
    late = seller.shop().buy((seller.shop().items[bundle], 1))
    await tick(seller, 2)

    (oversell,) = (await report(seller, begin)).oversells
    assert (oversell.sku, oversell.orders) == ("SET", (late.id,))


async def test_the_report_ends_where_we_began_to_write(open_seller: Any) -> None:
    seller = await opened(open_seller)
    begin = seller.clock.now()
    mug = await seller.sells("MUG", 6)
    await tick(seller, 2)
    setup = seller.channel().setup
    object.__setattr__(setup, "mode", "live")
    await seller.clock.sleep(600)
    seller.shop().items[mug].number = 1
    await seller.pull()
    await tick(seller, 6)
    seller.shop().items[mug].number = 2
    await seller.pull()
    await tick(seller, 6)
    assert len(PUSHED) >= 2

    found = await report(seller, begin)
    assert [push.shown for push in found.pushes] == [1]


async def test_a_day_on_which_nothing_was_observed_is_empty(seller: Seller) -> None:
    await seller.sells("MUG", 6)
    found = await report(seller, seller.clock.now() - timedelta(days=1))

    assert (found.channels, found.pushes, found.oversells) == ((), (), ())
