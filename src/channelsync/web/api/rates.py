"""How many requests a token may make, counted in this process: enough to stop a loop that went wild."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from channelsync.sdk.clock import Clock


@dataclass(slots=True, kw_only=True)
class Rates:
    """A bucket for every token. per_minute: how fast it fills; it holds what comes in ten seconds, and 1 at least.

    Tokens are few, and only tokens that were recognised get a bucket, so that nobody can fill the memory.
    """

    clock: Clock
    per_minute: int = 600
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def burst(self) -> int:
        """Requests at once, after a while without any."""
        return max(1, self.per_minute // 6)

    def wait(self, token: str) -> int:
        """Takes one request; 0: it may be made now, else whole seconds until one may, and none was taken."""
        now = self.clock.monotonic()
        left, since = self._left.get(token, (float(self.burst), now))
        left = min(float(self.burst), left + (now - since) * self.per_minute / 60)
        if left < 1:
            self._left[token] = (left, now)
            return max(1, math.ceil((1 - left) * 60 / self.per_minute))
        self._left[token] = (left - 1, now)
        return 0
