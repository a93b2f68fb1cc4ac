"""Stories of section 4: provisional reservations, how they are matched, and how they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.domain.provisional import HoldsMoved, Release, TakeOver
from channelsync.lab.faults import orders_down
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.store import channels
from channelsync.sync.explained import after_orders_read
from channelsync.sync.orders_by_id import take_by_id

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""When every world opens; a story begins eleven minutes later."""

PLAIN = MarketplaceRules()
LATE_ORDERS = MarketplaceRules(visibility=(600.0, 600.0))
MAY_BE_LATE = MarketplaceRules(visibility=(0.0, 3600.0))


def nobody(contained: Any, rows: Any) -> tuple[TakeOver, ...]:
    """No order takes anything over."""
    return ()


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.take_over.take_over", nobody)
async def test_an_order_takes_over_what_was_held_for_it_once(open_world) -> None:
    world = await open_world({"shop": MAY_BE_LATE, "market": PLAIN})
    world.market("shop")._rng.uniform = lambda a, b: a  # this one is listed at once
    world.sells("shop", 2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert (await world.held(), await world.available()) == ([2], 8)
    world.passes(seconds=5)
    await world.poll("shop")
    assert (await world.held(), await world.available()) == ([], 8)
    await world.poll("shop")
    await world.lives(15)
    assert (world.shown(), await world.available(), await world.kinds()) == ([8, 8], 8, [])


@pytest.mark.fails_without("sync.take_over.take_over", nobody)
async def test_an_order_first_seen_as_cancelled_closes_what_was_held_for_it(open_world) -> None:
    world = await open_world({"shop": MAY_BE_LATE, "market": PLAIN})
    world.market("shop")._rng.uniform = lambda a, b: a
    order = world.sells("shop", 2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [2]
    world.passes(seconds=30)
    world.market("shop").cancel(order)
    world.passes(minutes=10)
    await world.poll("shop")
    assert (await world.held(), await world.available()) == ([], 10)
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([10, 10], [])


def sales_alone(original: Any) -> Any:
    """What an order gave back is not looked at."""
    return lambda contained, rows: original([effect for effect in contained if effect.delta < 0], rows)


@pytest.mark.fails_without("sync.take_over.take_over", around=sales_alone)
async def test_an_order_that_was_cancelled_before_the_drop_was_read_takes_over_nothing_of_anothers(open_world) -> None:
    world = await open_world(["shop", "market"], 1)
    cancelled = world.sells("shop")
    world.passes(seconds=20)
    world.market("shop").cancel(cancelled)
    world.passes(seconds=20)
    world.sells("shop")
    world.passes(seconds=20)
    await world.sweeps("shop")
    world.passes(seconds=5)
    await take_by_id(world.agent, world.channel("shop"), [cancelled])  # of the other order's no webhook came
    await world.tick()
    assert (await world.held(), world.shown()) == ([1], [0, 0])
    await world.lives(15)
    assert (await world.held(), await world.available(), await world.kinds()) == ([], 0, [])


def by_clock(original: Any) -> Any:
    """A poll that failed is taken for one that covered everything until now."""

    def failed(connection: Any, agent: Any, channel: Any, reason: str, *, needs_seller: bool) -> None:
        now = agent.clock.now()
        channels.save_channel(connection, channel.name, covered_to=now, orders_asked_at=now)
        after_orders_read(connection, agent, channel)

    return failed


@pytest.mark.fails_without("sync.take_orders._poll_failed", around=by_clock)
async def test_with_the_orders_interface_down_for_hours_nothing_is_released(open_world) -> None:
    world = await open_world(
        ["shop", "market"],
        2,
        faults={"shop": [orders_down(NOON + timedelta(minutes=11, seconds=30), NOON + timedelta(hours=4))]},
    )
    world.passes(minutes=1)
    world.sells("shop", 2)
    for _ in range(22):
        world.passes(minutes=9)
        await world.sweeps("shop")
        await world.lives(1)
        await world.poll("shop")
        world.market("market").buy("market-tea", 1)
    assert (await world.held(), world.shown(), world.oversold) == ([2], [0, 0], 0)
    await world.lives(60)
    assert (await world.held(), await world.available(), world.shown()) == ([], 0, [0, 0])
    assert sorted({one.kind for one in await world.found()}) == []


def at_once(rows: Any, *_: Any, **__: Any) -> tuple[Release, ...]:
    """Every complete order read ends what is held."""
    return tuple(Release(row.id, row.open, "not in this read") for row in rows)


@pytest.mark.fails_without("sync.explained.to_release", at_once)
async def test_a_drop_is_held_until_every_order_of_its_time_must_have_been_listed(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN}, 1)
    world.sells("shop", 1)  # listed in ten minutes
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(8)
    world.passes(seconds=30)
    await world.poll("shop")
    await world.tick()
    assert await world.held() == [1]
    world.market("market").buy("market-tea", 1)
    await world.lives(15)
    assert (world.oversold, await world.held(), world.shown(), await world.kinds()) == (0, [], [0, 0], [])


def oldest_row(contained: Any, rows: Any) -> tuple[TakeOver, ...]:
    """An order takes over the oldest row, whatever its time."""
    sales = sorted(contained, key=lambda e: e.latest)
    return tuple(
        TakeOver(row.id, e.id, 1) for e, row in zip(sales, sorted(rows, key=lambda r: r.found_at), strict=False)
    )


@pytest.mark.fails_without("sync.take_over.take_over", oldest_row)
async def test_an_order_takes_over_the_row_whose_time_is_its_own(open_world) -> None:
    world = await open_world({"shop": MarketplaceRules(visibility=(1.0, 3600.0)), "market": PLAIN})
    world.edits("shop", 9)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(minutes=5)
    await world.sweeps("shop")
    order = world.sells("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [1, 1]
    world.passes(minutes=65)
    world.market("shop").search.add(world.market("shop").orders[order], world.clock.now())
    await world.poll("shop")
    closed = await world.sql("SELECT closed_by FROM provisional ORDER BY found_at")
    assert closed[1].closed_by == f"order {order}"
    assert "rder " + order not in closed[0].closed_by


@pytest.mark.fails_without("sync.explained._Explaining._unexplained_drop", lambda *arguments: None)
async def test_what_no_order_explained_ends_as_a_finding_with_its_evidence(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.edits("shop", 9)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(15)
    assert await world.kinds() == ["unexplained drop"]
    found = (await world.found())[0]
    assert (found.kind, found.channel, found.evidence["units"]) == ("unexplained drop", "shop", -1)
    assert "no order explains it" in found.summary
    assert (world.shown(), await world.held()) == ([10, 10], [])


@pytest.mark.fails_without("sync.explained._Explaining._adjust", lambda *arguments: None)
async def test_an_unexplained_drop_is_adopted_where_that_is_the_policy(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"drift": "adopt"})
    world.edits("shop", 9)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.available(), await world.held()) == ([9, 9], 9, [])


@pytest.mark.fails_without(declares={"order_visibility_s": 1.0})
async def test_an_order_that_is_listed_late_is_waited_for(open_world) -> None:
    world = await open_world({"shop": PRESETS["orders found late"], "market": PLAIN}, 1)
    world.market("shop")._rng.uniform = lambda a, b: b
    world.sells("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(minutes=2)
    await world.poll("shop")
    await world.tick()
    assert await world.held() == [1]
    await world.lives(15)
    assert (await world.held(), await world.available(), await world.kinds()) == ([], 0, [])


def without_names(self: Any, record: Any, read: Any, seen: Any, meant: Any) -> tuple[int, int]:
    """Of what the channel names as held nothing is known."""
    return meant.units if meant.meaning == "drop" else 0, meant.units if meant.meaning == "rise" else 0


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.understand_reads._Reading._without_holds", without_names)
async def test_what_the_channel_names_as_held_is_held_as_long_as_it_shows_it(open_world) -> None:
    world = await open_world({"shop": PRESETS["names its holds"], "market": PLAIN})
    world.market("shop").hold(world.key("shop"), 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shown()) == ([3], [7, 7])
    await world.lives(180)
    assert (await world.held(), world.shown(), await world.kinds()) == ([3], [7, 7], [])
    world.market("shop").hold(world.key("shop"), -2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(3)
    assert (await world.held(), world.shown(), await world.kinds()) == ([1], [9, 9], [])


def and_nothing_else(grown: int, drop: int, rise: int) -> HoldsMoved:
    """A hold that ends has no other end than that its units are there again."""
    return HoldsMoved(max(0, grown), max(0, -grown), drop, rise)


@pytest.mark.fails_without("sync.understand_reads.holds_moved", and_nothing_else)
async def test_a_hold_that_becomes_an_order_is_an_order_that_we_have_not_seen(open_world) -> None:
    world = await open_world({"shop": PRESETS["names its holds"], "market": PLAIN})
    world.market("shop").hold(world.key("shop"), 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(minutes=1)
    world.market("shop").hold(world.key("shop"), -3)
    world.sells("shop", 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shown()) == ([3], [7, 7])
    await world.lives(12)
    assert (await world.held(), world.shown(), await world.available()) == ([], [7, 7], 7)
    assert (await world.kinds(), await world.found()) == (["implausible drop"], [])  # three in a minute


async def test_what_a_cancelled_order_gives_back_is_shown_though_the_others_of_its_page_take_their_own_over(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 10})
    world.sells("shop", 1)
    cancelled = world.sells("shop", 1, "cup")
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(3, poll=False)
    assert (await world.held(), world.shown(), world.shown("cup")) == ([1, 1], [9, 9], [9, 9])
    world.market("shop").cancel(cancelled)
    await world.poll("shop")  # one page: an order that reserves what is held for it, and one that was cancelled before
    await world.lives(3, poll=False)
    assert (await world.held(), world.shown(), world.shown("cup")) == ([], [9, 9], [10, 10])


def by_name_as_well(original: Any) -> Any:
    """An order takes over what the channel names as held, too."""
    return lambda contained, rows: original(contained, [replace(row, named=False) for row in rows])


@pytest.mark.fails_without("sync.take_over.take_over", around=by_name_as_well)
async def test_an_order_takes_over_nothing_that_the_channel_names_as_held(open_world) -> None:
    world = await open_world({"shop": PRESETS["names its holds"], "market": PLAIN})
    world.market("shop").hold(world.key("shop"), 1)
    world.sells("shop", 2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert sorted(await world.held()) == [1, 2]
    await world.lives(12)
    assert (await world.held(), world.shown(), await world.available(), await world.kinds()) == ([1], [7, 7], 7, [])


@pytest.mark.fails_without("sync.explained._as_shown", lambda record, rows: rows)
async def test_what_a_listing_held_by_name_ends_with_the_listing(open_world) -> None:
    world = await open_world({"shop": PRESETS["names its holds"], "market": PLAIN}, {"tea": 10, "cup": 1})
    world.market("shop").hold(world.key("shop"), 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    del world.market("shop")._shelf.offers["shop-tea"]
    world.passes(minutes=1)
    await world.pulls("shop")
    await world.lives(15)
    assert (await world.held(), world.shows("market"), await world.kinds()) == ([], 10, ["listing gone"])


@pytest.mark.fails_without("sync.understand_reads.end_holds", lambda rows, units=None: ())
async def test_what_a_listing_held_by_name_ends_when_its_units_are_counted_anew(open_world) -> None:
    world = await open_world({"shop": PRESETS["names its holds"], "market": PLAIN})
    world.market("shop").hold(world.key("shop"), 3)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [3]
    for tracked in (False, True):
        world.market("shop").set_policy("shop-tea", tracked=tracked)
        world.passes(minutes=1)
        await world.pulls("shop")
    assert await world.held() == []
    await world.lives(3)
    assert (world.shown(), await world.kinds()) == ([10, 10], [])


@pytest.mark.fails_without("sync.explained.report_oversold", lambda connection, before, positions, now: None)
async def test_units_that_nobody_ordered_after_all_end_the_finding_that_more_is_promised_than_there_is(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], 10)
    world.sells("market", 6)
    world.edits("shop", 1)
    world.passes(minutes=1)
    await world.poll("market")
    await world.sweeps("shop")
    assert await world.available() == -5
    assert "oversold" in [one.kind for one in await world.found()]
    await world.lives(180)
    assert (await world.available(), world.shown()) == (4, [4, 4])
    assert "oversold" not in [one.kind for one in await world.found()]
