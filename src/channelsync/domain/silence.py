"""Whether webhooks of a topic have stopped coming: told from how they came before, and from orders that came since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

ARRIVALS_MIN = 10
"""Fewer deliveries tell nothing about how often they come."""

ORDERS_MIN = 3
"""So many orders since the last delivery tell that the shop is awake."""

SHORTEST = timedelta(hours=1)
TIMES_LONGEST = 3
"""A silence is suspicious when it lasts so many times the longest one that was no fault."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A topic that should have been heard of. since: the last delivery. usual: the longest pause before that."""

    since: datetime
    usual: timedelta
    orders: int


def silence_of(arrivals: Sequence[datetime], orders_since: int, now: datetime) -> Silence | None:
    """What is wrong with a topic; None: nothing that can be told.

    arrivals: when its latest deliveries came, the oldest first. orders_since: orders of the channel that were placed
    after the last one and are known, so by another way than this. now: aware UTC.
    """
    if len(arrivals) < ARRIVALS_MIN or orders_since < ORDERS_MIN:
        return None
    usual = max(later - earlier for earlier, later in pairwise(arrivals))
    last = arrivals[-1]
    if now - last <= max(SHORTEST, TIMES_LONGEST * usual):
        return None
    return Silence(last, usual, orders_since)
