"""Orders that were hinted at: which of them are to be asked for next, and which could not be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, update

from channelsync.store.among import among, values
from channelsync.store.prepared import fetch
from channelsync.store.tables import metadata

_HINT = metadata.tables["order_hint"]


def hints_to_read(
    connection: Connection, channel: str, asked: datetime, limit: int, but: Collection[str] = frozenset()
) -> list[tuple[str, int]]:
    """Orders to read again by id that were hinted at until `asked`, each with how often reading it failed.

    Those that failed least come first. but: these are left out.
    """
    span = {"channel": channel, "asked": asked, "most": limit + len(but)}
    found = fetch(connection, _select_hints(), span)
    return [(row.order, row.attempts) for row in found if row.order not in but][:limit]


@cache
def _select_hints() -> Select[Any]:
    return (
        select(_HINT.c.order, _HINT.c.attempts)
        .where(_HINT.c.channel == bindparam("channel"), _HINT.c.asked_at <= bindparam("asked"))
        .order_by(_HINT.c.attempts, _HINT.c.asked_at, _HINT.c.order)
        .limit(bindparam("most"))
    )


def hints_failed(connection: Connection, channel: str, orders: Sequence[str], asked: datetime, again: datetime) -> None:
    """These orders could not be read by their ids, asked for at `asked`; they are to be read `again` then at the
    earliest. What was hinted at since is to be read at once all the same."""
    connection.execute(
        update(_HINT)
        .where(
            _HINT.c.channel == channel,
            among(_HINT.c.order, "orders", connection.dialect.name),
            _HINT.c.asked_at <= asked,
        )
        .values(attempts=_HINT.c.attempts + 1, asked_at=again),
        {"orders": values(connection, orders)},
    )


def failed_hints(connection: Connection, channels: Collection[str]) -> datetime | None:
    """When an order of these channels was hinted at last that could not be read by its id until now; None: none was."""
    failed = select(func.max(_HINT.c.noted_at)).where(_HINT.c.channel.in_(channels), _HINT.c.attempts > 0)
    noted: datetime | None = connection.execute(failed).scalar_one()
    return noted
