"""Numbers on their way out: as files in a folder, each whole or not there at all, or sent over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, NotSent
from channelsync.sdk.files.place import Place
from channelsync.sdk.right_to_write import check_may_write
from channelsync.sdk.times import utc_text
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_files import record, wire
from channelsync_files.documents import Documents
from channelsync_files.record import Told
from channelsync_files.replies import Outcome, Replies, replies_of
from channelsync_files.sections_numbers import AcknowledgementsIn, QuantitiesOut
from channelsync_files.translate import Offered

LOOKS_PER_WAIT = 20
"""How often a push looks for its acknowledgement while it waits."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Offers = Mapping[str, Offered]


class Outbox(Protocol):
    """How numbers leave."""

    async def send(self, updates: Sequence[QuantityUpdate], offers: Offers) -> dict[QuantityKey, PushResult]:
        """Results of updates whose listings are all offered. Raises what `Channel.push` may."""
        ...


def why_not(update: QuantityUpdate, offered: Offered, how: QuantitiesOut) -> str:
    """Why a number cannot stand in a file; empty: it can."""
    columns = how.columns
    if columns.sku is not None and offered.sku is None:
        return "the other system tells no SKU for it, and rows of ours name the SKU"
    if columns.location is None and update.key.location:
        return "it is of one location, and rows of ours name none: map `location` of `quantities`"
    names = [offered.listing if columns.listing else "", (offered.sku or "") if columns.sku else ""]
    names += [update.key.location if columns.location else ""]
    if how.format == "csv" and how.formulas == "refuse" and any(name.startswith(_FORMULA) for name in names):
        return 'a spreadsheet would run its name as a formula; set formulas = "write" if none ever opens these files'
    try:
        "".join((*names, offered.title if columns.title else "")).encode(how.encoding)
    except UnicodeEncodeError:
        return f"its name has a letter that {how.encoding} does not have"
    return ""


def row_of(
    key: QuantityKey, value: int, offered: Offered, how: QuantitiesOut, *, file: int, at: str
) -> dict[str, str | int]:
    """One row of a file of ours, by the columns' names."""
    title = offered.title
    if how.format == "csv" and title.startswith(_FORMULA):
        title = f"'{title}"
    told: dict[str, str | int] = {
        "units": value,
        "listing": offered.listing,
        "sku": offered.sku or "",
        "location": key.location,
        "title": title,
        "file": file,
        "at": at,
    }
    return {column: told[name] for name, column in wire.columns_of(how.columns).items()} | how.constants


def outward(offered: Offered, how: QuantitiesOut) -> str:
    """What a file of ours, and so its acknowledgement, calls a listing."""
    return offered.listing if how.columns.listing is not None else offered.sku or ""


def names_of(how: QuantitiesOut) -> list[str]:
    """The columns of a file of ours, in their order."""
    return [*wire.columns_of(how.columns).values(), *how.constants]


