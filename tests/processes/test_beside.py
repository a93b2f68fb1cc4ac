"""What is started beside a real daemon that works: another daemon on the same file, and `channelsync reconcile`."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

WITHIN = 120
"""Seconds that reconcile may take. Here, where every number changes every two seconds, it needs about ten."""


@pytest.mark.fault(50, "as processes, on SQLite: the second ends at once and names the first, which goes on")
@pytest.mark.fault(51, "in a busy shop, as processes: the daemon is asked, and does it in time; nothing is doubled")
@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.soak)])
async def test_beside_a_daemon_in_a_busy_shop_a_second_one_is_refused_and_reconcile_leaves_the_work_to_it(
    open_day: Any, database_url: str, rounds: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(database_url, seed) as day, day.running() as process:
        await day.settled(process)
        buying = asyncio.create_task(day.buyers())
        if database_url.startswith("sqlite"):
            refused = await day.runs("run", code=7)
            assert f"process {process.pid}" in refused.stderr
            assert "Stop it first" in refused.stderr
        for _ in range(rounds):
            told = json.loads((await day.runs("reconcile", "--wait", str(WITHIN), "--json")).stdout)
            assert (told["by"], told["left"], told["failures"]) == ("the daemon", 0, {})
            assert told["compared"] == sum(len(site.marketplace.offers) for site in day.sites.values())
        day.closing.set()
        await buying
        await day.settled(process)
        assert (await day.database.query(verify, snapshot=True)).problems == []
        assert day.wire.never_back()
