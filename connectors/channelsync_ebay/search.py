"""The search for orders: windows of time, and pages that are counted by rows while rows come and go.

`getOrders` knows no cursor. A row that leaves the search moves all that follow up by one, and the next page would
skip one. So each page begins with the last row of the one before: where another row stands there, rows have moved, and
the window is read from its beginning again. Long spans are read window by window, so that little is read again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import AwareDatetime, ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.errors import TryLater
from channelsync.sdk.http import Answer
from channelsync.sdk.times import utc_text
from channelsync_ebay import wire
from channelsync_ebay.client import EbayClient
from channelsync_ebay.settings import HISTORY_DAYS_MAX, EbaySettings

WINDOW = timedelta(days=30)
_CLOSED_BEFORE = timedelta(days=1)
"""A window that ends so long ago is given an end; a later one is left open, as an end in eBay's future is an error."""
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that are new in this search, as they came. cursor: where to go on. covered_to: on the last page only."""

    rows: tuple[Any, ...]
    cursor: str
    covered_to: datetime | None = None


class _Cursor(Cursor):
    """A cursor as it is kept. since: changes from here on are wanted."""

    since: AwareDatetime


@dataclass(frozen=True, slots=True)
class _Row:
    row: Any
    name: str
    version: datetime | None


class OrderSearch:
    """The searches of one account. channel: its name, for messages."""

    def __init__(self, channel: str, settings: EbaySettings, client: EbayClient, clock: Clock) -> None:
        self._channel = channel
        self._settings = settings
        self._client = client
        self._clock = clock
        self._back = timedelta(seconds=settings.order_delay_s + settings.skew_s)

    async def changed(self, cursor: str | None) -> AsyncIterator[Page]:
        """Orders that changed since the cursor. While a window is read its cursor leads to its beginning."""
        since = self._since(cursor)
        while True:
            now = self._clock.now()
            end = since + WINDOW if since + WINDOW < now - _CLOSED_BEFORE else None
            found = f"lastmodifieddate:[{_time_text(since)}..{_time_text(end) if end is not None else ''}]"
            held: tuple[Any, ...] | None = None
            begun: Answer | None = None
            async for rows, first in self._window(found):
                if held is not None:
                    yield Page(held, _text(since))
                held, begun = rows, first
            assert begun is not None  # noqa: S101 - a window has a page, even where nothing is on it
            if end is None:
                as_of = min(begun.server_date or begun.asked_at, begun.asked_at)
                yield Page(held or (), _text(max(since, as_of - self._back)), begun.asked_at)
                return
            since = end
            if held:
                yield Page(held, _text(since))

    async def placed_on(self, day: date) -> AsyncIterator[str]:
        """The ids of the orders that were placed on a UTC day."""
        start = datetime.combine(day, time(), tzinfo=UTC)
        now = self._clock.now()
        if start > now + timedelta(seconds=self._settings.skew_s):
            return
        end = start + timedelta(days=1)
        until = _time_text(end - timedelta(milliseconds=1)) if end < now - _CLOSED_BEFORE else ""
        async for rows, _ in self._window(f"creationdate:[{_time_text(start)}..{until}]"):
            for raw in rows:
                try:
                    row = wire.Found.model_validate(raw)
                except ValidationError:
                    continue
                if row.creation_date is None or row.creation_date.date() == day:
                    yield row.order_id

    async def _window(self, found: str) -> AsyncIterator[tuple[tuple[Any, ...], Answer]]:
        """The rows that a filter finds, page by page, each once, with the first answer of the pass that they are of."""
        given: dict[str, datetime | None] = {}
        for _ in range(_TRIES):
            offset, last, first = 0, "", None
            while True:
                page = await self._client.orders(found, self._settings.orders_per_page, offset)
                first = first or page.answer
                rows = _distinct(page.rows)
                if last and (not rows or rows[0].name != last):
                    break
                new = [one for one in rows if one.name not in given or given[one.name] != one.version]
                given |= {one.name: one.version for one in new if one.name}
                yield tuple(one.row for one in new), first
                if offset + len(rows) >= page.total or len(rows) <= bool(last):
                    return
                offset, last = offset + len(rows) - 1, rows[-1].name
        raise TryLater(f"{self._channel}: orders change faster than eBay's pages can be read")

    def _since(self, cursor: str | None) -> datetime:
        now = self._clock.now()
        if cursor is None:
            return now - timedelta(days=self._settings.history_days)
        kept = read_cursor(_Cursor, cursor, self._channel).since
        return max(kept, now - timedelta(days=HISTORY_DAYS_MAX))


def _distinct(page: Sequence[Any]) -> list[_Row]:
    """The rows of a page, each order once: the next page is counted from them."""
    rows = [_row(raw) for raw in page]
    return list({row.name or place: row for place, row in enumerate(rows)}.values())


def _row(raw: Any) -> _Row:
    try:
        row = wire.Found.model_validate(raw)
    except ValidationError:
        name = raw.get("orderId") if isinstance(raw, dict) else None
        return _Row(raw, name if isinstance(name, str) else "", None)
    return _Row(raw, row.order_id, row.last_modified_date)


def _text(since: datetime) -> str:
    return _Cursor(since=since.astimezone(UTC)).model_dump_json()


def _time_text(at: datetime) -> str:
    """A time as a filter takes it."""
    return utc_text(at, "milliseconds")
