"""What a connector must still know after a restart, and is no secret: what it has under way at the channel.

Nothing may depend on it being there: it is lost with the database. What must not be lost is in the cursor of orders,
what is secret in the vault.
"""

from __future__ import annotations

from typing import Protocol

CONTENT_MAX = 4 * 1024 * 1024
"""Bytes under one name: enough for some ten thousand SKUs with their numbers."""


class Memory(Protocol):
    """Some bytes of one channel, by name."""

    async def get(self, name: str) -> bytes | None:
        """What was put last; None: nothing."""
        ...

    async def put(self, name: str, content: bytes) -> None:
        """Keeps this instead of what has that name, and returns when it is durable; empty: nothing is kept.

        Raises ValueError for more than `CONTENT_MAX`.
        """
        ...


class ProcessMemory:
    """Keeps it as long as the process lives; for tests, and for connectors tried out by hand."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        """See Memory."""
        return self._kept.get(name)

    async def put(self, name: str, content: bytes) -> None:
        """See Memory."""
        refuse_too_large(name, content)
        self._kept[name] = content
        if not content:
            del self._kept[name]


def refuse_too_large(name: str, content: bytes) -> None:
    """Raises ValueError for more than `CONTENT_MAX`."""
    if len(content) > CONTENT_MAX:
        raise ValueError(f"{name}: {len(content)} bytes are more than the {CONTENT_MAX} that a channel may keep")
