"""Numbers pushed a second by 1, 2 and 4 daemons on one PostgreSQL, and what becomes of a killed one's accounts.

Six marketplaces, whose servers answer after 100 ms, show the same SKUs; the daemons share them (`channelsync run` as
processes). Units of every SKU are set aside, so that each marketplace must be told every number anew, and soon: these
are lowerings, for which nothing needs to be read first. The marketplaces write down what they are told: a number that
is told twice, and a call beyond the budget, is counted. Then a daemon is killed: its accounts must become others'.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import orjson

from benchmarks.daemons import HANG_GUARD, PUSHES, Seller, open_seller, over
from benchmarks.measuring import Effort, cpu_seconds, folder
from channelsync.lab.figures import Figure, number
from channelsync.lab.marketplace_http import Request
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.clock import SystemClock
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.leases import holders

MARKETPLACES = tuple(f"market-{number}" for number in range(6))
WAVES = 3
BUDGET = 20.0
"""Calls a second that each marketplace allows, reads and order polls among them."""

TOGETHER = 50
"""Numbers of one call, which tells them or reads them."""

ANSWERS_AFTER = 0.1
CALLS_EACH = 2
"""Calls for every `TOGETHER` numbers: nothing is compared there, so they are read just before they are written."""

CAPACITY = 40.0
RULES = MarketplaceRules(
    idempotency_keys=True,
    latency=(ANSWERS_AFTER / 2, ANSWERS_AFTER / 2),
    budget_capacity=CAPACITY,
    budget_per_second=BUDGET,
    updates_per_push=TOGETHER,
    reads_per_call=TOGETHER,
)
_CLOCK = SystemClock()


@dataclass(slots=True)
class Wire:
    """What the marketplaces were told.

    told: how often each (marketplace, key, idempotency key). Of a wave of changes: left, how many numbers are still to
    come; first, last: when the first and the last came; begun, over: set when they did.
    """

    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    left: int = 0
    first: float = 0.0
    last: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, marketplace: str, request: Request) -> None:
        """Notes a push."""
        if request.path != PUSHES or not request.body:
            return
        rows = orjson.loads(request.body)["updates"]
        for row in rows:
            self.told[marketplace, row["key"], row["idempotency_key"]] += 1
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.left -= len(rows)
        self.begun.set()
        if self.left <= 0:
            self.over.set()

    def begin(self, numbers: int) -> None:
        """A new wave of so many numbers."""
        self.left, self.first = numbers, 0.0
        self.begun.clear()
        self.over.clear()

    @property
    def twice(self) -> int:
        """Numbers that a marketplace was told more than once."""
        return sum(many - 1 for many in self.told.values())


@dataclass(slots=True)
class Rates:
    """Of some workers, over the waves. share: of all processors' time, by the workers; busy: by anybody."""

    numbers: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Of each number of workers; then what must hold of all; then of a worker that is killed."""
    wire = Wire()
    measured: dict[int, Rates] = {}
    processes: list[subprocess.Popen[bytes]] = []
    with folder() as there, EmbeddedPostgres(there / "postgresql") as server:
        server.create_database("scale")
        rules = dict.fromkeys(MARKETPLACES, RULES)
        async with open_seller(
            there, server.url("scale"), rules, effort.worker_skus, wire.saw, lease=effort.lease
        ) as seller:
            try:
                for workers in effort.workers:
                    processes += [seller.start() for _ in range(workers - len(processes))]
                    await seller.until(seller.at_rest)
                    await seller.until(partial(_shared_by, seller, len(processes)))
                    measured[workers] = await _waves(seller, wire, processes, min(WAVES, effort.rounds))
                    yield _rate(workers, measured)
                seconds = await _taken_over(seller, processes)
            finally:
                for process in processes:
                    over(process)
            refused = sum(len(site.api.meter.violations) for site in seller.sites.values())
    yield Figure(name="scale_told_twice", value=wire.twice, unit="numbers that a marketplace was told twice", aim="= 0")
    yield Figure(name="scale_over_budget", value=refused, unit="calls beyond a marketplace's budget", aim="= 0")
    yield Figure(
        name="scale_taken_over_after",
        value=round(seconds, 1),
        unit="s from kill -9 of a worker until its accounts are another's",
        against=f"the lease of {effort.lease} s and the quarter of it between two looks",
        aim=f"<= {effort.lease * 1.25:g}",
    )


def _rate(workers: int, measured: dict[int, Rates]) -> Figure:
    one, rates = measured[1], measured[workers]
    one_by_one = TOGETHER * len(MARKETPLACES) / (ANSWERS_AFTER * CALLS_EACH)
    in_budget = TOGETHER * len(MARKETPLACES) * BUDGET / CALLS_EACH
    each = median(rates.share) * (os.cpu_count() or 1) * 1000 / median(rates.numbers)
    return Figure(
        name=f"scale_{workers}_workers",
        value=round(median(rates.numbers)),
        unit=f"numbers/s; answers of {ANSWERS_AFTER * 1000:g} ms, one call of an account at a time, allow "
        f"{number(one_by_one)}, the budgets {number(in_budget)}",
        against=f"1 worker: {median(one.numbers):.0f}; of {os.cpu_count()} processors' time workers took "
        f"{median(rates.share):.0%} ({each:.2f} ms a number), everybody {median(rates.busy):.0%}",
        ratio=round(median(rates.numbers) / median(one.numbers), 2),
    )


async def _waves(seller: Seller, wire: Wire, processes: list[subprocess.Popen[bytes]], waves: int) -> Rates:
    """Numbers a second, from the first that arrives to the last, of each wave of changes."""
    rates = Rates()
    expected = seller.skus * len(seller.sites)
    for _ in range(waves):
        await asyncio.sleep(CAPACITY / BUDGET)  # every budget is full again
        wire.begin(expected)
        await seller.change(range(seller.skus), units=-3)
        async with asyncio.timeout(HANG_GUARD):
            await wire.begun.wait()
        workers, (busy, whole) = sum(cpu_seconds(process.pid) for process in processes), _processors()
        async with asyncio.timeout(HANG_GUARD):
            await wire.over.wait()
        after, (busy_after, whole_after) = sum(cpu_seconds(process.pid) for process in processes), _processors()
        rates.numbers.append(expected / max(0.001, wire.last - wire.first))
        rates.share.append((after - workers) / (whole_after - whole))
        rates.busy.append((busy_after - busy) / (whole_after - whole))
    return rates


def _processors() -> tuple[float, float]:
    """Seconds that all processors together have worked so far, and that there were, idle ones included."""
    told = [int(one) / os.sysconf("SC_CLK_TCK") for one in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(told) - told[3] - told[4], sum(told)


async def _shared_by(seller: Seller, workers: int) -> bool:
    """Whether the accounts are shared evenly."""
    owners = await seller.database.query(lambda c: holders(c, _CLOCK.now()))
    counts = Counter(owner for owner in owners.values() if owner)
    return len(owners) == counts.total() == len(seller.sites) and len(counts) == min(workers, len(seller.sites))


async def _taken_over(seller: Seller, processes: list[subprocess.Popen[bytes]]) -> float:
    """Seconds from the kill of one worker until all accounts are others' who are alive."""
    before = await seller.database.query(lambda c: holders(c, _CLOCK.now()))
    victim = random.Random(1).choice(processes)
    began = time.perf_counter()
    over(victim)

    async def taken() -> bool:
        now = await seller.database.query(lambda c: holders(c, _CLOCK.now()))
        lost = set(before.values()) - set(now.values())
        return len(lost) == 1 and len([owner for owner in now.values() if owner]) == len(seller.sites)

    await seller.until(taken, every=0.1)
    return time.perf_counter() - began
