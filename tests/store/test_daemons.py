"""Processes that serve leave a row: signs of life, wishes for a reload, and their answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from channelsync.sdk.clock import SystemClock
from channelsync.store import daemons
from channelsync.store.daemons import ServingProcess
from channelsync.store.database import Database
from channelsync.store.tables import metadata

NOW = SystemClock().now()
ONE = ServingProcess(
    run="r-1", command="run", host="a", pid=1, version="1", started_at=NOW, beat_at=NOW, told={"late": ["loop"]}
)
TWO = replace(ONE, run="r-2", pid=2, started_at=NOW + timedelta(seconds=1))


async def test_a_process_is_seen_with_what_it_says_until_it_ends(database: Database) -> None:
    for one in (TWO, ONE):
        assert await database.transact(lambda c, one=one: daemons.show_life(c, one, NOW)) == ""
    found = await database.query(lambda c: daemons.serving(c, NOW + timedelta(seconds=1)))
    assert [one.run for one in found] == ["r-1", "r-2"]
    assert found[0].told == {"late": ["loop"]}
    assert found[0].silent < timedelta(minutes=1)
    await database.transact(lambda c: daemons.end_serving(c, "r-1"))
    assert [one.run for one in await database.query(lambda c: daemons.serving(c, NOW))] == ["r-2"]


async def test_a_wish_reaches_every_live_process_and_each_answers_for_itself(database: Database) -> None:
    for one in (ONE, TWO):
        await database.transact(lambda c, one=one: daemons.begin_serving(c, one, NOW))
    asked = await database.transact(lambda c: daemons.ask_to_reload(c, "w-1", NOW, timedelta(minutes=5)))
    assert asked == ["r-1", "r-2"]
    assert await database.transact(lambda c: daemons.show_life(c, ONE, NOW)) == "w-1"
    await database.transact(lambda c: daemons.answer_reload(c, "r-1", "w-1", {"outcome": "reloaded"}))
    assert await database.transact(lambda c: daemons.show_life(c, ONE, NOW)) == ""
    assert await database.query(lambda c: daemons.wanted_reload(c, "r-2")) == "w-1"
    one, two = await database.query(lambda c: daemons.serving(c, NOW))
    assert (one.reload_done, one.reload_said) == ("w-1", {"outcome": "reloaded"})
    assert (two.reload_done, two.reload_said) == ("", {})


async def test_who_was_silent_for_long_is_not_asked_and_forgotten_after_a_day(database: Database) -> None:
    await database.transact(lambda c: daemons.begin_serving(c, ONE, NOW))
    await _silent(database, timedelta(hours=2))
    assert await database.transact(lambda c: daemons.ask_to_reload(c, "w", NOW, timedelta(minutes=5))) == []
    await _silent(database, timedelta(hours=25))
    await database.transact(lambda c: daemons.begin_serving(c, TWO, NOW))
    assert [one.run for one in await database.query(lambda c: daemons.serving(c, NOW))] == ["r-2"]


async def test_a_process_that_was_taken_for_dead_gets_its_row_back(database: Database) -> None:
    await database.transact(lambda c: daemons.begin_serving(c, ONE, NOW))
    await database.transact(lambda c: daemons.end_serving(c, "r-1"))
    await database.transact(lambda c: daemons.show_life(c, ONE, NOW))
    assert [one.run for one in await database.query(lambda c: daemons.serving(c, NOW))] == ["r-1"]


async def _silent(database: Database, since: timedelta) -> None:
    await database.transact(lambda c: c.execute(update(metadata.tables["daemon"]).values(beat_at=NOW - since)))
