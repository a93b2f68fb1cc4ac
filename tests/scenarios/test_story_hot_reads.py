"""Stories of section 5: when numbers are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.demand import DemandRate
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.store import key_reads

PLAIN = MarketplaceRules()
BUSY = DemandRate(30.0)


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
