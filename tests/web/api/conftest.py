"""The API of a seller on a real database, with a token of every scope and a clock in the hand of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.channel import Capabilities
from channelsync.store import items, ledger, listings, runs
from channelsync.store.database import Database
from channelsync.store.items import Item, item_id
from channelsync.store.listings import SeenListing
from channelsync.sync.agent import Agent
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.measures import measure
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.setup import BY_HAND, ChannelSetup, Setup
from channelsync.sync.tokens import SCOPES, create_token
from channelsync.sync.verify import verify
from channelsync.web.api.rates import Rates
from channelsync.web.api.routes import api_routes
from channelsync.web.app import build_app

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
LOCATIONS = ("main", "shop-floor")


@dataclass(slots=True)
class HandClock:
    """A clock that stands still until somebody moves it."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Api:
    """The API, and what lies behind it. tokens: by scope."""

    agent: Agent
    clock: HandClock
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, scope: str = "read", **parameters: Any) -> httpx.Response:
        """Asks with the token of a scope; "": without one."""
        return await self.client.get(f"/api/v1{path}", params=parameters, headers=self.headers(scope))

    async def post(
        self, path: str, body: Any = None, scope: str = "operate", *, key: str = "", **headers: str
    ) -> httpx.Response:
        """Says something. body None: nothing. key: an Idempotency-Key."""
        sent = {**self.headers(scope), **({"idempotency-key": key} if key else {}), **headers}
        content = None if body is None else json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/json")
        return await self.client.post(f"/api/v1{path}", content=content, headers=sent)

    def headers(self, scope: str) -> dict[str, str]:
        """Those of a caller."""
        return {"authorization": f"Bearer {self.tokens[scope]}"} if scope else {}

    async def has(self, sku: str, units: int, location: str = "main") -> None:
        """So many units of a SKU arrive."""
        await self.shelve({sku: units}, location)

    async def shelve(self, units: dict[str, int], location: str = "main") -> None:
        """Units of many SKUs arrive at once."""
        await self.agent.database.transact(lambda c: self._shelve(c, units, location))

    def _shelve(self, connection: Connection, units: dict[str, int], location: str) -> None:
        now = self.clock.now()
        keys = {sku: PositionKey(item_id(sku), location) for sku in units}
        items.add_items(connection, [Item(id=key.item, sku=sku) for sku, key in keys.items()], now)
        ledger.open_positions(connection, keys.values())
        positions = ledger.lock_positions(connection, [key.item for key in keys.values()])
        made = [
            Movement(
                id=entry_id("receipt", sku, location, positions[key].entries),
                position=key,
                kind=EntryKind.RECEIPT,
                on_hand=units[sku],
                at=now,
                cause=Cause(actor="test", run="test", reason="received"),
            )
            for sku, key in keys.items()
            if units[sku]
        ]
        ledger.write(connection, made, positions, now)

    async def lists(self, *names: str, channel: str = "shop") -> None:
        """A channel lists these, by id, SKU and key alike; each is mapped to its SKU where an item has it."""
        await self.agent.database.transact(lambda c: self._list(c, names, channel))

    def _list(self, connection: Connection, names: Sequence[str], channel: str) -> None:
        now = self.clock.now()
        seen = [
            SeenListing(
                listing=name,
                sku=name,
                title=f"A {name}",
                barcode=None,
                state="active",
                reasons=(),
                keys=((name, ""),),
                parts=(),
                tracked=True,
                sells_below_zero=False,
                fulfilled_by_channel=False,
            )
            for name in names
        ]
        listings.save_listings(connection, channel, channel, seen, now)
        wanted = [Wanted(channel, name, item.id) for name, item in items.items_by_sku(connection, names).items()]
        map_listings(connection, self.agent.setup, wanted, by="test", run="test", now=now)

    async def listed(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All entries of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = await self.get(path, **parameters, **({"cursor": cursor} if cursor else {}))
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            cursor = answer.json()["next"]
            if cursor is None:
                return found


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and the kind of a refusal, which is a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    return answer.status_code, body["type"].rpartition(":")[2]


@pytest.fixture
def refusal() -> Any:
    """The status and the kind of a refusal, which must be a problem document."""
    return problem


@pytest.fixture(scope="session")
def open_api() -> Any:
    """Opens the API on a database, for as long as a block lasts."""
    return opened


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API on both databases; at the end of the test the whole database is proved."""
    async with opened(database) as api:
        yield api


@pytest.fixture
async def sqlite_api(sqlite_database: Database) -> AsyncIterator[Api]:
    """The API on SQLite alone, for what the database has no part in."""
    async with opened(sqlite_database) as api:
        yield api


class opened:  # noqa: N801 - used as a function
    """Opens the API on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Api:
        clock = HandClock()
        setup = Setup(
            channels={
                BY_HAND: by_hand(LOCATIONS),
                **{
                    name: ChannelSetup(name=name, connector="memory", capabilities=Capabilities(), locations=LOCATIONS)
                    for name in ("shop", "market")
                },
            },
            locations=LOCATIONS,
        )
        await self._database.transact(lambda c: runs.begin_run(c, "test", "test", "test", {}, clock.now()))
        measures = await self._database.query(lambda c: measure(c, setup, clock.now()))
        agent = Agent(database=self._database, clock=clock, setup=setup, run="test", measures=measures)
        app = build_app(api_routes(agent, rates=Rates(clock=clock, per_minute=600_000)))
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent")
        self._api = Api(agent, clock, self._client)
        for scope in SCOPES:
            self._api.tokens[scope] = await self._database.transact(
                lambda c, scope=scope: create_token(c, f"the-{scope}", scope, clock.now())
            )
        return self._api

    async def __aexit__(self, *_ending: object) -> None:
        await self._client.aclose()
        proved = await self._database.query(verify, snapshot=True)
        assert proved.problems == []
