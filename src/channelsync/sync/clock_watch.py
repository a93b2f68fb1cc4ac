"""Whether the wall clock is believed: for what a clock that leaps would do too early and nobody could undo.

Intervals go by the monotonic clock and leases by the database's. What an order holds until a certain time goes by the
wall clock, and a clock that leaps a day ahead would end all of it at once. So after a start, and after a leap, the
clock counts for that only when a channel's clock agrees with it, or when it has gone steadily for a while and no
channel contradicts. See docs/schedule.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger(__name__)

LEAP_GUARD = timedelta(minutes=10)
"""How long a clock must have gone steadily where no channel tells the time."""

STEP = timedelta(minutes=2)
"""A clock that is moved by less than this is set right, as NTP does; more is a leap."""


@dataclass(slots=True)
class ClockWatch:
    """One process's watch over its wall clock. `look` is called about once a minute.

    wrong: what speaks against the clock now; empty: nothing does. went_back: it did since whoever looks after that has
    taken it back to False; None: this process has just begun, and cannot know.
    """

    wrong: str = ""
    went_back: bool | None = None
    _offset: float | None = None
    _steady_since: float = 0.0
    _witnessed: bool = False

    def look(self, now: datetime, monotonic: float, witnesses: Iterable[tuple[str, timedelta]]) -> None:
        """Notices leaps. witnesses: who tells the time, and how far ahead of ours theirs is, within a few minutes."""
        offset = now.timestamp() - monotonic
        if self._offset is None or abs(offset - self._offset) > STEP.total_seconds():
            if self._offset is not None:
                log.warning("clock.leapt", seconds=round(offset - self._offset))
                self.went_back = self.went_back or offset < self._offset
            self._steady_since = monotonic
        self._offset = offset
        told = list(witnesses)
        self._witnessed = any(abs(ahead) <= STEP for _, ahead in told)
        against = [f"{name} is {round(ahead.total_seconds())} s ahead of it" for name, ahead in told]
        self.wrong = "; ".join(against) if against and not self._witnessed else ""

    def believed(self, monotonic: float) -> bool:
        """Whether something may end because of the time that it is."""
        if self._offset is None or self.wrong:
            return False
        return self._witnessed or monotonic - self._steady_since >= LEAP_GUARD.total_seconds()
