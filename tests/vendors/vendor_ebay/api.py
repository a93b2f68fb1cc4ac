"""eBay's API without HTTP: one function from request to reply, for the fronts of the lab.

Every request of the REST APIs is judged by eBay's own descriptions and refused where they refuse; every answer of
ours as well, and what is wrong with one is kept in `answer_problems`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime

import orjson

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_accounts import Meter
from channelsync.lab.marketplace_http import Fate, Reply, Request
from vendor_common.openapi import Operation
from vendor_ebay.account import Account
from vendor_ebay.behaviour import EbayBehaviour
from vendor_ebay.calls import Call, Handler
from vendor_ebay.deliveries import Deliveries
from vendor_ebay.errors import (
    BAD_TOKEN,
    INTERNAL,
    NO_PERMISSION,
    NO_RESOURCE,
    NO_TOKEN,
    TOO_MANY,
    Answer,
    Refused,
    bad_value,
    invalid_request,
)
from vendor_ebay.fulfilment import Fulfilment
from vendor_ebay.items import Items
from vendor_ebay.judge import Judge
from vendor_ebay.mappings import Mappings
from vendor_ebay.market import EbayMarketplace
from vendor_ebay.notifications import Challenge, Notifications
from vendor_ebay.oauth import Grant, OAuth
from vendor_ebay.offers import Offers
from vendor_ebay.order_json import OrderWriter
from vendor_ebay.quantities import Quantities
from vendor_ebay.quotas import Analytics, Quotas, api_of
from vendor_ebay.shop import Shop
from vendor_ebay.signing import SigningKey
from vendor_ebay.trading import TRADING, Trading

TOKEN = "/identity/v1/oauth2/token"

NAMES: Mapping[str, str] = {
    "getOrders": "orders",
    "getOrder": "orders by id",
    "getInventoryItems": "listings",
    "getInventoryItem": "read",
    "bulkGetInventoryItem": "read",
    "getOffers": "listings by id",
    "getOffer": "listings by id",
    "bulkUpdatePriceQuantity": "push",
    "getUser": "account",
    "getPrivileges": "account",
}
"""Operations by the names under which the lab's faults and counts know them; others keep their operationId."""

