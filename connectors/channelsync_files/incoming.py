"""Files that come into a folder: which are complete, and where they go when they were read. None is ever deleted."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channelsync.sdk.files.place import Entry, NoSuchFile, Place, TooLarge
from channelsync_files import wire
from channelsync_files.sections import MARKER, Incoming

_NAME_BYTES_MAX = 150


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that is complete. problem: why it was not read; empty: it was."""

    name: str
    content: bytes = field(repr=False)
    problem: str = ""


async def look(place: Place, how: Incoming, now: datetime) -> tuple[list[Entry], list[datetime]]:
    """The files of a section that are complete by their names and times, oldest first; and the times of others."""
    entries = await place.entries(how.path)
    names = {entry.name for entry in entries}
    meant = [entry for entry in entries if how.means(entry.name)]
    whole = [entry for entry in meant if _looks_whole(how, entry, names, now)]
    return whole, [entry.modified for entry in meant if entry not in whole]


async def newest_entry(place: Place, how: Incoming, now: datetime) -> Entry | None:
    """The newest file of a section that is complete as far as names and times tell; None: there is none."""
    whole, _ = await look(place, how, now)
    return whole[-1] if whole else None


async def fetched(place: Place, how: Incoming, entry: Entry) -> Arrived | None:
    """A file, whole; None where it is gone, or not complete after all."""
    try:
        content = await place.fetch(how.path, entry.name)
    except NoSuchFile:
        return None
    except TooLarge as error:
        return Arrived(entry.name, b"", str(error))
    if len(content) != entry.size:
        return None  # it grew while we looked
    if how.complete == "trailer" and not wire.ends_with_trailer(content, how):
        return None
    return Arrived(entry.name, content)


def _looks_whole(how: Incoming, entry: Entry, names: set[str], now: datetime) -> bool:
    if how.complete == "marker":
        return entry.name + MARKER in names
    return how.complete != "stable" or now - entry.modified >= timedelta(seconds=how.stable_s)


def digest_of(content: bytes) -> str:
    """What tells a file from every other."""
    return hashlib.sha256(content).hexdigest()[:12]


def moved_name(stamp: str, file: Arrived) -> str:
    """The name under which a file is kept: stamp, digest and its own name, of a very long one the end."""
    name = file.name.encode()[-_NAME_BYTES_MAX:].decode(errors="ignore")
    return f"{stamp}.{digest_of(file.content)}.{name}"


async def put_away(place: Place, how: Incoming, name: str, folder: str, new: str, problem: str) -> None:
    """Moves a file that was read into `folder`, and its marker. problem: written beside it; empty: there is none.

    One that somebody else took away meanwhile stays away.
    """
    if problem:
        await place.put(folder, f"{new}.reason.txt", f"{name}: {problem}\n".encode())
    with contextlib.suppress(NoSuchFile):
        await place.move(how.path, name, folder, new)
        if how.complete == "marker":
            await place.move(how.path, name + MARKER, folder, new + MARKER)
