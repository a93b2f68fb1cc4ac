"""Rises: which effects explain them, and when nothing can any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given

from channelsync.domain.effects import Effect
from channelsync.domain.rises import Rise, explain_rises, is_judged

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMIT = timedelta(minutes=5)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def back(units: int, at: float, until: float | None = None) -> Effect:
    """An order that gave units back, or took them where negative."""
    latest = second(at if until is None else until)
    return Effect(id=f"{units}@{at}", key=1, delta=units, earliest=second(at), latest=latest)


def rose(units: int, since: float, until: float) -> Rise:
    return Rise(units, second(since), second(until))


def left(rises: list[Rise], *effects: Effect) -> tuple[list[int], set[str]]:
    rest, used = explain_rises(rises, effects)
    return [rise.units for rise in rest], set(used)


def test_what_came_back_within_the_window_of_a_rise_explains_it() -> None:
    rise = rose(5, 0, 100)
    assert left([rise], back(2, 60), back(-1, 60)) == ([3], {"2@60"})
    assert left([rise], back(2, 101), back(2, -1)) == ([5], set())
    assert left([rise], back(2, -10, 0), back(2, 100, 110), back(9, 50)) == ([0], {"2@-10", "9@50"})
    assert left([]) == ([], set())


def test_each_unit_given_back_explains_one_and_the_oldest_rise_first() -> None:
    rises = [rose(2, 0, 100), rose(3, 50, 200), rose(1, 150, 300)]
    assert left(rises, back(4, 70)) == ([0, 1, 1], {"4@70"})
    assert left(rises, back(1, 160), back(1, 160.5)) == ([2, 1, 1], {"1@160", "1@160.5"})
    assert left(rises, back(2, 40), back(2, 170)) == ([0, 1, 1], {"2@40", "2@170"})
    assert left(rises, back(1, 250)) == ([2, 3, 0], {"1@250"})


def test_a_rise_is_judged_once_all_that_could_explain_it_must_have_been_listed() -> None:
    rise = rose(1, 0, 100)
    assert not is_judged(rise, None, LIMIT, ())
    assert not is_judged(rise, second(399), LIMIT, ())
    assert is_judged(rise, second(400), LIMIT, ())


def test_a_rise_is_not_judged_while_an_effect_may_still_turn_out_to_explain_it() -> None:
    rise = rose(1, 0, 100)
    assert not is_judged(rise, second(999), LIMIT, [back(1, 90, 200)])
    assert is_judged(rise, second(999), LIMIT, [back(-1, 90, 200)])
    assert is_judged(rise, second(999), LIMIT, [back(1, 101, 200)])


SPANS = st.tuples(st.integers(1, 5), st.integers(0, 50), st.integers(0, 20)).map(lambda t: (t[0], t[1], t[1] + t[2]))


@given(rises=st.lists(SPANS, max_size=5), effects=st.lists(SPANS, max_size=5))
def test_no_more_is_explained_than_came_back_nor_than_rose(
    rises: list[tuple[int, int, int]], effects: list[tuple[int, int, int]]
) -> None:
    known = [rose(*one) for one in rises]
    gave = [
        Effect(id=str(n), key=1, delta=u, earliest=second(a), latest=second(b)) for n, (u, a, b) in enumerate(effects)
    ]
    rest, used = explain_rises(known, gave)
    assert all(0 <= after.units <= before.units for before, after in zip(known, rest, strict=True))
    explained = sum(before.units - after.units for before, after in zip(known, rest, strict=True))
    assert len(used) <= explained <= sum(effect.delta for effect in gave if effect.id in used)
    assert [(one.window_from, one.window_to) for one in rest] == [(one.window_from, one.window_to) for one in known]
