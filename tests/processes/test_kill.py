"""kill -9 of the real daemon at random points under load: nothing that was taken in is lost or doubled.

`channelsync run` is a process of its own, started from a configuration file. The marketplaces are served on loopback
by the test, whose buyers go on buying while the daemon is down; the test also receives units and watches the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.quantities import PositionKey
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_fronts import MarketplaceApp
from channelsync.lab.marketplace_http import Reply, Request
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey, Order, units
from channelsync.lab.stage import LOCATION, StagedListing, Wares, open_stage
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.values import Applies
from channelsync.store import proof
from channelsync.store.database import Database, open_database
from channelsync.store.items import item_id
from channelsync.store.tables import metadata
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.stock import By, place
from channelsync.sync.stock_moves import Receipt, receive
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

HANG_GUARD = 300.0
LONGEST_LIFE = 4.0
"""Seconds until a daemon is killed at the latest, where the moment is drawn and not the call."""

CLOCK = SystemClock()
_WRITE = metadata.tables["quantity_write"]
COMMAND = "import sys; from channelsync.runtime.cli import main; sys.exit(main())"
RULES = {
    # Its writes are checked against the number that they replace, and answered with the one in force.
    "agora": MarketplaceRules(
        compare_and_set=True, answers_with_number=True, idempotency_keys=True, latency=(0.0, 0.03)
    ),
    # Its writes come into force later, and its orders are found later.
    "bazaar": MarketplaceRules(
        idempotency_keys=True,
        applies=Applies.IN_ORDER,
        apply_delay=(0.0, 0.4),
        visibility=(0.0, 0.8),
        order_pages="shifting",
        latency=(0.0, 0.03),
    ),
}
SKUS = tuple(f"SKU-{number}" for number in range(8))
OPENING = dict.fromkeys(SKUS, 12)
SET = Recipe("SET", "virtual", (Part("SKU-0", 1), Part("SKU-1", 2)))
WARES = Wares(
    opening=OPENING,
    listings=[
        *(StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku) for name in RULES for sku in SKUS),
        *(StagedListing(marketplace=name, listing=f"{name}-SET", sku="SET") for name in RULES),
        StagedListing(marketplace="bazaar", listing="bazaar-pack", sku="SKU-2", multiple=3),
    ],
    recipes={"SET": SET},
)
CONFIG = """\
[database]
url = "{url}"
[log]
format = "json"
[schedule]
order_poll = "1s"
publish_tick = "1s"
[limits]
lease = "2s"
[[location]]
name = "main"
[[bundle]]
sku = "SET"
parts = [{{ sku = "SKU-0", units = 1 }}, {{ sku = "SKU-1", units = 2 }}]
"""


@dataclass(slots=True)
class Trap:
    """Springs at the so-many-th call of an endpoint. path empty: of any. before: and the call is not carried out."""

    path: str
    calls: int
    before: bool
    spring: Callable[[], None]
    sprung: asyncio.Event = field(default_factory=asyncio.Event)

    def met(self, path: str) -> bool:
        if self.path not in ("", path) or self.sprung.is_set():
            return False
        self.calls -= 1
        return self.calls == 0

    def go(self) -> None:
        self.sprung.set()
        self.spring()


@dataclass(slots=True)
class Wire:
    """Everything that the daemon asks of the marketplaces, as it arrives: (marketplace, path, body)."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    trap: Trap | None = None

    def generations(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """Of every quantity key the (generation, number) of its writes, in the order in which they arrived."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for marketplace, path, body in self.calls:
            if path == "/v1/numbers":
                for row in body["updates"]:
                    generation = int(row["idempotency_key"].rpartition("-")[2])
                    found.setdefault((marketplace, row["key"]), []).append((generation, row["number"]))
        return found


class WatchedApi:
    """A marketplace's API with somebody on the wire."""

    def __init__(self, site: Site, wire: Wire) -> None:
        self.marketplace = site.marketplace
        self._api = site.api
        self._wire = wire

    def handle(self, request: Request) -> Reply:
        trap = self._wire.trap
        springs = trap is not None and trap.met(request.path)
        body = json.loads(request.body) if request.body and request.path != "/oauth/token" else {}
        self._wire.calls.append((self.marketplace.name, request.path, body))
        if springs and trap.before:
            trap.go()
            return Reply(0, fate="is reset")
        reply = self._api.handle(request)
        if springs:
            trap.go()
        return reply


@dataclass(slots=True)
class Day:
    """The marketplaces, the database and the daemon's configuration. received: units that came in, by SKU.

    left: the referee's count of what may still be sold. closing: the buyers go home.
    """

    sites: dict[str, Site]
    wire: Wire
    database: Database
    config: Path
    dice: random.Random
    received: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> subprocess.Popen[bytes]:
        """The daemon, as a user starts it."""
        environment = {name: value for name, value in os.environ.items() if name != "CHANNELSYNC_CONFIG"}  # noqa: TID251
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", COMMAND, "--config", str(self.config), "run"], stderr=log, env=environment
            )

    @property
    def log(self) -> Path:
        return self.config.with_name("daemon.log")

    async def buyers(self) -> None:
        """Buy, change their minds and get their parcels at random, and the seller receives what runs out."""
        setup = Setup(channels={}, locations=(LOCATION,))
        while not self.closing.is_set():
            await asyncio.sleep(self.dice.expovariate(12))
            market = self.sites[self.dice.choice(list(self.sites))].marketplace
            live = [order for order in market.orders.values() if any(line.open for line in order.lines)]
            lot = self.dice.random()
            if lot < 0.6 or not live:
                listings = self.dice.sample(sorted(market.offers), self.dice.choice((1, 1, 2)))
                market.place([Wanted(listing, self.dice.choice((1, 1, 2))) for listing in listings])
            elif lot < 0.75:
                market.cancel(self.dice.choice(live).id)
            elif lot < 0.8:
                order = self.dice.choice(live)
                market.edit(order.id, order.lines[0].id, self.dice.randint(1, 3))
            else:
                market.ship(self.dice.choice(live).id)
            scarce = min(SKUS, key=lambda sku: self.left[sku])
            if self.left[scarce] < 2 and self.dice.random() < 0.2:
                by = By(actor="user:test", run="lab-0", now=CLOCK.now())
                await self.database.transact(
                    lambda c, by=by, sku=scarce: receive(
                        c, setup, by, Receipt(place=place(c, setup, sku, LOCATION), units=10)
                    )
                )
                self.received[scarce] += 10
                self.left[scarce] += 10

    async def settled(self, process: subprocess.Popen[bytes]) -> None:
        """Waits until it has asked for orders and the database and the marketplaces agree; fails when it ends first."""
        wrong: list[str] = ["nothing was looked at"]
        since = len(self.wire.calls)
        try:
            async with asyncio.timeout(HANG_GUARD):
                while wrong:
                    await asyncio.sleep(0.2)
                    assert process.poll() is None, f"the daemon ended by itself:\n{self.tail()}"
                    wrong = await self.database.query(self.differences, snapshot=True)
                    asked = {name for name, path, _ in self.wire.calls[since:] if path == "/v1/orders"}
                    wrong += [f"the orders of {name} were not asked for" for name in self.sites.keys() - asked]
        except TimeoutError:
            pytest.fail("\n".join(["it never settled:", *wrong, self.tail()]))

    def differences(self, connection: Connection) -> list[str]:
        """What is not as the marketplaces' own truth says."""
        theirs = {
            (name, order.id): order for name, site in self.sites.items() for order in site.marketplace.orders.values()
        }
        ours = {
            (one.channel, one.order): one.booked for page in proof.booked_orders_by_page(connection) for one in page
        }
        wrong = [f"{name} is not booked" for name in theirs.keys() - ours.keys()]
        wrong += [f"{name} was never placed" for name in ours.keys() - theirs.keys()]
        for name in theirs.keys() & ours.keys():
            booked = ours[name]
            open_units = {line.line: line.sum("open") for line in booked.lines} if booked else {}
            true_units = {line.id: line.open for line in theirs[name].lines}
            if {line: open_units.get(line, 0) for line in true_units} != true_units:
                wrong.append(f"{name}: {open_units} are open, in truth {true_units}")
        positions = proof.all_positions(connection)
        expected = self.true_positions(list(theirs.values()))
        for sku in SKUS:
            position = positions[PositionKey(item_id(sku), LOCATION)]
            has = (position.on_hand, position.reserved, position.available)
            if has != expected[sku]:
                wrong.append(f"{sku}: on hand, reserved, available are {has}, in truth {expected[sku]}")
        for listing in WARES.listings:
            shown = self.sites[listing.marketplace].marketplace.number(NumberKey(listing.listing))
            should = WARES.shown(listing, self.left)
            if shown != should:
                wrong.append(f"{listing.listing} shows {shown} and should show {should}")
        doubtful = select(_WRITE.c.key).where(_WRITE.c.closed_at.is_(None), _WRITE.c.outcome.in_(("", "unknown")))
        return wrong + [f"what became of a write of key {key} is unknown" for key in connection.scalars(doubtful)]

    def true_positions(self, orders: list[Order]) -> dict[str, tuple[int, int, int]]:
        """On hand, reserved and available of every SKU, from the orders and receipts alone."""
        shipped: Counter[str] = Counter()
        reserved: Counter[str] = Counter()
        takes = {listing.listing: WARES.takes(listing.sku, listing.multiple) for listing in WARES.listings}
        for line in (line for order in orders for line in order.lines):
            for sku, each in takes[line.listing]:
                shipped[sku] += each * units(line.shipped)
                reserved[sku] += each * line.open
        on_hand = {sku: OPENING[sku] + self.received[sku] - shipped[sku] for sku in SKUS}
        return {sku: (on_hand[sku], reserved[sku], self.left[sku]) for sku in SKUS}

    def tail(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-30:])


