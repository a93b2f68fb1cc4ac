"""Channels that round: what is written, and what a read can mean where only whole steps are shown."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.effects import Effect
from channelsync.domain.publishing import Switches, decide
from channelsync.domain.watermark import KeyState, Meaning, Read, Timing, Write, expected_now, sole, understand

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHEN_WRITTEN = Timing(grace=timedelta(seconds=30), step=5)
WHEN_SHOWN = Timing(grace=timedelta(seconds=30), step=5, step_shown=True)


def read(value: int, second: int) -> Read:
    at = START + timedelta(seconds=second)
    return Read(value, at, at)


def sold(units: int, second: int) -> Effect:
    at = START + timedelta(seconds=second)
    return Effect(id=f"sold-{second}", key=1, delta=-units, earliest=at, latest=at)


def test_without_a_step_every_number_is_written_as_it_is() -> None:
    assert [Timing().written(n) for n in (-3, 0, 7)] == [0, 0, 7]


@pytest.mark.parametrize("timing", [WHEN_WRITTEN, WHEN_SHOWN])
def test_only_whole_steps_are_written(timing: Timing) -> None:
    assert [timing.written(n) for n in (-3, 0, 4, 5, 9, 13)] == [0, 0, 0, 5, 5, 10]


def test_a_channel_that_rounds_what_is_written_shows_what_it_sold_exactly() -> None:
    assert [WHEN_WRITTEN.shown(n) for n in (9, 13)] == [9, 13]
    assert [WHEN_SHOWN.shown(n) for n in (9, 13)] == [5, 10]


@pytest.mark.parametrize("timing", [WHEN_WRITTEN, WHEN_SHOWN])
def test_a_number_that_was_rounded_is_no_drift(timing: Timing) -> None:
    state = KeyState(watermark=read(10, 0))

    assert decide(state, 13, timing, Switches()).action == "none"
    assert decide(state, 9, timing, Switches()).value == 5


@pytest.mark.parametrize("timing", [WHEN_WRITTEN, WHEN_SHOWN])
def test_our_rounded_write_becomes_visible(timing: Timing) -> None:
    wanted = decide(KeyState(watermark=read(0, 0)), 13, timing, Switches()).value
    assert wanted == 10
    write = Write(generation=1, value=wanted, sent=read(0, 1).asked, answered=read(0, 2).asked)

    meant = understand(KeyState(watermark=read(0, 0), writes=(write,)), read(10, 5), timing)

    assert (meant.meaning, meant.visible) == (Meaning.AS_EXPECTED, write)


def test_a_booked_sale_from_a_rounded_write_is_expected_to_the_unit() -> None:
    state = KeyState(watermark=read(10, 0), effects=(sold(1, 60),))

    assert sole(expected_now(state, WHEN_WRITTEN)) == 9
    assert understand(state, read(9, 90), WHEN_WRITTEN).meaning is Meaning.AS_EXPECTED


@pytest.mark.parametrize("shown", [5, 10])
def test_where_only_steps_are_shown_a_sale_may_or_may_not_be_seen(shown: int) -> None:
    state = KeyState(watermark=read(10, 0), effects=(sold(1, 60),))

    assert understand(state, read(shown, 90), WHEN_SHOWN).meaning is Meaning.AS_EXPECTED


def test_where_only_steps_are_shown_a_step_too_low_is_a_drop() -> None:
    meant = understand(KeyState(watermark=read(10, 0)), read(5, 90), WHEN_SHOWN)

    assert (meant.meaning, meant.units) == (Meaning.DROP, 5)


@given(
    held=st.integers(0, 40),
    sales=st.lists(st.integers(1, 4), max_size=4),
    step=st.integers(1, 7),
    when_shown=st.booleans(),
)
def test_a_channel_that_only_sells_what_is_booked_never_looks_wrong(
    held: int, sales: list[int], step: int, when_shown: bool
) -> None:
    timing = Timing(step=step, step_shown=when_shown)
    number = held
    state = KeyState(watermark=read(timing.shown(number), 0))
    for turn, units in enumerate(sales, start=1):
        effect = sold(min(units, number), turn * 60) if number else None
        number -= -effect.delta if effect else 0
        state = KeyState(watermark=state.watermark, effects=(effect,) if effect else ())
        meant = understand(state, read(timing.shown(number), turn * 60 + 30), timing)
        assert meant.meaning is Meaning.AS_EXPECTED
        state = meant.state
