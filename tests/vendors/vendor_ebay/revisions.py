"""How often each listing of the site was revised: eBay counts by its own ids of them, and by the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from vendor_ebay.errors import Flaw, no_revision


class Revisions:
    """The counts. most: revisions of a listing in a day; None: without limit."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._counted: Counter[tuple[str, str]] = Counter()

    def count(self, listings: Sequence[str], now: datetime) -> Flaw | None:
        """Counts one of each; gives why one of them may not be revised, then nothing is counted."""
        if self._most is not None and any(self.of(listing, now) >= self._most for listing in listings):
            return spent(self._most)
        self._counted.update((listing, _day(now)) for listing in listings)
        return None

    def of(self, listing: str, now: datetime) -> int:
        """How often a listing was revised on the day of a moment."""
        return self._counted[listing, _day(now)]


def spent(most: int | None) -> Flaw:
    """What is answered where no revision is left."""
    return no_revision(f"This listing has been revised {most} times today. You can revise it again tomorrow.")


def _day(now: datetime) -> str:
    return now.date().isoformat()
