"""What is taken back when the database turns out to be an older one: what it believes of the channels is not so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]
_CHANNEL = metadata.tables["channel"]

RESTORED = "the database was restored from before this write was seen"


def forget_numbers(connection: Connection, now: datetime) -> None:
    """Numbers of channels, and writes that were on their way, are those of another day: each key is read anew, and
    the first read of it books nothing."""
    connection.execute(update(_WRITE).where(_WRITE.c.closed_at.is_(None)).values(closed_at=now, reason=RESTORED))
    connection.execute(
        update(_KEY)
        .where(_KEY.c.item.is_not(None), _KEY.c.ours.is_(True))
        .values(value=None, rise=0, rise_from=None, rise_to=None, repairs=0, verified=True)
        .values(read_at=None, read_wanted=True, due_at=now, not_before=None)
    )


def let_catch_up(connection: Connection, but: str, now: datetime) -> list[str]:
    """Lets every channel but this one wait until its orders were read completely; returns their names."""
    names = sorted(connection.execute(select(_CHANNEL.c.name).where(_CHANNEL.c.name != but)).scalars())
    connection.execute(update(_CHANNEL).where(_CHANNEL.c.name != but).values(catch_up_since=now))
    return names


def look_at_once(connection: Connection, now: datetime) -> None:
    """Keys that were to be looked at later are looked at now: what they waited for may have come."""
    connection.execute(update(_KEY).where(_KEY.c.due_at > now).values(due_at=now))
