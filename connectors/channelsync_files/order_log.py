"""Orders from files in a folder, in which each file is taken once.

A file that is taken is moved into `done`, under a name that begins with the moment of taking. These names are a log:
the cursor is a place in it, what came after it can be read again at any time, and the whole of it is the index by which
single orders are found, also after a restart.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog

from channelsync.sdk.clock import Clock
from channelsync.sdk.files.place import Entry, NoSuchFile, Place, TooLarge
from channelsync.sdk.values import OrderPage, OrderSnapshot, UnreadableOrder
from channelsync_files import wire
from channelsync_files.incoming import Arrived, digest_of, fetched, look, moved_name, put_away
from channelsync_files.orders import Found, OrderCursor, page_of, parsed
from channelsync_files.sections import MARKER
from channelsync_files.sections_orders import OrdersIn

log = structlog.get_logger(__name__)

_TICK = timedelta(microseconds=1)
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_TAKEN = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)\.([0-9a-f]{12})\.(.+)", re.DOTALL)
_NOTES = (MARKER, ".reason.txt")
_HELD_MAX = 8
"""Files of the log whose orders are kept at hand."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A file of the log. stamp: when it was taken, as its name tells; it is larger than that of any before it."""

    folder: str
    name: str
    stamp: str
    digest: str
    original: str

    @property
    def at(self) -> datetime:
        return _at(self.stamp)


@dataclass(frozen=True, slots=True)
class _Known:
    """Where the newest state of an order is. rank: what its state is compared with others by; placed: its UTC day."""

    rank: Any
    placed: date
    file: _Taken


