"""The ticker: it looks again and again, whatever the wall clock does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import apscheduler.schedulers.base
import pytest

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.runtime.ticker import keep_ticking
from channelsync.sdk.clock import SystemClock
from channelsync.store.database_errors import DatabaseUnavailable

HANG_GUARD = 60.0
SOON = 0.01


class Looks:
    """Counts looks, and says when there were enough."""

    def __init__(self, enough: int, raised: Exception | None = None) -> None:
        self.count, self._enough, self._raised = 0, enough, raised
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        if self.count >= self._enough:
            self.done.set()
        if self._raised is not None:
            raise self._raised


async def ticking(looks: Looks) -> None:
    """Ticks until there were enough looks."""
    task = asyncio.create_task(keep_ticking(SystemClock(), looks, SOON))
    async with asyncio.timeout(HANG_GUARD):
        await asyncio.wait([task, asyncio.create_task(looks.done.wait())], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait([task])


async def test_it_looks_at_once_and_again_and_again() -> None:
    looks = Looks(5)
    await ticking(looks)
    assert looks.count >= 5


async def test_it_goes_on_while_the_database_cannot_be_used() -> None:
    looks = Looks(5, DatabaseUnavailable("it is away"))
    await ticking(looks)
    assert looks.count >= 5


async def test_any_other_error_is_raised_where_somebody_waits() -> None:
    with pytest.raises(ValueError, match="a bug"):
        await ticking(Looks(1_000_000, ValueError("a bug")))


@pytest.mark.fault(61, "the ticker goes on ticking after the wall clock went back a day")
async def test_it_goes_on_when_the_wall_clock_goes_back_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """APScheduler alone would wait until the wall clock is again where it was."""
    back = timedelta()

    class Leaping(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - back  # noqa: TID251  # stands for the machine's clock

    class LeapingClock(SystemClock):
        def now(self) -> datetime:
            return Leaping.now()

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Leaping)
    looks = Looks(3)
    task = asyncio.create_task(keep_ticking(LeapingClock(), looks, SOON))
    async with asyncio.timeout(HANG_GUARD):
        await looks.done.wait()
        back = timedelta(days=1)
        for _ in range(2):
            looks.done.clear()
            looks._enough = looks.count + 5
            await looks.done.wait()
    task.cancel()
    await asyncio.wait([task])


def test_in_simulated_time_the_clock_itself_ticks() -> None:
    async def story() -> int:
        looks = Looks(1)
        task = asyncio.create_task(keep_ticking(LabClock(), looks, 60))
        await LabClock().sleep(3_601)
        task.cancel()
        return looks.count

    assert run_virtual(story(), start=datetime(2026, 3, 1, tzinfo=UTC)) == 61
