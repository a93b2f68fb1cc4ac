"""What was taken in once and must not be taken in twice: files by their content, commands by the caller's key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring, upsert

_FILE = metadata.tables["imported_file"]
_RUN = metadata.tables["run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """Something that was taken in. name: of the file, or what the command said. kind: "stock", "command"."""

    digest: str
    name: str
    kind: str
    run: str
    rows: int
    at: datetime


def claim(connection: Connection, wanted: TakenIn) -> TakenIn | None:
    """Takes something in for a run, unless another has: then that one is returned, and None otherwise.

    What a run took in that was undone since may be taken in again. Of two that claim at once the second one waits
    for the first.
    """
    row = {name: getattr(wanted, name) for name in ("digest", "name", "kind", "run", "rows", "at")}
    dialect = connection.dialect.name
    if connection.execute(insert_ignoring(_FILE, dialect), row).rowcount == 1:
        return None
    found = connection.execute(
        select(_FILE, _RUN.c.undone_by)
        .join_from(_FILE, _RUN, _RUN.c.id == _FILE.c.run, isouter=True)
        .where(_FILE.c.digest == wanted.digest)
    ).one()
    if found.undone_by:
        columns = tuple(name for name in row if name != "digest")
        connection.execute(upsert(_FILE, dialect, keys=("digest",), update=columns), [row])
        return None
    return TakenIn(digest=found.digest, name=found.name, kind=found.kind, run=found.run, rows=found.rows, at=found.at)
