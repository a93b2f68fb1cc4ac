"""Stories of sections 3 and 4: a read shows what an order did, and the order is read afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sync.orders_by_id import take_by_id

PLAIN = MarketplaceRules()


def wants(world: Any, order: str, units: int) -> None:
    """The buyer wants so many units instead."""
    market = world.market("shop")
    market.edit(order, market.orders[order].lines[0].id, units)


@pytest.mark.on_both_databases
@pytest.mark.parametrize("policy", ["repair", "adopt", "ask"])
@pytest.mark.fails_without("sync.explained.explained_late", lambda *arguments: ())
async def test_an_edit_up_that_a_read_shows_before_its_order_is_read_is_no_unexplained_drop(open_world, policy) -> None:
    world = await open_world(["shop", "market"], 20, channel={"drift": policy})
    order = world.sells("shop", 3)
    await world.lives(15)
    await world.sweeps("shop")
    wants(world, order, 4)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [1]
    await world.lives(30)
    assert (await world.held(), await world.available(), world.shown()) == ([], 16, [16, 16])
    assert (await world.kinds(), (await world.row("shop")).held) == ([], "")


def settled_unused(original: Any) -> Any:
    """A rise is explained by nothing that was read again before the orders were."""

    def settled(self: Any, record: Any, contained: Any) -> None:
        original(self, replace(record, rise=0), contained)

    return settled


@pytest.mark.parametrize("policy", ["repair", "adopt", "ask"])
@pytest.mark.parametrize("left", [0, 1], ids=["cancelled", "edited down"])
@pytest.mark.fails_without("sync.understand_reads._Reading._take_over", around=settled_unused)
async def test_what_a_read_shows_given_back_is_no_drift_though_it_is_read_again(open_world, left, policy) -> None:
    world = await open_world(["shop", "market"], channel={"drift": policy})
    order = world.sells("shop", 3)
    await world.lives(60)
    if left:
        wants(world, order, left)
    else:
        world.market("shop").cancel(order)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(seconds=5)
    await take_by_id(world.agent, world.channel("shop"), [order])  # a webhook came
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.available()) == ([10 - left, 10 - left], 10 - left)
    assert (await world.kinds(), (await world.row("shop")).held) == ([], "")


def all_contained(original: Any) -> Any:
    """What an order did to a number that holds units is done with once it is booked."""

    def booked(connection: Any, channel: Any, effects: Any, *rest: Any, **named: Any) -> Any:
        settled, entries = original(connection, channel, effects, *rest, **named)
        return [(effect, "contained") for effect, _ in settled], entries

    return booked


@pytest.mark.fails_without("sync.book_orders.take_over_contained", around=all_contained)
async def test_a_cancel_that_is_booked_with_the_order_of_a_drop_still_explains_its_rise(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"drift": "adopt"})
    order = world.sells("shop", 3)
    await world.lives(60)
    await world.sweeps("shop")
    world.passes(minutes=1)
    world.sells("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(minutes=1)
    world.market("shop").cancel(order)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.available(), await world.kinds()) == ([9, 9], 9, [])


async def booked_too_soon_to_tell(open_world: Any, units: int) -> Any:
    """A sale that a read shows, and that is booked while the read may as well lack it: it is held beside its order."""
    world = await open_world({"shop": MarketplaceRules(read_lag=(0.0, 180.0)), "market": PLAIN}, units)
    world.market("shop")._rng.uniform = lambda a, b: a
    world.passes(minutes=5)
    await world.sweeps("shop")
    world.passes(minutes=5)
    world.sells("shop")
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [1]
    world.passes(seconds=20)
    await world.poll("shop")
    assert await world.held() == [1]
    return world


@pytest.mark.fails_without("sync.explained.unsure", lambda rows, unsettled: frozenset())
async def test_a_drop_is_explained_by_an_order_so_new_that_the_read_may_lack_it(open_world) -> None:
    world = await booked_too_soon_to_tell(open_world, 10)
    await world.lives(30)
    assert (world.shown(), await world.held(), await world.kinds()) == ([9, 9], [], [])


def nothing_wanted(original: Any) -> Any:
    """What only a read tells waits until somebody reads the number for another reason."""

    def want_reads(connection: Any, ids: Any) -> None:
        original(connection, ())

    return want_reads


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.explained.keys.want_reads", around=nothing_wanted)
async def test_a_number_that_shows_nothing_is_read_again_when_only_that_tells_whose_the_drop_was(open_world) -> None:
    world = await booked_too_soon_to_tell(open_world, 1)
    assert await world.available() == -1
    await world.lives(6, poll=False)  # the next read tells, long before the orders are asked for again
    assert (world.shown(), await world.held(), await world.available()) == ([0, 0], [], 0)
    assert await world.found() == []
