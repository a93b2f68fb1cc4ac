"""What an account may spend, in which order, and what was granted: the limiter's values."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Lane(StrEnum):
    """Who goes first: urgent for what keeps a sold unit from being sold again, normal for the rest."""

    URGENT = "urgent"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one bucket of an account holds, in the channel's own units."""

    name: str
    capacity: float
    """The most that can be spent at once; also the most that one call may cost."""
    per_second: float
    """Units regained each second, until the server says otherwise."""
    per_day: float | None = None
    """Units a day; None where the channel counts no days."""

    def __post_init__(self) -> None:
        if self.capacity <= 0 or self.per_second <= 0 or (self.per_day is not None and self.per_day <= 0):
            raise ValueError(f"budget {self.name}: capacity, per_second and per_day must be above 0")


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket at a moment: what the caller stores, so that a restart does not spend twice."""

    level: float
    at: datetime
    per_second: float
    used_today: float
    resets_at: datetime
    penalised_until: datetime | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to make calls of this cost now."""

    bucket: str
    lane: Lane
    cost: float
    waited: float
    """Seconds between asking and getting."""
    mark: float
    """All that the bucket had granted when this call was paid; `observe` counts what came after it."""


def next_utc_midnight(now: datetime) -> datetime:
    """When a day's quota starts anew, for channels that count UTC days."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), tzinfo=UTC)


_SPENT: ContextVar[dict[str, float] | None] = ContextVar("channelsync_spent", default=None)


@contextmanager
def spending() -> Iterator[dict[str, float]]:
    """Tells what the calls made inside cost, by the name of the bucket, once the block has ended."""
    spent: dict[str, float] = {}
    token = _SPENT.set(spent)
    try:
        yield spent
    finally:
        _SPENT.reset(token)


def note_spent(bucket: str, cost: float) -> None:
    """The limiter says what it has granted."""
    spent = _SPENT.get()
    if spent is not None:
        spent[bucket] = spent.get(bucket, 0.0) + cost


_LANE: ContextVar[Lane] = ContextVar("channelsync_lane", default=Lane.NORMAL)


def current_lane() -> Lane:
    """The lane of the innermost `in_lane` block that we are in; normal outside of all."""
    return _LANE.get()


@contextmanager
def in_lane(lane: Lane) -> Iterator[None]:
    """Calls made inside go by this lane unless they name one themselves.

    So the publisher decides what is urgent, and the connector that makes the calls need not know.
    """
    token = _LANE.set(lane)
    try:
        yield
    finally:
        _LANE.reset(token)
