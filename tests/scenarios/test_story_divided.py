"""Stories of rules that divide an item's units among channels: a unit that changes hands is never promised twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from channelsync.domain.rules import RuleScope
from channelsync.lab.stage import StagedListing
from channelsync.store.items import item_id
from channelsync.sync.targets import Target

SET = {"set": {"tea": 2, "cup": 1}}
THE_TEA = item_id("tea")


def by_its_own_rule(target: Target, now: datetime) -> bool:
    """Only a number with a rule of its own has units to leave to others."""
    values = target.rules.values
    return values.share is not None or values.ring_fenced is not None or values.last_units is not None


@pytest.mark.fails_without("sync.raise_waits._ties", by_its_own_rule)
async def test_a_raise_waits_for_a_lowering_elsewhere_though_its_own_channel_alone_has_a_ring_fence(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="market", ring_fenced=4)
    await world.receives(0)
    await world.lives(5)
    world.passes(seconds=40)
    await world.sweeps()
    assert world.shown() == [6, 10]
    world.agent.setup = replace(world.agent.setup, rules=())
    world.rule(channel="shop", ring_fenced=4)
    await world.receives(0)
    await world.tick("shop")
    assert world.shown() == [6, 10]
    await world.tick("market", "shop")
    await world.lives(5)
    assert world.shown() == [10, 6]


def reshare(world: Any, shop: int, market: int) -> None:
    """From now on so many percent of the tea may be shown by each."""
    world.agent.setup = replace(world.agent.setup, rules=())
    world.rule(RuleScope(item=THE_TEA, channel="shop"), share=shop)
    world.rule(RuleScope(item=THE_TEA, channel="market"), share=market)


@pytest.mark.fails_without("sync.raise_waits._ties", by_its_own_rule)
async def test_a_raise_of_a_part_waits_for_a_lowering_of_a_bundle_elsewhere(open_world) -> None:
    listings = [
        StagedListing(marketplace="shop", listing="shop-set", sku="set"),
        StagedListing(marketplace="market", listing="market-tea", sku="tea"),
    ]
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 9}, recipes=SET, listings=listings)

    def shown() -> tuple[int, int]:
        return world.shows("shop", "set"), world.shows("market", "tea")

    reshare(world, 80, 20)
    await world.receives(0)
    await world.lives(6)
    assert shown() == (4, 2)
    world.passes(seconds=40)
    await world.sweeps()
    reshare(world, 20, 80)
    await world.receives(0)
    await world.tick("market")
    assert shown() == (4, 2)
    await world.lives(6)
    assert shown() == (1, 8)
