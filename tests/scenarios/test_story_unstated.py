"""Stories of section 2: of units of which nobody has said how many there are, no channel is told any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.demand import DemandRate
from channelsync.domain.guard import GuardLimits
from channelsync.lab.marketplace_values import Offer
from channelsync.store import items, keys
from channelsync.store.items import Item, item_id
from channelsync.store.standing import standing
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.reconcile import planned_now
from channelsync.sync.stock_import import How, import_rows
from channelsync.sync.stock_import_file import read_file
from channelsync.sync.stock_import_rows import Declared
from channelsync.sync.switches import change_channel
from channelsync.sync.undo import undo
from channelsync.sync.unstated import left_alone

NOBODY = {"shop": 7, "market": 9}
"""What the marketplaces show of the mug, of which nobody has said how many there are."""


async def says(world: Any, run: str, units: int, basis: str = "physical", sku: str = "mug") -> list[HeldPlan]:
    """The seller says how many there are, by a file."""

    def work(connection: Any) -> list[HeldPlan]:
        agent, now = world.agent, world.clock.now()
        file = read_file(f"{run}.csv", f"sku,units\n{sku},{units}\n".encode())
        how = How(declared=Declared(basis=basis, as_of=now, location="main"))
        touched: set[str] = set()
        import_rows(connection, agent.setup, world.by(run), file, how, touched)
        return guard_run(connection, agent.setup, agent.measures, Guarded(run=run, now=now, items=touched))

    held: list[HeldPlan] = await world.as_run(run, work)
    return held


async def maps_the_mug(world: Any, shown: Mapping[str, int] = NOBODY) -> None:
    """A listing of the mug appears at each marketplace, and is mapped."""
    mug = Item(id=item_id("mug"), sku="mug")
    await world.agent.database.transact(lambda c: items.add_items(c, [mug], world.clock.now()))
    for name, number in shown.items():
        await world.lists(name, Offer(listing=f"{name}-mug", sku="mug"), number, means="mug")


def decided(*arguments: Any) -> None:
    """It is known how many there are, whatever was said."""


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.targets._most_without", decided)
async def test_listings_of_which_nobody_said_how_many_there_are_stay_as_they_are(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)
    await world.lives(20)
    assert world.shown("mug") == [7, 9]
    world.sells("shop", 2, "mug")
    world.edits("market", 8, "mug")
    await world.lives(40)
    assert world.shown("mug") == [5, 8]
    assert [wire.pushed for wire in world.wires.values()] == [[], []]
    assert await world.kinds() == []
    row = await world.row("shop", "mug")
    assert (row.target, row.due_at, row.hot) == (None, None, False)
    plan = await planned_now(world.agent, [row.id])
    assert [(one.shown, one.state) for one in plan] == [(7, "not stated")]  # as it was read last
    left = await world.agent.database.query(lambda c: left_alone(c, world.agent.setup, world.agent.measures))
    assert [(one.channel, one.skus) for one in left] == [("market", ("mug",)), ("shop", ("mug",))]
    now = await world.agent.database.query(lambda c: standing(c, world.agent.setup.timings, world.clock.now()))
    assert {name: one.unstated for name, one in now.numbers.items()} == {"shop": 1, "market": 1}
    assert (now.oversold, now.numbers["market"].drift) == (0, 0)


@pytest.mark.fails_without("sync.targets._PLENTY", 1_000_000)
async def test_however_many_it_shows_and_in_whichever_packs_it_stays(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world, {"shop": 9_999_999})
    await world.maps("shop", "shop-mug", "mug", 50)
    await world.lives(20)
    assert world.shows("shop", "mug") == 9_999_999


@pytest.mark.fails_without("domain.ledger._stated_by", lambda movement, entry: "")
async def test_as_soon_as_somebody_says_how_many_there_are_it_is_shown(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)
    world.sells("shop", 2, "mug")
    await world.lives(20)
    assert await says(world, "r-count", 6) == []
    await world.lives(10)
    assert (world.shown("mug"), await world.available("mug")) == ([4, 4], 4)


@pytest.mark.fails_without("sync.stock.ledger.state", lambda *arguments: None)
async def test_that_there_are_none_is_said_by_a_file_that_changes_no_number(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)
    await world.lives(20)
    await says(world, "r-none", 0, "available")
    await world.lives(10)
    assert world.shown("mug") == [0, 0]


async def test_more_promised_than_was_ever_said_is_found_when_it_is_said(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)
    world.sells("shop", 5, "mug")
    await world.lives(20)
    assert await world.kinds() == []
    await says(world, "r-count", 3)
    assert await world.kinds() == ["oversold"]
    await world.lives(10)
    assert world.shown("mug") == [0, 0]


async def test_what_was_said_stays_said_and_its_undoing_is_shown_as_any_other(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)
    await says(world, "r-first", 5)
    await says(world, "r-right", 5)
    await world.lives(10)
    await world.as_run("r-undo", lambda c: undo(c, world.agent.setup, world.by("r-undo"), "r-first"))
    world.sells("shop", 4, "mug")
    await world.lives(20)
    assert (world.shown("mug"), await world.available("mug")) == ([1, 1], 1)


def at_main(original: Any) -> Any:
    """Whatever was said was said of every place."""
    return lambda item, name: original(item, "main")


@pytest.mark.fails_without("sync.targets.PositionKey", around=at_main)
async def test_what_is_at_one_place_says_nothing_of_another_that_feeds_another_channel(open_world) -> None:
    world = await open_world(["shop", "market"], locations=("main", "east"))
    channels = world.agent.setup.channels
    market = replace(channels["market"], locations=("east",))
    world.agent.setup = replace(world.agent.setup, channels={**channels, "market": market})
    await maps_the_mug(world)
    await says(world, "r-main", 4)
    await world.lives(10)
    assert world.shown("mug") == [4, 9]


async def test_a_number_that_we_have_set_is_never_left_alone(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", backorder=5)
    await maps_the_mug(world)
    await world.lives(10)
    assert world.shown("mug") == [5, 9]
    world.agent.setup = replace(world.agent.setup, rules=())
    marked = world.agent.setup.shown_by(item_id("mug"))
    await world.agent.database.transact(lambda c: keys.mark_due(c, marked, world.clock.now()))
    await world.lives(20)
    assert world.shown("mug") == [0, 9]


async def test_a_listing_that_is_mapped_to_something_uncounted_does_not_go_on_with_our_number(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world, {"market": 9})
    assert world.shown() == [10, 10]
    world.sells("market", 1)
    await world.lives(20)
    assert world.shown() == [9, 9]
    await world.maps("shop", "shop-tea", "mug")
    await world.lives(20)
    assert (world.shown(), world.shows("market", "mug")) == ([0, 9], 9)


async def sets_of(open_world: Any, tea: int, each: int = 1, **setup: Any) -> Any:
    """A set of teas and a mug on two marketplaces that show 6 of it, and some teas; of mugs nobody said anything."""
    world = await open_world(["shop", "market"], tea, recipes={"set": {"tea": each, "mug": 1}}, listings=[], **setup)
    for name in ("shop", "market"):
        await world.lists(name, Offer(listing=f"{name}-set", sku="set"), 6, means="set")
    await world.lives(20)
    return world


@pytest.mark.parametrize("rules", [{}, {"share": 80}], ids=["no rules", "a rule that ties channels"])
@pytest.mark.fails_without("sync.targets._most_without", decided)
async def test_a_bundle_with_a_part_of_which_nobody_said_anything_stays_as_it_is(open_world, rules) -> None:
    world = await sets_of(open_world, 30)
    if rules:
        world.rule(channel="shop", **rules)
        await world.receives(0)
        await world.lives(10)
    assert world.shown("set") == [6, 6]
    await says(world, "r-mugs", 4)
    await world.lives(10)
    assert world.shown("set") == [3 if rules else 4, 4]


@pytest.mark.parametrize(("tea", "each", "shown"), [(0, 1, 0), (2, 3, 0), (2, 1, 2), (5, 2, 2)])
async def test_a_bundle_never_shows_more_than_its_counted_parts_make(open_world, tea, each, shown) -> None:
    world = await sets_of(open_world, tea, each)
    assert world.shown("set") == [shown, shown]
    await world.lives(20)
    assert world.shown("set") == [shown, shown]


@pytest.mark.fails_without("sync.targets._hot", lambda item, parts, ask, known: False)
async def test_scarce_parts_of_a_bundle_are_read_every_tick_though_another_was_never_counted(open_world) -> None:
    world = await sets_of(open_world, 5, prior_demand=DemandRate(100.0))
    assert world.shown("set") == [5, 5]
    assert (await world.row("shop", "set")).hot
    world.sells("shop", 2, "set")
    await world.lives(3, poll=False)
    assert world.shown("set") == [3, 3]


async def test_a_rule_that_needs_no_units_decides_all_the_same(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.rule(channel="shop", backorder=5)
    world.rule(channel="market", maximum_shown=0)
    await maps_the_mug(world)
    await world.lives(20)
    assert world.shown("mug") == [5, 0]
    assert await world.agent.database.query(lambda c: left_alone(c, world.agent.setup, world.agent.measures)) == []


async def test_a_channel_on_holiday_shows_none_of_it_and_stays_there_afterwards(open_world) -> None:
    world = await open_world(["shop", "market"])
    await maps_the_mug(world)

    async def switches(zeroed: bool) -> None:
        await world.as_run(
            f"r-{zeroed}",
            lambda c: change_channel(c, "shop", {"zeroed": zeroed}, run=f"r-{zeroed}", now=world.clock.now()),
        )
        await world.lives(10)

    await switches(zeroed=True)
    assert world.shown("mug") == [0, 9]
    await switches(zeroed=False)
    assert world.shown("mug") == [0, 9]


@pytest.mark.parametrize("units", [0, 2])
@pytest.mark.fails_without("sync.decide_writes.Target.recorded", property(lambda self: self.units))
async def test_the_first_that_is_said_is_judged_by_what_the_channel_shows(open_world, units) -> None:
    world = await open_world(["shop", "market"])
    limits = GuardLimits(listings=1.0, zeroed=1.0, units=0.2, least=1)
    channels = world.agent.setup.channels
    shop = replace(channels["shop"], guard=limits)
    world.agent.setup = replace(world.agent.setup, channels={**channels, "shop": shop})
    await maps_the_mug(world, {"shop": 40, "market": 40})
    await world.lives(20)
    held = await says(world, "r-slip", units)
    assert [(one.channel, one.units) for one in held] == [("shop", 40 - units)]
    await world.lives(10)
    assert world.shown("mug") == [40, units]


@pytest.mark.fails_without("sync.targets._most_without", decided)
async def test_nothing_is_predicted_of_it_for_a_channel_that_is_only_observed(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"mode": "observe"})
    await maps_the_mug(world)
    world.sells("shop", 1, "mug")
    await world.lives(30)
    row = await world.row("shop", "mug")
    assert await world.sql("SELECT target FROM prediction WHERE key = :key", key=row.id) == []
    assert (row.target, row.due_at) == (None, None)
