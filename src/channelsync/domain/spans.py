"""Sets of whole numbers as spans, for numbers that depend on changes of which nobody knows whether they happened yet.

Spans are (low, high) pairs, sorted, with a gap of at least one number between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Spans = tuple[tuple[int, int], ...]

# More spans than this are closed up to one: the answer stays right, it only excludes less.
SPANS_MAX = 64


def shifted(spans: Spans, by: int) -> Spans:
    """After a change that has surely happened."""
    return tuple((low + by, high + by) for low, high in spans)


def perhaps(spans: Spans, by: int) -> Spans:
    """After a change that happened as a whole or not at all."""
    return merged((*spans, *shifted(spans, by)))


def partly(spans: Spans, by: int) -> Spans:
    """After a change of which any part may have happened."""
    return merged((low + min(0, by), high + max(0, by)) for low, high in spans)


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Sorted, with spans that touch or overlap made one."""
    done: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if done and low <= done[-1][1] + 1:
            done[-1] = (done[-1][0], max(done[-1][1], high))
        else:
            done.append((low, high))
    return tuple(done) if len(done) <= SPANS_MAX else ((done[0][0], done[-1][1]),)


def contains(spans: Spans, number: int) -> bool:
    """Whether the number is in one of them."""
    return any(low <= number <= high for low, high in spans)


def adding_up(changes: Sequence[int], wanted: int) -> frozenset[int]:
    """Indexes of changes that together make `wanted`, the first ones preferred; none where they cannot."""
    within: list[Spans] = [((0, 0),)]
    for change in reversed(changes):
        within.append(perhaps(within[-1], change))
    within.reverse()
    chosen: list[int] = []
    left = wanted
    for index, change in enumerate(changes):
        if left and contains(within[index + 1], left - change):
            chosen.append(index)
            left -= change
    return frozenset(chosen) if left == 0 else frozenset()
