"""Stories of section 3: while a question about a number is open, what is sold elsewhere lowers it all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channelsync.lab.marketplace_rules import MarketplaceRules

PLAIN = MarketplaceRules()


def undisputed(original: Any) -> Any:
    """What the question is about is lowered with the rest."""
    return lambda *arguments: replace(original(*arguments), disputed=0)


def until_answered(original: Any) -> Any:
    """Nothing is written at all before the answer."""

    def blocked(switches: Any, *, lowering: bool) -> str:
        return "a question" if switches.held else original(switches, lowering=lowering)

    return blocked


async def shop_differs_by(open_world: Any, units: int, policy: str = "ask") -> Any:
    """A world of ten units in which somebody changed the shop's number, and the seller is asked about it."""
    world = await open_world(["shop", "market"], channel={"drift": policy})
    world.edits("shop", 10 + units)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(20)
    assert world.shown() == [10 + units, 10]
    assert (await world.row("shop")).disputed == units
    return world


@pytest.mark.on_both_databases
@pytest.mark.fails_without("domain.publishing._blocked", around=until_answered)
@pytest.mark.fails_without("sync.decide_writes._switches", around=undisputed)
async def test_a_number_that_was_raised_by_hand_follows_what_is_sold_elsewhere(open_world) -> None:
    world = await shop_differs_by(open_world, 4)
    world.sells("market", 3)
    await world.lives(15)
    assert world.shown() == [11, 7], "the four that are in question stay"
    world.sells("shop", 2)
    await world.lives(15)
    assert world.shown() == [9, 5]


@pytest.mark.fails_without("domain.publishing._blocked", around=until_answered)
async def test_a_number_that_was_lowered_by_hand_follows_what_is_sold_elsewhere(open_world) -> None:
    world = await shop_differs_by(open_world, -3)
    world.sells("market", 6)
    await world.lives(15)
    assert world.shown() == [1, 4]
    order = world.sells("market", 4)
    await world.lives(15)
    assert (world.shown(), world.oversold) == ([0, 0], 0)
    world.market("market").cancel(order)
    await world.lives(15)
    assert world.shown() == [0, 4], "it is not raised before the answer"


@pytest.mark.fails_without("sync.explained._Explaining._ask", lambda *arguments: None)
async def test_a_question_says_by_how_much_the_number_differs_in_all(open_world) -> None:
    world = await shop_differs_by(open_world, 4)
    world.edits("shop", 8)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(20)
    row = await world.row("shop")
    assert (row.disputed, row.held) == (-2, "2 units were lowered at the channel by no order")
    world.edits("shop", 10)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(20)
    row = await world.row("shop")
    assert (row.disputed, row.held) == (0, "it was changed at the channel and changed back, by no order")


@pytest.mark.fails_without("sync.explained._Explaining._ask", lambda *arguments: None)
async def test_another_writers_number_follows_what_is_sold_elsewhere_and_is_not_fought_over(open_world) -> None:
    world = await open_world(["shop", "market"])
    await world.is_written_over("shop", 50, rounds=6)
    assert world.wires["shop"].values == [10, 10, 10]
    world.sells("market", 4)
    await world.lives(15)
    assert world.shown() == [46, 6]
    world.edits("shop", 30)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(30)
    assert world.shown() == [30, 6]
    world.sells("market", 1)
    await world.lives(15)
    assert world.shown() == [29, 5]
