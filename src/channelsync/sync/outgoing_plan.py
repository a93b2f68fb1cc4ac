"""What follows from the answer to a message, and when it is sent again. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

Verdict = Literal["delivered", "gone", "message refused", "not reached"]

RETRY_PLAN: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long after each failed attempt the next one follows: ten attempts in three days and some hours."""

JITTER = 0.1
"""By which share a wait is longer or shorter at most, so that not all that failed together comes back together."""

_GONE = 410
_ABOUT_THE_MESSAGE = frozenset({400, 409, 413, 415, 422})


def verdict_of(status: int | None) -> Verdict:
    """What an answer means. status None: there was none.

    Some refusals are about one message: others may be accepted. Everything else is about the address.
    """
    if status is not None and 200 <= status < 300:
        return "delivered"
    if status == _GONE:
        return "gone"
    return "message refused" if status in _ABOUT_THE_MESSAGE else "not reached"


def wait_after(failures: int, spread: float) -> timedelta | None:
    """How long to wait after so many failed attempts in a row, 1 or more; None: no other follows.

    spread: between 0 and 1, by chance.
    """
    if failures > len(RETRY_PLAN):
        return None
    return RETRY_PLAN[failures - 1] * (1 + JITTER * (2 * spread - 1))
