"""Who may use the JSON API, and what was answered to whom."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from channelsync.store.tables.base import Row


class ApiTokenRow(Row, table=True):
    """One token of the JSON API. `digest` is the SHA-256 of it; nobody can tell the token from its row.

    A row stays when its token was revoked, so that a name in runs and in the ledger never means somebody else.
    """

    __tablename__ = "api_token"

    name: str = Field(primary_key=True)
    digest: str = Field(unique=True)
    scope: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class ApiAnswerRow(Row, table=True):
    """What was answered to a request with an Idempotency-Key; written in the transaction of its effect."""

    __tablename__ = "api_answer"

    token: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    digest: str
    run: str
    status: int
    body: bytes
    at: datetime = Field(index=True)
