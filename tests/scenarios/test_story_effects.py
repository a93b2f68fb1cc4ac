"""Stories of section 2: what a channel should show, whatever booked orders and our own writes did to its number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from channelsync.domain.effects import Effect
from channelsync.domain.watermark import Write
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules

PLAIN = MarketplaceRules()
STALE = MarketplaceRules(read_lag=(180.0, 180.0))
"""Every read shows what was three minutes ago."""


@pytest.mark.fault(42, "a late read is no drift")
@pytest.mark.fails_without(declares={"staleness_s": 0})
async def test_a_stale_read_of_the_number_before_a_sale_is_no_rise(open_world) -> None:
    world = await open_world({"shop": STALE, "market": PLAIN})
    world.sells("shop", 2)
    world.passes(seconds=5)
    await world.poll("shop")
    world.passes(minutes=2)
    await world.sweeps("shop")  # it still shows 10, and 8 are left
    assert (await world.row("shop")).rise == 0
    await world.lives(15)
    assert world.shown() == [8, 8]
    assert await world.kinds() == []
    assert world.wires["shop"].values == []


@pytest.mark.fails_without("domain.effects._backs", lambda line, snapshot, behaviour: ())
async def test_a_cancel_of_an_older_order_is_no_rise(open_world) -> None:
    world = await open_world(["shop", "market"])
    order = world.sells("shop", 3)
    await world.lives(60)
    await world.sweeps("shop")
    world.market("shop").cancel(order)
    world.passes(seconds=30)
    await world.poll("shop")
    await world.sweeps("shop")
    await world.lives(15)
    assert world.shown() == [10, 10]
    assert await world.kinds() == []
    assert world.wires["shop"].values == []


def without_edits(original: Any) -> Any:
    """Only what an order said first moves the number."""

    def first_only(before: Any, after: Any, line: Any, snapshot: Any, *rest: Any) -> Any:
        since = rest[2]
        return original(before, after, line, snapshot, *rest) if since is None else (after, ())

    return first_only


@pytest.mark.fails_without("domain.booking.effects_of", around=without_edits)
async def test_an_edit_of_an_older_order_is_no_drop(open_world) -> None:
    world = await open_world(["shop", "market"])
    order = world.sells("shop", 1)
    await world.lives(60)
    await world.sweeps("shop")
    line = world.market("shop").orders[order].lines[0].id
    world.market("shop").edit(order, line, 4)
    world.passes(seconds=30)
    await world.poll("shop")
    world.passes(seconds=30)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.shown() == [6, 6]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"deducts": "at order"})
async def test_a_deduction_at_payment_is_no_drop(open_world) -> None:
    world = await open_world({"shop": PRESETS["deducts at payment"], "market": PLAIN})
    order = world.sells("shop", 1, paid=False)
    assert world.shows("shop") == 10
    await world.lives(12)
    assert world.shown() == [9, 9]  # we lowered it: the shop does so only when it is paid
    world.market("shop").pay(order)
    assert world.shows("shop") == 8
    await world.poll("shop")
    world.passes(seconds=30)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.shown() == [9, 9]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"deducts": "at order"})
async def test_a_deduction_at_shipment_is_no_drop(open_world) -> None:
    world = await open_world({"shop": PRESETS["deducts at shipment"], "market": PLAIN})
    order = world.sells("shop", 1)
    await world.lives(12)
    assert world.shown() == [9, 9]
    world.market("shop").ship(order)
    assert world.shows("shop") == 8
    await world.poll("shop")
    world.passes(seconds=30)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.shown() == [9, 9]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"deducts": "at order"})
async def test_a_channel_that_never_deducts_is_lowered_by_us(open_world) -> None:
    world = await open_world({"shop": PRESETS["never deducts"], "market": PLAIN})
    world.sells("shop", 4)
    await world.poll("shop")
    await world.tick()
    assert world.shown() == [6, 6]
    await world.lives(15)
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"gives_back": ["on cancel", "on edit"]})
async def test_a_channel_that_gives_nothing_back_is_raised_by_us_after_a_cancel(open_world) -> None:
    world = await open_world({"shop": PRESETS["gives nothing back"], "market": PLAIN})
    order = world.sells("shop", 3)
    await world.lives(15)
    world.market("shop").cancel(order)
    await world.lives(15)
    assert world.shown() == [10, 10]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"gives_back": ["on cancel", "on edit"]})
async def test_what_a_channel_gives_back_for_a_return_is_no_rise(open_world) -> None:
    world = await open_world({"shop": PRESETS["gives back on restock"], "market": PLAIN})
    order = world.sells("shop", 3)
    await world.lives(15)
    world.market("shop").ship(order)
    await world.lives(15)
    line = world.market("shop").orders[order].lines[0].id
    world.market("shop").bring_back(order, line, 2)
    world.passes(seconds=5)
    await world.poll("shop")
    await world.sweeps("shop")
    await world.lives(15)
    assert world.shown() == [9, 9]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"skew_s": 0})
async def test_an_order_of_a_clock_that_is_ahead_settles_once(open_world) -> None:
    world = await open_world({"shop": PRESETS["clock 90 s ahead"], "market": PLAIN})
    world.sells("shop", 1)
    world.passes(seconds=30)
    await world.sweeps("shop")  # the drop is seen before the order, which is dated a minute after this read
    await world.poll("shop")
    assert await world.held() == [1]  # both stand until it is settled: one unit hidden for a tick
    await world.lives(15)
    assert (await world.held(), world.shown()) == ([], [9, 9])
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"skew_s": 0})
async def test_an_order_of_a_clock_that_is_behind_is_not_taken_for_an_old_one(open_world) -> None:
    world = await open_world({"shop": PRESETS["clock 90 s behind"], "market": PLAIN})
    await world.sweeps("shop")
    world.passes(seconds=30)
    world.sells("shop", 2)  # dated a minute before that read, which did not have it
    world.passes(seconds=5)
    await world.poll("shop")
    world.passes(seconds=30)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.shown() == [8, 8]
    assert await world.kinds() == []


def when_placed(change: Any, move: Any, snapshot: Any, since: datetime | None, name: str) -> Effect:
    """What has no time of its own is taken to have happened when the order was placed."""
    at = change.at or snapshot.placed_at
    return Effect(id=name, key=move.key, delta=change.delta * move.units, earliest=at, latest=at, order=snapshot.order)


@pytest.mark.fails_without("domain.effects._effect", when_placed)
async def test_a_change_without_a_time_is_neither_drop_nor_rise(open_world) -> None:
    world = await open_world({"shop": PRESETS["tells no times"], "market": PLAIN})
    order = world.sells("shop", 4)
    await world.lives(60)
    await world.sweeps("shop")
    line = world.market("shop").orders[order].lines[0].id
    world.market("shop").cancel(order, {line: 2})
    world.passes(seconds=30)
    await world.poll("shop")
    await world.sweeps("shop")
    await world.lives(15)
    assert world.shown() == [8, 8]
    assert await world.kinds() == []


def on_top(effect: Effect, write: Write, timing: Any) -> str:
    """As if every sale came after the write that was applied last."""
    return "after"


@pytest.mark.fails_without("domain.watermark._since_write", on_top)
async def test_an_absolute_write_that_swallowed_a_sale_is_known_to_have_done_so(open_world) -> None:
    world = await open_world({"shop": MarketplaceRules(read_lag=(60.0, 60.0)), "market": PLAIN})
    world.sells("market", 3)
    await world.poll("market")
    world.wires["shop"].before_push = lambda: world.sells("shop", 1)  # and our 7 is written over its 9
    await world.tick("shop")
    assert world.shows("shop") == 7
    world.passes(seconds=2)
    await world.poll("shop")
    await world.lives(8)
    assert world.shown() == [6, 6]
    assert await world.kinds() == []
    assert world.oversold == 0


@pytest.mark.fails_without(declares={"never_negative": False})
async def test_a_number_stops_at_0_and_the_missing_units_are_no_rise(open_world) -> None:
    world = await open_world({"shop": PRESETS["deducts at payment"], "market": PLAIN}, 1)
    orders = [world.sells("shop", 1, paid=False) for _ in range(2)]  # it deducts when they pay, so it sells twice
    for order in orders:
        world.passes(seconds=1)
        world.market("shop").pay(order)
    world.passes(seconds=5)
    await world.poll("shop")
    world.passes(seconds=5)
    await world.sweeps("shop")
    await world.lives(15)
    assert world.shown() == [0, 0]
    assert await world.kinds() == ["oversold"]


@pytest.mark.fault(43, "a number at the cap is no drift")
@pytest.mark.fails_without(declares={"cap": None})
async def test_a_cap_on_writing_is_no_drop(open_world) -> None:
    world = await open_world({"shop": PRESETS["cap on writing"], "market": PLAIN}, 15)
    await world.receives(20)
    await world.lives(15)
    assert world.shown() == [20, 35]
    assert (await world.held(), await world.kinds()) == ([], [])


@pytest.mark.fails_without(declares={"cap": None})
async def test_nothing_is_written_that_a_channel_refuses_for_its_cap(open_world) -> None:
    world = await open_world({"shop": PRESETS["refuses above the cap"], "market": PLAIN}, 15)
    await world.receives(30)
    await world.lives(15)
    assert world.shown() == [20, 45]
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"cap": None})
async def test_sales_above_the_cap_of_what_is_shown_are_no_rise(open_world) -> None:
    world = await open_world({"shop": PRESETS["cap on reading"], "market": PLAIN}, 30)
    for _ in range(3):
        world.sells("shop", 4)
        await world.lives(5)
        await world.sweeps("shop")
    await world.lives(15)
    assert world.shows("market") == 18
    assert (await world.kinds(), await world.found()) == (["implausible drop"], [])  # the last four were seen first


@pytest.mark.fails_without(declares={"rounds_to": 1})
@pytest.mark.fault(43, "a rounded number is no drift")
async def test_rounding_is_no_drop(open_world) -> None:
    world = await open_world({"shop": PRESETS["rounds to 5"], "market": PLAIN})
    world.sells("market", 3)
    await world.poll("market")
    await world.tick()
    await world.lives(5)
    assert world.shown() == [5, 7]
    assert (await world.held(), await world.kinds()) == ([], [])


@pytest.mark.fails_without(declares={"rounds_to": 1})
async def test_units_that_rounding_hides_are_no_drop(open_world) -> None:
    world = await open_world({"shop": PRESETS["shows multiples of 5"], "market": PLAIN})
    world.sells("shop", 1)  # it counts 9 and shows 5
    world.passes(seconds=5)
    await world.poll("shop")
    await world.sweeps("shop")
    await world.lives(5)
    assert world.shows("market") == 9
    assert (await world.held(), await world.kinds()) == ([], [])
