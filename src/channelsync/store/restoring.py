"""What is taken back when the database turns out to be an older one, or the clock went back: what it believes of the
channels is not so, or of a time that is yet to come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Update, select, update

from channelsync.store.keys import NO_RISE
from channelsync.store.provisionals import HOLDING
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]
_CHANNEL = metadata.tables["channel"]
_HINT = metadata.tables["order_hint"]
_HELD = metadata.tables["provisional"]

RESTORED = "the database was restored from before this write was seen"


WENT_BACK = "the clock went back, and this write left at a time that is yet to come"


def forget_numbers(connection: Connection, now: datetime) -> None:
    """Numbers of channels, and writes that were on their way, are those of another day: each key is read anew, and
    the first read of it books nothing."""
    connection.execute(update(_WRITE).where(_WRITE.c.closed_at.is_(None)).values(closed_at=now, reason=RESTORED))
    connection.execute(_forget(now))


def of_the_future(connection: Connection, now: datetime) -> bool:
    """Whether a number was read at a time that is yet to come."""
    return connection.execute(select(_KEY.c.id).where(_KEY.c.read_at > now).limit(1)).first() is not None


def forget_the_future(connection: Connection, now: datetime) -> None:
    """As `forget_numbers`, for those numbers and writes alone that are of a time yet to come; and whatever waits for
    such a time is looked at now. A key that waits for a good reason waits anew.

    Orders count as unread until they were read again. Units that are held since such a time count as held since now:
    no order takes them over, for nobody knows when they were sold, and they end as any others, once orders were read.
    """
    ahead = _WRITE.c.closed_at.is_(None) & (_WRITE.c.sent_at > now)
    connection.execute(update(_WRITE).where(ahead).values(closed_at=now, reason=WENT_BACK))
    connection.execute(_forget(now).where(_KEY.c.read_at > now))
    look_at_once(connection, now)
    connection.execute(update(_KEY).where(_KEY.c.not_before > now).values(not_before=None))
    connection.execute(update(_HINT).where(_HINT.c.asked_at > now).values(asked_at=now))
    connection.execute(update(_CHANNEL).where(_CHANNEL.c.catch_up_since > now).values(catch_up_since=now))
    for until in (_CHANNEL.c.covered_to, _CHANNEL.c.orders_asked_at):
        connection.execute(update(_CHANNEL).where(until > now).values(covered_to=None, orders_asked_at=None))
    held = update(_HELD).where(HOLDING, _HELD.c.found_at > now)
    connection.execute(held.values(window_from=now, window_to=now, found_at=now))


def _forget(now: datetime) -> Update:
    return (
        update(_KEY)
        .where(_KEY.c.item.is_not(None), _KEY.c.ours.is_(True))
        .values(**NO_RISE, value=None, verified=True)
        .values(read_at=None, read_wanted=True, due_at=now, urgency=1, not_before=None)
    )


def let_catch_up(connection: Connection, but: str, now: datetime) -> list[str]:
    """Lets every channel but this one wait until its orders were read completely; returns their names."""
    names = sorted(connection.execute(select(_CHANNEL.c.name).where(_CHANNEL.c.name != but)).scalars())
    connection.execute(update(_CHANNEL).where(_CHANNEL.c.name != but).values(catch_up_since=now))
    return names


def look_at_once(connection: Connection, now: datetime) -> None:
    """Keys that were to be looked at later are looked at now: what they waited for may have come."""
    connection.execute(update(_KEY).where(_KEY.c.due_at > now).values(due_at=now))
