"""A trading day for real daemons: `channelsync run` is a process of its own, started from a configuration file.

The marketplaces are served on loopback by the test, whose buyers go on buying whatever becomes of the daemons; the
test also receives units and watches the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
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
from channelsync.lab.stage import LOCATION, StagedListing, Wares, open_stage, recipes_by_item
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

HANG_GUARD = 300.0
CLOCK = SystemClock()
_WRITE = metadata.tables["quantity_write"]
COMMAND = """\
import sys
from channelsync.sdk.calls import Timeouts
Timeouts.__init__.__defaults__ = (2.0, 2.0, 3.0, 3.0, 3.0, 60.0)
from channelsync.runtime.cli import main
sys.exit(main())
"""
"""Less patient than a user's: so long a write whose answer nobody heard counts as on its way, and a test waits."""
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
[web]
listen = ""
[log]
format = "json"
[schedule]
order_poll = "1s"
order_poll_quiet = "1s"
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
    spring: Callable[[], object]
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

    def never_back(self) -> bool:
        """Whether no write of an older generation arrived after a newer one, and each generation said one thing."""
        for key, writes in self.generations().items():
            assert [generation for generation, _ in writes] == sorted(generation for generation, _ in writes), key
            assert len(set(writes)) == len({generation for generation, _ in writes}), key
        return True


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

    left: the referee's count of what may still be sold. closing: the buyers go home. warehouse: nothing is received
    while somebody else holds it, as where a test takes the database away. environment: of the processes, beside ours.
    """

    sites: dict[str, Site]
    wire: Wire
    database: Database
    config: Path
    dice: random.Random
    received: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    warehouse: asyncio.Lock = field(default_factory=asyncio.Lock)
    environment: dict[str, str] = field(default_factory=dict)
    wares: Wares = WARES

    def start(self) -> subprocess.Popen[bytes]:
        """The daemon, as a user starts it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command("run"), stderr=log, env=self._environment())

    async def runs(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command as the seller does; it must end with this code."""
        done = await asyncio.to_thread(
            subprocess.run,
            self._command(*arguments),
            capture_output=True,
            text=True,
            timeout=HANG_GUARD,
            check=False,
            env=self._environment(),
        )
        assert done.returncode == code, f"{done.stdout}{done.stderr}\n{self.tail()}"
        return done

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", COMMAND, "--config", str(self.config), *arguments]

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name != "CHANNELSYNC_CONFIG"}  # noqa: TID251
        return ours | self.environment

    def configure(self, before: str, after: str) -> None:
        """Changes the configuration: `before` stands there once."""
        text = self.config.read_text()
        assert text.count(before) == 1, before
        self.config.write_text(text.replace(before, after))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[subprocess.Popen[bytes]]:
        """The daemon while the block runs; it must end with 0 when asked to stop, and is killed when a test fails."""
        process = self.start()
        try:
            yield process
            process.terminate()
            assert await self.ended(process) == 0, self.tail()
        finally:
            process.kill()
            process.wait()

    async def ended(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of a daemon."""
        return await asyncio.to_thread(process.wait, HANG_GUARD)

    async def trapped(self, path: str, calls: int, spring: Callable[[], object], *, before: bool) -> None:
        """Does something at the so-many-th call of an endpoint from now; see Trap. Returns when it is done."""
        trap = self.wire.trap = Trap(path, calls, before, spring)
        async with asyncio.timeout(HANG_GUARD):
            await trap.sprung.wait()
        self.wire.trap = None

    async def until(self, wanted: Callable[[], Awaitable[bool]]) -> None:
        """Waits until something is so."""
        try:
            async with asyncio.timeout(HANG_GUARD):
                while not await wanted():  # noqa: ASYNC110 - what happens in another process sets no event here
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"it never came to be so:\n{self.tail()}")

    @property
    def log(self) -> Path:
        return self.config.with_name("daemon.log")

    async def buyers(self) -> None:
        """Buy, change their minds and get their parcels at random, and the seller receives what runs out."""
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
            if self.left[scarce] < 2 and self.dice.random() < 0.2 and not self.warehouse.locked():
                async with self.warehouse:
                    await self.receives(scarce)

    async def receives(self, sku: str) -> None:
        """Ten units come in."""
        setup = Setup(channels={}, locations=(LOCATION,), recipes=recipes_by_item(WARES.recipes))
        by = By(actor="user:test", run="lab-0", now=CLOCK.now())
        await self.database.transact(
            lambda c: receive(c, setup, by, Receipt(place=place(c, setup, sku, LOCATION), units=10))
        )
        self.received[sku] += 10
        self.left[sku] += 10

    async def something_for_sale(self) -> None:
        """Returns once a shelf shows units: with all of them empty and every parcel sent, nothing happens any more."""
        sku = max(SKUS, key=lambda name: self.left[name])

        async def is_there() -> bool:
            if self.left[sku] < 5:
                await self.receives(sku)
            shelves = [site.marketplace for site in self.sites.values()]
            return any(shelf.number(key) > 0 for shelf in shelves for key in shelf.quantity_keys())

        await self.until(is_there)

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

    async def adds_up(self) -> None:
        """Fails where something is not as the marketplaces' own truth says, or the ledger does not prove itself."""
        assert await self.database.query(self.differences, snapshot=True) == []
        assert (await self.database.query(verify, snapshot=True)).problems == []

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


OpenDay = Callable[[str, int], contextlib.AbstractAsyncContextManager[Day]]


@pytest.fixture
def open_day(tmp_path: Path) -> OpenDay:
    """Opens a day: open_day(address of its database, seed)."""
    return lambda url, seed: _open_day(url, tmp_path, seed)


@contextlib.asynccontextmanager
async def _open_day(url: str, folder: Path, seed: int) -> AsyncIterator[Day]:
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
