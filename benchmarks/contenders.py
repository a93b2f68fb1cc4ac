"""Who takes part in the intake benchmark: each books single orders for any number of senders, durably."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

Book = Callable[[int], Awaitable[object]]
"""Books one new order over one unit of a numbered SKU; returns once it is durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent. skus: how many the orders spread over; 1: all of them over the same one. seconds: for how long."""

    senders: int
    skus: int
    seconds: float


class Contender(Protocol):
    """Somebody who books orders. `booked` counts all of them, so that the rows can be counted afterwards."""

    @property
    def booked(self) -> int:
        """How many so far."""
        ...

    async def rate(self, load: Load) -> float:
        """Orders per second under this load."""
        ...


@dataclass(slots=True)
class Tasks:
    """A contender whose senders are tasks of this process; each sends its next order when the last is durable."""

    books: list[Book]
    booked: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    async def rate(self, load: Load) -> float:
        """Orders per second; a sender that has begun an order in time finishes it."""
        before, began = self.booked, time.perf_counter()
        ends = began + load.seconds
        async with asyncio.TaskGroup() as tasks:
            for number in range(load.senders):
                tasks.create_task(self._send(self.books[number % len(self.books)], load.skus, ends))
        return (self.booked - before) / (time.perf_counter() - began)

    async def _send(self, book: Book, skus: int, ends: float) -> None:
        while time.perf_counter() < ends:
            await book(self.dice.randrange(skus))
            self.booked += 1


@dataclass(slots=True)
class Elsewhere:
    """A contender in a process of its own, set up and waiting: told a load as a line of JSON, it answers in one."""

    process: asyncio.subprocess.Process
    booked: int = 0

    async def rate(self, load: Load) -> float:
        """Orders per second under this load."""
        orders, seconds = await self.run(load)
        return orders / seconds

    async def run(self, load: Load) -> tuple[int, float]:
        """How many orders it booked under this load, and in how many seconds."""
        orders, seconds = await self.ask(asdict(load))
        self.booked += orders
        return orders, seconds

    async def ask(self, what: object) -> Any:
        """Its answer. Raises RuntimeError where it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        answer = await self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process of a contender has ended; its words are above")
        return json.loads(answer)


@asynccontextmanager
async def elsewhere(module: str, *arguments: str) -> AsyncIterator[Elsewhere]:
    """Starts a module as a contender's process; it is killed afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Elsewhere(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(slots=True)
class Several:
    """A contender that works in several processes at once; the senders are shared out evenly among them."""

    workers: Sequence[Elsewhere]

    @property
    def booked(self) -> int:
        """By all of them."""
        return sum(worker.booked for worker in self.workers)

    async def rate(self, load: Load) -> float:
        """Orders per second of all of them together."""
        share = replace(load, senders=load.senders // len(self.workers))
        done = await asyncio.gather(*(worker.run(share) for worker in self.workers))
        return sum(orders for orders, _ in done) / max(seconds for _, seconds in done)
