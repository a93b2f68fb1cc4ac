"""A whole comparison spends all that it may of a bucket while sales come in: how long do lowerings wait?"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.limiter import Budget, Lane, Limiter

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN, READERS, OF_THE_RATE = 600, 10, 0.4
BUCKETS = {
    "points, dear reads": (Budget("points", 2_000, 100), 200.0, 20.0),
    "calls a second": (Budget("calls", 10, 5), 1.0, 1.0),
    "calls of which hardly any are left at once": (Budget("calls", 2, 2), 1.0, 1.0),
}


@pytest.mark.parametrize(("budget", "read", "write"), BUCKETS.values(), ids=BUCKETS)
def test_lowerings_wait_less_than_two_seconds_while_a_whole_comparison_reads(
    budget: Budget, read: float, write: float
) -> None:
    """Ten minutes of simulated time; lowerings come at random and take two fifths of what the bucket regains."""

    async def main() -> None:
        clock = LabClock()
        limiter, dice = Limiter([budget], clock), random.Random(8)
        waited: list[float] = []
        began, read_too = clock.monotonic(), 0

        async def compares() -> None:
            nonlocal read_too
            while True:
                await limiter.acquire(read)
                read_too += 1

        async def lowers() -> None:
            waited.append((await limiter.acquire(write, lane=Lane.URGENT)).waited)

        readers = [asyncio.create_task(compares()) for _ in range(READERS)]
        async with asyncio.TaskGroup() as lowerings:
            while clock.monotonic() - began < SPAN:
                await clock.sleep(dice.expovariate(OF_THE_RATE * budget.per_second / write))
                lowerings.create_task(lowers())
        for one in readers:
            one.cancel()
        await asyncio.wait(readers)
        assert len(waited) > 100
        assert sorted(waited)[int(len(waited) * 0.99)] < 2.0
        assert read_too * read > 0.3 * budget.per_second * SPAN, "and the comparison goes on"

    run_virtual(main(), start=START)
