"""From an order's arrival to the push request leaving: fifty orders a second, in real time, over real sockets.

Orders that the seller takes by hand arrive at the intake; a marketplace of the lab, an HTTP server in a process of
its own on loopback, must show a unit less of each. An order is covered by the first push of its SKU whose number
counts it; what is measured ends when that request is handed to the socket. The loops are the daemon's, on SQLite.

Against what no way around can save: a durable commit of one row, and a request over loopback, one after the other.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

import httpx
import orjson
from sqlalchemy import func, select, text

from benchmarks.measuring import Effort, folder
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.lab.figures import Figure, number
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.stage import LOCATION, Stage, StagedListing, StageOptions, Wares, open_offers, open_stage
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock, SystemClock
from channelsync.store.database import Database, open_database
from channelsync.store.tables import metadata
from channelsync.sync.book_orders import Arrival
from channelsync.sync.intake import Intake
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.setup import BY_HAND, ChannelSetup

PER_SECOND = 50
SKUS = 1_000
UNITS = 100_000
MARKETPLACE = "agora"
COVERED_WITHIN = 30.0
"""Seconds after the last order; later, an order would not be covered at all."""

FLOORS = 100
"""How often the floor is measured in a turn."""

_KEY = metadata.tables["quantity_key"]


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """The median and the 99 % quantile."""
    with folder() as there:
        waited, floor = await measure(there, effort)
    for percent in (50, 99):
        ours, theirs = (quantiles(seconds, n=100, method="inclusive")[percent - 1] for seconds in (waited, floor))
        yield Figure(
            name=f"latency_p{percent}",
            value=round(ours * 1000, 2),
            unit=f"ms, {PER_SECOND} orders/s",
            against=f"p{percent} of a durable commit and a loopback request: {number(round(theirs * 1000, 2))} ms",
            ratio=round(ours / theirs, 3),
        )


async def measure(there: Path, effort: Effort) -> tuple[list[float], list[float]]:
    """(seconds from arrival to the request leaving, for every order; seconds of the floor), measured in turns."""
    floor: list[float] = []
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(_server())
        database = await stack.enter_async_context(open_database(f"sqlite:///{there / 'latency.db'}"))
        await database.transact(metadata.create_all)
        leaving = Leaving(httpx.AsyncHTTPTransport())
        stage = await stack.enter_async_context(_stage(database, address, leaving))
        running = asyncio.create_task(stage.run(), name="agent")
        try:
            await _until_settled(database, running)
            for turn in range(effort.rounds):
                floor += await _floor(database, address)
                await _send_orders(stage, leaving, effort.latency_seconds, turn)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    return leaving.waited, floor


@dataclass(slots=True)
class Leaving(httpx.AsyncBaseTransport):
    """The way to the marketplace; it notes when the request leaves that counts an order.

    arrived: by listing, how many orders are covered, and when each of those arrived that are not. open: how many are
    not, over all listings.
    """

    inner: httpx.AsyncHTTPTransport
    arrived: dict[str, tuple[int, deque[float]]] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    open: int = 0
    all_covered: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Notes the time and sends the request."""
        left = time.perf_counter()
        if self.arrived and request.method == "POST":
            for row in orjson.loads(request.content).get("updates", ()):
                self._cover(row["key"], UNITS - row["number"], left)
        return await self.inner.handle_async_request(request)

    def arrives(self, listing: str) -> None:
        """An order for one unit of a listing arrives now."""
        self.open += 1
        self.all_covered.clear()
        self.arrived.setdefault(listing, (0, deque()))[1].append(time.perf_counter())

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.inner.aclose()

    def _cover(self, listing: str, counted: int, left: float) -> None:
        covered, times = self.arrived.get(listing, (0, deque()))
        for _ in range(min(counted - covered, len(times))):
            self.waited.append(left - times.popleft())
            self.open -= 1
        self.arrived[listing] = (max(covered, counted), times)
        if not self.open:
            self.all_covered.set()


