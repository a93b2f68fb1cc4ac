"""When tasks run: every civil day once, in every zone; intervals by their row; clocks that leap."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sync.when import (
    FIRST_RETRY,
    LEAP,
    LONGEST_RETRY,
    Civil,
    Every,
    civil_from,
    daily,
    first_run,
    next_run,
    replanned,
    retry_after,
    run_after,
)

# By what their clocks do, and the time of the day at which they do it.
ZONES = {
    "Africa/Cairo": time(0, 30),
    "Africa/Casablanca": time(2, 30),
    "America/Asuncion": time(0, 0),
    "America/Godthab": time(23, 45),
    "America/Havana": time(0, 30),
    "America/New_York": time(1, 30),
    "America/Santiago": time(0, 15),
    "America/Sao_Paulo": time(0, 0),
    "America/St_Johns": time(2, 1),
    "Antarctica/Troll": time(2, 30),
    "Asia/Beirut": time(0, 59),
    "Asia/Gaza": time(0, 30),
    "Asia/Kathmandu": time(3, 30),
    "Asia/Tehran": time(0, 30),
    "Australia/Lord_Howe": time(1, 45),
    "Europe/Dublin": time(1, 30),
    "Europe/London": time(1, 0),
    "Pacific/Apia": time(3, 30),
    "Pacific/Chatham": time(2, 50),
    "Pacific/Kiritimati": time(0, 0),
}
BEGIN, END = date(2020, 1, 1), date(2041, 1, 1)
FIRST, LAST = (datetime.combine(day, time()) for day in (BEGIN, date(2040, 12, 1)))
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIGHTLY = daily(time(3, 30), "Europe/London")


def civil_minutes(day: date, zone: str) -> list[datetime]:
    """Every minute of a civil day, one after the other, as zoneinfo knows it."""
    begin = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) - timedelta(hours=3)
    minutes = (begin + MINUTE * number for number in range(31 * 60))
    return [one for one in minutes if one.astimezone(ZoneInfo(zone)).date() == day]


def brute_force(day: date, at: time, zone: str) -> datetime:
    """The first minute of the day at which its clock shows this time or has passed it; else the last of the day."""
    minutes = civil_minutes(day, zone)
    reached = (one for one in minutes if one.astimezone(ZoneInfo(zone)).time() >= at)
    return next(reached, minutes[-1])


@pytest.mark.fault(62, "a daily task has exactly one slot on every civil day, gaps and overlaps of the clock included")
@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_task_has_one_slot_on_every_civil_day_for_twenty_years(zone: str) -> None:
    when, clock = daily(ZONES[zone], zone), ZoneInfo(zone)
    slot = datetime.combine(BEGIN, time(), clock).astimezone(UTC) - MINUTE
    days = []
    while not days or days[-1] < END:
        slot = next_run(when, slot)
        days.append(slot.astimezone(clock).date())
    assert days == [BEGIN + timedelta(days=number) for number in range((END - BEGIN).days + 1)]


def around_changes(zone: str) -> list[date]:
    """The days on which the clock of a zone is moved, and their neighbours."""
    offsets = [(BEGIN + timedelta(days=number)) for number in range((END - BEGIN).days)]
    clock = ZoneInfo(zone)
    known = [(day, datetime.combine(day, time(12), clock).utcoffset()) for day in offsets]
    changed = {day for (day, now), (_, before) in zip(known[1:], known, strict=False) if now != before}
    return sorted({day + timedelta(days=by) for day in changed for by in (-1, 0, 1)} or {BEGIN})


DAYS = {zone: around_changes(zone) for zone in ("Europe/London", "Australia/Lord_Howe", "America/Godthab", "Asia/Gaza")}


@given(data=st.data(), zone=st.sampled_from(sorted(DAYS)), at=st.times().map(lambda at: time(at.hour, at.minute)))
def test_the_slot_of_a_day_is_the_one_that_trying_every_minute_finds(data: st.DataObject, zone: str, at: time) -> None:
    day = data.draw(st.sampled_from(DAYS[zone]))
    expected = brute_force(day, at, zone)
    assert next_run(daily(at, zone), expected - timedelta(microseconds=1)) == expected


@given(
    zone=st.sampled_from(sorted(ZONES)),
    at=st.times().map(lambda at: time(at.hour, at.minute)),
    moment=st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    later=st.timedeltas(timedelta(), timedelta(hours=30)),
)
def test_the_next_slot_does_not_depend_on_when_one_asks(
    zone: str, at: time, moment: datetime, later: timedelta
) -> None:
    when = daily(at, zone)
    slot = next_run(when, moment)
    assert slot > moment
    assert next_run(when, min(moment + later, slot - timedelta(microseconds=1))) == slot


@pytest.mark.parametrize(
    ("at", "zone", "day", "expected"),
    [
        (time(2, 30), "America/New_York", date(2026, 3, 8), "2026-03-08T03:00:00-04:00"),
        (time(1, 30), "America/New_York", date(2026, 11, 1), "2026-11-01T01:30:00-04:00"),
        (time(0, 0), "America/New_York", date(2026, 3, 9), "2026-03-09T00:00:00-04:00"),
        (time(2, 15), "Australia/Lord_Howe", date(2026, 10, 4), "2026-10-04T02:30:00+11:00"),
        (time(1, 45), "Australia/Lord_Howe", date(2026, 4, 5), "2026-04-05T01:45:00+11:00"),
        (time(23, 45), "America/Godthab", date(2026, 3, 28), "2026-03-28T22:59:00-02:00"),
        (time(3, 30), "Asia/Kathmandu", date(2026, 3, 8), "2026-03-08T03:30:00+05:45"),
    ],
)
def test_gaps_and_overlaps_are_met_as_documented(at: time, zone: str, day: date, expected: str) -> None:
    begin = datetime.combine(day, time(), ZoneInfo(zone)) - timedelta(seconds=1)
    assert next_run(daily(at, zone), begin).astimezone(ZoneInfo(zone)).isoformat() == expected


def test_a_cron_expression_runs_by_the_wall_clock() -> None:
    sundays = civil_from("30 3 * * 0", "Europe/London")
    assert next_run(sundays, NOON) == datetime(2026, 3, 8, 3, 30, tzinfo=UTC)
    assert next_run(sundays, datetime(2026, 3, 29, 2, 29, tzinfo=UTC)) == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
    assert str(sundays) == "30 3 * * 0 Europe/London"
    assert str(NIGHTLY) == "daily at 03:30 Europe/London"


@pytest.mark.parametrize(
    "text", ["3", "25:00", "03:60", "never", "* * * *", "0 0 30 2 *", "0 30 3 * * 0", "61 3 * * *"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        civil_from(text, "UTC")


def test_a_new_task_runs_at_once_by_an_interval_and_at_its_time_by_the_clock() -> None:
    assert first_run(Every(timedelta(hours=6)), NOON) == NOON
    assert first_run(NIGHTLY, NOON) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("span", [timedelta(seconds=90), timedelta(minutes=5), timedelta(hours=12), timedelta(days=7)])
def test_an_interval_says_how_long_it_is_in_the_largest_whole_unit(span: timedelta) -> None:
    texts = {90: "every 90s", 300: "every 5m", 43_200: "every 12h", 604_800: "every 7d"}
    assert str(Every(span)) == texts[int(span.total_seconds())]


@given(span=st.timedeltas(timedelta(minutes=1), timedelta(days=2)), late=st.timedeltas(timedelta(), timedelta(days=9)))
def test_an_interval_keeps_its_pace_and_makes_up_for_nothing(span: timedelta, late: timedelta) -> None:
    now = NOON + late
    then = run_after(Every(span), NOON, now, asked=False)
    assert now < then <= now + span
    assert (then - NOON) % span == timedelta()


def test_slots_that_were_missed_are_one_run() -> None:
    after = run_after(
        NIGHTLY, datetime(2026, 3, 2, 3, 30, tzinfo=UTC), datetime(2026, 3, 9, 9, tzinfo=UTC), asked=False
    )
    assert after == datetime(2026, 3, 10, 3, 30, tzinfo=UTC)


def test_a_run_out_of_turn_takes_no_slot_away_and_begins_an_interval_anew() -> None:
    slot = datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    assert run_after(NIGHTLY, slot, NOON, asked=True) == slot
    assert run_after(Every(timedelta(hours=6)), slot, NOON, asked=True) == NOON + timedelta(hours=6)


def test_what_failed_is_tried_again_soon_then_later_and_never_after_its_next_run() -> None:
    far, near = NOON + timedelta(days=1), NOON + timedelta(seconds=30)
    pauses = [retry_after(failures, far, NOON) - NOON for failures in range(1, 12)]
    assert pauses[:3] == [FIRST_RETRY, FIRST_RETRY * 2, FIRST_RETRY * 4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_RETRY
    assert retry_after(3, near, NOON) == near


def planned_anew(when: Every | Civil, planned: datetime, now: datetime = NOON, **said: int) -> datetime | None:
    return replanned(when, now, changed=bool(said.get("changed")), planned=planned, failures=said.get("failures", 0))


def test_a_changed_configuration_plans_anew() -> None:
    assert planned_anew(Every(timedelta(hours=6)), NOON + timedelta(hours=1), changed=True) == NOON
    assert planned_anew(NIGHTLY, NOON + timedelta(hours=1), changed=True) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    assert planned_anew(NIGHTLY, datetime(2026, 3, 3, 3, 30, tzinfo=UTC)) is None


def test_a_zone_whose_rules_were_changed_moves_the_slots_that_are_planned_but_no_retry() -> None:
    an_hour_off = datetime(2026, 3, 3, 4, 30, tzinfo=UTC)
    assert planned_anew(NIGHTLY, an_hour_off) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    assert planned_anew(NIGHTLY, an_hour_off, failures=1) is None
    assert planned_anew(NIGHTLY, NOON - timedelta(minutes=1)) is None, "it is due"


MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
leaps = st.timedeltas(-timedelta(days=1), timedelta(days=1))


def days_of(zone: str, runs: list[datetime]) -> list[date]:
    return [slot.astimezone(ZoneInfo(zone)).date() for slot in runs]


@pytest.mark.fault(61, "clocks that leap by a day either way run no slot twice and leave out no civil day")
@given(
    zone=st.sampled_from(sorted(ZONES)),
    begin=st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    steps=st.lists(st.tuples(st.timedeltas(timedelta(minutes=1), timedelta(hours=9)), st.none() | leaps), max_size=40),
)
def test_a_clock_that_leaps_runs_no_slot_twice_and_leaves_out_no_civil_day(
    zone: str, begin: datetime, steps: list[tuple[timedelta, timedelta | None]]
) -> None:
    """One leap at a time: a second one comes only after the first was undone, as when NTP puts a clock right.

    Somebody looks just before each leap, as a ticker does: a slot that was passed unseen would be one with the next.
    """
    when = daily(ZONES[zone], zone)
    true, ahead = begin, timedelta()
    planned = first_run(when, begin)
    slots: list[datetime] = []

    def look(now: datetime) -> None:
        nonlocal planned
        planned = replanned(when, now, changed=False, planned=planned, failures=0) or planned
        if planned <= now:
            slots.append(planned)
            planned = run_after(when, planned, now, asked=False)

    for passed, leap in steps:
        true += passed
        look(true + ahead)
        if leap is not None:
            ahead = leap if not ahead else timedelta()
            look(true + ahead)
    while true < begin + timedelta(days=20):
        true += timedelta(hours=1)
        look(true)
    days = days_of(zone, slots)
    assert len(set(days)) == len(days), "no civil day has two"
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))], "and none is left out"


@pytest.mark.fault(61, "an interval never waits longer than it is, whatever the clock did")
@given(
    span=st.timedeltas(timedelta(minutes=1), timedelta(days=1)),
    ahead=st.timedeltas(timedelta(), timedelta(days=4000)),
)
def test_an_interval_that_a_wrong_clock_planned_far_ahead_begins_anew(span: timedelta, ahead: timedelta) -> None:
    planned = NOON + span + ahead
    then = planned_anew(Every(span), planned) or planned
    assert then <= NOON + span


def test_a_slot_that_a_clock_planned_which_was_years_ahead_is_planned_anew() -> None:
    assert planned_anew(NIGHTLY, datetime(2036, 3, 3, 3, 30, tzinfo=UTC)) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    assert planned_anew(NIGHTLY, next_run(NIGHTLY, NOON + LEAP)) is None
