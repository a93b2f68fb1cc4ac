"""One bad marketplace of six: what it does to the others' way from a change to its push, in simulated time.

Orders arrive at even intervals; each takes a unit that all six marketplaces show. The time is taken from its arrival
until the request that counts it leaves for each of them. Meanwhile the sixth does what it is told to do wrong. The
loops are the daemon's; the same orders come at the same moments whatever is wrong.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import httpx
import orjson

from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.stage import LOCATION, Stage, StagedListing, StageOptions, Wares, open_stage
from channelsync.lab.virtual_time import LabClock, VirtualLoop
from channelsync.sdk.channel import Capabilities
from channelsync.store.database import open_database
from channelsync.store.tables import metadata
from channelsync.sync.book_orders import Arrival
from channelsync.sync.intake import Intake
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.setup import BY_HAND, ChannelSetup

BAD = "market-5"
MARKETPLACES = tuple(f"market-{number}" for number in range(6))
SKUS = 40
UNITS = 100_000
EVERY = 7.3
"""Simulated seconds between two orders."""

SETTLING = timedelta(minutes=5)
STARTS = datetime(2026, 3, 2, 8, tzinfo=UTC)
RULES = MarketplaceRules(idempotency_keys=True, latency=(0.1, 4.0))
"""They answer so slowly that most changes arrive while a call is on its way."""


def play(kind: FaultKind | None, length: timedelta) -> dict[str, list[float]]:
    """By marketplace, the simulated seconds from each order's arrival to its push. None: nothing is wrong."""
    loop = VirtualLoop(STARTS)
    try:
        return loop.run_until_complete(_play(loop, kind, length))
    finally:
        loop.close()


def p99_of_others(waited: Mapping[str, list[float]]) -> float:
    """The 99 % quantile over all marketplaces but the bad one."""
    others = [one for marketplace in MARKETPLACES if marketplace != BAD for one in waited[marketplace]]
    return quantiles(others, n=100, method="inclusive")[98]


@dataclass(slots=True)
class _Leaving(httpx.AsyncBaseTransport):
    """The way to a marketplace; notes when the request leaves that counts an order. arrived: by listing, when."""

    inner: httpx.AsyncBaseTransport
    clock: LabClock
    arrived: dict[str, list[float]] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Notes the time and sends the request."""
        if request.url.path == "/v1/numbers":
            left = self.clock.monotonic()
            for row in orjson.loads(request.content)["updates"]:
                arrived = self.arrived.get(row["key"], [])
                covered = UNITS - row["number"]
                for place in range(covered):
                    if place < len(arrived) and arrived[place] >= 0:
                        self.waited.append(left - arrived[place])
                        arrived[place] = -1.0
        return await self.inner.handle_async_request(request)


async def _play(loop: VirtualLoop, kind: FaultKind | None, length: timedelta) -> dict[str, list[float]]:
    clock = LabClock(loop)
    begins = STARTS + SETTLING
    fault = () if kind is None else (Fault(kind=kind, starts=begins, ends=begins + length, seconds=50.0),)
    sites = {
        name: open_site(name, RULES, clock, faults=FaultPlan(fault) if name == BAD else None) for name in MARKETPLACES
    }
    ways = {name: _Leaving(site.transport, clock) for name, site in sites.items()}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = await stack.enter_async_context(open_database(f"sqlite:///{folder}/hour.db", inline=True))
        await database.transact(metadata.create_all)
        stage = await stack.enter_async_context(
            open_stage(
                database=database,
                clock=clock,
                sites=sites,
                wares=_wares(),
                channels={name: _channel(name) for name in sites},
                options=StageOptions(transports=ways),
            )
        )
        agent = stage.agent
        agent.setup = replace(agent.setup, channels={**agent.setup.channels, BY_HAND: by_hand((LOCATION,))})
        running = asyncio.create_task(stage.run(), name="agent")
        try:
            await clock.sleep(SETTLING.total_seconds())
            await _sell(stage, ways, clock, length)
            await clock.sleep(SETTLING.total_seconds())
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    return {name: way.waited for name, way in ways.items()}


async def _sell(stage: Stage, ways: Mapping[str, _Leaving], clock: LabClock, length: timedelta) -> None:
    agent = stage.agent
    async with Intake(
        agent.database, agent.setup, clock, agent.run, on_booked=lambda booked: agent.wake_publishers()
    ) as intake:
        for number in range(int(length.total_seconds() / EVERY)):
            await clock.sleep(EVERY)
            sku = number % SKUS
            for name, way in ways.items():
                way.arrived.setdefault(f"{name}-{sku}", []).append(clock.monotonic())
            now = clock.now()
            line = OrderLine(line="1", ordered=1, sku=f"SKU-{sku}")
            order = OrderSnapshot(
                order=f"hand-{number}", version=now, placed_at=now, status=OrderStatus.OPEN, lines=(line,)
            )
            await intake.book(Arrival(channel=BY_HAND, order=order))


def _wares() -> Wares:
    listings = [
        StagedListing(marketplace=name, listing=f"{name}-{number}", sku=f"SKU-{number}")
        for name in MARKETPLACES
        for number in range(SKUS)
    ]
    return Wares(opening={f"SKU-{number}": UNITS for number in range(SKUS)}, listings=listings)


def _channel(name: str) -> ChannelSetup:
    return ChannelSetup(name=name, capabilities=Capabilities(), locations=(LOCATION,))
