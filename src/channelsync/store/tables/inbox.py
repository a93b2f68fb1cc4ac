"""Webhooks as they came in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class DeliveryRow(Row, table=True):
    """A genuine webhook, stored before it is answered. It is a hint: what it names is read again.

    digest: of the body. differs: the event came before with another body. sent_at: the channel's time. orders, keys:
    what it names. body: sealed; NULL: there is no key to seal it with, or it was pruned. copies: how often it came
    beyond the first time. state: new, done, quarantined (kept, and not followed) or parked (it could not be followed).
    why: the reason of the last two. handled_at: when it was followed or given up.
    """

    __tablename__ = "inbox"
    __table_args__ = (
        CheckConstraint("state IN ('new', 'done', 'quarantined', 'parked')", name="state"),
        CheckConstraint("copies >= 0", name="copies"),
        Index("uq_inbox_delivery", "channel", "topic", "event", "digest", unique=True),
        Index(
            "uq_inbox_event",
            "channel",
            "topic",
            "event",
            unique=True,
            sqlite_where=text("NOT differs"),
            postgresql_where=text("NOT differs"),
        ),
        Index("ix_inbox_state", "state", "channel", "id"),
        Index("ix_inbox_topic", "channel", "topic", "received_at"),
        Index("ix_inbox_received_at", "received_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    channel: str
    topic: str
    event: str
    digest: str
    differs: bool = False
    received_at: datetime
    sent_at: datetime
    orders: bytes = b"[]"
    keys: bytes = b"[]"
    body: bytes | None = None
    state: str = "new"
    copies: int = 0
    attempts: int = 0
    why: str = ""
    handled_at: datetime | None = None
