"""Sealed secrets of channels, as rows. What seals and unseals them is in `sync/vault.py`; nothing here can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, select

from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_SECRET = metadata.tables["channel_secret"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """One row. channel: as in the configuration, which may not have it any more. saved_at: when it was put."""

    channel: str
    name: str
    sealed: bytes = field(repr=False)
    saved_at: datetime


def sealed_secret(connection: Connection, channel: str, name: str) -> bytes | None:
    """What is kept under a name; None: nothing."""
    found: bytes | None = connection.execute(
        select(_SECRET.c.sealed).where(_SECRET.c.channel == channel, _SECRET.c.name == name)
    ).scalar_one_or_none()
    return found


def sealed_secrets(connection: Connection, *, lock: bool = False) -> list[SealedSecret]:
    """All of them, by channel and name. lock: nobody puts another one there before this transaction ends."""
    wanted = select(_SECRET).order_by(_SECRET.c.channel, _SECRET.c.name)
    found = connection.execute(wanted.with_for_update() if lock else wanted).mappings()
    return [SealedSecret(**row) for row in found]


def keep_sealed(connection: Connection, channel: str, sealed: Mapping[str, bytes], now: datetime) -> None:
    """Keeps secrets of a channel, by name, instead of what has their names."""
    if sealed:
        rows = [{"channel": channel, "name": name, "sealed": text, "saved_at": now} for name, text in sealed.items()]
        statement = upsert(_SECRET, connection.dialect.name, keys=("channel", "name"), update=("sealed", "saved_at"))
        connection.execute(statement, rows)


def forget_sealed(connection: Connection, channel: str, name: str) -> bool:
    """Removes a secret; returns whether it was there."""
    removed = connection.execute(delete(_SECRET).where(_SECRET.c.channel == channel, _SECRET.c.name == name))
    return removed.rowcount > 0
