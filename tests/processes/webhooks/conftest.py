"""Webhooks that the marketplaces of a trading day send to its daemon, and what becomes of each."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from channelsync.lab import webhook_sender
from channelsync.lab.marketplace_accounts import TOPICS
from channelsync.lab.webhook_sender import Attempt, WebhookPlan, WebhookSender
from channelsync.sdk.clock import SystemClock
from channelsync.store import inbox

AGAIN_AFTER = (0.5,) * 200
"""Seconds before what was not taken is sent again; marketplaces wait longer, and so would the tests."""


@dataclass(slots=True)
class Deliveries:
    """All that is delivered to the daemon of a day, which listens at this address."""

    day: Any
    address: str
    senders: dict[str, WebhookSender] = field(default_factory=dict)
    sending: list[asyncio.Task[None]] = field(default_factory=list)

    def attempts(self) -> list[tuple[str, Attempt]]:
        """What was sent so far, with whose it is."""
        return [(name, one) for name, sender in self.senders.items() for one in sender.log if one.outcome != "lost"]

    async def answered(self, status: int) -> None:
        """Returns once something is answered so, from now on."""
        before = {name: len(sender.log) for name, sender in self.senders.items()}

        async def is_so() -> bool:
            logs = [sender.log[before[name] :] for name, sender in self.senders.items()]
            return any(one.status == status for log in logs for one in log)

        await self.day.until(is_so)

    async def ready(self, status: int) -> None:
        """Returns once the daemon's /readyz is answered so."""

        async def is_so() -> bool:
            async with httpx.AsyncClient(timeout=60) as client:
                return (await client.get(f"{self.address}/readyz")).status_code == status

        await self.day.until(is_so)

    async def all_taken(self) -> None:
        """Returns once nothing is under way any more; what is forged never is taken."""

        async def are() -> bool:
            return all(sender.idle for sender in self.senders.values())

        await self.day.until(are)

    async def each_kept_once(self) -> None:
        """Waits until all that is in the inbox was followed; what was answered 2xx must be there, nothing twice."""

        taken: set[tuple[str, str]] = set()
        rows: list[inbox.Delivery] = []

        async def followed() -> bool:
            nonlocal taken, rows
            taken = {(name, one.message) for name, one in self.attempts() if one.status == 200}
            rows = await self.day.database.query(lambda c: inbox.list_deliveries(c, limit=10**6))
            return not any(row.state == "new" for row in rows)

        await self.day.until(followed)
        kept = Counter((row.channel, row.event) for row in rows)
        assert taken, "nothing was taken"
        assert [one for one in taken if kept[one] != 1] == []
        assert set(kept.values()) == {1}, "what was kept and whose answer was lost is there once too"
        assert {row.state for row in rows} == {"done"}

    async def ends(self, process: Any, buying: asyncio.Task[None]) -> None:
        """Closes the day, and waits until all that was bought and delivered is followed, each delivery once."""
        self.day.closing.set()
        await buying
        await self.all_taken()
        await self.day.settled(process)
        await self.each_kept_once()

    def stop(self) -> None:
        """Nothing more is sent; what is under way is dropped."""
        for one in self.sending:
            one.cancel()


Delivering = Callable[[Any, WebhookPlan], contextlib.AbstractAsyncContextManager[Deliveries]]


@pytest.fixture
def delivering(monkeypatch: pytest.MonkeyPatch) -> Delivering:
    """The marketplaces of a day send webhooks while the block runs; its daemon is to be started in there."""
    monkeypatch.setattr(webhook_sender, "REPEATS", AGAIN_AFTER)
    return _delivering


@contextlib.asynccontextmanager
async def _delivering(day: Any, plan: WebhookPlan) -> AsyncIterator[Deliveries]:
    port = free_port()
    day.configure('listen = ""', f'listen = "127.0.0.1:{port}"')
    made = Deliveries(day, f"http://127.0.0.1:{port}")
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        for name, site in day.sites.items():
            address = f"{made.address}/webhooks/{name}"
            hook = site.api.subscriptions.add(site.account.name, address, TOPICS)
            section = f'name = "{name}"\nconnector = "sandbox"\n[channel.settings]\n'
            day.configure(section, f'{section}webhook_secrets = ["{hook.secret}"]\n')
            rng = random.Random(f"{day.dice.random()} {name} webhooks")
            made.senders[name] = WebhookSender(site.api, client, SystemClock(), rng, plan)
            made.sending.append(tasks.create_task(made.senders[name].run()))
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def receiver_port() -> int:
    """One that was free a moment ago."""
    return free_port()


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port
