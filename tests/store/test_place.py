"""A database that was put back from a copy is noticed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from channelsync.store import runs
from channelsync.store.database import Database
from channelsync.store.place import mark_of, older_than, remember_run, was_moved

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.postgresql
async def test_a_database_of_another_cluster_number_or_timeline_was_moved(postgresql_database: Database) -> None:
    assert await postgresql_database.transact(was_moved) is False
    assert await postgresql_database.transact(was_moved) is False
    cluster, timeline, own = (await postgresql_database.query(the_place)).split("/")
    for elsewhere in (f"1/{timeline}/{own}", f"{cluster}/9{timeline}/{own}", f"{cluster}/{timeline}/9{own}"):
        await postgresql_database.transact(
            lambda c, place=elsewhere: c.execute(text("UPDATE guard_place SET place = :place"), {"place": place})
        )
        assert await postgresql_database.transact(was_moved) is True
        assert await postgresql_database.transact(was_moved) is False


def the_place(connection: object) -> str:
    found: str = connection.execute(text("SELECT place FROM guard_place")).scalar_one()  # type: ignore[attr-defined]
    return found


async def test_a_file_that_does_not_know_the_last_run_is_older(sqlite_database: Database, tmp_path: Path) -> None:
    mark = mark_of(tmp_path / "channelsync.db")
    assert mark.name == "channelsync.db.last-run"
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False
    remember_run(mark, "r-1")
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is True
    await sqlite_database.transact(lambda c: runs.begin_run(c, "r-1", "run", "daemon", {}, NOW))
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False
    assert await sqlite_database.transact(was_moved) is False
