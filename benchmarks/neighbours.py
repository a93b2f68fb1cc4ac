"""One bad marketplace of six: the others' p99 from a change to its push, against the same hour without trouble.

See `channelsync.lab.bad_neighbour`. The time is simulated: what the database and the processor take is not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from benchmarks.measuring import Effort
from channelsync.lab.bad_neighbour import p99_of_others, play
from channelsync.lab.faults import FaultKind
from channelsync.lab.figures import Figure

FAULTS: Mapping[str, FaultKind] = {
    "hangs": FaultKind.NO_ANSWER,
    "fails": FaultKind.SERVER_ERROR,
    "drips": FaultKind.DRIP,
}
"""What the bad marketplace does, by the name of it in the figures."""


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """Of each kind of trouble."""
    hours = effort.neighbour_hours
    length = timedelta(hours=hours)
    well = p99_of_others(await asyncio.to_thread(play, None, length))
    for name, kind in FAULTS.items():
        troubled = p99_of_others(await asyncio.to_thread(play, kind, length))
        yield Figure(
            name=f"neighbours_of_one_that_{name}",
            value=round(troubled, 3),
            unit=f"s, p99 from a change to its push on the other five, {hours:g} h of simulated time",
            against=f"when all six are well: {well:.3f} s",
            ratio=round(troubled / well, 3),
            aim="<= 1.1",
        )
