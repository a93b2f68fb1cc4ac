"""Hooks, the messages that wait for them, and what has changed that they should hear of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update

from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_HOOK = metadata.tables["hook"]
_MESSAGE = metadata.tables["outgoing"]
_LEDGER = metadata.tables["ledger_entry"]
_PLACE = metadata.tables["position"]
_ITEM = metadata.tables["item"]
_ORDER = metadata.tables["sales_order"]
_FINDING = metadata.tables["finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHook:
    """How a hook is doing; see the table."""

    name: str
    told_to: datetime
    failures: int
    failing_since: datetime | None
    not_before: datetime | None
    stopped: str
    problem: str
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that waits; see the table. id 0: not stored yet."""

    hook: str
    message: str
    type: str
    subject: str
    version: str
    payload: bytes
    made_at: datetime
    attempts: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionNow:
    """A position that changed, as it is now. entries: how many it has; at: when the newest was recorded."""

    item: str
    sku: str
    location: str
    on_hand: int
    reserved: int
    withheld: int
    entries: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNow:
    """An order of which units moved, as it is now. at: when they did."""

    channel: str
    order: str
    status: str
    version: datetime
    content: str
    placed_at: datetime
    entries: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingNow:
    """A finding that was opened or closed. sku: of its item; empty: it is about none. closed_at None: it is open."""

    id: int
    kind: str
    channel: str
    sku: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str


_OF_POSITION = tuple(one.name for one in fields(PositionNow))
_OF_ORDER = tuple(one.name for one in fields(OrderNow))

Count = tuple[int, int, int]
"""See `count_changes`."""

Told = Set[tuple[str, str]]
"""Subject and version of messages of one type."""


def position_subject(item: str, location: str) -> str:
    """What messages about a position are about."""
    return f"{item}|{location}"


def order_subject(channel: str, order: str) -> str:
    """What messages about an order are about."""
    return f"{channel}|{order}"


def begin_hook(connection: Connection, name: str, now: datetime) -> StoredHook:
    """A hook's row; one that is new hears of what changes from now on."""
    row = {"name": name, "told_to": now, "failures": 0, "stopped": "", "problem": ""}
    connection.execute(insert_ignoring(_HOOK, connection.dialect.name), row)
    found = find_hook(connection, name)
    if found is None:
        raise LookupError(f"the row of hook {name} is gone")
    return found


def find_hook(connection: Connection, name: str) -> StoredHook | None:
    """A hook's row; None where it was never served."""
    row = connection.execute(select(_HOOK).where(_HOOK.c.name == name)).first()
    return None if row is None else StoredHook(**{one.name: getattr(row, one.name) for one in fields(StoredHook)})


def change_hook(connection: Connection, name: str, **values: object) -> None:
    """Changes columns of a hook's row."""
    connection.execute(update(_HOOK).where(_HOOK.c.name == name).values(**values))


def changed_positions(connection: Connection, since: datetime, but: Told, limit: int) -> list[PositionNow]:
    """Positions with entries that were recorded since, oldest change first; so many at most that were not told.

    but: what was told already.
    """
    at = func.max(_LEDGER.c.recorded_at).label("at")
    changed = (
        select(_LEDGER.c.item, _LEDGER.c.location, at)
        .where(_LEDGER.c.recorded_at >= since)
        .group_by(_LEDGER.c.item, _LEDGER.c.location)
        .subquery()
    )
    found = connection.execute(
        select(_PLACE, _ITEM.c.sku, changed.c.at)
        .join(changed, (changed.c.item == _PLACE.c.item) & (changed.c.location == _PLACE.c.location))
        .join(_ITEM, _ITEM.c.id == _PLACE.c.item)
        .order_by(changed.c.at, _PLACE.c.item, _PLACE.c.location)
        .limit(limit + len(but))
    )
    fresh = (row for row in found if (position_subject(row.item, row.location), str(row.entries)) not in but)
    return [PositionNow(**{name: getattr(row, name) for name in _OF_POSITION}) for row in islice(fresh, limit)]


def changed_orders(connection: Connection, since: datetime, but: Told, limit: int) -> list[OrderNow]:
    """Orders with entries that were recorded since, oldest change first; so many at most that were not told.

    but: what was told already.
    """
    changed = (
        select(_LEDGER.c.channel, _LEDGER.c.order, func.max(_LEDGER.c.recorded_at).label("at"))
        .where(_LEDGER.c.recorded_at >= since, _LEDGER.c.order != "")
        .group_by(_LEDGER.c.channel, _LEDGER.c.order)
        .subquery()
    )
    entries = (
        select(func.count())
        .where(_LEDGER.c.channel == _ORDER.c.channel, _LEDGER.c.order == _ORDER.c.order)
        .scalar_subquery()
    )
    found = connection.execute(
        select(*(_ORDER.c[name] for name in _OF_ORDER if name in _ORDER.c), changed.c.at, entries.label("entries"))
        .join(changed, (changed.c.channel == _ORDER.c.channel) & (changed.c.order == _ORDER.c.order))
        .order_by(changed.c.at, _ORDER.c.channel, _ORDER.c.order)
        .limit(limit + len(but))
    )
    fresh = (row for row in found if (order_subject(row.channel, row.order), str(row.entries)) not in but)
    return [OrderNow(**{name: getattr(row, name) for name in _OF_ORDER}) for row in islice(fresh, limit)]


def changed_findings(connection: Connection, since: datetime) -> list[FindingNow]:
    """Findings that were opened or closed since, by their numbers."""
    found = connection.execute(
        select(_FINDING, func.coalesce(_ITEM.c.sku, "").label("sku"))
        .join(_ITEM, _ITEM.c.id == _FINDING.c.item, isouter=True)
        .where(or_(_FINDING.c.opened_at >= since, _FINDING.c.closed_at >= since))
        .order_by(_FINDING.c.id)
    )
    return [FindingNow(**{one.name: getattr(row, one.name) for one in fields(FindingNow)}) for row in found]


