"""The one place that tells the time and waits, so that a test or the lab can put its own time there."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits. Whoever needs either takes a Clock as an argument."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. It may leap; use it for what is stored or compared with others."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. Use it for durations, within one process."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after this many seconds of `monotonic`."""
        ...


class SystemClock:
    """The machine's clock; durations follow the running event loop, whatever time that loop keeps."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the wall clock

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
