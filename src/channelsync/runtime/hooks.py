"""The hooks of a process: each is served by a part of its own, and follows the configuration as it is reloaded."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable

import structlog

from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import worker_name
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.agent import Agent
from channelsync.sync.outgoing import Courier
from channelsync.sync.outgoing_events import HookSetup

log = structlog.get_logger(__name__)

_LOOK_EVERY = 3.0
_AGAIN_AFTER = 5.0


async def keep_hooks(agent: Agent, loaded: Callable[[], Loaded]) -> None:
    """Serves every configured hook until it is cancelled. One that was changed is served anew, as it is then."""
    served: dict[HookSetup, asyncio.Task[None]] = {}
    try:
        while True:
            wanted = {one.setup for one in loaded().config.hooks}
            await _ended([served.pop(one) for one in list(served) if one not in wanted])
            for one in wanted - served.keys():
                served[one] = asyncio.create_task(_serve(agent, one), name=f"hook {one.name}")
            for task in served.values():
                if task.done():
                    task.result()  # only an error ends it: the part that keeps all of them tells it
            await agent.clock.sleep(_LOOK_EVERY)
    finally:
        await _ended(list(served.values()))


async def _serve(agent: Agent, hook: HookSetup) -> None:
    """Serves one hook; without a database it waits for one."""
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - spreads retries, guards nothing
    while True:
        try:
            await Courier(agent=agent, hook=hook, owner=worker_name(agent.run), rng=rng).keep()
        except DatabaseError as error:
            log.warning("hook.waits", hook=hook.name, reason=str(error))
            await agent.clock.sleep(_AGAIN_AFTER)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