@contextlib.asynccontextmanager
async def open_day(url: str, folder: Path, seed: int) -> AsyncIterator[Day]:
    """The marketplaces on loopback, the opening units received, every listing mapped and read once."""
    sites = {name: open_site(name, rules, CLOCK, seed=seed) for name, rules in RULES.items()}
    channels = {name: ChannelSetup(name=name, capabilities=Capabilities(), locations=(LOCATION,)) for name in RULES}
    wire = Wire()
    text = CONFIG.format(url=url)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        async with open_stage(database=database, clock=CLOCK, sites=sites, wares=WARES, channels=channels) as stage:
            left = stage.referee.left
        for name, site in sites.items():
            app = MarketplaceApp(WatchedApi(site, wire), CLOCK, random.Random(f"{seed} {name} way"))
            address = await stack.enter_async_context(loopback_server(app))
            text += f'[[channel]]\nname = "{name}"\nconnector = "sandbox"\n[channel.settings]\n'
            said = {key: value for key, value in site.settings(address).items() if value is not None}
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())
        (folder / "config.toml").write_text(text)
        yield Day(sites, wire, database, folder / "config.toml", random.Random(f"{seed} day"), left=left)


async def killed(day: Day, process: subprocess.Popen[bytes]) -> None:
    """Kills the daemon: at a moment, or when one of its calls is lost on its way, or when one was carried out."""
    if day.dice.random() < 0.4:
        await asyncio.sleep(day.dice.uniform(0, LONGEST_LIFE))
        process.kill()
    else:
        path = day.dice.choice(("/v1/numbers", "/v1/orders", ""))
        day.wire.trap = Trap(path, day.dice.randint(1, 6), day.dice.random() < 0.5, process.kill)
        async with asyncio.timeout(HANG_GUARD):
            await day.wire.trap.sprung.wait()
        day.wire.trap = None
    assert await ended(process) == -signal.SIGKILL, f"the daemon ended by itself:\n{day.tail()}"


