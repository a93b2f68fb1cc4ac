"""The file of a backup: the rows of every table as JSON lines in a zip, and a manifest that proves them whole.

The same for both databases, so that a backup of one can be restored into the other. A member `tables/NAME.jsonl` has
one array a row, in the order of the manifest's columns: times as ISO 8601 in UTC, bytes as text, marked `t:` where
they are text and `b:` where they are base64. `manifest.json` says, for each table, how many rows there are and the
SHA-256 of the member.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 16_000_000
_ROW = orjson.OPT_NAIVE_UTC | orjson.OPT_APPEND_NEWLINE
_OWNER_ONLY = 0o600 << 16
_ASKED_EVERY = 1_000

Row = TypeVar("Row")


class BackupDamaged(Exception):
    """A file that is no backup, or not whole any more: take another one."""


class BackupRefused(Exception):
    """A backup cannot be made or restored as things are; the message says why and what to do."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableInArchive(_Said):
    """The rows of one table. digest: SHA-256 of its member, in hexadecimal."""

    name: str
    columns: tuple[str, ...]
    rows: int
    digest: str


class LedgerHeads(_Said):
    """How far the ledger had come. digest: SHA-256 over every position with its last entry's number and hash.

    Whoever keeps it elsewhere can tell later that nobody changed the ledger of a backup.
    """

    positions: int
    entries: int
    digest: str


class BackupStopped(Exception):
    """Nobody waits for the backup any more: what was made of it is to be thrown away."""


Stopped = Callable[[], bool]
"""Whether the process is to end. It is asked often while a backup is made or read."""


def never() -> bool:
    """Nobody stops it."""
    return False


def until_stopped(rows: Iterable[Row], stopped: Stopped) -> Iterator[Row]:
    """The rows, as they come. Raises BackupStopped before them or in their midst."""
    if stopped():
        raise BackupStopped
    for number, row in enumerate(rows, start=1):
        if number % _ASKED_EVERY == 0 and stopped():
            raise BackupStopped
        yield row


class Manifest(_Said):
    """What a backup holds. version: of the channelsync that made it. revision: of its tables.

    format: raised with every change that an older channelsync could not read.
    """

    format: Literal[1] = 1
    version: str
    revision: str
    database: Literal["sqlite", "postgresql"]
    made_at: datetime
    tables: tuple[TableInArchive, ...]
    ledger: LedgerHeads

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)


class ArchiveWriter:
    """Writes one archive into an open file; `finish` ends it. A context manager: without `finish` it is worthless."""

    def __init__(self, file: IO[bytes], made_at: datetime) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._made = (made_at.year, made_at.month, made_at.day, made_at.hour, made_at.minute, made_at.second)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):  # of a disk that is full: what is told is the error that was met first
            self._zip.close()

    def add(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> TableInArchive:
        """Writes the rows of a table, as they come."""
        digest, count = hashlib.sha256(), 0
        with self._zip.open(self._member(_path(name)), "w", force_zip64=True) as member:
            for row in rows:
                line = orjson.dumps(row, option=_ROW)
                digest.update(line)
                member.write(line)
                count += 1
        return TableInArchive(name=name, columns=tuple(columns), rows=count, digest=digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest and the end of the file."""
        self._zip.writestr(self._member(MANIFEST), manifest.model_dump_json(indent=1))
        self._zip.close()

    def _member(self, path: str) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo(path, self._made)
        member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, _OWNER_ONLY
        return member


class Archive:
    """An archive that is read. digest: SHA-256 of its manifest, which holds those of all else."""

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = opened
        said = self._manifest()
        self.digest = hashlib.sha256(said).hexdigest()
        self.manifest = _understood(path, said)

    def rows(self, table: TableInArchive) -> Iterator[list[Any]]:
        """The rows of a table. Raises BackupDamaged in the midst of them, or after the last one."""
        digest, count = hashlib.sha256(), 0
        with self._readable(table.name), self._zip.open(_path(table.name)) as member:
            for line in member:
                digest.update(line)
                count += 1
                yield self._row(table, count, line)
        if count != table.rows or digest.hexdigest() != table.digest:
            raise BackupDamaged(f"{self.path}: table {table.name} is not as it was written ({count} rows).")

    def check(self, stopped: Stopped = never) -> None:
        """Reads everything once. Raises BackupDamaged and BackupStopped."""
        for table in self.manifest.tables:
            for _ in until_stopped(self.rows(table), stopped):
                pass

    def _row(self, table: TableInArchive, number: int, line: bytes) -> list[Any]:
        row = orjson.loads(line)
        if not isinstance(row, list) or len(row) != len(table.columns):
            raise BackupDamaged(f"{self.path}: row {number} of table {table.name} is no row of it.")
        return row

    def _manifest(self) -> bytes:
        with self._readable("its manifest"), self._zip.open(MANIFEST) as member:
            return member.read(MANIFEST_BYTES_MAX)

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, orjson.JSONDecodeError) as error:
            raise BackupDamaged(f"{self.path}: {what} cannot be read: {error}.") from error


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Opens an archive. Raises BackupDamaged for a file that is none, OSError for one that is not there."""
    try:
        opened = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise BackupDamaged(f"{path} is no backup, or its end is missing: {error}.") from error
    with opened:
        yield Archive(path, opened)


def text_of(value: bytes | None) -> str | None:
    """Bytes as they stand in an archive: most are JSON, which stays readable."""
    if value is None:
        return None
    try:
        return f"t:{value.decode()}"
    except UnicodeDecodeError:
        return f"b:{base64.b64encode(value).decode()}"


def bytes_of(text: str) -> bytes:
    """The bytes that `text_of` wrote. Raises ValueError."""
    mark, told = text[:2], text[2:]
    if mark not in ("t:", "b:"):
        raise ValueError(f"{text[:20]!r} are no bytes")
    return told.encode() if mark == "t:" else base64.b64decode(told, validate=True)


def _understood(path: Path, said: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(said)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise BackupDamaged(f"{path}: its manifest is not one that this channelsync reads: {what}.") from error


def _path(table: str) -> str:
    return f"tables/{table}.jsonl"
