"""Deliveries of every connector with webhooks are judged by the real receiver, which has no database to use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.inbox import Inbox
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.vault import Seals
from channelsync.web.app import build_app
from channelsync.web.receiver import ReceiverCounters, receiver_routes


class Untouched:
    """A database that counts who wants something of it, and gives nothing."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.used = 0

    async def transact(self, _work: Any) -> Any:
        self.used += 1
        raise DatabaseError

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was used: {name}")


@pytest.fixture
async def judge_delivery(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[bool]]]:
    """Whether a delivery passes: whether the receiver wanted to keep it. A forgery is answered 401, counted, and costs
    no use of the database."""
    database, counters = Untouched(), ReceiverCounters()
    kept: Any = database
    async with Inbox(kept) as inbox:
        doors: dict[str, Door] = {}
        app = build_app(receiver_routes(Receiver(doors, inbox, clock, Seals()), counters, body_limit=1_000_000))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            async def judge(scheme: WebhookScheme, headers: Mapping[str, str], body: bytes) -> bool:
                doors["shop"] = Door("shop", scheme)
                refused, used = counters.refused["shop", "forged"], database.used
                raw = [(name.encode(), value.encode()) for name, value in headers.items()]
                answer = await client.post("/webhooks/shop", headers=raw, content=body)
                if answer.status_code == 401:
                    assert counters.refused["shop", "forged"] == refused + 1
                    assert database.used == used
                    return False
                assert (answer.status_code, database.used) == (503, used + 1)
                return True

            yield judge
