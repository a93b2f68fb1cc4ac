"""The daemon in this process, on simulated time: its parts are kept going, channels follow their modes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from channelsync.domain.ledger import Cause, EntryKind, Movement
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.runtime import daemon
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.daemon import STEADY_AFTER, run_daemon
from channelsync.runtime.pauses import LONGEST_PAUSE
from channelsync.runtime.wiring import open_agent, open_run, setup_of
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store import items, ledger
from channelsync.store.database_errors import DatabaseUnavailable, PublisherRunning
from channelsync.store.items import Item, item_id
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.rule_changes import change_rule, plain_rule
from channelsync.sync.switches import change_channel
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import SHOPS, Shop
from channelsync_memory.world import memory_connector

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CONFIG = """\
[database]
url = "{url}"
[web]
listen = ""

[schedule]
order_poll = "1m"

[[location]]
name = "main"

[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "daemon-shop" }}

[[channel]]
name = "market"
connector = "memory"
settings = {{ shop = "daemon-market" }}
"""
MUG = PositionKey(item_id("MUG"), "main")


@dataclass(slots=True)
class Deeds:
    """What the shops' channels do in this test, and what was asked of them. broken: shops whose orders raise."""

    broken: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)


DEEDS = Deeds()


class TestedChannel(MemoryChannel):
    """Breaks in a way that nobody foresaw, when the test says so."""

    __test__ = False

    async def orders(self, *, cursor: str | None) -> AsyncIterator[Any]:
        DEEDS.calls.append(f"orders {self._settings.shop}")
        if self._settings.shop in DEEDS.broken:
            raise RuntimeError("a bug in the connector")
        async for page in super().orders(cursor=cursor):
            yield page

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        DEEDS.calls.append(f"push {self._settings.shop}")
        return await super().push(updates)


@dataclass(slots=True)
class Stand:
    """A configured seller with two shops that list MUG, and daemons to start."""

    loaded: Loaded
    catalogue: Catalogue
    clock: LabClock
    shops: dict[str, Shop]
    running: list[asyncio.Task[None]] = field(default_factory=list)

    @asynccontextmanager
    async def daemon(self, **options: Any) -> AsyncIterator[asyncio.Event]:
        """A daemon; it is told to stop at the end of the block, and must end then."""
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_daemon(self.loaded, stop=stop, clock=self.clock, catalogue=self.catalogue, **options)
        )
        self.running.append(task)
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)

    async def minutes(self, many: float) -> None:
        await self.clock.sleep(many * 60)

    def number(self, shop: str = "shop") -> int:
        (item,) = self.shops[shop].items.values()
        return item.number

    def asked(self, what: str) -> int:
        return DEEDS.calls.count(what)

    async def does(self, command: str, work: Callable[[Any, str, datetime], object]) -> None:
        """What a command does in another process: a run of its own."""
        async with open_run(self.loaded, command, clock=self.clock) as run:
            now = run.clock.now()
            await run.database.transact(lambda c: work(c, run.run, now))

    async def rows(self, statement: str) -> list[Any]:
        async with open_run(self.loaded, "look", clock=self.clock) as run:
            return await run.database.query(lambda c: c.execute(text(statement)).all())


