"""Where the database lives, by which one notices that it was restored from a copy.

PostgreSQL: its cluster, the timeline, which a recovery to a point in time and a failover move on, its number in there,
and that of a table, for pg_restore makes the tables anew, also where it restores into the same database. SQLite: a file
beside the database remembers the last daemon's run and when it last gave a sign of life; a database that does not know
that run, or that last sign, is older than the daemon was.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_PLACE = metadata.tables["guard_place"]
_RUN = metadata.tables["run"]
_DAEMON = metadata.tables["daemon"]

NOT_OLDER = timedelta(minutes=1)
"""By so much the file may be ahead of the database: the machine may have died between the two."""

_OWN = (
    "SELECT oid::text || '/' || 'guard_place'::regclass::oid::text FROM pg_database WHERE datname = current_database()"
)
# The timeline of what is being written now: the control file tells a new one minutes later.
_CLUSTER = (
    "SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) "
    "FROM pg_control_system()"
)


def was_moved(connection: Connection) -> bool:
    """Whether the database was somewhere else when this was last asked; remembers where it is now.

    Always False on SQLite, where a file tells: see `older_than`. Where the server does not tell of its cluster, only
    the numbers of the database and of the table count, which a restore changes.
    """
    if connection.dialect.name != "postgresql":
        return False
    here = f"{_cluster(connection)}/{connection.execute(text(_OWN)).scalar_one()}"
    before = connection.execute(select(_PLACE.c.place)).scalar()
    if before != here:
        statement = upsert(_PLACE, "postgresql", keys=("id",), update=("place",))
        connection.execute(statement, [{"id": 1, "place": here}])
    return before is not None and before != here


def _cluster(connection: Connection) -> str:
    try:
        with connection.begin_nested():
            return str(connection.execute(text(_CLUSTER)).scalar_one())
    except DBAPIError:  # not every role may ask
        return ""


def older_than(connection: Connection, mark: Path) -> bool:
    """Whether a SQLite database is older than the file beside it says; False where there is no file, or none of ours.

    A daemon that ended as it should has no sign of life in the database any more: then its run alone counts.
    """
    said = mark.read_text(encoding="utf-8", errors="replace").split() if mark.exists() else []
    if not said:
        return False
    if connection.execute(select(_RUN.c.id).where(_RUN.c.id == said[0])).scalar() is None:
        return True
    known: datetime | None = connection.execute(select(_DAEMON.c.beat_at).where(_DAEMON.c.run == said[0])).scalar()
    try:
        told = datetime.fromisoformat(said[1])
    except (IndexError, ValueError):
        return False
    return known is not None and told.tzinfo is not None and known + NOT_OLDER < told


def remember_run(mark: Path, run: str, at: datetime) -> None:
    """Writes the file beside a SQLite database: this run is the daemon's, and the database has its sign of life."""
    new = mark.with_name(f"{mark.name}.new")
    new.write_text(f"{run} {at.isoformat()}\n", encoding="utf-8")
    os.replace(new, mark)


def mark_of(database: Path) -> Path:
    """The file beside a SQLite database that names the last daemon's run."""
    return database.with_name(f"{database.name}.last-run")
