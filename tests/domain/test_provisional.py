"""Provisional reservations: opened for a drop, taken over by orders, released by coverage, closed by a rise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.effects import Effect
from channelsync.domain.provisional import (
    HoldsMoved,
    Provisional,
    Release,
    TakeOver,
    close_for_rise,
    end_holds,
    end_named_since,
    explained_late,
    holds_moved,
    open_for_drop,
    take_over,
    to_release,
    unsure,
)
from channelsync.domain.rises import Rise
from channelsync.domain.sourcing import Pick
from channelsync.domain.watermark import Read, Timing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MUG = (("mug", 2),)
TIMING = Timing(staleness=timedelta(seconds=60), skew=timedelta(seconds=5))
LIMIT = timedelta(minutes=5)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def row(name: str, begin: float, end: float, units: int = 1, plausible: int = 9, key: int = 1) -> Provisional:
    return Provisional(
        id=name,
        key=key,
        units=units,
        open=units,
        plausible=plausible,
        window_from=second(begin),
        window_to=second(end),
        found_at=second(end),
        location="here",
        takes=MUG,
    )


def sold(units: int, at: float, until: float | None = None, key: int = 1, name: str = "") -> Effect:
    latest = second(at if until is None else until)
    return Effect(id=name or f"{units}@{at}", key=key, delta=-units, earliest=second(at), latest=latest)


def rose(units: int, until: float = 9_999) -> Rise:
    return Rise(units, second(0), second(until))


def test_a_drop_is_held_where_it_would_ship_from_with_the_widened_window_of_the_two_reads() -> None:
    before, read = Read(9, second(0), second(1)), Read(4, second(300), second(302))
    picks = (Pick("here", MUG, 3), Pick("there", MUG, 2))
    rows = open_for_drop(7, picks, 4, before, read, TIMING, second(303))
    assert [(r.location, r.units, r.open, r.plausible, r.excess) for r in rows] == [
        ("here", 3, 3, 3, 0),
        ("there", 2, 2, 1, 1),
    ]
    for one in rows:
        assert (one.key, one.takes, one.found_at) == (7, MUG, second(303))
        assert (one.window_from, one.window_to) == (second(-65), second(307))


def test_understanding_a_read_twice_opens_the_same_rows_and_another_read_others() -> None:
    before, read = Read(9, second(0), second(1)), Read(4, second(300), second(302))
    picks = (Pick("here", MUG, 3), Pick("there", MUG, 2))
    names = [r.id for r in open_for_drop(7, picks, 4, before, read, TIMING, second(303))]
    assert len(set(names)) == 2
    assert [r.id for r in open_for_drop(7, picks, 4, before, read, TIMING, second(400))] == names
    later = replace(read, asked=second(301))
    for other in (
        open_for_drop(8, picks, 4, before, read, TIMING, second(303)),
        open_for_drop(7, picks, 4, before, later, TIMING, second(303)),
    ):
        assert {r.id for r in other}.isdisjoint(names)


def test_the_oldest_row_that_covers_the_sale_is_taken_over() -> None:
    rows = [row("new", 50, 200), row("old", 0, 100), row("other key", 0, 100, key=2)]
    assert take_over([sold(1, 60)], rows) == (TakeOver("old", "1@60", 1),)
    assert take_over([sold(1, 150)], rows) == (TakeOver("new", "1@150", 1),)
    assert take_over([sold(1, 201)], rows) == ()
    assert take_over([sold(1, 60, key=3)], rows) == ()


@pytest.mark.parametrize(
    ("begin", "end", "taken"), [(0, 100, True), (-1, 100, False), (0, 101, False), (-50, 150, False)]
)
def test_a_sale_of_unknown_time_takes_over_only_what_surely_holds_it(begin: float, end: float, taken: bool) -> None:
    assert bool(take_over([sold(1, begin, end)], [row("one", 0, 100)])) == taken


def test_an_order_may_take_over_part_of_a_row_or_more_than_one() -> None:
    rows = [row("a", 0, 100, units=3), row("b", 0, 200, units=3)]
    effects = [sold(4, 60, name="big"), sold(1, 50, name="early"), sold(9, 70, name="late")]
    assert take_over(effects, rows) == (
        TakeOver("a", "early", 1),
        TakeOver("a", "big", 2),
        TakeOver("b", "big", 2),
        TakeOver("b", "late", 1),
    )


def test_what_the_channel_put_back_takes_over_nothing() -> None:
    assert take_over([sold(-2, 60)], [row("a", 0, 100)]) == ()


def test_an_order_first_seen_as_cancelled_closes_what_it_would_have_consumed() -> None:
    sale, back = sold(1, 60, name="sale"), sold(-1, 101, name="back")
    assert take_over([sale, back], [row("a", 0, 100)]) == (TakeOver("a", "sale", 1),)
    assert take_over([sale, back], [row("a", 0, 100), row("b", 90, 200)]) == (TakeOver("a", "sale", 1),)


def test_an_order_that_was_cancelled_before_the_drop_was_read_leaves_what_is_held_for_another() -> None:
    sale, back = replace(sold(3, 60, name="sale"), order="A"), replace(sold(-2, 80, name="back"), order="A")
    assert take_over([sale, back], [row("a", 0, 100, units=3)]) == (TakeOver("a", "sale", 1),)
    other = replace(sold(2, 70, name="other"), order="B")
    assert take_over([sale, back, other], [row("a", 0, 100, units=3)]) == (
        TakeOver("a", "sale", 1),
        TakeOver("a", "other", 2),
    )


def test_an_edit_up_of_unknown_time_explains_late_what_no_other_order_did() -> None:
    rows = [row("a", 0, 100), row("b", 150, 250), row("named", 0, 100), row("other key", 0, 100, key=2)]
    rows[2] = replace(rows[2], named=True)
    ending = [Release(one.id, one.open, "nothing") for one in rows]
    assert explained_late(ending, rows, [sold(2, -500, 150)]) == (
        TakeOver("a", "2@-500", 1),
        TakeOver("b", "2@-500", 1),
    )
    assert explained_late(ending, rows, [sold(1, -500, 150)]) == (TakeOver("a", "1@-500", 1),)
    assert explained_late(ending[1:], rows, [sold(1, -500, 150)]) == (TakeOver("b", "1@-500", 1),)
    assert explained_late(ending, rows, [sold(1, -500, -1), sold(1, 251, 900)]) == ()


def test_what_an_order_gave_back_meanwhile_explains_nothing_late() -> None:
    rows = [row("a", 0, 100, units=3)]
    sale, back = replace(sold(3, -50, 50, name="sale"), order="A"), replace(sold(-2, 60, name="back"), order="A")
    ending = [Release("a", 3, "nothing")]
    assert explained_late(ending, rows, [sale, back]) == (TakeOver("a", "sale", 1),)
    assert explained_late(ending, rows, [sale, replace(back, order="B")]) == (TakeOver("a", "sale", 3),)


def test_nothing_ends_while_the_next_read_tells_whether_a_sale_is_in_the_number() -> None:
    rows = [row("a", 0, 100), row("b", 150, 250)]
    assert unsure(rows, [sold(1, 60)]) == {"a"}
    assert unsure(rows, [sold(-1, 60), sold(1, 120), sold(1, 60, key=2)]) == set()
    assert unsure(rows, [sold(1, 60, 200)]) == {"a", "b"}


def test_no_more_is_explained_late_than_ends() -> None:
    rows = [row("a", 0, 100, units=9, plausible=2)]
    assert explained_late([Release("a", 7, "excess")], rows, [sold(8, -50, 50, name="edit")]) == (
        TakeOver("a", "edit", 7),
    )


def test_units_end_by_coverage_and_never_by_the_clock() -> None:
    rows = [row("a", 0, 100, units=2)]
    years = second(10**8)
    assert to_release(rows, None, years, LIMIT) == ()
    assert to_release(rows, second(99), years, LIMIT) == ()
    assert to_release(rows, second(399), years, LIMIT) == ()
    [released] = to_release(rows, second(400), None, LIMIT)
    assert (released.row, released.units) == ("a", 2)


def test_more_than_may_have_been_sold_is_held_for_one_complete_order_read_only() -> None:
    typo = row("a", 0, 100, units=50, plausible=2)
    assert to_release([typo], second(100), None, LIMIT) == ()
    assert to_release([typo], second(100), second(100), LIMIT) == ()
    assert to_release([typo], second(99), second(101), LIMIT) == ()
    [released] = to_release([typo], second(100), second(101), LIMIT)
    assert (released.row, released.units) == ("a", 48)
    rest = replace(typo, open=2)
    assert to_release([rest], second(399), second(399), LIMIT) == ()
    assert to_release([rest], second(400), second(400), LIMIT)[0].units == 2
    assert to_release([replace(typo, open=0)], second(400), second(400), LIMIT) == ()


def test_a_rise_closes_the_newest_rows_first_and_says_what_is_left() -> None:
    rows = [row("a", 0, 100, units=2), row("b", 50, 200, units=2), row("c", 150, 300, units=1)]
    released, left = close_for_rise(rows, rose(4))
    assert [(r.row, r.units) for r in released] == [("c", 1), ("b", 2), ("a", 1)]
    assert left == 0
    assert close_for_rise(rows, rose(7))[1] == 2
    assert close_for_rise(rows, rose(0)) == ((), 0)
    assert close_for_rise([], rose(3)) == ((), 3)


def test_a_rise_closes_no_drop_that_was_read_after_it() -> None:
    rows = [row("before", 0, 100), row("after", 100, 200)]
    released, left = close_for_rise(rows, rose(2, until=100))
    assert ([r.row for r in released], left) == (["before"], 1)


ROWS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 200), st.integers(0, 5), st.integers(0, 5), st.integers(1, 2)),
    max_size=6,
).map(
    lambda drawn: [
        replace(row(f"row-{n}", begin, begin + length, 5, plausible, key), open=left)
        for n, (begin, length, left, plausible, key) in enumerate(drawn)
    ]
)
EFFECTS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 250), st.integers(0, 50), st.integers(1, 2)), max_size=6
).map(lambda drawn: [sold(u, at, at + more, key, f"sale-{n}") for n, (u, at, more, key) in enumerate(drawn)])


@given(rows=ROWS, effects=EFFECTS)
def test_every_unit_is_taken_over_once_and_only_by_a_sale_that_its_row_covers(
    rows: list[Provisional], effects: list[Effect]
) -> None:
    by_row = {one.id: one for one in rows}
    by_effect = {one.id: one for one in effects}
    taken = take_over(effects, rows)
    for one in taken:
        held, sale = by_row[one.row], by_effect[one.effect]
        assert one.units > 0
        assert held.key == sale.key
        assert held.window_from <= sale.earliest <= sale.latest <= held.window_to
    for name, held in by_row.items():
        assert sum(one.units for one in taken if one.row == name) <= held.open
    for name, sale in by_effect.items():
        mine = sum(one.units for one in taken if one.effect == name)
        assert mine <= -sale.delta
        if mine < -sale.delta:  # then every row that covers it is used up
            for held in rows:
                if held.key == sale.key and held.window_from <= sale.earliest and sale.latest <= held.window_to:
                    assert sum(one.units for one in taken if one.row == held.id) == held.open


@given(rows=ROWS, effects=EFFECTS)
def test_every_unit_is_explained_late_once_and_only_by_what_may_be_its_sale(
    rows: list[Provisional], effects: list[Effect]
) -> None:
    ending = [Release(one.id, one.open, "nothing") for one in rows]
    by_row, by_effect = {one.id: one for one in rows}, {one.id: one for one in effects}
    taken = explained_late(ending, rows, effects)
    for one in taken:
        held, sale = by_row[one.row], by_effect[one.effect]
        assert one.units > 0
        assert held.key == sale.key
        assert held.window_from <= sale.latest
        assert sale.earliest <= held.window_to
    for name, held in by_row.items():
        assert sum(one.units for one in taken if one.row == name) <= held.open
    for name, sale in by_effect.items():
        assert sum(one.units for one in taken if one.effect == name) <= -sale.delta


@given(rows=ROWS, covered=st.integers(0, 900), asked=st.integers(0, 900))
def test_nothing_is_released_before_its_window_is_covered_and_everything_after_the_limit(
    rows: list[Provisional], covered: int, asked: int
) -> None:
    released: dict[str, Release] = {one.row: one for one in to_release(rows, second(covered), second(asked), LIMIT)}
    for one in rows:
        units = released[one.id].units if one.id in released else 0
        if second(covered) >= one.window_to + LIMIT:
            assert units == one.open
        elif second(covered) >= one.window_to and second(asked) > one.found_at:
            assert units == max(0, one.open - one.plausible)
        else:
            assert units == 0


@given(rows=ROWS, rise=st.integers(0, 40))
def test_a_rise_gives_back_no_more_than_it_is_and_no_more_than_is_open(rows: list[Provisional], rise: int) -> None:
    released, left = close_for_rise(rows, rose(rise))
    assert sum(one.units for one in released) + left == rise
    assert left == max(0, rise - sum(one.open for one in rows))
    found = [next(r.found_at for r in rows if r.id == one.row) for one in released]
    assert found == sorted(found, reverse=True)


# What the channel names as held


def test_what_the_channel_names_is_ended_by_no_order_no_rise_and_no_order_read() -> None:
    hold, unnamed = replace(row("hold", 0, 10, units=2), named=True), row("unnamed", 0, 10)
    assert take_over([sold(3, at=5)], [hold, unnamed]) == (TakeOver("unnamed", "3@5", 1),)
    assert [one.row for one in to_release([hold, unnamed], second(9_999), second(9_999), LIMIT)] == ["unnamed"]
    closed, left = close_for_rise([hold, unnamed], rose(3))
    assert ([one.row for one in closed], left) == (["unnamed"], 2)


def test_a_hold_ends_when_the_channel_shows_it_no_longer_the_newest_first() -> None:
    older, newer = (replace(row(f"hold {at}", 0, at, units=2), named=True) for at in (10, 20))
    rows = [older, newer, row("unnamed", 0, 30)]
    assert [(one.row, one.units) for one in end_holds(rows, 3)] == [("hold 20", 2), ("hold 10", 1)]
    assert [(one.row, one.units) for one in end_holds(rows)] == [("hold 20", 2), ("hold 10", 2)]
    assert [(one.row, one.units) for one in end_named_since(rows, 5)] == [("unnamed", 1)]


@pytest.mark.parametrize(
    ("grown", "drop", "rise", "means"),
    [
        (3, 3, 0, HoldsMoved(3, 0, 0, 0)),  # units were held
        (2, 3, 0, HoldsMoved(2, 0, 1, 0)),  # and one more was sold
        (-3, 0, 3, HoldsMoved(0, 3, 0, 0)),  # given back
        (-3, 0, 0, HoldsMoved(0, 3, 3, 0)),  # became an order
        (-3, 1, 0, HoldsMoved(0, 3, 4, 0)),  # and one more was sold
        (-2, 0, 5, HoldsMoved(0, 2, 0, 3)),  # given back, and something else was too
        (3, 0, 0, HoldsMoved(3, 0, 0, 3)),  # the drop was seen before its cause was told
    ],
)
def test_what_holds_explain_is_taken_out_of_a_drop_or_a_rise(
    grown: int, drop: int, rise: int, means: HoldsMoved
) -> None:
    assert holds_moved(grown, drop, rise) == means
