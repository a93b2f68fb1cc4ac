"""One bucket of an account's budget: it leaks, urgent calls go first, and the server's number wins. See limiter.py."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.sdk.budgets import BucketState, Budget, Lane
from channelsync.sdk.clock import Clock

# Units are compared with this tolerance, and no wait is shorter than this many seconds: a wait that rounding
# cut to nothing would spin for ever.
_UNITS_TOLERANCE = 1e-6
_WAIT_SECONDS_MIN = 0.001


@dataclass(slots=True, eq=False)
class _Waiter:
    cost: float
    lane: Lane
    ready: asyncio.Future[None]


class Bucket:
    """One bucket and its two queues. Only `_serve` grants; a timer calls it when the head's turn comes."""

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        urgent_share: float,
        next_reset: Callable[[datetime], datetime],
        state: BucketState | None,
    ) -> None:
        self.budget = budget
        self.granted = 0.0
        """Units ever granted by this process. Never lowered, so that differences err on the safe side."""
        self._clock = clock
        self._urgent_share = urgent_share
        self._next_reset = next_reset
        self._queues: dict[Lane, deque[_Waiter]] = {lane: deque() for lane in Lane}
        self._timer: asyncio.Task[None] | None = None
        now = clock.now()
        state = state or BucketState(budget.capacity, now, budget.per_second, 0, next_reset(now), None)
        self._rate = state.per_second
        self._used_today = state.used_today
        self._resets_at = state.resets_at
        self._penalised_until = state.penalised_until
        # A wall clock that went back since the state was stored must not take units away.
        self._level = min(budget.capacity, state.level + max(0.0, _seconds(now - state.at)) * state.per_second)
        # Set at the first use: a limiter may be built before there is an event loop to ask the time of.
        self._refilled_at: float | None = None
        self._held = 0.0

    @property
    def held(self) -> float:
        """Units granted and not spent yet."""
        return self._held

    def hold(self, cost: float) -> None:
        """Units granted and not spent yet: the bucket does not fill up above what is left beside them."""
        self._refill()
        self._held = max(0.0, self._held + cost)

    def check(self, cost: float) -> None:
        """Raises ValueError for a cost that the bucket, or its day, can never pay."""
        most = min(self.budget.capacity, self.budget.per_day or math.inf)
        if not 0 <= cost <= most:
            raise ValueError(f"bucket {self.budget.name}: a cost of {cost} is not between 0 and {most}")

    async def wait_and_take(self, cost: float, lane: Lane) -> None:
        """Waits for its turn in the lane and for the units, and takes them. Cancelled, it leaves no trace."""
        waiter = _Waiter(cost, lane, asyncio.get_running_loop().create_future())
        self._queues[lane].append(waiter)
        self._serve()
        try:
            await waiter.ready
        except asyncio.CancelledError:
            if waiter.ready.cancelled():
                with suppress(ValueError):  # `_serve` may have dropped it already
                    self._queues[lane].remove(waiter)
                self._serve()
            else:  # granted in the same turn of the loop in which it was cancelled
                self.put_back(cost)
            raise

    def put_back(self, cost: float) -> None:
        """Units that were taken and not spent."""
        self._refill()
        self._level = min(self.budget.capacity, self._level + cost)
        self._used_today = max(0.0, self._used_today - cost)
        self._serve()

    def set_level(self, level: float, rate: float | None) -> None:
        """What the channel says is left, and, where it tells, its rate."""
        self._refill()
        # Below 0 is a debt: more was granted since than the server had left. Bounded, lest nonsense stops us for ever.
        self._level = max(-self.budget.capacity, level)
        if rate is not None and rate > 0:
            self._rate = rate
        self._serve()

    def penalise(self, until: datetime) -> None:
        """Nothing is granted until then."""
        self._refill()
        self._level = min(self._level, 0.0)
        self._penalised_until = max(until, self._penalised_until or until)
        self._serve()

    def absorb(self, other: Bucket) -> None:
        """No more is left here than there. Whoever waits there already is still served there."""
        there = other.state()
        self._refill()
        self._level = min(self._level, there.level)
        self._used_today = max(self._used_today, there.used_today)
        if there.penalised_until is not None:
            self._penalised_until = max(there.penalised_until, self._penalised_until or there.penalised_until)
        self._serve()

    def seconds_until(self, cost: float, lane: Lane, *, ahead: float = 0.0) -> float:
        """Seconds until `cost` may be spent in this lane after `ahead` units of others; 0 for now."""
        self._refill()
        now = self._clock.now()
        urgent = lane is Lane.URGENT
        reserve = 0.0 if urgent else self.budget.capacity * self._urgent_share
        # A normal call dearer than its part of the bucket waits for a full one; it must not wait for ever.
        missing = ahead + min(self.budget.capacity, cost + reserve) - self._level
        wait = missing / self._rate if missing > _UNITS_TOLERANCE else 0.0
        if self._penalised_until is not None:
            wait = max(wait, _seconds(self._penalised_until - now))
        if self.budget.per_day is not None:
            share = 1.0 if urgent else 1.0 - self._urgent_share
            quota = max(self.budget.per_day * share, cost)
            if self._used_today + ahead + cost > quota + _UNITS_TOLERANCE:
                wait = max(wait, _seconds(self._resets_at - now))
        return wait

    def queued(self, lane: Lane) -> float:
        """Units that those who come before a newcomer of this lane wait for."""
        before = Lane if lane is Lane.NORMAL else (Lane.URGENT,)
        return sum(waiter.cost for each in before for waiter in self._queues[each])

    def spendable(self) -> float:
        """Units that an urgent call may spend now."""
        if self.seconds_until(0, Lane.URGENT) > 0:
            return 0.0
        left_today = math.inf if self.budget.per_day is None else self.budget.per_day - self._used_today
        return max(0.0, min(self._level, left_today))

    def state(self) -> BucketState:
        """As it is now, to be stored."""
        self._refill()
        return BucketState(
            level=self._level,
            at=self._clock.now(),
            per_second=self._rate,
            used_today=self._used_today,
            resets_at=self._resets_at,
            penalised_until=self._penalised_until,
        )

    def _refill(self) -> None:
        now, wall = self._clock.monotonic(), self._clock.now()
        passed = 0.0 if self._refilled_at is None else now - self._refilled_at
        most = min(self.budget.capacity, max(self._level, self.budget.capacity - self._held))
        self._level = min(most, self._level + passed * self._rate)
        self._refilled_at = now
        if wall >= self._resets_at:
            self._used_today = 0.0
            self._resets_at = self._next_reset(wall)
        if self._penalised_until is not None and wall >= self._penalised_until:
            self._penalised_until = None

    def _serve(self) -> None:
        """Grants to all whose turn has come, then sets the timer for the next in line."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while queue := self._queues[Lane.URGENT] or self._queues[Lane.NORMAL]:
            head = queue[0]
            if head.ready.cancelled():
                queue.popleft()
                continue
            wait = self.seconds_until(head.cost, head.lane)
            if wait > 0:
                delay = max(wait, _WAIT_SECONDS_MIN)
                self._timer = asyncio.get_running_loop().create_task(self._ring(delay))
                return
            queue.popleft()
            self._level -= head.cost
            self._used_today += head.cost
            self.granted += head.cost
            head.ready.set_result(None)

    async def _ring(self, delay: float) -> None:
        await self._clock.sleep(delay)
        self._timer = None
        self._serve()


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
