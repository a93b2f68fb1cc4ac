"""The lab's faults, as Amazon's API shows them: which calls they name, and what they leave of an answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_http import Fate, Reply, Request
from vendor_amazon.errors import ApiError, broken, over_quota
from vendor_amazon.lwa import TOKEN_PATH
from vendor_common.openapi import Operation

Failed = Callable[[ApiError], Reply]

_NAMES: Mapping[str, str] = {
    "getOrder": "orders by id",
    "searchListingsItems": "listings",
    "getListingsItem": "read",
    "patchListingsItem": "push",
    "createFeed": "push",
}
"""The lab's names of endpoints, for the faults that name them. Others go by their operation's id."""

_PAGE = b"<!doctype html><html><head><title>Amazon</title></head><body><h1>Sorry</h1></body></html>"
_BEFORE: Mapping[FaultKind, Fate] = {FaultKind.OUTAGE: "is refused", FaultKind.NO_ANSWER: "is never sent"}
_AFTER: Mapping[FaultKind, Fate] = {
    FaultKind.NO_ANSWER_AFTER: "is never sent",
    FaultKind.RESET_AFTER: "is reset",
    FaultKind.TRUNCATED_AFTER: "is cut short",
}


def endpoint_of(operation: Operation | None, request: Request) -> str:
    """What a fault plan calls the endpoint of a request."""
    if operation is None:
        return "token" if request.path == TOKEN_PATH else "documents"
    if operation.id == "searchOrders":
        return "order ids" if "createdAfter" in request.query else "orders"
    return _NAMES.get(operation.id, operation.id)


def before(fault: Fault, failed: Failed, now: datetime) -> Reply | None:
    """The reply of a fault that keeps the call from being carried out; None for one that does not."""
    match fault.kind:
        case FaultKind.OUTAGE | FaultKind.NO_ANSWER:
            return Reply(0, fate=_BEFORE[fault.kind])
        case FaultKind.TOO_MANY:
            return _saying(failed(over_quota()), fault, now)
        case FaultKind.SERVER_ERROR:
            return _saying(failed(broken(fault.status)), fault, now)
        case FaultKind.HTML:
            return _html()
    return None


def after(reply: Reply, fault: Fault, failed: Failed, now: datetime) -> Reply:
    """A reply as the fault leaves it, after the call was carried out."""
    match fault.kind:
        case FaultKind.SERVER_ERROR_AFTER:
            return _saying(failed(broken(fault.status)), fault, now)
        case FaultKind.HTML_AFTER:
            return _html()
        case FaultKind.EMPTY_AFTER:
            return replace(reply, status=200, body=b"")
        case FaultKind.DRIP:
            return replace(reply, fate="drips", seconds=fault.seconds)
        case FaultKind.NO_ANSWER_AFTER | FaultKind.RESET_AFTER | FaultKind.TRUNCATED_AFTER:
            return replace(reply, fate=_AFTER[fault.kind])
    return reply


def _saying(reply: Reply, fault: Fault, now: datetime) -> Reply:
    """With when to come again, where the fault says so: Amazon itself promises nothing."""
    if fault.retry_after is None:
        return reply
    seconds = max(1, math.ceil(fault.retry_after))
    until = now.replace(microsecond=0) + timedelta(seconds=seconds)
    told = str(seconds) if fault.retry_as == "seconds" else format_datetime(until, usegmt=True)
    return replace(reply, headers={**reply.headers, "retry-after": told})


def _html() -> Reply:
    return Reply(200, {"content-type": "text/html; charset=utf-8"}, _PAGE)
