"""Channels looked at: how many numbers each has, and how many of them wait, hold units or ask a question."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_PROVISIONAL = metadata.tables["provisional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNumbers:
    """The numbers of one channel that are ours and mapped.

    waiting: on the publisher's agenda. hot: read every tick. questions: nothing is raised until the seller answers.
    held_units: key units held provisionally, because a read showed a drop that no order explains yet.
    """

    numbers: int = 0
    waiting: int = 0
    hot: int = 0
    questions: int = 0
    held_units: int = 0


def channel_numbers(connection: Connection) -> dict[str, ChannelNumbers]:
    """By channel; a channel without such numbers is left out."""
    holding = connection.execute(
        select(_PROVISIONAL.c.channel, func.sum(_PROVISIONAL.c.open).label("units"))
        .where(_PROVISIONAL.c.open > 0)
        .group_by(_PROVISIONAL.c.channel)
    )
    held = {row.channel: row.units for row in holding}
    found = connection.execute(
        select(
            _KEY.c.channel,
            func.count().label("numbers"),
            func.sum(case((_KEY.c.due_at.is_not(None), 1), else_=0)).label("waiting"),
            func.sum(case((_KEY.c.hot.is_(True), 1), else_=0)).label("hot"),
            func.sum(case((_KEY.c.held != "", 1), else_=0)).label("questions"),
        )
        .where(_KEY.c.ours.is_(True), _KEY.c.item.is_not(None))
        .group_by(_KEY.c.channel)
    )
    return {
        row.channel: ChannelNumbers(
            numbers=row.numbers,
            waiting=int(row.waiting),
            hot=int(row.hot),
            questions=int(row.questions),
            held_units=int(held.get(row.channel, 0)),
        )
        for row in found
    }