class OrderLog:
    """Orders in a folder, of this machine or of a server."""

    def __init__(self, place: Place, how: OrdersIn, clock: Clock, channel: str) -> None:
        self._place, self._how, self._clock, self._channel = place, how, clock, channel
        self._done, self._refused = f"{how.path}/{how.done}", f"{how.path}/{how.refused}"
        self._taking = asyncio.Lock()
        self._files: list[_Taken] = []
        self._last: datetime | None = None
        self._known: dict[str, _Known] = {}
        self._odd: dict[str, _Taken] = {}
        self._digests: set[str] = set()
        self._read_to = ""
        self._at_hand: dict[str, list[Found]] = {}

    async def pages(self, cursor: str | None) -> AsyncIterator[OrderPage]:
        """What was taken after the cursor, file by file in the order of taking."""
        place = OrderCursor.read(cursor, self._channel)
        asked = self._clock.now()
        async with self._taking:
            waiting = await self._take_in(place.taken)
            await (self._index() if self._how.version == "name" else self._refresh())
            files = [file for file in self._files if file.stamp >= place.taken]
        page: list[Found] = []
        for file in files:
            found = await self._orders(file)
            start = place.row if file.stamp == place.taken else 0
            for row, one in enumerate(found[start:], start + 1):
                place = OrderCursor(taken=file.stamp, row=row)
                if self._counts(one, file):
                    page.append(one)
                if len(page) == self._how.per_page:
                    yield page_of(page, place, None)
                    page = []
            place = OrderCursor(taken=file.stamp, row=len(found))
        yield page_of(page, place, self._covered(asked, waiting))

    async def by_id(self, orders: Sequence[str]) -> list[Found]:
        """Reads the files in which they stood last, and those that wait to be taken; moves none."""
        if not orders:
            return []
        async with self._taking:
            await self._index()
            waiting = await self._waiting()
        found: list[Found] = []
        for order in orders:
            known, odd = self._known.get(order), self._odd.get(order)
            file = odd if odd and (known is None or odd.stamp > known.file.stamp) else known and known.file
            if order in waiting:
                found.append(waiting[order])
            elif file:
                found += [one for one in await self._orders(file) if one.order == order][-1:]
        return found

    async def ids_of(self, day: date) -> list[str]:
        """From the index, which reads each file of the log once, and the files that wait to be taken; moves none."""
        async with self._taking:
            await self._index()
            waiting = await self._waiting()
        placed = {order: known.placed for order, known in self._known.items()}
        placed |= {name: one.placed_at.date() for name, one in waiting.items() if isinstance(one, OrderSnapshot)}
        return [order for order, at in placed.items() if at == day]

    async def _waiting(self) -> dict[str, Found]:
        """Orders of complete files that nobody has taken yet, where they are newer than what was taken.

        Only `pages` takes files: did another process do so, a file could come into the log behind a cursor.
        """
        found: dict[str, Found] = {}
        ranks: dict[str, Any] = {}
        ready, _ = await look(self._place, self._how, self._clock.now())
        for entry in self._in_order(ready):
            file, now = await fetched(self._place, self._how, entry), self._clock.now()
            if file is None:
                continue
            as_taken = _Taken(self._how.path, file.name, now.strftime(_STAMP), digest_of(file.content), file.name)
            try:
                told = file.problem or as_taken.digest in self._digests
                orders = [] if told else await asyncio.to_thread(self._parsed, file, now)
            except wire.BadFile:
                continue  # it is told when it is taken
            for one in orders:
                rank = self._rank(one, as_taken) if isinstance(one, OrderSnapshot) else None
                known = ranks.get(one.order) or (self._known[one.order].rank if one.order in self._known else None)
                if rank is None or known is None or rank >= known:
                    found[one.order] = one
                    ranks |= {} if rank is None else {one.order: rank}
        return found

    def _parsed(self, file: Arrived, at: datetime) -> list[Found]:
        return parsed(file.content, self._how, file.name, at)

    def _in_order(self, ready: list[Entry]) -> list[Entry]:
        """As they are to be taken: by their names where these tell what is newer, else as they changed."""
        return sorted(ready, key=lambda file: natural(file.name)) if self._how.version == "name" else ready

    # Taking

    async def _take_in(self, after: str) -> datetime | None:
        """Moves every complete file into the log. Gives the time of the oldest that is not complete yet.

        after: no file is taken under an earlier stamp, so that none hides behind a cursor.
        """
        ready, waiting = await look(self._place, self._how, self._clock.now())
        last = max([after, *(file.stamp for file in await self._log())]) if ready else after
        for entry in self._in_order(ready):
            file = await fetched(self._place, self._how, entry)
            if file is None:
                waiting.append(entry.modified)
                continue
            stamp = self._clock.now().strftime(_STAMP)
            last = stamp if stamp > last else (_at(last) + _TICK).strftime(_STAMP)
            await self._take(file, last)
        return min(waiting, default=None)

    async def _take(self, file: Arrived, stamp: str) -> None:
        """Moves one file into the log, or where it cannot be read to those that are refused."""
        name, problem = moved_name(stamp, file), file.problem
        try:
            if not problem:
                self._keep_at_hand(name, await asyncio.to_thread(self._parsed, file, _at(stamp)))
        except wire.BadFile as error:
            problem = str(error)
        if problem:
            log.warning("file.refused", channel=self._channel, file=file.name, why=problem)
        await put_away(self._place, self._how, file.name, self._refused if problem else self._done, name, problem)

    async def _log(self) -> list[_Taken]:
        """Every file that was taken, oldest first."""
        found = []
        for folder in (self._done, self._refused):
            for entry in await self._place.entries(folder):
                match = _TAKEN.fullmatch(entry.name)
                if match and not entry.name.endswith(_NOTES):
                    found.append(_Taken(folder, entry.name, match[1], match[2], match[3]))
        return sorted(found, key=lambda file: file.stamp)

    async def _refresh(self) -> None:
        """Lists the log anew. A file that came before, byte by byte, says nothing new and is left out."""
        self._digests = set()
        self._files = []
        taken = await self._log()
        self._last = taken[-1].at if taken else None
        for file in taken:
            if file.folder == self._done:
                if file.digest in self._digests:
                    continue
                self._digests.add(file.digest)
            self._files.append(file)

    async def _index(self) -> None:
        """Reads what was added to the log since the last time; the first time all of it."""
        await self._refresh()
        for file in self._files:
            if file.stamp > self._read_to:
                for one in await self._orders(file):
                    self._note(one, file)
                self._read_to = file.stamp

    def _note(self, one: Found, file: _Taken) -> None:
        if isinstance(one, UnreadableOrder):
            self._odd[one.order] = file
            return
        rank = self._rank(one, file)
        known = self._known.get(one.order)
        if known is None or rank >= known.rank:
            self._known[one.order] = _Known(rank, one.placed_at.date(), file)
            self._odd.pop(one.order, None)

    def _rank(self, order: OrderSnapshot, file: _Taken) -> Any:
        return (natural(file.original) if self._how.version == "name" else order.version, file.stamp)

    def _counts(self, one: Found, file: _Taken) -> bool:
        """Whether it is handed on: where only file names tell what is newer, older state must not be."""
        if self._how.version != "name" or isinstance(one, UnreadableOrder):
            return True
        known = self._known.get(one.order)
        return known is None or self._rank(one, file) >= known.rank

    async def _orders(self, file: _Taken) -> list[Found]:
        """The orders of a file of the log; for one that cannot be read, that it cannot."""
        if file.name not in self._at_hand:
            self._keep_at_hand(file.name, await self._read(file))
        return self._at_hand[file.name]

    def _keep_at_hand(self, name: str, orders: list[Found]) -> None:
        while len(self._at_hand) >= _HELD_MAX:
            self._at_hand.pop(next(iter(self._at_hand)))
        self._at_hand[name] = orders

    async def _read(self, file: _Taken) -> list[Found]:
        try:
            content = await self._place.fetch(file.folder, file.name)
            orders = await asyncio.to_thread(parsed, content, self._how, file.original, file.at)
            if file.folder == self._done:
                return orders
            why = "it was refused; the reason stands beside it"
        except NoSuchFile:
            return []  # somebody tidied up meanwhile
        except (wire.BadFile, TooLarge) as error:
            why = str(error)
        reason = f"the file {file.original} cannot be read: {why}. It is in {file.folder}; move it back to be taken"
        return [UnreadableOrder(order=f"(file {file.original})", reason=reason)]

    def _covered(self, asked: datetime, waiting: datetime | None) -> datetime:
        """Up to when what was exported is taken: not past a file that is not complete, nor past a silence."""
        covered = asked if waiting is None else min(asked, waiting)
        last = self._last  # of an empty one too, that came before byte by byte
        most = self._how.heartbeat_s
        if most is not None and last is not None and asked - last > timedelta(seconds=most):
            log.warning("orders.silent", channel=self._channel, since=last.isoformat())
            covered = min(covered, last)
        return covered


def _at(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


def natural(name: str) -> list[tuple[int, str]]:
    """A file's name to compare with others: numbers in it are counted, so that 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