class FileOutbox:
    """Numbered files in a folder. What was acknowledged refused too late for its push is told by the next."""

    def __init__(self, place: Place, how: QuantitiesOut, replies: Replies, clock: Clock, channel: str) -> None:
        self._place, self._how, self._replies, self._clock, self._channel = place, how, replies, clock, channel
        self._writing = asyncio.Lock()
        self._late: dict[QuantityKey, Outcome] = {}

    async def send(self, updates: Sequence[QuantityUpdate], offers: Offers) -> dict[QuantityKey, PushResult]:
        """See Outbox."""
        async with self._writing:
            told = await record.load(self._place, self._how.path)
            self._keep_late(await self._replies.take(told))
            results, values = self._answered(updates)
            if values:
                results |= await self._told(values, offers, told)
        return results

    async def _told(
        self, values: Mapping[QuantityKey, int], offers: Offers, told: Told
    ) -> dict[QuantityKey, PushResult]:
        """Writes a file and waits for what becomes of it. Once it is there nothing is raised: it may be imported."""
        number = await self._write(values, offers, told)
        try:
            told.names |= {name: key.key for key in values if (name := outward(offers[key.key], self._how)) != key.key}
            told.wrote(number, values, acknowledged_later=self._replies.wait_s is not None)
            await record.save(self._place, self._how.path, told)
            return await self._wait(number, values, told)
        except ChannelError as error:
            return {key: PushResult.unknown(key, f"file {number} was written, but: {error}") for key in values}

    def _keep_late(self, outcomes: Iterable[Outcome]) -> None:
        for one in outcomes:
            if one.accepted:
                self._late.pop(one.key, None)
            else:
                self._late[one.key] = one

    def _answered(
        self, updates: Sequence[QuantityUpdate]
    ) -> tuple[dict[QuantityKey, PushResult], dict[QuantityKey, int]]:
        """Updates that were refused already, once; and what is left to write."""
        results: dict[QuantityKey, PushResult] = {}
        values: dict[QuantityKey, int] = {}
        for update in updates:
            late = self._late.pop(update.key, None)
            if late is not None and late.value == update.value:
                results[update.key] = late.result
            else:
                values[update.key] = update.value
        return results, values

    async def _write(self, values: Mapping[QuantityKey, int], offers: Offers, told: Told) -> int:
        """Writes the file. Its number is kept first: one is never given twice, whatever crashes."""
        number = told.last = 1 + max([told.last, *await self._numbers_there()])
        try:
            await record.save(self._place, self._how.path, told)
        except ChannelError as error:
            raise NotSent(f"{self._channel}: our record could not be kept, so nothing was written: {error}") from error
        shown = dict(values)
        if self._how.content == "all":
            shown = {key: one.value for key, one in told.written.items() if key.key in offers} | shown
        at = utc_text(self._clock.now(), "seconds")
        rows = [row_of(key, shown[key], offers[key.key], self._how, file=number, at=at) for key in sorted(shown)]
        content = await asyncio.to_thread(wire.write, rows, names_of(self._how), self._how)
        check_may_write(f"{self._channel}: quantities")
        await self._place.put(self._how.path, self._how.name.replace("{number}", f"{number:010}"), content)
        return number

    async def _numbers_there(self) -> list[int]:
        """The numbers of our files that nobody has fetched yet: none is written over, should the record be lost."""
        ours = re.compile(re.escape(self._how.name).replace(r"\{number\}", r"(\d+)"))
        found = [ours.fullmatch(entry.name) for entry in await self._place.entries(self._how.path)]
        return [int(match[1]) for match in found if match is not None]

    async def _wait(self, number: int, values: Mapping[QuantityKey, int], told: Told) -> dict[QuantityKey, PushResult]:
        """What the acknowledgements say that come in time; the outcome of the rest is unknown until they do."""
        wait = self._replies.wait_s
        if wait is None:
            return {key: PushResult.accepted(key) for key in values}
        results: dict[QuantityKey, PushResult] = {}
        until = self._clock.monotonic() + wait
        while True:
            for one in await self._replies.take(told):
                if one.file == number:
                    results[one.key] = one.result
                else:
                    self._keep_late([one])
            if len(results) == len(values) or self._clock.monotonic() >= until:
                break
            await self._clock.sleep(wait / LOOKS_PER_WAIT)
        missing = f"no acknowledgement of file {number} within {wait:g} s"
        return {key: results.get(key) or PushResult.unknown(key, missing) for key in values}


class HttpOutbox:
    """Files that are sent. Where acknowledgements are set, the answer is one."""

    def __init__(
        self, documents: Documents, how: QuantitiesOut, replies: AcknowledgementsIn | None, clock: Clock
    ) -> None:
        self._documents, self._how, self._replies, self._clock = documents, how, replies, clock

    async def send(self, updates: Sequence[QuantityUpdate], offers: Offers) -> dict[QuantityKey, PushResult]:
        """See Outbox."""
        at = utc_text(self._clock.now(), "seconds")
        rows = [row_of(one.key, one.value, offers[one.key.key], self._how, file=0, at=at) for one in updates]
        content = await asyncio.to_thread(wire.write, rows, names_of(self._how), self._how)
        idempotency = hashlib.sha256("\n".join(one.idempotency for one in updates).encode()).hexdigest()
        answer = await self._documents.send(self._how, self._how.method, content, idempotency)
        if self._replies is None:
            return {one.key: PushResult.accepted(one.key) for one in updates}
        try:
            replies = replies_of(answer.body, self._replies)
        except wire.BadFile as error:
            raise AnswerUnreadable(f"{answer.call}: {error}") from None
        found = {one.key: one for one in replies if one.accepted is not None}
        results = {}
        for update in updates:
            name = outward(offers[update.key.key], self._how)
            reply = found.get(QuantityKey(name, update.key.location)) or found.get(None)
            outcome = reply and Outcome(0, update.key, update.value, reply.accepted is True, reply.reason)
            missing = PushResult.unknown(update.key, "the answer has no row for it")
            results[update.key] = outcome.result if outcome else missing
        return results
