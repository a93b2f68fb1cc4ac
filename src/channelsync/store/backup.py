"""All rows of the database out into an archive, and back again; both in one transaction of whoever calls.

Which tables there are is asked of the migrations, not of the code's own classes: a database that is not upgraded yet
is backed up as it is, and an old backup is restored at its own revision and upgraded there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import islice
from typing import IO, Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError

from channelsync.store import migrations
from channelsync.store.archive import (
    Archive,
    ArchiveWriter,
    BackupDamaged,
    BackupRefused,
    LedgerHeads,
    Manifest,
    Stopped,
    TableInArchive,
    bytes_of,
    never,
    text_of,
    until_stopped,
)
from channelsync.store.database_errors import SchemaTooNew, SchemaTooOld

AT_ONCE = 2_000
"""Rows that are held in memory."""

_NO_MATTER = frozenset({"run", "lease", "schedule"})
"""Tables whose rows make no database worth keeping: every command that ran has left some."""


def export(
    connection: Connection, file: IO[bytes], *, version: str, now: datetime, stopped: Stopped = never
) -> Manifest:
    """Writes everything that the connection's transaction sees; it must be a snapshot, or exclude writers.

    Raises SchemaTooOld for a database without tables, SchemaTooNew, and BackupStopped.
    """
    revision = _revision(connection)
    tables = tables_of(connection, revision)
    with ArchiveWriter(file, now) as archive:
        manifest = Manifest(
            version=version,
            revision=revision,
            database="sqlite" if connection.dialect.name == "sqlite" else "postgresql",
            made_at=now,
            tables=tuple(
                archive.add(one.name, one.columns.keys(), until_stopped(_plain_rows(connection, one), stopped))
                for one in tables
            ),
            ledger=ledger_heads(connection, tables),
        )
        archive.finish(manifest)
    return manifest


def restore(connection: Connection, archive: Archive) -> None:
    """Makes the tables at the archive's revision, fills them and upgrades them to this version.

    The database has no tables yet; foreign keys of SQLite are off, as `Database.migrate` has them. Raises
    BackupDamaged and SchemaTooNew; whatever it raises, the transaction must be rolled back.
    """
    manifest = archive.manifest
    if not migrations.knows(manifest.revision):
        raise SchemaTooNew(f"{archive.path} is at revision {manifest.revision}, made by {manifest.version}")
    migrations.upgrade_within(connection, manifest.revision)
    told = {one.name: one for one in manifest.tables}
    tables = tables_of(connection, manifest.revision)
    if told.keys() != {one.name for one in tables}:
        differ = ", ".join(sorted(told.keys() ^ {one.name for one in tables}))
        raise BackupDamaged(f"{archive.path}: its tables are not those of revision {manifest.revision}: {differ}.")
    for table in tables:
        _fill(connection, table, archive, told[table.name])
    if ledger_heads(connection, tables) != manifest.ledger:
        raise BackupDamaged(f"{archive.path}: the ledger's heads are not those that its manifest names.")
    migrations.upgrade_within(connection, "head")


def drop_all(connection: Connection) -> None:
    """Drops every table of ours, with the mark of its revision. Raises SchemaTooNew."""
    there = MetaData()
    names = [*migrations.tables_at(_revision(connection)), migrations.REVISION_TABLE]
    there.reflect(connection, only=names)
    there.drop_all(connection)


def lock_all(connection: Connection) -> None:
    """Lets nobody else read or write until the transaction ends; a writing transaction of SQLite does so anyway."""
    revision = migrations.revision_of(connection)
    if connection.dialect.name == "postgresql" and revision is not None:
        names = ", ".join(f'"{name}"' for name in migrations.tables_at(revision))
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))


def filled_tables(connection: Connection) -> list[str]:
    """Tables that have rows worth keeping; empty for a new database. Raises SchemaTooNew."""
    if migrations.revision_of(connection) is None:
        return []
    tables = tables_of(connection, _revision(connection))
    there = [one for one in tables if one.name not in _NO_MATTER]
    return sorted(one.name for one in there if connection.execute(select(one).limit(1)).first() is not None)


def ledger_heads(connection: Connection, tables: list[Table]) -> LedgerHeads:
    """How far the ledger has come. tables: as `tables_of` found them."""
    by_name = {one.name: one for one in tables}
    position, entry = by_name["position"], by_name["ledger_entry"]
    columns = (position.c.item, position.c.location, position.c.entries, position.c.head)
    lines = sorted("\0".join(map(str, row)) for row in connection.execute(select(*columns)))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    entries = int(connection.execute(select(func.count()).select_from(entry)).scalar_one())
    return LedgerHeads(positions=len(lines), entries=entries, digest=digest)


def tables_of(connection: Connection, revision: str) -> list[Table]:
    """The database's own tables at that revision, those first that others point to."""
    there = MetaData()
    there.reflect(connection, only=migrations.tables_at(revision))
    return there.sorted_tables


