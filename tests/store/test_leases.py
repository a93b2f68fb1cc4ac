"""A lease is looked at when a write is recorded: whose it is, until when, and that it stays so until the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, text, update

from channelsync.sdk.clock import SystemClock
from channelsync.store.database import Database
from channelsync.store.leases import Lease, LeaseLost, check_lease, give_up_lease, take_lease
from channelsync.store.tables import metadata

NOW = SystemClock().now()
"""Leases are measured by the database's clock on PostgreSQL, so it must be about the time of this machine."""

LASTS = timedelta(hours=1)
LEASE = metadata.tables["lease"]


async def taken(database: Database, owner: str, now: datetime = NOW) -> Lease:
    lease = await database.transact(lambda c: take_lease(c, "shop", owner, now, LASTS))
    assert lease is not None
    return lease


async def holds(database: Database, lease: Lease) -> bool:
    """Whether a write by this lease may be recorded now."""
    try:
        await database.transact(lambda c: check_lease(c, lease, NOW))
    except LeaseLost:
        return False
    return True


async def test_whose_account_was_taken_over_has_lost_it(database: Database) -> None:
    first = await taken(database, "a")
    assert await holds(database, first)
    await database.transact(lambda c: give_up_lease(c, first, NOW))
    second = await taken(database, "b")
    assert (await holds(database, first), await holds(database, second)) == (False, True)


async def test_who_lost_an_account_in_between_does_not_write_by_what_was_before(database: Database) -> None:
    first = await taken(database, "a")
    await database.transact(lambda c: give_up_lease(c, first, NOW))
    second = await taken(database, "b")
    await database.transact(lambda c: give_up_lease(c, second, NOW))
    again = await taken(database, "a")
    assert (await holds(database, first), await holds(database, again)) == (False, True)
    assert not await holds(database, replace(again, token=again.token + 1))


async def test_a_lease_that_ran_out_is_lost_though_nobody_took_it(database: Database) -> None:
    lease = await taken(database, "a")
    await database.transact(lambda c: c.execute(update(LEASE).values(until=NOW - timedelta(seconds=1))))
    assert not await holds(database, lease)


async def test_an_account_that_nobody_ever_had_is_nobodys(database: Database) -> None:
    assert not await holds(database, Lease("shop", "a", 0))


@pytest.mark.postgresql
async def test_nobody_takes_an_account_over_between_the_look_at_the_lease_and_the_end_of_what_it_is_for(
    postgresql_database: Database,
) -> None:
    lease = await taken(postgresql_database, "a")
    looked, done = asyncio.Event(), list[str]()

    def recorded(connection: Connection) -> None:
        check_lease(connection, lease, NOW)
        looked.set()
        for _ in range(200):
            waiting = connection.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first()
            if waiting is not None or done:
                break
            connection.execute(text("SELECT pg_sleep(0.05)"))
        done.append("recorded")

    async def taken_over() -> None:
        await looked.wait()
        await postgresql_database.transact(lambda c: give_up_lease(c, lease, NOW))
        await taken(postgresql_database, "b")
        done.append("taken over")

    await asyncio.gather(postgresql_database.transact(recorded), taken_over())
    assert done == ["recorded", "taken over"]
