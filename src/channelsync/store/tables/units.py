"""Items, positions, the ledger and reservations."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlmodel import Field

from channelsync.store.tables.base import Row

OVERSOLD = "on_hand - reserved - withheld < 0"
"""Of a position: more is promised than is there. Queries that use these words find such positions by their index."""


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
    """The cached sums of one item at one location; written only together with its ledger entries.

    stated_by: see `Position`. Where the sums are older than this column, somebody is taken to have said them.
    """

    __tablename__ = "position"
    __table_args__ = (
        CheckConstraint("reserved >= 0", name="reserved"),
        CheckConstraint("withheld >= 0", name="withheld"),
        CheckConstraint("entries >= 0", name="entries"),
        Index("ix_position_oversold", "item", sqlite_where=text(OVERSOLD), postgresql_where=text(OVERSOLD)),
    )

    item: str = Field(primary_key=True, foreign_key="item.id")
    location: str = Field(primary_key=True)
    on_hand: int = Field(default=0, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    withheld: int = Field(default=0, sa_type=BigInteger)
    counted_up_to: datetime | None = None
    entries: int = 0
    head: str = ""
    stated_by: str = Field(default="", sa_column_kwargs={"server_default": text("'upgrade'")})


class LedgerEntryRow(Row, table=True):
    """One immutable entry. `number` and `previous` chain it to the entry before, of the same position.

    unit_cost: the decimal number as text, empty when unknown: SQLite would round a number of its own.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        Index("uq_ledger_entry_item_location_number", "item", "location", "number", unique=True),
        Index("ix_ledger_entry_channel_order", "channel", "order"),
        Index("ix_ledger_entry_recorded_at", "recorded_at"),
        Index(
            "ix_ledger_entry_cost",
            "item",
            sqlite_where=text("unit_cost <> ''"),
            postgresql_where=text("unit_cost <> ''"),
        ),
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
