"""Who takes part in the intake benchmark: each books single orders for any number of senders, durably."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

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

    booked: int

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
