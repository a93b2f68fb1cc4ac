"""Orders from files: what all sources of them have in common, and a document that is asked for again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from channelsync.sdk.clock import Clock
from channelsync.sdk.cursors import Cursor, read_cursor
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.values import OrderPage, OrderSnapshot, UnreadableOrder
from channelsync_files import translate, wire
from channelsync_files.documents import Documents
from channelsync_files.sections_orders import OrdersIn

Found = OrderSnapshot | UnreadableOrder


class OrderSource(Protocol):
    """Where orders come from; see `Channel` for what each must do."""

    def pages(self, cursor: str | None) -> AsyncIterator[OrderPage]: ...

    async def by_id(self, orders: Sequence[str]) -> list[Found]: ...

    async def ids_of(self, day: date) -> list[str]: ...


class OrderCursor(Cursor):
    """A cursor as it is kept. taken, row: of a log, the file and how many of its orders were given. since: of a
    document, the time from which changes are still wanted."""

    taken: str = ""
    row: int = 0
    since: datetime | None = None

    @classmethod
    def read(cls, text: str | None, channel: str) -> OrderCursor:
        """The cursor; None is the beginning. Raises ValueError for one that is none of this connector."""
        return cls() if text is None else read_cursor(cls, text, channel)


def parsed(content: bytes, how: OrdersIn, file: str, taken: datetime) -> list[Found]:
    """The orders of a file. Raises wire.BadFile."""
    required = {"order", "units", "placed_at"} | ({"changed_at"} if how.version == "changed_at" else set())
    rows = wire.parse(content, how, wire.columns_of(how.columns), required)
    return translate.orders_of(rows, how, file, taken)


class OrderDocument:
    """Orders at an address, which answers all of them, or those that changed since a time that it is told."""

    def __init__(self, documents: Documents, how: OrdersIn, back: timedelta, channel: str) -> None:
        self._documents, self._how, self._back, self._channel = documents, how, back, channel

    async def pages(self, cursor: str | None) -> AsyncIterator[OrderPage]:
        """One request; what changed before the cursor is left out. The next search begins a little before this one."""
        since = OrderCursor.read(cursor, self._channel).since
        found, asked = await self._get(since)
        odd = [one for one in found if isinstance(one, UnreadableOrder)]
        changed = [one for one in found if isinstance(one, OrderSnapshot) and (since is None or one.version >= since)]
        changed.sort(key=lambda one: (one.version, one.order))
        size = self._how.per_page
        while len(changed) > size:
            page, changed = changed[:size], changed[size:]
            yield page_of(page, OrderCursor(since=page[-1].version), None)
        yield page_of([*changed, *odd], OrderCursor(since=asked - self._back), asked)

    async def by_id(self, orders: Sequence[str]) -> list[Found]:
        """Reads the whole document."""
        found = {one.order: one for one in (await self._get(None))[0]} if orders else {}
        return [found[order] for order in orders if order in found]

    async def ids_of(self, day: date) -> list[str]:
        """Reads the whole document."""
        found, _ = await self._get(None)
        return [one.order for one in found if isinstance(one, OrderSnapshot) and one.placed_at.date() == day]

    async def _get(self, since: datetime | None) -> tuple[list[Found], datetime]:
        document = await self._documents.get(self._how, since)
        try:
            found = await asyncio.to_thread(parsed, document.content, self._how, self._how.path, document.asked)
        except wire.BadFile as error:
            raise AnswerUnreadable(f"{self._channel}: {self._how.path}: {error}") from None
        return found, document.asked


class NoOrders:
    """The other system tells no orders."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def pages(self, cursor: str | None) -> AsyncIterator[OrderPage]:
        """An empty page."""
        yield page_of([], OrderCursor.read(cursor, ""), self._clock.now())

    async def by_id(self, orders: Sequence[str]) -> list[Found]:
        """None."""
        return []

    async def ids_of(self, day: date) -> list[str]:
        """None."""
        return []


def page_of(found: Sequence[Found], cursor: OrderCursor, covered_to: datetime | None) -> OrderPage:
    """A page of what was found."""
    return OrderPage.of(found, cursor=cursor.model_dump_json(), covered_to=covered_to)
