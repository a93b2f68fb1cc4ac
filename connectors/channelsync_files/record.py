"""What we have told the other system: numbers written, numbers acknowledged. A file of ours beside the files we write.

It answers what a channel without readable numbers shows, and fills files that must hold every number. It is written
before a file leaves (its number) and after (what is in it), so that a crash in between costs a number in the row, and
never claims what was not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.files.place import NoSuchFile, Place
from channelsync.sdk.values import QuantityKey

NAME = ".channelsync-told.json"
WAITING_MAX = 200
"""Files whose acknowledgement is waited for; the oldest are given up first."""


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    location: str
    value: int
    file: int


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    last: int
    names: dict[str, str] = {}
    written: list[_Said]
    acknowledged: list[_Said]
    waiting: list[_Said]


_RECORD = TypeAdapter(_Record)


@dataclass(frozen=True, slots=True)
class Said:
    """A number, and the file of ours that said it."""

    value: int
    file: int


@dataclass(slots=True)
class Told:
    """What was told. last: the number of the last file. waiting: by file, what nobody has acknowledged yet.

    names: listings by what our files call them, where that is something else.
    """

    last: int = 0
    names: dict[str, str] = field(default_factory=dict)
    written: dict[QuantityKey, Said] = field(default_factory=dict)
    acknowledged: dict[QuantityKey, Said] = field(default_factory=dict)
    waiting: dict[int, dict[QuantityKey, int]] = field(default_factory=dict)

    def wrote(self, file: int, values: Mapping[QuantityKey, int], *, acknowledged_later: bool) -> None:
        """A file is there."""
        self.written |= {key: Said(value, file) for key, value in values.items()}
        if acknowledged_later:
            self.waiting[file] = dict(values)
            for old in sorted(self.waiting)[:-WAITING_MAX]:
                del self.waiting[old]

    def file_of(self, key: QuantityKey) -> int | None:
        """The newest file with this key that waits to be acknowledged."""
        return max((file for file, values in self.waiting.items() if key in values), default=None)

    def settle(self, file: int, key: QuantityKey, *, accepted: bool) -> int | None:
        """A row was acknowledged. Gives its number; None where it was not waited for (any more)."""
        value = self.waiting.get(file, {}).pop(key, None)
        if not self.waiting.get(file, True):
            del self.waiting[file]
        if value is None:
            return None
        before = self.acknowledged.get(key)
        if accepted and (before is None or before.file <= file):
            self.acknowledged[key] = Said(value, file)
        if not accepted and self.written.get(key) == Said(value, file):
            if before is None:
                del self.written[key]
            else:
                self.written[key] = before
        return value


async def load(place: Place, folder: str) -> Told:
    """The record of a folder; an empty one where nothing was told yet. Raises ChannelMisbehaved for a broken one."""
    try:
        content = await place.fetch(folder, NAME)
    except NoSuchFile:
        return Told()
    try:
        kept = _RECORD.validate_json(content)
    except ValidationError:
        raise ChannelMisbehaved(
            f"{folder}/{NAME} cannot be read. It is our own record of the numbers written; put a copy of it back, or"
            " remove it, and every number is written anew."
        ) from None
    waiting: dict[int, dict[QuantityKey, int]] = {}
    for one in kept.waiting:
        waiting.setdefault(one.file, {})[QuantityKey(one.key, one.location)] = one.value
    return Told(kept.last, kept.names, _by_key(kept.written), _by_key(kept.acknowledged), waiting)


async def save(place: Place, folder: str, told: Told) -> None:
    """Replaces the record, at once."""
    waiting = [(key, Said(value, file)) for file, values in told.waiting.items() for key, value in values.items()]
    kept = {
        "last": told.last,
        "names": told.names,
        "written": _plain(told.written.items()),
        "acknowledged": _plain(told.acknowledged.items()),
        "waiting": _plain(waiting),
    }
    await place.put(folder, NAME, orjson.dumps(kept))


def _by_key(said: Iterable[_Said]) -> dict[QuantityKey, Said]:
    return {QuantityKey(one.key, one.location): Said(one.value, one.file) for one in said}


def _plain(said: Iterable[tuple[QuantityKey, Said]]) -> list[dict[str, str | int]]:
    return [{"key": key.key, "location": key.location, "value": one.value, "file": one.file} for key, one in said]
