"""Every connection to the database is in use: what comes in is told so in time, and nothing is half taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import inbox
from channelsync.store.database import Database, open_database
from channelsync.sync import readiness, receiving
from channelsync.sync.inbox import Inbox
from channelsync.sync.readiness import receiver_readiness
from channelsync.sync.receiving import Door, Outcome, Received, Receiver
from channelsync.sync.vault import Seals

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
POOL = 3
HANG_GUARD = 60.0
"""A bounded wait ends long before it; what holds the connections in this test never ends by itself."""


class Clock:
    """It stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


class Genuine:
    """Everything is signed, and names its event itself."""

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint:
        return WebhookHint(topic="orders/create", event=body.decode(), sent_at=now, orders=("o-1",))


@asynccontextmanager
async def all_in_use(url: str, database: Database) -> AsyncIterator[None]:
    """While the block runs every connection of the database is held by work that does not end."""
    let_go = threading.Event()
    begun = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    async with open_database(url) as other:
        if database.dialect == "sqlite":

            def hold(_connection: Connection) -> None:
                loop.call_soon_threadsafe(begun.release)
                let_go.wait(HANG_GUARD)

            held = [asyncio.create_task(database.query(hold)) for _ in range(POOL)]
            held.append(asyncio.create_task(database.transact(hold)))
            for _ in held:
                await begun.acquire()
            try:
                yield
            finally:
                let_go.set()
                await asyncio.gather(*held)
            return

        def wait(connection: Connection) -> None:
            connection.execute(text("SELECT pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7)"))

        def waiting(connection: Connection) -> int:
            asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            return int(connection.execute(text(asked)).scalar_one())

        def lock(connection: Connection) -> None:
            connection.execute(text("SELECT pg_advisory_lock(7)"))

        def unlock(connection: Connection) -> None:
            connection.execute(text("SELECT pg_advisory_unlock_all()"))

        async with open_database(url, pool_size=1) as locker:
            await locker.query(lock)
            held = [asyncio.create_task(database.query(wait)) for _ in range(POOL)]
            while await other.query(waiting) < POOL:  # noqa: ASYNC110 - the server sets no event
                await asyncio.sleep(0.01)
            try:
                yield
            finally:
                await locker.query(unlock)
                await asyncio.gather(*held)


@pytest.mark.fault(54, "deliveries are told 503 and the process is not ready, both in time; afterwards all is well")
async def test_without_a_free_connection_deliveries_and_the_probe_are_answered_in_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "KEPT_WITHIN", 0.1)
    monkeypatch.setattr(readiness, "DATABASE_WITHIN", 0.1)
    async with open_database(database_url, pool_size=POOL) as database, Inbox(database) as kept:
        receiver = Receiver({"shop": Door("shop", Genuine())}, kept, Clock(), Seals([]))

        def take(event: str) -> Awaitable[Received]:
            return receiver.take("shop", {}, event.encode())

        async with all_in_use(database_url, database), asyncio.timeout(HANG_GUARD / 2):
            refused = await asyncio.gather(*(take(f"e-{number}") for number in range(20)))
            states = await receiver_readiness(database)
        assert {one.outcome for one in refused} == {Outcome.UNAVAILABLE}
        assert {one.retry_after for one in refused} == {receiving.RETRY_SOON}
        assert [(one.what, one.level) for one in states] == [("database", "red")]

        monkeypatch.undo()
        again = await asyncio.gather(*(take(f"e-{number}") for number in range(20)))
        assert {one.outcome for one in again} <= {Outcome.TAKEN, Outcome.COPY}
        rows = await database.query(lambda c: inbox.list_deliveries(c, limit=100))
        assert sorted(row.event for row in rows) == sorted(f"e-{number}" for number in range(20))
        assert [one.level for one in await receiver_readiness(database)] == ["green"]
