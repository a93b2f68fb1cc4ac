"""Runs as they are listed: who did what when, why, and what undoing would take back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.store import runs, undoing
from channelsync.store.runs import Run
from channelsync.store.undoing import EntriesBy
from channelsync.sync.undo import says_what_happened
from channelsync.sync.undo_changes import always_stays


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in a list. at: when it began. outcome: empty while it goes on, or when it was killed. reason: as its ledger
    entries or its arguments have it.

    entries, changes: those that `channelsync undo` would look at; what was counted or changed since stays. undo: the
    same in words. undone_by: the run that took it back; empty: none did.
    """

    run: str
    at: datetime
    command: str
    actor: str
    reason: str
    outcome: str
    entries: int
    changes: int
    undo: str
    undone_by: str


def view_runs(connection: Connection, limit: int, *, since: datetime | None = None, command: str = "") -> list[RunRow]:
    """The latest runs, newest first. since, command: as in `runs.list_runs`."""
    found = runs.list_runs(connection, limit, since=since, command=command)
    names = [one.id for one in found]
    entries: dict[str, list[EntriesBy]] = {}
    for one in undoing.entries_by_actor(connection, names):
        if not says_what_happened(one.actor):
            entries.setdefault(one.run, []).append(one)
    changes = Counter[str]()
    for each in undoing.count_changes(connection, names):
        if not always_stays(each.kind, made=each.made):
            changes[each.run] += each.changes
    return [_row(one, entries.get(one.id, ()), changes[one.id]) for one in found]


def _row(run: Run, made: Sequence[EntriesBy], changes: int) -> RunRow:
    entries = sum(one.entries for one in made)
    reasons = [*(one.reason for one in made), run.arguments.get("reason"), run.arguments.get("why")]
    return RunRow(
        run=run.id,
        at=run.started_at,
        command=run.command,
        actor=run.actor,
        reason=next((str(one) for one in reasons if one), ""),
        outcome=run.outcome,
        entries=entries,
        changes=changes,
        undo=_undo(run.undone_by, entries, changes),
        undone_by=run.undone_by,
    )


def _undo(undone_by: str, entries: int, changes: int) -> str:
    if undone_by:
        return f"undone by {undone_by}"
    counted = {"ledger entry": entries, "change": changes}
    many = {"ledger entry": "ledger entries", "change": "changes"}
    told = [f"{number} {name if number == 1 else many[name]}" for name, number in counted.items() if number]
    return f"takes back {' and '.join(told)}" if told else "nothing to take back"
