"""Secrets of channels, sealed."""

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
