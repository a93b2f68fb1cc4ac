"""The dead man's ping is called while all is well, is silent when it is not, and never hurts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from channelsync.runtime.config import load
from channelsync.runtime.ping import down_for_long, ping_tasks
from channelsync.runtime.wiring import open_agent
from channelsync.sdk.channel import Capabilities
from channelsync.store import channels
from channelsync.store.channels import ChannelState
from channelsync.store.database import Database
from channelsync.sync.setup import ChannelSetup

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SHOP = ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main",), poll=timedelta(minutes=1))
SECRET = "d34db33f-who-knows-it-can-ping"
CONFIG = f"""\
[database]
url = "{{url}}"
[alert]
ping_url = "https://ping.test/{SECRET}"
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "memory"
settings = {{{{ shop = "pinging" }}}}
"""


def state(**fields: Any) -> ChannelState:
    made: dict[str, Any] = dict.fromkeys(
        ("cursor", "covered_to", "orders_asked_at", "unreadable_since", "connected_at")
    )
    made |= dict.fromkeys(("identity", "orders_failed", "stop", "mode"), "") | {"zeroed": False, "catch_up_since": None}
    return ChannelState(**{**made, "name": "shop", "budgets": b"", "breaker": b"", **fields})


@pytest.mark.parametrize(
    ("fields", "down"),
    [
        ({}, 0),
        ({"unreadable_since": NOW - timedelta(minutes=29)}, 0),
        ({"unreadable_since": NOW - timedelta(minutes=31)}, 1),
        ({"orders_asked_at": NOW - timedelta(minutes=31)}, 0),
        ({"orders_asked_at": NOW - timedelta(minutes=33)}, 1),
        ({"orders_asked_at": NOW - timedelta(minutes=33), "mode": "off"}, 0),
    ],
)
def test_a_channel_is_down_for_long_by_its_numbers_or_its_orders(fields: dict[str, Any], down: int) -> None:
    found = down_for_long({"shop": SHOP}, {"shop": state(**fields)}, NOW, timedelta(minutes=30))
    assert len(found) == down


def test_a_channel_that_is_polled_seldom_is_as_far_behind_by_itself() -> None:
    seldom = replace(SHOP, poll=timedelta(hours=2))
    told = state(orders_asked_at=NOW - timedelta(hours=3))
    assert down_for_long({"shop": seldom}, {"shop": told}, NOW, timedelta(minutes=30)) == []


class Service(httpx.AsyncBaseTransport):
    """Notes who calls; answers as the test says."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self.called: list[str] = []
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.called.append(str(request.url))
        return self._answer()


def broken() -> httpx.Response:
    raise httpx.ConnectError("nobody is there")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda: httpx.Response(200, text="OK"), "called"),
        (lambda: httpx.Response(500), "called, and failed"),
        (broken, "called, and failed"),
    ],
)
async def test_a_call_that_fails_is_told_without_the_address_and_raises_nothing(
    tmp_path: Path, sqlite_url: str, answer: Callable[[], httpx.Response], told: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url=sqlite_url))
    loaded = load(path, {})
    service = Service(answer)
    async with open_agent(loaded, "look", channels=()) as agent:
        (task,) = ping_tasks(agent, loaded, service)
        said = await task.run()
    assert said.startswith(told)
    assert SECRET not in said
    assert service.called
    assert set(service.called) == {f"https://ping.test/{SECRET}"}


async def test_it_is_not_called_while_a_part_is_late_or_a_channel_down(tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url=sqlite_url))
    loaded = load(path, {})
    service = Service(lambda: httpx.Response(200))
    async with open_agent(loaded, "look", channels=()) as agent:
        (task,) = ping_tasks(agent, loaded, service)
        agent.beats.touch("loop", -1)
        assert await task.run() == "not called: loop is late"
        agent.beats.forget("loop")
        long_ago = agent.clock.now() - timedelta(hours=1)
        await down(agent.database, long_ago)
        assert await task.run() == "not called: the numbers of shop cannot be read"
    assert service.called == []


async def down(database: Database, since: datetime) -> None:
    await database.transact(lambda c: channels.save_channel(c, "shop", unreadable_since=since))


async def test_without_an_address_there_is_no_task(tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url=sqlite_url).replace(f'ping_url = "https://ping.test/{SECRET}"\n', ""))
    loaded = load(path, {})
    async with open_agent(loaded, "look", channels=()) as agent:
        assert ping_tasks(agent, loaded) == ()
