"""Undoing a run: its causes are taken back by counter-entries and by changes that put back what was.

What follows from causes is never put back but computed again: positions by counter-entries, shown quantities by keys
that become due. Facts of the world are left and named: orders, reads of channels, counts that were made since.
Where the world has gone on (units were sold meanwhile), a counter-entry is made all the same: on hand and available
may go below 0, knowingly, and the result says so. A run is undone once; undoing the undoing run has it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, entry_id
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import counts, items, ledger, runs, undoing
from channelsync.store.runs import Change, Run
from channelsync.sync.items_merge import MERGE
from channelsync.sync.oversold import available_as_said
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Refused, after_change
from channelsync.sync.undo_changes import UNDONE, TakingBack, in_words

# Who makes entries of facts that no command can take back.
_FACTS = {"order": "orders", "read": "reads of channels", "agent": "the daemon"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """A position that has fewer units now than are promised, or fewer than none."""

    sku: str
    location: str
    on_hand: int
    available: int


@dataclass(slots=True, kw_only=True)
class Undone:
    """What undoing did. entries: counter-entries; changes: changes taken back. left: what stays, and why.

    below: positions that went below 0 by it. mapped: channels of which a listing means something again.
    """

    run: str
    command: str
    entries: int = 0
    changes: int = 0
    left: list[str] = field(default_factory=list)
    below: list[Below] = field(default_factory=list)
    mapped: set[str] = field(default_factory=set)


def undo(connection: Connection, setup: Setup, by: By, run: str) -> Undone:
    """Takes a run back in the caller's transaction. Raises Refused: an unknown run, one that is undone already, one
    that did nothing that can be taken back."""
    known = runs.get_run(connection, run)
    if known is None:
        raise Refused(f"There is no run {run!r}. `channelsync runs list` shows them all.")
    if run == by.run:
        raise Refused("A run cannot undo itself.")
    if not undoing.claim_undo(connection, run, by.run):
        undone_by = known.undone_by or "another run, just now"
        raise Refused(f"Run {run} ({known.command}) was undone by {undone_by} already. To have it back, undo that run.")
    changes = runs.changes_of(connection, run)
    _refuse_if_gone_on(connection, run, changes)
    done = Undone(run=run, command=known.command)
    _entries(connection, setup, by, known, changes, done)
    taking_back = TakingBack(connection=connection, setup=setup, by=by, run=run)
    taking_back.take_back(changes)
    done.changes = taking_back.taken
    done.left += taking_back.left
    done.mapped = taking_back.mapped
    if not done.entries and not done.changes:
        left = f" Left are: {'; '.join(done.left)}." if done.left else ""
        raise Refused(f"Run {run} ({known.command}) did nothing that can be taken back.{left}")
    taking_back.record(UNDONE, run, "", by.run)
    return done


def _refuse_if_gone_on(connection: Connection, run: str, changes: Iterable[Change]) -> None:
    """Runs on which later ones have built are taken back after those, or not at all."""
    for change in changes:
        if change.kind == UNDONE:
            undone = runs.get_run(connection, change.subject)
            if undone is not None and undone.undone_by != change.after:
                raise Refused(
                    f"Run {run} dealt with run {undone.id}, which was undone by {undone.undone_by or 'nothing'} since. "
                    "Undo that run instead."
                )
        elif change.kind == MERGE and change.after is not None:
            into = change.after["into"]
            found = items.items_by_id(connection, [change.subject, into])
            if found[change.subject].merged_into != into:
                raise Refused(
                    f"{found[change.subject].sku} was merged into {found[into].sku}, which has become another item "
                    "since. Undo that first."
                )


def _entries(connection: Connection, setup: Setup, by: By, run: Run, changes: Sequence[Change], done: Undone) -> None:
    """Writes the counter-entries."""
    made = undoing.entries_of_run(connection, run.id)
    _name_facts(made, done)
    told = _where_they_are_now(connection, [entry.movement for entry in made if _can_be_taken_back(entry)], changes)
    ledger.open_positions(connection, {movement.position for movement in told})
    positions = ledger.lock_positions(connection, {movement.position.item for movement in told})
    before, known = dict(positions), available_as_said(positions)
    skus = {name: item.sku for name, item in items.items_by_id(connection, {key.item for key in positions}).items()}
    counted = counts.counts_recorded_since(connection, run.started_at, but=run.id)
    stays = _overtaken(told, counted, merged=any(change.kind == MERGE for change in changes))
    if stays:
        done.left.append(
            f"{_named(stays, skus)}: counted since; what the count found on hand holds, also without this run"
        )
    movements, short = _counter_movements(told, positions, stays, by, run.id)
    if short:
        done.left.append(f"{_named(short, skus)}: fewer units are set aside now than the run set aside; none are left")
    entries = ledger.write(connection, movements, positions, by.now)
    after_change(connection, setup, entries, known, positions, by.now)
    done.entries = len(entries)
    done.below = [
        Below(sku=skus[key.item], location=key.location, on_hand=now.on_hand, available=now.available)
        for key, now in sorted(positions.items())
        if (now.on_hand < 0 or now.available < 0) and now.available < before[key].available
    ]


def _where_they_are_now(connection: Connection, told: Sequence[Movement], changes: Iterable[Change]) -> list[Movement]:
    """The movements at the positions where their units are by now: those of an item that was merged since went on.

    A run that merged items says itself where its units were. One that took a merge back is left out for those items:
    they are merged again as a whole.
    """
    merges = [change for change in changes if change.kind == MERGE]
    again = {name for one in merges if one.after is None for name in (one.subject, one.before["into"])}
    own = {name for one in merges if one.after is not None for name in (one.subject, one.after["into"])}
    known = items.items_by_id(connection, {movement.position.item for movement in told})
    became = {name: item.merged_into for name, item in known.items() if item.merged_into and name not in own}
    return [
        replace(one, position=PositionKey(became.get(one.position.item) or one.position.item, one.position.location))
        for one in told
        if one.position.item not in again
    ]


def _named(keys: Iterable[PositionKey], skus: Mapping[str, str]) -> str:
    return in_words(sorted(f"{skus[key.item]} at {key.location}" for key in keys))


def says_what_happened(actor: str) -> bool:
    """Whether entries of this actor tell facts of the world, which no command takes back."""
    return actor.partition(":")[0] in _FACTS


def _can_be_taken_back(entry: LedgerEntry) -> bool:
    return not says_what_happened(entry.movement.cause.actor) and not entry.movement.reservation


def _name_facts(made: Iterable[LedgerEntry], done: Undone) -> None:
    facts = Counter(entry.movement.cause.actor.partition(":")[0] for entry in made)
    for actor, told in _FACTS.items():
        if facts[actor]:
            done.left.append(f"{facts[actor]} entries by {told} stay: they say what has happened")


def _overtaken(told: Iterable[Movement], counted: Mapping[PositionKey, datetime], *, merged: bool) -> set[PositionKey]:
    """Positions that were counted since, as of after what the run said of them.

    Of a merge everything stays then: the count found the units of both items, and only another one can part them.
    """
    stays = {
        one.position for one in told if one.on_hand and one.position in counted and one.at <= counted[one.position]
    }
    return {one.position for one in told} if merged and stays else stays


def _counter_movements(
    told: Iterable[Movement], positions: Mapping[PositionKey, Position], stays: set[PositionKey], by: By, run: str
) -> tuple[list[Movement], set[PositionKey]]:
    """The opposite of movements, the newest first; at their own times, so that counts see both or neither.

    Returns also where fewer units are set aside by now than would have to be put back.
    """
    withheld = {key: position.withheld for key, position in positions.items()}
    short: set[PositionKey] = set()
    movements: list[Movement] = []
    for movement in told:
        key = movement.position
        if movement.on_hand and key not in stays:
            movements.append(_opposite(movement, by, run, on_hand=-movement.on_hand))
        back = -movement.withheld
        if withheld[key] + back < 0:
            short.add(key)
            back = -withheld[key]
        if back:
            withheld[key] += back
            movements.append(_opposite(movement, by, run, withheld=back))
    return movements, short


def _opposite(movement: Movement, by: By, run: str, *, on_hand: int = 0, withheld: int = 0) -> Movement:
    if withheld:
        kind = EntryKind.WITHHOLD if withheld > 0 else EntryKind.UNWITHHOLD
    else:
        kind = EntryKind.TRANSFER if movement.kind is EntryKind.TRANSFER else EntryKind.ADJUST
    reason = by.reason or f"run {run} was undone: {movement.cause.reason}"
    return replace(
        movement,
        id=entry_id("undo", by.run, movement.id, kind),
        kind=kind,
        on_hand=on_hand,
        withheld=withheld,
        cause=Cause(actor=by.actor, run=by.run, reason=reason),
    )
