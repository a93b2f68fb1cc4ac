"""The inbox: webhooks as rows, written by the receiver and worked off by the daemon."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, Update, bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from channelsync.store.among import among, values
from channelsync.store.codec import dump, load
from channelsync.store.database_errors import DatabaseConflict
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert

_INBOX = metadata.tables["inbox"]
_ORDER = metadata.tables["sales_order"]

State = Literal["new", "done", "quarantined", "parked"]
Kept = Literal["new", "copy", "quarantined"]
Name = tuple[str, str, str]
"""Channel, topic and event: what names a delivery; every repeat has the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A genuine delivery as it is written. keys: (the channel's key, its location). body: sealed; None: not kept."""

    channel: str
    topic: str
    event: str
    digest: str
    received_at: datetime
    sent_at: datetime
    orders: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> Name:
        """What every repeat of it is named too."""
        return (self.channel, self.topic, self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row. See `tables/inbox.py`. has_body: whether its sealed body is still kept."""

    id: int
    channel: str
    topic: str
    event: str
    digest: str
    received_at: datetime
    sent_at: datetime
    orders: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    state: State
    copies: int
    attempts: int
    why: str
    handled_at: datetime | None
    has_body: bool


_SHOWN: Select[Any] = select(
    *(column for column in _INBOX.c if column.name not in ("body", "differs")),
    _INBOX.c.body.is_not(None).label("has_body"),
)


def keep_deliveries(connection: Connection, arrived: Sequence[Arrived], why_differs: str) -> list[Kept]:
    """Writes deliveries; says of each whether it is new, a copy, or another body under a name that is taken.

    Another body is kept as quarantined, with this reason. Raises DatabaseConflict, so that the unit of work is
    repeated, where another process wrote the same event meanwhile: the second time it is known.
    """
    known = _known(connection, arrived)
    outcomes: list[Kept] = []
    rows: list[dict[str, Any]] = []
    copies: dict[tuple[Name, str], int] = {}
    for one in arrived:
        digests = known.setdefault(one.name, set())
        if one.digest in digests:
            copies[one.name, one.digest] = copies.get((one.name, one.digest), 0) + 1
            outcomes.append("copy")
            continue
        outcomes.append("quarantined" if digests else "new")
        rows.append(_row(one, why_differs if digests else ""))
        digests.add(one.digest)
    if rows:  # in one order for everybody, so that nobody deadlocks
        rows.sort(key=lambda row: (row["channel"], row["topic"], row["event"], row["digest"]))
        try:
            connection.execute(insert(_INBOX, connection.dialect.name), rows)
        except IntegrityError as error:
            raise DatabaseConflict("a webhook came in at two receivers at the same time") from error
    if copies:
        counted = [
            {"b_channel": name[0], "b_topic": name[1], "b_event": name[2], "b_digest": digest, "b_more": more}
            for (name, digest), more in sorted(copies.items())
        ]
        connection.execute(_count_copies(), counted)
    return outcomes


def _row(one: Arrived, why: str) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "topic": one.topic,
        "event": one.event,
        "digest": one.digest,
        "differs": bool(why),
        "received_at": one.received_at,
        "sent_at": one.sent_at,
        "orders": dump(one.orders),
        "keys": dump(one.keys),
        "body": one.body,
        "state": "quarantined" if why else "new",
        "copies": 0,
        "attempts": 0,
        "why": why,
        "handled_at": one.received_at if why else None,
    }


def _known(connection: Connection, arrived: Iterable[Arrived]) -> dict[Name, set[str]]:
    """The bodies that are there already under the names of these deliveries."""
    events: dict[tuple[str, str], set[str]] = {}
    for one in arrived:
        events.setdefault((one.channel, one.topic), set()).add(one.event)
    known: dict[Name, set[str]] = {}
    for (channel, topic), some in events.items():
        given = {"channel": channel, "topic": topic, "events": values(connection, sorted(some))}
        for row in connection.execute(_select_known(connection.dialect.name), given):
            known.setdefault((channel, topic, row.event), set()).add(row.digest)
    return known


@cache
def _select_known(dialect: str) -> Select[Any]:
    return select(_INBOX.c.event, _INBOX.c.digest).where(
        _INBOX.c.channel == bindparam("channel"),
        _INBOX.c.topic == bindparam("topic"),
        among(_INBOX.c.event, "events", dialect),
    )


@cache
def _count_copies() -> Update:
    return (
        update(_INBOX)
        .where(
            _INBOX.c.channel == bindparam("b_channel"),
            _INBOX.c.topic == bindparam("b_topic"),
            _INBOX.c.event == bindparam("b_event"),
            _INBOX.c.digest == bindparam("b_digest"),
        )
        .values(copies=_INBOX.c.copies + bindparam("b_more"))
    )


def new_deliveries(
    connection: Connection, channel: str, limit: int, but: Collection[int] = frozenset()
) -> list[Delivery]:
    """Those of a channel that nobody has followed yet, the oldest first. but: these are left out."""
    found = connection.execute(
        _SHOWN.where(_INBOX.c.channel == channel, _INBOX.c.state == "new").order_by(_INBOX.c.id).limit(limit + len(but))
    )
    return [_delivery(row) for row in found if row.id not in but][:limit]


def mark_done(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """These were followed."""
    statement = (
        update(_INBOX)
        .where(among(_INBOX.c.id, "ids", connection.dialect.name), _INBOX.c.state == "new")
        .values(state="done", handled_at=now, why="")
    )
    connection.execute(statement, {"ids": values(connection, ids)})


def mark_failed(connection: Connection, number: int, why: str, now: datetime, attempts_max: int) -> bool:
    """One could not be followed. It is tried again, or after so many attempts parked; returns whether it was parked."""
    row = connection.execute(select(_INBOX.c.attempts).where(_INBOX.c.id == number)).first()
    if row is None:
        return False
    parked: bool = row.attempts + 1 >= attempts_max
    fields: dict[str, object] = {"attempts": row.attempts + 1, "why": why}
    if parked:
        fields |= {"state": "parked", "handled_at": now}
    connection.execute(update(_INBOX).where(_INBOX.c.id == number).values(**fields))
    return parked


def replay(connection: Connection, ids: Sequence[int]) -> list[Delivery]:
    """Puts deliveries back to be followed once more, whatever became of them; returns those that there are."""
    if ids:
        connection.execute(
            update(_INBOX)
            .where(among(_INBOX.c.id, "ids", connection.dialect.name))
            .values(state="new", attempts=0, why="", handled_at=None),
            {"ids": values(connection, ids)},
        )
    return get_deliveries(connection, ids)


def get_deliveries(connection: Connection, ids: Sequence[int]) -> list[Delivery]:
    """Deliveries by their numbers; an unknown one is left out."""
    found = connection.execute(
        _SHOWN.where(among(_INBOX.c.id, "ids", connection.dialect.name)).order_by(_INBOX.c.id),
        {"ids": values(connection, ids)},
    )
    return [_delivery(row) for row in found]


def list_deliveries(
    connection: Connection, *, channel: str = "", state: str = "", topic: str = "", limit: int = 100
) -> list[Delivery]:
    """Deliveries, newest first; an empty choice means all."""
    chosen: list[ColumnElement[bool]] = []
    for column, wanted in ((_INBOX.c.channel, channel), (_INBOX.c.state, state), (_INBOX.c.topic, topic)):
        if wanted:
            chosen.append(column == wanted)
    found = connection.execute(_SHOWN.where(*chosen).order_by(_INBOX.c.id.desc()).limit(limit))
    return [_delivery(row) for row in found]


def sealed_body(connection: Connection, number: int) -> bytes | None:
    """The sealed body of a delivery; None: it is not kept."""
    found: bytes | None = connection.execute(select(_INBOX.c.body).where(_INBOX.c.id == number)).scalar_one_or_none()
    return found


def old_bodies(connection: Connection, before: datetime, limit: int) -> list[int]:
    """Some deliveries that came before then and have a body still; none: there are no more."""
    old = select(_INBOX.c.id).where(_INBOX.c.body.is_not(None), _INBOX.c.received_at < before)
    # Of those that came before then the newest have theirs: the others lost it long ago.
    return list(connection.execute(old.order_by(_INBOX.c.received_at.desc()).limit(limit)).scalars())


def drop_bodies(connection: Connection, ids: Sequence[int]) -> int:
    """Drops the bodies of these deliveries; returns how many."""
    these = among(_INBOX.c.id, "ids", connection.dialect.name)
    return connection.execute(update(_INBOX).where(these).values(body=None), {"ids": values(connection, ids)}).rowcount


def drop_deliveries(connection: Connection, before: datetime, limit: int) -> int:
    """Drops some deliveries that came before then; returns how many: 0 when there are no more.

    Whatever their state: a delivery that nobody followed for so long belongs to a channel that is off or gone.
    """
    old = select(_INBOX.c.id).where(_INBOX.c.received_at < before).order_by(_INBOX.c.received_at).limit(limit)
    return connection.execute(delete(_INBOX).where(_INBOX.c.id.in_(old))).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What of a channel is in the inbox and not done, by state; and when the oldest came that is new."""

    counts: Mapping[str, int]
    oldest_new: datetime | None


def waiting(connection: Connection) -> dict[str, Waiting]:
    """By channel; one of which everything is done is left out."""
    counted = connection.execute(
        select(_INBOX.c.channel, _INBOX.c.state, func.count())
        .where(_INBOX.c.state.in_(("new", "quarantined", "parked")))
        .group_by(_INBOX.c.state, _INBOX.c.channel)
    )
    counts: dict[str, dict[str, int]] = {}
    for channel, state, number in counted:
        counts.setdefault(channel, {})[state] = number
    came_first = connection.execute(
        select(_INBOX.c.channel, func.min(_INBOX.c.received_at))
        .where(_INBOX.c.state == "new")
        .group_by(_INBOX.c.channel)
    )
    oldest: dict[str, datetime] = {row[0]: row[1] for row in came_first}
    return {channel: Waiting(counts=counts[channel], oldest_new=oldest.get(channel)) for channel in counts}


def last_events(connection: Connection) -> dict[tuple[str, str], datetime]:
    """When the last delivery of each channel and topic came, as far back as the inbox goes."""
    found = connection.execute(
        select(_INBOX.c.channel, _INBOX.c.topic, func.max(_INBOX.c.received_at)).group_by(
            _INBOX.c.channel, _INBOX.c.topic
        )
    )
    return {(channel, topic): at for channel, topic, at in found}


def arrivals(connection: Connection, channel: str, topic: str, limit: int) -> list[datetime]:
    """When the latest deliveries of a topic came, the oldest first."""
    found = connection.execute(
        select(_INBOX.c.received_at)
        .where(_INBOX.c.channel == channel, _INBOX.c.topic == topic)
        .order_by(_INBOX.c.received_at.desc())
        .limit(limit)
    )
    return sorted(found.scalars())


def orders_placed_since(connection: Connection, channel: str, since: datetime) -> int:
    """How many orders of a channel are known that were placed after this moment, by the channel's clock."""
    found = connection.execute(
        select(func.count()).select_from(_ORDER).where(_ORDER.c.channel == channel, _ORDER.c.placed_at > since)
    )
    return int(found.scalar_one())


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        channel=row.channel,
        topic=row.topic,
        event=row.event,
        digest=row.digest,
        received_at=row.received_at,
        sent_at=row.sent_at,
        orders=tuple(load(row.orders) or ()),
        keys=tuple((key, location) for key, location in load(row.keys) or ()),
        state=row.state,
        copies=row.copies,
        attempts=row.attempts,
        why=row.why,
        handled_at=row.handled_at,
        has_body=bool(row.has_body),
    )
