"""aiosqlite without its thread: every operation runs in the event loop, at once.

A simulation must not depend on when a thread wakes up. An `InlineConnection` hands each operation not to a queue
that a thread reads but to a queue that runs it before `put_nowait` returns; the awaited future is then done, so the
task goes on without giving the loop a turn. The loop stands still for as long as SQLite needs.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from typing import Any

import aiosqlite

Operation = tuple[asyncio.Future[Any] | None, Callable[[], Any]]


class InlineConnection(aiosqlite.Connection):
    """An aiosqlite connection that starts no thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._tx = _RunAtOnce()  # type: ignore[assignment]

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        """Opens it; the base class would start its thread here."""
        return self._connect().__await__()


class _RunAtOnce:
    """Stands in for the queue between the loop and aiosqlite's thread."""

    def put_nowait(self, operation: Operation) -> None:
        future, function = operation
        try:
            result = function()
        except Exception as error:  # noqa: BLE001  # every error belongs to the waiting caller, as in the thread
            if future is not None:
                future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)
