"""Real daemons (`channelsync run` as processes) and the marketplaces they talk to, which this process serves."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from channelsync.lab.marketplace_fronts import MarketplaceApp
from channelsync.lab.marketplace_http import Reply, Request
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.stage import LOCATION, StagedListing, StageOptions, Wares, open_stage
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import Database, open_database
from channelsync.store.migrations import upgrade
from channelsync.store.tables import metadata
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.stock import By, place
from channelsync.sync.stock_moves import Receipt, receive, withhold
from channelsync.sync.wake_ups import CHANGED

CLOCK = SystemClock()
HANG_GUARD = 900.0
OPENING = 200
PUSHES = "/v1/numbers"
_COMMAND = "import sys; from channelsync.runtime.cli import main; sys.exit(main())"
_SCHEDULE = metadata.tables["schedule"]
_CONFIG = """\
[database]
url = "{url}"
[web]
listen = "{listen}"
[log]
format = "json"
[limits]
lease = "{lease}s"
[[location]]
name = "main"
"""
_CHANNEL = """\
[[channel]]
name = "{name}"
connector = "sandbox"
[channel.settings]
{settings}
"""


class Watched:
    """A marketplace's API with somebody who sees every request before it is answered."""

    def __init__(self, site: Site, saw: Callable[[str, Request], None]) -> None:
        self._api = site.api
        self._saw = saw
        self.marketplace = site.marketplace

    def handle(self, request: Request) -> Reply:
        """Answers as the marketplace does."""
        self._saw(self.marketplace.name, request)
        return self._api.handle(request)


@dataclass(slots=True, kw_only=True)
class Seller:
    """Marketplaces, the seller's database and the daemons' configuration. skus: numbered from 0, each everywhere."""

    sites: Mapping[str, Site]
    database: Database
    config: Path
    skus: int

    def start(self) -> subprocess.Popen[bytes]:
        """A daemon, as a user starts it."""
        with self.config.with_name("daemon.log").open("ab") as log:
            environment = {name: value for name, value in os.environ.items() if name != "CHANNELSYNC_CONFIG"}
            command = [sys.executable, "-c", _COMMAND, "--config", str(self.config), "run"]
            return subprocess.Popen(command, stderr=log, env=environment)

    async def change(self, skus: range, units: int = 3) -> None:
        """Units come in (negative: are set aside), so that every channel must show other numbers of these SKUs."""
        setup = Setup(channels={}, locations=(LOCATION,))
        by = By(actor="bench", run="lab-0", now=CLOCK.now())

        def unit(connection: Connection) -> None:
            for number in skus:
                there = place(connection, setup, f"SKU-{number}", LOCATION)
                if units > 0:
                    receive(connection, setup, by, Receipt(place=there, units=units))
                else:
                    withhold(connection, setup, by, there, -units)

        await self.database.transact(unit)
        await self.database.notify(CHANGED, "bench")

    async def until(self, holds: Callable[[], Awaitable[bool]], every: float = 0.5) -> None:
        """Waits until something holds."""
        async with asyncio.timeout(HANG_GUARD):
            while not await holds():  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(every)

    async def at_rest(self) -> bool:
        """Whether the daemons have read every channel's listings."""
        return await self.database.query(self._listed)

    def _listed(self, connection: Connection) -> bool:
        rows = connection.execute(select(_SCHEDULE.c.name, _SCHEDULE.c.outcome)).all()
        listings = [row.outcome for row in rows if row.name.startswith("listings")]
        return len(listings) == len(self.sites) and all(outcome == "done" for outcome in listings)


def over(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that may have ended already."""
    process.kill()
    process.wait()


@asynccontextmanager
async def open_seller(
    there: Path,
    url: str,
    rules: Mapping[str, MarketplaceRules],
    skus: int,
    saw: Callable[[str, Request], None],
    *,
    listen: str = "",
    lease: int = 30,
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[Seller]:
    """A seller whose every listing is mapped; the first daemon reads them.

    saw: is told (marketplace, request) of every call. listen: where a daemon takes webhooks. lease: in seconds.
    settings: of all channels, beside what the marketplaces declare.
    """
    sites = {name: open_site(name, rule, CLOCK, seed=1) for name, rule in rules.items()}
    listings = [
        StagedListing(marketplace=name, listing=f"L-{n}", sku=f"SKU-{n}") for name in rules for n in range(skus)
    ]
    wares = Wares(opening={f"SKU-{n}": OPENING for n in range(skus)}, listings=listings)
    text = _CONFIG.format(url=url, listen=listen, lease=lease)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        await upgrade(database)
        channels = {name: ChannelSetup(name=name, capabilities=Capabilities(), locations=(LOCATION,)) for name in sites}
        stage = open_stage(
            database=database,
            clock=CLOCK,
            sites=sites,
            wares=wares,
            channels=channels,
            options=StageOptions(pull=False),
        )
        async with stage:
            pass  # units, listings and offers are in place
        for name, site in sites.items():
            app = MarketplaceApp(Watched(site, saw), CLOCK, random.Random(f"{name} way"))
            said = site.settings(await stack.enter_async_context(loopback_server(app))) | dict(settings or {})
            lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if value is not None]
            text += _CHANNEL.format(name=name, settings="\n".join(lines))
        config = there / "config.toml"
        config.write_text(text)
        yield Seller(sites=sites, database=database, config=config, skus=skus)
