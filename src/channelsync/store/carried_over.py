"""What a restore must not set back: tokens of channels that were renewed, tokens of ours that were revoked.

A renewed token is the only one that its channel still takes; a revoked one would let somebody in again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, select, update

from channelsync.store import migrations
from channelsync.store.tables import metadata

_SECRET = metadata.tables["channel_secret"]
_TOKEN = metadata.tables["api_token"]


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """What the database had before a restore. secrets: sealed, as they were; revoked: rows of revoked tokens."""

    secrets: tuple[dict[str, Any], ...] = ()
    revoked: tuple[dict[str, Any], ...] = ()


def read_carried_over(connection: Connection) -> CarriedOver:
    """Reads it, of a database of any revision that has tables."""
    tables = migrations.tables_at(str(migrations.revision_of(connection)))
    secrets = _rows(connection, _SECRET, tables)
    tokens = _rows(connection, _TOKEN, tables)
    return CarriedOver(tuple(secrets), tuple(one for one in tokens if one["revoked_at"] is not None))


def carry_over(connection: Connection, before: CarriedOver) -> int:
    """Puts back what is newer than what was restored; returns how many secrets are."""
    kept = 0
    for one in before.secrets:
        newer = (_SECRET.c.channel == one["channel"], _SECRET.c.name == one["name"])
        changed = update(_SECRET).where(*newer, _SECRET.c.saved_at < one["saved_at"])
        kept += connection.execute(changed.values(sealed=one["sealed"], saved_at=one["saved_at"])).rowcount
    for one in before.revoked:
        again = update(_TOKEN).where(_TOKEN.c.name == one["name"], _TOKEN.c.revoked_at.is_(None))
        connection.execute(again.values(revoked_at=one["revoked_at"]))
    return kept


def _rows(connection: Connection, table: Table, tables: tuple[str, ...]) -> list[dict[str, Any]]:
    if table.name not in tables:
        return []
    return [dict(row) for row in connection.execute(select(table)).mappings()]
