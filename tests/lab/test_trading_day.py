"""The plan of the demo: nothing of the day's demand is lost, popular SKUs run out, and every seed can be had again."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelsync.lab import trading_day
from channelsync.lab.baskets import Basket, BasketLine, Day, DayCounts, load_day
from channelsync.lab.trading_day import (
    FATES,
    MARKETPLACES,
    Cancel,
    Edit,
    PlannedLine,
    PlannedListing,
    PlannedOrder,
    Return,
    Ship,
    TradingDay,
    assign_outlets,
    plan_trading_day,
)

MIDNIGHT = datetime.fromisoformat("2017-12-23T00:00:00+00:00")


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Small days in which few SKUs meet often, so that bundles, packs and sell-outs happen."""
    count = draw(st.integers(1, 30))
    baskets = []
    for number in range(count):
        skus = draw(st.sets(st.integers(1, 9), min_size=1, max_size=6))
        lines = tuple(BasketLine(f"sku-{sku}", draw(st.integers(1, 8))) for sku in sorted(skus))
        placed_at = MIDNIGHT + timedelta(seconds=draw(st.integers(0, 86_399)))
        baskets.append(Basket(f"b{number}", placed_at, f"outlet-{draw(st.integers(1, 7))}", lines))
    ordered = tuple(sorted(baskets, key=lambda basket: (basket.placed_at, basket.basket_id)))
    return Day(date(2017, 12, 23), ordered, DayCounts(count, 0, 0, 0), 0, 0)


seeds = st.integers(0, 2**32)
steady = settings(deadline=None)
scales = st.sampled_from([0.01, 0.3, 1.0, 1.7, 3.0])


@pytest.fixture(scope="module")
def real_day() -> Day:
    return load_day()


@pytest.fixture(scope="module")
def real_plan(real_day: Day) -> TradingDay:
    return plan_trading_day(real_day, seed=1)


def listings_of(plan: TradingDay) -> dict[str, PlannedListing]:
    return {listing.listing_id: listing for listing in plan.listings}


def wanted_units(plan: TradingDay) -> Counter[str]:
    listings = listings_of(plan)
    units: Counter[str] = Counter()
    for order in plan.orders:
        for line in order.lines:
            for content in listings[line.listing_id].contents:
                units[content.sku] += line.quantity * content.units
    return units


def bought_units(day: Day) -> Counter[str]:
    units: Counter[str] = Counter()
    for basket in day.baskets:
        for line in basket.lines:
            units[line.sku] += line.units
    return units


