"""What every command on stock does: places are looked up, positions locked, decided, written, and keys made due.

Each use case is one transaction of the caller. What it decides becomes ledger entries that name who did it, in which
run and why; positions change by nothing else. Units are base units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from channelsync.domain.errors import DomainError
from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, available_lowered, entry_id
from channelsync.domain.orders import UNITS_MAX
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import imported_files, items, keys, ledger
from channelsync.store.imported_files import TakenIn
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.setup import Setup

# Two machines' clocks differ a little; what happens later than this after now has not happened.
CLOCKS_DIFFER = timedelta(minutes=1)


class Refused(DomainError):
    """A command that the rules of stock do not allow; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who changes positions, in which run and why, and when by our clock.

    actor: `user:<name>` or `import:<file>`. reason: one sentence for a reader; empty: the use case's own.
    key: the caller's own key, by which a repeat is recognised; empty: every call is a new one.
    """

    actor: str
    run: str
    now: datetime
    reason: str = ""
    key: str = ""

    def cause(self, reason: str = "") -> Cause:
        """The cause of an entry. reason: what to say where the caller gave none."""
        return Cause(actor=self.actor, run=self.run, reason=self.reason or reason)


@dataclass(frozen=True, slots=True)
class Place:
    """A position as the caller named it."""

    sku: str
    key: PositionKey

    def __str__(self) -> str:
        return f"{self.sku} at {self.key.location}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Facts about units for valuation and expiry, as far as they are known."""

    lot: str = ""
    unit_cost: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChanged:
    """What a command did. positions: those it spoke of, as they are now. entries: how many are new in the ledger.

    repeated: the run that had done it before under the same key, so that nothing was done now; empty: it was done.
    """

    positions: tuple[Position, ...] = ()
    entries: int = 0
    repeated: str = ""


def place(connection: Connection, setup: Setup, sku: str, location: str) -> Place:
    """The position that a SKU or alias has at a location; where none is named, at the only one.

    Raises Refused: unknown SKU or location, a location that must be named, virtual bundle.
    """
    found = items.items_by_sku(connection, [sku]).get(sku)
    if found is None:
        raise Refused(unknown_sku(sku))
    where = location or only_location(setup)
    problem = wrong_location(setup, where) or wrong_item(setup, sku, found.id)
    if problem:
        raise Refused(problem)
    return Place(sku, PositionKey(found.id, where))


def only_location(setup: Setup) -> str:
    """The location that is meant where none is named: the only one that we count; empty where there are several."""
    return setup.locations[0] if len(setup.locations) == 1 else ""


def unknown_sku(sku: str, new: str = "") -> str:
    """What to say of a SKU that no item has. new: how it becomes an item, where whoever reads this can say so."""
    says_new = f", or say that it is a new one ({new})" if new else ""
    return (
        f"There is no item with the SKU {sku!r}; `channelsync items list` shows them all. Correct it, "
        f"{'' if new else 'or '}give it to an item with `channelsync items alias add`{says_new}."
    )


def wrong_location(setup: Setup, location: str) -> str:
    """What to say of a location that is not configured, or that we do not count; empty where it is fine."""
    if location in setup.locations:
        return ""
    if not location and setup.locations:
        return f"Say at which location (--location): there is {', '.join(setup.locations)}."
    if location in setup.kept_by:
        return (
            f"The units at {location} are kept and counted by {setup.kept_by[location]}: nothing else changes them. "
            "What you send there, take off your own location (`channelsync stock adjust`); it is counted on arrival."
        )
    return f"There is no location {location!r}; there is {', '.join(setup.locations) or 'none: add a [[location]]'}."


def wrong_item(setup: Setup, sku: str, item: str) -> str:
    """What to say of an item that has no units of its own; empty where it may have some."""
    recipe = setup.recipes.get(item)
    if recipe is None or recipe.kind != "virtual":
        return ""
    return f"{sku} is a virtual bundle: it has no units of its own, but those of its parts. Name the parts instead."


def whole_units(units: int, what: str, *, least: int = 1) -> int:
    """The units, when they can be a number of units. Raises Refused."""
    if isinstance(units, bool) or not least <= units <= UNITS_MAX:
        raise Refused(f"{what}: {units} is no number of units from {least} to {UNITS_MAX}; nothing was changed.")
    return units


def happened(at: datetime | None, by: By) -> datetime:
    """When it happened: now where nothing is said. Raises Refused for the future and for a time without zone."""
    if at is None:
        return by.now
    if at.tzinfo is None:
        raise Refused(f"The time {at} has no time zone: write it with an offset, or with Z for UTC.")
    if to_come := not_yet(at, by.now):
        raise Refused(f"The time {to_come}.")
    return at


