"""The Selling Partner API of one seller, without HTTP: one function from request to reply, for the lab's fronts."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

from channelsync.lab.faults import Fault, FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_http import Reply, Request
from vendor_amazon.ask import Answer, Ask, Call
from vendor_amazon.errors import ApiError, bad_input, denied, over_quota
from vendor_amazon.faults import after, before, endpoint_of
from vendor_amazon.habits import AmazonHabits
from vendor_amazon.lwa import TOKEN_PATH, Lwa
from vendor_amazon.places import SellerAccount
from vendor_amazon.rates import Buckets
from vendor_common.openapi import UNKNOWN, Contract, Operation

_TELLS_RATE = frozenset({200, 201, 202, 204, 400, 404})

_NOTIFY = "sellingpartnerapi::notifications"

GRANTLESS: Mapping[str, str] = {
    "createDestination": _NOTIFY,
    "getDestinations": _NOTIFY,
    "getDestination": _NOTIFY,
    "deleteDestination": _NOTIFY,
    "getSubscriptionById": _NOTIFY,
    "deleteSubscriptionById": _NOTIFY,
}
"""Operations that are the application's own, and the scope that their token needs."""


class Documents(Protocol):
    """Where documents are put and got by address, beside the API (at Amazon: S3)."""

    def handle(self, request: Request, now: datetime) -> Reply | None:
        """Answers for a document's address; None where the address is none of its."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer of this server that Amazon's own models do not allow: a bug of the server."""

    operation: str
    status: int
    what: str


class AmazonApi:
    """The API of one marketplace for one seller: tokens, rates, Amazon's models on both sides, faults.

    calls counts by operation. problems: answers of ours that the models forbid. refused: requests that they forbid,
    with what was wrong. ignored: parameters and properties that they do not name; Amazon passes over them (a client
    that sends some with every call is in wide use), but nobody should send any. lies: answers are wrong on purpose,
    and not judged. A request is carried out by `operations`; one that is not among them is denied, as for a role
    that the application has not.
    """

    def __init__(
        self,
        marketplace: Marketplace,
        contract: Contract,
        account: SellerAccount,
        operations: Mapping[str, Call],
        rng: random.Random,
        *,
        documents: Documents,
        habits: AmazonHabits,
        faults: FaultPlan | None = None,
    ) -> None:
        self.marketplace = marketplace
        self.contract = contract
        self.faults = faults or FaultPlan()
        self.tokens = Lwa(account, marketplace.rules.token_lifetime, rng)
        self.buckets = Buckets(habits.rates)
        self.calls: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.refused: list[str] = []
        self.ignored: list[str] = []
        self.lies = False
        self._account = account
        self._operations = operations
        self._documents = documents
        self._habits = habits
        self._rng = rng

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        now = self.marketplace.now()
        operation = self.contract.operation(request.method, request.path)
        name = endpoint_of(operation, request)
        self.calls[name] = self.calls.get(name, 0) + 1
        fault = self.faults.draw(now, name)
        if fault is not None and (reply := before(fault, self._failed, self.marketplace.time())) is not None:
            return reply
        reply = self._answered(operation, request, now, fault)
        return after(reply, fault, self._failed, self.marketplace.time()) if fault else reply

    def _answered(self, operation: Operation | None, request: Request, now: datetime, fault: Fault | None) -> Reply:
        if request.path == TOKEN_PATH and request.method == "POST":
            return self.tokens.answer(request, now)
        if (reply := self._documents.handle(request, now)) is not None:
            return reply
        headers: dict[str, str] = {}
        try:
            found = self._admitted(operation, request, now)
            headers = self._rate_headers(found)
            answer = self._carried_out(found, request, now, fault)
        except ApiError as error:
            reply = self._failed(error, headers)
        else:
            reply = self._reply(answer, headers)
        if operation is not None and not self.lies:
            problems = self.contract.answer_problems(operation, reply.status, reply.headers, reply.body)
            self.problems += [Problem(operation.id, reply.status, what) for what in problems]
        return reply

    def _admitted(self, operation: Operation | None, request: Request, now: datetime) -> Operation:
        """The operation, when the token and the rate allow it. Raises ApiError."""
        granted = self.tokens.whose(request.headers, now)
        if operation is None or operation.id not in self._operations:
            raise denied()
        if granted.scope != GRANTLESS.get(operation.id, ""):
            raise denied()
        if not self.buckets.take(operation, self._account.seller_id, now):
            raise over_quota()
        return operation

    def _carried_out(self, operation: Operation, request: Request, now: datetime, fault: Fault | None) -> Answer:
        found = self.contract.request_problems(operation, request)
        problems = [problem for problem in found if UNKNOWN not in problem]
        self.ignored += [f"{operation.id}: {problem}" for problem in found if UNKNOWN in problem]
        if problems:
            self.refused += [f"{operation.id}: {problem}" for problem in problems]
            if any(problem.startswith("header content-type") for problem in problems):
                raise ApiError(415, "UnsupportedMediaType", "The request payload is in an unsupported format.")
            raise bad_input(problems[0])
        given = self.contract.arguments(operation, request)
        body: Any = json.loads(request.body) if request.body else None
        origin = f"http://{request.headers.get('host', 'amazon.example')}"
        return self._operations[operation.id](Ask(given, body, now, self.marketplace.time(), fault, origin))

    # Replies

    def _reply(self, answer: Answer, headers: Mapping[str, str]) -> Reply:
        if answer.content is None:
            return Reply(answer.status, self._headers() | dict(headers))
        kind = {"content-type": "application/json"}
        return Reply(answer.status, self._headers() | kind | dict(headers), orjson.dumps(answer.content))

    def _failed(self, error: ApiError, headers: Mapping[str, str] | None = None) -> Reply:
        rates = headers if headers and error.status in _TELLS_RATE else {}
        return self._reply(Answer(error.content(), error.status), {**rates, **error.headers})

    def _headers(self) -> dict[str, str]:
        time = self.marketplace.time().replace(microsecond=0)
        return {
            "date": format_datetime(time, usegmt=True),
            "x-amzn-requestid": str(UUID(int=self._rng.getrandbits(128))),
        }

    def _rate_headers(self, operation: Operation) -> dict[str, str]:
        rate = self.buckets.rate(operation)
        if rate is None or self._rng.random() >= self._habits.rate_header_share:
            return {}
        return {"x-amzn-ratelimit-limit": f"{rate.per_second}"}
