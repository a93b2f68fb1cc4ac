"""Plans that wait for approval, and the keys that they hold."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class PlanRow(Row, table=True):
    """What one run would change on one channel, too much to be done unseen.

    kind: "quantities", or "catalogue" (listings that a pull did not bring). state: open, approved, rejected (its keys
    stay as they are), settled (nothing of it is left). counts: what would be moved, of how much.
    """

    __tablename__ = "guard_plan"
    __table_args__ = (
        CheckConstraint("kind IN ('quantities', 'catalogue')", name="kind"),
        CheckConstraint("state IN ('open', 'approved', 'rejected', 'settled')", name="state"),
        Index("ix_guard_plan_state", "state"),
    )

    id: str = Field(primary_key=True)
    run: str = Field(index=True)
    channel: str
    kind: str
    state: str = "open"
    reasons: bytes = b"[]"
    counts: bytes = b"{}"
    made_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    decided_run: str = ""
    note: str = ""


class PlanKeyRow(Row, table=True):
    """One key of a plan; a key is held by one plan at most. before, planned, room: see `domain.guard.Hold`.

    mark: the positions as they were when the plan was made. state: held, released, overtaken, ended; why: in words.
    """

    __tablename__ = "guard_key"
    __table_args__ = (
        CheckConstraint("state IN ('held', 'released', 'overtaken', 'ended')", name="state"),
        Index(
            "uq_guard_key_held",
            "key",
            unique=True,
            sqlite_where=text("state = 'held'"),
            postgresql_where=text("state = 'held'"),
        ),
    )

    plan: str = Field(primary_key=True, foreign_key="guard_plan.id")
    key: int = Field(sa_column=Column(Integer, ForeignKey("quantity_key.id"), primary_key=True, autoincrement=False))
    mark: str
    item: str
    before: int = Field(sa_type=BigInteger)
    planned: int = Field(sa_type=BigInteger)
    room: int = Field(sa_type=BigInteger)
    state: str = "held"
    why: str = ""


class MarkedPositionRow(Row, table=True):
    """A position as it was when a plan was made: what was available without the run, and its entries with it."""

    __tablename__ = "guard_position"

    mark: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    location: str = Field(primary_key=True)
    available: int = Field(sa_type=BigInteger)
    entries: int


class PlaceRow(Row, table=True):
    """Where the database lives, as far as it can tell: one that finds itself elsewhere was restored. One row."""

    __tablename__ = "guard_place"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    place: str
