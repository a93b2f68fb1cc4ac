"""Statements of the hot paths give what SQLAlchemy's own execution gives, and fail as it does."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest
from sqlalchemy import (
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from channelsync.store.database import Database, open_database
from channelsync.store.prepared import fetch, run
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
ORDER = metadata.tables["sales_order"]
NOW = datetime(2026, 11, 21, 12, 30, 1, 250_000, tzinfo=UTC)

ADD = insert(LEASE)
BY_SHOP = select(LEASE).where(LEASE.c.identity == bindparam("shop"))
ADD_TO = update(LEASE).where(LEASE.c.identity == bindparam("shop")).values(token=LEASE.c.token + bindparam("more"))
ADD_ORDER = insert(ORDER)
ORDERS = select(ORDER).where(ORDER.c.channel == bindparam("channel")).order_by(ORDER.c.order)
WAIT = select(cast(func.pg_advisory_lock_shared(bindparam("key", type_=Integer)), String).label("waited"))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
SLEEP = select(cast(func.pg_sleep(bindparam("seconds", type_=Float)), String).label("slept"))
END = select(func.pg_terminate_backend(bindparam("pid", type_=Integer)).label("ended"))
ACTIVITY = table("pg_stat_activity", column("wait_event", String))
SLEEPING = select(ACTIVITY.c.wait_event).where(ACTIVITY.c.wait_event == bindparam("what"))
TWICE = select(LEASE.c.identity.label("of"), bindparam("shop", type_=LEASE.c.identity.type).label("asked")).where(
    LEASE.c.identity == bindparam("shop")
)


def lease(shop: str, token: int = 1) -> dict[str, Any]:
    return {"identity": shop, "owner": "me", "token": token, "until": NOW}


def an_order(name: str, **more: object) -> dict[str, Any]:
    at = {"version": NOW, "placed_at": NOW, "first_seen_at": NOW, "booked_at": NOW}
    texts = {"content": "c", "status": "open", "said": b"\x00said", "booked": b"\xffbooked"}
    return {"channel": "shop", "order": name, **at, **texts, "absent_at": None, "expires_at": None, **more}


async def test_what_is_written_is_read_as_it_was(database: Database) -> None:
    order = an_order("1", expires_at=NOW + timedelta(microseconds=1), unmapped=3)
    await database.transact(lambda c: run(c, ADD_ORDER, [order]))
    (row,) = await database.query(lambda c: fetch(c, ORDERS, {"channel": "shop"}))
    assert row._asdict() == order
    (same,) = await database.query(lambda c: c.execute(ORDERS, {"channel": "shop"}).all())
    assert tuple(row) == tuple(same)


TIMES = [
    NOW,
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC),
]


@pytest.mark.parametrize("at", TIMES)
async def test_times_are_written_as_sqlalchemy_writes_them(sqlite_database: Database, at: datetime) -> None:
    def work(connection: Connection) -> None:
        run(connection, ADD, [lease("ours") | {"until": at}])
        connection.execute(ADD, lease("theirs") | {"until": at})

    await sqlite_database.transact(work)
    (same,) = await sqlite_database.query(lambda c: c.execute(text("SELECT DISTINCT until FROM lease")).all())
    assert isinstance(same[0], str)


async def test_a_time_without_a_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match=r"time *zone"):
        await database.transact(lambda c: run(c, ADD, [lease("north") | {"until": NOW.replace(tzinfo=None)}]))


async def test_many_rows_go_at_once_and_nothing_is_found_where_there_is_nothing(database: Database) -> None:
    await database.transact(lambda c: run(c, ADD, [lease(f"shop-{number}", number) for number in range(20)]))
    assert await database.query(lambda c: c.execute(select(func.sum(LEASE.c.token))).scalar_one()) == sum(range(20))
    assert await database.query(lambda c: fetch(c, BY_SHOP, {"shop": "shop-20"})) == []


async def test_a_column_that_is_left_out_gets_its_default(database: Database) -> None:
    await database.transact(lambda c: run(c, ADD_ORDER, [an_order("1"), an_order("2")]))
    found = await database.query(lambda c: fetch(c, ORDERS, {"channel": "shop"}))
    assert [(row.order, row.unmapped) for row in found] == [("1", 0), ("2", 0)]


async def test_a_parameter_may_stand_in_several_places(database: Database) -> None:
    await database.transact(lambda c: run(c, ADD, [lease("north")]))
    assert await database.query(lambda c: fetch(c, TWICE, {"shop": "north"})) == [("north", "north")]


async def test_it_sees_and_is_undone_with_the_transaction_that_it_is_part_of(database: Database) -> None:
    def work(connection: Connection) -> None:
        run(connection, ADD, [lease("north")])
        connection.execute(ADD_TO, {"shop": "north", "more": 4})
        run(connection, ADD_TO, [{"shop": "north", "more": 5}])
        assert [row.token for row in fetch(connection, BY_SHOP, {"shop": "north"})] == [10]
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        await database.transact(work)
    assert await database.query(lambda c: fetch(c, BY_SHOP, {"shop": "north"})) == []


async def test_a_violated_constraint_is_an_integrity_error_that_tells_no_values(database: Database) -> None:
    await database.transact(lambda c: run(c, ADD, [lease("north")]))
    with pytest.raises(IntegrityError) as caught:
        await database.transact(lambda c: run(c, ADD, [lease("north")]))
    assert "lease" in str(caught.value.orig)
    assert "'me'" not in str(caught.value)
    assert [row.token for row in await database.query(lambda c: fetch(c, BY_SHOP, {"shop": "north"}))] == [1]


async def test_a_value_that_no_column_holds_is_an_error_of_the_driver(database: Database) -> None:
    with pytest.raises((DBAPIError, OverflowError)):
        await database.transact(lambda c: run(c, ADD, [lease("north", 10**30)]))
    await database.transact(lambda c: run(c, ADD, [lease("north")]))


@pytest.mark.parametrize("given", [{}, {"store": "north"}])
async def test_a_missing_parameter_is_refused_before_anything_is_asked(
    database: Database, given: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="shop"):
        await database.query(lambda c: fetch(c, BY_SHOP, given))


async def test_a_default_that_differs_from_row_to_row_is_refused(database: Database) -> None:
    made = Table("never_made", MetaData(), Column("at", Integer, default=lambda: 1), Column("name", String))
    with pytest.raises(ValueError, match="name the column"):
        await database.transact(lambda c: run(c, insert(made), [{"name": "north"}]))


async def test_a_statement_without_rows_is_not_fetched(database: Database) -> None:
    with pytest.raises(ValueError, match="returns no rows"):
        await database.transact(lambda c: fetch(c, ADD, lease("north")))


async def test_work_whose_connection_the_server_ended_is_done_on_another(postgresql_database: Database) -> None:
    used: list[int] = []

    def work(connection: Connection) -> list[Any]:
        used.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        if len(used) == 1:
            fetch(connection, END, {"pid": used[0]})
        return fetch(connection, BY_SHOP, {"shop": "north"})

    assert await postgresql_database.query(work) == []
    assert len(set(used)) == 2


async def test_work_after_the_server_ended_every_connection_is_done_at_the_second_attempt(postgresql_url: str) -> None:
    """As after its restart: SQLAlchemy hands out the idle connections in turn, and all of them are dead."""
    connections, tries = 8, 0

    def work(connection: Connection) -> list[Any]:
        nonlocal tries
        tries += 1
        return fetch(connection, BY_SHOP, {"shop": "north"})

    other = await asyncpg.connect(postgresql_url)
    await other.execute("SELECT pg_advisory_lock(1)")
    async with open_database(postgresql_url, pool_size=connections) as database:
        opened = asyncio.gather(*(database.query(lambda c: fetch(c, WAIT, {"key": 1})) for _ in range(connections)))
        while await other.fetchval(WAITING) < connections:
            assert not opened.done()
        await other.execute("SELECT pg_advisory_unlock(1)")
        await opened
        assert len(await other.fetch(END_OTHERS)) == connections
        assert await database.transact(work) == []
    await other.close()
    assert tries == 2


async def test_a_statement_that_was_prepared_before_its_table_changed_is_prepared_anew(
    postgresql_url: str, postgresql_database: Database
) -> None:
    made = Table("made", MetaData(), Column("number", Integer))
    numbers = select(made.c.number).where(made.c.number > bindparam("more"))

    def read(connection: Connection) -> list[int]:
        return [row.number for row in fetch(connection, numbers, {"more": 0})]

    await postgresql_database.transact(lambda c: c.execute(text("CREATE TABLE made AS SELECT 1 AS number")))
    async with open_database(postgresql_url, pool_size=1) as database:
        assert await database.query(read) == [1]
        await postgresql_database.transact(lambda c: c.execute(text("ALTER TABLE made ALTER number TYPE bigint")))
        with pytest.raises(DBAPIError, match="cached statement"):
            await database.query(read)
        assert await database.query(read) == [1]


async def test_an_error_names_the_statement(database: Database) -> None:
    await database.transact(lambda c: run(c, ADD, [lease("north")]))
    with pytest.raises(IntegrityError, match="INSERT INTO lease"):
        await database.transact(lambda c: run(c, ADD, [lease("north")]))


async def test_a_row_that_lacks_a_column_of_the_first_is_refused(database: Database) -> None:
    lacking = {name: value for name, value in lease("south").items() if name != "token"}
    with pytest.raises(ValueError, match="token"):
        await database.transact(lambda c: run(c, ADD, [lease("north"), lacking]))
    assert await database.query(lambda c: fetch(c, BY_SHOP, {"shop": "north"})) == []


async def test_a_column_that_changes_by_itself_is_refused(database: Database) -> None:
    made = Table("never_made", MetaData(), Column("name", String), Column("at", Integer, onupdate=1))
    with pytest.raises(ValueError, match="change by themselves"):
        await database.transact(lambda c: run(c, update(made).values(name=bindparam("new")), [{"new": "north"}]))


async def test_a_cancelled_statement_is_rolled_back_and_its_connection_given_up(
    postgresql_url: str, postgresql_database: Database
) -> None:
    used: list[int] = []

    def mine(connection: Connection) -> None:
        used.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    def work(connection: Connection) -> None:
        mine(connection)
        run(connection, ADD, [lease("north")])
        fetch(connection, SLEEP, {"seconds": 60})

    async with open_database(postgresql_url, pool_size=1) as one_connection:
        cancelled = asyncio.create_task(one_connection.transact(work))
        while not await postgresql_database.query(lambda c: fetch(c, SLEEPING, {"what": "PgSleep"})):
            assert not cancelled.done()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await one_connection.transact(mine)
        assert await one_connection.transact(lambda c: fetch(c, BY_SHOP, {"shop": "north"})) == []
    assert len(set(used)) == 2
