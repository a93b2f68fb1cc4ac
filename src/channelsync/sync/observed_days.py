"""What an observed day amounts to: pushes that would have left, and oversells that would not have happened.

Pure: what was shown, what should have been, what was available and what was ordered are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
Points = Sequence[tuple[datetime, A]]
"""How something changed, oldest first: from each time on it had that value, until the next one."""


@dataclass(frozen=True, slots=True)
class Span(Generic[A, B]):
    """A time in which neither of two things changed, both of them known."""

    since: datetime
    until: datetime
    one: A
    other: B


@dataclass(frozen=True, slots=True)
class Push:
    """A push that would have left. at: since when its number was the right one. shown: what was shown instead."""

    at: datetime
    shown: int
    should: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Units of a listing that an order took."""

    order: str
    at: datetime
    units: int


@dataclass(frozen=True, slots=True)
class Oversell:
    """A time in which a channel showed units that were not there. shown: the most that it showed."""

    since: datetime
    until: datetime
    shown: int
    taken: tuple[Placed, ...]


def together(one: Points[A], other: Points[B], end: datetime) -> Iterator[Span[A, B]]:
    """The times in which neither changed, from when both are known until `end`."""
    if not one or not other:
        return
    bounds = sorted({at for at, _ in (*one, *other) if max(one[0][0], other[0][0]) <= at < end})
    bounds = bounds or [max(one[0][0], other[0][0])]
    left = right = 0
    for since, until in zip(bounds, [*bounds[1:], end], strict=True):
        left = _moved(one, left, since)
        right = _moved(other, right, since)
        if since < until:
            yield Span(since, until, one[left][1], other[right][1])


def pushes(spans: Iterable[Span[int, int]], begin: datetime, tick: timedelta) -> Iterator[Push]:
    """The pushes of a day. spans: what should be shown, and what was.

    One leaves when the two began to differ, or went on differing with other numbers. Changes within a tick of one
    another make one push, of the last number. A difference that was there before the day is that day's push.
    """
    last: Push | None = None
    began = begin
    for span in spans:
        if span.one == span.other or span.since < begin:
            continue
        if last is None or span.since - began >= tick:
            if last is not None:
                yield last
            began = span.since
        last = Push(span.since, span.other, span.one)
    if last is not None:
        yield last


def oversells(spans: Iterable[Span[int, int]], placed: Sequence[Placed], tick: timedelta) -> Iterator[Oversell]:
    """Times longer than a tick in which nothing was available and more than 0 was shown, with what was ordered then.

    spans: what was available, and what was shown. placed: the orders of the listing; those of the first tick are
    left out, for a live channel would have taken them too.
    """
    for since, until, shown in _runs(spans):
        if until - since > tick:
            taken = tuple(one for one in placed if since + tick < one.at <= until)
            yield Oversell(since, until, shown, taken)


def _runs(spans: Iterable[Span[int, int]]) -> Iterator[tuple[datetime, datetime, int]]:
    run: tuple[datetime, datetime, int] | None = None
    for span in spans:
        if span.one <= 0 < span.other:
            if run is not None and run[1] == span.since:
                run = (run[0], span.until, max(run[2], span.other))
                continue
            if run is not None:
                yield run
            run = (span.since, span.until, span.other)
    if run is not None:
        yield run


def _moved(points: Points[A], index: int, at: datetime) -> int:
    while index + 1 < len(points) and points[index + 1][0] <= at:
        index += 1
    return index
