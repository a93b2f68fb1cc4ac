import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from channelsync.store.database import Database, open_database
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADD_ONE = update(LEASE).where(LEASE.c.identity == bindparam("shop")).values(token=LEASE.c.token + 1)
TOKEN = select(LEASE.c.token).where(LEASE.c.identity == bindparam("shop"))


class LoopWithoutThreads(asyncio.SelectorEventLoop):
    """Fails when a thread would hand something to the loop, and when the loop would have to wait for anything."""

    def call_soon_threadsafe(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("a thread has something for the loop")

    def run_in_executor(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("something goes to a thread")

    def call_later(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("something waits for a timer")


@contextmanager
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Any]]:
    def refuse(thread: threading.Thread) -> None:
        raise AssertionError(f"{thread} was started")

    with monkeypatch.context() as patched, asyncio.Runner(loop_factory=LoopWithoutThreads) as runner:
        patched.setattr(threading.Thread, "start", refuse)
        yield runner.run


def add(connection: Connection, shop: str) -> None:
    connection.execute(insert(LEASE), {"identity": shop, "owner": "me", "token": 0, "until": NOW})


async def every_use(database: Database, told: list[str]) -> None:
    """Five tasks that write, read and fail; what they see depends on nothing but the order of the tasks."""
    await database.transact(lambda connection: add(connection, "north"))

    async def seller(name: str) -> None:
        for _ in range(3):
            await database.transact(lambda connection: connection.execute(ADD_ONE, {"shop": "north"}))
            told.append(f"{name} {await database.query(lambda c: c.execute(TOKEN, {'shop': 'north'}).scalar_one())}")
            await asyncio.sleep(0)
            told.append(f"{name} again")
        with pytest.raises(IntegrityError):
            await database.transact(lambda connection: add(connection, "north"))

    await asyncio.gather(*(seller(f"seller {n}") for n in range(5)))


def test_inline_sqlite_starts_no_thread_waits_for_nothing_and_repeats_itself(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = []
    for _ in range(2):
        told: list[str] = []

        async def simulate(told: list[str] = told) -> None:
            async with open_database(sqlite_url, inline=True) as database:
                await every_use(database, told)
                await database.transact(lambda connection: connection.execute(LEASE.delete()))

        with no_threads(monkeypatch) as run:
            run(simulate())
        histories.append(told)
    assert histories[0] == histories[1]
    assert len(histories[0]) == 30
    assert sorted(histories[0]) != histories[0]


def test_the_proof_above_notices_a_thread(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        async with open_database(sqlite_url) as database:
            await database.query(lambda connection: connection.execute(TOKEN, {"shop": "north"}).all())

    with no_threads(monkeypatch) as run, pytest.raises(AssertionError, match=r"goes to a thread|was started"):
        run(use())


async def test_only_an_inline_database_does_not_wait_for_the_disk(sqlite_url: str) -> None:
    for inline, synchronous in ((True, 0), (False, 2)):
        async with open_database(sqlite_url, inline=inline) as database:
            for use in (database.transact, database.query):
                found = await use(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar_one())
                assert found == synchronous


async def test_an_inline_unit_of_work_does_not_give_the_loop_a_turn(sqlite_url: str) -> None:
    turns: list[str] = []
    async with open_database(sqlite_url, inline=True) as database:
        asyncio.get_running_loop().call_soon(turns.append, "the loop")
        await database.transact(lambda connection: add(connection, "north"))
        await database.query(lambda connection: connection.execute(TOKEN, {"shop": "north"}).scalar_one())
        turns.append("we")
        await asyncio.sleep(0)
    assert turns == ["we", "the loop"]
