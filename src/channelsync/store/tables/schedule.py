"""What is done again and again: one row a task."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from channelsync.store.tables.base import Row


class ScheduleRow(Row, table=True):
    """One task of the schedule: when it runs next, who runs it now, and how it ended last.

    rule: when it runs, in words; another one in the configuration has the next run computed anew. owner: the worker
    that has claimed it, until lease_until; token: larger with every claim, so that only the last one can end it.
    asked_at: somebody wants it run out of turn. told: what the last run did, or why it failed. failures: in a row.
    """

    __tablename__ = "schedule"

    name: str = Field(primary_key=True)
    rule: str
    next_run_at: datetime
    owner: str = ""
    token: int = 0
    lease_until: datetime | None = None
    asked_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    told: str = ""
    seconds: float = 0.0
    failures: int = 0
