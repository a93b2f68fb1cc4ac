"""Channels, leases and listings."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class ChannelRow(Row, table=True):
    """What lasts about one configured channel: whose account it is, how far its orders were read, its switches.

    catch_up_since: the database was restored then, and its orders were not read completely since.
    reviewed: the configuration, as a digest, whose targets were last compared with what the channel shows.
    """

    __tablename__ = "channel"

    name: str = Field(primary_key=True)
    identity: str = Field(default="", index=True)
    cursor: str | None = None
    covered_to: datetime | None = None
    orders_asked_at: datetime | None = None
    orders_failed: str = ""
    unreadable_since: datetime | None = None
    unreadable_why: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    stop: str = ""
    zeroed: bool = False
    mode: str = ""
    connected_at: datetime | None = None
    catch_up_since: datetime | None = None
    reviewed: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    budgets: bytes = b""
    breaker: bytes = b""


class LeaseRow(Row, table=True):
    """Who may write to one seller's account now. The token grows with every new holder and fences the old one."""

    __tablename__ = "lease"

    identity: str = Field(primary_key=True)
    owner: str
    token: int
    until: datetime


class ListingRow(Row, table=True):
    """A channel's listing as last seen, and what it means to us."""

    __tablename__ = "listing"
    __table_args__ = (
        CheckConstraint("multiple >= 1", name="multiple"),
        Index("ix_listing_channel_sku", "channel", "sku"),
    )

    channel: str = Field(primary_key=True)
    listing: str = Field(primary_key=True)
    sku: str | None = None
    title: str = ""
    barcode: str | None = None
    state: str
    reasons: bytes = b"[]"
    parts: bytes = b"[]"
    tracked: bool = True
    sells_below_zero: bool = False
    fulfilled_by_channel: bool = False
    item: str | None = Field(default=None, foreign_key="item.id", index=True)
    multiple: int = 1
    mapped_by: str = ""
    mapped_at: datetime | None = None
    seen_at: datetime
    gone_at: datetime | None = None


class ListingKeyRow(Row, table=True):
    """Which numbers stand behind a listing: usually one, several where the channel keeps one per remote location."""

    __tablename__ = "listing_key"

    channel: str = Field(primary_key=True)
    listing: str = Field(primary_key=True)
    key: int = Field(
        sa_column=Column(Integer, ForeignKey("quantity_key.id"), primary_key=True, autoincrement=False, index=True)
    )
