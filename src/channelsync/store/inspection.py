"""What can be told of a database without changing it: its settings, its integrity, its room."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text

_PROBLEMS_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFacts:
    """A SQLite file. journal_mode: should be wal. size, wal_size: bytes. problems: of its integrity; empty: none.

    checked: whether the integrity was looked at.
    """

    journal_mode: str
    size: int
    wal_size: int
    checked: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlFacts:
    """A PostgreSQL server and database. version: as a number, 180003. connections: used now, of how many allowed.

    now: its clock.
    """

    version: int
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    recovering: bool
    connections: int
    connections_max: int
    size: int
    now: datetime


def inspect_sqlite(path: Path, *, thorough: bool = False, check: bool = True) -> SqliteFacts:
    """Looks at a file that is there, opened for reading only. Raises sqlite3.Error.

    check: look at the integrity too, which reads the whole file. thorough: also that every index holds what its table
    does, and that no row points at nothing.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        problems: list[str] = []
        if check or thorough:
            pragma = "integrity_check" if thorough else "quick_check"
            rows = connection.execute(f"PRAGMA {pragma}({_PROBLEMS_MAX})").fetchall()
            problems += [str(row[0]) for row in rows if row[0] != "ok"]
        if thorough:
            broken = connection.execute("PRAGMA foreign_key_check").fetchmany(_PROBLEMS_MAX)
            problems += [f"a row of {row[0]} points at nothing in {row[2]}" for row in broken]
    wal = path.with_name(f"{path.name}-wal")
    return SqliteFacts(
        journal_mode=str(mode),
        size=path.stat().st_size,
        wal_size=wal.stat().st_size if wal.exists() else 0,
        checked=check or thorough,
        problems=tuple(problems),
    )


def sqlite_session(connection: Connection) -> dict[str, int]:
    """The settings that SQLite keeps for each connection, as ours has them."""
    return {
        name: int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("synchronous", "foreign_keys", "busy_timeout")
    }


def inspect_postgresql(connection: Connection) -> PostgresqlFacts:
    """Looks at the server and the database of this connection."""

    def setting(name: str) -> str:
        return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())

    row = connection.execute(
        text(
            "SELECT pg_is_in_recovery() AS recovering, clock_timestamp() AS now, "
            "pg_database_size(current_database()) AS size, (SELECT count(*) FROM pg_stat_activity) AS connections"
        )
    ).one()
    return PostgresqlFacts(
        version=int(setting("server_version_num")),
        fsync=setting("fsync"),
        full_page_writes=setting("full_page_writes"),
        synchronous_commit=setting("synchronous_commit"),
        recovering=bool(row.recovering),
        connections=int(row.connections),
        connections_max=int(setting("max_connections")),
        size=int(row.size),
        now=row.now,
    )
