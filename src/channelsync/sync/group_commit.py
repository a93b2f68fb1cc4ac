"""Group commit: what many callers bring at once goes into the database in one durable transaction.

A durable commit costs a disk write whatever is in it. Whoever calls `put` waits until its own is on disk; all that
arrives while one transaction runs goes into the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog
from sqlalchemy import Connection

from channelsync.store.database import Database
from channelsync.store.database_errors import is_everybodys

log = structlog.get_logger(__name__)

# One transaction never holds more than this: locks are short and a failing one is soon found.
BATCH_MAX = 200

Given = TypeVar("Given")
Outcome = TypeVar("Outcome")
Result = TypeVar("Result")
Unit = Callable[[Connection, Sequence[Given]], Outcome]


class TooMuchWaiting(Exception):
    """So much waits to be written that nothing more is taken in now."""


class GroupCommit(Generic[Given, Outcome, Result]):
    """Writes for many callers at once. Use as an async context manager; leaving it writes what still waits.

    unit: a unit of work that writes all of a batch. each: from what it returns, one result for each, in their order.
    name: of its task. on_committed: called with what the unit of every committed batch returned. waiting_max: None
    means without limit.
    """

    def __init__(
        self,
        database: Database,
        unit: Unit[Given, Outcome],
        each: Callable[[Outcome], Sequence[Result]],
        *,
        name: str,
        on_committed: Callable[[Outcome], None] = lambda outcome: None,
        waiting_max: int | None = None,
    ) -> None:
        self._database = database
        self._unit = unit
        self._each = each
        self._name = name
        self._on_committed = on_committed
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Given, asyncio.Future[Result]]] = deque()
        self._under_way: list[tuple[Given, asyncio.Future[Result]]] = []
        self._something = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work(), name=self._name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while awaited := [one for _, one in (*self._under_way, *self._waiting) if not one.done()]:
            await asyncio.wait(awaited)
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def put(self, given: Given) -> Result:
        """Writes one; returns once it is durable. Cancelled before its turn, it is not written.

        Raises TooMuchWaiting, or what the database raises, for this one only where it is at fault.
        """
        if self._waiting_max is not None and len(self._waiting) >= self._waiting_max:
            raise TooMuchWaiting
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((given, future))
        self._something.set()
        return await future

    async def _work(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
                self._under_way = [one for one in taken if not one[1].done()]
                await self._commit(self._under_way)
                self._under_way = []

    async def _commit(self, batch: list[tuple[Given, asyncio.Future[Result]]]) -> None:
        """One transaction for all. When it fails, one for each, so that a bad neighbour harms only itself.

        An error of the database as a whole (it cannot be reached, it is full) is everybody's.
        """
        if not batch:
            return
        given = [one for one, _ in batch]
        try:
            outcome = await self._database.transact(lambda connection: self._unit(connection, given))
        except Exception as error:  # noqa: BLE001 - handed to the caller whose it is
            if len(batch) > 1 and not is_everybodys(error):
                for one in batch:
                    await self._commit([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        self._answer([future for _, future in batch], outcome)

    def _answer(self, waiting: Sequence[asyncio.Future[Result]], outcome: Outcome) -> None:
        """Tells each caller its result of what is committed. An error in here is a bug: no later batch suffers by it.

        It is logged, and raised to those who have no result.
        """
        try:
            for future, result in zip(waiting, self._each(outcome), strict=True):
                if not future.done():
                    future.set_result(result)
            self._on_committed(outcome)
        except Exception as error:
            log.exception("group_commit.not_answered", group=self._name, entries=len(waiting))
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
