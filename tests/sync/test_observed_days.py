"""What a day of observing amounts to, from plain histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from channelsync.sync.observed_days import Oversell, Placed, Push, Span, oversells, pushes, together

DAY = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(minutes=1)


def at(minute: float) -> datetime:
    return DAY + timedelta(minutes=minute)


def spans(*changes: tuple[float, int, int], end: float = 600) -> list[Span[int, int]]:
    """From each minute on: (what should be shown or is available, what is shown)."""
    ends = [minute for minute, _, _ in changes[1:]] + [end]
    return [Span(at(since), at(until), a, b) for (since, a, b), until in zip(changes, ends, strict=True)]


def test_two_histories_are_told_together_from_when_both_are_known() -> None:
    one = [(at(-60), 5), (at(10), 4)]
    other = [(at(3), 9), (at(10), 8), (at(20), 7)]

    assert list(together(one, other, at(30))) == [
        Span(at(3), at(10), 5, 9),
        Span(at(10), at(20), 4, 8),
        Span(at(20), at(30), 4, 7),
    ]


def test_without_a_history_there_is_nothing_to_tell() -> None:
    assert list(together([], [(at(0), 1)], at(30))) == []
    assert list(together([(at(40), 1)], [(at(0), 1)], at(30))) == []


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), min_size=1, max_size=8),
)
def test_the_spans_of_two_histories_follow_one_another_and_say_what_held(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    first, second = ([(at(minute), value) for minute, value in sorted(each)] for each in (one, other))
    found = list(together(first, second, at(60)))

    assert [span.since for span in found[1:]] == [span.until for span in found[:-1]]
    assert found[0].since == max(first[0][0], second[0][0])
    assert found[-1].until == at(60)
    for span in found:
        assert span.one == [value for moment, value in first if moment <= span.since][-1]
        assert span.other == [value for moment, value in second if moment <= span.since][-1]


def test_a_push_would_leave_when_the_two_begin_to_differ() -> None:
    found = list(pushes(spans((0, 5, 5), (10, 4, 5), (20, 4, 4)), DAY, TICK))
    assert found == [Push(at(10), shown=5, should=4)]


def test_numbers_that_go_on_differing_are_pushed_again_when_they_change() -> None:
    found = list(pushes(spans((0, 5, 5), (10, 4, 5), (20, 3, 5)), DAY, TICK))
    assert [(push.at, push.should) for push in found] == [(at(10), 4), (at(20), 3)]


def test_changes_within_a_tick_are_one_push_of_the_last_number() -> None:
    found = list(pushes(spans((0, 5, 5), (10, 4, 5), (10.3, 3, 5), (10.6, 2, 5)), DAY, TICK))
    assert [push.should for push in found] == [2]


def test_a_difference_from_the_day_before_is_not_counted_again() -> None:
    assert list(pushes(spans((-30, 4, 5), (10, 4, 4)), DAY, TICK)) == []


def test_an_oversell_is_a_time_longer_than_a_tick_in_which_what_is_shown_is_not_there() -> None:
    found = list(oversells(spans((0, 1, 3), (10, 0, 3), (20, -1, 2), (30, -1, 0)), (), TICK))
    assert found == [Oversell(at(10), at(30), 3, ())]


def test_a_channel_that_shows_0_within_a_tick_oversells_nothing() -> None:
    assert list(oversells(spans((0, 0, 3), (1, 0, 0), (5, 2, 2)), (), TICK)) == []


def test_two_times_apart_are_two_oversells() -> None:
    found = list(oversells(spans((0, 0, 3), (10, 2, 3), (20, 0, 1)), (), TICK))
    assert [(one.since, one.until) for one in found] == [(at(0), at(10)), (at(20), at(600))]


def test_orders_within_the_first_tick_would_have_been_taken_by_a_live_channel_too() -> None:
    placed = [Placed("early", at(10.5), 1), Placed("late", at(12), 2), Placed("after", at(31), 1)]
    (found,) = oversells(spans((0, 1, 3), (10, 0, 3), (30, 0, 0)), placed, TICK)
    assert [one.order for one in found.taken] == ["late"]
