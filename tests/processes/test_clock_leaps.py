"""Real daemons whose wall clock is moved under them by libfaketime; their monotonic clock goes on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from channelsync.sdk.clock import SystemClock
from channelsync.store.proof import booked_orders_by_page
from channelsync.store.tables import metadata
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

HANG_GUARD = 300.0
CLOCK = SystemClock()
COMMAND = [sys.executable, "-c", "import sys; from channelsync.runtime.cli import main; sys.exit(main())"]
LIBRARIES = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))
NIGHTLY = """\
[seller]
time_zone = "Europe/Berlin"
[database]
url = "{url}"
[web]
listen = ""
[log]
format = "json"
[schedule]
comparison = "02:30"
housekeeping = "1m"
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "nightly" }}
"""
NIGHTS = {
    "gap": (datetime(2027, 3, 28, tzinfo=UTC), ["00:59", "01:01", "01:31", "02:31"], "01:01"),
    "overlap": (datetime(2026, 10, 25, tzinfo=UTC), ["00:29", "00:31", "01:29", "01:31"], "00:31"),
}
"""In Berlin 02:30 does not exist, or is there twice: the day, UTC times at which it is looked, and when it is run."""


class Hands:
    """Moves the wall clock of processes. environment: of those whose clock it is."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.ahead(timedelta())
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # or threads wait for one another
            "NO_FAKE_STAT": "1",  # or every module would be compiled anew
        }

    def ahead(self, span: timedelta) -> None:
        """From now on, within a second, the clock is so far ahead."""
        self._file.write_text(f"{span.total_seconds():+.0f}")

    def at(self, moment: datetime) -> None:
        """The clock shows this moment."""
        self.ahead(moment - CLOCK.now())


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    if not LIBRARIES:
        pytest.skip("the wall clock of a process is moved by libfaketime: apt-get install faketime")
    return Hands(LIBRARIES[0], tmp_path / "hands")


def told(log: Path, message: str, **fields: str) -> list[dict[str, Any]]:
    """The lines of a log that say so."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [one for one in lines if one["message"] == message and fields.items() <= one.items()]


@pytest.mark.fault(
    61, "as a process: a day ahead and a day behind while it works; nothing ends or runs twice, all is right"
)
async def test_a_daemon_whose_clock_leaps_by_a_day_ends_nothing_and_is_right_once_its_clock_is(
    open_day: Any, hands: Hands, sqlite_url: str
) -> None:
    async with open_day(sqlite_url, 61) as day:
        day.environment |= hands.environment

        async def sells_meanwhile() -> None:
            """Something is sold, and the daemon books it."""
            for name, site in day.sites.items():
                site.marketplace.buy(f"{name}-SKU-3", 1)
            many = sum(len(site.marketplace.orders) for site in day.sites.values())
            await day.until(lambda: booked(day, many))

        for leap in (timedelta(days=1), timedelta(days=-1)):
            async with day.running() as process:
                await day.settled(process)
                await day.until(lambda: planned(day))
                hands.ahead(leap)
                shown = (CLOCK.now() + leap).strftime("%Y-%m-%d")
                await sells_meanwhile()
                await sells_meanwhile()
                await day.until(lambda: logged_on(day, shown))  # noqa: B023 - waited for in the same round
                await day.until(lambda: compared(day))  # once, and no more on the day behind
            hands.ahead(timedelta())
        async with day.running() as process:
            await day.settled(process)
        assert [len(told(day.log, "task.done", task=f"comparison:{name}")) for name in day.sites] == [1, 1]
        problems = (await day.database.query(verify, snapshot=True)).problems
        assert [one for one in problems if "or the clocks" not in one.what] == [], "by such a clock, some left too late"
        assert day.wire.never_back()


async def booked(day: Any, orders: int) -> bool:
    """Whether so many orders are booked."""
    return orders == sum([len(page) for page in await day.database.query(lambda c: list(booked_orders_by_page(c)))])


async def planned(day: Any) -> bool:
    """Whether it is known when the nightly comparisons are due."""
    known = await day.database.query(lambda c: set(c.scalars(select(metadata.tables["schedule"].c.name))))
    return {f"comparison:{name}" for name in day.sites} <= known


async def compared(day: Any) -> bool:
    """Whether the nightly comparisons have been run."""
    return all(told(day.log, "task.done", task=f"comparison:{name}") for name in day.sites)


async def logged_on(day: Any, date: str) -> bool:
    return f'"time": "{date}' in day.log.read_text()


@pytest.mark.fault(62, "as a process: a nightly task at a time that is not there, or there twice, is run once")
@pytest.mark.parametrize("night", NIGHTS)
async def test_a_daemon_runs_its_nightly_task_once_when_summer_time_begins_or_ends(
    hands: Hands, sqlite_url: str, tmp_path: Path, night: str
) -> None:
    config, log = tmp_path / "config.toml", tmp_path / "daemon.log"
    config.write_text(NIGHTLY.format(url=sqlite_url))
    day, looks, expected = NIGHTS[night]
    hands.at(day - timedelta(hours=12))
    environment = {**os.environ, **hands.environment}  # noqa: TID251 - what the processes get
    with log.open("ab") as lines:
        process = subprocess.Popen([*COMMAND, "--config", str(config), "run"], stderr=lines, env=environment)  # noqa: ASYNC220 - begins at once
    try:
        async with asyncio.timeout(HANG_GUARD):
            await kept_house(log, day - timedelta(hours=12))
            for look in looks:
                hands.at(datetime.combine(day, time.fromisoformat(look), UTC))
                await kept_house(log, datetime.combine(day, time.fromisoformat(look), UTC))
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()
    (ran,) = told(log, "task.done", task="comparison:shop")
    assert timedelta() <= at(ran) - datetime.combine(day, time.fromisoformat(expected), UTC) < timedelta(minutes=1)


def at(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["time"])


async def kept_house(log: Path, since: datetime) -> None:
    """Returns once the daemon has looked what is to be done, by a clock that shows this moment."""
    while not any(at(one) >= since for one in told(log, "task.done", task="housekeeping")):  # noqa: ASYNC110 - a file
        await asyncio.sleep(0.1)
