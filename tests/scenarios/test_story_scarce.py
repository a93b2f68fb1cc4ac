"""Stories of section 7: rules on scarce units, each with the number that it leads to at the marketplaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.demand import DemandRate
from channelsync.domain.publishing import Switches
from channelsync.domain.rules import Computed, CountIncoming, Fixed, LastUnits, Percent, Resolved, RuleScope
from channelsync.store.items import item_id
from channelsync.sync.switches import change_channel


def nothing(*arguments: Any, **named: Any) -> None:
    """Does nothing."""


def unruled(*names: str) -> Any:
    """What rules say about these is not heard."""

    def around(original: Any) -> Any:
        def resolve(self: Any, subject: Any) -> Resolved:
            said = original(self, subject)
            return replace(said, values=replace(said.values, **dict.fromkeys(names)))

        return resolve

    return around


async def ruled(world: Any, minutes: int = 5) -> list[int]:
    """What is shown some minutes after the rules changed."""
    await world.receives(0)
    await world.lives(minutes)
    return list(world.shown())


@pytest.mark.fails_without("domain.offering._buffer", nothing)
async def test_a_fixed_buffer_is_held_back(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", buffer=Fixed(3))
    assert await ruled(world) == [7, 10]


@pytest.mark.fails_without("domain.offering._buffer", nothing)
async def test_a_buffer_of_some_percent_is_held_back(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", buffer=Percent(25))
    assert await ruled(world) == [7, 10]


@pytest.mark.fails_without("sync.targets.computed_buffer", lambda *arguments: 0)
async def test_a_computed_buffer_holds_what_the_others_may_sell_before_we_hear_of_it(open_world) -> None:
    world = await open_world(["shop", "market"], 20, prior_demand=DemandRate(6.0))
    world.rule(channel="shop", buffer=Computed(0.01))
    shop, market = await ruled(world)
    assert (10 < shop < 18, market) == (True, 20)
    world.rule(channel="shop", buffer=Computed(0.01, at_most=1))
    assert await ruled(world) == [19, 20]


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("share"))
async def test_shares_of_all_channels_never_promise_a_unit_twice(open_world) -> None:
    world = await open_world(["shop", "market"], 7)
    world.rule(channel="shop", share=50)
    world.rule(channel="market", share=50)
    assert await ruled(world) == [3, 3]


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("minimum_shown"))
async def test_fewer_than_the_minimum_are_shown_as_0(open_world) -> None:
    world = await open_world(["shop", "market"], 6)
    world.rule(channel="shop", minimum_shown=5)
    world.sells("market", 2)
    await world.poll("market")
    assert await ruled(world) == [0, 4]


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("maximum_shown"))
async def test_no_more_than_the_maximum_are_shown(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", maximum_shown=2)
    assert await ruled(world) == [2, 10]
    world.sells("shop", 1)
    await world.poll("shop")
    assert await ruled(world) == [2, 9]


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("ring_fenced"))
async def test_ring_fenced_units_are_shown_by_their_channel_alone(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="market", ring_fenced=4)
    assert await ruled(world) == [6, 10]


@pytest.mark.fails_without("domain.offering._keeper", nothing)
async def test_one_channel_alone_keeps_the_last_units(open_world) -> None:
    world = await open_world(["shop", "market"], 5)
    world.rule(last_units=LastUnits(3, ("market",)))
    assert await ruled(world) == [5, 5]
    world.sells("shop", 2)
    await world.poll("shop")
    assert await ruled(world) == [0, 3]
    world.market("shop").buy("shop-tea", 1)
    world.sells("market", 3)
    assert world.oversold == 0


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("backorder"))
async def test_a_backorder_allowance_is_shown_beyond_what_is_there(open_world) -> None:
    world = await open_world(["shop", "market"], 2)
    world.rule(channel="shop", backorder=4)
    assert await ruled(world) == [6, 2]


@pytest.mark.fails_without("domain.rules.RuleBook.resolve", around=unruled("preorder_from_incoming"))
async def test_incoming_units_may_be_sold_before_they_arrive(open_world) -> None:
    world = await open_world(["shop", "market"], 2)
    world.rule(channel="shop", preorder_from_incoming=CountIncoming(3))
    await world.expects(8)
    assert await ruled(world) == [5, 2]


def unswitched(original: Any) -> Any:
    """Every write is allowed."""

    def decide(state: Any, target: int, timing: Any, switches: Switches, **named: Any) -> Any:
        return original(state, target, timing, Switches(), **named)

    return decide


@pytest.mark.fails_without("sync.decide_writes.decide", around=unswitched)
async def test_lowering_and_raising_are_switched_off_each_by_itself(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", may_lower=False)
    world.rule(channel="market", may_raise=False)
    await world.receives(-4)
    await world.lives(5)
    assert world.shown() == [10, 6]
    await world.receives(8)
    await world.lives(5)
    assert world.shown() == [14, 6]


@pytest.mark.fails_without("sync.decide_writes.decide", around=unswitched)
async def test_what_is_not_to_be_touched_is_not_written(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", do_not_touch=True)
    await world.receives(-4)
    await world.lives(5)
    await world.receives(8)
    await world.lives(5)
    assert (world.shown(), world.wires["shop"].values) == ([10, 14], [])


@pytest.mark.fails_without("sync.decide_writes.stop_now", lambda setup, state: ("", ""))
async def test_with_raises_stopped_lowerings_go_on(open_world) -> None:
    world = await open_world(["shop", "market"])
    agent = world.agent
    await agent.database.transact(
        lambda c: change_channel(c, "shop", {"stop": "raises"}, run=agent.run, now=world.clock.now())
    )
    await world.receives(-4)
    await world.lives(5)
    await world.receives(8)
    await world.lives(5)
    assert world.shown() == [6, 14]


@pytest.mark.fails_without("sync.targets._coupled", lambda records, zeroed: list(records))
async def test_a_channel_on_holiday_keeps_nothing_from_the_others(open_world) -> None:
    world = await open_world(["shop", "market"], 3)
    world.rule(last_units=LastUnits(3, ("market",)))
    world.rule(channel="market", ring_fenced=2)
    assert await ruled(world) == [0, 3]
    agent = world.agent
    await agent.database.transact(
        lambda c: change_channel(c, "market", {"zeroed": True}, run=agent.run, now=world.clock.now())
    )
    await world.lives(5)
    assert world.shown() == [3, 0]


@pytest.mark.fails_without("sync.targets.sole", lambda locations: None)
async def test_a_rule_of_a_location_holds_for_a_key_that_a_rule_leaves_to_it_alone(open_world) -> None:
    places = ("main", "outlet")
    world = await open_world(["shop", "market"], channel={"locations": places}, locations=places)
    await world.receives(6, location="outlet")
    await world.lives(5)
    assert world.shown() == [16, 16]
    world.rule(channel="shop", locations=("outlet",))
    world.rule(RuleScope(location="outlet"), buffer=Fixed(2))
    assert await ruled(world) == [4, 16]


SET = {"set": {"tea": 2, "cup": 1}}


@pytest.mark.fails_without("sync.targets._couple_channels", lambda setup, items: False)
async def test_a_bundle_leaves_units_of_its_parts_that_are_fenced_for_another_channel(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 9}, recipes=SET)
    world.rule(RuleScope(item=item_id("tea"), channel="market"), ring_fenced=6)
    await world.receives(0)
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([4, 10], [2, 5])


@pytest.mark.fails_without("sync.targets._couple_channels", lambda setup, items: False)
async def test_a_bundle_shows_no_more_than_the_share_of_its_parts(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 12, "cup": 9}, recipes=SET)
    world.rule(RuleScope(item=item_id("tea")), share=50)
    await world.receives(0)
    await world.lives(5)
    assert (world.shown("tea"), world.shown("cup"), world.shown("set")) == ([6, 6], [9, 9], [3, 3])


@pytest.mark.fails_without("sync.targets._couple_channels", lambda setup, items: False)
async def test_a_bundle_takes_no_last_units_of_its_parts_from_the_channel_that_keeps_them(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 4, "cup": 9}, recipes=SET)
    world.rule(RuleScope(item=item_id("tea")), last_units=LastUnits(5, ("market",)))
    await world.receives(0)
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([0, 4], [0, 2])
    explained = await world.explained(sku="set")
    steps = [step.step for number in explained.numbers if number.channel == "shop" for step in number.steps]
    assert "rules on its parts" in steps


@pytest.mark.fails_without("domain.offering._buffer", nothing)
async def test_both_costs_of_a_buffer_are_counted(open_world) -> None:
    world = await open_world(["shop", "market"], 4)
    world.rule(buffer=Fixed(2))
    assert await ruled(world) == [2, 2]
    world.sells("shop", 2)
    await world.poll("shop")
    await world.lives(3)
    world.market("market").buy("market-tea", 1)
    referee = world.stage.referee
    assert (referee.unsold, referee.turned_away_while_left, world.oversold) == ({"tea": 2}, 1, 0)
