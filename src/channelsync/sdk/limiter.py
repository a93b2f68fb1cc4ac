"""How much we may ask of one account: buckets that leak, urgent calls first, the server's number wins.

A call *costs* units (requests, points: as the channel counts). Each named bucket holds at most `capacity`
units and regains `per_second`; a call waits until its cost is there. Channels that say what is left are
believed (`observe`), as another app of the seller may spend from the same bucket.

Guarantees, for every bucket:
- Without `observe`, the units granted in any span of t seconds are at most capacity + per_second * t.
- While an urgent call waits, no normal one is granted; within a lane, first come first served.
- Normal calls leave the declared share of the bucket, and of the day's quota, to urgent ones.
- A waiter that is cancelled leaves no trace: units already set aside for it go back.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.sdk.budgets import (
    BucketState,
    Budget,
    Grant,
    Lane,
    current_lane,
    in_lane,
    next_utc_midnight,
    note_spent,
)
from channelsync.sdk.clock import Clock

__all__ = ["BucketState", "Budget", "Grant", "Lane", "Limiter", "current_lane", "in_lane", "next_utc_midnight"]

# Units are compared with this tolerance, and no wait is shorter than this many seconds: a wait that rounding
# cut to nothing would spin for ever.
_UNITS_TOLERANCE = 1e-6
_WAIT_SECONDS_MIN = 0.001


class Limiter:
    """The buckets of one account at one channel. One process owns it; the lease sees to that.

    `urgent_share` (0 to below 1) is the part of each bucket and quota that normal calls leave alone.
    `next_reset` tells when the quota that counts at a given moment ends. `state` is what `state()` of an
    earlier run returned; buckets that it does not name start full.
    Raises ValueError for no budget, a name used twice, or a share out of range.
    """

    def __init__(
        self,
        budgets: Sequence[Budget],
        clock: Clock,
        *,
        urgent_share: float = 0.2,
        next_reset: Callable[[datetime], datetime] = next_utc_midnight,
        state: Mapping[str, BucketState] | None = None,
    ) -> None:
        if not budgets or len({budget.name for budget in budgets}) != len(budgets):
            raise ValueError("a limiter needs at least one budget, and their names must differ")
        if not 0 <= urgent_share < 1:
            raise ValueError(f"urgent_share must be at least 0 and below 1, not {urgent_share}")
        self._clock = clock
        kept = state or {}
        self._buckets = {
            budget.name: _Bucket(budget, clock, urgent_share, next_reset, kept.get(budget.name)) for budget in budgets
        }

    async def acquire(self, cost: float = 1, *, lane: Lane | None = None, bucket: str | None = None) -> Grant:
        """Waits until `cost` units may be spent, and spends them.

        `lane` None means the one of the `in_lane` block around the call; `bucket` None means the only one.
        Raises ValueError for an unknown bucket, or for a cost that the bucket (or its day) can never pay.
        Units bought and not used go back with `give_back`.
        """
        source = self._bucket(bucket)
        source.check(cost)
        lane = lane or current_lane()
        note_spent(source.budget.name, cost)
        purse = _purse_for(source, cost)
        if purse is not None:
            purse.left -= cost
            source.hold(-cost)
            return Grant(source.budget.name, lane, cost, 0.0, source.granted - purse.left)
        asked = self._clock.monotonic()
        await source.wait_and_take(cost, lane)
        waited = self._clock.monotonic() - asked
        return Grant(source.budget.name, lane, cost, waited, source.granted)

    @contextmanager
    def prepaid(self, grant: Grant) -> Iterator[None]:
        """Calls made inside are paid from `grant`; what they leave of it goes back at the end.

        So a publisher can wait for budget first, then decide what to send on the freshest numbers, and the
        connector that sends need not know. Calls beyond the grant wait for themselves. Spend it within moments:
        the bucket refills from the grant on, so units held for long would be spent on top of a full bucket.
        """
        source = self._bucket(grant.bucket)
        purse = _Purse(source, grant.cost)
        source.hold(grant.cost)
        token = _PURSE.set(purse)
        try:
            yield
        finally:
            _PURSE.reset(token)
            left, purse.left = purse.left, 0.0
            source.hold(-left)
            source.put_back(left)

    def give_back(self, grant: Grant) -> None:
        """Returns units that were granted and not spent. Call it at most once for a grant."""
        self._bucket(grant.bucket).put_back(grant.cost)

    def observe(
        self,
        available: float,
        restore_rate: float | None = None,
        *,
        bucket: str | None = None,
        since: Grant | None = None,
    ) -> None:
        """Takes the server's view: units left, and units per second where it says so.

        `since` is the grant of the call whose answer said it (and names the bucket); what was granted after
        it is taken off, since the server had not seen that yet. Never above the declared capacity; below 0, what
        is missing is waited for.
        """
        source = self._bucket(bucket if since is None else since.bucket)
        unseen = 0.0 if since is None else source.granted - since.mark
        source.set_level(available - unseen, restore_rate)

    def penalise(self, until: datetime, *, bucket: str | None = None) -> None:
        """After a 429: nothing is granted before `until`, and the bucket counts as empty now."""
        self._bucket(bucket).penalise(until)

    def would_wait(self, cost: float = 1, *, lane: Lane | None = None, bucket: str | None = None) -> float:
        """Seconds that `acquire` would wait now, behind those who wait already; 0 when it would not.

        An estimate where others come first: urgent calls that arrive later, or a next day's quota.
        """
        source = self._bucket(bucket)
        source.check(cost)
        if _purse_for(source, cost) is not None:
            return 0.0
        lane = lane or current_lane()
        return source.seconds_until(cost, lane, ahead=source.queued(lane))

    def available(self, *, bucket: str | None = None) -> float:
        """Units that an urgent call could take at once; 0 while penalised or out of quota."""
        return self._bucket(bucket).spendable()

    def share(self, other: "Limiter") -> None:
        """From now on spends from the other's buckets: two accesses to one account have one budget.

        Buckets whose budgets are declared differently stay apart. What this one has spent counts in the shared one;
        a day's quota was spent by both together where they go on from what the account's last process left.
        """
        for name, own in self._buckets.items():
            theirs = other._buckets.get(name)
            if theirs is not None and theirs is not own and theirs.budget == own.budget:
                theirs.absorb(own)
                self._buckets[name] = theirs

    def state(self) -> dict[str, BucketState]:
        """All buckets as they are now, to be stored and given to the next `Limiter`."""
        return {name: source.state() for name, source in self._buckets.items()}

    def budgets(self) -> dict[str, Budget]:
        """What was declared of each bucket, by its name."""
        return {name: source.budget for name, source in self._buckets.items()}

    def _bucket(self, name: str | None) -> "_Bucket":
        if name is None and len(self._buckets) == 1:
            return next(iter(self._buckets.values()))
        if name is None or name not in self._buckets:
            raise ValueError(f"no bucket {name!r}; this account has {', '.join(sorted(self._buckets))}")
        return self._buckets[name]


@dataclass(slots=True)
class _Purse:
    """A grant being spent by the calls of one `prepaid` block."""

    bucket: "_Bucket"
    left: float


_PURSE: ContextVar[_Purse | None] = ContextVar("channelsync_prepaid", default=None)


def _purse_for(bucket: "_Bucket", cost: float) -> _Purse | None:
    purse = _PURSE.get()
    return purse if purse is not None and purse.bucket is bucket and purse.left >= cost else None


@dataclass(slots=True, eq=False)
class _Waiter:
    cost: float
    lane: Lane
    ready: asyncio.Future[None]


class _Bucket:
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

    def hold(self, cost: float) -> None:
        """Units granted and not spent yet: the bucket does not fill up above what is left beside them."""
        self._refill()
        self._held = max(0.0, self._held + cost)

    def check(self, cost: float) -> None:
        most = min(self.budget.capacity, self.budget.per_day or math.inf)
        if not 0 <= cost <= most:
            raise ValueError(f"bucket {self.budget.name}: a cost of {cost} is not between 0 and {most}")

    async def wait_and_take(self, cost: float, lane: Lane) -> None:
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
        self._refill()
        self._level = min(self.budget.capacity, self._level + cost)
        self._used_today = max(0.0, self._used_today - cost)
        self._serve()

    def set_level(self, level: float, rate: float | None) -> None:
        self._refill()
        # Below 0 is a debt: more was granted since than the server had left. Bounded, lest nonsense stops us for ever.
        self._level = max(-self.budget.capacity, level)
        if rate is not None and rate > 0:
            self._rate = rate
        self._serve()

    def penalise(self, until: datetime) -> None:
        self._refill()
        self._level = min(self._level, 0.0)
        self._penalised_until = max(until, self._penalised_until or until)
        self._serve()

    def absorb(self, other: "_Bucket") -> None:
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
        if self.seconds_until(0, Lane.URGENT) > 0:
            return 0.0
        left_today = math.inf if self.budget.per_day is None else self.budget.per_day - self._used_today
        return max(0.0, min(self._level, left_today))

    def state(self) -> BucketState:
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
