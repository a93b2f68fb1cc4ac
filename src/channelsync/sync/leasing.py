"""Who publishes to which account: on PostgreSQL a lease each, so that any number of workers share the channels.

On SQLite one process holds the publisher's lock for all of them, and every account is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.sdk.right_to_write import writing_while
from channelsync.store.leases import Lease, give_up_lease, take_lease
from channelsync.sync.agent import Agent

LASTS = timedelta(seconds=60)

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


class Leases:
    """The leases of one worker. `keep` renews them; `held` says what may be written to now."""

    def __init__(self, agent: Agent, owner: str, lasts: timedelta = LASTS) -> None:
        self._agent = agent
        self._owner = owner
        self._lasts = lasts
        self._held: dict[str, _Until] = {}
        self._alone = agent.database.dialect == "sqlite"

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

    def writing(self, identity: str, held: Held) -> AbstractContextManager[None]:
        """Around writes: a request that has not left when the account is no longer ours, or is again, stays here."""
        return writing_while(lambda: self.held(identity) == held)

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
            lease = self._held.popitem()[1].lease
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
            trusted = self._lasts * _TRUSTED
            self._held[identity] = _Until(lease, asked + trusted.total_seconds(), now + trusted)

    def _wake(self, identity: str) -> None:
        """The account has just become ours: its loops need not wait for their next tick."""
        for channel in self._agent.channels.values():
            if channel.identity == identity:
                channel.wake_orders.set()
                channel.wake_publisher.set()
