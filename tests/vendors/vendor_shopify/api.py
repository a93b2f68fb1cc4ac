"""The shop's HTTP API without HTTP: one function from request to reply, for every front of the lab."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any

import orjson
from graphql import get_named_type

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_http import Fate, Reply, Request
from vendor_shopify.asking import Ask, Call
from vendor_shopify.cost import Bucket, Plan
from vendor_shopify.errors import Node, Refused, user_error
from vendor_shopify.execution import Executor, Json, Operation
from vendor_shopify.idempotency import FAILED, MISMATCH
from vendor_shopify.mutations_account import AccountMutations
from vendor_shopify.mutations_moves import MoveMutations
from vendor_shopify.mutations_orders import OrderMutations
from vendor_shopify.mutations_quantities import QuantityMutations, must_compare
from vendor_shopify.nodes_account import AccountNodes
from vendor_shopify.nodes_catalogue import CatalogueNodes
from vendor_shopify.nodes_orders import OrderNodes
from vendor_shopify.queries import Queries
from vendor_shopify.schema import API_VERSION, AdminSchema
from vendor_shopify.shop import Shop

GRAPHQL = f"/admin/api/{API_VERSION}/graphql.json"
TOKEN = "/admin/oauth/access_token"
FILES = "/bulk/"

_UNAUTHORISED = "[API] Invalid API key or access token (unrecognized login or wrong password)"
_UNINSTALLED = "[API] This action requires merchant approval for this app."
_KEYLESS = "The @idempotent directive is required for this mutation but was not provided."
_HTML = b"<!doctype html><html><head><title>Something went wrong</title></head><body><h1>Back soon</h1></body></html>"

_BEFORE: Mapping[FaultKind, Fate] = {FaultKind.OUTAGE: "is refused", FaultKind.NO_ANSWER: "is never sent"}
_AFTER: Mapping[FaultKind, Fate] = {
    FaultKind.NO_ANSWER_AFTER: "is never sent",
    FaultKind.RESET_AFTER: "is reset",
    FaultKind.TRUNCATED_AFTER: "is cut short",
}

# Root fields by what the lab's faults call an endpoint; the first that is in a document names it.
_ENDPOINTS = (
    ("push", ("inventorySet", "inventoryAdjust", "inventoryMove", "inventoryActivate", "inventoryDeactivate")),
    ("webhooks", ("webhook",)),
    ("orders", ("orders", "fulfillmentOrders")),
    ("orders by id", ("order", "refund", "return", "fulfillmentOrder")),
    ("listings", ("productVariant", "product", "bulk", "currentBulk", "inventoryItems")),
    ("read", ("inventoryItem", "inventoryLevel", "location")),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange. content: of the request where it was JSON. endpoint: as faults call it."""

    request: Request
    reply: Reply
    endpoint: str
    content: Json


@dataclass(frozen=True, slots=True)
class _Read:
    """A request's body. operation: or the answer that refuses it; None for a body that is no JSON object."""

    content: Json
    operation: Operation | Json | None


