from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, text

from channelsync.store.database import Database
from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring, upsert

LEASE = metadata.tables["lease"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def row(shop: str, owner: str, token: int = 1) -> dict[str, Any]:
    return {"identity": shop, "owner": owner, "token": token, "until": NOW}


def rows(connection: Connection) -> list[tuple[str, str, int]]:
    found = connection.execute(select(LEASE.c.identity, LEASE.c.owner, LEASE.c.token).order_by(LEASE.c.identity))
    return [(r.identity, r.owner, r.token) for r in found]


async def test_new_rows_are_inserted_and_old_ones_changed(database: Database) -> None:
    def work(connection: Connection) -> None:
        statement = upsert(LEASE, connection.dialect.name, keys=("identity",), update=("owner", "until"))
        connection.execute(statement, [row("north", "a"), row("south", "a")])
        connection.execute(statement, [row("north", "b", token=7), row("east", "b")])

    await database.transact(work)
    assert await database.query(rows) == [("east", "b", 1), ("north", "b", 1), ("south", "a", 1)]


async def test_numbers_are_added_to_those_that_are_there(database: Database) -> None:
    def work(connection: Connection) -> None:
        statement = upsert(LEASE, connection.dialect.name, keys=("identity",), add=("token",))
        connection.execute(statement, [row("north", "a", 5), row("north", "b", -2), row("south", "a", 0)])

    await database.transact(work)
    assert await database.query(rows) == [("north", "a", 3), ("south", "a", 0)]


async def test_a_row_that_would_change_nothing_writes_nothing(database: Database) -> None:
    def written(connection: Connection, owner: str, added: int) -> int:
        statement = upsert(LEASE, connection.dialect.name, keys=("identity",), update=("owner",), add=("token",))
        return connection.execute(statement, row("north", owner, added)).rowcount

    assert await database.transact(lambda c: written(c, "a", 4)) == 1
    assert await database.transact(lambda c: written(c, "a", 0)) == 0
    assert await database.transact(lambda c: written(c, "a", 1)) == 1
    assert await database.transact(lambda c: written(c, "b", 0)) == 1


async def test_an_unchanged_row_leaves_no_dead_version_behind(postgresql_database: Database) -> None:
    def place(connection: Connection) -> str:
        connection.execute(
            upsert(LEASE, connection.dialect.name, keys=("identity",), update=("owner", "until")), [row("north", "a")]
        )
        place: str = connection.execute(text("SELECT ctid::text FROM lease")).scalar_one()
        return place

    assert await postgresql_database.transact(place) == await postgresql_database.transact(place)


async def test_a_value_that_is_missing_differs_from_one_that_is_not(database: Database) -> None:
    item = metadata.tables["item"]

    def barcode(connection: Connection, value: str | None) -> str | None:
        statement = upsert(item, connection.dialect.name, keys=("id",), update=("barcode",))
        new = {"id": "1", "sku": "MUG", "title": "", "sku_class": "", "created_at": NOW, "barcode": value}
        connection.execute(statement, [new])
        kept: str | None = connection.execute(select(item.c.barcode)).scalar_one()
        return kept

    assert [await database.transact(lambda c, v=v: barcode(c, v)) for v in (None, "123", None)] == [None, "123", None]


async def test_rows_that_a_unique_constraint_forbids_are_left_out(database: Database) -> None:
    def work(connection: Connection) -> None:
        statement = insert_ignoring(LEASE, connection.dialect.name)
        connection.execute(statement, [row("north", "a"), row("south", "a")])
        connection.execute(statement, [row("north", "b"), row("east", "b")])

    await database.transact(work)
    assert await database.query(rows) == [("east", "b", 1), ("north", "a", 1), ("south", "a", 1)]


def test_a_statement_is_built_once() -> None:
    assert insert_ignoring(LEASE, "sqlite") is insert_ignoring(LEASE, "sqlite")
    first = upsert(LEASE, "postgresql", keys=["identity"], update=["owner"])
    assert upsert(LEASE, "postgresql", keys=("identity",), update=("owner",)) is first
    assert upsert(LEASE, "sqlite", keys=("identity",), update=("owner",)) is not first
