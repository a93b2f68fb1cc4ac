"""The order search of a marketplace: an index that learns of changes late and pages that may shift."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from channelsync.lab.marketplace_rules import Pages
from channelsync.lab.marketplace_values import Order

_Rank = tuple[datetime, str]
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class BadCursor(Exception):
    """A cursor that this search did not give."""


@dataclass(frozen=True, slots=True, order=True)
class _Unseen:
    visible_at: datetime
    turn: int
    order: Order = field(compare=False)


class OrderSearch:
    """What the search knows, ordered by the time of the last change that it knows of."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._known: dict[str, Order] = {}
        self._by_change: list[_Rank] = []
        self._by_placing: list[_Rank] = []
        self._unseen: list[_Unseen] = []
        self._turns = 0

    def add(self, order: Order, visible_at: datetime) -> None:
        """A change that is found from `visible_at` on (the lab's true time)."""
        self._turns += 1
        heapq.heappush(self._unseen, _Unseen(visible_at, self._turns, order))

    def learn(self, now: datetime) -> None:
        """Takes in what has become visible. A version older than the one known is ignored."""
        while self._unseen and self._unseen[0].visible_at <= now:
            order = heapq.heappop(self._unseen).order
            known = self._known.get(order.id)
            if known is None:
                insort(self._by_placing, (order.placed_at, order.id))
            elif known.updated_at >= order.updated_at:
                continue
            else:
                del self._by_change[bisect_left(self._by_change, (known.updated_at, known.id))]
            self._known[order.id] = order
            insort(self._by_change, (order.updated_at, order.id))

    def page(
        self, *, since: datetime | None, cursor: str | None, limit: int, site: str | None
    ) -> tuple[list[Order], str | None]:
        """At most `limit` orders changed at or after `since`, and the cursor of the next page.

        Raises BadCursor. site: None for every site.
        """
        start = bisect_left(self._by_change, (since or _BEGINNING, ""))
        if self._pages == "stable":
            at = bisect_right(self._by_change, _rank(cursor)) if cursor else start
            rows, at = self._rows(self._by_change, at, limit, site)
            more = at < len(self._by_change)
            return rows, _token(rows[-1].updated_at, rows[-1].id) if more and rows else None
        skip = _row_number(cursor) if cursor else 0
        rows, at = self._rows(self._by_change, start, skip + limit, site)
        more = at < len(self._by_change)
        return rows[skip:], f"r{skip + limit}" if more else None

    def ids_of_day(
        self, day: date, *, cursor: str | None, limit: int, site: str | None
    ) -> tuple[list[str], str | None]:
        """Ids of the orders placed on a UTC day of the marketplace's clock, oldest first. Raises BadCursor."""
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        start = bisect_left(self._by_placing, (begins, ""))
        end = bisect_left(self._by_placing, (begins + timedelta(days=1), ""))
        at = bisect_right(self._by_placing, _rank(cursor)) if cursor else start
        rows, at = self._rows(self._by_placing[:end], max(at, start), limit, site)
        more = at < end and bool(rows)
        return [order.id for order in rows], _token(rows[-1].placed_at, rows[-1].id) if more else None

    def _rows(self, ranks: list[_Rank], at: int, limit: int, site: str | None) -> tuple[list[Order], int]:
        rows: list[Order] = []
        while at < len(ranks) and len(rows) < limit:
            order = self._known[ranks[at][1]]
            if site is None or order.site == site:
                rows.append(order)
            at += 1
        return rows, at


def _token(at: datetime, order: str) -> str:
    return f"k{at.isoformat().replace('+00:00', 'Z')}~{order}"


def _rank(cursor: str) -> _Rank:
    text, _, order = cursor.removeprefix("k").partition("~")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadCursor(cursor) from None
    if at.tzinfo is None:
        raise BadCursor(cursor)
    return at, order


def _row_number(cursor: str) -> int:
    digits = cursor.removeprefix("r")
    if not digits.isdecimal() or len(digits) > 9:
        raise BadCursor(cursor)
    return int(digits)
