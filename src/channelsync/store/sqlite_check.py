"""Whether a SQLite file can be relied on, looked at before anything is done with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from channelsync.store.database_errors import DatabaseDamaged

_BESIDE = ("-wal", "-shm")
_TOLD_MAX = 3


def damage(path: Path) -> str:
    """What is wrong with the file, in a sentence; empty: nothing, or there is no file yet.

    Looks at every page (`PRAGMA quick_check`), about a second for a gigabyte that is in memory. A file that is locked
    or may not be read is not damaged: whoever opens it says what is the matter.
    """
    if not path.exists() or path.stat().st_size == 0:
        return ""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_TOLD_MAX})")]
    except sqlite3.DatabaseError as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else ""
    return "" if found == ["ok"] else "; ".join(" ".join(one.split()) for one in found)


def refuse_damaged(path: Path) -> None:
    """Raises DatabaseDamaged, with what is wrong, where the file cannot be relied on."""
    wrong = damage(path)
    if wrong:
        raise DatabaseDamaged(f"{path}: {wrong}")


def set_aside(path: Path, now: datetime) -> Path:
    """Gives a damaged file another name, with what SQLite keeps beside it, so that a new one can take its place."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%d-%H%M%S}")
    path.rename(aside)
    for end in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def put_back(path: Path, aside: Path) -> None:
    """Undoes `set_aside`, over what has been begun in its place."""
    for end in _BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)
    for end in _BESIDE:
        with suppress(FileNotFoundError):
            aside.with_name(aside.name + end).rename(path.with_name(path.name + end))
    aside.rename(path)
