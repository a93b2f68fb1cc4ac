"""One short day for every marketplace of the lab that no other story is about: it is kept right whatever it does."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import State

PLAIN = MarketplaceRules()

DAYS = (
    "plain",
    "compare-and-set, stale 3 min",
    "no compare-and-set, stale 3 min",
    "staler than declared",
    "idempotency keys",
    "relative writes",
    "answers with the number",
    "small pages",
    "applies later, in order",
    "applies later, in any order",
    "applies later with compare-and-set",
    "names its holds",
    "orders later than declared",
    "pages that shift",
    "assigns locations",
    "unique SKUs",
    "no webhooks",
    "tokens last 10 min",
    "tight budget",
    "tight budget, no Retry-After",
    "tight budget, Retry-After as a date",
    "day quota",
    "far away",
)


async def some_trade(world: Any, skus: list[str]) -> None:
    """Sales on both marketplaces, a cancel and an edit, over half an hour."""
    orders = [world.sells(name, 2, sku) for sku in skus for name in ("shop", "market")]
    await world.lives(12)
    world.market("shop").cancel(orders[0])
    line = world.market("shop").orders[orders[2]].lines[0].id
    world.market("shop").edit(orders[2], line, 1)
    await world.lives(12)
    world.sells("market", 1, skus[0])


@pytest.mark.parametrize("preset", DAYS)
async def test_every_marketplace_is_right_after_some_trade(open_world, preset: str) -> None:
    skus = ["ash", "bay", "cup"]
    world = await open_world({"shop": PRESETS[preset], "market": PLAIN}, dict.fromkeys(skus, 20))
    await some_trade(world, skus)
    await world.lives(32)
    await world.sweeps()
    await world.lives(6)
    there = [await world.available(sku) for sku in skus]
    assert there == [17, 17, 16]
    assert ([world.shows("shop", sku) for sku in skus], [world.shows("market", sku) for sku in skus]) == (there, there)
    assert (await world.held(), world.oversold) == ([], 0)
    assert world.stage.sites["shop"].api.meter.violations == []


@pytest.mark.fails_without(declares={"updates_per_push": 50, "reads_per_call": 50})
async def test_no_call_carries_more_than_the_marketplace_takes(open_world) -> None:
    world = await open_world({"shop": PRESETS["one at a time"], "market": PLAIN}, {"ash": 9, "bay": 9, "cup": 9})
    for sku in ("ash", "bay", "cup"):
        world.sells("market", 2, sku)
    await world.poll("market")
    await world.lives(3)
    assert [world.shows("shop", sku) for sku in ("ash", "bay", "cup")] == [7, 7, 7]
    assert {len(batch) for batch in world.wires["shop"].pushed} == {1}


async def test_a_listing_that_0_deactivated_comes_back_with_its_units(open_world) -> None:
    world = await open_world({"shop": PRESETS["zero deactivates"], "market": PLAIN}, 3)
    order = world.sells("market", 3)
    await world.lives(12)
    assert world.market("shop").offers["shop-tea"].state is State.INACTIVE
    world.market("market").cancel(order)
    await world.lives(15)
    assert (world.shown(), world.market("shop").offers["shop-tea"].state) == ([3, 3], State.ACTIVE)


def with_a_number(record: Any, moment: Any) -> bool:
    """A number that is not there any more counts as one that was not read."""
    return record.state.watermark is not None and record.state.watermark.asked >= moment


@pytest.mark.fails_without("sync.raise_waits._read_since", with_a_number)
async def test_a_listing_that_0_ended_holds_nobody_up(open_world) -> None:
    world = await open_world({"shop": PRESETS["zero ends"], "market": PLAIN}, 3)
    world.sells("market", 3)
    await world.lives(12)
    assert world.market("shop").offers["shop-tea"].state is State.ENDED
    await world.receives(4)
    await world.lives(15)
    assert (world.shows("market"), await world.available()) == (4, 4)


@pytest.mark.fails_without("domain.effects._backs", lambda line, snapshot, behaviour: ())
async def test_units_of_an_unpaid_order_are_free_again_when_it_lapses(open_world) -> None:
    world = await open_world({"shop": PRESETS["unpaid orders lapse"], "market": PLAIN})
    world.sells("shop", 4, paid=False)
    await world.lives(12)
    assert world.shown() == [6, 6]
    await world.lives(45)
    assert (world.shown(), await world.available(), await world.kinds()) == ([10, 10], 10, [])
