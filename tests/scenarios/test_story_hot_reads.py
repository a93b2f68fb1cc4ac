"""Stories of section 5: when numbers are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.demand import DemandRate
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.stage import StagedListing
from channelsync.store import key_reads

PLAIN = MarketplaceRules()
BUSY = DemandRate(30.0)
BOTH = ("shop", "market")
FROM_BOTH = {"locations": ("main", "far")}


def never_hot(*arguments: Any) -> bool:
    """Nothing is scarce."""
    return False


@pytest.mark.fails_without("sync.measures.is_hot", never_hot)
async def test_a_scarce_number_is_read_every_tick_and_finds_a_sale_before_the_orders_do(open_world) -> None:
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY)
    world.sells("shop", 3)
    await world.lives(1, poll=False)
    assert (await world.held(), world.shown()) == ([3], [0, 0])
    assert world.market("market").can_buy("market-tea") == 0


@pytest.mark.fails_without("sync.measures.is_hot", lambda *arguments: True)
async def test_a_number_with_plenty_is_left_to_the_sweep(open_world) -> None:
    world = await open_world(["shop", "market"], 5_000, prior_demand=BUSY)
    await world.lives(15)
    assert [*world.wires["shop"].asked, *world.wires["market"].asked] == []


def as_by_default(original: Any) -> Any:
    """The seller's own idea of scarce is not heard."""
    return lambda available, rates, delays, _: original(available, rates, delays)


@pytest.mark.fails_without("sync.measures.is_hot", around=as_by_default)
async def test_how_scarce_is_scarce_is_for_the_seller_to_say(open_world) -> None:
    world = await open_world(["shop", "market"], 14, prior_demand=BUSY, hot_probability=0.5)
    await world.lives(5, poll=False)
    assert [*world.wires["shop"].asked, *world.wires["market"].asked] == []


@pytest.mark.fails_without(declares={"staleness_s": 0})
async def test_no_number_is_read_more_often_than_reads_are_stale(open_world) -> None:
    world = await open_world({"shop": MarketplaceRules(read_lag=(180.0, 180.0)), "market": PLAIN}, 3, prior_demand=BUSY)
    await world.lives(15, poll=False)
    assert 3 <= len(world.wires["shop"].asked) <= 5
    assert len(world.wires["market"].asked) == 15


def all_hot(original: Any) -> Any:
    """Numbers that show 0 are read like the others."""

    def wanted(connection: Any, identity: str, not_since: Any, hot_not_since: Any) -> list[int]:
        return key_reads.unread_since(connection, identity, not_since, 1_000)

    return wanted


@pytest.mark.fails_without("store.key_reads.keys_to_read", around=all_hot)
async def test_a_number_that_shows_nothing_is_not_read_every_tick(open_world) -> None:
    world = await open_world(["shop", "market"], 0, prior_demand=BUSY)
    await world.lives(10, poll=False)
    assert [*world.wires["shop"].asked, *world.wires["market"].asked] == []


def whole_budget(original: Any) -> Any:
    """Hot reads may spend all there is."""

    async def read(agent: Any, channel: Any, done: Any) -> None:
        channel.setup = replace(channel.setup, read_share=1.0)
        await original(agent, channel, done)

    return read


@pytest.mark.fails_without("sync.publish.read_wanted", around=whole_budget)
async def test_hot_reads_take_no_more_than_their_share_of_the_budget(open_world) -> None:
    small = MarketplaceRules(reads_per_call=1, budget_capacity=40.0, budget_per_second=0.01)
    units = {f"sku-{number}": 3 for number in range(30)}
    world = await open_world({"shop": small}, units, prior_demand=BUSY)
    world.channel("shop").limiter.observe(20)
    world.wires["shop"].asked.clear()
    await world.tick("shop")
    assert 0 < len(world.wires["shop"].asked) <= 10


def as_seldom_as_hot_ones(original: Any) -> Any:
    """What is asked for is read no more often than the channel looks by itself."""
    return lambda connection, identity, not_since, hot_not_since: original(
        connection, identity, not_since - timedelta(minutes=5), hot_not_since
    )


@pytest.mark.fails_without("store.key_reads.keys_to_read", around=as_seldom_as_hot_ones)
async def test_what_a_raise_elsewhere_waits_for_is_read_at_once_though_its_channel_looks_seldom(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"tick": timedelta(minutes=10)})
    for _ in range(3):
        world.passes(minutes=1)
        await world.sweeps("market")
    assert len(world.wires["market"].asked) == 3


def wherever_it_lies(parts: Any, feeding: Any, takers: Any, at: Any, measures: Any) -> bool:
    """A unit counts wherever it is."""
    return any(measures.hot(part, sum(units.get(part, 0) for units in at.values()), BOTH) for part in parts)


