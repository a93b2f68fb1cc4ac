"""`channelsync sandbox`: what it prints fits into a configuration, and how it ends."""

import asyncio
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from channelsync.lab.sandbox import Sandbox, Told
from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.config import load


def test_what_it_prints_is_a_configuration_of_its_marketplaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "north", "south", "--port", "9100", "--config-only"], {}) == ExitCode.DONE
    written = tmp_path / "config.toml"
    written.write_text('[[location]]\nname = "main"\n' + capsys.readouterr().out)
    channels = {one.name: one for one in load(written, {}).config.channels}
    assert channels.keys() == {"north", "south"}
    assert channels["south"].settings.base_url == "http://127.0.0.1:9101"  # type: ignore[attr-defined]


def test_what_makes_no_sense_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "x", "x"], {}) == ExitCode.USAGE
    assert "each once" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["sandbox", "x", "--port", str(port)], {}) == ExitCode.USAGE
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().err


def test_when_it_is_stopped_it_says_what_was_sold_and_oversold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(sandbox: Sandbox, told: Told, ready: asyncio.Event | None = None) -> None:
        sandbox.sites["agora"].marketplace.buy("agora-MUG-01", 3)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(Sandbox, "run", run)
    assert main(["sandbox"], {}) == ExitCode.DONE
    assert "Sold 3 units, 0 of them oversold." in capsys.readouterr().out
