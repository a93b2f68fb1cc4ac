"""The daemon as a process of its own: reloaded by a signal and by a command, watched, and without a log to write to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

HANG_GUARD = 300.0
COMMAND = [sys.executable, "-c", "import sys; from channelsync.runtime.cli import main; sys.exit(main())"]
CONFIG = """\
[database]
url = "{url}"
[web]
listen = "{listen}"
[log]
format = "json"
[schedule]
publish_tick = "1s"
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "operated" }}
"""
pytestmark = pytest.mark.processes


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Operated:
    """One seller's file and daemon, and the commands that are given beside it."""

    def __init__(self, folder: Path, url: str, *, port: int | None) -> None:
        self.folder, self.path, self.log = folder, folder / "config.toml", folder / "daemon.log"
        self.url, self.address = url, f"http://127.0.0.1:{port}"
        listen = f"127.0.0.1:{port}" if port else ""
        self.path.write_text(CONFIG.format(url=url, listen=listen))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stderr: Any = None) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "--config", str(self.path), "run"], stderr=log if stderr is None else stderr
            )
        return self.process

    def runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "--config", str(self.path), *arguments],
            capture_output=True,
            text=True,
            timeout=HANG_GUARD,
            check=False,
        )

    def lines(self, message: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in found if line["message"] == message]

    async def until(self, holds: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
        """Waits until something is so, and fails where the daemon ends before."""
        async with asyncio.timeout(HANG_GUARD):
            while True:
                found = holds()
                if await found if isinstance(found, Awaitable) else found:
                    return
                assert self.process is None or self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.1)

    async def healthy(self) -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.address}/healthz")).status_code == 200
            except httpx.TransportError:
                return False

    async def stopped(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, HANG_GUARD)


OpenOperated = Callable[..., Operated]


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[OpenOperated]:
    made: list[Operated] = []

    def opened(url: str, *, port: int | None = None) -> Operated:
        made.append(Operated(tmp_path, url, port=port))
        return made[-1]

    yield opened
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


async def test_a_signal_or_a_command_reloads_the_configuration_and_a_wrong_one_is_refused(
    operated: OpenOperated, database_url: str
) -> None:
    shop = operated(database_url)
    process = shop.start()
    await shop.until(lambda: bool(shop.lines("channel.opened")))
    good = shop.path.read_text()

    shop.path.write_text(good + "[channel.rules]\nbuffer = 2\n")
    process.send_signal(signal.SIGHUP)
    await shop.until(lambda: bool(shop.lines("config.reloaded")))
    assert shop.lines("config.reloaded")[0]["changed"] == "channel.shop.rules.buffer"

    shop.path.write_text(good + "[channel.rules]\nbufer = 2\n")
    process.send_signal(signal.SIGHUP)
    await shop.until(lambda: bool(shop.lines("config.kept")))
    (refused,) = shop.lines("config.refused")
    assert "bufer" in refused["reason"]
    assert refused["line"] == good.count("\n") + 2

    market = '[[channel]]\nname = "market"\nconnector = "memory"\nsettings = { shop = "other" }\n'
    shop.path.write_text(good + "[channel.rules]\nbuffer = 2\n" + market)
    asked = await asyncio.to_thread(shop.runs, "config", "reload", "--json")
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert (told["outcome"], told["pid"]) == ("reloaded", process.pid)
    await shop.until(lambda: any(line.get("channel") == "market" for line in shop.lines("channel.opened")))
    assert await shop.stopped() == 0
    gone = await asyncio.to_thread(shop.runs, "config", "reload")
    assert gone.returncode == 4
    assert "no daemon runs" in gone.stderr


@pytest.mark.fault(55, "a log that cannot be written ends nothing: lines are dropped, counted, and the daemon works on")
@pytest.mark.parametrize("where", ["full", "closed"])
async def test_a_daemon_whose_log_cannot_be_written_works_on_and_stops_cleanly(
    operated: OpenOperated, sqlite_url: str, where: str
) -> None:
    shop = operated(sqlite_url, port=free_port())
    if where == "full":
        with open("/dev/full", "wb") as full:  # noqa: ASYNC230 - a device
            shop.start(full)
    else:
        ready, ours = os.pipe()
        os.close(ready)  # nobody reads: every write is a broken pipe
        shop.start(ours)
        os.close(ours)
    await shop.until(shop.healthy)
    status = await asyncio.to_thread(shop.runs, "status", "--json")
    assert json.loads(status.stdout)["channels"][0]["polled_at"] is not None or status.returncode == 0
    assert await shop.stopped() == 0


async def test_a_daemon_that_was_started_without_standard_error_lives(operated: OpenOperated, sqlite_url: str) -> None:
    shop = operated(sqlite_url, port=free_port())
    script = 'exec "$@" 2>&-'
    shop.process = subprocess.Popen(  # noqa: ASYNC220 - begins at once
        ["/bin/sh", "-c", script, "sh", *COMMAND, "--config", str(shop.path), "run"]
    )
    await shop.until(shop.healthy)
    assert await shop.stopped() == 0


async def test_health_status_and_doctor_tell_of_a_living_daemon_and_of_a_dead_one(
    operated: OpenOperated, sqlite_url: str
) -> None:
    shop = operated(sqlite_url, port=None)
    process = shop.start()
    await shop.until(lambda: bool(shop.lines("channel.opened")))

    async def said() -> bool:
        return (await asyncio.to_thread(shop.runs, "health")).returncode == 0

    await shop.until(said)
    status = await asyncio.to_thread(shop.runs, "status", "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout)["processes"][0]["pid"] == process.pid
    process.kill()
    await asyncio.to_thread(process.wait)
    dead = await asyncio.to_thread(shop.runs, "health", "--max-lag", "1")
    assert dead.returncode == 1
    doctor = await asyncio.to_thread(shop.runs, "doctor", "--json")
    points = [json.loads(line) for line in doctor.stdout.splitlines()]
    assert {one["what"] for one in points} >= {"configuration", "files", "disk", "integrity", "schema", "channel shop"}


def test_doctor_writes_nothing(operated: OpenOperated, sqlite_url: str) -> None:
    shop = operated(sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    assert shop.runs("doctor", "--full").returncode in (0, 1)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    beside = [one for one in path.parent.glob(f"{path.name}*") if one != path]
    assert [one.name for one in beside if one.stat().st_size and not one.name.endswith("-shm")] == []
