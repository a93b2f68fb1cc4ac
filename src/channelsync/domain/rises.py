"""Rises: units that a read showed too many, until it is known what gave them back.

An order that was cancelled or made smaller gives units back, and the channel's number shows it before its orders do.
So a rise is judged by coverage, as a drop is: only once every order that could explain it must have become visible.
What no order explains is drift: a human, or another program, wrote the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channelsync.domain.effects import Effect


@dataclass(frozen=True, slots=True)
class Rise:
    """Units of one key that a read showed too many. window: when the number rose, by the channel's clock."""

    units: int
    window_from: datetime
    window_to: datetime


def explain_rises(rises: Sequence[Rise], contained: Iterable[Effect]) -> tuple[tuple[Rise, ...], frozenset[str]]:
    """What effects that the number already contained leave of rises, in their order, and which of them explain any.

    contained: of the same key. Each unit given back explains one unit, of the oldest rise within whose window it may
    have happened; should it belong elsewhere, the number is merely repaired a little sooner.
    """
    left = [rise.units for rise in rises]
    used = set[str]()
    for effect in sorted(contained, key=lambda e: (e.latest, e.id)):
        back = effect.delta
        for place, rise in enumerate(rises):
            if back > 0 and left[place] > 0 and _touches(rise, effect):
                n = min(back, left[place])
                left[place] -= n
                back -= n
                used.add(effect.id)
    return tuple(replace(rise, units=units) for rise, units in zip(rises, left, strict=True)), frozenset(used)


def is_judged(rise: Rise, covered_to: datetime | None, limit: timedelta, unsettled: Iterable[Effect]) -> bool:
    """Whether nothing can explain a rise any more that does not explain it now.

    covered_to: every order that the channel had made visible by then is booked; None: orders were never read.
    limit: how long a change of an order takes to become visible. unsettled: effects of the key of which the next read
    tells whether its number contained them.
    """
    if covered_to is None or covered_to < rise.window_to + limit:
        return False
    return not any(effect.delta > 0 and _touches(rise, effect) for effect in unsettled)


def _touches(rise: Rise, effect: Effect) -> bool:
    return rise.window_from <= effect.latest and effect.earliest <= rise.window_to