Story = Callable[[Stand], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Plays a story on simulated time: play(story, url)."""

    async def staged(story: Story, url: str) -> None:
        DEEDS.broken.clear()
        DEEDS.calls.clear()
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(url=url))
        catalogue = catalogue_with(memory_connector(TestedChannel))
        clock = LabClock()
        shops = {name: Shop(clock) for name in ("shop", "market")}
        SHOPS.update({f"daemon-{name}": shop for name, shop in shops.items()})
        stand = Stand(load(config, {}, catalogue=catalogue), catalogue, clock, shops)
        await _set_up(stand)
        DEEDS.calls.clear()
        await story(stand)
        for name in shops:
            del SHOPS[f"daemon-{name}"]

    def played(story: Story, url: str) -> None:
        # Tracebacks with every local variable, as structlog prints them by itself, take longer than the story.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[structlog.contextvars.merge_contextvars, renderer])
        run_virtual(staged(story, url), start=START)

    return played


async def _set_up(stand: Stand) -> None:
    """Five of MUG are there, and both shops show two."""

    def unit(connection: Any) -> None:
        now = stand.clock.now()
        items.add_items(connection, [Item(id=MUG.item, sku="MUG")], now)
        ledger.open_positions(connection, [MUG])
        positions = ledger.lock_positions(connection, [MUG.item])
        cause = Cause(actor="test", run="test", reason="opening")
        receipt = Movement(id="opening", position=MUG, kind=EntryKind.RECEIPT, on_hand=5, at=now, cause=cause)
        ledger.write(connection, [receipt], positions, now)

    async with open_agent(stand.loaded, "set up", clock=stand.clock, catalogue=stand.catalogue) as agent:
        await agent.database.transact(unit)
        for name, shop in stand.shops.items():
            listing = shop.list_item("MUG", 2).id
            await identify(agent, agent.channels[name])
            await pull_listings(agent, agent.channels[name])
            wanted = [Wanted(name, listing, MUG.item)]
            now = stand.clock.now()
            mapped = partial(map_listings, setup=agent.setup, wanted=wanted, by="t", run=agent.run, now=now)
            await agent.database.transact(mapped)


def test_a_daemon_makes_every_channel_right_and_ends_when_it_is_told_to(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        async with stand.daemon():
            await stand.minutes(5)
            assert (stand.number("shop"), stand.number("market")) == (5, 5)
            stand.shops["shop"].buy((next(iter(stand.shops["shop"].items.values())), 4))
            await stand.minutes(5)
            assert (stand.number("shop"), stand.number("market")) == (1, 1)
        (run,) = await stand.rows("SELECT outcome FROM run WHERE command = 'run'")
        assert run.outcome == "done"
        pushed = stand.asked("push daemon-shop")
        await stand.minutes(60)
        assert stand.asked("push daemon-shop") == pushed

    play(story, sqlite_url)


def test_an_unforeseen_error_stops_one_channel_only_and_becomes_a_finding(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        DEEDS.broken.add("daemon-shop")
        async with stand.daemon():
            await stand.minutes(5)
            assert stand.number("market") == 5
            (finding,) = await stand.rows("SELECT * FROM finding WHERE kind = 'task failed'")
            assert (finding.channel, finding.closed_at) == ("shop", None)
            assert "RuntimeError: a bug in the connector" in finding.summary
            assert stand.asked("orders daemon-market") >= 5

    play(story, sqlite_url)


def test_a_channel_that_failed_begins_again_with_growing_pauses_and_goes_on_when_it_can(
    play: Any, sqlite_url: str
) -> None:
    async def story(stand: Stand) -> None:
        DEEDS.broken.add("daemon-shop")
        async with stand.daemon():
            await stand.minutes(60)
            tried = stand.asked("orders daemon-shop")
            assert 8 <= tried <= 8 + 60 * 60 / LONGEST_PAUSE
            DEEDS.broken.clear()
            await stand.minutes((LONGEST_PAUSE + 120) / 60)  # a raise waits for orders, then for reads
            assert stand.number("shop") == 5
            await stand.minutes(STEADY_AFTER / 60)
            (finding,) = await stand.rows("SELECT * FROM finding WHERE kind = 'task failed'")
            assert finding.closed_why == "it runs well again"

    play(story, sqlite_url)


def test_a_daemon_that_is_started_after_a_part_failed_starts_and_closes_its_finding_once_it_runs_well(
    play: Any, sqlite_url: str
) -> None:
    async def story(stand: Stand) -> None:
        DEEDS.broken.add("daemon-shop")
        async with stand.daemon():
            await stand.minutes(5)
        DEEDS.broken.clear()
        async with stand.daemon():
            await stand.minutes(STEADY_AFTER / 60 + 1)
            (finding,) = await stand.rows("SELECT * FROM finding WHERE kind = 'task failed'")
            assert finding.closed_why == "it runs well again"

    play(story, sqlite_url)


def test_after_a_long_time_without_the_database_every_part_is_back_within_seconds(
    play: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    async def story(stand: Stand) -> None:
        async def away(*_given: Any) -> None:
            tried.append(stand.clock.monotonic())
            raise DatabaseUnavailable

        monkeypatch.setattr(daemon, "keep_following", away)
        async with stand.daemon():
            await stand.minutes(20)
        pauses = [later - earlier for earlier, later in pairwise(tried)]
        assert max(pauses) <= 15
        assert len(tried) < 200

    play(story, sqlite_url)


def test_a_channel_that_is_switched_off_is_not_called_and_goes_on_when_it_is_switched_on(
    play: Any, sqlite_url: str
) -> None:
    async def story(stand: Stand) -> None:
        async def switch(mode: str) -> None:
            await stand.does(
                "channels mode", lambda c, run, now: change_channel(c, "shop", {"mode": mode}, run=run, now=now)
            )

        await switch("off")
        async with stand.daemon():
            await stand.minutes(10)
            assert stand.asked("orders daemon-shop") == 0
            assert stand.number("market") == 5
            await switch("live")
            await stand.minutes(3)
            assert stand.number("shop") == 5
            await switch("off")
            await stand.minutes(1)
            asked = stand.asked("orders daemon-shop")
            await stand.minutes(10)
            assert stand.asked("orders daemon-shop") == asked

    play(story, sqlite_url)


def test_a_cut_over_channel_by_channel_writes_to_the_live_one_only(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        await stand.does(
            "channels mode", lambda c, run, now: change_channel(c, "shop", {"mode": "observe"}, run=run, now=now)
        )
        async with stand.daemon():
            await stand.minutes(30)
            assert (stand.number("shop"), stand.number("market")) == (2, 5)
            assert stand.asked("push daemon-shop") == 0

    play(story, sqlite_url)


def test_observing_writes_to_no_channel_and_the_next_start_without_it_does(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        async with stand.daemon(only_observe=True):
            await stand.minutes(30)
            stand.shops["shop"].buy((next(iter(stand.shops["shop"].items.values())), 1))
            await stand.minutes(30)
            (row,) = await stand.rows("SELECT told FROM daemon")
            assert json.loads(row.told)["only_observe"] is True
        assert not any(call.startswith("push") for call in DEEDS.calls)
        (position,) = await stand.rows("SELECT reserved FROM position")
        assert position.reserved == 1
        async with stand.daemon():
            await stand.minutes(10)
        assert (stand.number("shop"), stand.number("market")) == (4, 4)

    play(story, sqlite_url)


@pytest.mark.parametrize("url", ["sqlite_url", pytest.param("postgresql_url", marks=pytest.mark.postgresql)])
def test_a_rule_that_a_command_sets_holds_before_the_next_tick(
    play: Any, url: str, request: pytest.FixtureRequest
) -> None:
    rule = Rule("r-1", RuleScope(channel="shop"), RuleValues(buffer=Fixed(3)), "test")

    async def story(stand: Stand) -> None:
        def change(connection: Any, run: str, now: datetime) -> object:
            setup = setup_of(connection, stand.loaded, stand.catalogue)
            return change_rule(connection, setup, rule.id, plain_rule(rule), run=run, now=now)

        async with stand.daemon():
            await stand.minutes(5)
            assert stand.number("shop") == 5
            await stand.does("rules set", change)
            await stand.minutes(0.25)
            assert (stand.number("shop"), stand.number("market")) == (2, 5)

    play(story, request.getfixturevalue(url))


@pytest.mark.fault(50, "on SQLite the second is refused")
def test_a_second_daemon_on_one_file_is_refused(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        async with stand.daemon():
            await stand.minutes(1)
            with pytest.raises(PublisherRunning):
                await run_daemon(stand.loaded, clock=stand.clock, catalogue=stand.catalogue)

    play(story, sqlite_url)


@pytest.mark.fault(50, "on PostgreSQL they share the accounts")
@pytest.mark.postgresql
def test_two_daemons_on_postgresql_share_the_accounts_and_one_takes_over_what_the_other_leaves(
    play: Any, postgresql_url: str
) -> None:
    async def story(stand: Stand) -> None:
        async with stand.daemon():
            async with stand.daemon():
                await stand.minutes(10)
                stand.shops["shop"].buy((next(iter(stand.shops["shop"].items.values())), 1))
                await stand.minutes(10)
                assert (stand.number("shop"), stand.number("market")) == (4, 4)
                assert await stand.rows("SELECT owner FROM lease WHERE owner = ''") == []
            await stand.minutes(2)
            stand.shops["market"].buy((next(iter(stand.shops["market"].items.values())), 1))
            await stand.minutes(10)
            assert (stand.number("shop"), stand.number("market")) == (3, 3)
            owners = await stand.rows("SELECT DISTINCT owner FROM lease")
            assert len(owners) == 1
        (written,) = await stand.rows("SELECT count(*) AS writes FROM quantity_write")
        assert stand.asked("push daemon-shop") + stand.asked("push daemon-market") == written.writes
        assert await stand.rows("SELECT owner FROM lease WHERE owner <> ''") == []

    play(story, postgresql_url)


def test_a_daemon_leaves_no_lock_behind(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        for _ in range(2):
            async with stand.daemon():
                await stand.minutes(1)

    play(story, sqlite_url)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        outcomes = connection.execute("SELECT outcome FROM run WHERE command = 'run'").fetchall()
    connection.close()
    assert outcomes == [("done",), ("done",)]


async def test_how_scarce_is_scarce_is_a_setting(tmp_path: Path, sqlite_url: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(url=sqlite_url) + "\n[limits]\nhot_probability = 0.05\n")
    async with open_agent(load(config, {}), "look", channels=()) as agent:
        assert (agent.setup.hot_probability, agent.measures.hot_probability) == (0.05, 0.05)
