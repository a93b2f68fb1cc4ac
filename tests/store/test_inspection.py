"""What can be told of a database without changing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from channelsync.sdk.clock import SystemClock
from channelsync.store.database import Database
from channelsync.store.inspection import inspect_postgresql, inspect_sqlite, sqlite_session


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_a_sound_file_in_wal_has_no_problems(sqlite_url: str) -> None:
    facts = inspect_sqlite(file_of(sqlite_url), thorough=True)
    assert (facts.journal_mode, facts.problems, facts.checked) == ("wal", (), True)
    assert facts.size > 0


def test_another_journal_mode_is_told_and_left_alone(sqlite_url: str) -> None:
    path = file_of(sqlite_url)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    assert inspect_sqlite(path).journal_mode == "delete"
    assert inspect_sqlite(path).journal_mode == "delete"


def test_a_row_that_points_at_nothing_is_found_by_a_thorough_look_only(sqlite_url: str) -> None:
    path = file_of(sqlite_url)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO item_alias (sku, item, run) VALUES ('X', 'nobody', 'r')")
        connection.commit()
    assert inspect_sqlite(path).problems == ()
    assert inspect_sqlite(path, thorough=True).problems == ("a row of item_alias points at nothing in item",)
    assert inspect_sqlite(path, check=False).checked is False


def test_a_damaged_page_is_found(sqlite_url: str) -> None:
    path = file_of(sqlite_url)
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096 * 3)
    with suppress(sqlite3.DatabaseError):  # where even the list of tables cannot be read
        assert inspect_sqlite(path).problems


async def test_our_connections_are_durable_and_hold_references(sqlite_database: Database) -> None:
    session = await sqlite_database.query(sqlite_session)
    assert (session["synchronous"], session["foreign_keys"]) == (2, 1)


@pytest.mark.postgresql
async def test_a_server_tells_its_settings(postgresql_database: Database) -> None:
    facts = await postgresql_database.query(inspect_postgresql)
    assert facts.fsync == "off", "the server of the tests is made so"
    assert facts.version >= 140000
    assert facts.recovering is False
    assert 0 < facts.connections <= facts.connections_max
    assert abs(facts.now - SystemClock().now()) < timedelta(minutes=1)
