"""Where the search for orders goes on: a round of pages by Amazon's own token, the next round by the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.http import Answer
from channelsync.sdk.times import utc_text
from channelsync_amazon import wire
from channelsync_amazon.settings import BLIND

TOKEN_LIFE = timedelta(hours=23)
"""Amazon says 24 hours."""


class _Cursor(Cursor):
    """A cursor as it is kept. since, as_of: Amazon's clock; asked, token_at: ours. See `Place`."""

    since: datetime
    asked: datetime | None = None
    as_of: datetime | None = None
    token: str | None = None
    token_at: datetime | None = None
    all_orders: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the search for orders is.

    since: changes from here on are wanted. token: of the next page of the round under way, with the time we got it;
    None: the round begins. asked, as_of: when the round's first page was asked for, by our clock, and up to which
    change it tells, by Amazon's: what changed later may be missing among its pages, so the next round starts there.
    all_orders: whether the round brings orders that Amazon fulfils too: a token is good for the search that it came
    from only.
    """

    since: datetime
    asked: datetime | None = None
    as_of: datetime | None = None
    token: str | None = None
    token_at: datetime | None = None
    all_orders: bool = False
    covered_to: datetime | None = None

    @classmethod
    def read(cls, cursor: str, channel: str) -> Place:
        """The place that a cursor names. Raises ValueError."""
        kept = read_cursor(_Cursor, cursor, channel)
        return cls(kept.since, kept.asked, kept.as_of, kept.token, kept.token_at, kept.all_orders)

    @property
    def text(self) -> str:
        """The cursor to be kept."""
        return _Cursor(
            since=self.since,
            asked=self.asked,
            as_of=self.as_of,
            token=self.token,
            token_at=self.token_at,
            all_orders=self.all_orders,
        ).model_dump_json(exclude_none=True)

    @property
    def params(self) -> dict[str, str]:
        """What names the search; the same with each of its pages.

        An end is not asked for: Amazon takes its own clock's two minutes ago, and ours may be ahead of it.
        """
        return {"lastUpdatedAfter": time_text(self.since)}

    def resumed(self, now: datetime, *, all_orders: bool) -> Place:
        """As it is used now: a token that is old, or of another search, is not."""
        fresh = self.token_at is not None and now - self.token_at < TOKEN_LIFE
        if self.token is not None and fresh and self.all_orders == all_orders:
            return self
        return replace(self.restarted(), all_orders=all_orders)

    def restarted(self) -> Place:
        """The round from its beginning."""
        return Place(self.since, all_orders=self.all_orders)

    def started(self, page: wire.OrdersPage, answer: Answer) -> Place:
        """The round has begun, if it had not before."""
        if self.asked is not None:
            return self
        theirs = page.last_updated_before or (answer.server_date or answer.asked_at) - BLIND
        return replace(self, asked=answer.asked_at, as_of=min(theirs, answer.asked_at))

    def moved_on(self, token: str, now: datetime) -> Place:
        """To the next page."""
        return replace(self, token=token, token_at=now)

    def done(self, overlap: timedelta) -> Place:
        """The next round: it goes back a little, for changes that are found late.

        What is covered ends where Amazon says that its answer does, and never later than it can.
        """
        if self.asked is None or self.as_of is None:
            return self.restarted()
        covered_to = min(self.as_of, self.asked - BLIND)
        return Place(max(self.since, self.as_of - overlap), all_orders=self.all_orders, covered_to=covered_to)


def time_text(at: datetime) -> str:
    """A time as Amazon takes it: ISO 8601, UTC, milliseconds."""
    return utc_text(at, "milliseconds")
