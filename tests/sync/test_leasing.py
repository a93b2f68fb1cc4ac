"""Who publishes to which account: taken, renewed, lost and given up; on SQLite everything is one's own."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.right_to_write import may_write
from channelsync.store.database_errors import DatabaseBusy
from channelsync.store.leases import hook_lease, take_lease
from channelsync.store.sessions import session_of
from channelsync.store.standing import leases_standing
from channelsync.sync.agent import Agent
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup

LASTS = timedelta(seconds=60)


@pytest.fixture
def workers(postgresql_database: Any, clock: Any) -> Any:
    """Makes the leases of a worker: workers("a")."""

    def made(name: str) -> Leases:
        return Leases(agent_on(postgresql_database, clock), name, LASTS)

    return made


def agent_on(database: Any, clock: Any) -> Agent:
    setup = Setup(channels={}, locations=("main",))
    measures = Measures(at=clock.now(), prior=setup.prior_demand)
    return Agent(database=database, clock=clock, setup=setup, run="test", measures=measures)


async def test_on_sqlite_every_account_is_ones_own(sqlite_database: Any, clock: Any) -> None:
    leases = Leases(agent_on(sqlite_database, clock), "a", LASTS)

    assert leases.held("") is None
    held = leases.held("shop")
    assert held is not None
    assert held.lease is None
    assert await leases.take("shop") == held


@pytest.mark.postgresql
async def test_an_account_belongs_to_one_worker(workers: Any) -> None:
    first, second = workers("a"), workers("b")

    assert await first.take("shop") is not None
    assert await second.take("shop") is None
    assert await second.take("market") is not None
    assert second.held("shop") is None


@pytest.mark.postgresql
async def test_renewing_keeps_the_token_and_a_new_holder_gets_a_larger_one(workers: Any) -> None:
    first, second = workers("a"), workers("b")
    taken = await first.take("shop")
    renewed = await first.take("shop")
    await first.give_up()
    later = await second.take("shop")

    assert taken.lease.token == renewed.lease.token < later.lease.token


@pytest.mark.postgresql
async def test_a_worker_that_did_not_renew_in_time_holds_nothing_by_its_own_clock(workers: Any, clock: Any) -> None:
    leases = workers("a")
    await leases.take("shop")
    await clock.sleep(LASTS.total_seconds() * 0.95)

    assert leases.held("shop") is None


@pytest.mark.postgresql
async def test_a_lease_that_ran_out_is_free(workers: Any, postgresql_database: Any) -> None:
    first, second = workers("a"), workers("b")
    await first.take("shop")
    await postgresql_database.transact(lambda c: c.execute(text("UPDATE lease SET until = now() - interval '1s'")))

    assert await second.take("shop") is not None
    assert await first.take("shop") is None
    assert first.held("shop") is None


@pytest.mark.postgresql
async def test_leases_are_kept_while_a_block_runs_and_given_up_at_its_end(workers: Any) -> None:
    first, second = workers("a"), workers("b")
    first._agent.clock = SystemClock()  # one that really waits: it renews in the background
    async with first.kept():
        await first.take("shop")
        assert await second.take("shop") is None
    assert await second.take("shop") is not None


@pytest.mark.postgresql
async def test_an_account_is_not_given_up_because_the_database_could_not_be_asked_once(
    workers: Any, postgresql_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers("a"), workers("b")
    first._agent.channels.update(shop=Channel("shop"))
    await first.take("shop")
    asked = 0

    async def busy(*_given: Any) -> list[str]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise DatabaseBusy
        assert await second.take("shop") is None
        raise asyncio.CancelledError

    monkeypatch.setattr(first, "_shared", busy)
    with pytest.raises(asyncio.CancelledError):
        await first.keep()
    assert asked == 2
    assert await second.take("shop") is not None, "given up when it was told to stop"


class Channel:
    """As much of a channel as leases look at."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.wake_orders = asyncio.Event()
        self.wake_publisher = asyncio.Event()


@pytest.mark.postgresql
async def test_the_channels_of_an_account_that_has_just_become_ours_are_woken(workers: Any) -> None:
    leases = workers("a")
    shop, market = Channel("shop"), Channel("market")
    leases._agent.channels.update(shop=shop, market=market)
    await leases.take("shop")
    assert shop.wake_publisher.is_set()
    assert shop.wake_orders.is_set()
    assert not market.wake_publisher.is_set()

    shop.wake_publisher.clear()
    await leases.take("shop")
    assert not shop.wake_publisher.is_set()


