"""What connectors keep over restarts: secrets, sealed, and plain bytes."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from channelsync.store.tables.base import Row


class ChannelSecretRow(Row, table=True):
    """One secret of a channel. sealed: what the vault's key made of it; nothing of the secret can be read without."""

    __tablename__ = "channel_secret"

    channel: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sealed: bytes
    saved_at: datetime


class ChannelMemoryRow(Row, table=True):
    """What a channel has under way, as its connector spells it; at most `sdk.memory.CONTENT_MAX` bytes."""

    __tablename__ = "channel_memory"

    channel: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    content: bytes
    saved_at: datetime
