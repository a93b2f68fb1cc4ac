"""A marketplace's HTTP API, without HTTP: one function from request to reply, for every front.

`MarketplaceApi.handle` is called by a server on a socket and by a transport in process alike (`marketplace_fronts`).
A reply also says what is to become of it on its way (`Fate`), as faults happen to connections as well as to answers.
docs/sandbox-marketplace.md tells the seller's view of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Literal, Protocol

import orjson

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_accounts import Account, Charge, Meter, Seller, Subscriptions, Tokens
from channelsync.lab.marketplace_endpoints import ENDPOINTS, ApiError, Call, Endpoint, Endpoints
from channelsync.lab.marketplace_json import OrderWriter

Fate = Literal["arrives", "is cut short", "drips", "is never sent", "is reset", "is refused"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a front hands it over. headers: names in lower case, or matched in any case.

    raw_query: as it was sent, for APIs that sign it or take a parameter more than once.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    raw_query: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and its fate. seconds: how long it drips. The fates from "is never sent" on have no answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    fate: Fate = "arrives"
    seconds: float = 0.0


class HttpApi(Protocol):
    """Any marketplace's API as the fronts need it."""

    @property
    def marketplace(self) -> Marketplace: ...

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        ...


_HTML = b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"
_BEFORE: Mapping[FaultKind, Fate] = {FaultKind.OUTAGE: "is refused", FaultKind.NO_ANSWER: "is never sent"}
_AFTER: Mapping[FaultKind, Fate] = {
    FaultKind.NO_ANSWER_AFTER: "is never sent",
    FaultKind.RESET_AFTER: "is reset",
    FaultKind.TRUNCATED_AFTER: "is cut short",
}


