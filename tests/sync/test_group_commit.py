"""Group commit: many callers, few transactions, and each is told of its own only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, text
from structlog.testing import capture_logs

from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseConflict, DatabaseFull
from channelsync.sync.group_commit import BATCH_MAX, GroupCommit, TooMuchWaiting


class Writes:
    """Counts transactions, and can be held back or made to fail."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.begun = asyncio.Event()
        self.error: Exception | None = None
        self.tried = 0

    async def transact(self, work: Any) -> Any:
        self.begun.set()
        await self.may_go.wait()
        self.tried += 1
        if self.error is not None:
            raise self.error
        return work(None)

    def unit(self, _connection: Connection, given: Sequence[int]) -> list[int]:
        if any(one < 0 for one in given):
            raise ValueError(f"no negative numbers: {min(given)}")
        self.batches.append(list(given))
        return [2 * one for one in given]


@pytest.fixture
def writes() -> Writes:
    return Writes()


def group(writes: Writes, **options: Any) -> GroupCommit[int, list[int], int]:
    database: Any = writes
    return GroupCommit(database, writes.unit, lambda results: results, name="test", **options)


async def test_all_that_comes_while_one_transaction_runs_goes_into_the_next(writes: Writes) -> None:
    writes.may_go.clear()
    async with group(writes) as commits:
        first = asyncio.create_task(commits.put(1))
        await writes.begun.wait()
        others = [asyncio.create_task(commits.put(number)) for number in range(2, 2 + BATCH_MAX + 5)]
        await asyncio.sleep(0)
        writes.may_go.set()
        assert await asyncio.gather(first, *others) == [2 * number for number in range(1, 2 + BATCH_MAX + 5)]
    assert [len(batch) for batch in writes.batches] == [1, BATCH_MAX, 5]


async def test_a_bad_one_harms_none_of_those_that_it_came_with(writes: Writes) -> None:
    async with group(writes) as commits:
        results = await asyncio.gather(*(commits.put(one) for one in (1, -2, 3)), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], ValueError)
    assert results[2] == 6


async def test_a_database_that_cannot_be_written_to_is_not_asked_for_each_of_them(writes: Writes) -> None:
    writes.error = DatabaseFull("no room")
    async with group(writes) as commits:
        results = await asyncio.gather(*(commits.put(one) for one in range(50)), return_exceptions=True)
    assert {type(one) for one in results} == {DatabaseFull}
    assert writes.tried == 1


async def test_a_conflict_of_one_is_no_conflict_of_all(writes: Writes) -> None:
    writes.error = DatabaseConflict("in the way")
    async with group(writes) as commits:
        await asyncio.gather(*(commits.put(one) for one in range(3)), return_exceptions=True)
    assert writes.tried == 4


async def test_more_than_may_wait_is_refused_at_once(writes: Writes) -> None:
    writes.may_go.clear()
    async with group(writes, waiting_max=2) as commits:
        first = asyncio.create_task(commits.put(1))
        await writes.begun.wait()
        waiting = [asyncio.create_task(commits.put(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(TooMuchWaiting):
            await commits.put(4)
        writes.may_go.set()
        assert await asyncio.gather(first, *waiting) == [2, 4, 6]


async def test_whoever_gave_up_before_its_turn_is_not_written(writes: Writes) -> None:
    writes.may_go.clear()
    async with group(writes) as commits:
        first = asyncio.create_task(commits.put(1))
        await writes.begun.wait()
        second, third = (asyncio.create_task(commits.put(number)) for number in (2, 3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        writes.may_go.set()
        assert [await first, await third] == [2, 6]
    assert writes.batches == [[1], [3]]


async def test_leaving_writes_what_still_waits(writes: Writes) -> None:
    writes.may_go.clear()
    async with group(writes) as commits:
        asked = [asyncio.create_task(commits.put(number)) for number in range(5)]
        await writes.begun.wait()
        asyncio.get_running_loop().call_soon(writes.may_go.set)
    assert [one.result() for one in asked] == [0, 2, 4, 6, 8]


async def test_leaving_does_not_wait_for_a_database_that_nobody_waits_for(writes: Writes) -> None:
    writes.may_go.clear()
    async with asyncio.timeout(30), group(writes) as commits:
        asked = asyncio.create_task(commits.put(1))
        await writes.begun.wait()
        asked.cancel()
        await asyncio.wait([asked])
    assert writes.batches == []


async def test_every_committed_batch_is_told_of_once(writes: Writes) -> None:
    told: list[list[int]] = []
    async with group(writes, on_committed=told.append) as commits:
        await asyncio.gather(commits.put(1), commits.put(-1), commits.put(2), return_exceptions=True)
    assert told == [[2], [4]]


async def test_what_was_answered_is_in_the_database(database: Database) -> None:
    def unit(connection: Connection, given: Sequence[int]) -> Sequence[int]:
        connection.execute(text("INSERT INTO noted (number) VALUES (:number)"), [{"number": one} for one in given])
        return given

    await database.transact(lambda c: c.execute(text("CREATE TABLE noted (number INTEGER)")))
    async with GroupCommit(database, unit, lambda given: given, name="test") as commits:
        await asyncio.gather(*(commits.put(number) for number in range(500)))
    found = await database.query(lambda c: c.execute(text("SELECT number FROM noted")).scalars().all())
    assert sorted(found) == list(range(500))


async def test_a_bug_in_telling_results_is_told_to_those_without_one_and_what_comes_after_is_written(
    writes: Writes,
) -> None:
    def each(results: list[int]) -> list[int]:
        return results[:1] if len(results) > 1 else results

    database: Any = writes
    async with asyncio.timeout(30), GroupCommit(database, writes.unit, each, name="test") as commits:
        with capture_logs() as lines:
            results = await asyncio.gather(commits.put(1), commits.put(2), return_exceptions=True)
        assert results[0] == 2
        assert isinstance(results[1], ValueError)
        assert await commits.put(3) == 6
    assert [(line["event"], line["entries"]) for line in lines] == [("group_commit.not_answered", 2)]


async def test_a_bug_of_whoever_is_told_of_batches_takes_no_result_away_and_is_logged(writes: Writes) -> None:
    def told(_outcome: list[int]) -> None:
        raise RuntimeError("a bug")

    async with asyncio.timeout(30), group(writes, on_committed=told) as commits:
        with capture_logs() as lines:
            assert [await commits.put(1), await commits.put(2)] == [2, 4]
    assert [line["event"] for line in lines] == ["group_commit.not_answered"] * 2
