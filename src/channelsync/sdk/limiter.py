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

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from channelsync.sdk.buckets import Bucket
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
            budget.name: Bucket(budget, clock, urgent_share, next_reset, kept.get(budget.name)) for budget in budgets
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
            return Grant(source.budget.name, lane, cost, 0.0, source.granted)
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
        it is taken off, since the server had not seen that yet, and so is what `prepaid` blocks have not spent yet: a
        call beside them, e.g. the read that protects a prepaid write, is answered before. Never above the declared
        capacity; below 0, what is missing is waited for.
        """
        source = self._bucket(bucket if since is None else since.bucket)
        unseen = 0.0 if since is None else source.granted - since.mark
        source.set_level(available - unseen - source.held, restore_rate)

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

    def share(self, other: Limiter) -> None:
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

    def _bucket(self, name: str | None) -> Bucket:
        if name is None and len(self._buckets) == 1:
            return next(iter(self._buckets.values()))
        if name is None or name not in self._buckets:
            raise ValueError(f"no bucket {name!r}; this account has {', '.join(sorted(self._buckets))}")
        return self._buckets[name]


@dataclass(slots=True)
class _Purse:
    """A grant being spent by the calls of one `prepaid` block."""

    bucket: Bucket
    left: float


_PURSE: ContextVar[_Purse | None] = ContextVar("channelsync_prepaid", default=None)


@contextmanager
def unpaid() -> Iterator[None]:
    """Calls made inside a `prepaid` block and in here wait for their own budget, and leave its grant alone."""
    token = _PURSE.set(None)
    try:
        yield
    finally:
        _PURSE.reset(token)


def _purse_for(bucket: Bucket, cost: float) -> _Purse | None:
    purse = _PURSE.get()
    return purse if purse is not None and purse.bucket is bucket and purse.left >= cost else None
