"""kill -9 of the real daemon at random points under load: nothing that was taken in is lost or doubled."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from typing import Any

import pytest

from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

LONGEST_LIFE = 4.0
"""Seconds until a daemon is killed at the latest, where the moment is drawn and not the call."""


async def killed(day: Any, process: subprocess.Popen[bytes]) -> None:
    """Kills the daemon: at a moment, or when one of its calls is lost on its way, or when one was carried out."""
    if day.dice.random() < 0.4:
        await asyncio.sleep(day.dice.uniform(0, LONGEST_LIFE))
        process.kill()
    else:
        path = day.dice.choice(("/v1/numbers", "/v1/orders", ""))
        await day.trapped(path, day.dice.randint(1, 6), process.kill, before=day.dice.random() < 0.5)
    assert await day.ended(process) == -signal.SIGKILL, f"the daemon ended by itself:\n{day.tail()}"


@pytest.mark.fault(47, "nothing is lost, nothing doubled, and it goes on by itself")
@pytest.mark.fault(57, "without memory the system ends it as kill -9 does: nothing is lost, and it goes on by itself")
@pytest.mark.parametrize("kills", [5, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_a_daemon_that_is_killed_at_random_goes_on_by_itself_and_loses_and_doubles_nothing(
    open_day: Any, database_url: str, kills: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(database_url, seed) as day:
        buying = asyncio.create_task(day.buyers())
        for _ in range(kills):
            process = day.start()
            try:
                await killed(day, process)
            finally:
                process.kill()
                process.wait()
        day.closing.set()
        await buying
        async with day.running() as process:
            await day.settled(process)

        assert sum(len(site.marketplace.orders) for site in day.sites.values()) > kills
        await day.adds_up()
        assert day.wire.never_back()


@pytest.mark.parametrize("before", [True, False], ids=["lost on its way", "carried out"])
async def test_a_write_whose_answer_nobody_heard_is_read_before_its_key_is_written_again(
    open_day: Any, database_url: str, before: bool
) -> None:
    async with open_day(database_url, 1) as day:
        process = day.start()
        try:
            day.sites["agora"].marketplace.buy("agora-SKU-5", 3)
            await day.trapped("/v1/numbers", 1, process.kill, before=before)
            assert await day.ended(process) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        marketplace, _, body = [call for call in day.wire.calls if call[1] == "/v1/numbers"][-1]
        unheard = {row["key"] for row in body["updates"]}
        since = len(day.wire.calls)
        async with day.running() as process:
            await day.settled(process)

        for key in unheard:
            first = next(
                path
                for name, path, said in day.wire.calls[since:]
                if name == marketplace and path.startswith("/v1/numbers") and key in str(said)
            )
            assert first == "/v1/numbers/read", key
        assert (await day.database.query(verify, snapshot=True)).problems == []
