"""`channelsync webhooks` as a process of its own: it is listed, and follows its configuration without a restart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from channelsync.runtime import receiver, vitals, webhooks_only
from channelsync.runtime.cli import main
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.webhooks_only import run_webhooks
from channelsync.runtime.wiring import setup_of
from channelsync.sdk.budgets import Budget
from channelsync.sdk.channel import Capabilities, Channel, Connector
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.sdk.resources import Resources
from channelsync.sdk.webhooks import WebhookHint, plain_keys
from channelsync.store import daemons
from channelsync.store.daemons import ServingProcess
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.sync.status import ALIVE_WITHIN, ProcessStatus, status
from channelsync.web.addresses import Listen
from channelsync.web.server import bind

HANG_GUARD = 120.0


class Settings(BaseModel):
    secrets: tuple[SecretStr, ...] = ()


class Scheme:
    """A delivery is genuine where its header is one of the secrets."""

    def __init__(self, settings: Settings) -> None:
        self._secrets = [key.decode() for key in plain_keys(settings.secrets)]

    async def verify(self, headers: Mapping[str, str], _body: bytes, now: datetime) -> WebhookHint | None:
        if headers.get("secret") not in self._secrets:
            return None
        return WebhookHint(topic="t", event="e", sent_at=now)


def _webhooks(settings: BaseModel, _resources: Resources) -> Scheme:
    assert isinstance(settings, Settings)
    return Scheme(settings)


def _opened(_settings: BaseModel, _resources: Resources) -> AbstractAsyncContextManager[Channel]:
    raise AssertionError("the receiver opens no channel")


HOOKED = Connector(
    name="hooked",
    title="Hooked",
    settings=Settings,
    capabilities=lambda _settings: Capabilities(),
    budgets=lambda _settings: (Budget("calls", 10, 1),),
    open=_opened,
    webhooks=_webhooks,
)


def shop(name: str, *secrets: str) -> str:
    """A channel of the configuration."""
    listed = ", ".join(f'"{one}"' for one in secrets)
    return f'[[channel]]\nname = "{name}"\nconnector = "hooked"\nsettings = {{ secrets = [{listed}] }}\n'


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - the receiver has no event for it
        await asyncio.sleep(0.02)


@dataclass(slots=True)
class Stand:
    """A receiver whose configuration is the test's to write, and a client that knocks."""

    database: Database
    path: Path
    address: str
    catalogue: Catalogue
    client: httpx.AsyncClient

    def write(self, *channels: str, more: str = "") -> None:
        head = f'[database]\nurl = "{self.database.url}"\n[web]\nlisten = "{self.address}"\n{more}\n'
        self.path.write_text(head + '[[location]]\nname = "main"\n' + "".join(channels))

    def loaded(self) -> Loaded:
        return load(self.path, {}, catalogue=self.catalogue)

    async def knocks(self, channel: str, secret: str) -> int:
        """The status with which a delivery is answered; 0: nobody listens."""
        try:
            return (await self.client.post(f"/webhooks/{channel}", headers={"secret": secret})).status_code
        except httpx.ConnectError:
            return 0

    async def answers(self, channel: str, secret: str, status: int) -> None:
        """Returns once a delivery is answered so."""

        async def so() -> bool:
            return await self.knocks(channel, secret) == status

        await until(so)

    async def reload(self) -> dict[str, Any]:
        """Asks for a reload as the command does; returns what the receiver answered."""
        now = SystemClock().now()
        wish = f"wish-{now.timestamp()}"
        await self.database.transact(lambda c: daemons.ask_to_reload(c, wish, now, ALIVE_WITHIN))

        async def answered() -> bool:
            row = await self.row()
            return row is not None and row.reload_done == wish

        await until(answered)
        row = await self.row()
        assert row is not None
        return dict(row.reload_said)

    async def listening(self) -> bool:
        return await self.knocks("none", "") != 0 and await self.row() is not None

    async def row(self) -> ServingProcess | None:
        found = await self.database.query(lambda c: daemons.serving(c, SystemClock().now()))
        return found[0] if found else None

    async def listed(self) -> tuple[ProcessStatus, ...]:
        """The processes as `channelsync status` knows them."""
        loaded, now = self.loaded(), SystemClock().now()
        found = await self.database.query(lambda c: status(c, setup_of(c, loaded, self.catalogue), now))
        assert not found.alive, "a receiver is no daemon"
        return found.processes

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The receiver, listed and listening; it is told to stop at the end of the block, and must end then."""
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_webhooks(self.loaded(), stop=stop, catalogue=self.catalogue, reread=self.loaded, keeps_level=True)
        )
        try:
            async with asyncio.timeout(HANG_GUARD):
                await until(self.listening)
                yield
                stop.set()
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def stand(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    """A receiver that looks often."""
    monkeypatch.setattr(vitals, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(receiver, "LOOK_EVERY", 0.02)
    with bind(Listen("127.0.0.1", 0)) as bound:
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        yield Stand(database, tmp_path / "config.toml", address, catalogue_with(HOOKED), client)


async def test_a_receiver_is_listed_as_long_as_it_runs(stand: Stand) -> None:
    stand.write(shop("shop", "a"))
    async with stand.running():
        (one,) = await stand.listed()
        assert (one.command, one.pid, one.alive, one.late) == ("webhooks", os.getpid(), True, ())
        row = await stand.row()
        assert row is not None
        assert row.told["listen"] == stand.address
        assert row.told["config"] == str(stand.path)
    assert await stand.listed() == ()


async def test_new_channels_and_secrets_are_taken_and_old_ones_refused_without_a_restart(stand: Stand) -> None:
    stand.write(shop("shop", "a"), shop("gone", "g"))
    async with stand.running():
        assert [await stand.knocks("shop", "a"), await stand.knocks("gone", "g")] == [200, 200]
        stand.write(shop("shop", "b"), shop("new", "c"))
        said = await stand.reload()
        assert (said["outcome"], said["added"], said["removed"], said["reopened"]) == (
            "reloaded",
            ["new"],
            ["gone"],
            ["shop"],
        )
        await stand.answers("new", "c", 200)
        found = [await stand.knocks(*one) for one in (("shop", "a"), ("shop", "b"), ("gone", "g"))]
        assert found == [401, 200, 404]
        assert (await stand.reload())["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ([shop("shop", "b"), "[guard]\nlistngs = 0.1\n"], "listngs"),
        ([shop("shop", "b"), shop("new", "")], "anybody could sign"),
        (["[["], "config.toml"),
    ],
    ids=["a typo", "an empty secret", "no TOML"],
)
async def test_a_wrong_configuration_is_refused_as_a_whole_and_the_old_one_holds_on(
    stand: Stand, wrong: list[str], problem: str
) -> None:
    stand.write(shop("shop", "a"))
    async with stand.running():
        stand.write(*wrong)
        said = await stand.reload()
        assert said["outcome"] == "refused"
        assert any(problem in one for one in said["problems"]), said["problems"]
        found = [await stand.knocks(*one) for one in (("shop", "a"), ("shop", "b"), ("new", ""))]
        assert found == [200, 401, 404]
        stand.write(shop("shop", "b"))
        assert (await stand.reload())["outcome"] == "reloaded", "it listens on"
        await stand.answers("shop", "b", 200)


async def test_what_needs_a_restart_is_named_and_keeps_its_value(stand: Stand) -> None:
    stand.write(shop("shop", "a"))
    async with stand.running():
        stand.write(shop("shop", "b"), more="body_limit = 50000")
        said = await stand.reload()
        assert (said["outcome"], said["waiting"]) == ("reloaded", ["web.body_limit"])
        await stand.answers("shop", "b", 200)


async def test_sighup_makes_a_receiver_read_its_configuration(stand: Stand) -> None:
    stand.write(shop("shop", "a"))
    async with stand.running():
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL, "else the signal would end the tests"
        stand.write(shop("shop", "b"))
        os.kill(os.getpid(), signal.SIGHUP)
        await stand.answers("shop", "b", 200)


async def test_a_part_that_breaks_is_begun_again_and_deliveries_are_taken_meanwhile(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_only, "_AGAIN_AFTER", 0.02)
    stand.write(shop("shop", "a"))
    async with stand.running():
        with monkeypatch.context() as patched:
            broken = asyncio.Event()

            def breaks(_beats: Any) -> dict[str, object]:
                broken.set()
                raise RuntimeError("nobody foresaw it")

            patched.setattr(webhooks_only, "process_told", breaks)
            patched.setattr(vitals, "SHOWN_EVERY", 0.0)
            await broken.wait()
            assert await stand.knocks("shop", "a") == 200
        await until(stand.listening)


async def test_a_sign_of_life_that_cannot_be_given_ends_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.write(shop("shop", "a"))
    async with stand.running():
        refused = asyncio.Event()

        def away(*_: Any) -> str:
            refused.set()
            raise DatabaseUnavailable("it is away")

        with monkeypatch.context() as patched:
            patched.setattr(daemons, "wanted_reload", away)
            await refused.wait()
            assert await stand.knocks("shop", "a") == 200
        assert (await stand.reload())["outcome"] == "unchanged"


async def test_a_receiver_is_not_taken_for_the_daemon_by_the_health_check(stand: Stand) -> None:
    stand.address = ""
    stand.write()
    now = SystemClock().now()
    for command, found in (("webhooks", 1), ("run", 0)):
        one = ServingProcess(
            run=f"r-{command}",
            command=command,
            host=socket.gethostname(),
            pid=1,
            version="1",
            started_at=now,
            beat_at=now,
        )
        await stand.database.transact(lambda c, one=one: daemons.show_life(c, one, now))
        assert await asyncio.to_thread(main, ["--config", str(stand.path), "health"], {}) == found
