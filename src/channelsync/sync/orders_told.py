"""What orders of our own may say of themselves, whoever tells them: by hand, through the API or in a file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from channelsync.sync.stock import not_yet

_SHOWN_MAX = 60


def wrong_name(what: str, name: str) -> str:
    """What to say of an id or SKU that nobody could tell from a like one; empty: it is fine.

    what: the name is, such as `order`.
    """
    if name == name.strip() and name.isprintable():
        return ""
    return f"{what} {shown(name)} has blanks at its ends or characters that cannot be seen; remove them"


def wrong_time(what: str, at: datetime | None, now: datetime) -> str:
    """What to say of a time that has not come: the order would be in no number that is counted until then.

    Empty: it has come, or none is told. what: the time is, such as `placed_at`.
    """
    to_come = "" if at is None else not_yet(at, now)
    return f"{what} {to_come}" if to_come else ""


def shown(value: Any) -> str:
    """A value as it is quoted, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