async def _send_orders(stage: Stage, leaving: Leaving, seconds: float, turn: int) -> None:
    """Orders at even intervals, whatever becomes of those before; then waits until each is covered."""
    agent = stage.agent
    async with (
        Intake(
            agent.database, agent.setup, agent.clock, agent.run, on_booked=lambda booked: agent.wake_publishers()
        ) as intake,
        asyncio.TaskGroup() as tasks,
    ):
        began = time.perf_counter()
        for place in range(max(1, int(seconds * PER_SECOND))):
            await asyncio.sleep(max(0.0, began + place / PER_SECOND - time.perf_counter()))
            leaving.arrives(_listing(place % SKUS))
            tasks.create_task(intake.book(Arrival(channel=BY_HAND, order=_order(place, turn, agent.clock))))
    async with asyncio.timeout(COVERED_WITHIN):
        await leaving.all_covered.wait()


def _order(place: int, turn: int, clock: Clock) -> OrderSnapshot:
    now = clock.now()
    line = OrderLine(line="1", ordered=1, sku=_sku(place % SKUS))
    return OrderSnapshot(
        order=f"hand-{turn}-{place}", version=now, placed_at=now, status=OrderStatus.OPEN, lines=(line,)
    )


def _sku(place: int) -> str:
    return f"SKU-{place}"


def _listing(place: int) -> str:
    return f"listing-{place}"


def _wares() -> Wares:
    listings = [StagedListing(marketplace=MARKETPLACE, listing=_listing(n), sku=_sku(n)) for n in range(SKUS)]
    return Wares(opening={_sku(n): UNITS for n in range(SKUS)}, listings=listings)


def _site() -> Site:
    """A marketplace with compare-and-set, which takes fifty numbers at a time."""
    rules = MarketplaceRules(compare_and_set=True, answers_with_number=True, updates_per_push=50, reads_per_call=50)
    return open_site(MARKETPLACE, rules, SystemClock())


@asynccontextmanager
async def _stage(database: Database, address: str, leaving: Leaving) -> AsyncIterator[Stage]:
    """The agent, connected; the site here is a twin of the server's, from which only the settings are taken."""
    channel = ChannelSetup(
        name=MARKETPLACE,
        capabilities=Capabilities(),
        locations=(LOCATION,),
        poll=timedelta(hours=1),
        tick=timedelta(seconds=1),
        sweep=timedelta(hours=1),
        hot_reads=False,
    )
    options = StageOptions(transports={MARKETPLACE: leaving}, addresses={MARKETPLACE: address})
    async with open_stage(
        database=database,
        clock=SystemClock(),
        sites={MARKETPLACE: _site()},
        wares=_wares(),
        channels={MARKETPLACE: channel},
        options=options,
    ) as stage:
        agent = stage.agent
        agent.setup = replace(agent.setup, channels={**agent.setup.channels, BY_HAND: by_hand((LOCATION,))})
        yield stage


async def _until_settled(database: Database, running: asyncio.Task[None]) -> None:
    """Every number is read, and nothing is due."""
    unsettled = select(func.count()).where(_KEY.c.due_at.is_not(None) | _KEY.c.value.is_(None))
    async with asyncio.timeout(60):
        while await database.query(lambda c: c.execute(unsettled).scalar_one()):
            if running.done():
                running.result()
            await asyncio.sleep(0.1)


async def _floor(database: Database, address: str) -> list[float]:
    """Seconds of one durable commit and one request, several times."""
    update = text("UPDATE run SET outcome = :outcome")
    seconds = []
    async with httpx.AsyncClient(base_url=address) as client:
        for turn in range(FLOORS):
            began = time.perf_counter()
            await database.transact(lambda c, turn=turn: c.execute(update, {"outcome": str(turn)}))  # type: ignore[misc]
            await client.get("/")
            seconds.append(time.perf_counter() - began)
    return seconds


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """The marketplace in a process of its own; gives its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve() -> None:
    """The server's process: tells its address and serves until it is killed."""
    site = _site()
    open_offers({MARKETPLACE: site}, _wares())
    async with loopback_server(site.app) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
