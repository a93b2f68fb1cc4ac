"""Quantity keys with all that publishing knows of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class QuantityKeyRow(Row, table=True):
    """One number that a channel keeps, and all that publishing knows of it. See the publishing rules, section 1.

    unreadable: why its number could not be read the last time; empty: it could.
    page: the name whose writes the channel counts together; empty: it counts those of this key by themselves. Further
    ones are in `quantity_key_page`.
    read_at: when its number was last asked for. read_wanted: something waits for a fresh read of it.
    hot: more of it may be sold than is available before we hear of it; it is read every tick.
    due_at: when the publisher must look at it; None: nothing to do. urgency: 0 first; see `key_writes.UNSEEN` for 2.
    value: W, in units a buyer may buy; committed: units in the channel's own open orders, where its number is physical.
    confirmed: the newest generation that the watermark shows.
    rise_*: units that a read showed too many and no order has explained yet. risen: JSON, what of such units was
    written over already and is not judged yet. repairs: how often drift was repaired in a row. held: a question to the
    seller is open, nothing is raised; empty: none is. disputed: what it is about, signed: units by which the number
    differs from ours. channel_held: units that the channel itself held, and said so, when W was read.
    kept: the channel keeps the units itself at `remote`: never ours, and read only to count them there. Then value is
    what a buyer may buy of them, committed what orders hold, and channel_held all else that lies there.
    """

    __tablename__ = "quantity_key"
    __table_args__ = (
        CheckConstraint("multiple >= 1", name="multiple"),
        CheckConstraint("generation >= 0", name="generation"),
        Index("uq_quantity_key_identity_key_remote", "identity", "key", "remote", unique=True),
        Index("ix_quantity_key_identity_due_at", "identity", "due_at"),
        Index("ix_quantity_key_identity_read_at", "identity", "read_at"),
        Index(
            "ix_quantity_key_wanted", "identity", sqlite_where=text("read_wanted"), postgresql_where=text("read_wanted")
        ),
        Index("ix_quantity_key_hot", "identity", sqlite_where=text("hot"), postgresql_where=text("hot")),
        Index("ix_quantity_key_page", "page", sqlite_where=text("page <> ''"), postgresql_where=text("page <> ''")),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    identity: str
    key: str
    remote: str = ""
    channel: str = Field(index=True)
    listing: str
    page: str = ""
    unreadable: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    item: str | None = Field(default=None, foreign_key="item.id", index=True)
    multiple: int = 1
    ours: bool = True
    kept: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    sells_below_zero: bool = False
    value: int | None = Field(default=None, sa_type=BigInteger)
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    verified: bool = True
    committed: int | None = Field(default=None, sa_type=BigInteger)
    target: int | None = Field(default=None, sa_type=BigInteger)
    generation: int = 0
    confirmed: int = 0
    rise: int = Field(default=0, sa_type=BigInteger)
    rise_from: datetime | None = None
    rise_to: datetime | None = None
    risen: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    repairs: int = 0
    held: str = ""
    disputed: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    channel_held: int = Field(default=0, sa_type=BigInteger)
    due_at: datetime | None = None
    urgency: int = 1
    read_at: datetime | None = None
    read_wanted: bool = False
    hot: bool = False
    failures: int = 0
    not_before: datetime | None = None


class FurtherPageRow(Row, table=True):
    """One more page beside `quantity_key.page` whose count a write of the key raises: it is shown on several."""

    __tablename__ = "quantity_key_page"

    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), primary_key=True, autoincrement=False))
    page: str = Field(primary_key=True, index=True)


class EffectRow(Row, table=True):
    """What a booked order did to a key's number.

    settled: empty while it cannot be told whether W contains it; shown: a read has shown it, although the times alone
    cannot tell yet; else how it ended.
    """

    __tablename__ = "effect"
    __table_args__ = (
        Index(
            "ix_effect_open",
            "key",
            sqlite_where=text("settled IN ('', 'shown')"),
            postgresql_where=text("settled IN ('', 'shown')"),
        ),
    )

    id: str = Field(primary_key=True)
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), nullable=False))
    channel: str
    order: str
    delta: int = Field(sa_type=BigInteger)
    earliest: datetime
    latest: datetime
    booked_at: datetime
    settled: str = ""
    settled_at: datetime | None = None


class QuantityWriteRow(Row, table=True):
    """A write of ours, recorded before the request leaves. One found without an answer has an unknown outcome.

    within_s: seconds within which it is visible, where its answer said so.

    Channels that let a listing be written so often a day are counted by these rows: whoever prunes them keeps those of
    the longest such span.
    """

    __tablename__ = "quantity_write"
    __table_args__ = (
        Index(
            "ix_quantity_write_open",
            "key",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_quantity_write_sent_at", "sent_at"),
    )

    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), primary_key=True, autoincrement=False))
    generation: int = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)
    expected: int | None = Field(default=None, sa_type=BigInteger)
    run: str
    sent_at: datetime
    answered_at: datetime | None = None
    outcome: str = ""
    reason: str = ""
    within_s: float | None = None
    visible_at: datetime | None = None
    closed_at: datetime | None = None
    why: bytes = b""


class QuantityReadRow(Row, table=True):
    """A read of a key and what it was understood to mean; for `explain` and for the daily reports."""

    __tablename__ = "quantity_read"
    __table_args__ = (Index("ix_quantity_read_key_answered_at", "key", "answered_at"),)

    id: str = Field(primary_key=True)
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), nullable=False))
    value: int = Field(sa_type=BigInteger)
    asked_at: datetime
    answered_at: datetime
    meaning: str
    units: int = Field(default=0, sa_type=BigInteger)
    low: int = Field(default=0, sa_type=BigInteger)
    high: int = Field(default=0, sa_type=BigInteger)


class ProvisionalRow(Row, table=True):
    """Units of a key held because a read showed a drop that no order explains yet. Units are the key's.

    named: the channel says what holds them, and they end with that.
    """

    __tablename__ = "provisional"
    __table_args__ = (
        CheckConstraint("open >= 0 AND open <= units", name="open"),
        CheckConstraint("plausible >= 0", name="plausible"),
        Index("ix_provisional_open", "key", sqlite_where=text("open > 0"), postgresql_where=text("open > 0")),
    )

    id: str = Field(primary_key=True)
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), nullable=False))
    channel: str
    location: str
    takes: bytes
    units: int = Field(sa_type=BigInteger)
    open: int = Field(sa_type=BigInteger)
    plausible: int = Field(sa_type=BigInteger)
    window_from: datetime
    window_to: datetime
    found_at: datetime
    named: bool = False
    closed_at: datetime | None = None
    closed_by: str = ""


class PredictionRow(Row, table=True):
    """What would have been pushed while observing: the number that was shown, ours, and why."""

    __tablename__ = "prediction"
    __table_args__ = (Index("ix_prediction_channel_at", "channel", "at"), Index("ix_prediction_key_at", "key", "at"))

    id: str = Field(primary_key=True)
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), nullable=False))
    channel: str
    shown: int | None = Field(default=None, sa_type=BigInteger)
    target: int = Field(sa_type=BigInteger)
    at: datetime
    why: bytes = b""
