"""Every answer says what it is, and is that; nothing of it can pass for a page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import runs
from channelsync.store.database import Database
from channelsync.sync.agent import Agent
from channelsync.sync.beats import Beats
from channelsync.sync.feed_files import FeedSetup
from channelsync.sync.inbox import Inbox
from channelsync.sync.measures import measure
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.setup import BY_HAND, Setup
from channelsync.sync.stock_import_file import Layout
from channelsync.sync.tokens import create_token
from channelsync.sync.vault import Seals
from channelsync.web.api.routes import api_routes
from channelsync.web.app import build_app
from channelsync.web.feeds import feed_routes
from channelsync.web.health import health_routes
from channelsync.web.metrics import Meter, metrics_routes
from channelsync.web.receiver import ReceiverCounters, receiver_routes

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
JSON, PROBLEM, NONE = "application/json", "application/problem+json", ""
FEED = FeedSetup(name="wms", kind="http", basis="delta", layout=Layout(form="csv"), location="main")


class Clock:
    """It stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


class Scheme:
    """Signed is what says so; a challenge is answered with its code."""

    async def verify(self, headers: Mapping[str, str], _body: bytes, now: datetime) -> WebhookHint | None:
        return WebhookHint(topic="t", event="e", sent_at=now) if "signed" in headers else None

    def answer(self, query: Mapping[str, str], _address: str) -> bytes | None:
        return json.dumps({"code": query["code"]}).encode() if "code" in query else None


@dataclass(frozen=True, slots=True)
class Everything:
    """All that a daemon serves, at one address. token: of scope operate."""

    client: httpx.AsyncClient
    token: str

    async def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        """TOKEN in a header becomes the token."""
        sent = {name: value.replace("TOKEN", self.token) for name, value in headers.items()}
        content = b"sku,units\nMUG,+1\n" if path.startswith("/feeds") else b"{}" if method == "POST" else None
        return await self.client.request(method, path, content=content, headers=sent)


@pytest.fixture
async def everything(sqlite_database: Database) -> AsyncIterator[Everything]:
    setup = Setup(channels={BY_HAND: by_hand(("main",))}, locations=("main",))
    await sqlite_database.transact(lambda c: runs.begin_run(c, "test", "test", "test", {}, NOW))
    token = await sqlite_database.transact(lambda c: create_token(c, "test", "operate", NOW))
    measures = await sqlite_database.query(lambda c: measure(c, setup, NOW))
    agent = Agent(database=sqlite_database, clock=Clock(), setup=setup, run="test", measures=measures)

    async def breaks(_request: Request) -> Any:
        raise RuntimeError

    async with Inbox(sqlite_database) as inbox:
        receiver = Receiver({"shop": Door("shop", Scheme(), "https://agent.example")}, inbox, Clock(), Seals())
        routes = [
            *receiver_routes(receiver, ReceiverCounters(), body_limit=10_000),
            *health_routes(Beats(Clock()), _well),
            *api_routes(agent),
            *feed_routes(agent, lambda: {"wms": FEED}),
            *metrics_routes(Meter(agent, lambda: 0, ReceiverCounters())),
            Route("/breaks", breaks),
        ]
        transport = httpx.ASGITransport(build_app(routes), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            yield Everything(client, token)


async def _well() -> tuple[()]:
    return ()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "kind"),
    [
        ("GET", "/healthz", {}, 200, JSON),
        ("GET", "/readyz", {}, 200, JSON),
        ("POST", "/webhooks/shop", {"signed": "yes"}, 200, NONE),
        ("POST", "/webhooks/shop", {}, 401, JSON),
        ("POST", "/webhooks/nope", {}, 404, JSON),
        ("POST", "/webhooks/shop", {"content-encoding": "gzip"}, 415, JSON),
        ("GET", "/webhooks/shop?code=<script>", {}, 200, JSON),
        ("GET", "/api/v1/openapi.json", {}, 200, JSON),
        ("GET", "/api/v1/positions", {"authorization": "Bearer TOKEN"}, 200, JSON),
        ("GET", "/api/v1/positions", {}, 401, PROBLEM),
        ("GET", "/api/v1/positions?<script>", {"authorization": "Bearer TOKEN"}, 400, PROBLEM),
        ("POST", "/api/v1/runs/x/undo", {"authorization": "Bearer TOKEN"}, 403, PROBLEM),
        ("GET", "/api/v1/<script>", {}, 404, PROBLEM),
        ("DELETE", "/api/v1/positions", {}, 405, PROBLEM),
        ("POST", "/api/v1/orders", {"authorization": "Bearer TOKEN"}, 415, PROBLEM),
        ("POST", "/feeds/wms", {"authorization": "Bearer TOKEN"}, 422, JSON),
        ("POST", "/feeds/wms", {}, 401, JSON),
        ("POST", "/feeds/<script>", {"authorization": "Bearer TOKEN"}, 404, JSON),
        ("GET", "/<script>", {}, 404, JSON),
        ("DELETE", "/healthz", {}, 405, JSON),
        ("GET", "/breaks", {}, 500, JSON),
    ],
)
async def test_an_answer_is_json_and_says_so_or_is_empty(
    everything: Everything, method: str, path: str, headers: dict[str, str], status: int, kind: str
) -> None:
    answer = await everything.ask(method, path, **headers)
    assert (answer.status_code, answer.headers.get("content-type", "")) == (status, kind)
    assert json.loads(answer.content) if kind else answer.content == b""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


async def test_metrics_are_text_and_say_in_which_letters(everything: Everything) -> None:
    for accept in ("", "text/html", "application/openmetrics-text; version=1.0.0"):
        answer = await everything.ask("GET", "/metrics", accept=accept)
        media, _, parameters = answer.headers["content-type"].partition(";")
        assert media in ("text/plain", "application/openmetrics-text")
        assert "charset=utf-8" in parameters
        assert answer.content.decode("utf-8").startswith("# HELP")
        assert answer.headers["x-content-type-options"] == "nosniff"