def _revision(connection: Connection) -> str:
    revision = migrations.revision_of(connection)
    if revision is None:
        raise SchemaTooOld("it has no tables")
    if not migrations.knows(revision):
        raise SchemaTooNew(f"it is at revision {revision}")
    return revision


def _plain_rows(connection: Connection, table: Table) -> Iterator[list[object]]:
    binary = [at for at, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]
    for row in connection.execute(select(table).execution_options(yield_per=AT_ONCE)):
        values = list(row)
        for at in binary:
            values[at] = text_of(values[at])
        yield values


def _fill(connection: Connection, table: Table, archive: Archive, told: TableInArchive) -> None:
    if set(told.columns) != set(table.columns.keys()):
        raise BackupDamaged(f"{archive.path}: the columns of table {table.name} are not those of its revision.")
    readers = [_reader(table.columns[name]) for name in told.columns]
    pointing = [one for one in table.columns if any(key.column.table is table for key in one.foreign_keys)]
    rows = archive.rows(told)
    later: list[dict[str, Any]] = []
    while batch := [_values(told, readers, row, archive) for row in islice(rows, AT_ONCE)]:
        later += _set_aside(table, pointing, batch)
        try:
            connection.execute(table.insert(), batch)
        except (IntegrityError, DataError) as error:
            raise BackupRefused(f"{archive.path}: table {table.name} does not go in: {error.orig}.") from error
    _point(connection, table, pointing, later)
    _go_on_counting(connection, table)


def _values(
    told: TableInArchive, readers: list[Callable[[Any], Any] | None], row: list[Any], archive: Archive
) -> dict[str, Any]:
    try:
        return {
            name: value if value is None or reader is None else reader(value)
            for name, reader, value in zip(told.columns, readers, row, strict=True)
        }
    except (ValueError, TypeError) as error:
        raise BackupDamaged(f"{archive.path}: a value in table {told.name} cannot be read: {error}.") from error


def _reader(column: Column[Any]) -> Callable[[Any], Any] | None:
    """What makes a column's value of what stands in the archive; None: it stands there as it is."""
    if isinstance(column.type, LargeBinary):
        return bytes_of
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat
    return date.fromisoformat if isinstance(column.type, Date) else None


def _set_aside(table: Table, pointing: list[Column[Any]], batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Takes out what points to rows of the same table, which may not be there yet; returns what to set later."""
    later = []
    for row in batch:
        if any(row[one.name] is not None for one in pointing):
            later.append({f"b_{one.name}": row[one.name] for one in (*table.primary_key.columns, *pointing)})
            row.update(dict.fromkeys((one.name for one in pointing), None))
    return later


def _point(connection: Connection, table: Table, pointing: list[Column[Any]], later: list[dict[str, Any]]) -> None:
    if later:
        statement = update(table).values({one.name: bindparam(f"b_{one.name}") for one in pointing})
        keys = [one == bindparam(f"b_{one.name}") for one in table.primary_key.columns]
        connection.execute(statement.where(*keys), later)


def _go_on_counting(connection: Connection, table: Table) -> None:
    """The next number that PostgreSQL gives a row is one that none has; SQLite sees to it by itself."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name != "postgresql" or len(keys) != 1:
        return
    asked = select(func.pg_get_serial_sequence(f'"{table.name}"', keys[0].name))
    sequence = connection.execute(asked).scalar_one()
    if sequence is not None:
        connection.execute(select(func.setval(sequence, func.max(keys[0]))).select_from(table))
