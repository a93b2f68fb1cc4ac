"""What undoing a run reads, and the mark that it was undone."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from channelsync.domain.ledger import LedgerEntry
from channelsync.store.codec import dump
from channelsync.store.ledger import entry_of
from channelsync.store.tables import metadata

_RUN = metadata.tables["run"]
_CHANGE = metadata.tables["change"]
_ENTRY = metadata.tables["ledger_entry"]


def claim_undo(connection: Connection, run: str, by: str) -> bool:
    """Marks a run as undone by another; False where it was marked already. Of two that claim at once one wins."""
    marked = update(_RUN).where(_RUN.c.id == run, _RUN.c.undone_by == "").values(undone_by=by)
    return connection.execute(marked).rowcount == 1


def count_entries(connection: Connection, run: str) -> int:
    """How many entries a run made."""
    return connection.execute(select(func.count()).select_from(_ENTRY).where(_ENTRY.c.run == run)).scalar_one()


class ChangesOf(NamedTuple):
    """How many changes of a kind a run made. made: of what was not there before."""

    run: str
    kind: str
    made: bool
    changes: int


def count_changes(connection: Connection, runs: Collection[str]) -> list[ChangesOf]:
    """The changes that these runs made, counted."""
    made = (_CHANGE.c.before == dump(None)).label("made")
    counted = select(_CHANGE.c.run, _CHANGE.c.kind, made, func.count()).where(_CHANGE.c.run.in_(runs))
    grouped = counted.group_by(_CHANGE.c.run, _CHANGE.c.kind, made)
    return [ChangesOf(run, kind, bool(new), number) for run, kind, new, number in connection.execute(grouped)]


class EntriesBy(NamedTuple):
    """How many entries of a run name this actor, those of reservations left out, and a reason that one of them has."""

    run: str
    actor: str
    entries: int
    reason: str


def entries_by_actor(connection: Connection, runs: Collection[str]) -> list[EntriesBy]:
    """The entries that these runs made, counted."""
    counted = (
        select(_ENTRY.c.run, _ENTRY.c.actor, func.count(), func.max(_ENTRY.c.reason))
        .where(_ENTRY.c.run.in_(runs), _ENTRY.c.reservation == "")
        .group_by(_ENTRY.c.run, _ENTRY.c.actor)
        .order_by(_ENTRY.c.run, _ENTRY.c.actor)
    )
    return [EntriesBy(*row) for row in connection.execute(counted)]


def entries_of_run(connection: Connection, run: str) -> list[LedgerEntry]:
    """The entries that a run made, each position's newest first."""
    found = connection.execute(
        select(_ENTRY).where(_ENTRY.c.run == run).order_by(_ENTRY.c.item, _ENTRY.c.location, _ENTRY.c.number.desc())
    )
    return [entry_of(row) for row in found]
