"""getOrders' `filter`: which orders are asked for, and what eBay refuses.

`creationdate:[from..to],lastmodifieddate:[from..],orderfulfillmentstatus:{NOT_STARTED|IN_PROGRESS}`. Where both dates
are given only creationdate counts; without any, the orders created in the last 90 days are meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from vendor_ebay.errors import Refused, fulfilment

DEFAULT_WINDOW = timedelta(days=90)
OLDEST = timedelta(days=2 * 365 + 1)

_PART = re.compile(r"([A-Za-z]+):(\[[^\]]*\]|\{[^}]*\}|[^,\[\]{}]*)(?:,|$)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z")
_STATUSES = ({"NOT_STARTED", "IN_PROGRESS"}, {"FULFILLED", "IN_PROGRESS"})

By = Literal["creationdate", "lastmodifieddate"]


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders. since, until: both count in, in whole milliseconds. statuses: None for all."""

    by: By
    since: datetime
    until: datetime
    statuses: frozenset[str] | None = None


def read_filter(text: str | None, now: datetime) -> OrderFilter:
    """The filter in a query. now: by eBay's clock. Raises Refused with eBay's 307xx and 308xx."""
    parts = _parts(text or "")
    statuses = _statuses(parts.pop("orderfulfillmentstatus", None))
    by: By = "creationdate" if "creationdate" in parts else "lastmodifieddate"
    if by not in parts:
        return OrderFilter("creationdate", now - DEFAULT_WINDOW, now, statuses)
    since, until = _range(parts[by], by, now)
    return OrderFilter(by, since, until, statuses)


def milliseconds(time: datetime) -> datetime:
    """As eBay tells times: cut to milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            raise Refused(400, fulfilment(30700, f"Invalid filter name: {text[at:]}"))
        name, value = found.groups()
        if name not in ("creationdate", "lastmodifieddate", "orderfulfillmentstatus"):
            raise Refused(400, fulfilment(30700, f"Invalid filter name: {name}"))
        parts[name] = value
        at = found.end()
    return parts


def _statuses(value: str | None) -> frozenset[str] | None:
    if value is None:
        return None
    asked = set(value.strip("{}").split("|"))
    if not value.startswith("{") or asked not in _STATUSES:
        raise Refused(400, fulfilment(30800, f"Invalid filter value {value} for filter orderfulfillmentstatus"))
    return frozenset(asked)


def _range(value: str, name: str, now: datetime) -> tuple[datetime, datetime]:
    if not value.startswith("[") or ".." not in value:
        raise Refused(400, fulfilment(30800, f"Invalid filter value {value} for filter {name}"))
    first, _, last = value.strip("[]").partition("..")
    if not first:
        raise Refused(400, fulfilment(30820, "Start date is missing"))
    since = _time(first)
    until = _time(last) if last else now
    if since > now or until > now:
        raise Refused(400, fulfilment(30850, "Start and end dates can't be in the future"))
    if since > until:
        raise Refused(400, fulfilment(30840, "Start date should be before end date"))
    if now - since > OLDEST:
        more = "Time range between start date and end date must be within '2' years."
        raise Refused(400, fulfilment(30830, more))
    return since, until


def _time(text: str) -> datetime:
    if _TIME.fullmatch(text) is None:
        raise Refused(400, fulfilment(30810, "Invalid date format"))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Refused(400, fulfilment(30810, "Invalid date format")) from None
