import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.demand import (
    EXACT_UP_TO,
    MOST_DISPERSION,
    Demand,
    DemandRate,
    Sale,
    estimate,
    together,
)

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)

means = st.floats(0, 300).map(lambda mean: round(mean, 3))
dispersions = st.one_of(st.just(1.0), st.floats(1, 30).map(lambda dispersion: round(dispersion, 3)))
chances = st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999, 0.99999])


def exact_poisson_tail(mean: Fraction, units: int, terms: int = 200) -> Fraction:
    """P(more than units), from the series itself in exact arithmetic; e^-mean as a series as well."""
    term, below, total = Fraction(1), Fraction(0), Fraction(0)
    for count in range(terms):
        total += term
        below += term if count <= units else 0
        term = term * mean / (count + 1)
    return 1 - below / total


def exact_negative_binomial(mean: float, dispersion: float, units: int) -> float:
    """By the textbook: successes needed r = mean / (dispersion - 1), chance of success 1 / dispersion."""
    r = mean / (dispersion - 1)
    log = math.lgamma(units + r) - math.lgamma(r) - math.lgamma(units + 1)
    return math.exp(log - r * math.log(dispersion) + units * math.log(1 - 1 / dispersion))


def above(demand: Demand, units: int) -> float:
    """The probability that more than so many units are asked for."""
    first, weights = demand.distribution()
    return math.fsum(weights[max(0, units + 1 - first) :])


@pytest.mark.parametrize(
    ("mean", "p", "units"),
    [
        (0.0, 0.999, 0),
        (0.0005, 0.999, 0),
        (0.01, 0.99, 0),
        (0.0102, 0.99, 1),
        (0.1, 0.999, 2),
        (1.0, 0.5, 1),
        (1.0, 0.95, 3),
        (1.0, 0.999, 5),
        (2.0, 0.95, 5),
        (5.0, 0.95, 9),
        (5.0, 0.01, 1),
        (10.0, 0.95, 15),
        (10.0, 0.999, 21),
    ],
)
def test_poisson_quantiles_are_those_of_the_tables(mean: float, p: float, units: int) -> None:
    assert Demand(mean).upper(p) == units


@pytest.mark.parametrize("mean", [Fraction(1, 8), Fraction(1), Fraction(7, 2), Fraction(20)])
@pytest.mark.parametrize("units", [0, 1, 3, 9, 30])
def test_poisson_tails_are_precise_even_where_they_are_tiny(mean: Fraction, units: int) -> None:
    assert above(Demand(float(mean)), units) == pytest.approx(
        float(exact_poisson_tail(mean, units)), rel=1e-9, abs=1e-15
    )


@pytest.mark.parametrize(("mean", "dispersion"), [(0.2, 1.5), (3.0, 4.0), (40.0, 2.5), (0.5, 30.0)])
def test_over_dispersed_demand_is_negative_binomial(mean: float, dispersion: float) -> None:
    first, weights = Demand(mean, dispersion).distribution()
    assert first == 0
    for units in (0, 1, 2, 7, 20):
        assert weights[units] == pytest.approx(exact_negative_binomial(mean, dispersion, units), rel=1e-9)


@given(means, dispersions)
def test_the_distribution_has_the_mean_and_the_dispersion_that_it_was_given(mean: float, dispersion: float) -> None:
    first, weights = Demand(mean, dispersion).distribution()
    assert math.fsum(weights) == pytest.approx(1)
    found = math.fsum(weight * units for units, weight in enumerate(weights, first))
    assert found == pytest.approx(mean, abs=1e-9)
    variance = math.fsum(weight * (units - found) ** 2 for units, weight in enumerate(weights, first))
    assert variance == pytest.approx(mean * dispersion, rel=1e-6, abs=1e-9)


@given(means, dispersions, chances)
def test_a_quantile_is_the_smallest_number_rarely_exceeded(mean: float, dispersion: float, p: float) -> None:
    demand = Demand(mean, dispersion)
    units = demand.upper(p)
    assert above(demand, units) <= 1 - p + 1e-12
    assert above(demand, units - 1) > 1 - p - 1e-12


@given(means, st.floats(0, 50), dispersions, chances)
def test_more_demand_never_has_a_smaller_quantile(mean: float, more: float, dispersion: float, p: float) -> None:
    assert Demand(mean + more, dispersion).upper(p) >= Demand(mean, dispersion).upper(p)


@given(means, st.floats(1, 20), chances.filter(lambda p: p >= 0.999))
def test_dispersion_raises_high_quantiles(mean: float, dispersion: float, p: float) -> None:
    if mean > 1:
        assert Demand(mean, dispersion + 1).upper(p) >= Demand(mean, dispersion).upper(p)


