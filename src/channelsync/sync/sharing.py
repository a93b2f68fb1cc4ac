"""How workers on one PostgreSQL share the accounts: evenly, so that another worker takes load off the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence


def to_hand_over(me: str, workers: Sequence[str], owners: Mapping[str, str], mine: Collection[str]) -> list[str]:
    """The accounts that this worker should leave to others now; most often none.

    workers: those that are alive. owners: by account, who holds it now. mine: which of its own it may leave. Only one
    worker hands over at a time, of those that hold most the first by name, and only while another holds two fewer.
    """
    counts = Counter(owners.values())
    alive = {worker: counts[worker] for worker in {*workers, me}}
    most, least = max(alive.values()), min(alive.values())
    if alive[me] < most or most - least < 2 or min(one for one, has in alive.items() if has == most) != me:
        return []
    return sorted(mine)[: (most - least) // 2]


def may_take(me: str, workers: Sequence[str], owners: Mapping[str, str]) -> bool:
    """Whether this worker may take one more account that was given up: as long as no other holds fewer."""
    counts = Counter(owners.values())
    return counts[me] <= min(counts[worker] for worker in {*workers, me})
