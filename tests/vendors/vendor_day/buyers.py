"""Looking for buyers where none may be: every order of the test servers names one, and none may reach us for good."""

from __future__ import annotations

from sqlalchemy import Connection, select

from channelsync.sdk.contract.world import CANARY
from channelsync.store.tables import metadata

_NAME, _, _PHONE, _ = CANARY
TOLD = (_NAME.rpartition(" ")[2].lower(), _PHONE.partition(" ")[2])
"""What name, address and e-mail share, and the telephone number."""


def tells_of_a_buyer(text: str) -> bool:
    """Whether a text names a buyer of the test servers."""
    low = text.lower()
    return any(one in low for one in TOLD)


def buyers_in(connection: Connection) -> tuple[str, ...]:
    """Where a buyer stands in the database: `table: row`, with the row's beginning."""
    return tuple(
        f"{table.name}: {text[:300]}"
        for table in metadata.sorted_tables
        for row in connection.execute(select(table))
        if tells_of_a_buyer(text := repr(tuple(row)))
    )
