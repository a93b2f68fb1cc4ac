"""What drives the schedule: a look at it every few seconds.

APScheduler in memory, in UTC, is the ticker; what is due stands in the database. It goes by the wall clock alone, so
after a clock went back a day it would stand still for a day: whoever waits here by the monotonic clock sets it going.
Where time is not the system's, as in simulations, the clock itself ticks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC

import structlog
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from channelsync.sdk.clock import Clock, SystemClock
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.schedule import Schedule

log = structlog.get_logger(__name__)

TICK_SECONDS = 2.0
_MISSED_TICKS = 3

Look = Callable[[], Awaitable[None]]


async def keep_schedule(clock: Clock, schedule: Schedule) -> None:
    """Looks at the schedule until it is cancelled; then ends what it runs."""
    try:
        await keep_ticking(clock, schedule.look)
    finally:
        await schedule.end()


async def keep_ticking(clock: Clock, look: Look, every: float = TICK_SECONDS) -> None:
    """Calls `look` now and every so many seconds until it is cancelled, never twice at once.

    While the database cannot be used it goes on; any other error of `look` is raised.
    """
    if isinstance(clock, SystemClock):
        await _Ticker(clock, look, every).run()
    while True:
        await _looked(look)
        await clock.sleep(every)


async def _looked(look: Look) -> None:
    try:
        await look()
    except DatabaseError as error:
        log.warning("schedule.not_looked_at", reason=str(error))


class _Ticker:
    """APScheduler with somebody who sees to it that it ticks."""

    def __init__(self, clock: Clock, look: Look, every: float) -> None:
        self._clock, self._look, self._every = clock, look, every
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looking = asyncio.Lock()
        self._ticked = clock.monotonic()

    async def run(self) -> None:
        scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        trigger = IntervalTrigger(seconds=self._every, timezone=UTC)
        job = scheduler.add_job(self._tick, trigger, next_run_time=self._clock.now())
        scheduler.start()
        longest = self._every * _MISSED_TICKS
        try:
            while not self._failed.done():
                await asyncio.wait([self._failed], timeout=longest)
                if self._clock.monotonic() - self._ticked > longest and not self._looking.locked():
                    log.warning("ticker.stood_still", seconds=round(self._clock.monotonic() - self._ticked))
                    job.modify(next_run_time=self._clock.now())
            self._failed.result()
        finally:
            self._failed.cancel()
            scheduler.shutdown(wait=False)
            async with self._looking:
                pass  # a look that is under way ends, or is cancelled by the shutdown

    async def _tick(self) -> None:
        async with self._looking:
            self._ticked = self._clock.monotonic()
            if self._failed.done():
                return
            try:
                await _looked(self._look)
            except Exception as error:  # noqa: BLE001 - raised where somebody waits for it, not in APScheduler's log
                self._failed.set_exception(error)
