"""kill -9 of the receiver under load: everything that was answered 2xx is there, exactly once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from channelsync.lab.webhook_sender import WebhookPlan
from channelsync.sdk.clock import SystemClock
from channelsync.store import inbox
from channelsync.store.database import Database, open_database

pytestmark = pytest.mark.processes

HANG_GUARD = 300.0
CLOCK = SystemClock()
COMMAND = "import sys; from channelsync.runtime.cli import main; sys.exit(main())"
KEY = b"0123456789abcdef0123456789abcdef"
SENDERS = 8
LONGEST_LIFE = 0.5
"""Seconds after its first answer until the receiver is killed at the latest."""

CONFIG = """\
[database]
url = "{url}"
[web]
listen = "127.0.0.1:{port}"
[log]
format = "json"
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "sandbox"
[channel.settings]
base_url = "http://127.0.0.1:9"
refresh_token = "rt-1"
webhook_secrets = ["whsec_{secret}"]
"""


class Senders:
    """A channel that sends events to the receiver, each until it is taken. taken: how often each was."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.taken: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._answered = asyncio.Event()
        self.closing = asyncio.Event()
        self._url = f"http://127.0.0.1:{port}/webhooks/shop"
        self._dice = dice
        self._numbers = itertools.count()

    async def answered(self, process: subprocess.Popen[bytes]) -> None:
        """Returns once a process answers, more often than there are senders: what the last one sent may come now."""
        for _ in range(SENDERS + 1):
            self._answered.clear()
            while not self._answered.is_set():
                assert process.poll() is None, "it ended by itself"
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._answered.wait()

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=HANG_GUARD) as client, asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._send(client))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while not self.closing.is_set():
            event = f"e-{next(self._numbers)}"
            while not self.closing.is_set() and not await self._taken(client, event):  # noqa: ASYNC110 - or it is away
                await asyncio.sleep(0.02)
            if self._dice.random() < 0.2:
                await self._taken(client, event)  # channels send twice what was taken, too

    async def _taken(self, client: httpx.AsyncClient, event: str) -> bool:
        """Sends once; whether it was answered 2xx."""
        body = json.dumps({"type": "order.updated", "data": {"order": {"id": f"o-{event}"}}}).encode()
        stamp = str(int(CLOCK.now().timestamp()))
        digest = hmac.digest(KEY, f"{event}.{stamp}.".encode() + body, hashlib.sha256)
        headers = {
            "webhook-id": event,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        try:
            answer = await client.post(self._url, content=body, headers=headers)
        except httpx.TransportError:
            return False
        self.statuses[answer.status_code] += 1
        if answer.is_success:
            self.taken[event] += 1
            self._answered.set()
        return answer.is_success


@contextmanager
def started(config: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of channelsync; killed at the end, whatever happens."""
    environment = {name: value for name, value in os.environ.items() if name != "CHANNELSYNC_CONFIG"}  # noqa: TID251
    with config.with_name("process.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--config", str(config), *command], stderr=log, env=environment
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def events(database: Database) -> Counter[str]:
    """How many rows the inbox has of each event."""
    rows = await database.query(lambda c: inbox.list_deliveries(c, limit=10**6))
    return Counter(row.event for row in rows)


@pytest.mark.fault(47, "every event that was answered 2xx is in the inbox exactly once, whenever it was killed")
@pytest.mark.parametrize("kills", [4, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_a_receiver_that_is_killed_at_random_has_kept_everything_that_it_acknowledged_once(
    database_url: str, receiver_port: int, tmp_path: Path, kills: int
) -> None:
    url = database_url
    kills = kills if url.startswith("sqlite") else kills // 4
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    dice, port, config = random.Random(seed), receiver_port, tmp_path / "config.toml"
    config.write_text(CONFIG.format(url=url, port=port, secret=base64.b64encode(KEY).decode()))
    senders = Senders(port, dice)
    sending = asyncio.create_task(senders.run())
    async with asyncio.timeout(HANG_GUARD + 10 * kills):
        for _ in range(kills):
            with started(config, "webhooks") as process:
                await senders.answered(process)
                await asyncio.sleep(dice.uniform(0, LONGEST_LIFE))
                assert process.poll() is None, "it ended by itself"
        with started(config, "webhooks") as process:
            await senders.answered(process)
            senders.closing.set()
            await sending
            process.terminate()
            assert await asyncio.to_thread(process.wait, HANG_GUARD) == 0
    async with open_database(url) as database:
        kept = await events(database)
    assert senders.statuses.keys() <= {200, 503}, "a busy machine may not write in time"
    assert len(senders.taken) > kills
    assert [event for event in senders.taken if kept[event] != 1] == []
    assert set(kept.values()) == {1}, "what was kept and whose answer was lost is there once too"


@pytest.mark.fault(47, "every event that was acknowledged is followed, and every order booked exactly once")
@pytest.mark.parametrize("kills", [2, pytest.param(300, marks=pytest.mark.soak)])
async def test_a_daemon_that_is_killed_while_webhooks_come_books_every_order_once(
    open_day: Any, delivering: Any, database_url: str, kills: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    plan = WebhookPlan(delay=(0.0, 0.3), lost=0.05, doubled=0.2, late_share=0.1, late=(0.5, 3.0), forged=0.05)
    async with open_day(database_url, seed) as day, delivering(day, plan) as deliveries:
        day.configure('order_poll = "1s"', 'order_poll = "5s"')
        buying = asyncio.create_task(day.buyers())
        for _ in range(kills):
            process = day.start()
            try:
                await deliveries.answered(200)
                await asyncio.sleep(day.dice.uniform(0, 2.0))
                assert process.poll() is None, day.tail()
            finally:
                process.kill()
                process.wait()
        day.closing.set()
        await buying
        async with day.running() as process:
            await day.settled(process)
            deliveries.stop()
            await deliveries.each_kept_once()

        assert len({one.message for _, one in deliveries.attempts() if one.status == 200}) > kills
        assert {one.status for _, one in deliveries.attempts() if one.outcome == "forged"} <= {401, None}
        await day.adds_up()
