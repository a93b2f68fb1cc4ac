"""Files of feeds and what became of each: a file is finished where it has a row."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from channelsync.store.codec import dump, load
from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_FILE = metadata.tables["feed_file"]

IMPORTED, REPEATED, REFUSED = "imported", "repeated", "refused"
"""What became of a file. Repeated: another file with the same content was imported before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFile:
    """A finished file. key: see the table. report: as whoever sent it is told."""

    feed: str
    key: str
    name: str
    digest: str
    outcome: str
    run: str
    rows: int
    report: dict[str, Any]
    at: datetime


_COLUMNS = tuple(one.name for one in fields(FeedFile))


def save_file(connection: Connection, file: FeedFile) -> None:
    """Says that a file is finished; one that was refused before may come to another end."""
    row = {name: getattr(file, name) for name in _COLUMNS} | {"report": dump(file.report)}
    changed = tuple(name for name in _COLUMNS if name not in ("feed", "key"))
    connection.execute(upsert(_FILE, connection.dialect.name, keys=("feed", "key"), update=changed), [row])


def find_file(connection: Connection, feed: str, key: str) -> FeedFile | None:
    """A finished file; None where it is not finished."""
    row = connection.execute(select(_FILE).where(_FILE.c.feed == feed, _FILE.c.key == key)).first()
    return None if row is None else _stored(row)


def latest_file(connection: Connection, feed: str) -> FeedFile | None:
    """The file that was finished last, whatever became of it; None: there never was one."""
    found = select(_FILE).where(_FILE.c.feed == feed).order_by(_FILE.c.at.desc()).limit(1)
    row = connection.execute(found).first()
    return None if row is None else _stored(row)


def last_good_at(connection: Connection, feed: str) -> datetime | None:
    """When the last file was taken that was not refused; None: there never was one."""
    found = select(func.max(_FILE.c.at)).where(_FILE.c.feed == feed, _FILE.c.outcome != REFUSED)
    at: datetime | None = connection.execute(found).scalar_one()
    return at


def prune_files(connection: Connection, before: datetime) -> int:
    """Forgets files that were finished before, save the last good one of each feed; returns how many."""
    last = select(func.max(_FILE.c.at)).where(_FILE.c.outcome != REFUSED).group_by(_FILE.c.feed)
    return connection.execute(delete(_FILE).where(_FILE.c.at < before, _FILE.c.at.not_in(last))).rowcount


def _stored(row: Row[Any]) -> FeedFile:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return FeedFile(**{**values, "report": load(row.report)})
