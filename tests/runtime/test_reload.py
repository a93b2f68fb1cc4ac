"""A running daemon reads its configuration anew: what is right takes effect at once, what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.findings import Finding, FindingKind
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.daemon import run_daemon
from channelsync.runtime.wiring import open_agent, open_run
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.store import daemons
from channelsync.store.daemons import ServingProcess
from channelsync.store.findings import open_findings
from channelsync.store.items import item_id
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.stock import By, place
from channelsync.sync.stock_moves import Receipt, receive
from channelsync_memory.shop import SHOPS, Shop
from channelsync_memory.world import memory_connector

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
HEAD = """\
[database]
url = "{url}"
[web]
listen = ""
[[location]]
name = "main"
[[bundle]]
sku = "SET"
parts = [{{ sku = "MUG", units = 2 }}]
"""
SHOP = '[[channel]]\nname = "shop"\nconnector = "memory"\nsettings = { shop = "reload-shop" }\n'
MARKET = '[[channel]]\nname = "market"\nconnector = "memory"\nsettings = { shop = "reload-market" }\n'


@dataclass(slots=True)
class Stand:
    """Ten of MUG are there; two shops list it. The daemon's file is the test's to write."""

    path: Path
    head: str
    catalogue: Catalogue
    clock: LabClock
    shops: dict[str, Shop]

    def write(self, said: str) -> None:
        self.path.write_text(self.head + said)

    def loaded(self) -> Loaded:
        return load(self.path, {}, catalogue=self.catalogue)

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_daemon(self.loaded(), stop=stop, clock=self.clock, catalogue=self.catalogue, reread=self.loaded)
        )
        await self.minutes(3)
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)

    async def minutes(self, many: float) -> None:
        await self.clock.sleep(many * 60)

    def number(self, shop: str = "shop") -> int:
        (item,) = self.shops[shop].items.values()
        return item.number

    async def reload(self) -> dict[str, Any]:
        """Asks for a reload as the command does; returns what the daemon answered."""
        loaded = self.loaded_before
        async with open_run(loaded, "config reload", clock=self.clock) as run:
            now = self.clock.now()
            await run.database.transact(lambda c: daemons.ask_to_reload(c, run.run, now, timedelta(minutes=2)))
            await self.minutes(0.5)
            found: list[ServingProcess] = await run.database.query(lambda c: daemons.serving(c, now))
        assert found[0].reload_done == run.run
        await self.minutes(2)
        return dict(found[0].reload_said)

    async def rows(self, statement: str) -> list[Any]:
        async with open_run(self.loaded_before, "look", clock=self.clock) as run:
            return await run.database.query(lambda c: c.execute(text(statement)).all())

    @property
    def loaded_before(self) -> Loaded:
        """The configuration as it was at first, for what the test does itself while the file may be wrong."""
        first = self.path.with_name("first.toml")
        return load(first, {}, catalogue=self.catalogue)


Story = Callable[[Stand], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Plays a story on simulated time: play(story, url)."""

    async def staged(story: Story, url: str) -> None:
        clock = LabClock()
        shops = {name: Shop(clock) for name in ("shop", "market")}
        SHOPS.update({f"reload-{name}": shop for name, shop in shops.items()})
        head = HEAD.format(url=url)
        stand = Stand(tmp_path / "config.toml", head, catalogue_with(memory_connector()), clock, shops)
        stand.path.with_name("first.toml").write_text(head + SHOP + MARKET)
        await _set_up(stand)
        await story(stand)
        for name in shops:
            del SHOPS[f"reload-{name}"]

    return lambda story, url: run_virtual(staged(story, url), start=START)


async def _set_up(stand: Stand) -> None:
    async with open_agent(stand.loaded_before, "set up", clock=stand.clock, catalogue=stand.catalogue) as agent:
        by = By(actor="user:test", run=agent.run, now=stand.clock.now())

        def unit(connection: Any) -> None:
            receive(connection, agent.setup, by, Receipt(place=place(connection, agent.setup, "MUG", "main"), units=10))

        await agent.database.transact(unit)
        for name, shop in stand.shops.items():
            listing = shop.list_item("MUG", 2).id
            await identify(agent, agent.channels[name])
            await pull_listings(agent, agent.channels[name])
            wanted = [Wanted(name, listing, item_id("MUG"))]
            now = stand.clock.now()
            mapped = partial(map_listings, setup=agent.setup, wanted=wanted, by="t", run=agent.run, now=now)
            await agent.database.transact(mapped)


BOTH = ["sqlite_url", pytest.param("postgresql_url", marks=pytest.mark.postgresql)]


@pytest.mark.parametrize("url", BOTH)
def test_rules_and_switches_take_effect_without_a_restart(play: Any, url: str, request: Any) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP + MARKET)
        async with stand.daemon():
            assert (stand.number("shop"), stand.number("market")) == (10, 10)
            stand.write(SHOP + "[channel.rules]\nbuffer = 4\n" + MARKET)
            said = await stand.reload()
            assert (said["outcome"], said["changed"], said["reopened"]) == (
                "reloaded",
                ["channel.shop.rules.buffer"],
                [],
            )
            assert (stand.number("shop"), stand.number("market")) == (6, 10)
            stand.write(SHOP.replace("connector", "paused = true\nconnector") + MARKET)
            await stand.reload()
            assert stand.number("shop") == 6, "a paused channel is not raised"
        (run,) = await stand.rows("SELECT outcome, actor FROM run WHERE command = 'reload' ORDER BY id LIMIT 1")
        assert tuple(run) == ("done", "daemon")

    play(story, request.getfixturevalue(url))