@pytest.mark.parametrize("dispersion", [1.0, 1.0000001, 5.0, 100.0])
@pytest.mark.parametrize("p", [0.001, 0.5, 0.99, 0.999])
def test_the_approximation_takes_over_where_the_exact_sum_ends(dispersion: float, p: float) -> None:
    exact = Demand(EXACT_UP_TO, dispersion).upper(p)
    assert Demand(EXACT_UP_TO * 1.0000001, dispersion).upper(p) == pytest.approx(exact, abs=1 + dispersion / 50)
    deviation = math.sqrt(EXACT_UP_TO * dispersion)
    assert exact == pytest.approx(EXACT_UP_TO + deviation * NormalDist().inv_cdf(p), abs=2 + dispersion * 3)


@pytest.mark.parametrize(
    ("mean", "dispersion"), [(-1, 1), (math.nan, 1), (math.inf, 1), (1, 0.99), (1, 1001), (1, math.nan)]
)
def test_what_no_demand_can_be_is_refused(mean: float, dispersion: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Demand(mean, dispersion)
    with pytest.raises(ValueError, match="must be"):
        DemandRate(mean, dispersion)


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.1])
def test_a_quantile_of_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Demand(1).upper(p)


def test_other_senseless_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="too large for single probabilities"):
        Demand(EXACT_UP_TO + 1).distribution()
    with pytest.raises(ValueError, match="largest usual line must be 1"):
        DemandRate(1, largest_usual_line=0)
    with pytest.raises(ValueError, match="span of demand cannot be negative"):
        DemandRate(0).within(-HOUR)
    with pytest.raises(ValueError, match="a sale has 1 unit or more, not 0"):
        Sale(NOW, 0)
    with pytest.raises(ValueError, match="needs a time with its zone"):
        Sale(NOW.replace(tzinfo=None))


def test_a_rate_over_a_span_is_a_demand() -> None:
    assert DemandRate(6.0, 2.0, 5).within(timedelta(minutes=10)) == Demand(1.0, 2.0)
    assert DemandRate(6.0) == DemandRate(6.0, dispersion=1.0, largest_usual_line=1)


def test_demands_add_up_by_mean_and_variance() -> None:
    assert together([Demand(2, 1), Demand(6, 5)]) == Demand(8, 4)
    assert together([Demand(0, 9)]) == together([]) == Demand(0)


def sales_every(gap: timedelta, count: int, units: int = 1) -> list[Sale]:
    return [Sale(NOW - gap * (place + 0.5), units) for place in range(count)]


def test_a_steady_rate_is_found_whatever_the_half_life() -> None:
    for half_life in (timedelta(hours=6), WEEK, timedelta(days=4000)):
        rate = estimate(sales_every(HOUR / 4, 7 * 24 * 4), since=NOW - WEEK, now=NOW, half_life=half_life)
        assert rate.per_hour == pytest.approx(4, rel=1e-2)
        assert rate.dispersion == pytest.approx(1, abs=1e-9)
        assert rate.largest_usual_line == 1


def test_one_half_life_ago_counts_half() -> None:
    since = NOW - timedelta(days=10_000)
    old = estimate([Sale(NOW - WEEK)], since=since, now=NOW, half_life=WEEK)
    new = estimate([Sale(NOW)], since=since, now=NOW, half_life=WEEK)
    assert new.per_hour == pytest.approx(2 * old.per_hour)
    assert new.per_hour == pytest.approx(math.log(2) / (7 * 24))


def test_sales_before_watching_began_do_not_count_and_those_of_a_fast_clock_do() -> None:
    since = NOW - WEEK
    early = estimate([Sale(since - HOUR)], since=since, now=NOW, half_life=WEEK)
    assert early == DemandRate(0)
    ahead = estimate([Sale(NOW + HOUR)], since=since, now=NOW, half_life=WEEK)
    assert ahead == estimate([Sale(NOW)], since=since, now=NOW, half_life=WEEK)


def test_what_is_long_forgotten_breaks_nothing() -> None:
    since = NOW - timedelta(days=3000)
    assert estimate([Sale(since)], since=since, now=NOW, half_life=timedelta(hours=1)).per_hour == 0


def test_lines_of_many_units_raise_dispersion_and_the_usual_line() -> None:
    rate = estimate(sales_every(HOUR, 48, units=6), since=NOW - 2 * 24 * HOUR, now=NOW, half_life=WEEK)
    assert rate.per_hour == pytest.approx(6, rel=1e-2)
    assert rate.dispersion == pytest.approx(6)
    assert rate.largest_usual_line == 6


