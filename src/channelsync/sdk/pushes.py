"""What every connector does around a push or a read: bounds of a call, and what a failed call means for its rows."""

from __future__ import annotations

from collections.abc import Sequence

from channelsync.sdk.errors import AnswerUnreadable, ChannelError, OutcomeUnknown
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate

UNANSWERED = (OutcomeUnknown, AnswerUnreadable)
"""After these errors of a write, what it asked for may be in force."""


def refuse_more_than(most: int, given: int) -> None:
    """Raises ValueError for more rows than go in one call.

    Whoever calls splits: a connector that cut a batch in silence would leave numbers wrong.
    """
    if given > most:
        raise ValueError(f"{given} rows in one call; at most {most} go")


def refuse_negative(updates: Sequence[QuantityUpdate]) -> None:
    """Raises ValueError where a number is negative: none may ever be shown."""
    negative = [update.key.key for update in updates if update.value < 0]
    if negative:
        raise ValueError(f"negative numbers cannot be shown: {negative}")


def row_after(error: ChannelError, key: QuantityKey) -> PushResult:
    """What the failed call of a row means for it, when the push tells results already: unknown, or it never left."""
    if isinstance(error, UNANSWERED):
        return PushResult.unknown(key, str(error))
    return PushResult.not_sent(key, str(error))
