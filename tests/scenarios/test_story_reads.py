"""Stories of section 3: what a read means, and what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.demand import DemandRate
from channelsync.domain.publishing import Decision
from channelsync.domain.watermark import Read
from channelsync.lab.faults import orders_down
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import Offer
from channelsync.lab.simulation_checks import excess_released
from channelsync.lab.simulation_watch import Name
from channelsync.sdk.values import Applies

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
PLAIN = MarketplaceRules()
LATE_ORDERS = MarketplaceRules(visibility=(0.0, 1800.0))
"""An order may be listed half an hour after it was placed, so what no order explains is held for so long."""


def shown_ten(original: Any) -> Any:
    """A key that was never read is taken to have shown 10 in the morning."""

    def record(*arguments: Any) -> Any:
        one = original(*arguments)
        read = one.state.watermark or Read(10, MORNING, MORNING)
        return replace(one, state=replace(one.state, watermark=read))

    return record


def keeping_watermarks(original: Any) -> Any:
    """What starts keys anew leaves the last number that they showed."""

    def keeping(connection: Any, *arguments: Any) -> Any:
        before = connection.execute(text("SELECT id, value FROM quantity_key")).all()
        told = original(connection, *arguments)
        for row in before:
            connection.execute(text("UPDATE quantity_key SET value = :value WHERE id = :id"), row._asdict())
        return told

    return keeping


def ended_is_0(original: Any) -> Any:
    """A number that is not there (any more) is taken to be 0."""

    def take(self: Any, record: Any, read: Any) -> None:
        original(self, record, read if read.value is not None else replace(read, value=0))

    return take


def nothing(*arguments: Any, **named: Any) -> None:
    """Does nothing."""


@pytest.mark.fails_without("store.keys._record", around=shown_ten)
async def test_the_first_read_of_a_number_books_nothing(open_world) -> None:
    world = await open_world(["shop", "market"])
    await world.lists("shop", Offer(listing="shop-more", sku="tea"), 2, means="tea")
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.market("shop").number(world.market("shop").offers["shop-more"].keys[0]) == 10
    assert (world.shown(), await world.kinds()) == ([10, 10], [])


@pytest.mark.fails_without("store.listings.restart_keys", around=keeping_watermarks)
async def test_the_first_read_after_a_mapping_changed_books_nothing(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 4})
    world.edits("shop", 4)  # the seller sells cups there now
    await world.maps("shop", "shop-tea", "cup")
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert (world.shown("tea"), await world.kinds()) == ([4, 10], [])


@pytest.mark.fails_without("sync.understand_reads._Reading.take", around=ended_is_0)
async def test_a_listing_that_is_made_anew_books_nothing(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.market("shop").recreate("shop-tea", "shop-tea-2")
    await world.sweeps("shop")
    assert (await world.held(), world.shows("market")) == ([], 10)
    await world.pulls("shop")
    await world.maps("shop", "shop-tea-2", "tea")
    await world.lives(15)
    assert world.market("shop").number(world.market("shop").offers["shop-tea-2"].keys[0]) == 10
    assert (await world.held(), world.shows("market")) == ([], 10)


@pytest.mark.fails_without("store.listings._link_keys", around=keeping_watermarks)
async def test_the_first_read_after_units_are_counted_again_books_nothing(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.market("shop").set_policy("shop-tea", tracked=False)
    await world.pulls("shop")
    world.market("shop").set_policy("shop-tea", tracked=True)
    world.edits("shop", 3)
    await world.pulls("shop")
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([10, 10], [])


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.understand_reads._Reading._hold", nothing)
async def test_an_unseen_order_lowers_the_other_channels_at_once(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.sells("shop", 10)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shown()) == ([10], [0, 0])
    assert world.channel("shop").wake_orders.is_set()  # its orders are read at once
    assert world.market("market").can_buy("market-tea") == 0
    await world.lives(15)
    assert (world.oversold, await world.found(), await world.available()) == (0, [], 0)
    assert await world.kinds() == ["implausible drop"]  # it never sold ten in so short a time


@pytest.mark.fails_without("domain.provisional.Provisional.excess", 0)
async def test_a_typo_locks_no_units_for_longer_than_one_order_read(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN})
    world.edits("shop", 1)  # 10, with a slip of the finger
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shown()) == ([9], [1, 1])
    world.passes(minutes=1)
    await world.poll("shop")
    await world.tick()
    assert await world.held() == [2]  # so many it may plausibly have sold
    assert await world.kinds() == ["implausible drop", "unexplained drop"]
    await world.lives(5)
    assert world.shown() == [8, 8]
    await world.lives(60)
    assert (await world.held(), world.shown()) == ([], [10, 10])
    told = sorted(one.summary for one in await world.found() if one.kind == "unexplained drop")
    assert [
        "fell by 2 and no order explains" in told[0],
        "fell by 7 and no order that is listed by now" in told[1],
    ] == [
        True,
        True,
    ]


@pytest.mark.on_both_databases
@pytest.mark.fails_without("domain.provisional.Provisional.excess", 0)
@pytest.mark.fails_without("store.provisionals._close_implausible", nothing)
async def test_a_typo_is_told_at_once_though_orders_cannot_be_read(open_world) -> None:
    down = orders_down(MORNING + timedelta(hours=4, minutes=11), MORNING + timedelta(hours=8))
    world = await open_world(["shop", "market"], faults={"shop": [down]})
    world.edits("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.kinds() == ["implausible drop"]
    found = (await world.found())[0]
    assert (found.evidence["units"], found.evidence["excess"]) == (-9, 7)
    assert "7 of them until its orders were all read once more" in found.summary
    await world.lives(120)
    assert (await world.held(), world.shown()) == ([9], [1, 1])
    assert "implausible drop" in [one.kind for one in await world.found()]
    await world.lives(180)
    assert (await world.held(), world.shown()) == ([], [10, 10])
    assert [one.kind for one in await world.found()] == ["unexplained drop"]


async def test_units_that_ended_as_implausible_are_told_though_an_order_ended_the_rest(open_world) -> None:
    world = await open_world({"shop": replace(LATE_ORDERS, visibility=(1200.0, 1200.0)), "market": PLAIN})
    world.sells("shop", 5)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.passes(minutes=1)
    await world.poll("shop")
    assert await world.held() == [2]
    released_at = world.clock.now()
    await world.lives(30)
    assert (await world.held(), await world.available()) == ([], 5)
    found = await world.agent.database.query(excess_released)
    assert found == {Name("shop", "shop-tea", ""): [(released_at, 3)]}


@pytest.mark.fails_without("sync.explained.close_for_rise", lambda rows, rise: ((), rise.units))
async def test_a_typo_that_is_corrected_leaves_nothing_behind(open_world) -> None:
    world = await open_world({"shop": LATE_ORDERS, "market": PLAIN})
    world.edits("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == [9]
    world.edits("shop", 10)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(15)
    assert (await world.held(), world.shown(), await world.found()) == ([], [10, 10], [])
    assert await world.kinds() == ["implausible drop"]


def whatever_rose(original: Any) -> Any:
    """A rise is lowered again at once."""

    def decide(*arguments: Any, **named: Any) -> Decision:
        return original(*arguments, **{**named, "rise": 0})

    return decide


@pytest.mark.fails_without("sync.decide_writes.decide", around=whatever_rose)
@pytest.mark.fails_without("sync.explained.explain_rises", lambda rises, contained: (tuple(rises), frozenset()))
async def test_a_cancel_that_we_have_not_seen_is_no_drift(open_world) -> None:
    world = await open_world(["shop", "market"])
    order = world.sells("shop", 3)
    await world.lives(60)
    world.market("shop").cancel(order)
    world.passes(minutes=1)
    await world.sweeps("shop")  # 10, and 7 are left as far as we know
    await world.tick()
    assert world.shown() == [10, 7]
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([10, 10], [])
    assert world.wires["shop"].values == []


LOSES_ALL = MarketplaceRules(applies=Applies.IN_ORDER, apply_delay=(1.0, 30.0), never_applied=1.0)


@pytest.mark.fault(34, "found with both numbers, and sent again")
@pytest.mark.fails_without("domain.watermark.overdue", lambda write, at, timing: False)
@pytest.mark.fails_without("sync.understand_reads._Reading._lost", nothing)
async def test_a_write_that_is_lost_is_sent_again_and_found_when_it_is_lost_again(open_world) -> None:
    world = await open_world({"shop": LOSES_ALL, "market": PLAIN})
    world.sells("market", 3)
    await world.lives(20)
    assert world.shows("shop") == 10
    assert len(world.wires["shop"].values) > 2
    assert set(world.wires["shop"].values) == {7}
    assert await world.kinds() == ["push lost"]
    world.market("shop")._shelf.numbers._rules = PLAIN
    await world.lives(5)
    assert world.shown() == [7, 7]
    assert await world.found() == []


@pytest.mark.fault(44, "ends in a finding and not in a fight")
@pytest.mark.parametrize("demand", [DemandRate(0.01), DemandRate(60.0)], ids=["slow", "hot"])
@pytest.mark.fails_without("sync.explained.REPAIRS_MAX", 1_000)
@pytest.mark.fails_without("sync.understand_reads.CALM", timedelta(0))
async def test_another_writer_ends_in_a_finding_and_not_in_a_fight(open_world, demand: DemandRate) -> None:
    world = await open_world(["shop", "market"], prior_demand=demand)
    await world.is_written_over("shop", 50, rounds=8)
    assert world.wires["shop"].values == [10, 10, 10]
    assert "another writer" in await world.kinds()
    assert world.shown() == [50, 10]


@pytest.mark.fails_without("sync.understand_reads.CALM", timedelta(days=90))
async def test_now_and_then_somebody_types_a_number_and_that_is_no_other_writer(open_world) -> None:
    world = await open_world(["shop", "market"])
    for _ in range(5):
        world.edits("shop", 50)
        await world.sweeps("shop")
        await world.lives(3)
        world.passes(minutes=90)
        await world.sweeps("shop")
    assert (world.shown(), set(await world.kinds())) == ([10, 10], {"drift"})


@pytest.mark.fails_without("sync.explained._Explaining._resolve_rises", nothing)
@pytest.mark.fault(44, "by policy our number is written again, once")
async def test_drift_is_repaired_where_that_is_the_policy(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"drift": "repair"})
    world.edits("shop", 14)
    await world.sweeps("shop")
    await world.lives(5)
    assert (world.shown(), await world.available(), await world.kinds()) == ([10, 10], 10, ["drift"])
    assert world.wires["shop"].values == [10]


@pytest.mark.fails_without("sync.explained._Explaining._adjust", nothing)
@pytest.mark.fault(44, "by policy the difference is booked, and the other channels follow")
async def test_drift_is_adopted_where_that_is_the_policy(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"drift": "adopt"})
    world.edits("shop", 14)
    await world.sweeps("shop")
    await world.lives(5)
    assert (world.shown(), await world.available(), await world.kinds()) == ([14, 14], 14, ["drift"])
    world.edits("market", 11)
    await world.sweeps("market")
    await world.lives(15)
    assert (world.shown(), await world.available()) == ([11, 11], 11)


@pytest.mark.fails_without("sync.explained.explode", lambda item, units, recipes: {item: units})
async def test_a_bundle_of_which_more_is_shown_is_adopted_as_more_of_its_parts(open_world) -> None:
    parts = {"set": {"tea": 2, "cup": 1}}
    world = await open_world(["shop", "market"], {"tea": 20, "cup": 10}, recipes=parts, channel={"drift": "adopt"})
    world.edits("shop", 13, "set")
    await world.sweeps("shop")
    await world.lives(15)
    assert (await world.available("tea"), await world.available("cup"), await world.available("set")) == (26, 13, 0)
    assert (world.shows("shop", "set"), world.shows("market", "set"), world.shows("market", "tea")) == (13, 13, 26)


def unasked(original: Any) -> Any:
    """An open question holds up nothing."""
    return lambda *arguments: replace(original(*arguments), held=False, disputed=0)


@pytest.mark.fails_without("sync.decide_writes._switches", around=unasked)
@pytest.mark.fault(44, "by policy the seller is asked, and what is in question stays meanwhile")
async def test_the_seller_is_asked_about_drift_where_that_is_the_policy(open_world) -> None:
    world = await open_world(["shop", "market"], channel={"drift": "ask"})
    world.edits("shop", 14)
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.available(), await world.kinds()) == ([14, 10], 10, ["drift"])
    assert (await world.found())[0].evidence["question"] is True


def as_if_it_stopped_at_0(original: Any) -> Any:
    """Nobody minds that a number may be below 0."""

    def decide(*arguments: Any, **named: Any) -> Decision:
        return original(*arguments, **{**named, "sells_below_zero": False})

    return decide


@pytest.mark.fails_without("sync.decide_writes.decide", around=as_if_it_stopped_at_0)
async def test_0_is_never_written_over_a_number_below_it(open_world) -> None:
    world = await open_world({"shop": PRESETS["backorders"], "market": PLAIN}, 1)
    world.market("shop").set_policy("shop-tea", sells_below_zero=True)
    await world.pulls("shop")
    await world.lives(2)
    world.sells("shop", 3)
    await world.lives(15)
    assert world.shown() == [-2, 0]
    assert world.wires["shop"].values == []
    assert await world.kinds() == ["implausible drop", "oversold"]


SLOW = MarketplaceRules(applies=Applies.IN_ORDER, apply_delay=(90.0, 90.0))


def one_at_a_time(original: Any) -> Any:
    """Every write waits for the one before it."""

    def decide(state: Any, *arguments: Any, **named: Any) -> Decision:
        return Decision(action="wait", why="one at a time") if state.writes else original(state, *arguments, **named)

    return decide


@pytest.mark.fails_without("domain.watermark.overdue", lambda write, at, timing: True)
@pytest.mark.fails_without("sync.decide_writes.decide", around=one_at_a_time)
@pytest.mark.fault(42, "a write that is not visible yet is waited for, and is no drift")
async def test_a_write_that_is_not_visible_yet_is_waited_for_and_lowerings_are_not(open_world) -> None:
    world = await open_world({"shop": SLOW, "market": PLAIN})
    world.sells("market", 3)
    await world.lives(1)
    await world.poll("market")
    await world.tick()
    world.passes(seconds=40)
    await world.sweeps("shop")
    assert (world.shows("shop"), world.wires["shop"].values) == (10, [7])  # not sent again
    world.sells("market", 2)
    await world.poll("market")
    await world.tick("shop")
    assert world.wires["shop"].values == [7, 5]  # sent at once
    await world.lives(6)
    assert (world.shown(), world.wires["shop"].values, await world.kinds()) == ([5, 5], [7, 5], [])


@pytest.mark.fails_without("domain.watermark._too_soon", lambda state, watermark, read, timing: False)
async def test_a_read_that_comes_too_soon_decides_nothing_and_holds_up_no_lowering(open_world) -> None:
    world = await open_world({"shop": MarketplaceRules(compare_and_set=True, read_lag=(180.0, 180.0)), "market": PLAIN})
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    world.passes(seconds=30)
    await world.sweeps("shop")  # it shows 10 still, although 7 is in force
    row = await world.row("shop")
    assert (row.rise, row.state.watermark.value) == (0, 10)
    world.sells("market", 1)
    await world.poll("market")
    await world.tick("shop")
    assert (world.shows("shop"), world.wires["shop"].values) == (6, [7, 6])
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([6, 6], [])
