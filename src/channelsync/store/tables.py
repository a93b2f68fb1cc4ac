"""Every table, one class a row kind.

Table classes do not validate (that is SQLModel's rule), so what must never be is forbidden here by CHECK and UNIQUE
constraints. Hot paths use `Table` objects in SQLAlchemy Core; the classes exist for names, types and migrations.
Times are aware UTC. JSON columns hold the plain forms that `store/codec.py` writes and reads.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Text, text
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)


class Row(SQLModel):
    """What all rows share: one metadata, so that migrations see every table."""

    metadata = metadata


class ItemRow(Row, table=True):
    """A thing that is counted. The SKU is an attribute: renaming it keeps the history."""

    __tablename__ = "item"

    id: str = Field(primary_key=True)
    sku: str = Field(unique=True)
    title: str = ""
    barcode: str | None = Field(default=None, index=True)
    sku_class: str = ""
    merged_into: str | None = Field(default=None, foreign_key="item.id")
    created_at: datetime


class ItemAliasRow(Row, table=True):
    """A further SKU text of an item: a former name, or a spelling that a channel or a file uses."""

    __tablename__ = "item_alias"

    sku: str = Field(primary_key=True)
    item: str = Field(foreign_key="item.id", index=True)
    run: str


class PositionRow(Row, table=True):
    """The cached sums of one item at one location; written only together with its ledger entries."""

    __tablename__ = "position"
    __table_args__ = (
        CheckConstraint("reserved >= 0", name="reserved"),
        CheckConstraint("withheld >= 0", name="withheld"),
        CheckConstraint("entries >= 0", name="entries"),
    )

    item: str = Field(primary_key=True, foreign_key="item.id")
    location: str = Field(primary_key=True)
    on_hand: int = Field(default=0, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    withheld: int = Field(default=0, sa_type=BigInteger)
    counted_up_to: datetime | None = None
    entries: int = 0
    head: str = ""


class LedgerEntryRow(Row, table=True):
    """One immutable entry. `number` and `previous` chain it to the entry before, of the same position.

    unit_cost: the decimal number as text, empty when unknown: SQLite would round a number of its own.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        Index("uq_ledger_entry_item_location_number", "item", "location", "number", unique=True),
        Index("ix_ledger_entry_channel_order", "channel", "order"),
    )

    id: str = Field(primary_key=True)
    item: str = Field(foreign_key="item.id")
    location: str
    number: int
    kind: str
    on_hand: int = Field(sa_type=BigInteger)
    reserved: int = Field(sa_type=BigInteger)
    withheld: int = Field(sa_type=BigInteger)
    at: datetime
    recorded_at: datetime
    actor: str
    run: str = Field(index=True)
    reason: str
    channel: str = ""
    order: str = ""
    line: str = ""
    reservation: str = ""
    lot: str = ""
    unit_cost: str = ""
    currency: str = ""
    previous: str
    hash: str


class OrderRow(Row, table=True):
    """An order as last told (`said`) and as booked (`booked`). Nothing about the buyer."""

    __tablename__ = "sales_order"
    __table_args__ = (Index("ix_sales_order_channel_placed_at", "channel", "placed_at"),)

    channel: str = Field(primary_key=True)
    order: str = Field(primary_key=True)
    version: datetime
    content: str
    status: str
    placed_at: datetime
    first_seen_at: datetime
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
    """An order to be read again by id: a webhook named it, or two snapshots of one version differed."""

    __tablename__ = "order_hint"

    channel: str = Field(primary_key=True)
    order: str = Field(primary_key=True)
    reason: str
    asked_at: datetime
    attempts: int = 0


class ReservationRow(Row, table=True):
    """Units of one item at one location promised to one order line, or held provisionally. `open` have not ended."""

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint("open >= 0", name="open"),
        Index("ix_reservation_item_location", "item", "location"),
        Index("ix_reservation_channel_order", "channel", "order"),
    )

    id: str = Field(primary_key=True)
    item: str = Field(foreign_key="item.id")
    location: str
    kind: str
    channel: str
    order: str = ""
    line: str = ""
    open: int = Field(sa_type=BigInteger)
    opened_at: datetime


class ChannelRow(Row, table=True):
    """What lasts about one configured channel: whose account it is, how far its orders were read, its switches."""

    __tablename__ = "channel"

    name: str = Field(primary_key=True)
    identity: str = Field(default="", index=True)
    cursor: str | None = None
    covered_to: datetime | None = None
    orders_asked_at: datetime | None = None
    orders_failed: str = ""
    unreadable_since: datetime | None = None
    stop: str = ""
    zeroed: bool = False
    mode: str = ""
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