async def ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code of the daemon."""
    return await asyncio.to_thread(process.wait, HANG_GUARD)


@contextlib.asynccontextmanager
async def running(day: Day) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The daemon while the block runs; it must end with 0 when it is asked to stop, and is killed when a test fails."""
    process = day.start()
    try:
        yield process
        process.terminate()
        assert await ended(process) == 0, day.tail()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kills", [5, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_a_daemon_that_is_killed_at_random_goes_on_by_itself_and_loses_and_doubles_nothing(
    sqlite_url: str, tmp_path: Path, kills: int
) -> None:
    await survive(sqlite_url, tmp_path, kills)


@pytest.mark.soak
@pytest.mark.parametrize("kills", [5, 1_000])
async def test_a_daemon_that_is_killed_at_random_goes_on_by_itself_on_postgresql_too(
    postgresql_url: str, tmp_path: Path, kills: int
) -> None:
    await survive(postgresql_url, tmp_path, kills)


async def survive(database_url: str, folder: Path, kills: int) -> None:
    """Kills the daemon so often under load; afterwards everything is as if nothing had happened."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    async with open_day(database_url, folder, seed) as day:
        buying = asyncio.create_task(day.buyers())
        for _ in range(kills):
            process = day.start()
            try:
                await killed(day, process)
            finally:
                process.kill()
                process.wait()
        day.closing.set()
        await buying
        async with running(day) as process:
            await day.settled(process)

        assert sum(len(site.marketplace.orders) for site in day.sites.values()) > kills
        assert await day.database.query(day.differences, snapshot=True) == []
        assert (await day.database.query(verify, snapshot=True)).problems == []
        assert never_back(day.wire)


def never_back(wire: Wire) -> bool:
    """Whether no write of an older generation arrived after a newer one, and the same generation said the same."""
    for key, writes in wire.generations().items():
        assert [generation for generation, _ in writes] == sorted(generation for generation, _ in writes), key
        assert len(set(writes)) == len({generation for generation, _ in writes}), key
    return True


@pytest.mark.parametrize("before", [True, False], ids=["lost on its way", "carried out"])
async def test_a_write_whose_answer_nobody_heard_is_read_before_its_key_is_written_again(
    database_url: str, tmp_path: Path, before: bool
) -> None:
    async with open_day(database_url, tmp_path, 1) as day:
        agora = day.sites["agora"].marketplace
        async with contextlib.AsyncExitStack() as stack:
            process = day.start()
            stack.callback(process.wait)
            stack.callback(process.kill)
            day.wire.trap = Trap("/v1/numbers", 1, before, process.kill)
            agora.buy("agora-SKU-5", 3)
            async with asyncio.timeout(HANG_GUARD):
                await day.wire.trap.sprung.wait()
            assert await ended(process) == -signal.SIGKILL
        marketplace, _, body = [call for call in day.wire.calls if call[1] == "/v1/numbers"][-1]
        unheard = {row["key"] for row in body["updates"]}
        since = len(day.wire.calls)
        async with running(day) as process:
            await day.settled(process)

        for key in unheard:
            first = next(
                path
                for name, path, said in day.wire.calls[since:]
                if name == marketplace and path.startswith("/v1/numbers") and key in str(said)
            )
            assert first == "/v1/numbers/read", key
        assert (await day.database.query(verify, snapshot=True)).problems == []
