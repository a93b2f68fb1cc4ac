import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from channelsync.store import database, postgresql
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import (
    CommitUnknown,
    ConnectionLost,
    DatabaseRefused,
    DatabaseUnavailable,
)
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add(connection: Connection, shop: str) -> None:
    connection.execute(insert(LEASE), {"identity": shop, "owner": "me", "token": 0, "until": NOW})


def shops(connection: Connection) -> list[str]:
    return list(connection.execute(select(LEASE.c.identity).order_by(LEASE.c.identity)).scalars())


async def test_a_cancelled_postgresql_transaction_is_rolled_back_and_its_connection_given_up(
    postgresql_database: Database,
) -> None:
    def work(connection: Connection) -> None:
        add(connection, "north")
        connection.execute(text("SELECT pg_sleep(60)"))

    def sleeping(connection: Connection) -> bool:
        found = connection.execute(text("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        return found.first() is not None

    cancelled = asyncio.create_task(postgresql_database.transact(work))
    while not await postgresql_database.query(sleeping):
        assert not cancelled.done()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    while await postgresql_database.query(sleeping):
        pass
    assert await postgresql_database.transact(shops) == []


@pytest.mark.fault(53, "repeated as a whole, a bounded number of times")
@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_postgresql_conflicts_are_repeated(postgresql_database: Database, code: str) -> None:
    tried = 0

    def work(connection: Connection) -> None:
        nonlocal tried
        tried += 1
        add(connection, "north")
        if tried == 1:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")

    await postgresql_database.transact(work)
    assert (tried, await postgresql_database.query(shops)) == (2, ["north"])


@pytest.mark.fault(52, "the transaction is repeated as a whole")
async def test_a_connection_that_breaks_before_the_commit_is_repeated_on_another(
    postgresql_database: Database,
) -> None:
    sessions: list[int] = []

    def work(connection: Connection) -> None:
        sessions.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        add(connection, "north")
        if len(sessions) == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await postgresql_database.transact(work)
    assert len(set(sessions)) == 2
    assert await postgresql_database.query(shops) == ["north"]


async def test_a_connection_that_breaks_between_two_uses_is_not_noticed(postgresql_database: Database) -> None:
    def end_all_others(connection: Connection) -> None:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    await postgresql_database.query(shops)
    await postgresql_database.transact(end_all_others)
    assert await postgresql_database.query(shops) == []


@pytest.mark.fault(52, "a commit without an answer is told as unknown")
async def test_a_connection_that_breaks_during_the_commit_leaves_it_unknown(postgresql_database: Database) -> None:
    def break_at_commit(connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON lease DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION die()"
        )

    await postgresql_database.transact(break_at_commit)
    tried: list[int] = []

    def work(connection: Connection) -> None:
        tried.append(1)
        add(connection, "north")

    with pytest.raises(CommitUnknown, match="deterministic ids"):
        await postgresql_database.transact(work)
    assert len(tried) == 1
    assert await postgresql_database.query(shops) == []


@pytest.mark.parametrize("query", ["pooler=session", "sslmode=nonsense"])
async def test_a_wrong_parameter_of_an_address_is_refused(postgresql_url: str, query: str) -> None:
    with pytest.raises(ValueError, match=query.partition("=")[0]):
        async with open_database(f"{postgresql_url}&{query}"):
            pytest.fail("it opened")


async def test_postgresql_does_not_run_inline(postgresql_url: str) -> None:
    with pytest.raises(ValueError, match="only SQLite"):
        async with open_database(postgresql_url, inline=True):
            pytest.fail("it opened")


async def test_a_server_that_is_not_there_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Database, "_wait_after", lambda *_: 0.0)
    with pytest.raises(DatabaseUnavailable) as told:
        async with open_database(f"postgresql://seller:secret@/shop?host={tmp_path}"):
            pytest.fail("it opened")
    assert "postgresql://seller@/shop" in str(told.value)
    assert "secret" not in str(told.value)


async def test_a_server_that_does_not_answer_is_given_up(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(connection: Connection) -> None:
        add(connection, "north")
        connection.execute(text("SELECT pg_sleep(60)"))

    monkeypatch.setattr(postgresql, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(database, "ATTEMPTS", 2)
    with pytest.raises(CommitUnknown, match="no answer"):
        await postgresql_database.transact(work)
    with pytest.raises(ConnectionLost, match="no answer"):
        await postgresql_database.query(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    monkeypatch.undo()
    assert await postgresql_database.query(shops) == []


async def test_a_database_that_the_server_does_not_have_is_refused_at_once(postgresql_url: str) -> None:
    with pytest.raises(DatabaseRefused, match="does not exist"):
        async with open_database(postgresql_url.replace("/test_", "/no_test_")):
            pytest.fail("it opened")


async def test_behind_a_pooler_nothing_stays_prepared_and_nobody_is_woken(postgresql_url: str) -> None:
    async with open_database(f"{postgresql_url}&pooler=transaction") as database:

        def prepared(connection: Connection) -> list[str]:
            return list(connection.execute(text("SELECT name FROM pg_prepared_statements")).scalars())

        await database.transact(lambda connection: add(connection, "north"))
        assert await database.transact(shops) == ["north"]
        (itself,) = await database.transact(prepared)
        assert itself.startswith("cs_")
        assert await database.transact(prepared) != [itself]
        first = asyncio.ensure_future(anext(database.listen("agenda")))
        await database.notify("agenda", "shop")
        await database.query(shops)
        assert not first.done()
        first.cancel()
        await asyncio.wait([first])


async def test_notifications_arrive_and_go_on_after_the_connection_broke(postgresql_database: Database) -> None:
    def end_listeners(connection: Connection) -> int:
        ended = connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        )
        return len(ended.all())

    async with aclosing(postgresql_database.listen("agenda")) as wake_ups:
        assert await anext(wake_ups) == ""
        await postgresql_database.notify("agenda", "shop 1")
        assert await anext(wake_ups) == "shop 1"
        assert await postgresql_database.query(end_listeners) == 1
        assert await anext(wake_ups) == ""
        await postgresql_database.notify("agenda", "shop 2")
        assert await anext(wake_ups) == "shop 2"
