"""Channels of one account: an order is booked once, whichever of them hears of it, and all of them are waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from channelsync.store import audits, channels, orders
from channelsync.store.channels import ChannelState
from channelsync.store.tables import metadata
from channelsync.sync.accounts import books_as, channels_of, orders_read
from channelsync.sync.book_orders import Arrival, Booked, book_orders
from channelsync.sync.listings_apply import book_waiting

ORDER = metadata.tables["sales_order"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def two(open_seller: Any) -> Any:
    """A seller whose channels "east" and "west" are of one account, once `joined`; "shop" is of another."""
    return await open_seller("east", "west", "shop")


async def joined(seller: Any) -> None:
    """The shops of "east" and "west" turn out to be of one account; the listings of each stay its own."""

    def unit(connection: Connection) -> None:
        for name in ("east", "west"):
            channels.save_channel(connection, name, identity="one")

    await seller.database.transact(unit)


async def order_of(seller: Any, channel: str, listing: str, units: int = 1) -> Any:
    shop = seller.shop(channel)
    bought = shop.buy((shop.items[listing], units))
    (snapshot,) = await seller.channel(channel).channel.orders_by_id([bought.id])
    return snapshot


async def hears(seller: Any, channel: str, order: Any) -> Booked:
    arrival = Arrival(channel=channel, order=order)
    agent = seller.agent
    booked: Booked = await seller.database.transact(
        lambda c: book_orders(c, agent.setup, [arrival], now=seller.clock.now(), run=agent.run)
    )
    return booked


async def booked_under(seller: Any) -> list[tuple[str, str]]:
    found = await seller.database.query(lambda c: c.execute(select(ORDER.c.channel, ORDER.c.order)).all())
    return [tuple(row) for row in found]


async def test_an_order_that_both_hear_of_is_booked_once_and_its_line_found_at_either(two: Any) -> None:
    mug = await two.sells("MUG", 9, channel="west")
    await joined(two)
    order = await order_of(two, "west", mug, 2)

    verdicts = [(await hears(two, name, order)).verdicts[0] for name in ("west", "east", "west")]

    assert verdicts == ["booked", "same", "same"]
    assert await booked_under(two) == [("east", order.order)]
    assert (await two.position("MUG")).reserved == 2
    assert await two.kinds() == []


async def test_an_order_keeps_the_name_under_which_it_was_booked(two: Any) -> None:
    mug = await two.sells("MUG", 9, channel="west")
    await joined(two)
    order = await order_of(two, "west", mug)
    await hears(two, "west", order)
    setup = two.agent.setup
    left = {name: one for name, one in setup.channels.items() if name != "east"}
    two.agent.setup = replace(setup, channels=left)  # "east" is not configured any more
    later = replace(order, version=order.version + timedelta(seconds=1))

    assert (await hears(two, "west", later)).verdicts == ["booked"]
    assert await booked_under(two) == [("east", order.order)]
    assert (await two.position("MUG")).reserved == 1


async def test_an_order_of_another_account_with_the_same_id_is_another_order(two: Any) -> None:
    mug = await two.sells("MUG", 9, channel="west")
    await joined(two)
    order = await order_of(two, "west", mug)
    await hears(two, "west", order)

    await hears(two, "shop", order)

    assert sorted(await booked_under(two)) == [("east", order.order), ("shop", order.order)]
    assert (await two.position("MUG")).reserved == 1
    assert await two.kinds() == ["unmapped line"]


async def test_an_order_that_waits_books_itself_when_the_other_channels_listing_is_mapped(two: Any) -> None:
    await two.has("MUG", 9)
    mug = await two.lists("MUG", 9, channel="west")
    await two.pull("west")
    await joined(two)
    order = await order_of(two, "west", mug)
    await hears(two, "west", order)
    assert await two.kinds() == ["unmapped line"]
    await two.map(mug, "MUG", channel="west")

    assert await book_waiting(two.agent, ["west"]) == 1

    assert (await two.position("MUG")).reserved == 1
    assert await two.kinds() == []


async def test_an_audit_knows_the_orders_of_the_whole_account(two: Any) -> None:
    mug = await two.sells("MUG", 9, channel="west")
    await joined(two)
    order = await order_of(two, "west", mug)
    await hears(two, "west", order)
    setup = two.agent.setup.channels["west"]

    def known(connection: Connection) -> set[str]:
        return audits.known_orders(connection, channels_of(connection, setup), [order.order, "other"])

    assert await two.database.query(known) == {order.order}


async def test_a_sku_means_something_where_all_listings_of_it_mean_the_same(two: Any) -> None:
    await two.sells("MUG", 9, channel="west")
    found = await two.database.query(lambda c: orders.mapped_listings(c, ("east", "west"), (), ["MUG"])[1])
    assert found.keys() == {"MUG"}
    await two.sells("MUG", 9, channel="east")  # another number of the same item: which of them moved is not known
    found = await two.database.query(lambda c: orders.mapped_listings(c, ("east", "west"), (), ["MUG"])[1])
    assert found == {}


async def test_new_orders_are_booked_under_the_first_that_is_not_off(two: Any) -> None:
    setup = two.agent.setup
    off = replace(setup, channels=dict(setup.channels) | {"east": replace(setup.channels["east"], mode="off")})
    assert books_as(setup, ("east", "west"), "west") == "east"
    assert books_as(off, ("east", "west"), "west") == "west"
    assert books_as(setup, ("gone",), "west") == "west"


def state(name: str, identity: str, minutes: int | None, **fields: Any) -> ChannelState:
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    empty: dict[str, Any] = dict.fromkeys(("cursor", "unreadable_since", "connected_at"), None) | {
        "budgets": b"",
        "breaker": b"",
    }
    said: dict[str, Any] = {"orders_failed": "", "stop": "", "zeroed": False, "mode": ""} | fields
    return ChannelState(name=name, identity=identity, covered_to=at, orders_asked_at=at, **empty, **said)


async def test_orders_are_read_as_far_as_the_channel_that_is_furthest_behind(two: Any) -> None:
    setup = two.agent.setup

    def read(*states: ChannelState) -> datetime | None:
        return orders_read(setup, {one.name: one for one in states}, "east")[0]

    assert read(state("east", "one", 5), state("west", "one", 3), state("shop", "another", 1)) == NOON.replace(minute=3)
    assert read(state("east", "one", 5), state("west", "one", None)) is None
    assert read(state("east", "one", 5), state("west", "one", None, mode="off")) == NOON.replace(minute=5)
    assert read(state("east", "one", 5), state("removed", "one", None)) == NOON.replace(minute=5)
    assert read(state("east", "", 5), state("west", "", None)) == NOON.replace(minute=5)
    assert read() is None


async def test_channels_whose_account_is_known_when_they_are_opened_share_its_budget(two: Any) -> None:
    agent, (east, west, shop) = two.agent, two.agent.channels.values()
    east.identity = west.identity = "one"
    agent.add_channel(west)
    agent.add_channel(shop)  # nobody knows its account yet
    left = {one.name: one.limiter.state() for one in (east, west, shop)}
    (bucket,) = left["east"]

    east.limiter.observe(1, bucket=bucket)

    assert west.limiter.state() == east.limiter.state() != left["west"]
    assert shop.limiter.state() == left["shop"]


async def test_whoever_needs_orders_wakes_all_channels_of_the_account(two: Any) -> None:
    east, west, shop = two.agent.channels.values()
    east.identity = west.identity = "one"
    two.agent.wake_orders("one")
    assert [one.wake_orders.is_set() for one in (east, west, shop)] == [True, True, False]
