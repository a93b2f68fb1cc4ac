"""Orders as told and as booked."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class OrderRow(Row, table=True):
    """An order as last told (`said`) and as booked (`booked`). Nothing about the buyer.

    absent_at: when the last complete read of its channel's orders was asked before the one that brought it first;
    None: no such read, or it came otherwise: by its id, by hand, from a file, or before this was kept.
    """

    __tablename__ = "sales_order"
    __table_args__ = (Index("ix_sales_order_channel_placed_at", "channel", "placed_at"),)

    channel: str = Field(primary_key=True)
    order: str = Field(primary_key=True)
    version: datetime
    content: str
    status: str
    placed_at: datetime
    first_seen_at: datetime
    absent_at: datetime | None = None
    booked_at: datetime
    expires_at: datetime | None = Field(default=None, index=True)
    unmapped: int = Field(default=0, index=True)
    said: bytes
    booked: bytes


class UnreadableOrderRow(Row, table=True):
    """An order that could not be understood; kept until a later read of it can be."""

    __tablename__ = "unreadable_order"

    channel: str = Field(primary_key=True)
    order: str = Field(primary_key=True)
    reason: str
    raw: str = Field(sa_column=Column(Text, nullable=False))
    seen_at: datetime


class OrderHintRow(Row, table=True):
    """An order to be read again by id: a webhook named it, or two snapshots of one version differed.

    noted_at: when it was hinted at last; None: before this was noted. asked_at: the same; of one that could not be read
    (attempts: how often), when it is to be read again.
    """

    __tablename__ = "order_hint"

    channel: str = Field(primary_key=True)
    order: str = Field(primary_key=True)
    reason: str
    noted_at: datetime | None = None
    asked_at: datetime
    attempts: int = 0


class AuditedDayRow(Row, table=True):
    """The channel's order ids of one day against ours."""

    __tablename__ = "audited_day"

    channel: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    theirs: int
    missing: int
    evidence: bytes = b"[]"
    checked_at: datetime
