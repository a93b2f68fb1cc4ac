"""How often a listing may still be revised: eBay counts, and blocks a listing that was revised too often until the
next day (250 times a calendar day: Inventory API, bulkUpdatePriceQuantity).

eBay does not say where its day begins, so the last 25 hours are counted: what holds for any such span holds for every
calendar day, that of a clock change included. The count is of this process: what was sent before it was started, and
what others change, is not in it.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from channelsync.sdk.clock import Clock

SPAN = timedelta(hours=25)
BLOCKED_FOR = timedelta(hours=1)
"""After eBay said that a listing is blocked, raises wait so long before one is tried again."""


class Revisions:
    """The revisions of the listings of one account. most: in a day. kept: of these, only for lowering a number."""

    def __init__(self, clock: Clock, most: int, kept: int) -> None:
        self._clock = clock
        self._most = most
        self._kept = kept
        self._sent: dict[str, deque[datetime]] = {}
        self._blocked: dict[str, datetime] = {}

    def objection(self, listing: str, *, lowering: bool, planned: int = 0) -> str:
        """Why a listing should not be revised now; "" where nothing speaks against it.

        planned: revisions of it that are about to leave.
        """
        now = self._clock.now()
        if not lowering and now < self._blocked.get(listing, now):
            return f"eBay has blocked listing {listing} for today: it was revised too often"
        used = self.used(listing) + planned
        if used >= self._most:
            return f"listing {listing} was revised {used} times in a day, and eBay allows {self._most}"
        if not lowering and used >= self._most - self._kept:
            return (
                f"listing {listing} was revised {used} times in a day; the last {self._kept} of {self._most} are kept"
                " for lowering its numbers"
            )
        return ""

    def used(self, listing: str) -> int:
        """How often a listing was revised in the last day."""
        sent = self._sent.get(listing)
        if sent is None:
            return 0
        begin = self._clock.now() - SPAN
        while sent and sent[0] <= begin:
            sent.popleft()
        if not sent:
            del self._sent[listing]
        return len(sent)

    def count(self, listing: str) -> None:
        """A revision of a listing leaves now."""
        self._sent.setdefault(listing, deque()).append(self._clock.now())

    def block(self, listing: str) -> None:
        """eBay says that a listing was revised too often."""
        self._blocked[listing] = self._clock.now() + BLOCKED_FOR
