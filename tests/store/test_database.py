import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import (
    CommitUnknown,
    ConnectionLost,
    DatabaseConflict,
    DatabaseError,
    DatabaseReadOnly,
    surely_rolled_back,
)
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
POSITION = metadata.tables["position"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADD_ONE = update(LEASE).where(LEASE.c.identity == bindparam("shop")).values(token=LEASE.c.token + 1)
TOKEN = select(LEASE.c.token).where(LEASE.c.identity == bindparam("shop"))


def add(connection: Connection, shop: str) -> None:
    connection.execute(insert(LEASE), {"identity": shop, "owner": "me", "token": 0, "until": NOW})


def shops(connection: Connection) -> list[str]:
    return list(connection.execute(select(LEASE.c.identity).order_by(LEASE.c.identity)).scalars())


def token(connection: Connection, shop: str) -> int:
    value: int = connection.execute(TOKEN, {"shop": shop}).scalar_one()
    return value


async def test_a_unit_of_work_is_committed_and_its_value_returned(database: Database) -> None:
    def work(connection: Connection) -> str:
        add(connection, "north")
        return "done"

    assert await database.transact(work) == "done"
    assert await database.query(shops) == ["north"]


async def test_an_error_rolls_the_whole_unit_of_work_back(database: Database) -> None:
    def work(connection: Connection) -> None:
        add(connection, "north")
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await database.transact(work)
    assert await database.query(shops) == []
    await database.transact(lambda connection: add(connection, "south"))
    assert await database.query(shops) == ["south"]


async def test_a_violated_constraint_stays_an_integrity_error(database: Database) -> None:
    position = {"item": "unknown", "location": "main", "on_hand": 1, "reserved": 0, "withheld": 0, "entries": 0}
    with pytest.raises(IntegrityError):
        await database.transact(lambda connection: connection.execute(insert(POSITION), position | {"head": ""}))
    await database.transact(lambda connection: add(connection, "north"))
    with pytest.raises(IntegrityError):
        await database.transact(lambda connection: add(connection, "north"))


async def test_concurrent_units_of_work_lose_nothing(database: Database) -> None:
    await database.transact(lambda connection: add(connection, "north"))

    def work(connection: Connection) -> None:
        connection.execute(ADD_ONE, {"shop": "north"})
        connection.execute(ADD_ONE, {"shop": "north"})

    await asyncio.gather(*(database.transact(work) for _ in range(32)))
    assert await database.query(lambda connection: token(connection, "north")) == 64


async def test_a_snapshot_shows_one_moment_and_a_plain_query_what_is_committed(
    database: Database, database_url: str
) -> None:
    names = iter(("north", "south"))

    def look_twice(connection: Connection) -> tuple[int, int]:
        before = len(shops(connection))
        elsewhere(database_url, lambda other: add(other, next(names)))
        return before, len(shops(connection))

    assert await database.query(look_twice, snapshot=True) == (0, 0)
    assert await database.query(look_twice) == (1, 2)


def elsewhere(url: str, work: Callable[[Connection], None]) -> None:
    """Does the work as another process would, before it returns."""

    async def main() -> None:
        async with open_database(url) as database:
            await database.transact(work)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()


async def test_a_snapshot_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseReadOnly):
        await database.query(lambda connection: add(connection, "north"), snapshot=True)


async def test_every_use_is_in_flight_and_no_wait_is(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    depth = 0
    seen: list[str] = []

    @contextmanager
    def in_flight() -> Iterator[None]:
        nonlocal depth
        depth += 1
        try:
            yield
        finally:
            depth -= 1

    def note(what: str) -> None:
        seen.append(f"{what} {depth}")

    def busy_once(_connection: Connection) -> None:
        note("work")
        if "wait 0" not in seen:
            raise DatabaseConflict

    def wait_after(_attempt: int) -> float:
        note("wait")
        return 0.0

    async with open_database(database_url, in_flight=in_flight) as database:
        monkeypatch.setattr(database, "_wait_after", wait_after)
        await database.transact(busy_once)
        await database.query(lambda _: note("query"))
    assert seen == ["work 1", "wait 0", "work 1", "query 1"]
    assert depth == 0


@pytest.mark.fault(53, "when the attempts end the error is raised, and nothing was written")
async def test_a_conflict_is_repeated_as_a_whole_until_the_attempts_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_wait_after", lambda _attempt: 0.0)
    tried = 0

    def work(connection: Connection) -> None:
        nonlocal tried
        tried += 1
        add(connection, "north")
        if tried % 3:
            raise DatabaseConflict

    with pytest.raises(DatabaseConflict):
        await database.transact(work, attempts=2)
    assert await database.query(shops) == []
    await database.transact(work, attempts=2)
    assert (tried, await database.query(shops)) == (3, ["north"])


@pytest.mark.parametrize(
    ("code", "sure"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR_FSYNC, False),
        (sqlite3.SQLITE_IOERR_WRITE, False),
    ],
)
def test_a_commit_that_sqlite_could_not_flush_is_not_taken_for_rolled_back(code: int, sure: bool) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    assert surely_rolled_back(error) is sure


def test_an_error_that_nobody_sent_leaves_the_commit_unknown() -> None:
    assert not surely_rolled_back(TimeoutError())


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=ro", "sqlite://host/x.db", "mysql://x", "x.db"]
)
async def test_an_address_that_names_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        async with open_database(url):
            pytest.fail("it opened")


async def test_parameters_of_statements_are_in_no_error(database: Database) -> None:
    await database.transact(lambda connection: add(connection, "north"))
    with pytest.raises(IntegrityError) as told:
        await database.transact(
            lambda c: c.execute(insert(LEASE), {"identity": "north", "owner": "buyer@home", "token": 0, "until": NOW})
        )
    assert "buyer@home" not in str(told.value)


async def test_every_error_says_what_to_do() -> None:
    for error in (DatabaseError, *DatabaseError.__subclasses__()):
        assert error.__doc__
        assert str(error()) == error.__doc__.strip().splitlines()[0]
        assert str(error("because")).endswith("(because)")
    assert ConnectionLost.may_repeat
    assert not CommitUnknown.may_repeat


async def test_an_error_of_ours_keeps_its_cause(database: Database) -> None:
    def work(connection: Connection) -> None:
        raise DatabaseReadOnly("for a test") from LookupError("the cause")

    with pytest.raises(DatabaseReadOnly) as caught:
        await database.transact(work)
    assert isinstance(caught.value.__cause__, LookupError)