class QuantityKeyRow(Row, table=True):
    """One number that a channel keeps, and all that publishing knows of it. See the publishing rules, section 1.

    read_at: when its number was last asked for. read_wanted: a raise elsewhere waits for a fresh read of it.
    hot: more of it may be sold than is available before we hear of it; it is read every tick.
    due_at: when the publisher must look at it; None: nothing to do. urgency: 0 first.
    value: W, in units a buyer may buy; committed: units in the channel's own open orders, where its number is physical.
    rise_*: units that a read showed too many and no order has explained yet. repairs: how often drift was repaired
    in a row. held: a question to the seller is open, nothing is written; empty: none is.
    """

    __tablename__ = "quantity_key"
    __table_args__ = (
        CheckConstraint("multiple >= 1", name="multiple"),
        CheckConstraint("generation >= 0", name="generation"),
        Index("uq_quantity_key_identity_key_remote", "identity", "key", "remote", unique=True),
        Index("ix_quantity_key_identity_due_at", "identity", "due_at"),
        Index("ix_quantity_key_hot", "identity", sqlite_where=text("hot"), postgresql_where=text("hot")),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    identity: str
    key: str
    remote: str = ""
    channel: str = Field(index=True)
    listing: str
    item: str | None = Field(default=None, foreign_key="item.id", index=True)
    multiple: int = 1
    ours: bool = True
    sells_below_zero: bool = False
    value: int | None = Field(default=None, sa_type=BigInteger)
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    verified: bool = True
    committed: int | None = Field(default=None, sa_type=BigInteger)
    target: int | None = Field(default=None, sa_type=BigInteger)
    generation: int = 0
    rise: int = Field(default=0, sa_type=BigInteger)
    rise_from: datetime | None = None
    rise_to: datetime | None = None
    repairs: int = 0
    held: str = ""
    due_at: datetime | None = None
    urgency: int = 1
    read_at: datetime | None = None
    read_wanted: bool = False
    hot: bool = False
    failures: int = 0
    not_before: datetime | None = None


class ListingKeyRow(Row, table=True):
    """Which numbers stand behind a listing: usually one, several where the channel keeps one per remote location."""

    __tablename__ = "listing_key"

    channel: str = Field(primary_key=True)
    listing: str = Field(primary_key=True)
    key: int = Field(
        sa_column=Column(Integer, ForeignKey("quantity_key.id"), primary_key=True, autoincrement=False, index=True)
    )


class EffectRow(Row, table=True):
    """What a booked order did to a key's number. settled: empty while it cannot be told whether W contains it."""

    __tablename__ = "effect"
    __table_args__ = (
        Index("ix_effect_open", "key", sqlite_where=text("settled = ''"), postgresql_where=text("settled = ''")),
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
    """A write of ours, recorded before the request leaves. One found without an answer has an unknown outcome."""

    __tablename__ = "quantity_write"
    __table_args__ = (
        Index(
            "ix_quantity_write_open",
            "key",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
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
    """Units of a key held because a read showed a drop that no order explains yet. Units are the key's."""

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
    closed_at: datetime | None = None
    closed_by: str = ""


class FindingRow(Row, table=True):
    """One problem, opened once and closed once. `fingerprint` says which problem it is."""

    __tablename__ = "finding"
    __table_args__ = (
        Index(
            "uq_finding_open",
            "fingerprint",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    fingerprint: str
    kind: str = Field(index=True)
    channel: str = ""
    item: str = ""
    summary: str
    evidence: bytes = b"{}"
    opened_at: datetime
    closed_at: datetime | None = None
    closed_why: str = ""


class RunRow(Row, table=True):
    """One command, import, rule change or daemon session: what undo and the reports speak of."""

    __tablename__ = "run"

    id: str = Field(primary_key=True)
    command: str
    actor: str
    arguments: bytes = b"{}"
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = ""
    undone_by: str = ""


class ChangeRow(Row, table=True):
    """A change to a mapping, rule, item or switch: what it was and what it became, so that it can be undone."""

    __tablename__ = "change"

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    run: str = Field(foreign_key="run.id", index=True)
    kind: str
    subject: str
    before: bytes
    after: bytes
    at: datetime


class RuleRow(Row, table=True):
    """An offering rule that was set by a command; those of the configuration file are not in here."""

    __tablename__ = "rule"

    id: str = Field(primary_key=True)
    scope: bytes
    says: bytes
    source: str
    run: str


class IncomingRow(Row, table=True):
    """Units on their way: they are not on hand, but pre-orders may count them."""

    __tablename__ = "incoming"
    __table_args__ = (CheckConstraint("units > 0", name="units"),)

    item: str = Field(primary_key=True, foreign_key="item.id")
    location: str = Field(primary_key=True)
    reference: str = Field(primary_key=True)
    units: int = Field(sa_type=BigInteger)
    due: date | None = None
    run: str


class ImportedFileRow(Row, table=True):
    """A file that was imported; a second import of the same content changes nothing."""

    __tablename__ = "imported_file"

    digest: str = Field(primary_key=True)
    name: str
    kind: str
    run: str
    rows: int
    at: datetime


class AuditedDayRow(Row, table=True):
    """The channel's order ids of one day against ours."""

    __tablename__ = "audited_day"

    channel: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    theirs: int
    missing: int
    evidence: bytes = b"[]"
    checked_at: datetime


class PredictionRow(Row, table=True):
    """What would have been pushed while observing: the number that was shown, ours, and why."""

    __tablename__ = "prediction"
    __table_args__ = (Index("ix_prediction_channel_at", "channel", "at"),)

    id: str = Field(primary_key=True)
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), nullable=False))
    channel: str
    shown: int | None = Field(default=None, sa_type=BigInteger)
    target: int = Field(sa_type=BigInteger)
    at: datetime
    why: bytes = b""


class WebhookRow(Row, table=True):
    """A verified delivery, stored before it is answered. It is a hint: what it names is read again."""

    __tablename__ = "webhook"
    __table_args__ = (Index("uq_webhook_channel_event", "channel", "event", unique=True),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    channel: str
    event: str
    topic: str
    orders: bytes = b"[]"
    keys: bytes = b"[]"
    received_at: datetime
    handled_at: datetime | None = None
