"""Stories of section 3: a number rises, and what gave the units back is listed later, or never."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sync.orders_by_id import take_by_id

PLAIN = MarketplaceRules()
LATE_ORDERS = MarketplaceRules(visibility=(600.0, 600.0))
"""Every change of an order is found ten minutes later, as the channel declares."""


def at_once(*arguments: Any) -> bool:
    """One complete read of the orders is enough to judge a rise."""
    return True


async def looks(world: Any) -> None:
    """Reads the shop's numbers a minute later, then its orders, and publishes."""
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(seconds=5)
    await world.poll("shop")
    await world.tick()


@pytest.mark.on_both_databases
@pytest.mark.parametrize(("policy", "meanwhile"), [("repair", 7), ("adopt", 10), ("ask", 10)])
@pytest.mark.fails_without("sync.explained.is_judged", at_once)
async def test_a_cancel_that_is_listed_late_is_no_drift(open_world, policy: str, meanwhile: int) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN}, channel={"drift": policy})
    order = world.sells("shop", 3)
    await world.lives(60)
    world.market("shop").cancel(order)
    await looks(world)
    assert world.shown() == [meanwhile, 7], "until it is known what rose, nobody else shows it"
    (number,) = [one for one in (await world.explained()).numbers if one.channel == "shop"]
    assert number.unexplained_rise == 3
    await world.lives(30)
    assert (world.shown(), await world.available()) == ([10, 10], 10)
    assert (await world.kinds(), (await world.row("shop")).held) == ([], "")


@pytest.mark.fails_without("sync.explained.is_judged", at_once)
async def test_many_cancels_that_are_listed_late_are_no_other_writer(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN}, 20)
    orders = [world.sells("shop", 1) for _ in range(8)]
    await world.lives(60)
    assert world.shown() == [12, 12]
    for order in orders:
        world.market("shop").cancel(order)
        await looks(world)
    await world.lives(30)
    assert (world.shown(), await world.available(), await world.kinds()) == ([20, 20], 20, [])


def as_if_judged(original: Any) -> Any:
    """What an order gave back is done with once it is read, though a repaired rise waits for its cause."""
    return lambda self, record, contained: original(self, replace(record, risen=()), contained)


@pytest.mark.fails_without("sync.understand_reads._Reading._take_over", around=as_if_judged)
async def test_a_cancel_that_a_webhook_tells_of_explains_a_rise_that_was_repaired(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN})
    order = world.sells("shop", 3)
    await world.lives(60)
    world.market("shop").cancel(order)
    await looks(world)
    assert world.shown() == [7, 7]
    world.passes(seconds=30)
    await take_by_id(world.agent, world.channel("shop"), [order])
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(30)
    assert (world.shown(), await world.available(), await world.kinds()) == ([10, 10], 10, [])


@pytest.mark.fails_without("sync.explained.explain_rises", lambda rises, contained: (tuple(rises), frozenset()))
async def test_of_a_rise_only_what_no_order_explains_is_drift(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN})
    order = world.sells("shop", 3)
    await world.lives(60)
    world.market("shop").cancel(order)
    world.edits("shop", 14)
    await looks(world)
    assert (world.shown(), await world.kinds()) == ([7, 7], [])
    await world.lives(30)
    assert (world.shown(), await world.kinds()) == ([10, 10], ["drift"])
    (found,) = await world.found()
    assert found.evidence["units"] == 4


@pytest.mark.fault(44, "ends in a finding and not in a fight, where orders are listed late too")
@pytest.mark.fails_without("sync.explained.REPAIRS_MAX", 1_000)
async def test_another_writer_is_found_out_where_orders_are_listed_late(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN})
    for _ in range(12):
        world.edits("shop", 50)
        await looks(world)
    await world.lives(30)
    assert world.wires["shop"].values == [10, 10, 10]
    assert "another writer" in await world.kinds()
    assert (await world.row("shop")).held


def released_early(original: Any) -> Any:
    """What is more than the channel may have sold is always given up after one complete read of the orders."""
    return lambda *arguments, **named: original(*arguments)


@pytest.mark.parametrize("policy", ["adopt", "ask"])
@pytest.mark.fails_without("sync.explained.to_release", around=released_early)
async def test_a_large_order_that_is_listed_late_counts_once(open_world, policy: str) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN}, channel={"drift": policy})
    world.sells("shop", 6)
    await looks(world)
    assert (await world.held(), world.shown()) == ([6], [4, 4])
    assert "read past the time they take to be listed" in (await world.found())[0].summary
    await world.lives(30)
    assert (world.shown(), await world.available(), await world.held()) == ([4, 4], 4, [])
    assert (await world.kinds(), (await world.row("shop")).held) == (["implausible drop"], "")


def whenever_it_was_read(original: Any) -> Any:
    """A rise gives back whatever is held."""
    return lambda rows, rise: original([replace(row, window_to=rise.window_to) for row in rows], rise)


@pytest.mark.fails_without("sync.explained.close_for_rise", around=whenever_it_was_read)
async def test_a_rise_that_waits_to_be_judged_frees_no_sale_that_came_after_it(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN}, channel={"drift": "ask"})
    world.edits("shop", 14)
    await looks(world)
    world.sells("shop", 1)
    await looks(world)
    assert (await world.held(), world.shown()) == ([1], [13, 9])
    await looks(world)
    assert (await world.held(), world.shown()) == ([1], [13, 9])
    await world.lives(30)
    assert (await world.held(), world.shown(), await world.available()) == ([], [13, 9], 9)
