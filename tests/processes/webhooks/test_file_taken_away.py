"""A real daemon whose SQLite file is moved away while webhooks come in."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.clock import SystemClock

pytestmark = pytest.mark.processes

CLOCK = SystemClock()
PLAN = WebhookPlan(delay=(0.0, 0.2), doubled=0.1, late=(0.1, 1.0))


@pytest.mark.fault(56, "moved away under a daemon: nothing is acknowledged, no new file is made; once back, it goes on")
async def test_a_daemon_whose_file_is_moved_away_acknowledges_nothing_until_it_is_back(
    open_day: Any, delivering: Any, sqlite_url: str
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    aside = file.with_name("aside.db")
    async with open_day(sqlite_url, seed) as day, delivering(day, PLAN) as deliveries:
        buying = asyncio.create_task(day.buyers())
        async with day.running() as process:
            await deliveries.answered(200)
            async with day.warehouse:  # what the test itself receives is not to be lost
                os.rename(file, aside)
                await deliveries.answered(503)
                gone = CLOCK.now()
                for _ in range(3):
                    await deliveries.answered(503)
                assert 200 not in {one.status for _, one in deliveries.attempts() if one.at > gone}
                assert "deleted, moved or replaced in use" in day.log.read_text()
                assert file.name not in os.listdir(file.parent)
                os.rename(aside, file)
            await deliveries.answered(200)
            await deliveries.ends(process, buying)
        await day.adds_up()
        assert day.wire.never_back()
