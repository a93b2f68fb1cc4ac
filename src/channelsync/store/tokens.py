"""Tokens of the JSON API, by name and by what they hash to. What a token may do is decided by `sync.tokens`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_TOKEN = metadata.tables["api_token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A token's row. expires_at None: it does not run out. revoked_at None: it was not revoked.

    last_used_at: to the minute or so; None: never used.
    """

    name: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def add_token(
    connection: Connection, name: str, digest: str, scope: str, now: datetime, expires_at: datetime | None
) -> bool:
    """Adds a token; returns False, and adds none, where the name was used before."""
    row = {
        "name": name,
        "digest": digest,
        "scope": scope,
        "created_at": now,
        "expires_at": expires_at,
        "revoked_at": None,
        "last_used_at": None,
    }
    return connection.execute(insert_ignoring(_TOKEN, connection.dialect.name), row).rowcount == 1


def token_of(connection: Connection, digest: str) -> StoredToken | None:
    """The token that hashes to this; None: there is none."""
    row = connection.execute(select(_TOKEN).where(_TOKEN.c.digest == bindparam("b_digest")), {"b_digest": digest})
    found = row.first()
    return None if found is None else _stored(found)


def list_tokens(connection: Connection) -> list[StoredToken]:
    """All tokens by name, revoked ones too."""
    return [_stored(row) for row in connection.execute(select(_TOKEN).order_by(_TOKEN.c.name))]


def revoke_token(connection: Connection, name: str, now: datetime) -> bool:
    """Revokes a token; returns whether there was one of this name that was not revoked yet."""
    statement = update(_TOKEN).where(_TOKEN.c.name == name, _TOKEN.c.revoked_at.is_(None)).values(revoked_at=now)
    return connection.execute(statement).rowcount == 1


def note_use(connection: Connection, name: str, at: datetime) -> None:
    """Keeps when a token was used last; an earlier time than the one that is kept changes nothing."""
    older = or_(_TOKEN.c.last_used_at.is_(None), _TOKEN.c.last_used_at < at)
    connection.execute(update(_TOKEN).where(_TOKEN.c.name == name, older).values(last_used_at=at))


def _stored(row: Row[Any]) -> StoredToken:
    return StoredToken(
        name=row.name,
        scope=row.scope,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
