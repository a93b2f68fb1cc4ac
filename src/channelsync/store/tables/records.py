"""What was run, changed, imported and found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Integer, text
from sqlmodel import Field

from channelsync.store.tables.base import Row


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


class ImportedFileRow(Row, table=True):
    """A file that was imported; a second import of the same content changes nothing."""

    __tablename__ = "imported_file"

    digest: str = Field(primary_key=True)
    name: str
    kind: str
    run: str
    rows: int
    at: datetime