_NEEDS_BODY = frozenset({"publishOffer", "withdrawOffer"})
_HTML = b"<!doctype html><html><head><title>eBay</title></head><body><h1>We're sorry</h1></body></html>"
_EDGE = b"<HTML><HEAD><TITLE>Length Required</TITLE></HEAD><BODY><H1>Length Required</H1></BODY></HTML>"
_BEFORE: Mapping[FaultKind, Fate] = {FaultKind.OUTAGE: "is refused", FaultKind.NO_ANSWER: "is never sent"}
_AFTER: Mapping[FaultKind, Fate] = {
    FaultKind.NO_ANSWER_AFTER: "is never sent",
    FaultKind.RESET_AFTER: "is reset",
    FaultKind.TRUNCATED_AFTER: "is cut short",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer of ours that eBay's description does not allow. operation: its id."""

    operation: str
    status: int
    problem: str


class EbayApi:
    """The API for one seller and one application.

    Open to tests: `shop` (what is listed), `oauth`, `orders` (an `OrderWriter`), `notifications`, `deliveries`,
    `account`, `quotas`, `meter` (violations), `faults`, `calls` (by name), `answer_problems`, and `refused`: what is
    wrong with requests that eBay's descriptions forbid.
    """

    def __init__(
        self,
        marketplace: EbayMarketplace,
        oauth: OAuth,
        rng: random.Random,
        *,
        judge: Judge,
        seller: str,
        behaviour: EbayBehaviour,
        faults: FaultPlan | None = None,
        challenge: Challenge | None = None,
    ) -> None:
        self.marketplace = marketplace
        self.oauth = oauth
        self.faults = faults or FaultPlan()
        self.meter = Meter(marketplace.rules)
        self.quotas = Quotas(behaviour.quotas, self.meter)
        self.shop = Shop(marketplace, behaviour, rng)
        self.orders = OrderWriter(self.shop, seller)
        self.account = Account(seller, behaviour)
        self.notifications = Notifications(SigningKey(rng), rng, behaviour, challenge)
        self.deliveries = Deliveries(self.shop, self.notifications, seller, rng)
        self.calls: Counter[str] = Counter()
        self.answer_problems: list[Problem] = []
        self.refused: list[str] = []
        self._judge = judge
        self._trading = Trading(self.shop, self.quotas, seller)
        self._requests = 0
        self._handlers: dict[str, Handler] = {
            **Items(self.shop).handlers(),
            **Offers(self.shop).handlers(),
            **Quantities(self.shop).handlers(),
            **Fulfilment(self.shop, self.orders).handlers(),
            **self.account.handlers(),
            **Mappings(self.shop, self.account).handlers(),
            **self.notifications.handlers(),
            **Analytics(self.quotas, marketplace.time).handlers(),
        }

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        now = self.marketplace.now()
        operation = self._judge.operation(request.method, request.path)
        name = self._name(request, operation)
        self.calls[name] += 1
        fault = self.faults.draw(now, name)
        if fault is not None and (reply := self._before(fault)) is not None:
            return reply
        reply = self._answer(request, operation, now, fault)
        return self._after(reply, fault) if fault else reply

    def _name(self, request: Request, operation: Operation | None) -> str:
        if request.path == TOKEN:
            return "token"
        if request.path == TRADING:
            return self._trading.name(request)
        if operation is None:
            return "nowhere"
        return NAMES.get(operation.id, operation.id)

    def _answer(self, request: Request, operation: Operation | None, now: datetime, fault: Fault | None) -> Reply:
        here = self.marketplace.time()
        try:
            if request.path == TOKEN:
                return self._json(self.oauth.answer(request, here))
            self._budget(now)
            if request.path == TRADING:
                grant = self.oauth.holder(request.headers.get("x-ebay-api-iaf-token", ""), here)
                stale = self.oauth.ran_out(request.headers.get("x-ebay-api-iaf-token", ""), here)
                return self._xml(self._trading.answer(request, grant, now, fault, stale=stale))
            answer = self._checked(request, operation, now, fault)
        except Refused as refused:
            told = {"errors": [flaw.row() for flaw in refused.flaws]}
            answer = Answer(refused.status, told, refused.headers)
        reply = self._json(answer)
        if operation is not None and not self.orders.odd:
            self._judge_answer(operation, reply)
        return reply

    def _checked(self, request: Request, operation: Operation | None, now: datetime, fault: Fault | None) -> Answer:
        """The answer to a call of the REST APIs. Raises Refused."""
        if operation is None:
            raise Refused(405 if self._judge.methods(request.path) else 404, NO_RESOURCE)
        grant = self._grant(request, operation)
        self.quotas.check(api_of(operation.template), now, self.marketplace.time())
        if operation.id in _NEEDS_BODY and not request.body:
            return Answer(411, _EDGE)
        problems = self._judge.of_request(operation, request)
        if problems:
            self.refused += [f"{operation.id}: {problem}" for problem in problems]
            if problems[0].startswith("header Content-Language"):
                raise Refused(400, bad_value("header Content-Language"))
            raise Refused(400, *[invalid_request(f"Could not serialize field: {each}") for each in problems])
        handler = self._handlers.get(operation.id)
        if handler is None:
            raise Refused(404, NO_RESOURCE)
        return handler(Call(request, operation.arguments, grant, now, fault))

    def _grant(self, request: Request, operation: Operation) -> Grant:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            raise Refused(401, NO_TOKEN)
        grant = self.oauth.holder(token, self.marketplace.time()) if scheme.lower() == "bearer" else None
        if grant is None:
            raise Refused(401, BAD_TOKEN)
        schemes = operation.node.content.get("security") or []
        scopes = {scope for each in schemes for names in each.values() for scope in names}
        if scopes and not scopes & grant.scopes:
            raise Refused(403, NO_PERMISSION)
        return grant

    def _budget(self, now: datetime) -> None:
        """The bucket of the seller, as the marketplace's rules have it."""
        today = self.marketplace.time().date()
        charge = self.meter.charge(1.0, now, today, "application", "call")
        if charge.over:
            wait = self._retry_after(charge.wait, self.marketplace.rules.retry_after)
            raise Refused(429, TOO_MANY, headers=wait)

    def _judge_answer(self, operation: Operation, reply: Reply) -> None:
        if reply.status in (411, 429):
            return
        for problem in self._judge.of_answer(operation, reply.status, reply.headers, reply.body):
            self.answer_problems.append(Problem(operation.id, reply.status, problem))

    # Replies

    def _json(self, answer: Answer) -> Reply:
        if isinstance(answer.content, bytes):
            return Reply(answer.status, self._headers("text/html"), answer.content)
        body = b"" if answer.content is None else orjson.dumps(answer.content)
        headers = self._headers("application/json") | dict(answer.headers)
        return Reply(answer.status, headers, body)

    def _xml(self, body: bytes) -> Reply:
        return Reply(200, self._headers("text/xml;charset=utf-8"), body)

    def _headers(self, kind: str) -> dict[str, str]:
        self._requests += 1
        date = format_datetime(self.marketplace.time().replace(microsecond=0), usegmt=True)
        return {"content-type": kind, "date": date, "x-ebay-c-request-id": f"ri=req{self._requests:08}"}

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
                return self._json(Answer(429, {"errors": [TOO_MANY.row()]}, self._said(fault)))
            case FaultKind.SERVER_ERROR:
                return self._broken(fault)
            case FaultKind.HTML:
                return Reply(200, self._headers("text/html; charset=utf-8"), _HTML)
        return None

    def _after(self, reply: Reply, fault: Fault) -> Reply:
        """A reply as the fault leaves it, after the call was carried out."""
        match fault.kind:
            case FaultKind.SERVER_ERROR_AFTER:
                return self._broken(fault)
            case FaultKind.HTML_AFTER:
                return Reply(200, self._headers("text/html; charset=utf-8"), _HTML)
            case FaultKind.EMPTY_AFTER:
                return replace(reply, status=200, body=b"")
            case FaultKind.DRIP:
                return replace(reply, fate="drips", seconds=fault.seconds)
            case FaultKind.NO_ANSWER_AFTER | FaultKind.RESET_AFTER | FaultKind.TRUNCATED_AFTER:
                return replace(reply, fate=_AFTER[fault.kind])
        return reply

    def _broken(self, fault: Fault) -> Reply:
        return self._json(Answer(fault.status, {"errors": [INTERNAL.row()]}, self._said(fault)))

    def _said(self, fault: Fault) -> dict[str, str]:
        return {} if fault.retry_after is None else self._retry_after(fault.retry_after, fault.retry_as)
