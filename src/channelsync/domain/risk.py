"""Which positions and keys are in danger of being oversold, and how much to hold back against it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from channelsync.domain.demand import DemandRate, together

USUAL_QUANTILE = 0.999
"""What a channel sells at most, save once in a thousand spans."""

ENOUGH_SAMPLES = 1_000
"""From so many on, a measured delay is trusted more than a declared one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delays:
    """How late things are seen at one channel.

    order_visible: from the buyer's order to our booking. push_visible: from a booking to the number that buyers see,
    our own tick and queue included.
    """

    order_visible: timedelta
    push_visible: timedelta


def is_hot(
    available: int,
    demand: Mapping[str, DemandRate],
    order_visible: Mapping[str, timedelta],
    quantile: float = USUAL_QUANTILE,
) -> bool:
    """Whether the channels of a position may sell more than its available before we hear of it.

    available: base units of the position, negative when oversold. demand, order_visible: by channel. True when
    available is below the quantile of what all channels together may sell, each within its own delay.
    Raises ValueError when a channel that sells has no delay.
    """
    sold = together(rate.within(_of(channel, order_visible)) for channel, rate in demand.items())
    spare = available - sold.mean
    if spare > 0 and sold.variance <= (1 - quantile) * (sold.variance + spare * spare):
        return False  # Cantelli's inequality, for the many positions with plenty; the sum below says the same
    return available < sold.upper(quantile)


def plausible_drop(demand: DemandRate, since_last_read: timedelta, quantile: float = USUAL_QUANTILE) -> int:
    """How many units of an unexplained drop a channel may plausibly have sold since its last read, 1 or more.

    Not less than its largest usual order line. In the units of the demand: for a key of packs, give its rate in packs.
    """
    return max(1, demand.largest_usual_line, demand.within(since_last_read).upper(quantile))


def computed_buffer(
    channel: str,
    demand: Mapping[str, DemandRate],
    delays: Mapping[str, Delays],
    p: float,
    at_most: int | None = None,
) -> int:
    """Base units to hold back from a channel, so that it shows a unit sold elsewhere with a probability of p or less.

    These are the units that the other channels sell, with probability 1 - p, before this channel's number shows it:
    each other channel within its own order delay plus this channel's push delay. demand, delays: by channel.
    at_most: the cap; None: none. Raises ValueError when a channel has no delays.
    """
    pushed = _of(channel, delays).push_visible
    others = [
        rate.within(_of(other, delays).order_visible + pushed) for other, rate in demand.items() if other != channel
    ]
    units = together(others).upper(1 - p)
    return units if at_most is None else min(units, at_most)


@dataclass(frozen=True, slots=True)
class DueKey:
    """A key that waits to be written.

    shown: the number it shows as far as we know, None: unknown. target: the number it should show; key units.
    hot: more of it may be sold than there is before we hear of it, see `is_hot`. due_since: when it fell due.
    """

    key: str
    shown: int | None
    target: int
    hot: bool
    due_since: datetime


def by_urgency(keys: Iterable[DueKey]) -> list[DueKey]:
    """Due keys in the order in which they go out: zeroes, other lowerings, raises; then hot ones; then the oldest.

    An unknown number counts as a lowering: it may show too much.
    """
    return sorted(
        keys,
        key=lambda due: (
            due.target != 0,
            due.shown is not None and due.target >= due.shown,
            not due.hot,
            due.due_since,
            due.key,
        ),
    )


def delay_quantile(
    samples: Sequence[timedelta], p: float, declared: timedelta, enough: int = ENOUGH_SAMPLES
) -> timedelta:
    """The delay that a share p of all orders does not exceed: measured once there are enough samples, else declared.

    Measured is the smallest sample that at least a share p of the samples do not exceed.
    """
    if not 0 < p <= 1:
        raise ValueError(f"a quantile needs a probability above 0 and up to 1, not {p}")
    if len(samples) < enough:
        return declared
    place = math.ceil(p * len(samples) - 1e-9)
    return sorted(samples)[max(0, place - 1)]


def _of(channel: str, known: Mapping[str, T]) -> T:
    if channel not in known:
        raise ValueError(f"{channel}: no delay is known; declare one")
    return known[channel]
