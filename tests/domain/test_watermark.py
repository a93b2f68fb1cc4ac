"""The watermark: what a key is expected to show, what a read means, and what is left open; case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.domain.effects import Effect
from channelsync.domain.watermark import (
    Alternative,
    Applies,
    KeyState,
    Meaning,
    Read,
    Timing,
    Write,
    expected_now,
    newest,
    overdue,
    relation,
    sole,
    understand,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def sold(units: int, at: float, until: float | None = None, name: str = "") -> Effect:
    """Units that the channel took off its number (below 0: put back), by its clock."""
    latest = at if until is None else until
    return Effect(id=name or f"{units}@{at}", key=1, delta=-units, earliest=second(at), latest=second(latest))


def shows(value: int, at: float, took: float = 0, after: int | None = None) -> Read:
    return Read(value, second(at), second(at + took), after)


def wrote(generation: int, value: int, at: float, answered: float | None = None) -> Write:
    at_once = None if answered is None else second(answered)
    return Write(generation=generation, value=value, sent=second(at), answered=at_once)


def key(value: int, *effects: Effect, at: float = 0, writes: tuple[Write, ...] = (), confirmed: int = 0) -> KeyState:
    return KeyState(watermark=shows(value, at), effects=effects, writes=writes, confirmed=confirmed)


def spans(state: KeyState, timing: Timing) -> list[tuple[int, int]]:
    return [(a.low, a.high) for a in expected_now(state, timing)]


FRESH = Timing()
LAGGING = Timing(staleness=seconds(180), skew=seconds(5))
IN_ORDER = Timing(applies=Applies.IN_ORDER)
ANY_ORDER = Timing(applies=Applies.ANY_ORDER)


# What a read contains


@pytest.mark.parametrize(
    ("at", "until", "expected"),
    [
        (814, 814, "in"),
        (815, 815, "unsettled"),
        (900, 900, "unsettled"),
        (1015, 1015, "unsettled"),
        (1016, 1016, "after"),
        (700, 900, "unsettled"),
        (1010, 1100, "unsettled"),
        (700, 814, "in"),
        (1016, 1100, "after"),
    ],
)
def test_an_effect_is_in_a_read_after_it_or_unsettled(at: float, until: float, expected: str) -> None:
    read = shows(9, 1000, took=10)
    assert relation(sold(1, at, until), read, LAGGING) == expected


def test_a_channel_shows_no_more_than_its_cap_and_no_less_than_nothing() -> None:
    assert [Timing(cap=5).shown(n) for n in (-1, 3, 9)] == [0, 3, 5]
    assert [Timing(never_negative=False).shown(n) for n in (-1, 9)] == [-1, 9]


# What is expected


def test_nothing_is_expected_before_the_first_read() -> None:
    assert expected_now(KeyState(), FRESH) == ()


def test_what_sold_after_the_watermark_is_off_the_number_and_what_sold_before_is_in_it() -> None:
    assert spans(key(9, sold(2, 10), sold(1, -10)), FRESH) == [(7, 7)]


def test_what_cannot_be_told_may_have_happened_or_not_but_not_by_half() -> None:
    assert spans(key(9, sold(3, 1)), LAGGING) == [(6, 6), (9, 9)]
    assert spans(key(9, sold(3, 1), sold(1, 2)), LAGGING) == [(5, 6), (8, 9)]


def test_of_a_window_any_part_may_have_happened() -> None:
    assert spans(key(9, sold(3, -10, 10)), FRESH) == [(6, 9)]


def test_a_number_stops_at_nothing_and_at_its_cap() -> None:
    assert spans(key(1, sold(3, 10)), FRESH) == [(0, 0)]
    assert spans(key(1, sold(3, 10)), replace(FRESH, never_negative=False)) == [(-2, -2)]
    assert spans(key(4, sold(-3, 10)), replace(FRESH, cap=5)) == [(5, 5)]


def test_what_comes_back_after_the_number_stopped_at_nothing_counts_from_there() -> None:
    assert spans(key(1, sold(3, 10), sold(-2, 20)), FRESH) == [(0, 2)]
    assert spans(key(0, sold(1, 10), sold(1, 20), sold(-1, 30)), FRESH) == [(0, 1)]
    assert spans(key(5, sold(3, 10), sold(-2, 20)), FRESH) == [(4, 4)]


def test_at_its_cap_the_number_may_be_any_above_it() -> None:
    assert spans(key(5, sold(2, 10)), replace(FRESH, cap=5)) == [(3, 5)]


def test_a_number_that_was_read_above_the_declared_cap_is_what_it_says() -> None:
    capped = replace(FRESH, cap=5)
    assert spans(key(8, sold(2, 10)), capped) == [(6, 6)]
    assert understand(key(8), shows(8, 60), capped).meaning is Meaning.AS_EXPECTED
    assert understand(key(8), shows(6, 60), capped).units == 2
    assert spans(key(8, writes=(wrote(1, 5, 10),)), capped) == [(8, 8), (5, 5)]


@pytest.mark.parametrize("at", [96, 105], ids=["its clock is late", "its clock is early"])
def test_a_sale_near_a_write_may_have_come_before_it_or_after_as_far_as_the_clocks_differ(at: float) -> None:
    skewed = Timing(skew=seconds(5))
    state = key(9, sold(1, at), writes=(wrote(1, 4, 100, answered=101),))
    for shown in (3, 4):
        found = understand(state, shows(shown, 200), skewed)
        assert (found.meaning, found.units) == (Meaning.AS_EXPECTED, 0)
    beyond = key(9, sold(1, 94 if at < 100 else 107), writes=state.writes)
    assert spans(beyond, skewed) == [(4, 4) if at < 100 else (3, 3)]


def test_an_unconfirmed_write_adds_its_value_with_any_part_of_what_sold_since_it_was_sent() -> None:
    state = key(9, sold(1, 50), sold(2, 150), writes=(wrote(1, 4, 100),))
    assert expected_now(state, IN_ORDER) == (
        Alternative(6, 6),
        Alternative(2, 2, state.writes[0]),
        Alternative(4, 4, state.writes[0]),
    )


def test_a_write_that_was_accepted_by_a_channel_that_applies_at_once_is_the_only_possibility() -> None:
    state = key(9, sold(1, 50), sold(2, 150), writes=(wrote(1, 7, 80), wrote(2, 4, 100, 110), wrote(3, 3, 160)))
    assert [(a.low, a.high, a.write and a.write.generation) for a in expected_now(state, FRESH)] == [
        (2, 2, 2),
        (3, 3, 3),
    ]


def test_the_newest_generation_comes_last_also_where_old_writes_may_still_be_applied() -> None:
    state = key(3, writes=(wrote(1, 8, 10), wrote(3, 2, 30)), confirmed=2)
    assert spans(state, ANY_ORDER) == [(8, 8), (3, 3), (2, 2)]
    assert [a.low for a in newest(expected_now(state, ANY_ORDER))] == [2]
    assert [a.low for a in newest(expected_now(replace(state, writes=state.writes[:1]), ANY_ORDER))] == [3]


def test_one_number_or_a_choice() -> None:
    assert sole([Alternative(3, 3), Alternative(3, 3)]) == 3
    assert sole([Alternative(3, 3), Alternative(4, 4)]) is None
    assert sole([Alternative(3, 4)]) is None
    assert sole([]) is None


def test_a_hundred_unsettled_effects_are_as_quick_as_one() -> None:
    many = tuple(sold(2**number, 1, name=str(number)) for number in range(30))
    [(low, high)] = spans(replace(key(2**31), effects=many), LAGGING)
    assert (low, high) == (2**31 - 2**30 + 1, 2**31)


# What a read means


def test_the_first_read_sets_the_watermark_and_books_nothing() -> None:
    state = KeyState(effects=(sold(1, -10), sold(1, 10)))
    meant = understand(state, shows(9, 0), FRESH)
    assert (meant.meaning, meant.units) == (Meaning.FIRST, 0)
    assert meant.contained == (sold(1, -10),)
    assert meant.state == key(9, sold(1, 10))


def test_the_first_read_keeps_writes_that_may_still_be_applied() -> None:
    state = KeyState(writes=(wrote(1, 8, -500), wrote(2, 7, -1)))
    after = understand(state, shows(9, 0), FRESH).state
    assert after.writes == (wrote(2, 7, -1),)
    assert not after.verified


def test_a_lagging_read_right_after_the_last_one_or_a_write_decides_nothing() -> None:
    state = key(9)
    assert understand(state, shows(5, 179), LAGGING).meaning is Meaning.TOO_SOON
    assert understand(state, shows(5, 180), LAGGING).meaning is Meaning.DROP
    written = key(9, writes=(wrote(1, 4, 200, 205),))
    assert understand(written, shows(5, 384), LAGGING).meaning is Meaning.TOO_SOON
    unanswered = key(9, writes=(wrote(1, 4, 200),))
    assert understand(unanswered, shows(5, 384), LAGGING).meaning is not Meaning.TOO_SOON


def test_a_read_from_before_the_last_one_decides_nothing() -> None:
    assert understand(key(9, at=100), shows(10, 99, took=5), FRESH).meaning is Meaning.TOO_SOON


def test_a_read_as_expected_settles_what_it_contains() -> None:
    meant = understand(key(9, sold(2, 10), sold(1, -10), sold(1, 90)), shows(7, 50), FRESH)
    assert (meant.meaning, meant.arrived, meant.contained) == (Meaning.AS_EXPECTED, (sold(2, 10),), (sold(1, -10),))
    assert meant.state == key(7, sold(1, 90), at=50)


def test_a_drop_is_what_booked_orders_do_not_explain() -> None:
    meant = understand(key(9, sold(2, 10)), shows(4, 50), FRESH)
    assert (meant.meaning, meant.units, meant.arrived) == (Meaning.DROP, 3, (sold(2, 10),))
    assert meant.state == key(4, at=50)
    assert (meant.low, meant.high) == (7, 7)


def test_a_rise_is_what_booked_orders_do_not_explain() -> None:
    meant = understand(key(9, sold(2, 10)), shows(8, 50), FRESH)
    assert (meant.meaning, meant.units, meant.arrived) == (Meaning.RISE, 1, (sold(2, 10),))
    assert meant.state == key(8, at=50)


def test_an_order_that_arrives_after_its_drop_was_contained() -> None:
    dropped = understand(key(9), shows(7, 50), FRESH).state
    booked = replace(dropped, effects=(sold(2, 20),))
    meant = understand(booked, shows(7, 100), FRESH)
    assert (meant.meaning, meant.contained, meant.arrived) == (Meaning.AS_EXPECTED, (sold(2, 20),), ())


def test_an_unsettled_effect_of_another_size_hides_no_drop() -> None:
    meant = understand(key(9, sold(3, 1)), shows(8, 200), LAGGING)
    assert (meant.meaning, meant.units, meant.state.verified) == (Meaning.DROP, 1, False)


def test_a_number_between_two_states_is_a_drop_from_the_higher_and_a_doubt() -> None:
    meant = understand(key(9, writes=(wrote(1, 2, 10),)), shows(7, 20), IN_ORDER)
    assert (meant.meaning, meant.units) == (Meaning.DROP, 2)
    assert not meant.state.verified
    assert meant.state.writes == (wrote(1, 2, 10),)


def test_our_write_becomes_visible() -> None:
    meant = understand(key(9, writes=(wrote(1, 4, 10, 11),)), shows(4, 20), IN_ORDER)
    assert (meant.meaning, meant.visible) == (Meaning.AS_EXPECTED, wrote(1, 4, 10, 11))
    assert meant.state == key(4, at=20, confirmed=1)


def test_a_write_that_is_not_visible_yet_leaves_the_watermark_alone() -> None:
    state = key(9, writes=(wrote(1, 4, 10, 11),))
    meant = understand(state, shows(9, 131), IN_ORDER)
    assert (meant.meaning, meant.state) == (Meaning.NOT_VISIBLE_YET, state)


def test_after_the_grace_window_a_write_is_lost_and_one_more_read_decides_before_a_raise() -> None:
    meant = understand(key(9, writes=(wrote(1, 4, 10, 11),)), shows(9, 132), IN_ORDER)
    assert (meant.meaning, meant.lost) == (Meaning.PUSH_LOST, (wrote(1, 4, 10, 11),))
    assert meant.state == replace(key(9, at=132), verified=False)
    assert understand(meant.state, shows(9, 140), IN_ORDER).state.verified


def test_a_write_that_left_after_the_read_was_answered_is_not_in_it() -> None:
    state = key(9, writes=(wrote(1, 4, 21),))
    meant = understand(state, shows(4, 15, took=5), IN_ORDER)
    assert (meant.meaning, meant.units, meant.visible) == (Meaning.DROP, 5, None)
    assert meant.state.writes == state.writes


def test_of_two_writes_the_first_may_be_visible_and_the_second_not_yet() -> None:
    state = key(9, writes=(wrote(1, 4, 10), wrote(2, 2, 30)))
    meant = understand(state, shows(4, 40), IN_ORDER)
    assert (meant.meaning, meant.visible) == (Meaning.AS_EXPECTED, wrote(1, 4, 10))
    assert meant.state.writes == (wrote(2, 2, 30),)
    late = understand(state, shows(4, 151), IN_ORDER)
    assert (late.meaning, late.visible, late.lost) == (Meaning.PUSH_LOST, wrote(1, 4, 10), (wrote(2, 2, 30),))


def test_a_write_that_a_sale_may_have_imitated_is_kept_until_it_can_no_longer_be_applied() -> None:
    state = key(5, sold(1, 15), writes=(wrote(1, 4, 10),))
    meant = understand(state, shows(4, 20), IN_ORDER)
    assert (meant.meaning, meant.visible, meant.state.verified) == (Meaning.AS_EXPECTED, None, False)
    assert meant.state.writes == state.writes
    after = understand(meant.state, shows(4, 131), IN_ORDER).state
    assert (after.writes, after.verified) == ((), True)


def test_a_lowering_that_overtakes_leaves_the_key_in_doubt_until_the_old_write_can_no_longer_land() -> None:
    state = key(9, writes=(wrote(1, 8, 10, 11), wrote(2, 3, 20, 21)))
    seen = understand(state, shows(3, 30), ANY_ORDER)
    assert (seen.visible, seen.state.writes, seen.state.verified) == (
        wrote(2, 3, 20, 21),
        (wrote(1, 8, 10, 11),),
        False,
    )
    landed = understand(seen.state, shows(8, 40), ANY_ORDER)
    assert (landed.meaning, landed.state) == (Meaning.AS_EXPECTED, key(8, at=40, confirmed=2))
    calm = understand(seen.state, shows(3, 140), ANY_ORDER)
    assert calm.state == key(3, at=140, confirmed=2)


def test_a_channel_that_applies_in_order_leaves_no_doubt_behind_a_newer_write() -> None:
    state = key(9, writes=(wrote(1, 8, 10, 11), wrote(2, 3, 20, 21)))
    assert understand(state, shows(3, 30), IN_ORDER).state == key(3, at=30, confirmed=2)


def test_where_writes_apply_at_once_an_accepted_raise_that_is_not_shown_whole_was_sold_from() -> None:
    meant = understand(key(2, writes=(wrote(1, 3, 10, 11),)), shows(2, 20), FRESH)
    assert (meant.meaning, meant.units, meant.state.writes) == (Meaning.DROP, 1, ())


def test_an_unknown_outcome_may_be_either() -> None:
    state = key(9, writes=(wrote(1, 4, 10),))
    assert understand(state, shows(9, 20), FRESH).meaning is Meaning.NOT_VISIBLE_YET
    assert understand(state, shows(4, 20), FRESH).visible == wrote(1, 4, 10)
    assert understand(state, shows(3, 20), FRESH).units == 1


def test_the_answer_of_a_write_is_a_read_that_contains_it() -> None:
    state = key(9, writes=(wrote(1, 4, 10, 12),))
    meant = understand(state, shows(3, 10, took=2, after=1), replace(LAGGING, applies=Applies.IN_ORDER))
    assert (meant.meaning, meant.units, meant.state.writes) == (Meaning.DROP, 1, ())
    stale = shows(3, 10, took=2)
    assert understand(state, stale, replace(LAGGING, applies=Applies.IN_ORDER)).meaning is Meaning.TOO_SOON


def test_what_was_sold_before_a_write_and_after_the_watermark_was_swallowed_and_explains_no_drop() -> None:
    meant = understand(key(9, sold(2, 10), writes=(wrote(1, 9, 20, 21),)), shows(9, 30), FRESH)
    assert (meant.meaning, meant.arrived, meant.contained) == (Meaning.AS_EXPECTED, (sold(2, 10),), ())


def test_an_effect_that_only_the_number_shows_stays_until_the_times_agree() -> None:
    shown = understand(key(9, sold(1, 195), at=-500), shows(8, 200), LAGGING)
    assert (shown.meaning, shown.arrived, shown.state.effects) == (Meaning.AS_EXPECTED, (), (sold(1, 195),))
    assert shown.state.shown == {"1@195"}
    later = understand(shown.state, shows(8, 400), LAGGING)
    assert (later.arrived, later.contained, later.state.effects, later.state.shown) == (
        (sold(1, 195),),
        (),
        (),
        frozenset(),
    )


def test_a_false_drop_that_settling_by_the_number_alone_would_invent() -> None:
    """An unseen order explains the number first; the booked one, which looked like the reason, follows."""
    booked = sold(1, 60.5, name="booked")
    unseen = sold(1, 10, name="unseen")
    state = understand(replace(key(9), effects=(booked,)), shows(8, 60, took=1), FRESH).state
    assert state.shown == {"booked"}
    state = replace(state, effects=(*state.effects, unseen))
    meant = understand(state, shows(7, 120), FRESH)
    assert (meant.meaning, meant.arrived, meant.contained) == (Meaning.AS_EXPECTED, (booked,), (unseen,))


def test_overdue_counts_from_the_answer_and_allows_for_the_lag_of_reads() -> None:
    timing = Timing(grace=seconds(10), staleness=seconds(5))
    assert not overdue(wrote(1, 1, 0, 3), second(18), timing)
    assert overdue(wrote(1, 1, 0, 3), second(18.5), timing)
    assert overdue(wrote(1, 1, 0), second(15.5), timing)


@pytest.mark.parametrize("applies", Applies)
def test_any_read_of_any_number_is_understood(applies: Applies) -> None:
    """Whatever a channel shows has a meaning, and every decisive read moves the watermark."""
    state = key(5, sold(2, 10), sold(-1, 30, 90), writes=(wrote(1, 7, 20, 21), wrote(2, 3, 40)))
    meanings: set[Meaning] = set()
    for value in range(-2, 12):
        for at in (50, 500):
            meant = understand(state, shows(value, at), Timing(applies=applies))
            meanings.add(meant.meaning)
            moved = meant.state.watermark == shows(value, at)
            assert moved == (meant.meaning is not Meaning.NOT_VISIBLE_YET)
            assert bool(meant.units) == (meant.meaning in (Meaning.DROP, Meaning.RISE))
    assert {Meaning.DROP, Meaning.RISE, Meaning.AS_EXPECTED} <= meanings
