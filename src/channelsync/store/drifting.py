"""How many numbers drift: they differ from what they should be, and nothing that was booked or written explains it.

What a channel must be showing by now is what was read last, moved by every sale booked and every write sent since.
Most keys have no such sale or write: those are told apart by the database, many alike at once. Only the others are
loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, union

from channelsync.domain.watermark import KeyState, Read, Timing, expected_now, newest
from channelsync.store.keys import UNSETTLED, load_keys
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_EFFECT = metadata.tables["effect"]
_WRITE = metadata.tables["quantity_write"]

_AT_ONCE = 1_000
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def drifting(connection: Connection, timings: Mapping[str, Timing]) -> Counter[str]:
    """How many numbers drift, by channel. timings: of the channels to look at. Reads only, and locks nothing."""
    found = Counter[str]()
    for row in connection.execute(_select_still()):
        state = KeyState(watermark=Read(row.value, _ANY_TIME, _ANY_TIME))
        if row.channel in timings and drifts(state, row.wanted, timings[row.channel], below_zero=row.below_zero):
            found[row.channel] += row.many
    moving = connection.execute(_select_moving()).scalars().all()
    for start in range(0, len(moving), _AT_ONCE):
        for key in load_keys(connection, moving[start : start + _AT_ONCE]).values():
            timing = timings.get(key.channel)
            wanted = (key.target or 0) + key.disputed
            if timing is not None and drifts(key.state, wanted, timing, below_zero=key.sells_below_zero):
                found[key.channel] += 1
    return found


def drifts(state: KeyState, wanted: int, timing: Timing, *, below_zero: bool) -> bool:
    """Whether a number that was read cannot be the wanted one, once all that was booked and written has happened.

    below_zero: the key takes backorders: less than 0 is right where nothing is to be sold.
    """
    shown = newest(expected_now(state, replace(timing, never_negative=timing.never_negative and not below_zero)))
    number = max(0, timing.written(wanted))
    if below_zero and number == 0:
        return bool(shown) and min(one.low for one in shown) > 0
    return bool(shown) and not any(one.low <= number <= one.high for one in shown)


def _of_ours() -> tuple[ColumnElement[bool], ...]:
    return _KEY.c.ours.is_(True), _KEY.c.item.is_not(None), _KEY.c.value.is_not(None), _KEY.c.target.is_not(None)


def _moved() -> Any:
    return union(select(_EFFECT.c.key).where(UNSETTLED), select(_WRITE.c.key).where(_WRITE.c.closed_at.is_(None)))


@cache
def _select_still() -> Select[Any]:
    """Keys that show another number than wanted and had nothing happen since they were read; those alike together."""
    alike = (_KEY.c.channel, _KEY.c.value, _KEY.c.target + _KEY.c.disputed, _KEY.c.sells_below_zero)
    channel, value, wanted, below_zero = alike
    return (
        select(channel, value, wanted.label("wanted"), below_zero.label("below_zero"), func.count().label("many"))
        .where(*_of_ours(), value != wanted, _KEY.c.id.not_in(_moved()))
        .group_by(*alike)
    )


@cache
def _select_moving() -> Select[Any]:
    return select(_KEY.c.id).where(*_of_ours(), _KEY.c.id.in_(_moved()))