def test_rushes_raise_dispersion() -> None:
    rush = [Sale(NOW - (24 * day + 3.5) * HOUR) for day in range(14) for _ in range(24)]
    rate = estimate(rush, since=NOW - 2 * WEEK, now=NOW, half_life=timedelta(days=4000))
    assert rate.per_hour == pytest.approx(1, rel=1e-2)
    # One hour of 24 with 24 units, the others with none: mean 1, variance 23.
    assert rate.dispersion == pytest.approx(23, rel=0.01)


@pytest.mark.parametrize("half_life_hours", [24.0, 60.0, 1000.0])
def test_dispersion_over_hours_is_the_weighted_variance_by_the_mean(half_life_hours: float) -> None:
    units_in = {2: 9, 3: 30, 29: 8, 40: 25, 70: 12}
    sales = [Sale(NOW - (hour + 0.5) * HOUR, 1) for hour, units in units_in.items() for _ in range(units)]
    rate = estimate(sales, since=NOW - 100.5 * HOUR, now=NOW, half_life=half_life_hours * HOUR)
    weights = [2 ** (-hour / half_life_hours) for hour in range(100)]
    counts = [units_in.get(hour, 0) for hour in range(100)]
    total = sum(weights)
    mean = sum(weight * count for weight, count in zip(weights, counts, strict=True)) / total
    scatter = sum(weight * (count - mean) ** 2 for weight, count in zip(weights, counts, strict=True))
    unbiased = scatter / (total - sum(weight * weight for weight in weights) / total)
    assert rate.dispersion == pytest.approx(unbiased / mean)


def test_the_hour_that_was_only_partly_watched_does_not_count_as_a_rush() -> None:
    sales = [Sale(NOW - 30.25 * HOUR)] * 24
    assert estimate(sales, since=NOW - 30.5 * HOUR, now=NOW, half_life=WEEK).dispersion == 1


def test_a_short_watch_knows_no_rushes() -> None:
    rush = [Sale(NOW - 3.5 * HOUR)] * 24
    assert estimate(rush, since=NOW - 20 * HOUR, now=NOW, half_life=WEEK).dispersion == 1
    assert estimate(rush, since=NOW - 30 * HOUR, now=NOW, half_life=WEEK).dispersion > 20
    # Many hours, but all weight on a few of them.
    assert estimate(rush, since=NOW - WEEK, now=NOW, half_life=3 * HOUR).dispersion == 1


def test_dispersion_is_cut() -> None:
    rate = estimate([Sale(NOW - HOUR, 10**6)], since=NOW - WEEK, now=NOW, half_life=WEEK)
    assert rate.dispersion == MOST_DISPERSION
    assert rate.largest_usual_line == 10**6


@pytest.mark.parametrize(("large", "usual"), [(1, 2), (2, 2), (3, 50)])
def test_one_order_in_a_hundred_does_not_make_a_usual_line(large: int, usual: int) -> None:
    lines = [Sale(NOW, 2)] * (200 - large) + [Sale(NOW, 50)] * large
    assert estimate(lines, since=NOW - WEEK, now=NOW, half_life=WEEK).largest_usual_line == usual


def test_a_new_item_sells_like_others_until_it_is_known() -> None:
    others = DemandRate(2.0, 3.0, 4)
    assert estimate([], since=NOW, now=NOW, half_life=WEEK, prior=others) == others
    assert estimate([], since=NOW, now=NOW, half_life=WEEK) == DemandRate(0)
    after_a_day = estimate([], since=NOW - 24 * HOUR, now=NOW, half_life=timedelta(days=4000), prior=others)
    assert after_a_day.per_hour == pytest.approx(1, rel=1e-3)
    sold = estimate([Sale(NOW, 1)], since=NOW, now=NOW, half_life=WEEK, prior=others)
    assert (sold.dispersion, sold.largest_usual_line) == (1.0, 1)
    assert sold.per_hour == pytest.approx(49 / 24)


@pytest.mark.parametrize(("since", "half_life"), [(NOW + HOUR, WEEK), (NOW - WEEK, HOUR - timedelta(seconds=1))])
def test_an_impossible_watch_is_refused(since: datetime, half_life: timedelta) -> None:
    with pytest.raises(ValueError, match="cannot estimate from"):
        estimate([], since=since, now=NOW, half_life=half_life)


@given(
    st.lists(st.tuples(st.integers(-100, 60_000), st.integers(1, 1000)), max_size=30),
    st.integers(0, 50_000),
    st.integers(60, 10**7),
)
def test_any_history_gives_a_rate(history: list[tuple[int, int]], watched: int, half_life: int) -> None:
    minute = timedelta(minutes=1)
    sales = [Sale(NOW - ago * minute, units) for ago, units in history]
    rate = estimate(sales, since=NOW - watched * minute, now=NOW, half_life=half_life * minute)
    assert rate.per_hour >= 0
    assert estimate(sales[::-1], since=NOW - watched * minute, now=NOW, half_life=half_life * minute) == rate
