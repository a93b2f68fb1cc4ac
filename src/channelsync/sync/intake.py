"""Group commit for orders that arrive one by one in this process: those that wait are booked in one transaction.

Polls and hinted orders come in pages and need it not; see `take_orders`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from sqlalchemy import Connection

from channelsync.domain.booking import Verdict
from channelsync.sdk.clock import Clock
from channelsync.store.database import Database
from channelsync.sync.book_orders import Arrival, Booked, book_orders
from channelsync.sync.group_commit import GroupCommit
from channelsync.sync.setup import Setup


class Intake:
    """Books orders for many callers at once. Use as an async context manager; leaving it books what still waits.

    on_booked: called with every committed batch, to wake whoever publishes.
    """

    def __init__(
        self,
        database: Database,
        setup: Setup,
        clock: Clock,
        run: str,
        on_booked: Callable[[Booked], None] = lambda booked: None,
    ) -> None:
        self._setup = setup
        self._clock = clock
        self._run = run
        self._commits: GroupCommit[Arrival, Booked, Verdict] = GroupCommit(
            database, self._unit, lambda booked: booked.verdicts, name="intake", on_committed=on_booked
        )

    async def __aenter__(self) -> Intake:
        await self._commits.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._commits.__aexit__(kind, error, trace)

    async def book(self, arrival: Arrival) -> Verdict:
        """Books one order; returns once it is durable. Raises what the database raises, for this order only."""
        return await self._commits.put(arrival)

    def _unit(self, connection: Connection, arrivals: Sequence[Arrival]) -> Booked:
        return book_orders(connection, self._setup, arrivals, now=self._clock.now(), run=self._run)
