"""Every number that ever left can be told apart: the units it was made of, who had reserved them, and every step."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from channelsync.domain.rules import Fixed

SKUS = {f"sku-{number}": 30 for number in range(6)}

Sent = tuple[str, str, int, datetime]
"""Channel, SKU, the number that left, and when."""


def note_sending(world: Any, name: str, times: list[datetime]) -> None:
    """Notes when each call with numbers leaves, which then takes a second: what its answer tells comes after it."""

    def leaves() -> None:
        times.append(world.clock.now())
        world.passes(seconds=1)
        world.wires[name].before_push = leaves

    world.wires[name].before_push = leaves


async def something_happens(world: Any, dice: random.Random) -> list[Sent]:
    """Somebody buys, or units come in or are gone; the channels hear of it in whatever order. Returns what left."""
    sku, name = dice.choice(list(SKUS)), dice.choice(list(world.agent.channels))
    if dice.random() < 0.7 and world.shows(name, sku) > 3 and await world.available(sku) > 3:
        world.sells(name, dice.randint(1, 3), sku)
    else:
        await world.receives(dice.choice((-1, 2, 5, 9)), sku)
    sent: list[Sent] = []
    for each in dice.sample(list(world.agent.channels), 2):
        times: list[datetime] = []
        note_sending(world, each, times)
        for look in dice.sample((world.poll, world.tick, world.sweeps), 2):
            world.passes(seconds=dice.randint(1, 40))
            await look(each)
        of = {world.key(each, sku).key: sku for sku in SKUS}
        for at, updates in zip(times, world.wires[each].pushed, strict=True):
            sent += [(each, of[one.key.key], one.value, at) for one in updates]
        world.wires[each].pushed.clear()
    return sent


@pytest.mark.parametrize("pushes", [100, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_of_every_number_that_left_one_is_told_what_it_was_made_of(open_world: Any, pushes: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    dice = random.Random(seed)
    world = await open_world(["shop", "market"], SKUS)
    world.rule(channel="market", buffer=Fixed(2))
    sent: list[Sent] = []
    while len(sent) < pushes:
        sent += await something_happens(world, dice)

    for name, sku, value, at in sent:
        then = await world.explained(at, sku)
        (position,) = then.positions
        assert sum(one.units for one in position.reserved_by) == position.reserved, "it is told who reserved each unit"
        number = next(one for one in then.numbers if one.channel == name)
        assert (number.in_force.value, number.in_force.sent_at, number.should) == (value, at, value)
        steps = number.steps
        assert (steps[0].after, steps[-1].after) == (position.available, value)
        assert all(one.after == following.before for one, following in pairwise(steps))
        assert [step.rule[:7] for step in steps if step.step == "buffer"] == ["rule #1"] * (name == "market")
        assert number.why