class LeapingClock:
    """A clock whose wall time leaps, as after a machine has slept, while its other time stands still."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.leapt = timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.leapt

    def monotonic(self) -> float:
        return self._clock.monotonic()


@pytest.mark.postgresql
async def test_a_machine_that_slept_past_its_lease_holds_nothing(workers: Any) -> None:
    leases = workers("a")
    clock = leases._agent.clock = LeapingClock(leases._agent.clock)
    await leases.take("shop")
    clock.leapt = LASTS

    assert leases.held("shop") is None


@pytest.mark.postgresql
async def test_writes_may_leave_as_long_as_the_account_is_held_and_not_when_it_was_lost_in_between(
    workers: Any,
) -> None:
    first, second = workers("a"), workers("b")
    with first.writing("shop", await first.take("shop")):
        assert may_write()
        await first.take("shop")
        assert may_write()
        await first.give_up()
        assert not may_write()
        await second.take("shop")
        await second.give_up()
        await first.take("shop")
        assert not may_write()


@pytest.mark.postgresql
async def test_who_takes_an_account_over_is_not_held_up_by_what_the_last_holder_has_locked(
    workers: Any, postgresql_database: Any, postgresql_url: str
) -> None:
    sleeper, second = workers("sleeper"), workers("b")
    await sleeper.take("shop")
    await postgresql_database.transact(lambda c: c.execute(text("UPDATE lease SET until = now() - interval '1s'")))
    stuck = await asyncpg.connect(postgresql_url, server_settings={"application_name": session_of("sleeper")})
    await stuck.execute("BEGIN; SELECT * FROM lease FOR UPDATE")

    assert await second.take("shop") is not None
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        await stuck.fetch("SELECT 1")


@pytest.mark.postgresql
async def test_who_takes_a_hook_over_ends_nobodys_sessions(
    workers: Any, postgresql_database: Any, postgresql_url: str, clock: Any
) -> None:
    now = clock.now()
    for owner in ("slow", "b"):
        await postgresql_database.transact(lambda c: c.execute(text("UPDATE lease SET until = now() - interval '1s'")))
        taken = await postgresql_database.transact(
            lambda c, owner=owner: take_lease(c, hook_lease("wms"), owner, now, LASTS, ends_sessions=False)
        )
        assert taken is not None
        if owner == "slow":
            busy = await asyncpg.connect(postgresql_url, server_settings={"application_name": session_of("slow")})
    assert await busy.fetchval("SELECT 1") == 1
    await busy.close()


async def test_a_lease_on_sqlite_that_a_wrong_clock_made_is_free(sqlite_database: Any, clock: Any) -> None:
    async def taken(owner: str) -> Any:
        now = clock.now()
        return await sqlite_database.transact(lambda c: take_lease(c, hook_lease("wms"), owner, now, LASTS))

    clock.at += timedelta(days=1)
    assert await taken("killed") is not None
    assert await taken("b") is None
    clock.at -= timedelta(days=1)
    assert await taken("b") is not None


async def test_hooks_are_no_accounts_when_workers_share_them(postgresql_database: Any, clock: Any) -> None:
    first, second = (sharing(postgresql_database, clock, name) for name in ("a", "b"))
    now = clock.now()
    for number in range(6):
        await postgresql_database.transact(
            lambda c, number=number: take_lease(c, hook_lease(f"wms-{number}"), "a", now, LASTS)
        )
    for _ in range(6):
        await rounds(first)
        await rounds(second)
    assert (len(first.accounts()), len(second.accounts())) == (2, 2)
    told = await postgresql_database.query(leases_standing)
    assert [one.identity for one in told] == ["shop-0", "shop-1", "shop-2", "shop-3"]


async def test_two_workers_come_to_share_the_accounts_evenly(postgresql_database: Any, clock: Any) -> None:
    first, second = (sharing(postgresql_database, clock, name) for name in ("a", "b"))
    await rounds(first)
    assert first.accounts() == ["shop-0", "shop-1", "shop-2", "shop-3"]
    for _ in range(4):
        await rounds(first)
        await rounds(second)
        assert not set(first.accounts()) & set(second.accounts())
    assert (len(first.accounts()), len(second.accounts())) == (2, 2)


async def test_an_account_that_nobody_else_takes_is_taken_again_and_not_left_a_second_time(
    postgresql_database: Any, clock: Any
) -> None:
    alone = sharing(postgresql_database, clock, "a")
    held = []
    for _ in range(12):
        await rounds(alone)
        held.append(len(alone.accounts()))
    assert min(held) == 2
    assert held[-6:] == [4] * 6


def sharing(database: Any, clock: Any, name: str) -> Leases:
    """Of a worker that shares four accounts with another one, which is alive."""
    agent = agent_on(database, clock)
    for number in range(4):
        agent.channels[f"shop-{number}"] = SimpleNamespace(  # type: ignore[assignment]
            identity=f"shop-{number}", wake_orders=asyncio.Event(), wake_publisher=asyncio.Event()
        )
    return Leases(agent, name, LASTS, lambda connection, now: ["a", "b"])


async def rounds(leases: Leases) -> None:
    """One round of `keep`, which gives nothing up at its end."""
    for identity in await leases._shared({f"shop-{number}" for number in range(4)}):
        await leases._renew(identity)
