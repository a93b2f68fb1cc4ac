"""Two real daemons on one PostgreSQL: they share the accounts, and one that slept past its lease does no harm."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from typing import Any

import pytest
from sqlalchemy import Connection, select

from channelsync.runtime.wiring import worker_name
from channelsync.sdk.clock import SystemClock
from channelsync.store.tables import metadata
from channelsync.sync.verify import verify

pytestmark = [pytest.mark.processes, pytest.mark.postgresql]

CLOCK = SystemClock()
LEASE = 2.0
"""Seconds, as the configuration of the day says."""

_LEASE = metadata.tables["lease"]
_RUN = metadata.tables["run"]


def holders(connection: Connection) -> dict[str, str]:
    """Who holds which account, the expired leases too."""
    return {row.identity: row.owner for row in connection.execute(select(_LEASE))}


def daemons(connection: Connection) -> list[str]:
    """The names of the daemons that have started, in that order."""
    started = select(_RUN.c.id).where(_RUN.c.command == "run").order_by(_RUN.c.started_at)
    return [worker_name(run) for run in connection.scalars(started)]


@pytest.mark.fault(49, "what it was about to send does not leave")
@pytest.mark.parametrize("stops", [3, pytest.param(100, marks=pytest.mark.soak)])
async def test_a_daemon_that_is_stopped_past_its_leases_and_goes_on_stays_safe(
    open_day: Any, postgresql_url: str, stops: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(postgresql_url, seed) as day:
        buying = asyncio.create_task(day.buyers())
        async with day.running() as first:
            await day.until(lambda: started(day, 1))  # so that we know which is which
            async with day.running() as second:
                await day.until(lambda: started(day, 2))
                for number in range(stops):
                    await stop_one(day, [first, second], at_a_write=number % 2 == 0)
                day.closing.set()
                await buying
                await day.settled(second)

        await day.adds_up()
        assert day.wire.never_back()
        assert set((await day.database.query(holders)).values()) == {""}


@pytest.mark.fault(50, "as processes: they share the accounts; one is killed, and the other has them within the lease")
async def test_the_accounts_of_a_daemon_that_is_killed_are_taken_over_within_the_lease(
    open_day: Any, postgresql_url: str
) -> None:
    async with open_day(postgresql_url, 50) as day:
        first = day.start()
        try:
            await day.until(lambda: started(day, 1))  # so that we know which is which
            async with day.running() as second:
                await day.until(lambda: shared(day))
                dead, _ = await day.database.query(daemons)
                first.kill()
                killed = CLOCK.monotonic()
                await day.until(lambda: taken_over(day, dead))
                took = CLOCK.monotonic() - killed
                print(f"taken over after {took:.1f} s, of a lease of {LEASE:.0f} s")  # noqa: T201 - a figure
                assert took < 10 * LEASE, "a guard: it hangs"
                for name, site in day.sites.items():
                    site.marketplace.buy(f"{name}-SKU-3", 1)
                await day.settled(second)
                assert dead not in (await day.database.query(holders)).values()
        finally:
            first.kill()
            first.wait()
        assert (await day.database.query(verify, snapshot=True)).problems == []
        assert day.wire.never_back()


async def stop_one(day: Any, processes: list[subprocess.Popen[bytes]], *, at_a_write: bool) -> None:
    """Stops the daemon that has agora's account until the other has everything and has written; then it goes on."""

    async def agora_is_held() -> bool:
        return await holder() in await day.database.query(daemons)

    async def holder() -> str:
        held = await day.database.query(holders)
        return str(next((owner for identity, owner in held.items() if "agora" in identity), ""))

    await day.until(agora_is_held)
    sleeper = await holder()
    process = processes[(await day.database.query(daemons)).index(sleeper)]
    if at_a_write:  # its request arrives, its answer is not heard
        await day.trapped(
            "/v1/numbers", day.dice.randint(1, 3), lambda: process.send_signal(signal.SIGSTOP), before=False
        )
    else:
        await asyncio.sleep(day.dice.uniform(0, 2))
        process.send_signal(signal.SIGSTOP)
    try:
        await day.until(lambda: taken_over(day, sleeper))
        written = len(day.wire.calls)
        await day.until(lambda: wrote(day, written))
    finally:
        process.send_signal(signal.SIGCONT)


async def started(day: Any, many: int) -> bool:
    return len(await day.database.query(daemons)) == many


async def shared(day: Any) -> bool:
    """Whether each of two daemons has an account."""
    return len(set((await day.database.query(holders)).values()) - {""}) == len(day.sites)


async def taken_over(day: Any, sleeper: str) -> bool:
    owners = set((await day.database.query(holders)).values())
    return sleeper not in owners and "" not in owners


async def wrote(day: Any, since: int) -> bool:
    return any(path == "/v1/numbers" for _, path, _ in day.wire.calls[since:])
