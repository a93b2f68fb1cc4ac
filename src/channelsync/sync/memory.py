"""The memory of a channel in the database."""

from __future__ import annotations

from channelsync.sdk.clock import Clock
from channelsync.sdk.memory import refuse_too_large
from channelsync.store.database import Database
from channelsync.store.memories import recall, remember


class StoredMemory:
    """See `sdk.memory.Memory`. channel: its name in the configuration."""

    def __init__(self, database: Database, clock: Clock, channel: str) -> None:
        self._database = database
        self._clock = clock
        self._channel = channel

    async def get(self, name: str) -> bytes | None:
        """See Memory."""
        return await self._database.query(lambda c: recall(c, self._channel, name))

    async def put(self, name: str, content: bytes) -> None:
        """See Memory."""
        refuse_too_large(name, content)
        now = self._clock.now()
        await self._database.transact(lambda c: remember(c, self._channel, name, content, now))
