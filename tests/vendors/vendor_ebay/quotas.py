"""What an application may call in a day, and the Analytics API that tells what is left.

eBay's days end at midnight of the Pacific standard time: 08:00 UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from channelsync.lab.marketplace_accounts import Meter
from channelsync.lab.marketplace_values import Violation
from vendor_ebay.calls import Call, Handler
from vendor_ebay.errors import TOO_MANY, Answer, Refused
from vendor_ebay.order_json import time_json

_MIDNIGHT = timedelta(hours=8)
_DAY = 86_400


def api_of(template: str) -> str:
    """The API that a path belongs to, by the names of the quotas."""
    parts = template.strip("/").split("/")
    return ".".join(parts[:2])


class Quotas:
    """Calls by API and day. A call over the quota is refused and is a violation of the meter's."""

    def __init__(self, limits: Mapping[str, int], meter: Meter) -> None:
        self.limits = dict(limits)
        self._meter = meter
        self._spent: Counter[tuple[str, str]] = Counter()

    def charge(self, api: str, now: datetime, here: datetime) -> bool:
        """Counts a call; False when the day's calls are spent. now: the true time. here: by eBay's clock."""
        limit = self.limits.get(api)
        if limit is None:
            return True
        left = limit - self._spent[api, _day(here)]
        if left < 1:
            self._meter.violations.append(Violation(now, "application", api, 1.0, float(left), "day"))
            return False
        self._spent[api, _day(here)] += 1
        return True

    def check(self, api: str, now: datetime, here: datetime) -> None:
        """Counts a call. Raises Refused with 429 when the day's calls are spent."""
        if not self.charge(api, now, here):
            raise Refused(429, TOO_MANY)

    def told(self, here: datetime) -> list[dict[str, Any]]:
        """`rateLimits`, of every API."""
        return [self._api(api, limit, here) for api, limit in self.limits.items()]

    def _api(self, api: str, limit: int, here: datetime) -> dict[str, Any]:
        context, _, name = api.rpartition(".")
        rate = {
            "limit": limit,
            "remaining": limit - self._spent[api, _day(here)],
            "reset": time_json(_reset(here)),
            "timeWindow": _DAY,
        }
        return {
            "apiContext": context or "tradingapi",
            "apiName": name,
            "apiVersion": "v1_beta" if name == "analytics" else "v1",
            "resources": [{"name": api, "rates": [rate]}],
        }


class Analytics:
    """The calls of the Analytics API. here: the time by eBay's clock."""

    def __init__(self, quotas: Quotas, here: Callable[[], datetime]) -> None:
        self._quotas = quotas
        self._here = here

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {"getRateLimits": self.limits, "getUserRateLimits": self.limits}

    def limits(self, call: Call) -> Answer:
        """GET /rate_limit/: 204 where the filters leave nothing."""
        context, name = call.query.get("api_context"), call.query.get("api_name")
        found = [
            each
            for each in self._quotas.told(self._here())
            if (context is None or each["apiContext"].lower() == context.lower())
            and (name is None or each["apiName"].lower() == name.lower())
        ]
        return Answer(200, {"rateLimits": found}) if found else Answer(204)


def _day(here: datetime) -> str:
    return (here - _MIDNIGHT).date().isoformat()


def _reset(here: datetime) -> datetime:
    day = (here - _MIDNIGHT).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1) + _MIDNIGHT
