"""A database that was put back from a copy is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from channelsync.store import daemons, runs
from channelsync.store.daemons import ServingProcess
from channelsync.store.database import Database
from channelsync.store.place import mark_of, older_than, remember_run, was_moved

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.postgresql
async def test_a_database_of_another_cluster_timeline_number_or_table_was_moved(postgresql_database: Database) -> None:
    assert await postgresql_database.transact(was_moved) is False
    assert await postgresql_database.transact(was_moved) is False
    here = (await postgresql_database.query(the_place)).split("/")
    assert len(here) == 4
    for part in range(4):
        elsewhere = "/".join(f"9{one}" if number == part else one for number, one in enumerate(here))
        await postgresql_database.transact(
            lambda c, place=elsewhere: c.execute(text("UPDATE guard_place SET place = :place"), {"place": place})
        )
        assert await postgresql_database.transact(was_moved) is True
        assert await postgresql_database.transact(was_moved) is False


def the_place(connection: object) -> str:
    found: str = connection.execute(text("SELECT place FROM guard_place")).scalar_one()  # type: ignore[attr-defined]
    return found


async def test_a_database_that_does_not_know_the_last_daemons_run_is_older(
    sqlite_database: Database, tmp_path: Path
) -> None:
    mark = mark_of(tmp_path / "channelsync.db")
    assert mark.name == "channelsync.db.last-run"
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False
    remember_run(mark, "r-1", NOW)
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is True
    await sqlite_database.transact(lambda c: runs.begin_run(c, "r-1", "run", "daemon", {}, NOW))
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False
    assert await sqlite_database.transact(was_moved) is False


async def test_a_database_that_heard_of_the_daemon_last_long_before_the_file_did_is_older(
    sqlite_database: Database, tmp_path: Path
) -> None:
    mark = mark_of(tmp_path / "channelsync.db")
    one = ServingProcess(run="r-1", command="run", host="h", pid=1, version="1", started_at=NOW, beat_at=NOW)
    await sqlite_database.transact(lambda c: runs.begin_run(c, "r-1", "run", "daemon", {}, NOW))
    await sqlite_database.transact(lambda c: daemons.show_life(c, one, NOW))
    for later, older in ((0, False), (60, False), (61, True), (3 * 86_400, True)):
        remember_run(mark, "r-1", NOW + timedelta(seconds=later))
        assert await sqlite_database.query(lambda c: older_than(c, mark)) is older, later
    await sqlite_database.transact(lambda c: daemons.end_serving(c, "r-1"))
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False, "it ended as it should"


@pytest.mark.parametrize("said", ["", "r-1\n", "r-1 yesterday\n", "r-1 2026-03-01T09:00:00\n"])
async def test_a_file_that_says_less_is_no_reason_not_to_start(
    sqlite_database: Database, tmp_path: Path, said: str
) -> None:
    mark = mark_of(tmp_path / "channelsync.db")
    mark.write_text(said)
    await sqlite_database.transact(lambda c: runs.begin_run(c, "r-1", "run", "daemon", {}, NOW))
    assert await sqlite_database.query(lambda c: older_than(c, mark)) is False
