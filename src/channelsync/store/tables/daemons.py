"""Processes that serve: when each was last alive, what it says of itself, and what is wanted of it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from channelsync.store.tables.base import Row


class DaemonRow(Row, table=True):
    """One daemon or receiver while it runs. beat_at: by the database's clock, as leases are.

    told: what it says of itself. reload_wanted: the run that asks it to read its configuration anew; reload_done: the
    last one that it has answered, with what it said.
    """

    __tablename__ = "daemon"

    run: str = Field(primary_key=True)
    command: str
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_at: datetime
    told: bytes = b"{}"
    reload_wanted: str = ""
    reload_done: str = ""
    reload_said: bytes = b""
