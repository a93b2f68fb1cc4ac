"""What other systems are told: how far each hook has heard, and the messages for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


class HookRow(Row, table=True):
    """One configured hook. told_to: changes recorded up to then have become messages.

    failures: attempts in a row that its address did not accept. not_before: nothing is sent to it earlier.
    stopped: why nothing is made or sent for it any more; empty: it is served.
    """

    __tablename__ = "hook"
    __table_args__ = (CheckConstraint("failures >= 0", name="failures"),)

    name: str = Field(primary_key=True)
    told_to: datetime
    failures: int = 0
    failing_since: datetime | None = None
    not_before: datetime | None = None
    stopped: str = ""
    problem: str = ""
    delivered_at: datetime | None = None


class OutgoingRow(Row, table=True):
    """A message for a hook. Of one subject at most one waits: what is newer takes its place.

    message: its id, the same whenever it is sent again. version: of the subject, so that no change is told twice.
    made_at: when its content was made. next_at: not sent earlier; None: at once. delivered_at: None: not yet.
    """

    __tablename__ = "outgoing"
    __table_args__ = (
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(
            "uq_outgoing_waiting",
            "hook",
            "type",
            "subject",
            unique=True,
            sqlite_where=text("delivered_at IS NULL"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
        Index(
            "ix_outgoing_queue",
            "hook",
            "id",
            sqlite_where=text("delivered_at IS NULL"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
        Index("ix_outgoing_hook_made_at", "hook", "made_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    hook: str
    message: str
    type: str
    subject: str
    version: str
    payload: bytes
    made_at: datetime
    attempts: int = 0
    next_at: datetime | None = None
    delivered_at: datetime | None = None