async def lies_at(world: Any, units: int, location: str, sku: str = "tea") -> None:
    """So many units are there as well, and the numbers have followed."""
    await world.receives(units, sku, location)
    await world.lives(2, poll=False)
    for wire in world.wires.values():
        wire.asked.clear()


def times_asked(world: Any) -> list[int]:
    """How often each marketplace was asked for numbers."""
    return [len(wire.asked) for wire in world.wires.values()]


@pytest.mark.fails_without("sync.targets.hot", wherever_it_lies)
async def test_units_where_no_channel_sells_from_make_a_scarce_number_no_less_scarce(open_world) -> None:
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY, locations=("main", "far"))
    await lies_at(world, 5_000, "far")
    await world.lives(5, poll=False)
    assert times_asked(world) == [5, 5]
    world.sells("shop", 3)
    await world.lives(1, poll=False)
    assert (await world.held(), world.shown()) == ([3], [0, 0])


@pytest.mark.fails_without("sync.targets.hot", wherever_it_lies)
async def test_units_that_a_channel_keeps_itself_make_a_scarce_number_no_less_scarce(open_world) -> None:
    kept = {"locations": ("main",), "kept": {"FBA": "theirs"}}
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY, channel=kept)
    await lies_at(world, 5_000, "theirs")
    await world.lives(5, poll=False)
    assert times_asked(world) == [5, 5]


@pytest.mark.fails_without("sync.targets.hot", wherever_it_lies)
async def test_of_two_channels_with_locations_of_their_own_each_is_as_scarce_as_its_own(open_world) -> None:
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY, locations=("main", "far"))
    world.rule(channel="market", locations=("far",))
    await lies_at(world, 5_000, "far")
    assert world.shown() == [3, 5_000]
    await world.lives(5, poll=False)
    assert times_asked(world) == [5, 0]


def by_its_own_units_alone(original: Any) -> Any:
    """What others sell from the same location is no business of a channel that has more elsewhere."""
    return lambda parts, feeding, takers, at, measures: original(
        parts, feeding, {part: {feeding: takers[part][feeding]} for part in parts}, at, measures
    )


@pytest.mark.fails_without("sync.targets.hot", around=by_its_own_units_alone)
async def test_who_may_take_the_scarce_units_of_another_channel_is_read_though_it_has_plenty_itself(open_world) -> None:
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY, locations=("main", "far"))
    world.rule(channel="market", locations=("main", "far"))
    await lies_at(world, 5_000, "far")
    assert world.shown() == [3, 5_003]
    await world.lives(5, poll=False)
    assert times_asked(world) == [5, 5]
    world.sells("market", 3)
    await world.lives(2, poll=False)
    assert world.shows("shop") == 0


def at_each_location(parts: Any, feeding: Any, takers: Any, at: Any, measures: Any) -> bool:
    """Units of one location do not help out at another."""
    return any(measures.hot(part, at.get(name, {}).get(part, 0), BOTH) for part in parts for name in feeding)


@pytest.mark.fails_without("sync.targets.hot", at_each_location)
async def test_a_number_that_two_locations_feed_is_as_scarce_as_both_together(open_world) -> None:
    world = await open_world(["shop", "market"], 3, prior_demand=BUSY, locations=("main", "far"), channel=FROM_BOTH)
    assert await hot_ones(world, "tea") == [True, True]
    await lies_at(world, 5_000, "far")
    await world.lives(5, poll=False)
    assert times_asked(world) == [0, 0]


@pytest.mark.fails_without("sync.targets.hot_bundle", never_hot)
async def test_a_bundle_whose_parts_lie_apart_is_as_scarce_as_those_that_lie_together(open_world) -> None:
    world = await open_world(
        ["shop", "market"],
        {"tea": 3, "cup": 5_000},
        listings=[StagedListing(marketplace=name, listing=f"{name}-set", sku="set") for name in BOTH],
        recipes={"set": {"tea": 1, "cup": 1}},
        prior_demand=BUSY,
        locations=("main", "far"),
        channel=FROM_BOTH,
    )
    await lies_at(world, 5_000, "far", "tea")
    assert world.shown("set") == [3, 3]
    await world.lives(5, poll=False)
    assert times_asked(world) == [5, 5]
    await lies_at(world, 5_000, "far", "cup")
    assert world.shown("set") == [5_003, 5_003]
    await world.lives(5, poll=False)
    assert times_asked(world) == [0, 0]


async def hot_ones(world: Any, sku: str) -> list[bool]:
    """Whether the number of each marketplace is hot."""
    return [(await world.row(name, sku)).hot for name in BOTH]
