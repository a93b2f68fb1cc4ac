"""Webhooks acknowledged a second: our receiver, whose 200 means a durable row, against handlers that anybody writes.

Each is a process of its own behind the same HTTP server, and verifies the same signatures. `bare` keeps nothing;
`row` commits a transaction for every event. They take turns; events come over kept connections as fast as the
answers allow. Then five thousand events arrive in ten seconds at an even rate; once at the receiver, and once at a
whole daemon, which follows them meanwhile: of every event it reads the order that it names at the marketplace.

There are as many connections as channels open in a burst. A few would measure the way back and forth: each waits for
its answer before it sends the next event, so no more events than connections could ever share a transaction.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.measuring import Effort, cpu_seconds, folder, in_turns, ratio
from benchmarks.receiver_backlog import backlog
from benchmarks.receiver_events import p99_milliseconds, send, signed_events
from channelsync.lab.figures import Figure, number
from channelsync.store.database import open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.tables import metadata

CONNECTIONS = 64
KINDS = ("ours", "bare", "row")
_PER_TURN = 4_000
"""Events of a turn of full length: about a second of the bare handler."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. process: its number, for its memory."""

    address: str
    process: int

    def memory(self) -> float:
        """Megabytes that it holds in memory now."""
        pages = int(Path(f"/proc/{self.process}/statm").read_text().split()[1])
        return pages * 4096 / 1e6


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """All of them, as they are measured."""
    with folder() as there:
        async for figure in _on("sqlite", lambda kind: f"sqlite:///{there / kind}.db", effort, aims=True):
            yield figure
        async for figure in backlog(there, CONNECTIONS, effort.burst, effort.burst_seconds):
            yield figure
        with EmbeddedPostgres(there / "postgresql") as server:
            for kind in KINDS:
                server.create_database(kind)
            async for figure in _on("postgresql", server.url, effort, aims=False):
                yield figure


async def _on(engine: str, url: Callable[[str], str], effort: Effort, *, aims: bool) -> AsyncIterator[Figure]:
    numbers = count(0, _PER_TURN)
    async with AsyncExitStack() as stack:
        servers = {kind: await stack.enter_async_context(_server(kind, url(kind))) for kind in KINDS}
        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            kind: _contender(server, numbers, effort) for kind, server in servers.items()
        }
        await in_turns(contenders, 1)
        rates = await in_turns(contenders, effort.rounds)
        for other, against, aim in (
            ("bare", "checks the signature and keeps nothing", ">= 0.5" if aims else ""),
            ("row", "a transaction for every event", ">= 1"),
        ):
            yield Figure(
                name=f"receiver_{engine}_to_{other}",
                value=round(median(rates["ours"])),
                unit="events/s",
                against=f"{against}: {number(round(median(rates[other])))}",
                ratio=round(ratio(rates["ours"], rates[other]), 3),
                aim=aim,
            )
        async for figure in _burst(engine, servers["ours"], next(numbers), effort):
            yield figure
        yield await _forged(engine, servers["ours"], next(numbers), effort)


def _contender(server: Server, numbers: count[int], effort: Effort) -> Callable[[], Awaitable[float]]:
    events_per_turn = max(CONNECTIONS, int(_PER_TURN * effort.seconds))

    async def turn() -> float:
        """Events acknowledged a second."""
        events = signed_events(next(numbers), events_per_turn)
        began = time.perf_counter()
        answers = await send(server.address, events, CONNECTIONS)
        taken = time.perf_counter() - began
        assert not answers.others, f"{answers.others} events were refused"
        return len(events) / taken

    return turn


async def _burst(engine: str, server: Server, first: int, effort: Effort) -> AsyncIterator[Figure]:
    """So many events in so many seconds: all answered, how soon, and what it costs in memory."""
    many, seconds = effort.burst, effort.burst_seconds
    events = signed_events(first, many)
    before = server.memory()
    answers = await send(server.address, events, CONNECTIONS, per_second=many / seconds)
    grown = server.memory() - before
    said = f"{many:,} events in {seconds} s"
    yield Figure(
        name=f"receiver_{engine}_burst_answered",
        value=len(answers.seconds) - answers.others,
        unit="events",
        aim=f"= {many}",
    )
    yield Figure(
        name=f"receiver_{engine}_burst_p99", value=p99_milliseconds(answers), unit=f"ms, {said}", aim="<= 1000"
    )
    yield Figure(
        name=f"receiver_{engine}_burst_memory",
        value=round(max(0.0, grown), 1),
        unit=f"MB more after {said}",
        aim="<= 20",
    )


async def _forged(engine: str, server: Server, first: int, effort: Effort) -> Figure:
    """What an event costs whose body was changed after it was signed."""
    events = [event[:-4] + b"y" + event[-3:] for event in signed_events(first, max(CONNECTIONS, effort.burst))]
    before = cpu_seconds(server.process)
    answers = await send(server.address, events, CONNECTIONS)
    took = cpu_seconds(server.process) - before
    assert answers.others == len(events), "a forged event was taken"
    return Figure(
        name=f"receiver_{engine}_forged",
        value=round(took / len(events) * 1000, 3),
        unit="ms of processor time to refuse a forged event",
        aim="<= 1",
    )


@asynccontextmanager
async def _server(kind: str, url: str) -> AsyncIterator[Server]:
    """One of the servers, on a database of its own."""
    async with open_database(url) as database:
        await database.transact(metadata.create_all)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.receiver_server", kind, url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Server((await process.stdout.readline()).decode().strip(), process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
