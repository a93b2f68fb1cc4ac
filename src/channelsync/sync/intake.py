"""Group commit: orders that arrive together are booked in one durable transaction.

A durable commit costs a disk write whatever is in it. Whoever calls `book` waits until its order is on disk; all
that arrive while one transaction runs go into the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from sqlalchemy import Connection

from channelsync.domain.booking import Verdict
from channelsync.sdk.clock import Clock
from channelsync.store.database import Database
from channelsync.sync.book_orders import Arrival, Booked, book_orders
from channelsync.sync.setup import Setup

# One transaction never holds more orders than this: locks are short and a failing one is soon found.
BATCH_MAX = 200


class Intake:
    """Books orders for many callers at once. Use as an async context manager; leaving it books what still waits.

    on_booked: called with every committed batch, to wake whoever publishes.
    """

    def __init__(
        self,
        database: Database,
        setup: Setup,
        clock: Clock,
        run: str,
        on_booked: Callable[[Booked], None] = lambda booked: None,
    ) -> None:
        self._database = database
        self._setup = setup
        self._clock = clock
        self._run = run
        self._on_booked = on_booked
        self._waiting: deque[tuple[Arrival, asyncio.Future[Verdict]]] = deque()
        self._something = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Intake:
        self._worker = asyncio.create_task(self._work(), name="intake")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._something.set()
        if self._worker is not None:
            await self._worker

    async def book(self, arrival: Arrival) -> Verdict:
        """Books one order; returns once it is durable. Raises what the database raises, for this order only."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        self._something.set()
        return await future

    async def _work(self) -> None:
        while not (self._closed and not self._waiting):
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
                await self._commit(batch)

    async def _commit(self, batch: list[tuple[Arrival, asyncio.Future[Verdict]]]) -> None:
        """One transaction for all; when it fails, one for each, so that a bad neighbour harms only itself."""
        now = self._clock.now()
        try:
            booked = await self._database.transact(self._unit([arrival for arrival, _ in batch], now))
        except Exception as error:  # noqa: BLE001 - handed to the caller whose order it is
            if len(batch) > 1:
                for one in batch:
                    await self._commit([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), verdict in zip(batch, booked.verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)
        self._on_booked(booked)

    def _unit(self, arrivals: list[Arrival], now: datetime) -> Callable[[Connection], Booked]:
        return lambda connection: book_orders(connection, self._setup, arrivals, now=now, run=self._run)
