"""Work that a channel does by itself and is asked about until it is over: reports, feeds, bulk operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from channelsync.sdk.clock import Clock

T = TypeVar("T")

_LONGER = 1.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How often is asked, in seconds. first: the first wait; each is half as long again, up to longest."""

    first: float
    longest: float


async def until_over(
    clock: Clock,
    job: T,
    ask: Callable[[], Awaitable[T]],
    *,
    under_way: Callable[[T], bool],
    patience: Patience,
    within: float,
) -> T:
    """The job once it is no longer under way, or as it was last seen when the next wait would go beyond `within`.

    job: as it is now. ask: how it is then. within: seconds from now.
    """
    wait, until = patience.first, clock.monotonic() + within
    while under_way(job) and clock.monotonic() + wait <= until:
        await clock.sleep(wait)
        wait = min(patience.longest, wait * _LONGER)
        job = await ask()
    return job
