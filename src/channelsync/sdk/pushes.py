"""What every connector does around a push or a read: bounds of a call, and what a failed call means for its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, NotSent, OutcomeUnknown
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


@dataclass(frozen=True, slots=True)
class Written:
    """What one call of a push came to. done: rows that have their result. again: groups that go again, at once.

    Rows are named by their place in the push.
    """

    done: Mapping[int, PushResult] = field(default_factory=dict)
    again: Sequence[Sequence[int]] = ()


async def push_in_groups(
    updates: Sequence[QuantityUpdate],
    groups: Sequence[Sequence[int]],
    write: Callable[[Sequence[int]], Awaitable[Written]],
    *,
    clock: Clock,
    seconds: float,
    begun: float | None = None,
) -> dict[int, PushResult]:
    """The results, by place, of rows that go in several calls. write: makes one. seconds: none is begun after so long.

    begun: when the push began, on the monotonic clock, where something came before its calls; None: now.

    Raises what the first call raises. Once a call has been answered nothing is raised any more: rows may be in force by
    then, and whoever calls must hear of them. What a later call leaves open is unknown, and what would come after it is
    not sent: a channel in trouble is left alone.
    """
    results: dict[int, PushResult] = {}
    waiting = deque(groups)
    until = (clock.monotonic() if begun is None else begun) + seconds
    answered, failure = False, ""
    while waiting:
        some = waiting.popleft()
        if not failure and clock.monotonic() > until:
            failure = f"the calls before it took over {seconds:.0f} s"
            if not answered:
                raise NotSent(f"the push was not sent: {failure}")
        if failure:
            results |= {place: PushResult.not_sent(updates[place].key, failure) for place in some}
            continue
        try:
            written = await write(some)
        except ChannelError as error:
            if not answered:
                raise
            failure = f"a part of the push failed before it: {error}"
            results |= {place: row_after(error, updates[place].key) for place in some}
            continue
        answered = True
        results |= written.done
        waiting.extendleft(reversed(written.again))
    return results