def lowest_in_one_truth(plan: TradingDay) -> dict[str, int]:
    """The fewest units of every SKU at any time when all marketplaces sell from one shelf to the last unit.

    A buyer takes what is there; cancelling, editing down and restocking for sale give back.
    """
    listings = listings_of(plan)
    left = dict(plan.opening)
    lowest = dict(left)
    held: Counter[tuple[str, str]] = Counter()
    moments: list[tuple[datetime, PlannedOrder, object]] = []
    for order in plan.orders:
        moments += [(order.placed_at, order, order), *((event.at, order, event) for event in order.after)]

    def move(order: PlannedOrder, line: PlannedLine, wanted: int) -> None:
        """The buyer holds up to `wanted` of a line from now on."""
        contents = listings[line.listing_id].contents
        key = (order.order_id, line.line_id)
        there = min(left[content.sku] // content.units for content in contents)
        change = min(wanted - held[key], there)
        held[key] += change
        for content in contents:
            left[content.sku] -= change * content.units
            lowest[content.sku] = min(lowest[content.sku], left[content.sku])

    for _, order, event in sorted(moments, key=lambda moment: moment[0]):
        for line in order.lines:
            match event:
                case PlannedOrder():
                    move(order, line, line.quantity)
                case Cancel():
                    move(order, line, 0)
                case Edit(line_id=line.line_id, quantity=quantity):
                    move(order, line, quantity)
                case Return(line_id=line.line_id, quantity=quantity, withheld=False):
                    move(order, line, max(0, held[order.order_id, line.line_id] - quantity))
    return lowest


@steady
@given(days(), seeds, scales)
def test_a_plan_is_the_same_whenever_it_is_made_again(day: Day, seed: int, scale: float) -> None:
    assert plan_trading_day(day, seed=seed, scale=scale) == plan_trading_day(day, seed=seed, scale=scale)


@steady
@given(days(), seeds, st.integers(1, 3))
def test_packs_and_bundles_keep_every_unit_of_the_demand(day: Day, seed: int, scale: int) -> None:
    plan = plan_trading_day(day, seed=seed, scale=scale)
    wanted = wanted_units(plan)
    assert wanted == Counter({sku: units * scale for sku, units in bought_units(day).items()})
    assert {item.sku: item.demand for item in plan.items} == wanted


@steady
@given(days(), seeds, scales)
def test_popular_skus_run_out_and_the_others_never_do(day: Day, seed: int, scale: float) -> None:
    plan = plan_trading_day(day, seed=seed, scale=scale)
    lowest = lowest_in_one_truth(plan)
    for item in plan.items:
        assert (lowest[item.sku] == 0) == item.popular, item
        assert item.opening >= 1


@pytest.mark.parametrize("fate", FATES)
@steady
@given(days(), seeds)
def test_popular_skus_run_out_even_if_one_fate_meets_every_order(fate: str, day: Day, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trading_day, "FATES", {fate: 100})
        patch.setattr(trading_day, "WITHHELD_SHARE", 0.5)
        plan = plan_trading_day(day, seed=seed)
    lowest = lowest_in_one_truth(plan)
    for item in plan.items:
        assert (lowest[item.sku] == 0) == item.popular, item


@steady
@given(days(), seeds, scales)
def test_what_follows_an_order_comes_later_and_in_order_and_ends_with_all_shipped(
    day: Day, seed: int, scale: float
) -> None:
    plan = plan_trading_day(day, seed=seed, scale=scale)
    for order in plan.orders:
        times = [order.placed_at, *(event.at for event in order.after)]
        assert times == sorted(set(times))
        kinds = [type(event) for event in order.after]
        if Cancel in kinds:
            assert kinds == [Cancel]
        elif kinds:
            ships = [event for event in order.after if isinstance(event, Ship)]
            assert ships[-1].lines is None
            assert all(ship.lines for ship in ships[:-1])
        assert times[-1] <= plan.ends_at()


@steady
@given(days(), seeds)
def test_events_name_lines_of_their_order_and_quantities_that_are_possible(day: Day, seed: int) -> None:
    for order in plan_trading_day(day, seed=seed).orders:
        quantities = {line.line_id: line.quantity for line in order.lines}
        for event in order.after:
            match event:
                case Edit(line_id=line_id, quantity=quantity):
                    assert quantity != quantities[line_id]
                    assert quantity >= (0 if len(quantities) > 1 else 1)
                case Return(line_id=line_id, quantity=quantity):
                    assert 1 <= quantity <= quantities[line_id]
                case Ship(lines=part) if part is not None:
                    assert all(1 <= many <= quantities[line_id] for line_id, many in part)
                    assert sum(many for _, many in part) < sum(quantities.values())


@steady
@given(days(), seeds, scales)
def test_orders_are_in_order_of_time_and_buy_what_their_marketplace_offers(day: Day, seed: int, scale: float) -> None:
    plan = plan_trading_day(day, seed=seed, scale=scale)
    listings = listings_of(plan)
    assert len(listings) == len(plan.listings)
    assert [order.placed_at for order in plan.orders] == sorted(order.placed_at for order in plan.orders)
    assert len({order.order_id for order in plan.orders}) == len(plan.orders)
    for order in plan.orders:
        assert {listings[line.listing_id].marketplace for line in order.lines} == {order.marketplace}
        assert len({line.listing_id for line in order.lines}) == len({line.line_id for line in order.lines})
        assert all(line.quantity >= 1 for line in order.lines)
        assert order.placed_at.date() == day.day


@steady
@given(days(), seeds)
def test_every_marketplace_offers_every_item_and_bundle(day: Day, seed: int) -> None:
    plan = plan_trading_day(day, seed=seed)
    everything = {item.sku for item in plan.items} | {bundle.sku for bundle in plan.bundles}
    for marketplace in MARKETPLACES:
        singly = {
            listing.sku for listing in plan.listings if listing.marketplace == marketplace and listing.multiple == 1
        }
        assert singly == everything


@steady
@given(days(), seeds)
def test_what_a_listing_takes_follows_from_its_multiple_and_its_bundle(day: Day, seed: int) -> None:
    plan = plan_trading_day(day, seed=seed)
    made = {bundle.sku: bundle.components for bundle in plan.bundles}

    def parts(sku: str, units: int) -> Counter[str]:
        if sku not in made:
            return Counter({sku: units})
        total: Counter[str] = Counter()
        for component in made[sku]:
            total.update(parts(component.sku, component.units * units))
        return total

    for listing in plan.listings:
        assert Counter({c.sku: c.units for c in listing.contents}) == parts(listing.sku, listing.multiple)
        assert 1 <= listing.multiple <= 6


@steady
@given(days())
def test_marketplaces_are_balanced_to_within_the_busiest_outlet(day: Day) -> None:
    marketplaces = assign_outlets(day.baskets)
    by_outlet: Counter[str] = Counter()
    for basket in day.baskets:
        by_outlet[basket.outlet] += len(basket.lines)
    loads = [sum(by_outlet[o] for o, name in marketplaces.items() if name == mine) for mine in MARKETPLACES]
    assert sum(loads) == sum(by_outlet.values())
    assert max(loads) - min(loads) <= max(by_outlet.values())


def test_marketplaces_of_the_real_day_are_balanced_to_one_line_in_a_hundred(real_day: Day) -> None:
    marketplaces = assign_outlets(real_day.baskets)
    loads: Counter[str] = Counter()
    for basket in real_day.baskets:
        loads[marketplaces[basket.outlet]] += len(basket.lines)
    assert set(loads) == set(MARKETPLACES)
    assert max(loads.values()) <= 1.01 * min(loads.values())


@steady
@given(days(), seeds, st.floats(0.001, 5))
def test_scale_sets_the_number_of_orders_but_never_to_none(day: Day, seed: int, scale: float) -> None:
    plan = plan_trading_day(day, seed=seed, scale=scale)
    assert len(plan.orders) == max(1, round(len(day.baskets) * scale))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 101.0])
