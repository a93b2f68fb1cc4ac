"""Who puts which keys on the publisher's agenda, beside those that a changed position puts there by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, literal_column, or_, select, update

from channelsync.store.among import among, values
from channelsync.store.keys import NO_RISE, due_later, more_urgent
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]

INTERRUPTED = "the process ended before the channel's answer came"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNumber:
    """A key's number as last seen, in units a buyer may buy. shown None: never read.

    seen_at: when that number was answered. waiting: it is on the agenda, or a read of it is wanted.
    """

    key: int
    channel: str
    shown: int | None
    seen_at: datetime | None
    waiting: bool


def chosen_keys(
    connection: Connection, channels: Collection[str] | None = None, items: Collection[str] | None = None
) -> list[int]:
    """Mapped keys of ours on these channels that show these items; None: whichever."""
    statement = select(_KEY.c.id).where(_KEY.c.item.is_not(None), _KEY.c.ours.is_(True)).order_by(_KEY.c.id)
    listed: dict[str, object] = {}
    for name, column, wanted in (("channels", _KEY.c.channel, channels), ("items", _KEY.c.item, items)):
        if wanted is not None:
            statement = statement.where(among(column, name, connection.dialect.name))
            listed[name] = values(connection, sorted(wanted))
    return list(connection.execute(statement, listed).scalars())


def key_numbers(connection: Connection, ids: Sequence[int]) -> dict[int, KeyNumber]:
    """The numbers of these keys, whether they are watermarks or were only seen while observing."""
    found = connection.execute(
        select(_KEY.c.id, _KEY.c.channel, _KEY.c.value, _KEY.c.answered_at, _KEY.c.due_at, _KEY.c.read_wanted).where(
            among(_KEY.c.id, "ids", connection.dialect.name)
        ),
        {"ids": values(connection, list(ids))},
    )
    return {
        row.id: KeyNumber(
            key=row.id,
            channel=row.channel,
            shown=row.value,
            seen_at=row.answered_at,
            waiting=row.due_at is not None or row.read_wanted,
        )
        for row in found
    }


def ask_for(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Wants these keys read and looked at now, whatever pause they were in."""
    connection.execute(
        update(_KEY)
        .where(among(_KEY.c.id, "ids", connection.dialect.name))
        .values(read_wanted=True, read_at=None, due_at=now, urgency=0, not_before=None),
        {"ids": values(connection, list(ids))},
    )


def mark_channel_due(connection: Connection, channel: str, now: datetime) -> None:
    """Puts every mapped key of a channel on the agenda."""
    _mark(connection, _KEY.c.channel == channel, now)


def mark_all_due(connection: Connection, now: datetime) -> None:
    """Puts every mapped key on the agenda."""
    _mark(connection, _KEY.c.ours.is_(True), now)


def items_of_listing(connection: Connection, listing: str) -> set[str]:
    """The items that a listing of this name shows, on whichever channel."""
    found = select(_KEY.c.item).where(_KEY.c.listing == listing, _KEY.c.item.is_not(None))
    return set(connection.execute(found).scalars())


def _mark(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """Locks them first, as `keys.mark_due` does: one that is due already may just be taken off by a publisher."""
    these = and_(which, _KEY.c.item.is_not(None))
    if connection.dialect.name == "postgresql":
        connection.execute(select(_KEY.c.id).where(these).order_by(_KEY.c.id).with_for_update())
    connection.execute(
        update(_KEY).where(these, due_later(1)).values(due_at=bindparam("b_now"), urgency=more_urgent(1)),
        {"b_now": now},
    )


def forget_rises(connection: Connection, channel: str) -> None:
    """Drops what was noticed of a channel's numbers and is not explained yet: another tool writes there from now on."""
    connection.execute(update(_KEY).where(_KEY.c.channel == channel).values(NO_RISE))


def ask_again(connection: Connection, identity: str, now: datetime) -> list[int]:
    """Writes of an account whose answer never came get an unknown outcome; their keys are read before all else.

    The writes stay open: each may have been applied or not, and a read decides. Returns the ids of their keys. Call
    it when this process has just got the right to write to the account, and before it writes.
    """
    theirs = select(_KEY.c.id).where(_KEY.c.identity == identity)
    unanswered = (_WRITE.c.outcome == "", _WRITE.c.closed_at.is_(None), _WRITE.c.key.in_(theirs))
    ids = sorted(set(connection.execute(select(_WRITE.c.key).where(*unanswered)).scalars()))
    if ids:
        connection.execute(update(_WRITE).where(*unanswered).values(outcome="unknown", reason=INTERRUPTED))
        ask_for(connection, ids, now)
    return ids


def open_question(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Of these keys those about which a question to the seller is open."""
    found = connection.execute(
        select(_KEY.c.id)
        .where(among(_KEY.c.id, "ids", connection.dialect.name), _KEY.c.held != "")
        .order_by(_KEY.c.id),
        {"ids": values(connection, list(ids))},
    )
    return list(found.scalars())


def unexplained_keys(connection: Connection, identity: str) -> tuple[list[int], list[int]]:
    """Keys of an account that hold provisional reservations, and keys whose number rose unexplained."""
    held, risen = (fetch(connection, statement, {"identity": identity}) for statement in _select_unexplained())
    return [row.id for row in held], [row.id for row in risen]


@cache
def _select_unexplained() -> tuple[Select[Any], Select[Any]]:
    provisional = metadata.tables["provisional"]
    theirs = select(_KEY.c.id).where(_KEY.c.identity == bindparam("identity"))
    held = theirs.join(provisional, provisional.c.key == _KEY.c.id).where(provisional.c.open > 0).distinct()
    return held, theirs.where(or_(_KEY.c.rise > 0, _KEY.c.risen != literal_column("''")))
