"""The budget of a channel that publishes none: what the connector's own settings declare, held against what arrives."""

from __future__ import annotations

from datetime import datetime

from channelsync.lab.marketplace_values import Violation
from channelsync.sdk.limiter import Budget


class OwnBudget:
    """A bucket as it is declared, out of which every call that arrives takes one. Times are the lab's true ones;
    `violations` notes every call that was too much."""

    def __init__(self, account: str, budget: Budget) -> None:
        self.violations: list[Violation] = []
        self._account = account
        self._budget = budget
        self._left = budget.capacity
        self._since: datetime | None = None

    def take(self, now: datetime) -> None:
        """A call has arrived."""
        passed = 0.0 if self._since is None else (now - self._since).total_seconds()
        self._left = min(self._budget.capacity, self._left + passed * self._budget.per_second)
        self._since = now
        if self._left < 1.0 - 1e-6:
            self.violations.append(Violation(now, self._account, self._budget.name, 1.0, self._left, "second"))
        else:
            self._left -= 1.0