class ShopifyApi:
    """The API of one shop.

    seen: every exchange, or the last `remember` of them. refused: answers to requests that the schema forbids.
    problems: where our own answers stray from the schema or do not simulate what was asked. bucket: the points, and its
    `violations`: calls over the budget. calls: by endpoint.
    """

    def __init__(
        self,
        shop: Shop,
        schema: AdminSchema,
        plan: Plan,
        faults: FaultPlan | None = None,
        remember: int | None = None,
    ) -> None:
        self.shop = shop
        self.schema = schema
        self.bucket = Bucket(plan, shop.name)
        self.faults = faults or FaultPlan()
        self.seen: deque[Seen] = deque(maxlen=remember)
        self.problems: list[str] = []
        self.refused: list[Json] = []
        self.calls: dict[str, int] = {}
        catalogue = CatalogueNodes(shop)
        self.orders = OrderNodes(shop, catalogue)
        account = AccountNodes(shop)
        changes = AccountMutations(shop, account, schema)
        mutations: dict[str, Callable[[Ask], Node]] = {
            **QuantityMutations(shop, catalogue).roots(),
            **OrderMutations(shop, self.orders).roots(),
            **MoveMutations(shop, self.orders).roots(),
            **changes.roots(),
        }
        self._executor = Executor(
            schema,
            Queries(shop, catalogue, self.orders, account).roots(),
            {name: self._once(name, run) for name, run in mutations.items()},
            self.bucket,
        )
        changes.executor = self._executor

    @property
    def marketplace(self) -> Marketplace:
        """The state machine behind it."""
        return self.shop.marketplace

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        content = _json(request.body) if request.path == GRAPHQL else None
        read = _Read(content or {}, self._executor.read(content) if content is not None else None)
        endpoint = self._endpoint(request, read.operation)
        self.calls[endpoint] = self.calls.get(endpoint, 0) + 1
        now = self.marketplace.now()
        fault = self.faults.draw(now, endpoint)
        reply = self._before(fault) if fault else None
        if reply is None:
            reply = self._answer(request, read, endpoint, fault)
            reply = self._after(reply, fault) if fault else reply
        self.seen.append(Seen(request, reply, endpoint, read.content))
        return reply

    def _answer(self, request: Request, read: _Read, endpoint: str, fault: Fault | None) -> Reply:
        if request.path == TOKEN and request.method == "POST":
            kind = request.headers.get("content-type", "")
            return self._json(*self.shop.access.answer(request.body, kind, self.marketplace.now()))
        if request.path.startswith(FILES) and request.method == "GET":
            return self._file(request.path)
        if request.path != GRAPHQL or request.method != "POST":
            return self._json(404, {"errors": "Not Found"})
        return self._refusal(request, read) or self._graphql(request, read, endpoint, fault)

    def _file(self, path: str) -> Reply:
        """A bulk operation's result, without any token."""
        file = self.shop.bulk.file(path, self.marketplace.now())
        if file is None:
            return Reply(404, self._headers("application/xml"), b"<Error><Code>NoSuchKey</Code></Error>")
        return Reply(200, self._headers("application/jsonl"), file)

    def _refusal(self, request: Request, read: _Read) -> Reply | None:
        """Why a request is not looked at; None for one that is."""
        token = request.headers.get("x-shopify-access-token", "")
        if not self.shop.access.valid(token, self.marketplace.now()):
            return self._json(401, {"errors": _UNAUTHORISED})
        if not self.shop.access.installed:
            return self._json(403, {"errors": _UNINSTALLED})
        if read.operation is None:
            return self._json(400, {"errors": {"query": "Required parameter missing or invalid"}})
        return None

    def _graphql(self, request: Request, read: _Read, endpoint: str, fault: Fault | None) -> Reply:
        if not isinstance(read.operation, Operation):
            self.refused.append(read.operation or {})
            return self._json(200, read.operation)
        call = Call(self.shop.access.effective, request.headers.get("host", self.shop.domain), fault=fault)
        outcome = self._executor.run(read.operation, call, self.marketplace.now(), endpoint)
        self.problems += outcome.problems
        return self._json(200, outcome.content)

    def _endpoint(self, request: Request, operation: Operation | Json | None) -> str:
        """What faults and counts call it."""
        if not isinstance(operation, Operation):
            return "token" if request.path == TOKEN else "bulk file" if request.path.startswith(FILES) else "account"
        roots = operation.roots
        for name, starts in _ENDPOINTS:
            for root in roots:
                exact = root in starts
                if exact or (name not in ("orders by id",) and root.startswith(starts)):
                    return name
        text = orjson.dumps(operation.variables).decode() if roots and roots[0] in ("node", "nodes") else ""
        return "orders by id" if "/Order/" in text else "read" if text else "account"

    # Mutations run once per key

    def _once(self, name: str, run: Callable[[Ask], Node]) -> Callable[[Ask], Node]:
        """The mutation, answering a repeated key as before."""

        def wrapped(ask: Ask) -> Node:
            now = self.marketplace.now()
            must_compare(name, ask.args)
            if name not in self.schema.idempotent:
                return run(ask)
            if ask.key is None:
                raise Refused(_KEYLESS, "BAD_REQUEST")
            known = self.shop.idempotency.answer(ask.key, name, ask.args, now)
            if isinstance(known, str):
                return self._key_refused(name, MISMATCH, known)
            if known is not None:
                again = known.get("userErrors")
                return self._key_refused(name, FAILED, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED") if again else known
            answer = run(ask)
            if not any(each["code"] == "IDEMPOTENCY_CONCURRENT_REQUEST" for each in answer.get("userErrors", ())):
                self.shop.idempotency.keep(ask.key, name, ask.args, now, answer)
            return answer

        return wrapped

    def _key_refused(self, name: str, message: str, code: str) -> Node:
        payload: Any = get_named_type(self.schema.mutation.fields[name].type)
        return dict.fromkeys(payload.fields) | {"userErrors": [user_error(None, message, code)]}

    # Replies

    def _headers(self, kind: str) -> dict[str, str]:
        date = format_datetime(self.marketplace.time().replace(microsecond=0), usegmt=True)
        return {"content-type": kind, "date": date, "x-shopify-api-version": API_VERSION}

    def _json(self, status: int, content: object, more: Mapping[str, str] | None = None) -> Reply:
        return Reply(status, self._headers("application/json; charset=utf-8") | dict(more or {}), orjson.dumps(content))

    # Faults

    def _before(self, fault: Fault) -> Reply | None:
        """The reply of a fault that keeps the call from being carried out; None for one that does not."""
        match fault.kind:
            case FaultKind.OUTAGE | FaultKind.NO_ANSWER:
                return Reply(0, fate=_BEFORE[fault.kind])
            case FaultKind.TOO_MANY if fault.retry_after is None:
                return self._json(200, self._executor.throttled(100, self.marketplace.now(), available=0))
            case FaultKind.TOO_MANY:
                message = (
                    "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
                )
                return self._json(429, {"errors": message}, self._said(fault))
            case FaultKind.SERVER_ERROR:
                return replace(
                    self._html(), status=fault.status, headers=self._headers("text/html") | self._said(fault)
                )
            case FaultKind.HTML:
                return self._html()
        return None

    def _after(self, reply: Reply, fault: Fault) -> Reply:
        """A reply as the fault leaves it, after the call was carried out."""
        match fault.kind:
            case FaultKind.SERVER_ERROR_AFTER:
                return replace(self._html(), status=fault.status)
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
        return {} if fault.retry_after is None else {"retry-after": f"{max(1.0, math.ceil(fault.retry_after)):.1f}"}

    def _html(self) -> Reply:
        return Reply(200, self._headers("text/html; charset=utf-8"), _HTML)


def _json(body: bytes) -> Json | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None