def count_changes(connection: Connection, since: datetime) -> Count:
    """How many entries were recorded since, and findings opened and closed. As long as none of these has grown nothing
    has come, whenever it was recorded."""
    entries = select(func.count()).where(_LEDGER.c.recorded_at >= since).scalar_subquery()
    opened = select(func.count()).where(_FINDING.c.opened_at >= since).scalar_subquery()
    closed = select(func.count()).where(_FINDING.c.closed_at >= since).scalar_subquery()
    row = connection.execute(select(entries, opened, closed)).one()
    return int(row[0]), int(row[1]), int(row[2])


def versions_since(connection: Connection, hook: str, since: datetime) -> set[tuple[str, str, str]]:
    """Type, subject and version of each message that was made since."""
    found = connection.execute(
        select(_MESSAGE.c.type, _MESSAGE.c.subject, _MESSAGE.c.version).where(
            _MESSAGE.c.hook == hook, _MESSAGE.c.made_at >= since
        )
    )
    return {(row.type, row.subject, row.version) for row in found}


def save_messages(connection: Connection, hook: str, messages: Sequence[Message]) -> None:
    """Keeps messages that are to be sent. Of one subject the newest takes the place of one that waits, in the queue
    too; it says something else, so it does not wait because that one was refused."""
    if not messages:
        return
    known = {(row.type, row.subject): row.id for row in connection.execute(_waiting(hook))}
    changed, new = [], []
    for one in messages:
        values = {"message": one.message, "version": one.version, "payload": one.payload, "made_at": one.made_at}
        if (one.type, one.subject) in known:
            changed.append({"b_id": known[one.type, one.subject], **values})
        else:
            new.append({"hook": hook, "type": one.type, "subject": one.subject, "attempts": 0, **values})
    if changed:
        statement = update(_MESSAGE).where(_MESSAGE.c.id == bindparam("b_id"))
        names = ("message", "version", "payload", "made_at")
        connection.execute(statement.values({name: bindparam(name) for name in names} | {"next_at": None}), changed)
    if new:
        connection.execute(_MESSAGE.insert(), new)


def _waiting(hook: str) -> Any:
    return select(_MESSAGE.c.id, _MESSAGE.c.type, _MESSAGE.c.subject).where(
        _MESSAGE.c.hook == hook, _MESSAGE.c.delivered_at.is_(None)
    )


def due_messages(connection: Connection, hook: str, now: datetime, limit: int) -> list[Message]:
    """Messages that may be sent now, the oldest first."""
    found = connection.execute(
        select(_MESSAGE)
        .where(_MESSAGE.c.hook == hook, _MESSAGE.c.delivered_at.is_(None))
        .where(or_(_MESSAGE.c.next_at.is_(None), _MESSAGE.c.next_at <= now))
        .order_by(_MESSAGE.c.id)
        .limit(limit)
    )
    return [_message(row) for row in found]


def mark_delivered(connection: Connection, messages: Iterable[Message], at: datetime) -> None:
    """Messages were accepted; one that was replaced meanwhile waits on."""
    rows = [{"b_id": one.id, "b_message": one.message} for one in messages]
    if rows:
        mine = (_MESSAGE.c.id == bindparam("b_id")) & (_MESSAGE.c.message == bindparam("b_message"))
        connection.execute(update(_MESSAGE).where(mine).values(delivered_at=at), rows)


def put_off(connection: Connection, message: Message, until: datetime | None) -> None:
    """A message was not accepted; it is sent again then. until None: it is given up. One that was replaced meanwhile
    waits as before."""
    mine = (_MESSAGE.c.id == message.id) & (_MESSAGE.c.message == message.message)
    if until is None:
        connection.execute(delete(_MESSAGE).where(mine))
    else:
        connection.execute(update(_MESSAGE).where(mine).values(attempts=message.attempts + 1, next_at=until))


def count_waiting(connection: Connection, hook: str, *, attempts: int = 0) -> int:
    """How many messages wait; of those that were refused so often at least."""
    statement = select(func.count()).where(_MESSAGE.c.hook == hook, _MESSAGE.c.delivered_at.is_(None))
    return int(connection.execute(statement.where(_MESSAGE.c.attempts >= attempts)).scalar_one())


def oldest_waiting(connection: Connection, hook: str) -> datetime | None:
    """When the oldest content that waits was made; None: nothing waits."""
    mine = (_MESSAGE.c.hook == hook) & _MESSAGE.c.delivered_at.is_(None)
    at: datetime | None = connection.execute(select(func.min(_MESSAGE.c.made_at)).where(mine)).scalar_one()
    return at


def drop_waiting(connection: Connection, hook: str) -> int:
    """Takes back all that waits; returns how many messages."""
    mine = (_MESSAGE.c.hook == hook) & _MESSAGE.c.delivered_at.is_(None)
    return connection.execute(delete(_MESSAGE).where(mine)).rowcount


def forget_delivered(connection: Connection, hook: str, *, before: datetime | None = None) -> int:
    """Forgets messages that were accepted, so that what they said can be told again. before: only older ones."""
    mine = (_MESSAGE.c.hook == hook) & _MESSAGE.c.delivered_at.is_not(None)
    if before is not None:
        mine &= _MESSAGE.c.made_at < before
    return connection.execute(delete(_MESSAGE).where(mine)).rowcount


def _message(row: Row[Any]) -> Message:
    return Message(**{one.name: getattr(row, one.name) for one in fields(Message)})
