"""What undoing a run reads, and the mark that it was undone."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from channelsync.domain.ledger import LedgerEntry
from channelsync.store.ledger import entry_of
from channelsync.store.tables import metadata

_RUN = metadata.tables["run"]
_ENTRY = metadata.tables["ledger_entry"]


def claim_undo(connection: Connection, run: str, by: str) -> bool:
    """Marks a run as undone by another; False where it was marked already. Of two that claim at once one wins."""
    marked = update(_RUN).where(_RUN.c.id == run, _RUN.c.undone_by == "").values(undone_by=by)
    return connection.execute(marked).rowcount == 1


def count_entries(connection: Connection, run: str) -> int:
    """How many entries a run made."""
    return connection.execute(select(func.count()).select_from(_ENTRY).where(_ENTRY.c.run == run)).scalar_one()


def entries_of_run(connection: Connection, run: str) -> list[LedgerEntry]:
    """The entries that a run made, each position's newest first."""
    found = connection.execute(
        select(_ENTRY).where(_ENTRY.c.run == run).order_by(_ENTRY.c.item, _ENTRY.c.location, _ENTRY.c.number.desc())
    )
    return [entry_of(row) for row in found]
