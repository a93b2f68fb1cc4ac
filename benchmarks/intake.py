"""Order intake: orders per second through `book_orders`, by which every order is booked, each on disk when it returns.

What several senders bring at once `sync.intake` puts into one transaction, as the daemon does with a page of a poll.
Against the rows of an order in hand-written SQL (`intake_floor`) and against django-oscar (`intake_peer`), in turns,
on SQLite and PostgreSQL, for one sender and eight, over a thousand SKUs and over one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

import asyncpg
from sqlalchemy import text

from benchmarks.contenders import Contender, Load, Tasks
from benchmarks.intake_floor import floor_asyncpg, floor_sqlite3
from benchmarks.intake_peer import peer
from benchmarks.measuring import Effort, folder, in_turns, ratio
from benchmarks.scene import RUN, Scene
from channelsync.lab.figures import Figure, number
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.sync.intake import Intake

SENDERS = (1, 8)
CONTENDERS = ("ours", "floor", "oscar")


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
    """Ours. Ends with AssertionError when not every order is booked exactly once."""
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
        contenders: dict[str, Contender] = {
            "ours": await stack.enter_async_context(ours(url("ours"), effort.skus)),
            "floor": await stack.enter_async_context(floor_sqlite3(url("floor"), Scene(effort.skus))),
            "oscar": await stack.enter_async_context(peer(url("oscar"), effort.skus)),
        }
        await _warm_up(contenders, effort)
        yield contenders


@asynccontextmanager
async def _on_postgresql(server: EmbeddedPostgres, effort: Effort) -> AsyncIterator[dict[str, Contender]]:
    """After some orders the tables are analyzed, as autovacuum does it in a daemon's first minutes."""
    for name in CONTENDERS:
        server.create_database(name)
    async with AsyncExitStack() as stack:
        floor = floor_asyncpg(server.url("floor"), Scene(effort.skus), max(SENDERS))
        contenders: dict[str, Contender] = {
            "ours": await stack.enter_async_context(ours(server.url("ours"), effort.skus)),
            "floor": await stack.enter_async_context(floor),
            "oscar": await stack.enter_async_context(peer(server.url("oscar"), effort.skus)),
        }
        await _warm_up(contenders, effort)
        for name in CONTENDERS:
            connection = await asyncpg.connect(server.url(name))
            await connection.execute("VACUUM ANALYZE")
            await connection.close()
        yield contenders


async def _warm_up(contenders: Mapping[str, Contender], effort: Effort) -> None:
    for contender in contenders.values():
        await contender.rate(Load(senders=max(SENDERS), skus=effort.skus, seconds=effort.seconds))


async def _race(engine: str, contenders: Mapping[str, Contender], effort: Effort) -> AsyncIterator[Figure]:
    for senders in SENDERS:
        for spread in (True, False):
            load = Load(senders=senders, skus=effort.skus if spread else 1, seconds=effort.seconds)
            turns = {name: partial(contender.rate, load) for name, contender in contenders.items()}
            rates = await in_turns(turns, effort.rounds)
            name = f"intake_{engine}_{senders}_{'spread' if spread else 'one_sku'}"
            for figure in compared(name, rates, single=senders == 1):
                yield figure


def compared(name: str, rates: Mapping[str, Sequence[float]], *, single: bool) -> list[Figure]:
    """Ours against the floor and against the peer, from orders per second of each, round by round.

    single: there was one sender, who keeps half of the floor; several share commits, so they pass it.
    """
    floor, peers = rates["floor"], rates["oscar"]
    times = f"; the floor is {number(round(ratio(floor, peers), 1))} times that"
    against = {
        "floor": (f"hand-written SQL: {_rate(floor)}", ">= 0.5" if single else ">= 1"),
        "oscar": (f"django-oscar's allocate: {_rate(peers)}{times}", ">= 10"),
    }
    return [
        Figure(
            name=f"{name}_to_{other}",
            value=round(median(rates["ours"]), 1),
            unit="orders/s",
            against=words,
            ratio=round(ratio(rates["ours"], rates[other]), 3),
            aim=aim,
        )
        for other, (words, aim) in against.items()
    ]


def _rate(rates: Sequence[float]) -> str:
    return number(round(median(rates)))
