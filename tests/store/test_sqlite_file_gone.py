"""The file of an open SQLite database is deleted, moved, exchanged, or may only be read."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import DatabaseGone, DatabaseReadOnly
from channelsync.store.tables import metadata

LEASE = metadata.tables["lease"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add(connection: Connection, shop: str) -> None:
    connection.execute(insert(LEASE), {"identity": shop, "owner": "me", "token": 0, "until": NOW})


def shops(connection: Connection) -> list[str]:
    return list(connection.execute(select(LEASE.c.identity).order_by(LEASE.c.identity)).scalars())


async def refused(database: Database, found: str) -> None:
    """Neither writes nor reads anything: also not on connections that are opened only now."""
    with pytest.raises(DatabaseGone, match=found):
        await database.transact(lambda connection: add(connection, "lost"))
    answers = await asyncio.gather(*(database.query(shops) for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in answers} == {DatabaseGone}


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.mark.fault(56, "deleted while open: nothing is written to what nobody will find again, and no new file is made")
async def test_a_file_that_is_deleted_while_it_is_open_is_written_to_no_more(sqlite_url: str, file: Path) -> None:
    async with open_database(sqlite_url) as database:
        await database.transact(lambda connection: add(connection, "north"))
        os.unlink(file)
        await refused(database, "there is none")
        assert file.name not in os.listdir(file.parent), "an empty one in its place would look like a fresh start"


async def test_a_file_that_is_put_back_is_used_again_with_all_that_was_in_it(sqlite_url: str, file: Path) -> None:
    aside = file.with_name("aside.db")
    async with open_database(sqlite_url) as database:
        await database.transact(lambda connection: add(connection, "north"))
        os.rename(file, aside)
        await refused(database, "there is none")
        os.rename(aside, file)
        await database.transact(lambda connection: add(connection, "south"))
        assert await database.query(shops) == ["north", "south"]
    async with open_database(sqlite_url) as database:
        assert await database.query(shops) == ["north", "south"]


async def test_another_file_in_its_place_is_not_taken_for_it(sqlite_url: str, file: Path) -> None:
    other = file.with_name("other.db")
    shutil.copyfile(file, other)
    async with open_database(sqlite_url) as database:
        await database.transact(lambda connection: add(connection, "north"))
        os.rename(other, file)
        await refused(database, "it is another file")


@pytest.mark.fault(56, "a file that may only be read: no write, said with what to look at; reading goes on")
async def test_a_file_that_may_only_be_read_takes_no_write(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(sqlite_url) as database:
        await database.transact(lambda connection: add(connection, "north"))
    connect = sqlite3.connect

    def only_to_read(path: Path, **more: Any) -> sqlite3.Connection:
        """As for a user who may not write it; whoever runs the tests may be one who may write everything."""
        opened: sqlite3.Connection = connect(f"file:{path}?mode=ro", uri=True, **more)
        return opened

    monkeypatch.setattr(sqlite3, "connect", only_to_read)
    async with open_database(sqlite_url) as database:
        with pytest.raises(DatabaseReadOnly, match="check the rights of its file and directory"):
            await database.transact(lambda connection: add(connection, "south"))
        assert await database.query(shops) == ["north"]
