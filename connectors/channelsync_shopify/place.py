"""Where the search for orders goes on: within a round by Shopify's own cursor, between rounds by the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.http import Answer
from channelsync.sdk.values import OrderSnapshot
from channelsync_shopify.settings import ORDER_OVERLAP, SKEW


class _Cursor(Cursor):
    """A cursor as it is kept. since, moved_since, as_of: Shopify's clock; asked: ours. See `Place`."""

    since: datetime | None = None
    moved_since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the search for orders goes on.

    since: changes from here on are wanted; None: all. moved_since: likewise of fulfilment orders, once the round has
    begun; None: none are wanted, for this round reads all orders. asked, as_of: when the first page of this round was
    asked for, by our clock and by Shopify's; what the search found later may be missing among earlier pages, so the
    next round starts from here.
    """

    since: datetime | None = None
    moved_since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None
    covered_to: datetime | None = None

    @classmethod
    def read(cls, cursor: str, channel: str) -> Place:
        """The place that a cursor names. Raises ValueError."""
        kept = read_cursor(_Cursor, cursor, channel)
        return cls(kept.since, kept.moved_since, kept.asked, kept.as_of)

    @property
    def text(self) -> str:
        """The cursor to be kept."""
        kept = _Cursor(since=self.since, moved_since=self.moved_since, asked=self.asked, as_of=self.as_of)
        return kept.model_dump_json()

    def started(self, answer: Answer) -> Place:
        """The round has begun, if it had not before. Of two clocks the one that is behind counts."""
        if self.asked is not None:
            return self
        theirs = answer.server_date or answer.answered_at
        took = answer.answered_at - answer.asked_at
        as_of = min(theirs - took, answer.asked_at)
        return replace(self, moved_since=self.since, asked=answer.asked_at, as_of=as_of)

    def moved_on(self, orders: Sequence[OrderSnapshot]) -> Place:
        """To the time of the last order of this page: whoever resumes reads the orders of that second again."""
        newest = max((one.version for one in orders), default=None)
        if newest is None or (self.since is not None and newest < self.since):
            return self
        return replace(self, since=newest)

    def searched(self, changed: Iterable[datetime]) -> Place:
        """To the time of the last fulfilment order of this page; likewise."""
        return replace(self, moved_since=max(changed, default=self.moved_since))

    def done(self) -> Place:
        """The next round: it goes back a little, for changes that are found late and for times without fractions."""
        since = None if self.as_of is None else self.as_of - ORDER_OVERLAP - SKEW
        return Place(since=since, covered_to=self.asked)
