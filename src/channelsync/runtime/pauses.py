"""How long a part of the daemon that failed waits before it is begun again."""

from __future__ import annotations

from channelsync.store.database_errors import DatabaseError

LONGEST_PAUSE = 300.0
"""Seconds before a part that keeps failing is begun again; the pauses double up to this."""

LONGEST_WITHOUT_DATABASE = 10.0
"""The same where the database failed it: once that is back, every part must be too, before anything is oversold."""

_DOUBLINGS_MAX = 10


def pause_after(failures: int, error: BaseException) -> float:
    """Seconds until a part is begun again that failed so often in a row, 1 or more, at last by this error."""
    longest = LONGEST_WITHOUT_DATABASE if isinstance(error, DatabaseError) else LONGEST_PAUSE
    return min(longest, 2.0 ** min(failures, _DOUBLINGS_MAX))


def first_of_all(error: BaseException) -> BaseException:
    """The error itself, or the first of a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
