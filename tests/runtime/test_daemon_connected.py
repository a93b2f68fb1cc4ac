"""The daemon and the vault: a channel without its secret harms no other, and one that is connected is opened anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy import text

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.daemon import run_daemon
from channelsync.runtime.wiring import open_run, safe_of
from channelsync.sdk.channel import Channel, Connector
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.resources import Resources
from channelsync.sync.open_channels import account_connected
from channelsync.sync.vault import new_key
from channelsync_memory import CONNECTOR, MemoryChannel, MemorySettings
from channelsync_memory.shop import Shop

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CONFIG = """\
[database]
url = "{url}"
[web]
listen = ""
[secrets]
keys = ["{key}"]
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "memory"
settings = {{ token = {{ stored = "token" }} }}
[[channel]]
name = "market"
connector = "memory"
settings = {{ token = "plain-token" }}
"""


class LockedSettings(BaseModel):
    """A shop that wants a token."""

    token: SecretStr


@dataclass(slots=True)
class Stand:
    """A daemon's surroundings. opened: the tokens that channels were opened with, in order."""

    loaded: Loaded
    catalogue: Catalogue
    clock: LabClock
    opened: list[str] = field(default_factory=list)

    async def minutes(self, many: float) -> None:
        await self.clock.sleep(many * 60)

    async def connects(self, token: str) -> None:
        """What `channels connect` does in another process."""
        async with open_run(self.loaded, "channels connect", clock=self.clock) as run:
            await safe_of(self.loaded, run.database, self.clock).vault("shop").put("token", SecretStr(token))
            now = self.clock.now()
            await run.database.transact(lambda c: account_connected(c, "shop", now))

    async def rows(self, statement: str) -> list[Any]:
        async with open_run(self.loaded, "look", clock=self.clock) as run:
            return await run.database.query(lambda c: c.execute(text(statement)).all())


def connector(opened: list[str]) -> Connector:
    """Memory shops that refuse the token "worn-out" in a way that only the seller can mend."""

    class Locked(MemoryChannel):
        def __init__(self, token: str, resources: Resources) -> None:
            super().__init__(MemorySettings(shop=resources.channel), Shop(resources.clock), resources.clock)
            self._token, self._breaker = token, resources.breaker

        async def orders(self, *, cursor: str | None) -> AsyncIterator[Any]:
            with self._breaker.guard(cheap_read=True):
                if self._token == "worn-out":
                    raise NeedsSeller("Connect shop anew.")
            async for page in super().orders(cursor=cursor):
                yield page

    @asynccontextmanager
    async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[Channel]:
        assert isinstance(settings, LockedSettings)
        opened.append(settings.token.get_secret_value())
        yield Locked(settings.token.get_secret_value(), resources)

    return replace(
        CONNECTOR,
        settings=LockedSettings,
        open=open_channel,
        capabilities=lambda _settings: CONNECTOR.capabilities(MemorySettings()),
        budgets=lambda _settings: CONNECTOR.budgets(MemorySettings()),
    )


Story = Callable[[Stand], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path, sqlite_url: str) -> Callable[[Story], None]:
    """Plays a story on simulated time beside a running daemon."""

    async def staged(story: Story) -> None:
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(url=sqlite_url, key=new_key()))
        opened: list[str] = []
        catalogue = catalogue_with(connector(opened))
        stand = Stand(load(config, {}, catalogue=catalogue), catalogue, LabClock(), opened)
        stop = asyncio.Event()
        daemon = asyncio.create_task(run_daemon(stand.loaded, stop=stop, clock=stand.clock, catalogue=catalogue))
        try:
            await story(stand)
        finally:
            stop.set()
            await asyncio.wait_for(daemon, 60)

    return lambda story: run_virtual(staged(story), start=START)


def test_a_channel_without_its_secret_is_a_finding_and_harms_no_other(play: Any) -> None:
    async def story(stand: Stand) -> None:
        await stand.minutes(5)
        (finding,) = await stand.rows("SELECT kind, channel, summary FROM finding")
        assert (finding.kind, finding.channel) == ("needs the seller", "shop")
        assert finding.summary.endswith("its 'token' is not in the vault; run `channelsync channels connect shop`.")
        assert stand.opened == ["plain-token"]
        (market,) = await stand.rows("SELECT covered_to FROM channel WHERE name = 'market'")
        assert market.covered_to is not None

    play(story)


def test_a_channel_that_is_connected_is_opened_within_seconds_and_the_finding_is_closed(play: Any) -> None:
    async def story(stand: Stand) -> None:
        await stand.minutes(5)
        await stand.connects("first")
        await stand.minutes(0.2)
        assert stand.opened == ["plain-token", "first"]
        assert await stand.rows("SELECT * FROM finding WHERE closed_at IS NULL") == []
        await stand.connects("second")
        await stand.minutes(0.2)
        assert stand.opened == ["plain-token", "first", "second"]
        assert "second" in stand.loaded.secrets

    play(story)


@pytest.mark.fault(36, "the channel waits for the seller, the others go on, and it goes on once it is connected")
def test_a_channel_that_waited_for_the_seller_goes_on_once_it_is_connected(play: Any) -> None:
    async def story(stand: Stand) -> None:
        await stand.connects("worn-out")
        await stand.minutes(5)
        (failed,) = await stand.rows("SELECT orders_failed FROM channel WHERE name = 'shop'")
        assert failed.orders_failed == "Connect shop anew."
        (market,) = await stand.rows("SELECT orders_failed, covered_to FROM channel WHERE name = 'market'")
        assert market.orders_failed == ""
        assert stand.clock.now() - datetime.fromisoformat(f"{market.covered_to}+00:00") <= timedelta(minutes=5)
        await stand.connects("fresh")
        await stand.minutes(2)
        (well,) = await stand.rows("SELECT orders_failed, breaker FROM channel WHERE name = 'shop'")
        assert well.orders_failed == ""
        assert b"Connect shop anew" not in well.breaker

    play(story)
