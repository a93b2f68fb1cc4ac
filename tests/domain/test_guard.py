"""The guard's decisions: what is too much, what a held number shows, and what is still the approved plan."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.guard import Extent, GuardLimits, Hold, as_planned, beyond, held_offer, uncut
from channelsync.domain.offering import Ask, offer
from channelsync.domain.rules import Resolved, RuleValues

WHOLE = Extent(listings=100, units=1000, value={"EUR": Decimal(5000)})
UNITS = st.integers(0, 50)


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (Extent(listings=20, units=500, zeroed=10, value={"EUR": Decimal(2500)}), []),
        (Extent(listings=21), ["21 listings would change, 21% of 100; the limit is 20%"]),
        (Extent(listings=12, zeroed=11), ["11 listings would show 0, 11% of 100; the limit is 10%"]),
        (Extent(listings=10, units=501), ["501 units would move, 50% of 1000; the limit is 50%"]),
        (
            Extent(listings=10, value={"EUR": Decimal("2500.01")}),
            ["2500.01 EUR of stock would move, 50% of 5000.00; the limit is 50%"],
        ),
        (Extent(listings=10, value={"USD": Decimal(999)}), []),
        (Extent(listings=9, zeroed=9, units=10_000, value={"EUR": Decimal(9999)}), []),
    ],
)
def test_a_run_waits_that_is_beyond_one_of_the_limits_and_moves_enough_listings(moved: Extent, told: list[str]) -> None:
    assert list(beyond(GuardLimits(), moved, WHOLE)) == told


def test_what_has_no_limit_never_waits() -> None:
    limits = GuardLimits(listings=None, zeroed=None, units=None, value=None, least=1)
    everything = Extent(listings=100, zeroed=100, units=10_000, value={"EUR": Decimal(99_999)})
    assert beyond(limits, everything, WHOLE) == ()


def test_of_a_channel_that_shows_no_units_no_share_of_them_is_taken() -> None:
    assert beyond(GuardLimits(), Extent(listings=10, units=900), Extent(listings=100)) == ()


@pytest.mark.parametrize("wrong", [{"listings": -0.1}, {"units": -1.0}, {"least": 0}])
def test_limits_that_say_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="limits are shares"):
        GuardLimits(**wrong)  # type: ignore[arg-type]


@given(before=UNITS, planned=UNITS, above=UNITS, taken=st.integers(-50, 50), target=UNITS)
def test_a_held_number_is_never_above_what_it_was_less_what_was_taken(
    before: int, planned: int, above: int, taken: int, target: int
) -> None:
    shown = held_offer(Hold(before=before, planned=planned, room=before + above), taken, target)
    assert 0 <= shown <= before
    assert shown <= max(0, before + above - max(0, taken))
    if planned > before:
        assert shown <= target


@given(before=UNITS, planned=UNITS, orders=st.lists(st.integers(-5, 9), max_size=12))
def test_whatever_orders_take_while_it_is_held_leaves_the_number(before: int, planned: int, orders: list[int]) -> None:
    hold = Hold(before=before, planned=planned, room=before)
    taken = 0
    for units in orders:
        taken += units
        target = max(0, planned - taken)
        shown = held_offer(hold, taken, target)
        assert shown <= max(0, before - max(0, taken))
        assert hold.lowers or shown <= target
        assert held_offer(hold, taken + 1, target) <= shown


@given(before=UNITS, planned=UNITS, took=UNITS, gave=UNITS)
def test_a_target_that_only_orders_have_changed_is_still_the_plan(
    before: int, planned: int, took: int, gave: int
) -> None:
    hold = Hold(before=before, planned=planned, room=before)
    assert as_planned(hold, max(0, planned - took), took=took, gave=0)
    assert as_planned(hold, planned + gave, took=0, gave=gave)
    assert not as_planned(hold, planned + gave + 1, took=took, gave=gave)
    assert not as_planned(hold, planned - took - 1, took=took, gave=gave)


@pytest.mark.parametrize(
    ("values", "cap", "room"),
    [
        (RuleValues(), None, 30),
        (RuleValues(maximum_shown=5), None, 30),
        (RuleValues(maximum_shown=20), 10, 30),
        (RuleValues(maximum_shown=99), 10, 30),
        (RuleValues(share=50), 10, 15),
    ],
)
def test_units_above_a_maximum_are_taken_before_the_number_falls(
    values: RuleValues, cap: int | None, room: int
) -> None:
    ask = Ask(key="1", channel="shop", available={"main": 30}, rules=Resolved(values, {}), cap=cap)
    assert uncut(offer(ask)) == room
