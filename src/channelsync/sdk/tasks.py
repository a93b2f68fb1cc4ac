"""Work beside other work: begun, waited for and ended, and what it raised is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """The work goes on while the block runs, and has ended when the block is left. name: of its task.

    What the work raised is raised at the end of the block, unless the block itself raised.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        await ended([task])
    if not task.cancelled():
        task.result()


async def first_of(*works: Awaitable[None]) -> None:
    """Runs all until one of them ends, ends the others, and raises what the one that ended raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await ended(tasks)


async def ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancels what still runs and waits until all of it has ended. Raises nothing of theirs."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def set_or_after(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, or after so many seconds; without waiting where there are none left."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
