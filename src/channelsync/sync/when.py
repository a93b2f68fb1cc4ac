"""When a task of the schedule runs: every so often, or by the civil clock of a time zone. Pure.

A run by the civil clock has a slot: the moment for which it was due. Slots only go forward, so a clock that goes back
runs no slot again. A slot in a gap of the civil clock is the first moment after the gap, one in an overlap the first
of the two; where a gap reaches to midnight, the last minute before it. So a task that is due once a day has exactly one
slot on every civil day. After a time without any worker the
newest slot that was missed is run once, not each of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LEAP = timedelta(hours=50)
"""Clocks are taken to leap by a day at most, either way one after the other. A slot may be so much further away than
usual after a clock went back; if it is further, the clock was wrong when it was planned, and it is planned anew."""

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)
_DOUBLINGS_MAX = 10
_MINUTE = timedelta(minutes=1)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again, so long after one another; the first time at once."""

    span: timedelta

    def __str__(self) -> str:
        seconds = int(self.span.total_seconds())
        for unit, each in (("d", 86_400), ("h", 3_600), ("m", 60)):
            if seconds and seconds % each == 0:
                return f"every {seconds // each}{unit}"
        return f"every {seconds}s"


@dataclass(frozen=True, slots=True)
class Civil:
    """By the clock on the wall: a cron expression of five fields, and the name of a time zone."""

    cron: str
    zone: str

    def __str__(self) -> str:
        minute, hour, *rest = self.cron.split()
        if rest == ["*", "*", "*"] and minute.isdecimal() and hour.isdecimal():
            return f"daily at {int(hour):02}:{int(minute):02} {self.zone}"
        return f"{self.cron} {self.zone}"


When = Every | Civil


def daily(at: time, zone: str) -> Civil:
    """Once on every civil day of the zone, to the minute."""
    return Civil(f"{at.minute} {at.hour} * * *", zone)


def civil_from(text: str, zone: str) -> Civil:
    """From "03:30", or a cron expression of five fields. Raises ValueError for what is neither, or never comes."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return daily(time(int(clock[1]), int(clock[2])), zone)
    when = Civil(" ".join(text.split()), zone)
    try:
        next_run(when, datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, StopIteration) as error:
        raise ValueError(
            'should be a time of the day such as "03:30", or a cron expression such as "30 3 * * 0"'
        ) from error
    if len(when.cron.split()) != 5:
        raise ValueError("should be a cron expression of five fields: minute, hour, day, month, weekday")
    return when


def next_run(when: When, after: datetime) -> datetime:
    """The first slot after this moment, aware UTC; of an interval: the moment itself and the interval."""
    if isinstance(when, Every):
        return after + when.span
    return _next_slot(when, after.astimezone(UTC))


@lru_cache(maxsize=1024)
def _next_slot(when: Civil, after: datetime) -> datetime:
    """A search begun within an overlap may find what lies before it: those are passed over."""
    search = CronSim(when.cron, after.astimezone(ZoneInfo(when.zone)))
    for found in search:
        moved = found.hour not in search.hours or found.minute not in search.minutes
        early = _MINUTE if moved and found.hour == found.minute == 0 else timedelta()
        slot = found.astimezone(UTC) - early
        if slot > after:
            return slot
    raise StopIteration(f"{when} never comes after {after}")


def first_run(when: When, now: datetime) -> datetime:
    """When a task runs that never ran: at once, or at its civil time."""
    return now if isinstance(when, Every) else next_run(when, now)


def run_after(when: When, slot: datetime, now: datetime, *, asked: bool) -> datetime:
    """When a task runs again whose run for `slot` has just ended well. asked: it ran before its slot had come.

    An interval keeps its pace, whatever the runs take; slots that were missed are not made up for.
    """
    if isinstance(when, Every):
        if asked or slot > now:
            return now + when.span
        return slot + when.span * ((now - slot) // when.span + 1)
    if asked and slot > now:
        return slot
    return next_run(when, max(slot, now))


def retry_after(failures: int, regular: datetime, now: datetime) -> datetime:
    """When a task is tried again that failed so often in a row: soon, then later, at its next run at the latest."""
    pause = min(FIRST_RETRY * (1 << min(failures - 1, _DOUBLINGS_MAX)), LONGEST_RETRY)
    return min(regular, now + pause)


def replanned(when: When, now: datetime, *, changed: bool, planned: datetime, failures: int) -> datetime | None:
    """When a task with a row runs instead of as planned; None: as planned.

    changed: the configuration says otherwise than when it was planned: then an interval begins at once. Planned anew
    is also what the time zone database has changed since, and what lies further ahead than it can, because a clock was
    wrong when it was planned.
    """
    if changed:
        return first_run(when, now)
    if isinstance(when, Every):
        return now + when.span if planned > now + when.span else None
    if planned <= now:
        return None
    if planned > now + LEAP and planned > next_run(when, now + LEAP):
        return next_run(when, now)
    off = not failures and next_run(when, planned - timedelta(microseconds=1)) != planned
    return next_run(when, now) if off else None