class MarketplaceApi:
    """The API of one marketplace for one seller.

    `tokens`, `meter`, `subscriptions` and `orders` (an `OrderWriter`) are open to the lab: to drop tokens, to count
    violations, to send webhooks, to write broken orders. `calls` counts calls by endpoint.
    """

    def __init__(
        self,
        marketplace: Marketplace,
        accounts: Sequence[Account],
        rng: random.Random,
        *,
        seller: Seller | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        rules = marketplace.rules
        self.marketplace = marketplace
        self.tokens = Tokens(accounts, rules.token_lifetime, rng)
        self.meter = Meter(rules)
        self.subscriptions = Subscriptions(rng)
        self.orders = OrderWriter(rules)
        self.faults = faults or FaultPlan()
        self.calls: dict[str, int] = {}
        self._endpoints = Endpoints(marketplace, self.tokens, self.subscriptions, self.orders, seller or Seller())

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        now = self.marketplace.now()
        endpoint, argument = _route(request)
        name = endpoint.name if endpoint else "nowhere"
        self.calls[name] = self.calls.get(name, 0) + 1
        fault = self.faults.draw(now, name)
        if fault is not None and (reply := self._before(fault)) is not None:
            return reply
        try:
            reply = self._answer(endpoint, argument, request, now, fault)
        except ApiError as error:
            reply = self._error(error)
        return self._after(reply, fault) if fault else reply

    def _answer(
        self, endpoint: Endpoint | None, argument: str, request: Request, now: datetime, fault: Fault | None
    ) -> Reply:
        if endpoint is None:
            raise ApiError(404, "not_found", f"There is no {request.method} {request.path}.")
        account = self._account(request, now) if endpoint.needs_token else None
        headers: dict[str, str] = {}
        if account is not None:
            charge = self.meter.charge(endpoint.cost, now, self.marketplace.time().date(), account.name, endpoint.name)
            headers = self._budget_headers(charge, endpoint.cost)
            if charge.over:
                raise ApiError(
                    429,
                    "over_quota" if charge.over == "day" else "over_budget",
                    "The budget of calls is spent.",
                    headers | self._retry_after(charge.wait, self.marketplace.rules.retry_after),
                )
        call = Call(account, request.query, request.body, argument, now, fault)
        status, content = endpoint.answer(self._endpoints, call)
        return self._json(status, content, headers)

    def _account(self, request: Request, now: datetime) -> Account:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self.tokens.whose(token, now) if scheme.lower() == "bearer" else "unknown"
        if found == "stale":
            raise ApiError(401, "stale_token", "The access token has expired.")
        if found == "unknown":
            raise ApiError(401, "unknown_token", "This needs an access token: Authorization: Bearer ...")
        return found

    # Replies

    def _json(self, status: int, content: object, headers: Mapping[str, str]) -> Reply:
        body = b"" if status == 204 else orjson.dumps(content)
        return Reply(status, {"content-type": "application/json", "date": self._date(), **headers}, body)

    def _error(self, error: ApiError) -> Reply:
        return self._json(error.status, {"error": {"code": error.code, "message": error.message}}, error.headers)

    def _date(self) -> str:
        return format_datetime(self.marketplace.time().replace(microsecond=0), usegmt=True)

    def _budget_headers(self, charge: Charge, cost: float) -> dict[str, str]:
        rules = self.marketplace.rules
        headers = {
            "x-call-cost": f"{0 if charge.over else cost:g}",
            "x-budget-capacity": f"{rules.budget_capacity:g}",
            "x-budget-available": f"{charge.left:.3f}",
            "x-budget-restore-rate": f"{rules.budget_per_second:g}",
        }
        if charge.left_today is not None:
            headers["x-budget-day-available"] = f"{charge.left_today:g}"
        return headers

    def _retry_after(self, seconds: float, how: str) -> dict[str, str]:
        whole = max(1, math.ceil(seconds))
        if how == "none":
            return {}
        if how == "seconds":
            return {"retry-after": str(whole)}
        until = self.marketplace.time().replace(microsecond=0) + timedelta(seconds=whole)
        return {"retry-after": format_datetime(until, usegmt=True)}

    # Faults

    def _before(self, fault: Fault) -> Reply | None:
        """The reply of a fault that keeps the call from being carried out; None for one that does not."""
        match fault.kind:
            case FaultKind.OUTAGE | FaultKind.NO_ANSWER:
                return Reply(0, fate=_BEFORE[fault.kind])
            case FaultKind.TOO_MANY:
                return self._error(ApiError(429, "over_budget", "Too many requests.", self._said(fault)))
            case FaultKind.SERVER_ERROR:
                return self._error(ApiError(fault.status, "unavailable", "Try again later.", self._said(fault)))
            case FaultKind.HTML:
                return self._html()
        return None

    def _after(self, reply: Reply, fault: Fault) -> Reply:
        """A reply as the fault leaves it, after the call was carried out."""
        match fault.kind:
            case FaultKind.SERVER_ERROR_AFTER:
                return self._error(ApiError(fault.status, "unavailable", "Something went wrong.", self._said(fault)))
            case FaultKind.HTML_AFTER:
                return self._html()
            case FaultKind.EMPTY_AFTER:
                return replace(reply, status=200, body=b"")
            case FaultKind.DRIP:
                return replace(reply, fate="drips", seconds=fault.seconds)
            case FaultKind.NO_ANSWER_AFTER | FaultKind.RESET_AFTER | FaultKind.TRUNCATED_AFTER:
                return replace(reply, fate=_AFTER[fault.kind])
        return reply

    def _said(self, fault: Fault) -> dict[str, str]:
        return {} if fault.retry_after is None else self._retry_after(fault.retry_after, fault.retry_as)

    def _html(self) -> Reply:
        return Reply(200, {"content-type": "text/html; charset=utf-8", "date": self._date()}, _HTML)


def _route(request: Request) -> tuple[Endpoint | None, str]:
    """The endpoint, and what its path names (the id of a subscription), else nothing."""
    found = ENDPOINTS.get((request.method, request.path))
    if found is not None:
        return found, ""
    parent, _, argument = request.path.rpartition("/")
    return ENDPOINTS.get((request.method, f"{parent}/*")), argument
