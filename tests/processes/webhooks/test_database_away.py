"""Real daemons that take webhooks in while their database cannot be written to: it is killed, or its disk is full."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.migrations import upgrade

pytestmark = pytest.mark.processes

CLOCK = SystemClock()
PLAN = WebhookPlan(delay=(0.0, 0.2), doubled=0.1, late=(0.1, 1.0))


async def migrated(server: EmbeddedPostgres) -> str:
    """The address of the server's database "shop", which has its tables now."""
    async with open_database(server.url("shop")) as database:
        await upgrade(database)
    return server.url("shop")


async def end_sessions(server: EmbeddedPostgres) -> None:
    """Ends every session in the shop's database, whatever it is doing."""
    other = await asyncpg.connect(server.url())
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()"
    )
    await other.close()


@pytest.mark.fault(20, "PostgreSQL killed: what was answered 2xx is booked once, the rest gets 503 and comes again")
@pytest.mark.fault(52, "sessions ended and the server killed while the daemon works: it goes on, nothing is lost")
@pytest.mark.postgresql
@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.soak)])
async def test_a_daemon_whose_postgresql_is_killed_under_webhooks_goes_on_by_itself_once_it_is_back(
    open_day: Any, delivering: Any, own_postgresql_server: EmbeddedPostgres, kills: int
) -> None:
    server, seed = own_postgresql_server, random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.create_database, "shop")
    async with open_day(await migrated(server), seed) as day, delivering(day, PLAN) as deliveries:
        buying = asyncio.create_task(day.buyers())
        async with day.running() as process:
            await deliveries.answered(200)
            begun = CLOCK.now()
            for _ in range(kills):
                async with day.warehouse:  # what the test itself receives is not to be lost
                    await day.something_for_sale()
                    await end_sessions(server)
                    await deliveries.answered(200)
                    await day.something_for_sale()
                    server.kill9()
                    await deliveries.answered(503)
                    await asyncio.to_thread(server.start)
                    await deliveries.answered(200)
            await deliveries.ends(process, buying)
            ended = CLOCK.now()  # a number that was pushed last may be told of when nobody listens any more
        answers = {one.status for _, one in deliveries.attempts() if begun <= one.at <= ended}
        assert answers == {200, 503}
        await day.adds_up()
        assert day.wire.never_back()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 48 MB, in memory; anybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="channelsync-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m,mode=711", "none", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"a disk that can be filled is a mount, which takes root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


async def truncated(path: Path) -> bool:
    """Whether SQLite's write-ahead log could be emptied."""
    with closing(sqlite3.connect(path)) as connection:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def fill(disk: Path) -> None:
    """Takes all the room that is left."""
    with (disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


@pytest.fixture
def cramped_sqlite_url(migrated_sqlite_file: Path, small_disk: Path) -> str:
    """The address of a migrated file on the small disk."""
    shutil.copyfile(migrated_sqlite_file, small_disk / "channelsync.db")
    return f"sqlite:///{small_disk}/channelsync.db"


@pytest.fixture
async def cramped_postgresql_url(own_postgresql_server: EmbeddedPostgres, small_disk: Path) -> str:
    """The address of a migrated database whose tables are on the small disk; the server itself has room."""
    server = own_postgresql_server
    await asyncio.to_thread(server.start)
    space, owner = small_disk / "space", server.data_dir.stat()
    space.mkdir(mode=0o700)
    os.chown(space, owner.st_uid, owner.st_gid)
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE TABLESPACE cramped LOCATION '{space}'")
    await connection.execute("CREATE DATABASE shop TABLESPACE cramped")
    await connection.close()
    return await migrated(server)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def cramped_url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated database on the small disk."""
    url: str = request.getfixturevalue(f"cramped_{request.param}_url")
    return url


@pytest.mark.fault(55, "nothing is acknowledged, the log says why and what to do; it goes on when there is room")
async def test_a_daemon_whose_disk_is_full_acknowledges_nothing_says_so_and_goes_on_when_there_is_room(
    open_day: Any, delivering: Any, cramped_url: str, small_disk: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(cramped_url, seed) as day, delivering(day, PLAN) as deliveries:
        buying = asyncio.create_task(day.buyers())
        async with day.running() as process:
            await deliveries.answered(200)
            async with day.warehouse:  # what the test itself receives is not to be lost
                if cramped_url.startswith("sqlite"):  # its log would be written from the start again, without new room
                    await day.until(lambda: truncated(small_disk / "channelsync.db"))
                fill(small_disk)
                await deliveries.answered(503)
                await deliveries.ready(503)
                assert "The disk or the database is full; nothing was written. Make room" in day.log.read_text()
                (small_disk / "filler").unlink()
            await deliveries.answered(200)
            await deliveries.ready(200)
            await deliveries.ends(process, buying)
        await day.adds_up()
        assert day.wire.never_back()
