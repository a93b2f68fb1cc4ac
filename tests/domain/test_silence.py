"""Topics that have fallen silent: told from their own habit, and only while the channel sells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.silence import ARRIVALS_MIN, ORDERS_MIN, SHORTEST, TIMES_LONGEST, silence_of

START = datetime(2026, 3, 1, tzinfo=UTC)


def came(hours: float, times: int = 24) -> list[datetime]:
    """Deliveries at even distances."""
    return [START + timedelta(hours=hours * number) for number in range(times)]


@pytest.mark.parametrize(
    ("hours", "silent_hours", "orders", "expected"),
    [
        (1, 2, 10, False),
        (1, 3, 10, False),
        (1, 3.1, 10, True),
        (1, 30, ORDERS_MIN - 1, False),
        (1, 30, ORDERS_MIN, True),
        (24, 70, 50, False),
        (24, 73, 50, True),
        (0.01, 0.9, 50, False),
        (0.01, 1.1, 50, True),
    ],
)
def test_a_silence_is_told_when_it_is_long_for_this_topic_and_orders_come_all_the_same(
    hours: float, silent_hours: float, orders: int, expected: bool
) -> None:
    arrivals = came(hours)
    found = silence_of(arrivals, orders, arrivals[-1] + timedelta(hours=silent_hours))
    assert (found is not None) == expected
    if found is not None:
        assert (found.since, found.usual, found.orders) == (arrivals[-1], timedelta(hours=hours), orders)


def test_a_topic_of_which_hardly_anything_came_tells_nothing() -> None:
    assert silence_of([], 99, START) is None
    few = came(1, ARRIVALS_MIN - 1)
    assert silence_of(few, 99, few[-1] + timedelta(days=30)) is None


def test_nights_are_no_silence_when_nights_are_usual() -> None:
    days = [START + timedelta(days=day, hours=hour) for day in range(5) for hour in range(9, 18)]
    assert silence_of(days, 5, days[-1] + timedelta(hours=40)) is None
    assert silence_of(days, 5, days[-1] + timedelta(hours=49)) is not None


MINUTES = st.lists(st.integers(0, 10_000), min_size=1, max_size=50)


@given(MINUTES, st.integers(0, 20), st.integers(0, 50_000))
def test_a_silence_never_is_shorter_than_the_longest_that_was_no_fault(
    minutes: list[int], orders: int, later: int
) -> None:
    arrivals = sorted(START + timedelta(minutes=one) for one in minutes)
    now = arrivals[-1] + timedelta(minutes=later)
    found = silence_of(arrivals, orders, now)
    if found is not None:
        assert now - found.since > max(SHORTEST, TIMES_LONGEST * found.usual)
        assert silence_of(arrivals, orders, now + timedelta(hours=1)) is not None, "and it does not end by itself"
