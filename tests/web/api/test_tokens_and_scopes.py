"""Who may do what: every endpoint with every token, and tokens that are not accepted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select

from channelsync.sdk.clock import SystemClock
from channelsync.store import tokens
from channelsync.store.database import Database
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent
from channelsync.sync.measures import measure
from channelsync.sync.setup import Setup
from channelsync.sync.tokens import SCOPES, USE_NOTED_EVERY, create_token, digest_of, revoke_token
from channelsync.web.api.endpoints import Endpoint
from channelsync.web.api.rates import Rates
from channelsync.web.api.routes import ENDPOINTS, api_routes
from channelsync.web.app import build_app

NEEDS = {
    "read": {
        "GET /positions",
        "GET /positions/{sku}",
        "GET /positions/{sku}/entries",
        "GET /reservations",
        "GET /orders",
        "GET /orders/{order}",
        "GET /unreadable-orders",
        "GET /listings",
        "GET /listings/{channel}/{listing}",
        "GET /channels",
        "GET /channels/{channel}",
        "GET /explain/{sku}",
        "GET /findings",
        "GET /findings/{id}",
        "GET /runs",
        "GET /runs/{run}",
        "GET /approvals",
        "GET /approvals/{plan}",
    },
    "operate": {
        "POST /receipts",
        "POST /adjustments",
        "POST /counts",
        "POST /transfers",
        "POST /reservations",
        "POST /reservations/{order}/release",
        "POST /orders",
        "POST /orders/{order}/ship",
        "POST /orders/{order}/cancel",
        "POST /findings/{id}/close",
    },
    "admin": {"POST /runs/{run}/undo", "POST /approvals/{plan}/approve", "POST /approvals/{plan}/reject"},
}
"""Written by hand on purpose: who adds an endpoint says here who may use it."""


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def address(endpoint: Endpoint) -> str:
    """An address of it at which there is nothing."""
    parts = ("1" if part == "{id}" else "none" if part.startswith("{") else part for part in endpoint.path.split("/"))
    return "/".join(parts)


async def ask(api: Any, endpoint: Endpoint, scope: str) -> Any:
    """Asks with something to say that is refused, so that nothing is changed."""
    if endpoint.method == "GET":
        return await api.get(address(endpoint), scope)
    return await api.post(address(endpoint), {"no such": "member"}, scope, key="k")


def test_every_endpoint_is_in_the_table_of_scopes() -> None:
    assert {name(endpoint): endpoint.scope for endpoint in ENDPOINTS} == {
        one: scope for scope, names in NEEDS.items() for one in names
    }


def test_what_changes_anything_needs_more_than_read() -> None:
    assert {name(one) for one in ENDPOINTS if one.method != "GET"}.isdisjoint(NEEDS["read"])


async def test_every_endpoint_lets_in_its_scope_and_wider_ones_and_nobody_else(sqlite_api: Any, refusal: Any) -> None:
    for endpoint in ENDPOINTS:
        for scope in ("", *SCOPES):
            answer = await ask(sqlite_api, endpoint, scope)
            case = (name(endpoint), scope or "no token", answer.status_code)
            if not scope:
                assert refusal(answer) == (401, "not-authenticated"), case
            elif SCOPES.index(scope) < SCOPES.index(endpoint.scope):
                assert refusal(answer) == (403, "not-allowed"), case
            else:
                assert answer.status_code in (200, 404, 422), case


async def test_a_token_is_asked_for_before_anything_is_read(sqlite_api: Any, refusal: Any) -> None:
    answer = await sqlite_api.post("/orders", "no order", "")
    assert refusal(answer) == (401, "not-authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer cs_short",
        f"Bearer cs_{'A' * 43}",
        f"Bearer cs_{'A' * 42}é",
        f"Bearer {'A' * 5000}",
        "cs_" + "A" * 43,
    ],
)
async def test_what_is_no_token_of_ours_is_not_accepted(sqlite_api: Any, refusal: Any, header: str) -> None:
    answer = await sqlite_api.client.get("/api/v1/positions", headers={"authorization": header.encode()})
    assert refusal(answer) == (401, "not-authenticated")


async def test_a_token_is_accepted_until_it_expires_or_is_revoked(api: Any, refusal: Any) -> None:
    now = api.clock.now()
    api.tokens["short"] = await api.agent.database.transact(
        lambda c: create_token(c, "short", "read", now, timedelta(days=1))
    )
    assert (await api.get("/runs", "short")).status_code == 200
    api.clock.at = now + timedelta(days=1)
    assert refusal(await api.get("/runs", "short")) == (401, "not-authenticated")
    assert (await api.get("/runs")).status_code == 200
    await api.agent.database.transact(lambda c: revoke_token(c, "the-read", now))
    assert refusal(await api.get("/runs")) == (401, "not-authenticated")


async def test_a_fresh_database_lets_nobody_in(sqlite_database: Database, refusal: Any) -> None:
    assert await sqlite_database.query(tokens.list_tokens) == []
    setup, clock = Setup(channels={}, locations=()), SystemClock()
    measures = await sqlite_database.query(lambda c: measure(c, setup, clock.now()))
    agent = Agent(database=sqlite_database, clock=clock, setup=setup, run="test", measures=measures)
    transport = httpx.ASGITransport(build_app(api_routes(agent)))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent/api/v1") as client:
        for token in ("", "cs_", f"cs_{'A' * 43}", "admin", "channelsync", digest_of("")):
            answer = await client.get("/runs", headers={"authorization": f"Bearer {token}"})
            assert refusal(answer) == (401, "not-authenticated")


async def test_a_scope_that_this_version_does_not_know_lets_nobody_in(sqlite_api: Any, refusal: Any) -> None:
    token = f"cs_{'x' * 43}"
    now = sqlite_api.clock.now()
    await sqlite_api.agent.database.transact(
        lambda c: tokens.add_token(c, "later", digest_of(token), "owner", now, None)
    )
    sqlite_api.tokens["later"] = token
    assert refusal(await sqlite_api.get("/runs", "later")) == (401, "not-authenticated")


async def test_nothing_of_a_token_is_kept_but_its_hash(api: Any) -> None:
    await api.get("/runs")
    rows = await api.agent.database.query(
        lambda c: [tuple(row) for row in c.execute(select(metadata.tables["api_token"]))]
    )
    assert len(rows) == 3
    for token in api.tokens.values():
        assert not any(token in str(value) for row in rows for value in row)
        assert any(digest_of(token) in row for row in rows)


async def test_when_a_token_was_used_is_kept_to_the_minute(api: Any) -> None:
    async def used() -> Any:
        found = await api.agent.database.query(tokens.list_tokens)
        return next(one.last_used_at for one in found if one.name == "the-read")

    began = api.clock.now()
    assert await used() is None
    await api.get("/runs")
    assert await used() == began
    api.clock.at += USE_NOTED_EVERY / 2
    await api.get("/runs")
    assert await used() == began
    api.clock.at += USE_NOTED_EVERY / 2
    await api.get("/runs")
    assert await used() == began + USE_NOTED_EVERY


async def test_who_was_let_in_and_who_was_not_is_logged_without_a_token(sqlite_api: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        await sqlite_api.get("/runs")
        await sqlite_api.get("/runs", "")
        await sqlite_api.post("/runs/x/undo", {}, "read")
        await sqlite_api.client.get("/api/v1/runs", headers={"authorization": f"Bearer cs_{'A' * 43}"})
    told = [(one["event"], one["status"], one.get("caller"), one["log_level"]) for one in logs]
    assert told == [
        ("api.answered", 200, "the-read", "info"),
        ("api.denied", 401, None, "warning"),
        ("api.denied", 403, "the-read", "warning"),
        ("api.denied", 401, "", "warning"),
    ]
    assert all(one["route"] and one["address"] for one in logs)
    assert not any(token in str(logs) for token in sqlite_api.tokens.values())


async def test_a_token_that_asks_too_often_waits_and_the_others_do_not(sqlite_api: Any, refusal: Any) -> None:
    api = sqlite_api
    rates = Rates(clock=api.clock, per_minute=18)
    transport = httpx.ASGITransport(build_app(api_routes(api.agent, rates=rates)))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as api.client:
        assert [(await api.get("/runs")).status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = await api.get("/runs")
        assert refusal(answer) == (429, "too-many")
        assert answer.headers["retry-after"] == "4"
        assert (await api.get("/runs", "admin")).status_code == 200
        api.clock.at += timedelta(seconds=4)
        assert [(await api.get("/runs")).status_code for _ in range(2)] == [200, 429]
