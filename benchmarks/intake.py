"""Order intake: orders per second through `book_orders`, by which every order is booked, each on disk when it returns.

What several senders bring at once `sync.intake` puts into one transaction, as the daemon does with a page of a poll.
Against the rows of an order in hand-written SQL (`intake_floor`) and against django-oscar (`intake_peer`), in turns,
on SQLite and PostgreSQL, for one sender and eight, over a thousand SKUs and over one; on PostgreSQL also by two
processes that share the database (`intake_workers`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

import asyncpg

from benchmarks.contenders import Contender, Load
from benchmarks.intake_floor import floor_asyncpg, floor_sqlite3
from benchmarks.intake_ours import ours
from benchmarks.intake_peer import peer
from benchmarks.intake_workers import WORKERS, workers
from benchmarks.measuring import Effort, folder, in_turns, ratio
from benchmarks.scene import Scene
from channelsync.lab.figures import Figure, number
from channelsync.store.embedded_postgres import EmbeddedPostgres

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
                async with _in_processes(server, effort) as shared:
                    together = {**contenders, **shared}
                    async for figure in _race("postgresql", together, effort, WORKERS):
                        yield figure


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
        await _analyze(server, contenders)
        yield contenders


@asynccontextmanager
async def _in_processes(server: EmbeddedPostgres, effort: Effort) -> AsyncIterator[dict[str, Contender]]:
    """Ours and the floor, each in several processes on one database, as daemons share it."""
    async with AsyncExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for kind in ("ours", "floor"):
            server.create_database(f"{kind}_shared")
            shared = workers(kind, server.url(f"{kind}_shared"), effort.skus)
            contenders[kind] = await stack.enter_async_context(shared)
        await _warm_up(contenders, effort)
        await _analyze(server, [f"{kind}_shared" for kind in contenders])
        yield contenders


async def _analyze(server: EmbeddedPostgres, names: Iterable[str]) -> None:
    for name in names:
        connection = await asyncpg.connect(server.url(name))
        await connection.execute("VACUUM ANALYZE")
        await connection.close()


async def _warm_up(contenders: Mapping[str, Contender], effort: Effort) -> None:
    for contender in contenders.values():
        await contender.rate(Load(senders=max(SENDERS), skus=effort.skus, seconds=effort.seconds))


async def _race(
    engine: str, contenders: Mapping[str, Contender], effort: Effort, workers: int = 1
) -> AsyncIterator[Figure]:
    for senders in SENDERS if workers == 1 else SENDERS[-1:]:
        for spread in (True, False):
            load = Load(senders=senders, skus=effort.skus if spread else 1, seconds=effort.seconds)
            turns = {name: partial(contender.rate, load) for name, contender in contenders.items()}
            rates = await in_turns(turns, effort.rounds)
            name = f"intake_{engine}_{senders}_{'spread' if spread else 'one_sku'}"
            name += "" if workers == 1 else f"_{workers}_workers"
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
