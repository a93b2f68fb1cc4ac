"""Where the search for orders goes on: a round is two searches, in the trash and elsewhere, each by the last second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.paging import leads_back
from channelsync_woocommerce.translate import place_of


class _Cursor(Cursor):
    """A cursor as it is kept. See `Place`."""

    begin: datetime | None = None
    since: datetime | None = None
    asked: datetime | None = None
    stream: Literal["trash", "any"] = "trash"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the search for orders goes on.

    begin: changes from here on are wanted in this round; None: all. since: how far it has come; the whole second is
    asked for again, because the shop tells no smaller part. seen: the orders of that second, and those that tell no
    time, which have been given already. asked: when the round's first page was asked for: what changed later may be
    missing among earlier pages, so the next round starts from here.
    """

    begin: datetime | None = None
    since: datetime | None = None
    asked: datetime | None = None
    stream: Literal["trash", "any"] = "trash"
    covered_to: datetime | None = None
    seen: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def read(cls, cursor: str, channel: str) -> Place:
        """The place that a cursor names. Raises ValueError."""
        kept = read_cursor(_Cursor, cursor, channel)
        return cls(kept.begin, kept.since, kept.asked, kept.stream)

    @property
    def text(self) -> str:
        """The cursor to be kept. What was seen is not in it: a second is read again after a restart."""
        return _Cursor(begin=self.begin, since=self.since, asked=self.asked, stream=self.stream).model_dump_json()

    def started(self, asked: datetime) -> Place:
        """The round has begun, if it had not before."""
        return self if self.asked is not None else replace(self, asked=asked)

    def moved_on(self, rows: Iterable[Any], channel: str) -> Place:
        """To the last second of this page."""
        told = [place_of(row) for row in rows]
        new = {number for number, _ in told if number is not None} - self.seen
        if not new:
            raise leads_back(f"{channel}: the search for orders")
        last = max((at for _, at in told if at is not None), default=None)
        if last is None or (self.since is not None and last <= self.since):
            return replace(self, seen=self.seen | new)
        same = {number for number, at in told if number is not None and (at is None or at >= last)}
        return replace(self, since=last, seen=frozenset(same))

    def on_to_the_others(self) -> Place:
        """The round's second search."""
        return replace(self, since=self.begin, stream="any", seen=frozenset())

    def done(self, back: timedelta) -> Place:
        """The next round: it goes back a little, for changes that are found late."""
        begin = None if self.asked is None else self.asked - back
        return Place(begin=begin, since=begin, covered_to=self.asked)
