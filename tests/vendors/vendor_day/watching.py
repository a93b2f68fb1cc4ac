"""Watching numbers over the day: how long one stood wrong that nobody had typed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from channelsync.sdk.clock import Clock
from vendor_day.wrong import Wrong

LOOKS_EVERY = timedelta(minutes=20)


class Watch:
    """Looks at all numbers now and then. longest: by channel, how long the same wrong number stood where the same
    other one should have been, to `LOOKS_EVERY`. Numbers of `typed` listings are found by the sweep only, and left out.
    """

    def __init__(
        self, drift: Callable[[], Mapping[str, tuple[Wrong, ...]]], typed: Collection[tuple[str, str]]
    ) -> None:
        self.longest: dict[str, timedelta] = {}
        self._drift = drift
        self._typed = frozenset(typed)
        self._since: dict[tuple[str, Wrong], datetime] = {}

    async def run(self, clock: Clock) -> None:
        """Until cancelled."""
        while True:
            await clock.sleep(LOOKS_EVERY.total_seconds())
            self.look(clock.now())

    def look(self, now: datetime) -> None:
        """Compares once."""
        found = {(name, one) for name, some in self._drift().items() for one in some}
        wrong = {each for each in found if (each[0], each[1].listing) not in self._typed}
        self._since = {each: self._since.get(each, now) for each in wrong}
        for (name, _), since in self._since.items():
            self.longest[name] = max(self.longest.get(name, timedelta(0)), now - since)
