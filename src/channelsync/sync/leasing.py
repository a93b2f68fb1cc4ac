"""Who publishes to which account: on PostgreSQL a lease each, so that any number of workers share the channels.

On SQLite one process holds the publisher's lock for all of them, and every account is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from channelsync.store.leases import Lease, give_up_lease, take_lease
from channelsync.sync.agent import Agent

LASTS = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Held:
    """An account that this worker may write to. lease None: nobody else can (SQLite)."""

    lease: Lease | None


class Leases:
    """The leases of one worker. `keep` renews them; `held` says what may be written to now."""

    def __init__(self, agent: Agent, owner: str, lasts: timedelta = LASTS) -> None:
        self._agent = agent
        self._owner = owner
        self._lasts = lasts
        self._held: dict[str, tuple[Lease, float]] = {}
        self._alone = agent.database.dialect == "sqlite"

    def held(self, identity: str) -> Held | None:
        """The account, if this worker holds it; the lease itself is checked again when a write is recorded."""
        if not identity:
            return None
        if self._alone:
            return Held(None)
        lease, until = self._held.get(identity, (None, 0.0))
        return Held(lease) if lease is not None and self._agent.clock.monotonic() < until else None

    async def keep(self) -> None:
        """Takes free accounts and renews held ones, until it is cancelled; then gives them up."""
        if self._alone:
            return
        try:
            while True:
                for identity in {channel.identity for channel in self._agent.channels.values() if channel.identity}:
                    await self._renew(identity)
                await self._agent.clock.sleep(self._lasts.total_seconds() / 4)
        finally:
            await self.give_up()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """The leases are kept while the block runs, and given up at its end; for a command."""
        keeping = asyncio.create_task(self.keep(), name="leases")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self.give_up()

    async def give_up(self) -> None:
        """Ends every lease that is held, so that another worker need not wait for them to run out."""
        while self._held:
            _, (lease, _) = self._held.popitem()
            now = self._agent.clock.now()
            await self._agent.database.transact(lambda c, lease=lease, now=now: give_up_lease(c, lease, now))  # type: ignore[misc]

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
            self._held[identity] = (lease, asked + self._lasts.total_seconds() * 0.9)

    def _wake(self, identity: str) -> None:
        """The account has just become ours: its loops need not wait for their next tick."""
        for channel in self._agent.channels.values():
            if channel.identity == identity:
                channel.wake_orders.set()
                channel.wake_publisher.set()
