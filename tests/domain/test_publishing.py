"""Decisions: what is written to a key, and what waits for what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.effects import Effect
from channelsync.domain.publishing import (
    Decision,
    Switches,
    WriteLimit,
    available_number,
    decide,
    overtakes,
    told_number,
    within_limit,
)
from channelsync.domain.watermark import Applies, KeyState, Read, Timing, Write, expected_now, newest, understand

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FREE = Switches()
FRESH = Timing()
LAGGING = Timing(staleness=timedelta(seconds=180), skew=timedelta(seconds=5))
IN_ORDER = Timing(applies=Applies.IN_ORDER)
ANY_ORDER = Timing(applies=Applies.ANY_ORDER)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def sold(units: int, at: float, until: float | None = None) -> Effect:
    latest = second(at if until is None else until)
    return Effect(id=f"{units}@{at}", key=1, delta=-units, earliest=second(at), latest=latest)


def wrote(generation: int, value: int, at: float, answered: float | None = None) -> Write:
    at_once = None if answered is None else second(answered)
    return Write(generation=generation, value=value, sent=second(at), answered=at_once)


def key(value: int, *effects: Effect, **more: Any) -> KeyState:
    return KeyState(watermark=Read(value, second(0), second(0)), effects=effects, **more)


def decided(state: KeyState, target: int, timing: Timing = FRESH, **more: Any) -> tuple[str, int | None, int | None]:
    decision = decide(state, target, timing, more.pop("switches", FREE), **more)
    assert decision.why
    return decision.action, decision.value, decision.expected


NONE = ("none", None, None)
READ = ("read first", None, None)
WAIT = ("wait", None, None)


def test_a_key_that_was_never_read_is_read_before_anything_is_written() -> None:
    assert decided(KeyState(), 0) == READ


@pytest.mark.parametrize(
    ("state", "target", "expected"),
    [
        (key(5), 5, NONE),
        (key(5), 3, ("lower", 3, None)),
        (key(5), 0, ("lower", 0, None)),
        (key(5), 8, ("raise", 8, None)),
        (key(5, sold(2, 10)), 3, NONE),
        (key(5, sold(2, 10)), 5, ("raise", 5, None)),
    ],
)
def test_the_target_is_compared_with_what_is_confirmed_and_what_sold_since(
    state: KeyState, target: int, expected: tuple[str, int | None, int | None]
) -> None:
    assert decided(state, target) == expected


def test_the_target_is_cut_at_what_the_channel_can_show() -> None:
    assert decided(key(5), -2) == ("lower", 0, None)
    assert decided(key(0), -2) == NONE
    assert decided(key(5), 99, replace(FRESH, cap=9)) == ("raise", 9, None)
    assert decided(key(9), 99, replace(FRESH, cap=9)) == NONE
    assert decided(key(12), 99, replace(FRESH, cap=9)) == ("lower", 9, None)
    assert decided(key(5), -2, replace(FRESH, never_negative=False)) == ("lower", 0, None)


def test_a_number_that_booked_sales_may_have_brought_about_already_is_read_not_written() -> None:
    state = key(9, sold(3, 1))
    assert decided(state, 6, LAGGING) == READ
    assert decided(state, 9, LAGGING) == READ
    assert decided(state, 8, LAGGING) == ("lower", 8, None)
    assert decided(state, 5, LAGGING) == ("lower", 5, None)
    assert decided(state, 10, LAGGING) == READ


@pytest.mark.parametrize("timing", [IN_ORDER, ANY_ORDER])
def test_a_write_on_its_way_is_not_sent_again_and_a_lowering_overtakes_it(timing: Timing) -> None:
    state = key(9, writes=(wrote(1, 4, 10, 11),))
    assert decided(state, 4, timing) == NONE
    assert decided(state, 2, timing) == ("lower", 2, None)
    assert decided(state, 6, timing) == READ
    assert decided(state, 9, timing) == READ
    assert overtakes(state, timing) == (timing is ANY_ORDER)


def test_a_sale_since_a_write_on_its_way_needs_no_further_write() -> None:
    state = key(9, sold(1, 20), writes=(wrote(1, 4, 10, 11),))
    assert decided(state, 3, IN_ORDER) == READ
    assert decided(state, 4, IN_ORDER) == READ
    assert decided(state, 2, IN_ORDER) == ("lower", 2, None)


def test_nothing_overtakes_where_nothing_is_on_its_way() -> None:
    assert not overtakes(key(9), ANY_ORDER)


def test_a_raise_waits_until_writes_are_seen_doubts_are_settled_and_one_number_is_left() -> None:
    assert decided(key(5, writes=(wrote(1, 5, 10),)), 8, IN_ORDER) == READ
    assert decided(key(5, verified=False), 8) == READ
    assert decided(key(5, sold(1, 1)), 8, LAGGING) == READ
    assert decided(key(5, verified=False), 3) == ("lower", 3, None)


def test_a_right_number_in_doubt_is_read_again() -> None:
    assert decided(key(5, verified=False), 5) == READ


def test_an_overtaken_write_leaves_the_key_in_doubt_until_it_can_no_longer_land() -> None:
    """The lowering to 3 went out after the raise to 8, whose fate is open; the state carries the old write."""
    state = key(5, writes=(wrote(1, 8, 10, 11), wrote(2, 3, 20, 21)))
    state = understand(state, Read(3, second(30), second(30)), ANY_ORDER).state
    assert (state.confirmed, [w.generation for w in state.writes], state.verified) == (2, [1], False)
    assert decided(state, 3, ANY_ORDER) == READ
    assert decided(state, 6, ANY_ORDER) == READ
    assert decided(state, 1, ANY_ORDER) == ("lower", 1, None)
    landed = understand(state, Read(8, second(40), second(40)), ANY_ORDER).state
    assert decided(landed, 3, ANY_ORDER) == ("lower", 3, None)
    calm = understand(state, Read(3, second(200), second(200)), ANY_ORDER).state
    assert decided(calm, 3, ANY_ORDER) == NONE
    assert decided(calm, 6, ANY_ORDER) == ("raise", 6, None)


def test_a_lost_write_is_sent_again_a_lost_raise_only_after_one_more_read() -> None:
    for value, target in ((2, 2), (9, 9)):
        state = key(5, writes=(wrote(1, value, 10, 11),))
        lost = understand(state, Read(5, second(200), second(200)), IN_ORDER).state
        first = decided(lost, target, IN_ORDER)
        again = understand(lost, Read(5, second(201), second(201)), IN_ORDER).state
        assert first == (("lower", 2, None) if target < 5 else READ)
        assert decided(again, target, IN_ORDER)[1] == target


def test_compare_and_set_names_the_one_number_it_replaces() -> None:
    assert decided(key(5), 3, compare_and_set=True) == ("lower", 3, 5)
    assert decided(key(5), 8, compare_and_set=True) == ("raise", 8, 5)
    assert decided(key(5, sold(2, 10)), 1, compare_and_set=True) == ("lower", 1, 3)
    assert decided(key(9, writes=(wrote(1, 4, 10, 11),)), 2, compare_and_set=True) == ("lower", 2, 4)
    assert decided(key(9, writes=(wrote(1, 4, 10),)), 2, compare_and_set=True) == READ
    assert decided(key(9, sold(1, 1)), 2, LAGGING, compare_and_set=True) == READ


def test_a_lowering_waits_for_no_read_that_comes_too_soon_to_decide() -> None:
    state = key(9, sold(1, 1))
    assert decided(state, 2, LAGGING, compare_and_set=True, now=second(184)) == ("lower", 2, None)
    assert decided(state, 2, LAGGING, compare_and_set=True, now=second(185)) == READ
    written = key(9, sold(1, 1), writes=(wrote(1, 7, 100, 102),))
    timing = replace(LAGGING, applies=Applies.IN_ORDER)
    assert decided(written, 2, timing, compare_and_set=True, now=second(286)) == ("lower", 2, None)
    assert decided(state, 12, LAGGING, compare_and_set=True, now=second(1)) == READ


def test_a_rise_that_no_order_explains_yet_is_not_taken_back_before_the_orders_were_read() -> None:
    assert decided(key(7), 5, rise=2) == WAIT
    assert decided(key(7), 6, rise=2) == WAIT
    assert decided(key(7), 4, rise=2) == ("lower", 4, None)
    assert decided(key(7), 9, rise=2) == WAIT
    assert decided(key(7), 7, rise=2) == NONE
    assert decided(key(7), 5, rise=0) == ("lower", 5, None)


def test_zero_is_never_written_over_a_backorder() -> None:
    assert decided(key(-2), 0, sells_below_zero=True) == NONE
    assert decided(key(-2), -2, sells_below_zero=True) == NONE
    assert decided(key(1, sold(3, 10)), 0, sells_below_zero=True) == NONE
    assert decided(key(-2), 4, sells_below_zero=True) == ("raise", 4, None)
    assert decided(key(2), 0, sells_below_zero=True) == ("lower", 0, None)


@pytest.mark.parametrize(
    ("switches", "lower", "higher"),
    [
        (FREE, "lower", "raise"),
        (Switches(may_lower=False), "wait", "raise"),
        (Switches(may_raise=False), "lower", "wait"),
        (Switches(stop="raises"), "lower", "wait"),
        (Switches(stop="all"), "wait", "wait"),
        (Switches(held=True), "lower", "wait"),
    ],
)
def test_the_sellers_switches_hold_back_what_they_say(switches: Switches, lower: str, higher: str) -> None:
    switches = replace(switches, reason="because Ann said so")
    for target, expected in ((3, lower), (8, higher)):
        decision = decide(key(5), target, FRESH, switches)
        assert decision.action == expected
        assert ("because Ann said so" in decision.why) == (expected == "wait")
    assert decide(key(5), 5, FRESH, switches).action == ("wait" if switches.held else "none")


@pytest.mark.parametrize(
    ("target", "disputed", "expected"),
    [
        (5, 4, ("wait", None, None)),  # it shows 9: somebody raised it
        (3, 4, ("lower", 7, None)),  # and 2 were sold elsewhere
        (-6, 4, ("lower", 0, None)),
        (7, 4, ("wait", None, None)),
        (12, -3, ("wait", None, None)),  # somebody lowered it to 9
        (10, -3, ("lower", 7, None)),
        (2, -3, ("lower", 0, None)),
        (14, -3, ("wait", None, None)),
    ],
)
def test_while_a_question_is_open_what_is_sold_elsewhere_lowers_the_number(
    target: int, disputed: int, expected: tuple[str, int | None, int | None]
) -> None:
    decision = decide(key(9), target, FRESH, Switches(held=True, disputed=disputed, reason="asked"))
    assert (decision.action, decision.value, decision.expected) == expected


def test_a_physical_number_contains_what_the_channels_own_orders_hold() -> None:
    assert available_number(9, 2, physical=True) == 7
    assert available_number(9, None, physical=True) is None
    assert available_number(9, None, physical=False) == 9
    assert told_number(7, 2, physical=True) == 9
    assert told_number(7, None, physical=True) == 7
    assert told_number(7, 2, physical=False) == 7


EFFECTS = st.builds(sold, st.integers(-3, 3).filter(bool), st.integers(-300, 300), st.none() | st.integers(300, 400))
WRITES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 40), st.booleans()), max_size=3).map(
    lambda drawn: tuple(
        wrote(number + 1, value, number * 50 + gap, number * 50 + gap + 5 if answered else None)
        for number, (value, gap, answered) in enumerate(drawn)
    )
)
STATES = st.builds(
    lambda value, effects, writes, confirmed, verified: key(
        value, *effects, writes=writes, confirmed=min(confirmed, len(writes)), verified=verified
    ),
    st.integers(0, 12),
    st.lists(EFFECTS, max_size=3, unique_by=lambda effect: effect.id),
    WRITES,
    st.integers(0, 2),
    st.booleans(),
)
TIMINGS = st.builds(
    Timing,
    staleness=st.sampled_from([0, 180]).map(lambda n: timedelta(seconds=n)),
    skew=st.sampled_from([0, 5]).map(lambda n: timedelta(seconds=n)),
    applies=st.sampled_from(Applies),
    cap=st.sampled_from([None, 10]),
)


@given(
    state=STATES,
    timing=TIMINGS,
    target=st.integers(-1, 14),
    compare_and_set=st.booleans(),
    rise=st.integers(0, 2),
    now=st.none() | st.integers(0, 600).map(second),
)
def test_whatever_the_state_a_decision_keeps_the_rules(
    state: KeyState, timing: Timing, target: int, compare_and_set: bool, rise: int, now: datetime | None
) -> None:
    decision: Decision = decide(state, target, timing, FREE, compare_and_set=compare_and_set, rise=rise, now=now)
    states = expected_now(state, timing)
    numbers = {n for a in states for n in range(a.low, a.high + 1)}
    last = {n for a in newest(states) for n in range(a.low, a.high + 1)}
    wanted = max(0, timing.shown(target))
    if decision.value is None:
        assert decision.action in ("none", "read first", "wait")
        # Nothing waits that must come down, unless a read or the channel's orders may show that it need not.
        if wanted < min(last) - rise and decision.action != "read first":
            pytest.fail(f"{decision} although it shows {last} and should show {wanted}")
        assert decision.action != "read first" or not (wanted < min(last) and not compare_and_set and not rise)
        return
    assert decision.value == wanted
    assert wanted not in last, "a number that is there or on its way was sent again"
    assert decision.action == ("lower" if wanted < max(last) else "raise")
    if decision.action == "raise":
        assert state.verified
        assert not state.writes
        assert len(numbers) == 1
    if decision.expected is not None:
        assert numbers == {decision.expected}
        assert compare_and_set


# Channels that let a listing be written so often a day


HOURLY = WriteLimit(most=5, kept=2, span=timedelta(hours=1))
RAISE = Decision(action="raise", why="raise from 3 to 7", value=7)
LOWER = Decision(action="lower", why="lower from 3 to 1", value=1)


@pytest.mark.parametrize(
    ("decision", "minutes", "until"),
    [
        (RAISE, [], None),
        (RAISE, [1, 2], None),
        (RAISE, [1, 2, 3], 61),
        (RAISE, [1, 2, 3, 4], 62),
        (LOWER, [1, 2, 3, 4], None),
        (LOWER, [1, 2, 3, 4, 5], 61),
        (LOWER, [1, 2, 3, 4, 5, 6], 62),
        (RAISE, [-30, -29, 1], 30),
        (RAISE, [-50, -49, 1], None),
    ],
)
def test_the_last_writes_that_a_channel_takes_are_kept_for_lowerings(
    decision: Decision, minutes: list[int], until: int | None
) -> None:
    now = NOON + timedelta(minutes=10)
    found = within_limit(decision, HOURLY, [NOON + timedelta(minutes=each) for each in minutes], now)
    if until is None:
        assert found == decision
        return
    assert (found.action, found.value, found.blocked) == ("wait", None, decision is LOWER)
    assert found.until == NOON + timedelta(minutes=until)


def test_why_a_write_waits_names_the_limit_what_has_left_and_until_when() -> None:
    sent = [NOON + timedelta(minutes=each) for each in range(5)]
    now = NOON + timedelta(minutes=10)
    assert within_limit(RAISE, HOURLY, sent, now).why == (
        "raise from 3 to 7 waits until 2026-03-02 13:02 UTC: the channel takes 5 writes of a listing within 1 h, the "
        "last 2 of them for lowerings only, and 5 have left"
    )
    assert within_limit(LOWER, HOURLY, sent, now).why == (
        "lower from 3 to 1 waits until 2026-03-02 13:00 UTC: the channel takes 5 writes of a listing within 1 h, "
        "and 5 have left"
    )


def test_what_writes_nothing_waits_for_no_writes() -> None:
    right = Decision(action="none", why="it shows 3")
    assert within_limit(right, HOURLY, [NOON] * 9, NOON) is right


@pytest.mark.parametrize(("most", "kept"), [(0, 0), (5, 5), (5, -1)])
def test_a_limit_that_would_never_allow_a_raise_is_refused(most: int, kept: int) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        WriteLimit(most=most, kept=kept, span=timedelta(hours=1))


@given(
    tries=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=60),
    most=st.integers(1, 6),
    kept=st.integers(0, 5),
)
def test_no_span_ever_holds_more_writes_than_the_channel_takes(
    tries: list[tuple[int, bool]], most: int, kept: int
) -> None:
    limit = WriteLimit(most=most, kept=min(kept, most - 1), span=timedelta(minutes=60))
    sent: list[datetime] = []
    for minute, lowering in sorted(tries):
        now = NOON + timedelta(minutes=minute)
        decision = LOWER if lowering else RAISE
        found = within_limit(decision, limit, sent, now)
        if found.until is None:
            sent.append(now)
            continue
        assert found.until > now
        assert within_limit(decision, limit, sent, found.until) is decision
        assert within_limit(decision, limit, sent, found.until - timedelta(microseconds=1)) is not decision
    for at in sent:
        assert sum(at <= other < at + limit.span for other in sent) <= most