def not_yet(at: datetime, now: datetime) -> str:
    """What to say of a time that has not come by our clock; empty: it has."""
    return f"{at.isoformat()} is in the future (it is {now.isoformat()} now)" if at > now + CLOCKS_DIFFER else ""


@dataclass(slots=True, kw_only=True)
class Moves:
    """Movements on locked positions, decided one after the other. positions: as they were before the first.
    numbers: how many entries a position has with those that were made. stated: positions of which somebody has said
    how many units there are, where no movement says so."""

    by: By
    positions: Mapping[PositionKey, Position]
    made: list[Movement] = field(default_factory=list)
    numbers: dict[PositionKey, int] = field(default_factory=dict)
    stated: set[PositionKey] = field(default_factory=set)

    def at(self, key: PositionKey) -> Position:
        """A position before any of the movements."""
        return self.positions.get(key) or Position(key=key)

    def add(
        self,
        key: PositionKey,
        kind: EntryKind,
        reason: str = "",
        *,
        at: datetime | None = None,
        worth: Worth | None = None,
        **changes: Any,
    ) -> None:
        """One movement. reason: what to say where the caller gave none. changes: on_hand, reserved, withheld, and
        the reservation; `cause` for one that serves an order."""
        known = worth or Worth()
        self.made.append(
            Movement(
                id=self._id(key),
                position=key,
                kind=kind,
                at=at or self.by.now,
                cause=changes.pop("cause", None) or self.by.cause(reason),
                lot=known.lot,
                unit_cost=known.unit_cost,
                currency=known.currency,
                **changes,
            )
        )

    def _id(self, key: PositionKey) -> str:
        """Unique, because the position is locked; a unit of work that is repeated as a whole makes the same ones."""
        number = self.numbers.get(key, self.at(key).entries) + 1
        self.numbers[key] = number
        return entry_id("stock", self.by.run, key.item, key.location, number)


Decide = Callable[[Moves], None]


def change_positions(
    connection: Connection, setup: Setup, by: By, wanted: Iterable[PositionKey], decide: Decide
) -> StockChanged:
    """Locks positions (all of their items), lets `decide` add movements, writes them and makes keys due.

    Opens a finding where available fell below 0, and closes it where it came back; of an item of which nobody had said
    how many units there are, available was not known before. Raises what `decide` raises, and BadEntry.
    """
    spoken_of = sorted(set(wanted))
    ledger.open_positions(connection, spoken_of)
    positions = ledger.lock_positions(connection, {key.item for key in spoken_of})
    before = available_as_said(positions)
    moves = Moves(by=by, positions=dict(positions))
    decide(moves)
    entries = ledger.write(connection, moves.made, positions, by.now)
    newly = {key for key in moves.stated if not positions[key].stated_by}
    ledger.state(connection, newly, positions, by.run)
    keys.mark_due(connection, {name for key in newly for name in setup.shown_by(key.item)}, by.now)
    after_change(connection, setup, entries, before, positions, by.now)
    return StockChanged(positions=tuple(positions[key] for key in spoken_of), entries=len(entries))


def after_change(
    connection: Connection,
    setup: Setup,
    entries: Sequence[LedgerEntry],
    before: Mapping[PositionKey, int],
    positions: Mapping[PositionKey, Position],
    now: datetime,
) -> None:
    """What follows from new entries: keys that show their items are due, and oversold positions are found.

    before: available of each position before; positions: as they are now.
    """
    shown = {name for entry in entries for name in setup.shown_by(entry.movement.position.item)}
    fewer = available_lowered(entry.movement for entry in entries)
    keys.mark_due(connection, shown, now, lowered={name for item in fewer for name in setup.shown_by(item)})
    report_oversold(connection, before, positions, now)


def once(connection: Connection, by: By, said: str, spoken_of: Iterable[PositionKey] = ()) -> StockChanged | None:
    """Recognises a repeat by the caller's key: what is so already; None: it is new, or has no key.

    said: the whole command in words; another one under the same key is a mistake, and Refused.
    """
    if not by.key:
        return None
    wanted = TakenIn(digest=entry_id("command", by.key), name=said, kind="command", run=by.run, rows=1, at=by.now)
    earlier = imported_files.claim(connection, wanted)
    if earlier is None:
        return None
    if earlier.name != said:
        raise Refused(
            f"The key {by.key!r} was used for another command (run {earlier.run}: {earlier.name}); nothing was "
            "changed. Give every command a key of its own."
        )
    keys_named = sorted(set(spoken_of))
    known = ledger.read_positions(connection, {key.item for key in keys_named})
    positions = tuple(known.get(key, Position(key=key)) for key in keys_named)
    return StockChanged(positions=positions, repeated=earlier.run)
