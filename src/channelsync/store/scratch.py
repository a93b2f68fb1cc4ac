"""A copy of the database to try things on: what a dry run changes, it changes there, and throws it away.

Only what decides is copied, not the history (ledger entries, reads, runs): positions carry the number and the hash of
their last entry, so the ledger goes on where it stands. Secrets are not copied either: a token that is renewed during
a dry run must be kept in the database itself, or the account is lost.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, create_engine, select

from channelsync.store.database import Database
from channelsync.store.tables import metadata

HISTORY = frozenset(
    {"ledger_entry", "quantity_read", "prediction", "finding", "change", "imported_file", "audited_day", "inbox"}
)
SECRETS = frozenset({"channel_secret"})
_AT_ONCE = 5_000


async def copy_to_scratch(source: Database, path: Path) -> str:
    """Copies what decides into a new SQLite file, as of one moment; returns the file's address. Writes nothing else."""
    await source.query(lambda connection: _copy(connection, path), snapshot=True)
    return f"sqlite:///{path}"


def _copy(source: Connection, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as target:
            metadata.create_all(target)
            for table in metadata.sorted_tables:
                if table.name not in HISTORY | SECRETS:
                    for rows in source.execute(select(table)).mappings().partitions(_AT_ONCE):
                        target.execute(table.insert(), [dict(row) for row in rows])
    finally:
        engine.dispose()
