"""How many calls Amazon takes: a token bucket for every operation, seller and application."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from channelsync.lab.marketplace_values import Violation
from vendor_common.openapi import Operation

_ROW = re.compile(r"^\|\s*([0-9.]+)\s*\|\s*([0-9]+)\s*\|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a second, and how many at once."""

    per_second: float
    burst: int


def rate_of(operation: Operation) -> Rate | None:
    """The usage plan that stands in an operation's description; None where there is none."""
    found = _ROW.search(str(operation.node.content.get("description", "")))
    return Rate(float(found[1]), int(found[2])) if found else None


class Buckets:
    """The buckets of one seller. Times are the lab's true ones; `violations` notes every call that was too much."""

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self.violations: list[Violation] = []
        self._rates = rates
        self._left: dict[str, tuple[datetime, float]] = {}

    def rate(self, operation: Operation) -> Rate | None:
        """The rate in force."""
        return self._rates.get(operation.id) or rate_of(operation)

    def take(self, operation: Operation, account: str, now: datetime) -> bool:
        """Takes one call out of the bucket; False: it is empty."""
        rate = self.rate(operation)
        if rate is None:
            return True
        since, left = self._left.get(operation.id, (now, float(rate.burst)))
        left = min(float(rate.burst), left + (now - since).total_seconds() * rate.per_second)
        if left < 1.0 - 1e-9:
            self._left[operation.id] = (now, left)
            self.violations.append(Violation(now, account, operation.id, 1.0, left, "second"))
            return False
        self._left[operation.id] = (now, left - 1.0)
        return True
