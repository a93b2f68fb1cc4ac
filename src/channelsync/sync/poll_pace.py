"""How soon a channel is asked for orders again: often while there are any, less often when it is quiet. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.sdk.budgets import BucketState, Budget

OF_THE_QUIET = 0.1
"""A channel whose last order is so long ago is asked again after this part of that time."""

OF_THE_BUDGET = 0.5
"""Polls take at most this part of what their bucket regains, and of what is left of a day's quota."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of the pauses between polls. The quiet one is not shorter than the busy one."""

    busy: timedelta
    quiet: timedelta

    def __post_init__(self) -> None:
        object.__setattr__(self, "quiet", max(self.busy, self.quiet))


def pause_for(pace: Pace, since_order: timedelta, affordable: timedelta) -> timedelta:
    """The pause until the next poll. since_order: how long ago the last order came, or the process began.

    affordable: the shortest pause that the budget bears; see `affordable_pause`. Never shorter than the busy pause,
    never longer than the quiet one: where the budget does not even bear that, the call itself waits for it.
    """
    wanted = max(pace.busy, since_order * OF_THE_QUIET, affordable)
    return min(pace.quiet, wanted)


def affordable_pause(cost: float, budget: Budget, state: BucketState, now: datetime) -> timedelta:
    """The shortest pause between polls of this cost that leaves enough of the bucket and of its day to others.

    Zero where polls cost nothing. With a day's quota spent it is the time until the next day begins.
    """
    if cost <= 0:
        return timedelta()
    seconds = cost / (state.per_second * OF_THE_BUDGET)
    if budget.per_day is not None:
        until = max(0.0, (state.resets_at - now).total_seconds())
        left = max(0.0, budget.per_day - state.used_today) * OF_THE_BUDGET
        seconds = max(seconds, until * cost / left if left >= cost else until)
    longest = timedelta(days=2).total_seconds()
    return timedelta(microseconds=math.ceil(min(seconds, longest) * 1e6))  # rounded down it would cost more