def test_an_impossible_scale_is_refused(real_day: Day, scale: float) -> None:
    with pytest.raises(ValueError, match=r"a scale up to 100 \("):
        plan_trading_day(real_day, seed=1, scale=scale)


def test_a_day_without_baskets_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs baskets \(0\)"):
        plan_trading_day(Day(date(2017, 12, 23), (), DayCounts(0, 0, 0, 0), 0, 0), seed=1)


def test_the_real_day_has_everything_that_the_demo_shows(real_plan: TradingDay) -> None:
    listings = listings_of(real_plan)
    lines = [listings[line.listing_id] for order in real_plan.orders for line in order.lines]
    bundles = {bundle.sku: bundle for bundle in real_plan.bundles}
    events = [event for order in real_plan.orders for event in order.after]

    assert len(real_plan.orders) == 558
    assert sum(listing.multiple > 1 for listing in lines) > 100
    assert sum(listing.sku in bundles for listing in lines) > 50
    assert sum(item.popular for item in real_plan.items) > 100
    for kind in (Cancel, Edit, Ship, Return):
        assert sum(isinstance(event, kind) for event in events) >= 10, kind
    returns = [event for event in events if isinstance(event, Return)]
    assert 0 < sum(event.withheld for event in returns) < len(returns)
    assert any(isinstance(event, Ship) and event.lines is not None for event in events)
    assert sum(not order.after for order in real_plan.orders) > 10

    sizes = {len(bundle.components) for bundle in real_plan.bundles}
    assert sizes == {2, 3}
    parts = Counter(component.sku for bundle in real_plan.bundles for component in bundle.components)
    assert max(parts.values()) > 1
    assert [bundle.sku for bundle in real_plan.bundles if any(c.sku in bundles for c in bundle.components)] == [
        "SET-00"
    ]
    assert any(listing.sku == "SET-00" for listing in lines)
    assert any(component.units > 1 for bundle in real_plan.bundles for component in bundle.components)


def test_edits_of_the_real_day_go_both_ways(real_plan: TradingDay) -> None:
    ups = downs = 0
    for order in real_plan.orders:
        quantities: Mapping[str, int] = {line.line_id: line.quantity for line in order.lines}
        for event in order.after:
            if isinstance(event, Edit):
                ups += event.quantity > quantities[event.line_id]
                downs += event.quantity < quantities[event.line_id]
    assert ups > 3
    assert downs > 3


def test_orders_of_the_real_day_keep_their_times_and_their_baskets(real_day: Day, real_plan: TradingDay) -> None:
    assert [(order.order_id, order.placed_at) for order in real_plan.orders] == [
        (basket.basket_id, basket.placed_at) for basket in real_day.baskets
    ]


def test_another_seed_gives_another_plan_of_the_same_demand(real_day: Day, real_plan: TradingDay) -> None:
    other = plan_trading_day(real_day, seed=2)
    assert other.opening != real_plan.opening
    assert [order.after for order in other.orders] != [order.after for order in real_plan.orders]
    assert wanted_units(other) == wanted_units(real_plan) == bought_units(real_day)


def test_what_follows_an_order_does_not_depend_on_the_scale(real_day: Day, real_plan: TradingDay) -> None:
    tenth = plan_trading_day(real_day, seed=1, scale=0.1)
    times = {order.order_id: len(order.after) for order in real_plan.orders}
    same = sum(len(order.after) == times[order.order_id] for order in tenth.orders)
    assert same >= 0.9 * len(tenth.orders)


def test_a_plan_is_the_same_in_another_process_with_other_hashes(real_plan: TradingDay) -> None:
    program = (
        "import hashlib; from channelsync.lab.baskets import load_day;"
        "from channelsync.lab.trading_day import plan_trading_day;"
        "print(hashlib.sha256(repr(plan_trading_day(load_day(), seed=1)).encode()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "4711"},  # noqa: TID251  # it loads what this process loads
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == hashlib.sha256(repr(real_plan).encode()).hexdigest()


def test_the_weights_of_the_fates_are_percentages() -> None:
    assert sum(FATES.values()) == 100


def test_packs_hold_what_is_most_often_bought_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trading_day, "PACK_SHARE", 1.0)
    bought = (4, 4, 2, 1, 7, 8)
    baskets = tuple(Basket(f"b{n}", MIDNIGHT, "1", (BasketLine("egg", units),)) for n, units in enumerate(bought))
    day = Day(MIDNIGHT.date(), baskets, DayCounts(0, 0, 0, 0), 0, 0)
    plan = plan_trading_day(day, seed=1)
    asked = [(order.lines[0].listing_id, order.lines[0].quantity) for order in plan.orders]
    assert asked == [
        ("agora-egg-x4", 1),
        ("agora-egg-x4", 1),
        ("agora-egg", 2),
        ("agora-egg", 1),
        ("agora-egg", 7),
        ("agora-egg-x4", 2),
    ]
