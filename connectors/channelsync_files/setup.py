"""What the account must be set to: folders, rights, and files that fit their mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from channelsync.sdk.clock import Clock
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.files.place import NoSuchFile, Place, TooLarge
from channelsync.sdk.values import UnreadableOrder
from channelsync_files import orders, record, replies, translate, wire
from channelsync_files.documents import Documents
from channelsync_files.incoming import newest_entry
from channelsync_files.sections import Incoming
from channelsync_files.sections_numbers import AcknowledgementsIn, ListingsIn, NumbersIn
from channelsync_files.sections_orders import OrdersIn
from channelsync_files.settings import FilesSettings

PROBE = ".channelsync-probe"
"""A file that shows whether a folder can be written to. It stays."""


class Inspection:
    """Looks at one account. where: its files, or its addresses."""

    def __init__(self, where: Place | Documents, settings: FilesSettings, clock: Clock) -> None:
        self._where, self._settings, self._clock = where, settings, clock
        self._prepared = False

    async def prepare(self) -> None:
        """Makes the folders that files are moved to, once. Raises NeedsSeller where one that files come to is missing:
        that is for who writes them, and a typing error would go unseen."""
        if self._prepared or isinstance(self._where, Documents):
            return
        for section in self._incoming().values():
            await self._where.entries(section.path)
            for folder in _moved_to(section):
                await self._where.make(folder)
        if self._settings.quantities is not None:
            await self._where.entries(self._settings.quantities.path)
        self._prepared = True

    async def inspect(self) -> list[CheckPoint]:
        """One point for each section. Raises what the place raises, a missing or locked folder aside."""
        points = []
        for name, section in self._incoming().items():
            try:
                points.append(await self._looked_at(name, section))
            except NeedsSeller as error:
                points.append(CheckPoint(name, f"{section.path} cannot be used", error.what_to_do))
        if self._settings.quantities is not None and not isinstance(self._where, Documents):
            points.append(await self._written(self._where, self._settings.quantities.path))
        if self._settings.quantities is not None:
            points.append(CheckPoint("shown", _SOURCES[self._settings.source]))
        return points

    def _incoming(self) -> dict[str, Incoming]:
        mine = self._settings
        found = {"orders": mine.orders, "listings": mine.listings, "numbers": mine.numbers}
        if not isinstance(self._where, Documents):
            found["acknowledgements"] = mine.acknowledgements  # type: ignore[assignment]  # all of them come in
        return {name: section for name, section in found.items() if section is not None}

    async def _looked_at(self, name: str, section: Incoming) -> CheckPoint:
        if isinstance(self._where, Documents):
            document = await self._where.get(section)
            return self._fits(name, section, section.path, document.content)
        await self.prepare()
        for folder in _moved_to(section):
            await self._where.put(folder, PROBE, b"")
        entry = await newest_entry(self._where, section, self._clock.now())
        if entry is None:
            return CheckPoint(name, f"{section.path} is there; no file {section.matching} has come yet")
        file = f"{section.path}/{entry.name}"
        try:
            return self._fits(name, section, file, await self._where.fetch(section.path, entry.name))
        except (NoSuchFile, TooLarge) as error:
            return CheckPoint(name, f"{file}: {error}", "Look at the file, or raise file_bytes_max.")

    def _fits(self, name: str, section: Incoming, file: str, content: bytes) -> CheckPoint:
        """Whether the mapping fits a file."""
        try:
            rows, problems = _COUNTED[type(section)](section, content, file, self._clock.now())
        except wire.BadFile as error:
            return CheckPoint(name, f"{file} cannot be read: {error}", "Compare the file with the mapping.")
        if problems:
            return CheckPoint(name, f"{file}: {len(problems)} of {rows} are not understood", f"First: {problems[0]}")
        return CheckPoint(name, f"{file}: {rows} understood")

    async def _written(self, place: Place, folder: str) -> CheckPoint:
        try:
            await record.save(place, folder, await record.load(place, folder))
        except NeedsSeller as error:
            return CheckPoint("quantities", f"{folder} cannot be written to", error.what_to_do)
        except ChannelMisbehaved as error:
            return CheckPoint("quantities", f"the record in {folder} is broken", str(error))
        return CheckPoint("quantities", f"{folder} can be written to")


_SOURCES = {
    "snapshot": "what is shown is read from its files",
    "acknowledgement": "what is shown is what was acknowledged: sales over there are seen as orders only",
    "written": "what is shown is not known: what was written counts as shown; keep a buffer on this channel",
}


def _moved_to(section: Incoming) -> Iterator[str]:
    """The folders that files of a section are moved to."""
    if isinstance(section, OrdersIn):
        yield from (f"{section.path}/{section.done}", f"{section.path}/{section.refused}")
    elif isinstance(section, AcknowledgementsIn):
        yield from (f"{section.path}/{section.done}", f"{section.path}/{section.unreadable}")


Counted = tuple[int, list[str]]
"""How many were read, and what is wrong with those that were not understood."""


def _orders(how: Incoming, content: bytes, file: str, now: datetime) -> Counted:
    assert isinstance(how, OrdersIn)  # noqa: S101 - by _COUNTED
    found = orders.parsed(content, how, file, now)
    return len(found), [one.reason for one in found if isinstance(one, UnreadableOrder)]


def _listings(how: Incoming, content: bytes, _file: str, _now: datetime) -> Counted:
    assert isinstance(how, ListingsIn)  # noqa: S101 - by _COUNTED
    rows = wire.parse(content, how, wire.columns_of(how.columns), ())
    found = translate.offered_of(rows, how).values()
    return len(found), [one.problem for one in found if one.problem]


def _numbers(how: Incoming, content: bytes, _file: str, _now: datetime) -> Counted:
    assert isinstance(how, NumbersIn)  # noqa: S101 - by _COUNTED
    found = translate.numbers_of(wire.parse(content, how, wire.columns_of(how.columns), ()), how.decimal).values()
    return len(found), [one.problem for one in found if one.problem]


def _replies(how: Incoming, content: bytes, _file: str, _now: datetime) -> Counted:
    assert isinstance(how, AcknowledgementsIn)  # noqa: S101 - by _COUNTED
    found = replies.replies_of(content, how)
    return len(found), [f"a word of {one.key} is not listed" for one in found if one.accepted is None]


_COUNTED: Mapping[type[Incoming], Callable[[Incoming, bytes, str, datetime], Counted]] = {
    OrdersIn: _orders,
    ListingsIn: _listings,
    NumbersIn: _numbers,
    AcknowledgementsIn: _replies,
}
