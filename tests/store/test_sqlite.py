import asyncio
import gc
import sqlite3
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from channelsync.store import sqlite
from channelsync.store.database import ATTEMPTS, Database, open_database
from channelsync.store.database_errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
)
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
POSITION = metadata.tables["position"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add(connection: Connection, shop: str) -> None:
    connection.execute(insert(LEASE), {"identity": shop, "owner": "me", "token": 0, "until": NOW})


def shops(connection: Connection) -> list[str]:
    return list(connection.execute(select(LEASE.c.identity).order_by(LEASE.c.identity)).scalars())


def modes(folder: Path) -> dict[str, str]:
    return {one.name: oct(one.stat().st_mode & 0o777) for one in folder.iterdir()}


async def test_a_new_file_and_those_beside_it_may_be_read_by_their_owner_only(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path}/new.db") as database:
        await database.transact(lambda c: c.exec_driver_sql("CREATE TABLE some (thing TEXT)"))
        found = modes(tmp_path)
    assert found == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), "0o600")


async def test_writers_are_served_in_the_order_of_asking(sqlite_database: Database) -> None:
    served: list[int] = []
    await asyncio.gather(*(sqlite_database.transact(lambda _, n=n: served.append(n)) for n in range(20)))
    assert served == list(range(20))


async def test_a_query_cannot_write_to_sqlite(sqlite_database: Database) -> None:
    with pytest.raises(DatabaseReadOnly):
        await sqlite_database.query(lambda connection: add(connection, "north"))


def test_waits_between_attempts_grow_and_stay_under_three_seconds_together(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(f"sqlite:///{tmp_path}/x.db", contextmanager(iter), inline=True, readers=1)
    waits = [database._wait_after(attempt) for attempt in range(1, ATTEMPTS)]
    assert sum(waits) < 3
    assert waits[0] <= 0.02 < waits[3]


@pytest.mark.fault(56, "waited for, then told")
async def test_a_file_locked_by_another_process_is_waited_for_and_then_told(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 1)
    async with open_database(sqlite_url) as database:
        with closing(sqlite3.connect(sqlite.sqlite_path(sqlite_url), isolation_level=None)) as other:
            monkeypatch.setattr(database, "_wait_after", lambda _attempt: 0.0)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusy, match="locked"):
                await database.transact(lambda connection: add(connection, "north"), attempts=2)
            assert await database.query(shops) == []

            def release(_attempt: int) -> float:
                other.execute("ROLLBACK")
                return 0.0

            monkeypatch.setattr(database, "_wait_after", release)
            await database.transact(lambda connection: add(connection, "north"))
        assert await database.query(shops) == ["north"]


@pytest.mark.fault(55, "refused, nothing half written, and it goes on when there is room")
async def test_a_full_disk_is_told_writes_nothing_and_is_survived(sqlite_database: Database) -> None:
    def fill(connection: Connection) -> None:
        add(connection, "north")
        add(connection, "south" * 100_000)

    pages = await sqlite_database.transact(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await sqlite_database.transact(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}"))
    with pytest.raises(DatabaseFull, match="Make room"):
        await sqlite_database.transact(fill)
    assert await sqlite_database.query(shops) == []
    await sqlite_database.transact(lambda connection: add(connection, "east"))
    assert await sqlite_database.query(shops) == ["east"]


async def test_every_sqlite_connection_is_durable_and_checks_foreign_keys(sqlite_database: Database) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    expected = ["wal", 2, 1, 5000]
    assert await sqlite_database.transact(settings) == expected
    assert await sqlite_database.query(settings) == expected


async def test_a_cancelled_unit_of_work_ends_before_the_next_begins(sqlite_database: Database) -> None:
    loop = asyncio.get_running_loop()
    running, go_on = asyncio.Event(), threading.Event()

    def work(connection: Connection) -> None:
        loop.call_soon_threadsafe(running.set)
        go_on.wait(10)
        add(connection, "north")

    cancelled = asyncio.create_task(sqlite_database.transact(work))
    await running.wait()
    following = asyncio.create_task(sqlite_database.transact(shops))
    cancelled.cancel()
    await asyncio.sleep(0)
    assert not cancelled.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await following == ["north"]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "waiting"])
async def test_a_cancelled_unit_of_work_leaves_asyncio_nothing_to_complain_of(
    sqlite_database: Database, begun: bool
) -> None:
    complaints: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    running, go_on = asyncio.Event(), threading.Event()

    def fails(_: Connection) -> None:
        loop.call_soon_threadsafe(running.set)
        go_on.wait(10)
        raise ValueError("it fails after its caller has gone")

    first = asyncio.create_task(sqlite_database.transact(fails))
    await running.wait()
    waiting = asyncio.create_task(sqlite_database.transact(shops))
    await asyncio.sleep(0)
    cancelled = first if begun else waiting
    cancelled.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, waiting, return_exceptions=True)
    assert cancelled.cancelled()
    del first, waiting, cancelled
    assert await sqlite_database.transact(shops) == []
    gc.collect()
    assert complaints == []


@pytest.mark.fault(56, "what is no database is told")
async def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database at all, but long enough to be looked at as one" * 100)
    with pytest.raises(DatabaseDamaged, match="restore"):
        async with open_database(f"sqlite:///{tmp_path}/x.db"):
            pytest.fail("it opened")


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=f"{tmp_path}/nowhere for x.db"):
        async with open_database(f"sqlite:///{tmp_path}/nowhere/x.db"):
            pytest.fail("it opened")


async def test_sqlite_wakes_nobody(sqlite_database: Database) -> None:
    first = asyncio.ensure_future(anext(sqlite_database.listen("agenda")))
    await asyncio.sleep(0)
    await sqlite_database.notify("agenda", "shop")
    await sqlite_database.query(shops)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


async def test_a_migration_that_breaks_foreign_keys_is_rolled_back(sqlite_database: Database) -> None:
    def work(connection: Connection) -> None:
        position = {"item": "unknown", "location": "main", "on_hand": 1, "reserved": 0, "withheld": 0}
        connection.execute(insert(POSITION), position | {"entries": 0, "head": ""})

    with pytest.raises(DatabaseDamaged, match="1 rows that point at nothing, in position"):
        await sqlite_database.migrate(work)
    assert (
        await sqlite_database.query(lambda c: c.execute(select(func.count()).select_from(POSITION)).scalar_one()) == 0
    )


async def test_a_unit_of_work_that_raises_stop_iteration_ends_with_an_error(sqlite_database: Database) -> None:
    def work(connection: Connection) -> object:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await sqlite_database.transact(work)
    assert await sqlite_database.transact(lambda connection: 1) == 1
