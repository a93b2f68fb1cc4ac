"""SIGTERM to the real daemon under load: it finishes what it began, gives up what it holds, and ends with 0."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import Connection, or_, select

from channelsync.store.tables import metadata
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

_LEASE = metadata.tables["lease"]
_RUN = metadata.tables["run"]
_WRITE = metadata.tables["quantity_write"]


def left_open(connection: Connection) -> list[str]:
    """What a daemon that has ended should not leave: leases, runs without an end, writes without an outcome."""
    held = connection.scalars(select(_LEASE.c.identity).where(_LEASE.c.owner != ""))
    unended = connection.scalars(
        select(_RUN.c.id).where(_RUN.c.command == "run", or_(_RUN.c.ended_at.is_(None), _RUN.c.outcome != "done"))
    )
    unheard = connection.scalars(select(_WRITE.c.key).where(_WRITE.c.closed_at.is_(None), _WRITE.c.outcome == ""))
    return [*held, *unended, *map(str, unheard)]


@pytest.mark.fault(48, "what is under way is finished, nothing new is begun, every lease is given up, it ends with 0")
@pytest.mark.parametrize("stops", [2, pytest.param(100, marks=pytest.mark.soak)])
async def test_a_daemon_that_is_told_to_stop_under_load_finishes_what_it_began_and_leaves_nothing_open(
    open_day: Any, database_url: str, stops: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(database_url, seed) as day:
        buying = asyncio.create_task(day.buyers())
        for number in range(stops):
            process = day.start()
            try:
                path = ("/v1/numbers", "/v1/orders", "/v1/numbers/read", "")[number % 4]
                await day.trapped(path, day.dice.randint(1, 4), process.terminate, before=False)
                assert await day.ended(process) == 0, day.tail()
            finally:
                process.kill()
                process.wait()
            assert await day.database.query(left_open) == [], day.tail()
        day.closing.set()
        await buying
        async with day.running() as process:
            await day.settled(process)
        assert (await day.database.query(verify, snapshot=True)).problems == []
        assert day.wire.never_back()
