"""Files that other systems handed over, and what became of each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from channelsync.store.tables.base import Row


class FeedFileRow(Row, table=True):
    """A file of a feed. key: in a folder its name as it was taken, over HTTP the caller's key or the body's digest.

    Written in the transaction that imports the file, so a file is finished where it has a row, and only there.
    """

    __tablename__ = "feed_file"
    __table_args__ = (Index("ix_feed_file_feed_at", "feed", "at"),)

    feed: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    name: str
    digest: str
    outcome: str
    run: str
    rows: int
    report: bytes
    at: datetime
