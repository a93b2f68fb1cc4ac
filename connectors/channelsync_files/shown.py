"""What the other system offers and shows: from its newest files, or where it tells none, from what we told it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, TryLater
from channelsync.sdk.files.place import Entry, NoSuchFile, Place, TooLarge
from channelsync.sdk.values import KeyRead, Listing, QuantityKey
from channelsync_files import translate, wire
from channelsync_files.documents import Documents
from channelsync_files.incoming import newest_entry
from channelsync_files.replies import Replies
from channelsync_files.sections_numbers import ListingsIn, NumbersIn
from channelsync_files.settings import FilesSettings
from channelsync_files.translate import NEVER_TOLD, Number, Offered
from channelsync_files.wire import Row

log = structlog.get_logger(__name__)

T = TypeVar("T")


class NoFileYet(TryLater):
    """No file has come yet."""


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """What one file says. modified: when it was written, by its own place; None: nobody tells."""

    rows: T
    name: str
    asked: datetime
    answered: datetime
    modified: datetime | None = None


class Snapshots(Generic[T]):
    """The newest file of one section. It is read again only when it is another one."""

    def __init__(
        self,
        where: Place | Documents,
        how: ListingsIn | NumbersIn,
        make: Callable[[Sequence[Row]], T],
        clock: Clock,
        channel: str,
    ) -> None:
        self._where, self._how, self._make, self._clock, self._channel = where, how, make, clock, channel
        self._held: tuple[Entry | bytes, T] | None = None

    async def newest(self) -> Snapshot[T]:
        """Raises TryLater where there is no file yet, ChannelMisbehaved where the newest one cannot be read."""
        asked = self._clock.now()
        if isinstance(self._where, Documents):
            document = await self._where.get(self._how)
            rows = await self._parsed(document.content, document.content, self._how.path)
            return Snapshot(rows, self._how.path, document.asked, document.answered, document.modified)
        entry = await newest_entry(self._where, self._how, asked)
        if entry is None:
            raise NoFileYet(f"{self._channel}: there is no file {self._how.matching} in {self._how.path} yet")
        if self._held is None or self._held[0] != entry:
            await self._fetch(self._where, entry)
        assert self._held is not None  # noqa: S101 - `_fetch` has set it, or raised
        return Snapshot(self._held[1], entry.name, asked, self._clock.now(), entry.modified)

    async def known(self) -> T:
        """What the file that was read last says; where none was yet, the newest. Raises like `newest`."""
        return (await self.newest()).rows if self._held is None else self._held[1]

    async def _fetch(self, place: Place, entry: Entry) -> None:
        name = f"{self._how.path}/{entry.name}"
        try:
            content = await place.fetch(self._how.path, entry.name)
        except NoSuchFile:
            raise TryLater(f"{self._channel}: {name} was moved while it was read") from None
        except TooLarge as error:
            raise ChannelMisbehaved(f"{self._channel}: {name}: {error}") from None
        if len(content) != entry.size or (
            self._how.complete == "trailer" and not wire.ends_with_trailer(content, self._how)
        ):
            raise TryLater(f"{self._channel}: {name} is still being written")
        await self._parsed(entry, content, name)

    async def _parsed(self, key: Entry | bytes, content: bytes, name: str) -> T:
        if self._held is not None and self._held[0] == key:
            return self._held[1]
        try:
            made = await asyncio.to_thread(self._read, content)
        except wire.BadFile as error:
            raise AnswerUnreadable(f"{self._channel}: {name}: {error}") from None
        self._held = (key, made)
        return made

    def _read(self, content: bytes) -> T:
        columns = wire.columns_of(self._how.columns)
        return self._make(
            wire.parse(content, self._how, columns, {"key", "number", "listing" if "listing" in columns else "sku"})
        )


class Shown:
    """Listings and numbers of one account."""

    def __init__(
        self,
        where: Place | Documents,
        settings: FilesSettings,
        replies: Replies | None,
        clock: Clock,
        channel: str,
    ) -> None:
        self._settings, self._replies = settings, replies
        self._clock, self._channel = clock, channel
        self._listings: Snapshots[dict[str, Offered]] | None = None
        self._numbers: Snapshots[dict[QuantityKey, Number]] | None = None
        listings, numbers = settings.listings, settings.numbers
        if listings is not None:
            self._listings = Snapshots(
                where, listings, lambda rows: translate.offered_of(rows, listings), clock, channel
            )
        if numbers is not None:
            self._numbers = Snapshots(
                where, numbers, lambda rows: translate.numbers_of(rows, numbers.decimal), clock, channel
            )

    async def check(self) -> None:
        """Reads what there is once. A file that has not come yet is nothing wrong."""
        for snapshots in (self._listings, self._numbers):
            if snapshots is not None:
                with contextlib.suppress(NoFileYet):
                    await snapshots.newest()

    async def offered(self) -> Mapping[str, Offered]:
        """All listings, those aside that could not be understood, which are named in the log."""
        if self._listings is not None:
            found = (await self._listings.newest()).rows
            self._name_problems((one.listing, one.problem) for one in found.values())
            return {name: one for name, one in found.items() if not one.problem}
        if self._numbers is None:
            return {}
        keys = (await self._numbers.newest()).rows
        return {key.key: Offered(listing=key.key, sku=key.key) for key, one in keys.items() if not one.problem}

    async def listings(self) -> list[Listing]:
        """Every listing with the numbers it shows."""
        offered = await self.offered()
        numbers = (await self._known(offered)).rows
        by_listing: dict[str, list[Number]] = {}
        for key, one in numbers.items():
            if not one.problem and one.number != NEVER_TOLD:
                by_listing.setdefault(key.key, []).append(one)
        return [translate.listing_of(one, by_listing.get(name, [])) for name, one in offered.items()]

    async def read(self, keys: Sequence[QuantityKey]) -> list[KeyRead]:
        """The numbers of these keys; of one that cannot be understood, why."""
        known = await self._known(None)
        found = [known.rows.get(key) for key in keys]
        self._name_problems((key.key, one.problem) for key, one in zip(keys, found, strict=True) if one)
        return [
            KeyRead(
                key=key,
                value=None if one is None or one.problem else one.number,
                committed=None if one is None or one.problem else one.committed,
                unreadable="" if one is None else one.problem,
                asked=known.asked,
                answered=known.answered,
            )
            for key, one in zip(keys, found, strict=True)
        ]

    async def uncounted(self) -> frozenset[QuantityKey]:
        """The keys for which the numbers that were read last say that nothing is counted; they are read where none were
        yet. Where they cannot be read now nobody says so of any."""
        with contextlib.suppress(TryLater, ChannelMisbehaved):
            if self._numbers is not None:
                rows = await self._numbers.known()
                return frozenset(key for key, one in rows.items() if one.number is None and not one.problem)
            if self._listings is not None and self._settings.source == "snapshot":
                listed = (await self._listings.known()).values()
                return frozenset(QuantityKey(one.listing) for one in listed if one.number is None and not one.problem)
        return frozenset()

    async def _known(self, offered: Mapping[str, Offered] | None) -> Snapshot[dict[QuantityKey, Number]]:
        """The number of every key, from where the settings say."""
        if self._numbers is not None:
            return self._fresh(await self._numbers.newest())
        if self._listings is None:
            now = self._clock.now()
            return Snapshot({}, "", now, now)
        listed = await self._listings.newest()
        source = self._settings.source
        if source == "snapshot":
            rows = {
                QuantityKey(one.listing): Number(key=QuantityKey(one.listing), number=one.number, problem=one.problem)
                for one in listed.rows.values()
            }
            return self._fresh(Snapshot(rows, listed.name, listed.asked, listed.answered, listed.modified))
        told = {} if self._replies is None else await self._replies.told(source)
        offered = listed.rows if offered is None else offered
        rows = {
            key: Number(key=key, number=told.get(key, NEVER_TOLD))
            for key in (QuantityKey(one.listing) for one in offered.values() if not one.problem)
        }
        return Snapshot(rows, listed.name, listed.asked, self._clock.now())

    def _fresh(self, found: Snapshot[dict[QuantityKey, Number]]) -> Snapshot[dict[QuantityKey, Number]]:
        """Raises TryLater for numbers that are older than the settings say they can be."""
        most = timedelta(seconds=self._settings.staleness_s + self._settings.skew_s)
        if found.modified is not None and found.asked - found.modified > most:
            old = (found.asked - found.modified).total_seconds()
            raise TryLater(
                f"{self._channel}: {found.name} is {old:.0f} s old, and numbers are at most"
                f" {self._settings.staleness_s:.0f} s behind: see to its export, or raise staleness_s"
            )
        return found

    def _name_problems(self, problems: Iterable[tuple[str, str]]) -> None:
        for name, problem in problems:
            if problem:
                log.warning("row.unreadable", channel=self._channel, listing=name, why=problem)