def test_a_wrong_file_is_refused_as_a_whole_and_the_old_one_holds_on(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP + MARKET)
        async with stand.daemon():
            stand.write(SHOP + "[channel.rules]\nbuffer = 4\nbufer = 3\n" + MARKET)
            said = await stand.reload()
            assert said["outcome"] == "refused"
            assert any("bufer" in one and "config.toml line" in one for one in said["problems"])
            assert (stand.number("shop"), stand.number("market")) == (10, 10)
            stand.shops["shop"].buy((next(iter(stand.shops["shop"].items.values())), 3))
            await stand.minutes(3)
            assert stand.number("market") == 7, "it works on with the old one"

    play(story, sqlite_url)


def test_channels_come_and_go_and_others_do_not_notice(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP)
        async with stand.daemon():
            assert (stand.number("shop"), stand.number("market")) == (10, 2)
            stand.write(SHOP + MARKET)
            assert (await stand.reload())["added"] == ["market"]
            assert stand.number("market") == 10
            stand.write(MARKET)
            assert (await stand.reload())["removed"] == ["shop"]
            stand.shops["market"].buy((next(iter(stand.shops["market"].items.values())), 1))
            await stand.minutes(5)
            assert (stand.number("shop"), stand.number("market")) == (10, 9)
            (row,) = await stand.rows("SELECT told FROM daemon")
            assert json.loads(row.told)["channels"].keys() == {"market"}

    play(story, sqlite_url)


def test_what_was_found_about_something_that_is_taken_out_is_closed(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP + MARKET)
        open_now = "SELECT fingerprint FROM finding WHERE closed_at IS NULL ORDER BY fingerprint"
        hook = Finding(kind=FindingKind.HOOK_FAILING, subject=("wms",), summary="")
        market = Finding(kind=FindingKind.NEEDS_SELLER, subject=("market", "webhooks"), channel="market", summary="")
        async with open_run(stand.loaded_before, "find", clock=stand.clock) as run:
            await run.database.transact(lambda c: open_findings(c, [hook, market], stand.clock.now()))
        async with stand.daemon():
            assert await stand.rows(open_now) == [("needs the seller|market|webhooks",)], "there is no hook"
            stand.write(SHOP)
            assert (await stand.reload())["removed"] == ["market"]
            assert await stand.rows(open_now) == []

    play(story, sqlite_url)


def test_other_settings_open_a_channel_anew(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP + MARKET)
        async with stand.daemon():
            stand.write(SHOP.replace('"reload-shop" }', '"reload-shop", orders_per_page = 7 }') + MARKET)
            assert (await stand.reload())["reopened"] == ["shop"]
            stand.shops["shop"].buy((next(iter(stand.shops["shop"].items.values())), 4))
            await stand.minutes(3)
            assert (stand.number("shop"), stand.number("market")) == (6, 6)

    play(story, sqlite_url)


def test_what_needs_a_restart_is_named_and_nothing_changes(play: Any, sqlite_url: str) -> None:
    async def story(stand: Stand) -> None:
        stand.write(SHOP + MARKET)
        async with stand.daemon():
            stand.head = stand.head.replace('listen = ""', 'listen = "127.0.0.1:1"')
            stand.write(SHOP + MARKET)
            said = await stand.reload()
            assert (said["outcome"], said["waiting"]) == ("unchanged", ["web.listen"])

    play(story, sqlite_url)


def test_a_reload_that_moves_too_much_is_held_for_approval_and_the_rest_takes_effect(
    play: Any, sqlite_url: str
) -> None:
    guard = "[guard]\nleast = 1\n"

    async def story(stand: Stand) -> None:
        stand.write(guard + SHOP + MARKET)
        async with stand.daemon():
            stand.write(guard + SHOP + "[channel.rules]\nmaximum_shown = 0\n" + MARKET)
            said = await stand.reload()
            assert said["outcome"] == "reloaded"
            assert [one.partition(":")[0] for one in said["held"]] == ["shop"]
            await stand.minutes(5)
            assert (stand.number("shop"), stand.number("market")) == (10, 10)
        (plan,) = await stand.rows("SELECT channel, state FROM guard_plan")
        assert tuple(plan) == ("shop", "open")

    play(story, sqlite_url)


RULE = '[[rule]]\nchannel = "shop"\nbuffer = 3\n'
FENCED = MARKET + "[channel.rules]\nring_fenced = 4\n"

CHANGED = [
    pytest.param(SHOP + MARKET, (10, 10), SHOP + MARKET + RULE, (7, 10), id="a rule"),
    pytest.param(SHOP + FENCED, (6, 10), SHOP, (10, 10), id="a channel that goes"),
]


@pytest.mark.parametrize("how", ["restart", "reload"])
@pytest.mark.parametrize(("said", "shown", "says", "then"), CHANGED)
def test_what_is_written_into_the_file_is_followed_however_the_daemon_hears_of_it(
    play: Any, sqlite_url: str, said: str, shown: tuple[int, int], says: str, then: tuple[int, int], how: str
) -> None:
    async def story(stand: Stand) -> None:
        def numbers() -> tuple[int, int]:
            return stand.number("shop"), stand.number("market")

        stand.write(said)
        async with stand.daemon():
            await stand.minutes(5)
            assert numbers() == shown
            if how == "reload":
                stand.write(says)
                await stand.reload()
                assert numbers() == then
        stand.write(says)
        async with stand.daemon():
            await stand.minutes(5)
            assert numbers() == then

    play(story, sqlite_url)
