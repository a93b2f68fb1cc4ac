"""How soon a channel is asked for orders again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from channelsync.sdk.budgets import BucketState, Budget
from channelsync.sync.poll_pace import OF_THE_BUDGET, Pace, affordable_pause, pause_for

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIDNIGHT = NOON + timedelta(hours=12)
MINUTE = timedelta(minutes=1)
spans = st.timedeltas(timedelta(), timedelta(days=30))
pauses = st.timedeltas(timedelta(seconds=1), timedelta(hours=1))


def bucket(per_second: float, used: float = 0.0) -> BucketState:
    return BucketState(1.0, NOON, per_second, used, MIDNIGHT, None)


@given(busy=pauses, quiet=pauses, since=spans, affordable=spans)
def test_the_pause_stays_within_its_bounds(
    busy: timedelta, quiet: timedelta, since: timedelta, affordable: timedelta
) -> None:
    assert busy <= pause_for(Pace(busy, quiet), since, affordable) <= max(busy, quiet)


@given(busy=pauses, quiet=pauses, one=spans, other=spans, affordable=spans)
def test_a_longer_quiet_and_a_dearer_poll_never_shorten_it(
    busy: timedelta, quiet: timedelta, one: timedelta, other: timedelta, affordable: timedelta
) -> None:
    pace, less, more = Pace(busy, quiet), min(one, other), max(one, other)
    assert pause_for(pace, less, affordable) <= pause_for(pace, more, affordable)
    assert pause_for(pace, affordable, less) <= pause_for(pace, affordable, more)


def test_it_is_asked_often_after_an_order_and_less_often_the_longer_ago_that_is() -> None:
    pace = Pace(MINUTE, 5 * MINUTE)
    told = [pause_for(pace, timedelta(minutes=ago), timedelta()) for ago in (0, 10, 20, 50, 500)]
    assert told == [MINUTE, MINUTE, 2 * MINUTE, 5 * MINUTE, 5 * MINUTE]


@given(since=spans, affordable=spans)
def test_without_a_longer_quiet_pause_it_is_always_the_busy_one(since: timedelta, affordable: timedelta) -> None:
    assert pause_for(Pace(MINUTE, timedelta()), since, affordable) == MINUTE


def test_one_search_in_three_minutes_is_asked_for_no_faster_than_the_budget_bears() -> None:
    slow = Budget("searchOrders", 20, 1 / 180)
    affordable = affordable_pause(1, slow, bucket(1 / 180), NOON)
    assert affordable == timedelta(seconds=180) / OF_THE_BUDGET
    assert pause_for(Pace(MINUTE, 5 * MINUTE), timedelta(), affordable) == 5 * MINUTE
    assert pause_for(Pace(MINUTE, 30 * MINUTE), timedelta(), affordable) == affordable


def test_what_is_left_of_the_days_quota_bounds_it() -> None:
    daily = Budget("calls", 100, 10, per_day=1_000)
    fresh, short = bucket(10), bucket(10, used=900)
    assert affordable_pause(1, daily, fresh, NOON) == timedelta(hours=12) / (1_000 * OF_THE_BUDGET)
    assert affordable_pause(1, daily, short, NOON) == timedelta(hours=12) / (100 * OF_THE_BUDGET)
    assert affordable_pause(1, daily, bucket(10, used=1_000), NOON) == timedelta(hours=12)


@given(
    cost=st.floats(0, 100),
    per_second=st.floats(0.001, 100),
    per_day=st.none() | st.floats(1, 100_000),
    used=st.floats(0, 200_000),
)
@example(cost=1.2e-07, per_second=1.0, per_day=981.0, used=0.0)
def test_polls_at_the_affordable_pause_leave_the_rest_of_the_budget_to_others(
    cost: float, per_second: float, per_day: float | None, used: float
) -> None:
    budget = Budget("calls", 100, per_second, per_day=per_day)
    pause = affordable_pause(cost, budget, bucket(per_second, used), NOON).total_seconds()
    longest = timedelta(days=2).total_seconds()
    assert 0 <= pause <= longest
    if 0 < pause < longest:
        assert cost / pause <= per_second * OF_THE_BUDGET * 1.01
        if per_day is not None:
            polls = 12 * 3600 / pause
            assert polls <= 1 or polls * cost <= max(0.0, per_day - used) * OF_THE_BUDGET * 1.01
