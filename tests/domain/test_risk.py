from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.demand import Demand, DemandRate
from channelsync.domain.risk import (
    Delays,
    DueKey,
    by_urgency,
    computed_buffer,
    delay_quantile,
    is_hot,
    plausible_drop,
)

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def delays(order_minutes: float, push_minutes: float) -> Delays:
    return Delays(order_minutes * MINUTE, push_minutes * MINUTE)


def test_a_position_is_hot_when_less_is_available_than_its_channels_may_sell_unseen() -> None:
    demand = {"shop": DemandRate(3.0), "till": DemandRate(6.0)}
    visible = {"shop": 10 * MINUTE, "till": 5 * MINUTE}
    # Together one unit is expected; more than 5 are sold once in more than a thousand such spans.
    assert is_hot(4, demand, visible)
    assert not is_hot(5, demand, visible)
    assert not is_hot(3, demand, visible, quantile=0.95)
    assert is_hot(2, demand, visible, quantile=0.95)


@given(st.integers(-2, 400), st.floats(0, 100), st.floats(1, 20), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_the_short_cut_for_plenty_changes_nothing(available: int, mean: float, dispersion: float, p: float) -> None:
    expected = available < Demand(mean, dispersion).upper(p)
    assert is_hot(available, {"shop": DemandRate(mean, dispersion)}, {"shop": HOUR}, p) == expected


def test_each_channel_counts_with_its_own_delay() -> None:
    demand = {"shop": DemandRate(60.0), "till": DemandRate(0.0)}
    assert not is_hot(10, demand, {"shop": MINUTE, "till": HOUR})
    assert is_hot(10, demand, {"shop": HOUR, "till": MINUTE})


def test_what_nobody_buys_is_hot_only_when_oversold() -> None:
    assert not is_hot(0, {"shop": DemandRate(0.0)}, {"shop": HOUR})
    assert not is_hot(0, {}, {})
    assert is_hot(-1, {}, {})


def test_dispersed_demand_makes_a_position_hot_earlier() -> None:
    assert not is_hot(8, {"shop": DemandRate(1.0)}, {"shop": HOUR})
    assert is_hot(8, {"shop": DemandRate(1.0, 5.0)}, {"shop": HOUR})


def test_a_channel_without_a_delay_is_named() -> None:
    with pytest.raises(ValueError, match="till: no delay is known"):
        is_hot(1, {"till": DemandRate(1.0)}, {"shop": HOUR})
    with pytest.raises(ValueError, match="till: no delay is known"):
        computed_buffer("shop", {"till": DemandRate(1.0)}, {"shop": delays(1, 1)}, 0.01)
    with pytest.raises(ValueError, match="shop: no delay is known"):
        computed_buffer("shop", {"till": DemandRate(1.0)}, {"till": delays(1, 1)}, 0.01)


@pytest.mark.parametrize(
    ("rate", "since", "units"),
    [
        (DemandRate(0.0), HOUR, 1),
        (DemandRate(0.0, largest_usual_line=4), HOUR, 4),
        (DemandRate(1.0), HOUR, 5),
        (DemandRate(1.0, largest_usual_line=9), HOUR, 9),
        (DemandRate(60.0), 10 * MINUTE, 21),
        (DemandRate(60.0), timedelta(0), 1),
    ],
)
def test_a_plausible_drop_is_what_was_probably_sold_and_at_least_a_usual_line(
    rate: DemandRate, since: timedelta, units: int
) -> None:
    assert plausible_drop(rate, since) == units


def test_a_plausible_drop_follows_its_quantile() -> None:
    assert plausible_drop(DemandRate(1.0), HOUR, quantile=0.95) == 3


DELAYS = {"shop": delays(1, 2), "till": delays(10, 30), "market": delays(18, 300)}


def test_a_computed_buffer_is_what_the_others_sell_before_this_channel_shows_it() -> None:
    demand = {"shop": DemandRate(1000.0), "till": DemandRate(2.5), "market": DemandRate(1.5)}
    # till: 10 + 2 minutes at 2.5 an hour = 0.5 units; market: 18 + 2 minutes at 1.5 an hour = 0.5 units.
    assert computed_buffer("shop", demand, DELAYS, 0.05) == Demand(1.0).upper(0.95) == 3
    assert computed_buffer("shop", demand, DELAYS, 0.001) == 5
    assert computed_buffer("shop", demand, DELAYS, 0.001, at_most=4) == 4
    assert computed_buffer("shop", demand, DELAYS, 0.001, at_most=6) == 5


def test_a_channel_that_sells_alone_needs_no_buffer() -> None:
    assert computed_buffer("shop", {"shop": DemandRate(1000.0)}, DELAYS, 0.001) == 0


@given(st.floats(0, 50), st.floats(1, 9), st.floats(1e-6, 0.5), st.floats(0, 600), st.floats(0, 600))
def test_more_demand_delay_or_care_never_needs_a_smaller_buffer(
    per_hour: float, dispersion: float, p: float, order: float, push: float
) -> None:
    demand = {"till": DemandRate(per_hour, dispersion)}
    known = {"shop": delays(0, push), "till": delays(order, 999)}
    units = computed_buffer("shop", demand, known, p)
    assert computed_buffer("shop", {"till": DemandRate(per_hour * 2, dispersion)}, known, p) >= units
    assert computed_buffer("shop", demand, {**known, "shop": delays(0, push * 2)}, p) >= units
    assert computed_buffer("shop", demand, {**known, "till": delays(order * 2, 999)}, p) >= units
    assert computed_buffer("shop", demand, known, p / 2) >= units


def due(key: str, shown: int | None, target: int, *, hot: bool = False, minutes_ago: int = 0) -> DueKey:
    return DueKey(key, shown, target, hot, NOW - minutes_ago * MINUTE)


def test_zeroes_go_first_then_lowerings_then_raises_each_the_hot_ones_first_and_then_the_oldest() -> None:
    in_order = [
        due("zero, hot", 5, 0, hot=True),
        due("zero", 5, 0, minutes_ago=9),
        due("lowering, hot", 5, 4, hot=True, minutes_ago=1),
        due("unknown, hot", None, 9, hot=True),
        due("lowering, older", 9, 1, minutes_ago=9),
        due("lowering", 9, 1),
        due("raise, hot", 1, 9, hot=True),
        due("raise, old", 1, 9, minutes_ago=9),
        due("raise, a", 1, 9),
        due("raise, b", 1, 9),
        due("the same", 9, 9),
    ]
    assert by_urgency(in_order[::-1]) == in_order


@given(st.permutations([due("a", 1, 0), due("b", 1, 0), due("c", 3, 1, hot=True), due("d", None, 1), due("e", 0, 3)]))
def test_the_order_of_due_keys_does_not_depend_on_how_they_came(keys: list[DueKey]) -> None:
    assert [each.key for each in by_urgency(keys)] == ["a", "b", "c", "d", "e"]


def test_a_delay_is_declared_until_a_thousand_orders_were_measured() -> None:
    samples = [timedelta(seconds=second) for second in range(1, 1000)]
    assert delay_quantile(samples, 0.999, HOUR) == HOUR
    assert delay_quantile([*samples, timedelta(seconds=1000)], 0.999, HOUR) == timedelta(seconds=999)


@pytest.mark.parametrize(
    ("p", "second"), [(0.5, 500), (0.5001, 501), (0.999, 999), (0.9991, 1000), (1.0, 1000), (1e-6, 1)]
)
def test_a_measured_delay_is_one_that_a_share_p_of_orders_keeps(p: float, second: int) -> None:
    samples = [timedelta(seconds=1000 - place) for place in range(1000)]
    assert delay_quantile(samples, p, HOUR) == timedelta(seconds=second)


def test_few_samples_count_when_few_are_asked_for() -> None:
    assert delay_quantile([MINUTE], 0.999, HOUR, enough=1) == MINUTE
    assert delay_quantile([], 0.999, HOUR, enough=1) == HOUR


@pytest.mark.parametrize("p", [0, -1, 1.01])
def test_a_quantile_of_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        delay_quantile([], p, HOUR)
