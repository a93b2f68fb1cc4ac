"""What a daemon serves on the address of its webhooks: nothing that is for its owner alone, at the rate that is set."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from channelsync.runtime.config import Loaded
from channelsync.runtime.web import daemon_routes
from channelsync.runtime.wiring import open_agent
from channelsync.sdk.discovery import Catalogue
from channelsync.sync.tokens import create_token
from channelsync.web.app import build_app

NOBODYS = ("/metrics", "/docs", "/debug", "/api/v1/metrics", "/.env", "/server-status", "/api/v1/docs", "/redoc", "/")


@pytest.fixture
def loaded(read_config: Any, sqlite_url: str) -> Loaded:
    """A configuration in which a script may ask little."""
    config: Loaded = read_config(
        f'[database]\nurl = "{sqlite_url}"\n[web]\nlisten = ""\napi_rate = 12\n[[location]]\nname = "main"\n'
    )
    return config


async def test_metrics_and_whatever_tells_about_us_are_not_at_the_address_for_everybody(
    loaded: Loaded, catalogue: Catalogue
) -> None:
    async with open_agent(loaded, "run", catalogue=catalogue) as agent:
        transport = httpx.ASGITransport(build_app(daemon_routes(agent, lambda: loaded)))
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            found = {path: (await client.get(path)).status_code for path in NOBODYS}
            assert found == dict.fromkeys(NOBODYS, 404)
            health = (await client.get("/healthz")).json()
            assert health.keys() == {"status", "beat_age_seconds", "parts", "late"}


async def test_a_token_may_ask_as_often_as_is_configured(loaded: Loaded, catalogue: Catalogue) -> None:
    async with open_agent(loaded, "run", catalogue=catalogue) as agent:
        now = agent.clock.now()
        token = await agent.database.transact(lambda c: create_token(c, "script", "read", now))
        transport = httpx.ASGITransport(build_app(daemon_routes(agent, lambda: loaded)))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", headers=headers) as client:
            asked = [(await client.get("/api/v1/runs")).status_code for _ in range(3)]
    assert asked == [200, 200, 429]


@pytest.mark.parametrize("given", ["0", "5", "1000001", "6.0", '"600"'])
def test_a_rate_that_is_none_is_refused(complaints: Any, given: str) -> None:
    (told,) = complaints(f"[web]\napi_rate = {given}\n")
    assert "api_rate" in told
