"""Order intake: orders per second through `sync.intake.Intake`, the way of the daemon, each on disk when it returns.

Against the rows of an order in hand-written SQL (`intake_floor`) and against django-oscar (`intake_peer`), in turns,
on SQLite and PostgreSQL, for one sender and eight, over a thousand SKUs and over one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import asyncpg
from sqlalchemy import text

from benchmarks.contenders import Contender, Load, Tasks
from benchmarks.intake_floor import floor_aiosqlite, floor_asyncpg, floor_sqlite3
from benchmarks.intake_peer import peer
from benchmarks.measuring import Effort, folder, in_turns, ratio
from benchmarks.scene import RUN, Scene
from channelsync.lab.figures import Figure, number
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.sync.intake import Intake

SENDERS = (1, 8)

FLOORS = {"aiosqlite": "hand-written SQL on aiosqlite", "asyncpg": "hand-written SQL on asyncpg"}
STRICT = {"sqlite3": "hand-written SQL on sqlite3, a hop to its thread for each order"}
PEER = {"oscar": "django-oscar's allocate"}
"""What each contender is called in the figures."""


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """All of them, as they are measured."""
    with folder() as there:
        async with _on_sqlite(there, effort) as contenders:
            async for figure in _race("sqlite", contenders, effort):
                yield figure
        with EmbeddedPostgres(there / "postgresql") as server:
            async with _on_postgresql(server, effort) as contenders:
                async for figure in _race("postgresql", contenders, effort):
                    yield figure


@asynccontextmanager
async def ours(url: str, skus: int) -> AsyncIterator[Tasks]:
    """The intake of the daemon. Ends with AssertionError when not every order is booked exactly once."""
    scene = Scene(skus)
    async with open_database(url) as database:
        await scene.lay_out(database)
        async with Intake(database, scene.setup(), SystemClock(), RUN) as intake:

            async def book(sku: int) -> None:
                await intake.book(scene.arrival(sku))

            tasks = Tasks([book])
            yield tasks
        reserved = await database.query(lambda c: c.execute(text("SELECT sum(reserved) FROM position")).scalar_one())
        assert reserved == tasks.booked, f"{reserved} units are reserved by {tasks.booked} orders"


@asynccontextmanager
async def _on_sqlite(there: Path, effort: Effort) -> AsyncIterator[dict[str, Contender]]:
    def url(name: str) -> str:
        return f"sqlite:///{there / name}.db"

    async with AsyncExitStack() as stack:
        yield {
            "ours": await stack.enter_async_context(ours(url("ours"), effort.skus)),
            "aiosqlite": await stack.enter_async_context(floor_aiosqlite(url("aiosqlite"), Scene(effort.skus))),
            "sqlite3": await stack.enter_async_context(floor_sqlite3(url("sqlite3"), Scene(effort.skus))),
            "oscar": await stack.enter_async_context(peer(url("oscar"), effort.skus)),
        }


@asynccontextmanager
async def _on_postgresql(server: EmbeddedPostgres, effort: Effort) -> AsyncIterator[dict[str, Contender]]:
    """After some orders the tables are analyzed, as autovacuum does it in a daemon's first minutes."""
    names = ("ours", "floor", "oscar")
    for name in names:
        server.create_database(name)
    async with AsyncExitStack() as stack:
        floor = floor_asyncpg(server.url("floor"), Scene(effort.skus), max(SENDERS))
        contenders: dict[str, Contender] = {
            "ours": await stack.enter_async_context(ours(server.url("ours"), effort.skus)),
            "asyncpg": await stack.enter_async_context(floor),
            "oscar": await stack.enter_async_context(peer(server.url("oscar"), effort.skus)),
        }
        await _warm_up(contenders, effort)
        for name in names:
            connection = await asyncpg.connect(server.url(name))
            await connection.execute("VACUUM ANALYZE")
            await connection.close()
        yield contenders


async def _warm_up(contenders: Mapping[str, Contender], effort: Effort) -> None:
    for contender in contenders.values():
        await contender.rate(Load(senders=max(SENDERS), skus=effort.skus, seconds=effort.seconds))


async def _race(engine: str, contenders: Mapping[str, Contender], effort: Effort) -> AsyncIterator[Figure]:
    await _warm_up(contenders, effort)
    for senders in SENDERS:
        for spread in (True, False):
            load = Load(senders=senders, skus=effort.skus if spread else 1, seconds=effort.seconds)
            turns = {name: partial(contender.rate, load) for name, contender in contenders.items()}
            rates = await in_turns(turns, effort.rounds)
            name = f"intake_{engine}_{senders}_{'spread' if spread else 'one_sku'}"
            value = median(rates["ours"])
            for theirs, measured in rates.items():
                if theirs != "ours":
                    figure = Figure(name=f"{name}_to_{theirs}", value=round(value, 1), unit="orders/s")
                    yield replace(
                        figure,
                        against=f"{_TITLES[theirs]}: {number(round(median(measured), 1))}",
                        ratio=round(ratio(rates["ours"], measured), 3),
                        aim=_aim(theirs, senders),
                    )


_TITLES = FLOORS | STRICT | PEER


def _aim(theirs: str, senders: int) -> str:
    """A single sender keeps half of the floor; eight share commits, so they pass it. The strict floor is only told."""
    if theirs in FLOORS:
        return ">= 0.5" if senders == 1 else ">= 1"
    return ">= 10" if theirs in PEER else ""
