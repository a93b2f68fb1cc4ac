"""Where files are: what a place must do, and a folder of this machine.

Nothing is ever deleted and nothing is overwritten but our own record; a file is written whole under another name
first. Names that begin with a dot, folders and symbolic links are not seen: none leads out of the place.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater

T = TypeVar("T")

PART = ".part"
"""What a name ends with while its file is being written; with the dot before it nobody takes it for a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a folder lists it. modified: the folder's own time, aware UTC."""

    name: str
    size: int
    modified: datetime


class TooLarge(Exception):
    """A file is larger than the settings allow."""


class NoSuchFile(Exception):
    """A file that was listed is there no more."""


class Place(Protocol):
    """A folder with folders, wherever it is. Raises what `Channel` may; `folder` is below it."""

    async def entries(self, folder: str) -> list[Entry]:
        """The files of a folder, oldest change first. Raises NeedsSeller where there is no such folder."""
        ...

    async def fetch(self, folder: str, name: str) -> bytes:
        """A whole file. Raises TooLarge, NoSuchFile."""
        ...

    async def put(self, folder: str, name: str, content: bytes) -> None:
        """A file that is there whole or not at all, and stays. It replaces what had the name.

        Raises OutcomeUnknown where it may be there, and anything else where it is not.
        """
        ...

    async def move(self, folder: str, name: str, to: str, new: str) -> None:
        """Renames a file into another folder, at once, over no other. Raises NoSuchFile."""
        ...

    async def make(self, folder: str) -> None:
        """Makes a folder where there is none."""
        ...


def check_name(name: str) -> str:
    """The name, if it is one of a file in a folder. Raises ValueError: no name leads out of its folder."""
    if not name or name in (".", "..") or any(sign in name for sign in ("/", "\\", "\0")):
        raise ValueError(f"{name!r} is no name of a file")
    return name


def is_seen(name: str) -> bool:
    """Whether a name in a folder is looked at."""
    return not name.startswith(".") and not any(sign in name for sign in ("/", "\\", "\0"))


class FolderPlace:
    """A folder of this machine. All work is done in threads.

    owner: the channel or feed whose place it is, for messages. bytes_max: a larger file is not read.
    """

    def __init__(self, base: str, owner: str, bytes_max: int) -> None:
        self._base = Path(base)
        self._owner = owner
        self._bytes_max = bytes_max

    async def entries(self, folder: str) -> list[Entry]:
        return await self._do(lambda: self._entries(folder), f"list {folder}")

    async def fetch(self, folder: str, name: str) -> bytes:
        return await self._do(lambda: self._fetch(folder, name), f"read {folder}/{name}")

    async def put(self, folder: str, name: str, content: bytes) -> None:
        await self._do(lambda: self._put(folder, name, content), f"write {folder}/{name}")

    async def move(self, folder: str, name: str, to: str, new: str) -> None:
        await self._do(lambda: self._move(folder, name, to, new), f"move {folder}/{name}")

    async def make(self, folder: str) -> None:
        await self._do(lambda: self._make(folder), f"make {folder}")

    async def _do(self, work: Callable[[], T], what: str) -> T:
        """Runs it in a thread; what the system says becomes what the daemon does next."""
        try:
            return await asyncio.to_thread(work)
        except FileNotFoundError as error:
            raise NeedsSeller(f"Create the folder {error.filename or self._base}: {self._owner} needs it.") from error
        except (PermissionError, NotADirectoryError) as error:
            raise NeedsSeller(
                f"Give channelsync the right to {what} in {self._base} of {self._owner} ({error.strerror})."
            ) from error
        except OSError as error:
            if error.errno == errno.EROFS:
                raise NeedsSeller(f"Make {self._base} of {self._owner} writable: {what} failed.") from error
            raise TryLater(f"{self._owner}: {what}: {error.strerror}") from error

    def _inside(self, folder: str) -> Path:
        """The folder, followed to where it really is. Raises PermissionError where that is outside of the place."""
        real = (self._base / folder).resolve(strict=True)
        if not real.is_relative_to(self._base.resolve(strict=True)):
            raise PermissionError(errno.EPERM, "it leads out of the place")
        return real

    def _entries(self, folder: str) -> list[Entry]:
        found = []
        with os.scandir(self._inside(folder)) as listed:
            for one in listed:
                try:
                    told = one.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # moved away meanwhile
                if is_seen(one.name) and stat.S_ISREG(told.st_mode):
                    found.append(Entry(one.name, told.st_size, datetime.fromtimestamp(told.st_mtime, UTC)))
        return sorted(found, key=lambda one: (one.modified, one.name))

    def _fetch(self, folder: str, name: str) -> bytes:
        path = self._inside(folder) / check_name(name)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NoSuchFile(name) from None
        with os.fdopen(handle, "rb") as file:
            content = file.read(self._bytes_max + 1)
        if len(content) > self._bytes_max:
            raise TooLarge(f"it is larger than {self._bytes_max} bytes")
        return content

    def _put(self, folder: str, name: str, content: bytes) -> None:
        inside = self._inside(folder)
        part = inside / f".{check_name(name)}{PART}"
        part.unlink(missing_ok=True)  # left by a crash; a link in its place must not be followed
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            part.replace(inside / name)
            _sync_folder(inside)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            raise OutcomeUnknown(f"{self._owner}: {folder}/{name} may be there or not: {error.strerror}") from error

    def _move(self, folder: str, name: str, to: str, new: str) -> None:
        source, target = self._inside(folder) / check_name(name), self._inside(to) / check_name(new)
        if os.path.lexists(target):
            if not os.path.lexists(source):
                raise NoSuchFile(name)  # somebody else has moved it there
            raise FileExistsError(errno.EEXIST, f"{to}/{new} is there already")
        try:
            source.rename(target)
        except FileNotFoundError:
            raise NoSuchFile(name) from None
        _sync_folder(target.parent)

    def _make(self, folder: str) -> None:
        path = self._base / folder
        base = self._base.resolve(strict=True)  # not made where it is missing: it may be a disk that is not mounted
        if not path.resolve().is_relative_to(base):
            raise PermissionError(errno.EPERM, "it leads out of the place")
        path.mkdir(parents=True, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
