"""What can go wrong with the database, sorted by what the caller does next.

DatabaseError
├── DatabaseUnavailable     cannot be opened or reached: path, address, server starting
├── DatabaseRefused         the server does not let us in: user, password, database name
├── ConnectionLost          broke before the commit: nothing was written, repeat the unit of work
├── DatabaseConflict        deadlock or serialization failure: rolled back, repeat the unit of work
├── DatabaseBusy            locked by another for longer than we wait
├── CommitUnknown           broke during the commit: read the deterministic ids, then decide
├── DatabaseFull            no space left: rolled back, make room
├── DatabaseReadOnly        file, directory or server does not accept writes
├── DatabaseGone            the file was deleted, moved or replaced while it was open: put it back, or restore
├── DatabaseDamaged         not a database, or a broken one: run `channelsync backup restore`
├── SchemaTooOld            run `channelsync db upgrade`
├── SchemaTooNew            upgrade channelsync
└── PublisherRunning        another process publishes from this file

Violated constraints are no `DatabaseError`: they stay SQLAlchemy's `IntegrityError`, for the caller to decide.
"""

import sqlite3
from typing import ClassVar

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class DatabaseError(Exception):
    """The database cannot do what was asked of it."""

    may_repeat: ClassVar[bool] = False
    """Nothing was written and the same unit of work may succeed when it is repeated as a whole."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        summary = (self.__doc__ or "").strip().splitlines()[0]
        super().__init__(f"{summary} ({detail})" if detail else summary)


class DatabaseUnavailable(DatabaseError):
    """The database cannot be opened or reached: check its address and whether it runs."""

    may_repeat = True


class DatabaseRefused(DatabaseError):
    """The database server does not let us in: check the user, the password and the name of the database."""


class ConnectionLost(DatabaseError):
    """The connection to the database broke before the commit; nothing was written."""

    may_repeat = True


class DatabaseConflict(DatabaseError):
    """Two transactions stood in each other's way; this one was rolled back."""

    may_repeat = True


class DatabaseBusy(DatabaseError):
    """The database is locked by another process or transaction for too long; nothing was written."""

    may_repeat = True


class CommitUnknown(DatabaseError):
    """The connection broke during the commit: read by the deterministic ids whether it was written."""


class DatabaseFull(DatabaseError):
    """The disk or the database is full; nothing was written. Make room, then try again."""


class DatabaseReadOnly(DatabaseError):
    """The database does not accept writes: check the rights of its file and directory, or whose replica it is."""


class DatabaseGone(DatabaseError):
    """The file was deleted, moved or replaced in use; nothing is written. Put it back, or stop all and restore."""


class DatabaseDamaged(DatabaseError):
    """The file is not a database or is damaged: `channelsync backup restore FILE --replace` restores a backup."""


class SchemaTooOld(DatabaseError):
    """The database is older than this channelsync: run `channelsync db upgrade`."""


class SchemaTooNew(DatabaseError):
    """The database is newer than this channelsync: install the version that upgraded it, or a later one."""


class PublisherRunning(DatabaseError):
    """Another process publishes from this database file; SQLite allows one. Stop it first, or use PostgreSQL."""


_SQLITE: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_FULL: DatabaseFull,
    sqlite3.SQLITE_READONLY: DatabaseReadOnly,
    sqlite3.SQLITE_PERM: DatabaseReadOnly,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnavailable,
    sqlite3.SQLITE_PROTOCOL: DatabaseBusy,
    sqlite3.SQLITE_CORRUPT: DatabaseDamaged,
    sqlite3.SQLITE_NOTADB: DatabaseDamaged,
    sqlite3.SQLITE_IOERR: DatabaseUnavailable,
}
"""By SQLite's primary result code, the low byte of the extended one."""

_POSTGRESQL: tuple[tuple[str, type[DatabaseError]], ...] = (
    ("40001", DatabaseConflict),
    ("40P01", DatabaseConflict),
    ("55P03", DatabaseBusy),
    ("53100", DatabaseFull),
    ("25006", DatabaseReadOnly),
    ("57P01", ConnectionLost),
    ("57P02", ConnectionLost),
    ("25P03", ConnectionLost),
    ("08", ConnectionLost),
    ("57P03", DatabaseUnavailable),
    ("53300", DatabaseUnavailable),
    ("28", DatabaseRefused),
    ("3D000", DatabaseRefused),
    ("XX001", DatabaseDamaged),
    ("XX002", DatabaseDamaged),
)
"""By SQLSTATE or the beginning of it; the first that fits counts."""


def understood(error: BaseException) -> DatabaseError | None:
    """What a driver's or SQLAlchemy's error means; None: nothing about the database itself, leave it as it is."""
    if isinstance(error, DatabaseError):
        return error
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(f"all of this process's connections are in use: {error}")
    if isinstance(error, IntegrityError):
        return None
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    cause = error.orig if isinstance(error, DBAPIError) else error
    meaning = _meaning(cause)
    if meaning is None and invalidated:
        meaning = ConnectionLost
    return meaning(f"{type(cause).__name__}: {cause}") if meaning else None


def is_everybodys(error: Exception) -> bool:
    """Whether it is the database's as a whole (it cannot be reached, it is full): no smaller unit of work succeeds."""
    return isinstance(error, DatabaseError) and not isinstance(error, DatabaseConflict)


def surely_rolled_back(error: Exception) -> bool:
    """Whether a commit that ended with this error certainly wrote nothing: the database itself answered so."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF != sqlite3.SQLITE_IOERR
    state = sqlstate(cause)
    return state is not None and _by_state(state) is not ConnectionLost


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's five-letter code of an error, None where the server sent none."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def _meaning(cause: BaseException | None) -> type[DatabaseError] | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF)
    state = sqlstate(cause)
    return _by_state(state) if state else None


def _by_state(state: str) -> type[DatabaseError] | None:
    return next((meaning for prefix, meaning in _POSTGRESQL if state.startswith(prefix)), None)
