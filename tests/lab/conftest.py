"""Marketplaces for tests: on a clock that a test moves by hand, and a client that speaks their API."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_http import MarketplaceApi, Reply, Request
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)


class HandClock:
    """Stands still until somebody sleeps or moves it."""

    def __init__(self) -> None:
        self._now = NOON

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - NOON).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.go(seconds)

    def go(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Client:
    """Speaks a marketplace's API, straight to `handle`, with a token of its own."""

    def __init__(self, api: MarketplaceApi, refresh_token: str) -> None:
        self.api = api
        self.refresh_token = refresh_token
        self.token = self.fresh_token()

    def fresh_token(self) -> str:
        asked = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        self.token = str(self.json("POST", "/oauth/token", asked)["access_token"])
        return self.token

    def call(self, method: str, path: str, body: object = None, **query: str) -> Reply:
        request = httpx.Request(method, "http://lab.example", json=body)
        headers = {"authorization": f"Bearer {self.token}"} if hasattr(self, "token") else {}
        return self.api.handle(Request(method, path, query, headers, b"" if body is None else request.content))

    def json(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        reply = self.call(method, path, body, **query)
        assert 200 <= reply.status < 300, reply
        content: dict[str, Any] = httpx.Response(200, content=reply.body).json()
        return content

    def orders(self, since: datetime | None = None, **query: str) -> list[dict[str, Any]]:
        """Every order that the search finds, following its cursors."""
        if since is not None:
            query["updated_since"] = since.isoformat()
        found: list[dict[str, Any]] = []
        page = self.json("GET", "/v1/orders", **query)
        found += page["orders"]
        while page["next"]:
            page = self.json("GET", "/v1/orders", cursor=page["next"], **query)
            found += page["orders"]
        return found

    def numbers(self, *keys: str) -> list[int | None]:
        asked = {"keys": [{"key": key} for key in keys]}
        return [row["number"] for row in self.json("POST", "/v1/numbers/read", asked)["numbers"]]

    def push(self, *updates: dict[str, Any]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.json("POST", "/v1/numbers", {"updates": list(updates)})["results"]
        return results


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def open_marketplace(clock: HandClock) -> Callable[..., Marketplace]:
    """Opens a marketplace with these rules; several of one seed behave alike."""

    def opened(rules: MarketplaceRules, *, name: str = "agora", seed: int = 0) -> Marketplace:
        return open_site(name, rules, clock, seed=seed).marketplace

    return opened


@pytest.fixture
def opened(clock: HandClock) -> Callable[..., tuple[Site, Client]]:
    """Opens a marketplace with these rules, and a client of its API."""

    def site_and_client(
        rules: MarketplaceRules, *, faults: FaultPlan | None = None, seed: int = 0
    ) -> tuple[Site, Client]:
        site = open_site("agora", rules, clock, seed=seed, faults=faults)
        return site, Client(site.api, site.account.refresh_token)

    return site_and_client
