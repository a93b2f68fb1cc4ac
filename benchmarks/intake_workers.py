"""Order intake by several processes on one PostgreSQL, as several daemons share it, and the floor by as many.

Each process is started once for each contender (`python -m benchmarks.intake_workers KIND ADDRESS SKUS NUMBER`) and
is told over standard input what to run; the senders are shared out evenly.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import count

import asyncpg

from benchmarks.contenders import Load, Several, Tasks, elsewhere
from benchmarks.intake_floor import book_one, floor_connections
from benchmarks.intake_ours import booking
from benchmarks.scene import Scene
from channelsync.store.database import open_database

WORKERS = 2
"""As many as this project's benchmarks suppose processors."""

APART = 10**9
"""The orders of each process are numbered from another multiple of this."""


async def _ours(url: str, scene: Scene) -> None:
    async with open_database(url) as database:
        await scene.lay_out(database)


_LAID_OUT = {"ours": _ours, "floor": book_one}


@asynccontextmanager
async def workers(kind: str, url: str, skus: int) -> AsyncIterator[Several]:
    """`ours` or `floor` in several processes, on an empty database. AssertionError when not every order is counted."""
    await _LAID_OUT[kind](url, Scene(skus))
    connection = await asyncpg.connect(url)
    try:
        before = await connection.fetchval(_RESERVED)
        async with AsyncExitStack() as stack:
            names = [(kind, url, str(skus), str(number)) for number in range(1, WORKERS + 1)]
            started = [await stack.enter_async_context(elsewhere(__name__, *name)) for name in names]
            several = Several(started)
            yield several
        reserved = await connection.fetchval(_RESERVED) - before
        assert reserved == several.booked, f"{reserved} units are reserved by {several.booked} orders"
    finally:
        await connection.close()


_RESERVED = "SELECT coalesce(sum(reserved), 0)::bigint FROM position"

Opened = Callable[[str, Scene, int], AbstractAsyncContextManager[Tasks]]


@asynccontextmanager
async def _opened_ours(url: str, scene: Scene, number: int) -> AsyncIterator[Tasks]:
    async with open_database(url) as database, booking(database, scene) as tasks:
        yield tasks


@asynccontextmanager
async def _opened_floor(url: str, scene: Scene, number: int) -> AsyncIterator[Tasks]:
    async with floor_connections(url, SENDERS_MAX, seed=number) as tasks:
        yield tasks


SENDERS_MAX = 8
_OPENED: dict[str, Opened] = {"ours": _opened_ours, "floor": _opened_floor}


async def _main(kind: str, url: str, skus: int, number: int) -> None:
    """The worker's own process: runs what standard input asks for, and says (orders, seconds)."""
    async with _OPENED[kind](url, Scene(skus, count(number * APART)), number) as tasks:
        while line := await asyncio.to_thread(sys.stdin.readline):
            before, began = tasks.booked, time.perf_counter()
            await tasks.rate(Load(**json.loads(line)))
            print(json.dumps((tasks.booked - before, time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
