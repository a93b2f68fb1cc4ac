"""What became of the numbers we wrote: acknowledgement files, read against our own record.

Only `take`, which a push calls, moves such files and changes the record; who merely reads looks at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from channelsync.sdk.clock import Clock
from channelsync.sdk.files.place import Place
from channelsync.sdk.values import PushResult, QuantityKey
from channelsync_files import record, wire
from channelsync_files.incoming import Arrived, fetched, look, moved_name, put_away
from channelsync_files.record import Told
from channelsync_files.sections_numbers import AcknowledgementsIn, QuantitiesOut
from channelsync_files.settings import Source
from channelsync_files.wire import Row

log = structlog.get_logger(__name__)

FILES_AT_ONCE = 200
"""Acknowledgements read at a time."""

_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class Reply:
    """One row of an acknowledgement. key None: it is about a whole file. file: as it stands there; "" where it does
    not. accepted None: its word means nothing to us."""

    key: QuantityKey | None
    file: str
    accepted: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one number of ours."""

    file: int
    key: QuantityKey
    value: int
    accepted: bool
    reason: str = ""

    @property
    def result(self) -> PushResult:
        """As a push answers it."""
        if self.accepted:
            return PushResult.accepted(self.key)
        return PushResult.refused(self.key, self.reason or "the acknowledgement gives no reason")


def replies_of(content: bytes, how: AcknowledgementsIn) -> list[Reply]:
    """The rows of an acknowledgement. Raises wire.BadFile. A row that cannot be read says nothing."""
    columns = wire.columns_of(how.columns)
    rows = wire.parse(content, how, columns, {"status"} | ({"key"} & columns.keys()))
    yes, no = ({word.casefold() for word in words} for words in (how.accepted, how.refused))
    return [_reply(row, yes, no) for row in rows if not row.problem]


def _reply(row: Row, yes: Iterable[str], no: Iterable[str]) -> Reply:
    word = row.cells.get("status", "").casefold()
    key = row.cells.get("key", "")
    return Reply(
        key=QuantityKey(key, row.cells.get("location", "")) if key else None,
        file=row.cells.get("file", ""),
        accepted=True if word in yes else False if word in no else None,
        reason=row.cells.get("reason", "")[:200],
    )


class Replies:
    """The acknowledgements of one account, and the record that they settle. how None: none ever come."""

    def __init__(
        self, place: Place, how: AcknowledgementsIn | None, ours: QuantitiesOut, clock: Clock, channel: str
    ) -> None:
        self._place, self._how, self._ours, self._clock, self._channel = place, how, ours, clock, channel
        self._number = re.compile(re.escape(ours.name).replace(r"\{number\}", r"(\d+)"))

    @property
    def wait_s(self) -> float | None:
        """How long a push waits for them; None: none ever come."""
        return None if self._how is None else self._how.wait_s

    async def told(self, source: Source) -> dict[QuantityKey, int]:
        """The number of each key as it was acknowledged, or as it was written."""
        told = await record.load(self._place, self._ours.path)
        if source == "written":
            return {key: one.value for key, one in told.written.items()}
        if self._how is not None:
            for file in await self._arrived(self._how):
                self._settled(file, told)
        return {key: one.value for key, one in told.acknowledged.items()}

    async def take(self, told: Told) -> list[Outcome]:
        """Settles the record by every acknowledgement that is there, keeps it, then moves the files."""
        if self._how is None:
            return []
        ready = await self._arrived(self._how)
        outcomes: list[Outcome] = []
        problems = {}
        for file in ready:
            found = self._settled(file, told)
            if isinstance(found, str):
                problems[file.name] = found
                log.warning("acknowledgement.refused", channel=self._channel, file=file.name, why=found)
            else:
                outcomes += found
        if ready:
            await record.save(self._place, self._ours.path, told)
        for file in ready:
            problem = problems.get(file.name, "")
            folder = f"{self._how.path}/{self._how.unreadable if problem else self._how.done}"
            new = moved_name(self._clock.now().strftime(_STAMP), file)
            await put_away(self._place, self._how, file.name, folder, new, problem)
        return outcomes

    async def _arrived(self, how: AcknowledgementsIn) -> list[Arrived]:
        """The oldest complete files, not more than are read at once."""
        entries, _ = await look(self._place, how, self._clock.now())
        found = [await fetched(self._place, how, entry) for entry in entries[:FILES_AT_ONCE]]
        return [file for file in found if file is not None]

    def _settled(self, file: Arrived, told: Told) -> list[Outcome] | str:
        """What a file settles; a text why it cannot be read."""
        assert self._how is not None  # noqa: S101 - there are no files without it
        try:
            replies = replies_of(file.content, self._how) if not file.problem else []
        except wire.BadFile as error:
            return str(error)
        return file.problem or [outcome for reply in replies for outcome in self._outcomes(reply, told)]

    def _outcomes(self, reply: Reply, told: Told) -> list[Outcome]:
        if reply.accepted is None:
            return []
        named = reply.key and QuantityKey(told.names.get(reply.key.key, reply.key.key), reply.key.location)
        file = self._file(reply.file, named, told)
        if file is None:
            return []
        keys = list(told.waiting.get(file, {})) if named is None else [named]
        found = []
        for key in keys:
            value = told.settle(file, key, accepted=reply.accepted)
            if value is not None:
                found.append(Outcome(file, key, value, reply.accepted, reply.reason))
        return found

    def _file(self, said: str, key: QuantityKey | None, told: Told) -> int | None:
        """The number of the file that is meant, by its number or its name; else the newest with the key."""
        if not said:
            return None if key is None else told.file_of(key)
        name = self._number.fullmatch(said.rpartition("/")[2])
        digits = name[1] if name else said
        return int(digits) if digits.isdecimal() else None
