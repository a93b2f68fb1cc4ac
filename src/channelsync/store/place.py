"""Where the database lives, by which one notices that it was restored from a copy.

PostgreSQL: its cluster, its number in there, and the timeline, which a recovery to a point in time and a failover move
on. SQLite: a file beside the database remembers the last daemon's run; a database that does not know that run is older
than the daemon was.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_PLACE = metadata.tables["guard_place"]
_RUN = metadata.tables["run"]

_OWN = "SELECT oid::text FROM pg_database WHERE datname = current_database()"
_CLUSTER = (
    "SELECT system_identifier::text || '/' || (SELECT timeline_id::text FROM pg_control_checkpoint()) "
    "FROM pg_control_system()"
)


def was_moved(connection: Connection) -> bool:
    """Whether the database was somewhere else when this was last asked; remembers where it is now.

    Always False on SQLite, where a file tells: see `older_than`. Where the server does not tell of its cluster, only
    the number of the database counts, which a restore into a new one changes.
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
    """Whether a SQLite database does not know the run that the file beside it names; False where there is no file."""
    run = mark.read_text(encoding="utf-8").strip() if mark.exists() else ""
    return bool(run) and connection.execute(select(_RUN.c.id).where(_RUN.c.id == run)).scalar() is None


def remember_run(mark: Path, run: str) -> None:
    """Writes the file beside a SQLite database."""
    mark.write_text(f"{run}\n", encoding="utf-8")


def mark_of(database: Path) -> Path:
    """The file beside a SQLite database that names the last daemon's run."""
    return database.with_name(f"{database.name}.last-run")
