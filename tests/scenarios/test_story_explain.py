"""Stories of section 8: what was shown, why, when, and what the channel answered can be told."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.domain.rules import Fixed


def nothing(*arguments: Any, **named: Any) -> None:
    """Does nothing."""


async def story(world: Any) -> Any:
    """A buffer, a sale that is seen in the number first, and its order; returns the time between the two."""
    world.rule(channel="market", buffer=Fixed(2))
    world.sells("shop", 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    world.passes(seconds=20)
    between = world.clock.now()
    world.passes(seconds=20)
    await world.poll("shop")
    await world.lives(10)
    await world.receives(5)
    await world.lives(10)
    return between


@pytest.mark.fails_without("sync.decide_writes.plain_steps", lambda offer, unsaid: [])
async def test_why_a_number_was_shown_at_a_past_time_is_told(open_world) -> None:
    world = await open_world(["shop", "market"])
    between = await story(world)
    told = await world.explained(between)
    assert [(one.on_hand, one.reserved) for one in told.positions] == [(10, 3)]
    assert [one.kind for one in told.positions[0].reserved_by] == ["provisional"]
    market = next(one for one in told.numbers if one.channel == "market")
    assert (market.should, market.in_force.value, market.in_force.outcome) == (5, 5, "accepted")
    assert market.in_force.sent_at <= between
    assert [step.step for step in market.steps][:2] == ["sum of locations", "buffer"]


@pytest.mark.fails_without("sync.understand_reads._Reading._remember", nothing)
async def test_what_a_read_was_taken_to_mean_is_told(open_world) -> None:
    world = await open_world(["shop", "market"])
    between = await story(world)
    told = await world.explained(between)
    shop = next(one for one in told.numbers if one.channel == "shop")
    before = [(read.value, read.meaning, read.units) for read in shop.reads if read.asked_at <= between]
    assert before[-1:] == [(7, "drop", 3)]
    assert [(row.units, row.closed_at > between, row.closed_by) for row in shop.provisional] == [
        (3, True, "order shop-1001")
    ]


def untold(original: Any) -> Any:
    """The steps do not say which rule asked for them."""

    def to(self: Any, name: str, after: int, why: str, said_by: str | None = None) -> None:
        original(self, name, after, why)

    return to


@pytest.mark.fails_without("domain.offering._Trail.to", around=untold)
async def test_why_a_number_is_shown_now_is_told_with_the_rule_that_bit(open_world) -> None:
    world = await open_world(["shop", "market"])
    await story(world)
    told = await world.explained()
    market = next(one for one in told.numbers if one.channel == "market")
    assert (market.shown, market.should, market.action) == (10, 10, "none")
    buffer = next(step for step in market.steps if step.step == "buffer")
    assert (buffer.before, buffer.after, buffer.rule.startswith("rule #1")) == (12, 10, True)
    assert told.positions[0].reserved_by[0].order == "shop-1001"
