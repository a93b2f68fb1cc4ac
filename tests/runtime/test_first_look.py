"""What a daemon does before it publishes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.runtime.config import load
from channelsync.runtime.first_look import look_before_publishing
from channelsync.runtime.vitals import daemon_life, keep_showing
from channelsync.runtime.wiring import database_file, open_agent
from channelsync.store import channels, findings
from channelsync.store.place import mark_of, remember_run
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent

CONFIG = """
[database]
url = "{url}"
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "looked-shop" }}
"""


@pytest.fixture
def looked(tmp_path: Path, sqlite_url: str) -> Callable[[Callable[[Agent, Path], Awaitable[None]]], None]:
    """Opens an agent as the daemon does, and hands it on with the database's file."""

    def played(story: Callable[[Agent, Path], Awaitable[None]]) -> None:
        async def play() -> None:
            config = tmp_path / "config.toml"
            config.write_text(CONFIG.format(url=sqlite_url))
            loaded = load(config, {})
            async with open_agent(loaded, "run", channels=()) as agent:
                await agent.database.transact(lambda c: channels.save_channel(c, "shop", identity="shop"))
                file = database_file(loaded.config)
                assert file is not None
                await story(agent, file)

        asyncio.run(play())

    return played


def kinds(agent: Agent) -> Awaitable[list[str]]:
    return agent.database.query(lambda c: [one.kind for one in findings.list_findings(c)])


def test_a_database_that_knows_the_last_daemon_was_not_restored(looked: Any) -> None:
    async def story(agent: Agent, file: Path) -> None:
        await look_before_publishing(agent, file)
        assert mark_of(file).read_text().split()[0] == agent.run
        await look_before_publishing(agent, file)
        assert await kinds(agent) == []

    looked(story)


def test_a_database_that_is_older_than_the_last_daemon_catches_up(looked: Any) -> None:
    async def story(agent: Agent, file: Path) -> None:
        remember_run(mark_of(file), "r-20260101-000000-abcdef", agent.clock.now())
        await look_before_publishing(agent, file)
        assert await kinds(agent) == ["catching up"]
        state = (await agent.database.query(channels.channel_states))["shop"]
        assert state.catch_up_since is not None
        assert agent.setup.orders_since is not None
        assert mark_of(file).read_text().split()[0] == agent.run

    looked(story)


def test_a_copy_from_days_ago_is_noticed_though_the_same_daemon_ran_then(looked: Any) -> None:
    async def story(agent: Agent, file: Path) -> None:
        shown = asyncio.Event()
        life = daemon_life(agent, {}, file)

        def seen(at: datetime) -> None:
            life.shown(at)
            shown.set()

        showing = asyncio.create_task(keep_showing(replace(life, shown=seen), lambda _wish: None))
        await shown.wait()
        then = agent.clock.now() - timedelta(days=3)
        await agent.database.transact(lambda c: c.execute(update(metadata.tables["daemon"]).values(beat_at=then)))
        await look_before_publishing(agent, file)
        assert await kinds(agent) == ["catching up"]
        showing.cancel()
        await asyncio.wait([showing])

    looked(story)


def test_a_configuration_is_taken_down_with_what_targets_follow_from_it(looked: Any) -> None:
    async def story(agent: Agent, file: Path) -> None:
        await look_before_publishing(agent, file)
        first = (await agent.database.query(channels.channel_states))["shop"].reviewed
        rule = Rule("#1", RuleScope(), RuleValues(buffer=Fixed(2)), "test")
        agent.setup = replace(agent.setup, rules=(rule,))
        await look_before_publishing(agent, file)
        second = (await agent.database.query(channels.channel_states))["shop"].reviewed
        assert "" not in {first, second}
        assert first != second

    looked(story)
