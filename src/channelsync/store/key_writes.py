"""Writes of numbers: recorded before their request leaves, and with what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, Update, bindparam, func, update

from channelsync.store.prepared import run
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert

_KEY = metadata.tables["quantity_key"]
_WRITE = metadata.tables["quantity_write"]

UNSEEN: Final = 2
"""Urgency of a key of which only that its newest write is in force remains to be seen. A write that begins says so;
whoever puts the key on the agenda for anything else makes it more urgent, at whatever time."""


def begin_writes(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Records writes before their request leaves, and moves their keys to the new generation.

    The caller holds the keys locked, and has decided by all that they were put on the agenda for: what is left of it is
    that the write is seen. A pause that an earlier refusal asked for ends with the write, urgent as it was.
    """
    if not rows:
        return
    run(connection, insert(_WRITE, connection.dialect.name), rows)
    moved = [{"b_key": r["key"], "b_generation": r["generation"], "b_sent": r["sent_at"]} for r in rows]
    run(connection, _next_generation(), moved)


@cache
def _next_generation() -> Update:
    return (
        update(_KEY)
        .where(_KEY.c.id == bindparam("b_key"), _KEY.c.generation < bindparam("b_generation"))
        .values(
            generation=bindparam("b_generation"),
            urgency=UNSEEN,
            not_before=None,
            due_at=func.coalesce(_KEY.c.due_at, bindparam("b_sent", type_=_KEY.c.due_at.type)),
        )
    )


def change_writes(connection: Connection, changes: Iterable[tuple[tuple[int, int], Mapping[str, object]]]) -> None:
    """Records what became of writes: ((key, generation), the columns that changed)."""
    update_rows(connection, _WRITE, ("key", "generation"), changes)


def look_later(connection: Connection, until: Mapping[int, datetime]) -> None:
    """Keys of which only a write is to be seen are looked at then; those due for anything else are not put off."""
    if until:
        run(connection, _look_later(), [{"b_key": key, "b_until": at} for key, at in sorted(until.items())])


@cache
def _look_later() -> Update:
    these = _KEY.c.id == bindparam("b_key"), _KEY.c.urgency == UNSEEN
    return update(_KEY).where(*these).values(due_at=bindparam("b_until"))
