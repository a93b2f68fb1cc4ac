"""When writes left, by the name under which the channel counts them; for channels that take only so many a day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, bindparam, func, literal_column, or_, select

from channelsync.store.among import among, values
from channelsync.store.keys import KeyRecord
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_PAGE = metadata.tables["quantity_key_page"]
_WRITE = metadata.tables["quantity_write"]
_PREDICTION = metadata.tables["prediction"]

NEVER_LEFT = "not sent"
"""The outcome of a write that changed nothing at the channel, as of `PushResult.not_sent`."""


class Counted(NamedTuple):
    """Whose writes are counted together. key: of a key without a page, its id; else 0."""

    identity: str
    page: str
    key: int


def counted_as(connection: Connection, records: Sequence[KeyRecord]) -> dict[int, tuple[Counted, ...]]:
    """By key: under which names the channel counts its writes, one, or several where it is shown on several pages."""
    further = _further(connection, [one.id for one in records])
    return {one.id: _counted(one.identity, one.page, one.id, further) for one in records}


def sent_since(
    connection: Connection, records: Sequence[KeyRecord], since: datetime, most: int
) -> dict[Counted, list[datetime]]:
    """When writes left that count together with those of these keys, oldest first; of each key the newest `most`.

    Refused ones count as well: nobody knows how the channel counts them. Also those whose answer is not there yet.
    """
    return _times(connection, _select_sent(connection.dialect.name), records, since, {"most": most})


def predicted_since(
    connection: Connection, records: Sequence[KeyRecord], since: datetime
) -> dict[Counted, list[datetime]]:
    """When writes would have left that count together with those of these observed keys, oldest first."""
    return _times(connection, _select_predicted(connection.dialect.name), records, since, {})


def _times(
    connection: Connection,
    statement: Select[Any],
    records: Sequence[KeyRecord],
    since: datetime,
    more: dict[str, object],
) -> dict[Counted, list[datetime]]:
    """`since` excluded: what left then has left the span."""
    named = counted_as(connection, records)
    pages = {one.page for counted in named.values() for one in counted if one.page}
    listed = {
        "pages": values(connection, sorted(pages)),
        "further": values(connection, sorted(pages)),
        "ids": values(connection, sorted(named)),
    }
    rows = connection.execute(statement, {**listed, **more, "since": since}).all()
    further = _further(connection, {row.id for row in rows})
    found: dict[Counted, list[datetime]] = {}
    for row in rows:
        for counted in _counted(row.identity, row.page, row.id, further):
            found.setdefault(counted, []).append(row.at)
    return found


def _counted(identity: str, page: str, key: int, further: Mapping[int, Sequence[str]]) -> tuple[Counted, ...]:
    pages = [one for one in (page, *further.get(key, ())) if one]
    return tuple(Counted(identity, one, 0) for one in pages) or (Counted(identity, "", key),)


def _further(connection: Connection, keys: Collection[int]) -> dict[int, list[str]]:
    """The further pages of those of these keys that have any."""
    found: dict[int, list[str]] = {}
    if keys:
        wanted = {"keys": values(connection, sorted(keys))}
        for row in connection.execute(_select_further(connection.dialect.name), wanted):
            found.setdefault(row.key, []).append(row.page)
    return found


@cache
def _select_further(dialect: str) -> Select[Any]:
    return select(_PAGE.c.key, _PAGE.c.page).where(among(_PAGE.c.key, "keys", dialect)).order_by(_PAGE.c.page)


@cache
def _select_sent(dialect: str) -> Select[Any]:
    """A key's newest writes are found by its primary key, from the end, so that those of long ago cost nothing.

    Generations that never left are stepped over: counted among the newest, they would hide as many that did.
    """
    later = _WRITE.alias("later")
    first = (
        select(later.c.generation)
        .where(later.c.key == _KEY.c.id, later.c.outcome != NEVER_LEFT)
        .order_by(later.c.generation.desc())
        .offset(bindparam("most") - 1)
        .limit(1)
        .correlate(_KEY)
        .scalar_subquery()
    )
    newest = _WRITE.c.generation >= func.coalesce(first, 0)
    return (
        _select(dialect, _WRITE.c.sent_at)
        .join(_WRITE, and_(_WRITE.c.key == _KEY.c.id, newest))
        .where(_WRITE.c.outcome != NEVER_LEFT)
    )


@cache
def _select_predicted(dialect: str) -> Select[Any]:
    differing = _PREDICTION.c.shown.is_distinct_from(_PREDICTION.c.target)
    return _select(dialect, _PREDICTION.c.at).join(_PREDICTION, _PREDICTION.c.key == _KEY.c.id).where(differing)


def _select(dialect: str, at: Column[Any]) -> Select[Any]:
    # The empty text is part of the statement, so that the index of just these rows is used; see `provisionals.HOLDING`.
    on_pages: ColumnElement[bool] = and_(_KEY.c.page != literal_column("''"), among(_KEY.c.page, "pages", dialect))
    on_further = _KEY.c.id.in_(select(_PAGE.c.key).where(among(_PAGE.c.page, "further", dialect)))
    return (
        select(_KEY.c.id, _KEY.c.identity, _KEY.c.page, at.label("at"))
        .select_from(_KEY)
        .where(or_(among(_KEY.c.id, "ids", dialect), on_pages, on_further), at > bindparam("since"))
        .order_by(at)
    )
