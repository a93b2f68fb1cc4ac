"""Who publishes to which account: on PostgreSQL a lease each, so that any number of workers share the channels.

On SQLite one process holds the publisher's lock for all of them, and every account is its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from channelsync.sdk.right_to_write import writing_while
from channelsync.sdk.tasks import beside
from channelsync.store.database_errors import DatabaseError
from channelsync.store.leases import Lease, give_up_lease, holders, take_lease
from channelsync.sync.agent import Agent
from channelsync.sync.sharing import may_take, to_hand_over

log = structlog.get_logger(__name__)

LASTS = timedelta(seconds=60)

_ROUNDS_FOR_OTHERS = 2
"""So many rounds an account that was given up is left to workers with fewer of them."""

_TRUSTED = 0.9
"""Of a lease's time we count on so much: clocks differ, and a request needs a moment to leave."""


@dataclass(frozen=True, slots=True)
class Held:
    """An account that this worker may write to. lease None: nobody else can (SQLite)."""

    lease: Lease | None


@dataclass(frozen=True, slots=True)
class _Until:
    """How long we count on a lease. By both clocks: the monotonic one may stand still while a machine sleeps."""

    lease: Lease
    monotonic: float
    wall: datetime


@dataclass(slots=True)
class _Sharing:
    """How it stands with the other workers.

    leaving: accounts that we write to no more, and give up in the next round. free_for: for how many rounds each has
    been free. handed_over: accounts that we left to others; refused: nobody took one of them, so no more are left.
    """

    workers: frozenset[str] = frozenset()
    leaving: list[Lease] = field(default_factory=list)
    free_for: dict[str, int] = field(default_factory=dict)
    handed_over: set[str] = field(default_factory=set)
    refused: bool = False

    def seen(self, workers: Sequence[str], free: set[str]) -> _Sharing:
        """Another round, with what it found; other workers may take what nobody took before."""
        if self.workers != frozenset(workers):
            self.workers = frozenset(workers)
            self.handed_over.clear()
            self.refused = False
        self.free_for = {identity: self.free_for.get(identity, 0) + 1 for identity in free}
        return self


Workers = Callable[[Connection, datetime], Sequence[str]]
"""Names the workers that are alive, by the database's clock; its second argument is our own time."""


class Leases:
    """The leases of one worker. `keep` renews them; `held` says what may be written to now.

    workers: with whom it shares the accounts evenly. None: it takes whatever is free, and leaves it to nobody.
    """

    def __init__(self, agent: Agent, owner: str, lasts: timedelta = LASTS, workers: Workers | None = None) -> None:
        self._agent = agent
        self._owner = owner
        self._lasts = lasts
        self._held: dict[str, _Until] = {}
        self._alone = agent.database.dialect == "sqlite"
        self._workers = workers
        self._sharing = _Sharing()

    def held(self, identity: str) -> Held | None:
        """The account, if this worker holds it; the lease itself is checked again when a write is recorded."""
        if not identity:
            return None
        if self._alone:
            return Held(None)
        until = self._held.get(identity)
        if until is None or self._agent.clock.monotonic() >= until.monotonic or self._agent.clock.now() >= until.wall:
            return None
        return Held(until.lease)

    def accounts(self) -> list[str]:
        """The accounts that are leased to this worker now; on SQLite none is, for it needs no lease there."""
        return sorted(identity for identity in self._held if self.held(identity) is not None)

    def writing(self, identity: str, held: Held) -> AbstractContextManager[None]:
        """Around writes: a request that has not left when the account is no longer ours, or is again, stays here."""
        return writing_while(lambda: self.held(identity) == held)

    async def keep(self) -> None:
        """Takes free accounts and renews held ones, until it is cancelled; then gives them up.

        While the database cannot be asked nothing is given up: what is held is held until its time is over.
        """
        if self._alone:
            return
        try:
            while True:
                pause = self._lasts / 4
                try:
                    identities = {channel.identity for channel in self._agent.channels.values() if channel.identity}
                    for identity in await self._shared(identities):
                        await self._renew(identity)
                except DatabaseError as error:
                    log.warning("leases.not_renewed", reason=str(error))
                    pause = self._lasts / 12
                await self._agent.clock.sleep(pause.total_seconds())
        finally:
            await self.give_up()

    async def _shared(self, identities: set[str]) -> list[str]:
        """The accounts that are this worker's to take or renew in this round.

        One that it leaves to another is not written to any more from now on, and given up in the next round: calls
        under way have ended by then. One that was given up and that nobody takes for two rounds is taken in any case.
        """
        if self._workers is None:
            return sorted(identities)
        left, self._sharing.leaving = self._sharing.leaving, []
        for lease in left:
            await self._end(lease)
        ask, now = self._workers, self._agent.clock.now()
        workers, owners = await self._agent.database.query(lambda c: (ask(c, now), holders(c, now)))
        free = {identity for identity in identities if owners.get(identity, "") == "" and identity in owners}
        sharing = self._sharing.seen(workers, free)
        mine = () if free or sharing.refused else self._held.keys()  # what is free already comes first
        for identity in to_hand_over(self._owner, workers, owners, mine):
            sharing.leaving.append(self._held.pop(identity).lease)
            sharing.handed_over.add(identity)
        leaving = {lease.identity for lease in sharing.leaving}
        wanted = []
        for identity in sorted(identities - leaving):
            if identity in free and not may_take(self._owner, workers, owners):
                if sharing.free_for[identity] <= _ROUNDS_FOR_OTHERS:
                    continue
                sharing.refused |= identity in sharing.handed_over
            if identity in free:
                owners[identity] = self._owner
            wanted.append(identity)
        return wanted

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """The leases are kept while the block runs, and given up at its end; for a command."""
        try:
            async with beside(self.keep(), name="leases"):
                yield
        finally:
            await self.give_up()

    async def give_up(self) -> None:
        """Ends every lease that is held, so that another worker need not wait for them to run out."""
        for lease in self._sharing.leaving:
            await self._end(lease)
        while self._held:
            await self._end(self._held.popitem()[1].lease)

    async def _end(self, lease: Lease) -> None:
        now = self._agent.clock.now()
        await self._agent.database.transact(lambda c: give_up_lease(c, lease, now))

    async def take(self, identity: str) -> Held | None:
        """The account, taken now if it is free; None: another worker holds it."""
        if not self._alone:
            await self._renew(identity)
        return self.held(identity)

    async def _renew(self, identity: str) -> None:
        asked = self._agent.clock.monotonic()
        now = self._agent.clock.now()
        lease = await self._agent.database.transact(lambda c: take_lease(c, identity, self._owner, now, self._lasts))
        if lease is None:
            self._held.pop(identity, None)
        else:
            if self.held(identity) is None:
                self._wake(identity)
            trusted = self._lasts * _TRUSTED
            self._held[identity] = _Until(lease, asked + trusted.total_seconds(), now + trusted)

    def _wake(self, identity: str) -> None:
        """The account has just become ours: its loops need not wait for their next tick."""
        for channel in self._agent.channels.values():
            if channel.identity == identity:
                channel.wake_orders.set()
                channel.wake_publisher.set()
