"""The plan of a full reconcile: for every key of a catalogue what it should show and what is to be done about it.

Against reading the same rows with hand-written SQL and subtracting in plain Python: what is available less what is
shown, no rule, no doubt, no reason given. On SQLite.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.catalogue import CHANNELS, NOW, lay_out, setup
from benchmarks.measuring import Effort, folder, in_turns, ratio
from channelsync.lab.figures import Figure, number
from channelsync.store.database import Database, open_database
from channelsync.store.sqlite import connect
from channelsync.sync.compare_all import compare_all
from channelsync.sync.measures import measure


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Time, growth, memory."""
    small, large = effort.plan_skus
    with folder() as there:
        paths = {skus: there / f"{skus}.db" for skus in effort.plan_skus}
        for skus, path in paths.items():
            await lay_out(path, skus)
        turns: dict[str, Callable[[], Awaitable[float]]] = {
            "small": partial(_seconds_of_plan, paths[small]),
            "large": partial(_seconds_of_plan, paths[large]),
            "floor": partial(_seconds_of_floor, paths[large]),
        }
        seconds = await in_turns(turns, effort.rounds)
        yield Figure(
            name="reconcile_plan",
            value=round(median(seconds["large"]), 3),
            unit=f"s for {number(large)} SKUs on {len(CHANNELS)} channels",
            against=f"reading the same rows and subtracting: {number(round(median(seconds['floor']), 3))} s",
            ratio=round(ratio(seconds["large"], seconds["floor"]), 3),
            aim="<= 3",
        )
        yield Figure(
            name="reconcile_growth",
            value=round(ratio(seconds["large"], seconds["small"]), 3),
            unit=f"times the time of {number(small)} SKUs",
            against=f"{number(large / small)} times the SKUs",
            ratio=round(ratio(seconds["large"], seconds["small"]) * small / large, 3),
            aim="<= 1.1",
        )
        yield Figure(
            name="reconcile_memory",
            value=await _peak_megabytes(paths[large]),
            unit=f"MB at most, the whole process, {number(large)} SKUs",
            aim="<= 500",
        )


async def plan(database: Database) -> tuple[int, int]:
    """(keys that are right, keys about which something is to be done)."""
    seller = setup()
    measures = await database.query(lambda c: measure(c, seller, NOW))
    pages = await database.query(lambda c: [(p.right, len(p.steps)) for p in compare_all(c, seller, measures, NOW)])
    return sum(right for right, _ in pages), sum(steps for _, steps in pages)


async def _seconds_of_plan(path: Path) -> float:
    async with open_database(f"sqlite:///{path}") as database:
        began = time.perf_counter()
        right, steps = await plan(database)
        assert right > 10 * steps > 0, (right, steps)
        return time.perf_counter() - began


async def _seconds_of_floor(path: Path) -> float:
    """In a thread, as the plan is."""
    return await asyncio.to_thread(_read_and_subtract, path)


def _read_and_subtract(path: Path) -> float:
    connection = connect(path, query_only=True)
    began = time.perf_counter()
    available = dict(connection.execute("SELECT item, on_hand - reserved - withheld FROM position"))
    moving = {key for (key,) in connection.execute("SELECT key FROM effect WHERE settled = ''")}
    moving |= {key for (key,) in connection.execute("SELECT key FROM quantity_write WHERE closed_at IS NULL")}
    rows = connection.execute(
        "SELECT id, item, listing, channel, remote, multiple, value, sells_below_zero,"
        " verified AND rise = 0 AND held = '' FROM quantity_key WHERE ours"
    )
    different = {row[0]: units for row in rows if (units := available[row[1]] - row[6])}
    seconds = time.perf_counter() - began
    connection.close()
    assert different
    assert moving
    return seconds


async def _peak_megabytes(path: Path) -> float:
    """Of a process that does nothing but plan."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(path), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return float(json.loads(told))


async def _main() -> None:
    async with open_database(f"sqlite:///{sys.argv[1]}") as database:
        await plan(database)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(round(kilobytes / 1000 / (1000 if sys.platform == "darwin" else 1), 1)))


if __name__ == "__main__":
    asyncio.run(_main())
