"""What connectors keep over restarts, as rows: plain bytes, of which nothing here knows the meaning."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_MEMORY = metadata.tables["channel_memory"]


def recall(connection: Connection, channel: str, name: str) -> bytes | None:
    """What a channel keeps under a name; None: nothing."""
    found: bytes | None = connection.execute(
        select(_MEMORY.c.content).where(_MEMORY.c.channel == channel, _MEMORY.c.name == name)
    ).scalar_one_or_none()
    return found


def remember(connection: Connection, channel: str, name: str, content: bytes, now: datetime) -> None:
    """Keeps this instead of what has that name; empty: nothing is kept."""
    if not content:
        connection.execute(delete(_MEMORY).where(_MEMORY.c.channel == channel, _MEMORY.c.name == name))
        return
    row = {"channel": channel, "name": name, "content": content, "saved_at": now}
    update = ("content", "saved_at")
    connection.execute(upsert(_MEMORY, connection.dialect.name, keys=("channel", "name"), update=update), [row])
