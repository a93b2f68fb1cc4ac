"""Backups: made while everything runs, verified on a copy that is thrown away, restored whole or not at all.

Into the configured database nothing is restored that is not proven first: the archive is read once as a whole, and
what is there is set aside. Whoever restores holds the right to publish.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, delete

from channelsync.domain.ledger import entry_id
from channelsync.store import backup, leases, migrations, runs
from channelsync.store.archive import Archive, BackupRefused, Manifest, Stopped, never, open_archive
from channelsync.store.carried_over import CarriedOver, carry_over, read_carried_over
from channelsync.store.database import Database, open_database
from channelsync.store.sessions import other_workers
from channelsync.store.tables import metadata
from channelsync.sync.catch_up import mark_restored
from channelsync.sync.verify import Verification, verify

SUFFIX = ".zip"
PREFIX = "channelsync-"
UNFINISHED = ".part"

_DAEMON = metadata.tables["daemon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A backup that was made. bytes: of its file. digest: of its manifest."""

    path: Path
    bytes: int
    manifest: Manifest
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a backup holds, and what the proof of its ledger found. revision: that it was upgraded to for the proof."""

    manifest: Manifest
    digest: str
    revision: str
    proof: Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored. safety: the copy of what was there before; None: there was nothing.

    secrets_kept: how many secrets of channels are those that were there, because they are newer than the backup's.
    """

    manifest: Manifest
    safety: Path | None
    secrets_kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """How to restore. replace: what is there may go; safety: where it is kept, a file that is not there yet.

    run, actor: who restores, for the row of the run that it leaves.
    """

    replace: bool
    safety: Path
    version: str
    run: str
    actor: str


async def create_backup(
    database: Database, path: Path, *, version: str, now: datetime, stopped: Stopped = never
) -> Created:
    """Backs the database up, beside whatever else uses it, as of one moment; the file is there whole or not at all.

    Only its owner may read it. Raises BackupRefused where a file is in the way, BackupStopped, OSError, and
    DatabaseError.
    """
    _refuse_present(path)

    def work(connection: Connection) -> Manifest:
        return _written(connection, path, version, now, stopped)

    manifest = await database.query(work, snapshot=True, unhurried=True)
    return await asyncio.to_thread(_created, path, manifest)


async def verify_backup(path: Path, folder: Path | None = None) -> Proven:
    """Reads a backup as a whole, restores it into a SQLite file that is thrown away, and proves its ledger there.

    folder: where that file is made; None: where temporary files are. Raises BackupDamaged, SchemaTooNew and OSError.
    """
    with open_archive(path) as archive, tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as scratch:
        async with open_database(f"sqlite:///{scratch}/verified.db") as database:
            await database.migrate(lambda c: backup.restore(c, archive))
            proof = await database.query(verify, snapshot=True)
            revision = await database.query(lambda c: str(migrations.revision_of(c)))
        return Proven(manifest=archive.manifest, digest=archive.digest, revision=revision, proof=proof)


async def restore_backup(database: Database, path: Path, how: Restoring, *, now: datetime) -> Restored:
    """Puts a backup in the place of what the database has: all of it in one transaction, or nothing.

    The caller holds the publisher's lock on SQLite; on PostgreSQL no other process of ours may be connected. Raises
    BackupRefused, BackupDamaged, SchemaTooNew, OSError, and DatabaseError.
    """
    with open_archive(path) as archive:
        await asyncio.to_thread(archive.check)
        return await database.migrate(lambda c: _replaced(c, archive, how, now))


def file_name(now: datetime) -> str:
    """The name of a backup that was begun at that time; names sort by it."""
    return f"{PREFIX}{now:%Y%m%d-%H%M%S}{SUFFIX}"


def _replaced(connection: Connection, archive: Archive, how: Restoring, now: datetime) -> Restored:
    _refuse_company(connection, now)
    backup.lock_all(connection)
    filled = backup.filled_tables(connection)
    if filled and not how.replace:
        raise BackupRefused(
            f"the database is not empty ({', '.join(filled[:5])}{', ...' if len(filled) > 5 else ''}): nothing was "
            "restored. --replace puts the backup in its place, and keeps a copy of what is there."
        )
    before = CarriedOver()
    if migrations.revision_of(connection) is not None:
        if filled:
            _refuse_present(how.safety)
            with _cursors_closed(connection):
                _written(connection, how.safety, how.version, now)
            before = read_carried_over(connection)
        backup.drop_all(connection)
    backup.restore(connection, archive)
    kept = carry_over(connection, before)
    leases.end_all_leases(connection)
    connection.execute(delete(_DAEMON))
    told = {"file": archive.path.name, "made_at": archive.manifest.made_at, "digest": archive.digest}
    runs.begin_run(connection, how.run, "backup restore", how.actor, told, now)
    runs.end_run(connection, how.run, "done", now)
    mark_restored(connection, now)
    return Restored(manifest=archive.manifest, safety=how.safety if filled else None, secrets_kept=kept)


@contextmanager
def _cursors_closed(connection: Connection) -> Iterator[None]:
    """What only reads in the block leaves no cursor open: PostgreSQL would not drop the tables that it is on."""
    reading = connection.begin_nested()
    try:
        yield
    finally:
        reading.rollback()


def _refuse_company(connection: Connection, now: datetime) -> None:
    """On PostgreSQL; on SQLite the publisher's lock tells."""
    held = leases.live_owners(connection, now) if migrations.revision_of(connection) is not None else []
    others = sorted({*held, *other_workers(connection)})
    if others:
        raise BackupRefused(
            f"{len(others)} processes of channelsync use the database ({', '.join(others[:5])}): stop them, and wait "
            "until their leases have run out. Nothing was restored."
        )


def _written(connection: Connection, path: Path, version: str, now: datetime, stopped: Stopped = never) -> Manifest:
    with _new_file(path) as file:
        return backup.export(connection, file, version=version, now=now, stopped=stopped)


def _created(path: Path, manifest: Manifest) -> Created:
    with open_archive(path) as archive:
        return Created(path=path, bytes=path.stat().st_size, manifest=manifest, digest=archive.digest)


def _refuse_present(path: Path) -> None:
    if path.exists():
        raise BackupRefused(f"{path} is there already and was not touched: name another file.")


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only once all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{entry_id('part', path.name, str(os.getpid()))[:8]}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
