"""From the start of a daemon to its first push, and from SIGTERM to its end.

A seller with so many SKUs on one sandbox marketplace, which is served on loopback, on SQLite. The daemon is a process
of its own. It has worked before, so it knows every listing; then it is stopped while buyers buy, units come in, and it
is started anew: the time is taken until a number arrives at the marketplace.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections.abc import AsyncIterator
from statistics import median

from benchmarks.daemons import HANG_GUARD, PUSHES, Seller, open_seller, over
from benchmarks.measuring import Effort, cpu_seconds, folder
from channelsync.lab.figures import Figure, number
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_http import Request
from channelsync.lab.marketplace_rules import MarketplaceRules

NAME = "agora"
RULES = MarketplaceRules(idempotency_keys=True, budget_capacity=10_000, budget_per_second=5_000)


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Both figures, over the rounds."""
    skus, rounds = effort.startup_skus, min(3, effort.rounds)
    starts, stops, spent = [], [], []
    pushed = asyncio.Event()

    def saw(_: str, request: Request) -> None:
        if request.path == PUSHES and request.body:
            pushed.set()

    with folder() as there:
        async with open_seller(there, f"sqlite:///{there}/startup.db", {NAME: RULES}, skus, saw) as seller:
            dice = random.Random(1)
            process = seller.start()
            try:
                await seller.until(seller.at_rest)
                for _ in range(rounds):
                    stops.append(await _stopped(seller, process, dice))
                    one = dice.randrange(skus)
                    await seller.change(range(one, one + 1))
                    pushed.clear()
                    began = time.perf_counter()
                    process = seller.start()
                    async with asyncio.timeout(HANG_GUARD):
                        await pushed.wait()
                    starts.append(time.perf_counter() - began)
                    spent.append(cpu_seconds(process.pid))
                stops.append(await _stopped(seller, process, dice))
            finally:
                over(process)
    yield Figure(
        name="startup_to_first_push",
        value=round(median(starts), 2),
        unit=f"s from the start of the process to its first push, {number(skus)} SKUs, SQLite",
        against=f"the slowest of {rounds}: {max(starts):.2f} s; of it computing: {median(spent):.2f} s",
        aim="<= 5",
    )
    yield Figure(
        name="startup_then_stop",
        value=round(max(stops), 2),
        unit=f"s from SIGTERM to the end of the process at most, 20 orders a second, {number(skus)} SKUs",
        aim="<= 10",
    )


async def _stopped(seller: Seller, process: subprocess.Popen[bytes], dice: random.Random) -> float:
    """Seconds that a daemon takes to end while buyers buy."""
    buying = asyncio.create_task(_buy(seller, dice))
    await asyncio.sleep(2)
    began = time.perf_counter()
    process.terminate()
    code = await asyncio.to_thread(process.wait, HANG_GUARD)
    seconds = time.perf_counter() - began
    buying.cancel()
    if code != 0:
        raise RuntimeError(f"the daemon ended with {code}; see {seller.config.with_name('daemon.log')}")
    return seconds


async def _buy(seller: Seller, dice: random.Random) -> None:
    """Buyers who order twenty times a second until they are sent home."""
    while True:
        seller.sites[NAME].marketplace.place([Wanted(f"L-{dice.randrange(seller.skus)}", 1)])
        await asyncio.sleep(0.05)
