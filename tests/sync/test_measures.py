"""What is measured of the seller's channels: from which orders, and what a channel may have sold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.demand import DemandRate
from channelsync.domain.rules import Computed, Rule, RuleScope, RuleValues
from channelsync.store import guarded_keys, history, keys, sharing
from channelsync.store.items import item_id
from channelsync.sync.compare_all import Step, compare_all
from channelsync.sync.guard_numbers import Numbers
from channelsync.sync.measures import Measures, measure
from channelsync.sync.orders_by_id import take_by_id
from channelsync.sync.publish import publish_tick
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.targets import Target, compute_targets
from channelsync_memory.shop import ShopShut

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAST = DemandRate(600.0)


TEN = timedelta(minutes=10)


async def delays(seller: Any) -> dict[str, list[timedelta]]:
    """How late each order was listed, as far as we know it."""
    found = await seller.database.query(lambda c: history.order_delays(c, START - timedelta(days=28)))
    return {channel: sorted(told) for channel, told in found.items()}


def buys(seller: Any, channel: str, listing: str, late: timedelta = timedelta(0)) -> str:
    """A sale that the shop lists from now on, placed so long ago; returns its id."""
    sale = seller.shop(channel).buy((seller.shop(channel).items[listing], 1))
    sale.placed_at = seller.clock.now() - late
    return str(sale.id)


async def lives(seller: Any, late: timedelta, *, stopped: range) -> None:
    """Both shops sell every minute; orders are asked for every ten, at "still" not in these minutes."""
    listings = {name: await seller.sells("MUG", 5_000, channel=name) for name in ("shop", "still")}
    for minute in range(1_400):
        if minute % 10 == 0:
            for name in listings:
                if name == "shop" or minute not in stopped:
                    await poll_orders(seller.agent, seller.channel(name))
        seller.clock.at += timedelta(minutes=1)
        for name, listing in listings.items():
            buys(seller, name, listing, late)


@pytest.mark.parametrize(
    ("late", "least", "most"),
    [(timedelta(0), timedelta(0), timedelta(0)), (timedelta(minutes=40), timedelta(minutes=38), timedelta(minutes=40))],
    ids=["lists at once", "lists 40 minutes late"],
)
async def test_a_shop_whose_daemon_stood_still_measures_what_one_does_that_never_did(
    open_seller: Any, late: timedelta, least: timedelta, most: timedelta
) -> None:
    seller = await open_seller("shop", "still")
    await lives(seller, late, stopped=range(300, 900))

    measured = await seller.database.query(lambda c: measure(c, seller.agent.setup, seller.clock.now()))

    assert measured.order_limit["still"] == measured.order_limit["shop"]
    assert least <= measured.order_limit["shop"] <= most
    polled = seller.agent.setup.channels["shop"].poll
    assert measured.delays["shop"].order_visible == polled + measured.order_limit["shop"]


async def test_what_was_ordered_before_we_knew_a_channel_was_not_seen_late(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 9)
    cup = await seller.sells("CUP", 9, channel="market")
    buys(seller, "shop", mug, timedelta(days=20))
    await poll_orders(seller.agent, seller.channel("shop"))
    seller.clock.at += HOUR
    buys(seller, "shop", mug, timedelta(seconds=30))
    buys(seller, "shop", mug, timedelta(minutes=65))
    buys(seller, "market", cup, timedelta(days=9))
    await poll_orders(seller.agent, seller.channel("shop"))
    await poll_orders(seller.agent, seller.channel("market"))

    assert await delays(seller) == {"shop": [timedelta(0), timedelta(minutes=5)]}


async def test_a_read_that_broke_off_says_of_no_order_that_it_was_not_listed(open_seller: Any) -> None:
    seller = await open_seller("shop")
    mug = await seller.sells("MUG", 9)
    await poll_orders(seller.agent, seller.channel())
    seller.clock.at += HOUR
    seller.shop().trouble = ShopShut("closed for the night")
    await poll_orders(seller.agent, seller.channel())
    seller.shop().trouble = None
    seller.clock.at += TEN
    buys(seller, "shop", mug, timedelta(minutes=20))
    await poll_orders(seller.agent, seller.channel())

    assert await delays(seller) == {"shop": [timedelta(0)]}


async def test_an_order_read_by_its_id_says_nothing_of_the_list(open_seller: Any) -> None:
    seller = await open_seller("shop")
    mug = await seller.sells("MUG", 9)
    await poll_orders(seller.agent, seller.channel())
    seller.clock.at += TEN
    await take_by_id(seller.agent, seller.channel(), [buys(seller, "shop", mug, HOUR)])
    await poll_orders(seller.agent, seller.channel())

    assert await delays(seller) == {}


async def test_a_later_version_of_an_order_leaves_what_was_measured(open_seller: Any) -> None:
    seller = await open_seller("shop")
    mug = await seller.sells("MUG", 9)
    await poll_orders(seller.agent, seller.channel())
    sale = buys(seller, "shop", mug, timedelta(minutes=5))
    for _ in range(2):
        seller.clock.at += TEN
        await poll_orders(seller.agent, seller.channel())
        seller.shop().ship(seller.shop().sales[sale], 1)

    assert await delays(seller) == {"shop": [timedelta(minutes=5)]}


async def test_orders_of_a_version_that_did_not_keep_it_leave_the_declared_limit(open_seller: Any) -> None:
    seller = await open_seller("shop")
    mug = await seller.sells("MUG", 2_000)
    await poll_orders(seller.agent, seller.channel())
    for _ in range(1_000):
        buys(seller, "shop", mug, HOUR)
    await poll_orders(seller.agent, seller.channel())
    limits = []
    for _ in range(2):
        told = await seller.database.query(lambda c: measure(c, seller.agent.setup, seller.clock.now()))
        limits.append(told.order_limit["shop"])
        await seller.database.transact(lambda c: c.execute(text("UPDATE sales_order SET absent_at = NULL")))

    assert limits == [HOUR, seller.agent.setup.channels["shop"].capabilities.order_visibility]


@pytest.mark.parametrize(
    ("takes", "units"),
    [
        ((("mug", 1),), 677),
        ((("mug", 6),), 113),
        ((("mug", 1), ("cup", 1)), 5),
        ((("lamp", 1),), 5),
    ],
    ids=["an item that sells fast", "a pack of it", "a bundle is sold as often as its slowest part", "not watched yet"],
)
def test_what_a_channel_may_have_sold_follows_from_the_items_that_leave(
    takes: tuple[tuple[str, int], ...], units: int
) -> None:
    demand = {"mug": {"shop": FAST}, "cup": {"shop": DemandRate(1.0)}}
    measures = Measures(at=START, prior=DemandRate(1.0), demand=demand)
    assert measures.plausible("shop", takes, HOUR) == units


async def test_a_drop_of_a_bundle_is_as_plausible_as_what_its_parts_sell(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2}})
    await seller.has("MUG", 40)
    listing = await seller.lists("SET", 20)
    await seller.pull()
    await seller.map(listing, "SET")
    seller.agent.measures = replace(seller.agent.measures, demand={item_id("MUG"): {"shop": FAST}})
    for number in (20, 12):
        seller.shop().items[listing].number = number
        seller.clock.at += timedelta(minutes=5)
        ids = await seller.database.query(lambda c: sharing.keys_sharing(c, {item_id("SET")}))
        await seller.database.transact(lambda c, ids=ids: keys.want_reads(c, ids))
        await publish_tick(seller.agent, seller.channel())

    held = await seller.database.query(lambda c: c.execute(text("SELECT units, plausible FROM provisional")).all())

    assert [tuple(row) for row in held] == [(8, 8)]


COMPUTED = Rule("r", RuleScope(channel="shop"), RuleValues(buffer=Computed(0.01)), "test")


async def targets(seller: Any, demand: dict[str, dict[str, DemandRate]], *skus: str) -> dict[tuple[str, str], Target]:
    """What every number of these should show when so much is sold, by channel and SKU."""
    measures = replace(seller.agent.measures, demand={item_id(sku): rates for sku, rates in demand.items()})
    names = {item_id(sku): sku for sku in skus}

    def unit(connection: Any) -> dict[int, Target]:
        return compute_targets(connection, seller.agent.setup, measures, sharing.keys_sharing(connection, names))

    found = await seller.database.query(unit)
    return {(one.key.channel, names[one.key.item or ""]): one for one in found.values()}


async def sells_bundles(seller: Any, listed: dict[str, list[str]]) -> None:
    """Lists SKUs on channels; what is there was received before."""
    for channel, skus in listed.items():
        made = {sku: await seller.lists(sku, 0, channel=channel) for sku in skus}
        await seller.pull(channel)
        for sku, listing in made.items():
            await seller.map(listing, sku, channel=channel)


async def test_the_computed_buffer_of_a_bundle_follows_from_what_its_parts_sell(open_seller: Any) -> None:
    seller = await open_seller("shop", "market", recipes={"SET": {"MUG": 2, "BOX": 1}}, rules=(COMPUTED,))
    await seller.has("MUG", 2_000)
    await seller.has("BOX", 100_000)
    await sells_bundles(seller, {"shop": ["SET", "MUG"], "market": ["SET"]})
    quiet = {"MUG": {"market": DemandRate(0.0)}, "BOX": {"market": DemandRate(600.0)}}
    busy = quiet | {"MUG": {"market": DemandRate(600.0)}}

    still, sold = await targets(seller, quiet, "SET", "MUG"), await targets(seller, busy, "SET", "MUG")

    assert [still["shop", sku].units for sku in ("MUG", "SET")] == [2_000, 1_000], "of boxes there are plenty"
    held = 2_000 - sold["shop", "MUG"].units
    assert held > 100
    assert sold["shop", "SET"].units == 1_000 - -(-held // 2)
    assert sold["market", "SET"].units == 1_000


async def test_the_cap_of_a_computed_buffer_is_counted_in_bundles(open_seller: Any) -> None:
    rule = replace(COMPUTED, values=RuleValues(buffer=Computed(0.01, at_most=3)))
    seller = await open_seller("shop", "market", recipes={"SET": {"MUG": 2}}, rules=(rule,))
    await seller.has("MUG", 2_000)
    await sells_bundles(seller, {"shop": ["SET"], "market": ["SET"]})

    found = await targets(seller, {"MUG": {"market": FAST}}, "SET")

    assert found["shop", "SET"].units == 997


async def test_a_part_is_as_scarce_as_the_bundles_of_it_on_other_channels_make_it(open_seller: Any) -> None:
    seller = await open_seller("shop", "market", recipes={"SET": {"MUG": 2}}, rules=(COMPUTED,))
    await seller.has("MUG", 100)
    await sells_bundles(seller, {"shop": ["MUG"], "market": ["SET"]})
    slow = {"MUG": {"shop": DemandRate(0.1), "market": DemandRate(0.1)}}
    fast = {"MUG": {"shop": DemandRate(0.1), "market": FAST}}

    alone, shared = await targets(seller, slow, "MUG"), await targets(seller, fast, "MUG")
    bundles = await targets(seller, {"MUG": {"shop": FAST, "market": DemandRate(0.1)}}, "SET")

    assert (alone["shop", "MUG"].hot, shared["shop", "MUG"].hot, bundles["market", "SET"].hot) == (False, True, True)
    assert (alone["shop", "MUG"].units, shared["shop", "MUG"].units) == (99, 0)


async def test_a_part_is_not_taken_for_an_item_that_is_like_it_but_in_no_bundle(open_seller: Any) -> None:
    seller = await open_seller("shop", "market", recipes={"SET": {"MUG": 2}}, rules=(COMPUTED,))
    for sku in ("CUP", "MUG"):
        await seller.has(sku, 100)
    await sells_bundles(seller, {"shop": ["CUP", "MUG"], "market": ["SET"]})
    setup, measures, now = seller.agent.setup, seller.agent.measures, seller.clock.now()
    exact = await targets(seller, {}, "CUP", "MUG")
    wanted = {one.key.id: one.units for one in exact.values()}

    for _ in range(4):
        seller.clock.at += timedelta(minutes=1)
        for name in ("shop", "market"):
            await publish_tick(seller.agent, seller.channel(name))

    def unit(connection: Any) -> tuple[dict[int, int], list[Step]]:
        alike = guarded_keys.keys_of_items(connection, [item_id("CUP"), item_id("MUG")])
        numbers = Numbers(connection=connection, setup=setup, measures=measures).of(alike)
        steps = [step for page in compare_all(connection, setup, measures, now) for step in page.steps]
        return {key: one.units for key, one in numbers.items()}, steps

    guarded, wrong = await seller.database.query(unit)

    assert exact["shop", "CUP"].units != exact["shop", "MUG"].units
    assert guarded == wanted
    assert {item.sku: item.number for item in seller.shop().items.values()} == {
        sku: exact["shop", sku].units for sku in ("CUP", "MUG")
    }
    assert wrong == [], "all of this is shown"


async def test_a_bundle_that_is_made_of_plenty_is_not_scarce(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2}})
    await seller.has("MUG", 1_000)
    await sells_bundles(seller, {"shop": ["SET"]})

    plenty = await targets(seller, {"MUG": {"shop": DemandRate(1.0)}}, "SET")
    scarce = await targets(seller, {"MUG": {"shop": DemandRate(9_000.0)}}, "SET")

    assert (plenty["shop", "SET"].hot, scarce["shop", "SET"].hot) == (False, True)
