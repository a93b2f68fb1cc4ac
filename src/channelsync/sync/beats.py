"""Which parts of a running process are alive: each says when it will be heard of again, and is late after that.

A part that waits for a budget until midnight says so and is not late; one that hangs says nothing and is.
"""

from __future__ import annotations

from dataclasses import dataclass

from channelsync.sdk.clock import Clock

LOOP = "loop"
"""The part that always beats: the event loop itself."""

WORK_SECONDS = 900.0
"""What one round of a channel's loop may take beside its own pause: calls have deadlines, and a round has many."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One part. age: seconds since it was heard of. late: seconds since it should have been; 0: it is not late."""

    age: float
    late: float


class Beats:
    """When each part of this process was last heard of. loop_delay: seconds by which the event loop woke up late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.loop_delay = 0.0
        self._touched: dict[str, tuple[float, float]] = {}

    def touch(self, part: str, within: float) -> None:
        """The part is alive, and will be heard of again within so many seconds."""
        now = self._clock.monotonic()
        self._touched[part] = (now, now + within)

    def forget(self, part: str) -> None:
        """The part has ended as it should: nobody waits for it any more. Unknown ones are none."""
        self._touched.pop(part, None)

    def now(self) -> dict[str, Beat]:
        """All parts as they are now, by name."""
        now = self._clock.monotonic()
        return {
            part: Beat(age=max(0.0, now - touched), late=max(0.0, now - due))
            for part, (touched, due) in sorted(self._touched.items())
        }

    def late(self) -> list[str]:
        """The parts that should have been heard of and were not, sorted."""
        return [part for part, beat in self.now().items() if beat.late]


def orders_part(channel: str) -> str:
    """The name of the loop that takes a channel's orders."""
    return f"{channel}: orders"


def publish_part(channel: str) -> str:
    """The name of the loop that publishes to a channel."""
    return f"{channel}: publish"
