"""The shop's REST API, without HTTP: one function from request to reply, as the lab's fronts call it."""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_http import Fate, Reply, Request
from channelsync.sdk.clock import Clock
from vendor_woocommerce.auth import Gate, check_permission, not_logged_in
from vendor_woocommerce.calls import Action, Answer, Call, Route
from vendor_woocommerce.deliveries import Deliveries
from vendor_woocommerce.errors import WooError, no_route
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import ApiKey, SiteOptions
from vendor_woocommerce.orders_api import OrdersApi
from vendor_woocommerce.php import QueryValue, json_encode, parse_query
from vendor_woocommerce.products_api import ProductsApi
from vendor_woocommerce.site_api import SiteApi
from vendor_woocommerce.webhooks import Webhook, WebhooksApi

KEPT = 1000
"""Requests and replies that are remembered: a page of a hundred orders is 300 kB."""

_ROOT = "/wp-json/wc/v3"
_WRONG = (400, 405, 413, 415)
_HTML = b"<!DOCTYPE html><html><head><title>Briefly unavailable</title></head><body><h1>Maintenance.</h1></body></html>"
_NEVER: dict[FaultKind, Fate] = {
    FaultKind.OUTAGE: "is refused",
    FaultKind.NO_ANSWER: "is never sent",
    FaultKind.NO_ANSWER_AFTER: "is never sent",
    FaultKind.RESET_AFTER: "is reset",
    FaultKind.TRUNCATED_AFTER: "is cut short",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its reply. name: the endpoint, as faults call it."""

    at: datetime
    name: str
    request: Request
    reply: Reply


@dataclass(frozen=True, slots=True)
class _Found:
    route: Route
    ids: tuple[int, ...]


class WooApi:
    """One shop's API.

    exchanges: every request with its reply, the last `KEPT` of them. refused: requests that were wrong in themselves,
    with why. calls: counts by endpoint. on_call: who is told of every call, when it arrives. gate: the keys. products,
    orders, hooks: the resources. deliveries: what the webhooks send.
    """

    def __init__(
        self,
        marketplace: WooMarketplace,
        options: SiteOptions,
        keys: Sequence[ApiKey],
        clock: Clock,
        rng: random.Random,
        faults: FaultPlan | None = None,
    ) -> None:
        self.marketplace = marketplace
        self.options = options
        self.faults = faults or FaultPlan()
        self.exchanges: deque[Exchange] = deque(maxlen=KEPT)
        self.refused: list[str] = []
        self.calls: dict[str, int] = {}
        self.on_call: list[Callable[[datetime, Request], None]] = []
        self.gate = Gate(keys, options)
        self.products = ProductsApi(marketplace, options)
        self.orders = OrdersApi(marketplace, options)
        self.hooks = WebhooksApi(options, marketplace.time, rng, self._made)
        self.deliveries = Deliveries(self.hooks, self.payload, clock, rng, options.version)
        self.site = SiteApi(marketplace.name, options)
        self._routes = [
            *self.products.routes(),
            *self.orders.routes(),
            *self.hooks.routes(),
            *self.site.routes(),
        ]
        marketplace.heard.append(self.deliveries.hear)

    def _made(self, hook: Webhook) -> None:
        self.deliveries.ping(hook)

    @property
    def address(self) -> str:
        """What the site calls itself where no request says."""
        scheme = "https" if self.options.https else "http"
        return self.options.address or f"{scheme}://{self.marketplace.name}.example"

    def payload(self, topic: str, resource: int) -> Any:
        """What a webhook of this topic carries, as it is now; an error's body when it is gone."""
        base = self.address
        product = self.marketplace.products.get(resource)
        record = self.marketplace.book.get(resource)
        if topic.startswith("order.") and record is not None:
            return self.orders.json.order(record, base)
        if topic.startswith("product.") and product is not None:
            return self.products.json.product(product, base)
        return WooError(404, "woocommerce_rest_invalid_id", "Invalid ID.").body()

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        now = self.marketplace.now()
        raw = request.raw_query or urlencode(request.query).encode()
        request = replace(request, raw_query=raw)
        query = parse_query(raw)
        path = request.path
        plain = query.get("rest_route")
        if isinstance(plain, str) and path in ("/", "/index.php"):
            path = f"/wp-json{plain}"
        found = self._find(request, path)
        name = _name(found, query)
        self.calls[name] = self.calls.get(name, 0) + 1
        for tell in self.on_call:
            tell(now, request)
        fault = self.faults.draw(now, name)
        reply = self._before(fault) if fault is not None else None
        if reply is None:
            reply = self._answer(request, path, query, found, fault)
            reply = reply if fault is None else self._after(reply, fault)
        self.exchanges.append(Exchange(now, name, request, reply))
        return reply

    def _find(self, request: Request, path: str) -> _Found | None:
        method = "PUT" if request.method in ("PUT", "PATCH") else request.method
        for route in self._routes:
            match = re.fullmatch(route.path, path.removeprefix(_ROOT).rstrip("/"))
            if path.startswith(_ROOT) and match is not None:
                # A POST to a single resource edits it, as a PUT does.
                edits = request.method == "POST" and route.method == "PUT"
                if route.method == method or edits:
                    return _Found(route, tuple(int(each) for each in match.groups()))
        return None

    def _answer(
        self, request: Request, path: str, query: dict[str, QueryValue], found: _Found | None, fault: Fault | None
    ) -> Reply:
        base = self._base(request)
        try:
            if path.rstrip("/") == "/wp-json" and request.method == "GET":
                return self._reply(Answer(200, self.site.index(base)), base)
            key = self.gate.who(request, base, self.marketplace.time())
            if key is not None:
                check_permission(key, request.method)
            if found is None:
                raise no_route()
            call = Call(request.method, path, query, request.body, base, self.marketplace.time(), found.ids, fault)
            answer = self._carry_out(found.route, call, key)
        except WooError as error:
            if error.status in _WRONG:
                self.refused.append(f"{request.method} {path}: {error.status} {error.body()}")
            headers = {**error.headers, **self._allow(found, error.status)}
            return self._reply(Answer(error.status, error.body(), headers), base)
        return self._reply(replace(answer, headers={**self._allow(found, 200), **answer.headers}), base)

    def _carry_out(self, route: Route, call: Call, key: ApiKey | None) -> Answer:
        """A body that is no JSON is refused before anybody asks who sent it."""
        if call.method != "GET":
            call.json()
        if key is None:
            raise not_logged_in(route.action)
        return route.answer(call)

    def _base(self, request: Request) -> str:
        host = request.headers.get("host", "")
        if self.options.address or not host:
            return self.address
        return f"{'https' if self.options.https else 'http'}://{host}"

    def _allow(self, found: _Found | None, status: int) -> dict[str, str]:
        if found is None or status == 401:
            return {}
        wanted: dict[Action, str] = {
            "list": "GET, POST",
            "create": "GET, POST",
            "batch": "POST, PUT, PATCH",
        }
        return {"allow": wanted.get(found.route.action, "GET, POST, PUT, PATCH, DELETE")}

    # Replies

    def _reply(self, answer: Answer, base: str) -> Reply:
        headers = {
            "content-type": "application/json; charset=UTF-8",
            "date": self._date(),
            "x-powered-by": "PHP/8.2.36",
            "x-robots-tag": "noindex",
            "x-content-type-options": "nosniff",
            "link": f'<{base}/wp-json/>; rel="https://api.w.org/"',
            "access-control-expose-headers": "X-WP-Total, X-WP-TotalPages, Link",
            "cache-control": "no-cache, must-revalidate, max-age=0, no-store, private",
            **answer.headers,
        }
        return Reply(answer.status, headers, self.options.notice.encode() + json_encode(answer.content))

    def _date(self) -> str:
        return format_datetime(self.marketplace.time().replace(microsecond=0), usegmt=True)

    def _page(self, status: int, fault: Fault | None = None) -> Reply:
        """What the host, not WordPress, answers: a page for people."""
        headers = {"content-type": "text/html; charset=utf-8", "date": self._date()}
        if fault is not None and fault.retry_after is not None:
            whole = max(1, math.ceil(fault.retry_after))
            until = self.marketplace.time().replace(microsecond=0) + timedelta(seconds=whole)
            as_date = format_datetime(until, usegmt=True)
            headers["retry-after"] = str(whole) if fault.retry_as == "seconds" else as_date
        return Reply(status, headers, _HTML)

    # Faults

    def _before(self, fault: Fault) -> Reply | None:
        """The reply of a fault that keeps the call from being carried out; None for one that does not."""
        match fault.kind:
            case FaultKind.OUTAGE | FaultKind.NO_ANSWER:
                return Reply(0, fate=_NEVER[fault.kind])
            case FaultKind.TOO_MANY:
                return self._page(429, fault)
            case FaultKind.SERVER_ERROR:
                return self._page(fault.status, fault)
            case FaultKind.HTML:
                return self._page(200)
        return None

    def _after(self, reply: Reply, fault: Fault) -> Reply:
        """A reply as the fault leaves it, after the call was carried out."""
        match fault.kind:
            case FaultKind.SERVER_ERROR_AFTER:
                return self._page(fault.status, fault)
            case FaultKind.HTML_AFTER:
                return self._page(200)
            case FaultKind.EMPTY_AFTER:
                return replace(reply, status=200, body=b"")
            case FaultKind.DRIP:
                return replace(reply, fate="drips", seconds=fault.seconds)
            case FaultKind.NO_ANSWER_AFTER | FaultKind.RESET_AFTER | FaultKind.TRUNCATED_AFTER:
                return replace(reply, fate=_NEVER[fault.kind])
        return reply


def _name(found: _Found | None, query: dict[str, QueryValue]) -> str:
    """The endpoint as faults and counts call it; a list of named ids is a read of those."""
    if found is None:
        return "nowhere"
    named = {"orders": "orders by id", "listings": "listings by id"}
    return named.get(found.route.name, found.route.name) if "include" in query else found.route.name
