"""Where the search for orders goes on: within a round and between rounds by the time of the last change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.paging import leads_back
from channelsync.sdk.values import OrderSnapshot, UnreadableOrder
from channelsync_sandbox import wire

_TICK = timedelta(microseconds=1)


class _Cursor(Cursor):
    """A cursor as it is kept. since, as_of: the marketplace's clock; asked: ours. See `Place`."""

    since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the search for orders goes on.

    since: changes from here on are wanted; None: all. after: the marketplace's own cursor, only where a page has no
    readable time to go on from. asked, as_of: when the first page of this round was asked for, by our clock and by
    theirs; what became visible later may be missing among earlier pages, so the next round starts from here.
    """

    since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None
    after: str | None = None
    covered_to: datetime | None = None

    @classmethod
    def read(cls, cursor: str, channel: str) -> Place:
        """The place that a cursor names. Raises ValueError."""
        kept = read_cursor(_Cursor, cursor, channel)
        return cls(kept.since, kept.asked, kept.as_of)

    @property
    def text(self) -> str:
        """The cursor to be kept. It says nothing of `after`, which does not outlive a round."""
        return _Cursor(since=self.since, asked=self.asked, as_of=self.as_of).model_dump_json()

    def started(self, *, asked: datetime, as_of: datetime) -> Place:
        """The round has begun, if it had not before."""
        return self if self.asked is not None else replace(self, asked=asked, as_of=as_of)

    def moved_on(self, page: wire.OrdersPage, rows: Sequence[OrderSnapshot | UnreadableOrder], name: str) -> Place:
        """To the change after the last readable one of this page: no two changes have one time."""
        versions = [one.version for one in rows if isinstance(one, OrderSnapshot)]
        newest = max(versions, default=None)
        if newest is None or (self.since is not None and newest < self.since):
            if page.next == self.after:
                raise leads_back(f"{name}: the search for orders")
            return replace(self, after=page.next)
        return replace(self, since=newest + _TICK, after=None)

    def done(self, overlap_s: float) -> Place:
        """The next round: it goes back by the overlap, for changes that are found late."""
        since = None if self.as_of is None else self.as_of - timedelta(seconds=overlap_s)
        return Place(since=since, covered_to=self.asked)
