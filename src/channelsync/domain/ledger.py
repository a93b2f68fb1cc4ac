"""The ledger: immutable entries, the sums they make, and the chain that proves that none was altered.

Every change of a position is one entry. An entry states three changes (on hand, reserved, withheld); its kind
says which combinations are legal. Entries of one position form a hash chain: each carries the hash of the one
before. `replay` recomputes the position from its entries and raises when the chain is broken.

Entry ids are deterministic (see `entry_id`), so writing the same cause twice is a no-op and not a second change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from channelsync.domain.errors import BadEntry, BrokenChain
from channelsync.domain.quantities import Position, PositionKey

# Unit costs must come back from every database as they went in, or the chain would look altered.
COST_MAX = Decimal(10**9)
COST_DECIMALS = 6


class EntryKind(StrEnum):
    """Why units moved. Signs: see `_LEGAL`."""

    RECEIPT = "receipt"
    RESERVE = "reserve"
    PROVISIONAL = "provisional"
    TAKE_OVER = "take-over"
    SHIP = "ship"
    RELEASE = "release"
    EXPIRE = "expire"
    RETURN = "return"
    WITHHOLD = "withhold"
    UNWITHHOLD = "unwithhold"
    ADJUST = "adjust"
    TRANSFER = "transfer"
    CONSUME = "consume"
    PRODUCE = "produce"
    WRITE_OFF = "write-off"


_STATING = frozenset({EntryKind.RECEIPT, EntryKind.ADJUST, EntryKind.PRODUCE})
"""By which somebody says how many units there are, where neither an order nor a read does. The others move units."""

# Legal signs of (on hand, reserved, withheld) per kind: "+" more, "-" less, "0" unchanged; several may be legal.
_LEGAL: dict[EntryKind, frozenset[str]] = {
    EntryKind.RECEIPT: frozenset({"+00", "+0+"}),
    EntryKind.RESERVE: frozenset({"0+0"}),
    EntryKind.PROVISIONAL: frozenset({"0+0"}),
    EntryKind.TAKE_OVER: frozenset({"0+0", "0-0"}),
    # The second form: the shipment is older than the last count, which no longer saw the units.
    EntryKind.SHIP: frozenset({"--0", "0-0"}),
    EntryKind.RELEASE: frozenset({"0-0"}),
    EntryKind.EXPIRE: frozenset({"0-0"}),
    EntryKind.RETURN: frozenset({"+00", "+0+", "000", "00+"}),
    EntryKind.WITHHOLD: frozenset({"00+"}),
    EntryKind.UNWITHHOLD: frozenset({"00-"}),
    EntryKind.ADJUST: frozenset({"+00", "-00", "000"}),
    EntryKind.TRANSFER: frozenset({"+00", "-00"}),
    EntryKind.CONSUME: frozenset({"-00"}),
    EntryKind.PRODUCE: frozenset({"+00"}),
    # With "-": units of an order that will never be shipped and never come back for sale.
    EntryKind.WRITE_OFF: frozenset({"-00", "-0-", "--0", "0-0"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who or what made an entry. Travels with it for ever.

    actor: `order:<channel>`, `user:<name>`, `read:<channel>`, `import:<file>` and the like.
    run: the run (one command, one import, one daemon session) that undo and the guard speak of.
    reason: one sentence for a reader.
    channel, order, line: what order line it serves; empty where none does.
    """

    actor: str
    run: str
    reason: str
    channel: str = ""
    order: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A change to one position that has been decided but not yet written.

    id: deterministic, see `entry_id`. at: when it happened in the world (aware UTC).
    on_hand, reserved, withheld: signed changes in base units.
    reservation: the reservation (or provisional reservation) that it opens, ends or moves; empty where none.
    lot, unit_cost, currency: optional facts for valuation and expiry. A cost has at most six decimals.

    Raises BadEntry where kind and changes contradict each other, or where time or cost cannot be kept.
    """

    id: str
    position: PositionKey
    kind: EntryKind
    on_hand: int = 0
    reserved: int = 0
    withheld: int = 0
    at: datetime
    cause: Cause
    reservation: str = ""
    lot: str = ""
    unit_cost: Decimal | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        signs = _sign(self.on_hand) + _sign(self.reserved) + _sign(self.withheld)
        if signs not in _LEGAL[self.kind]:
            raise BadEntry(
                f"{self.position.item} at {self.position.location}: a {self.kind} entry cannot change on hand by "
                f"{self.on_hand}, reserved by {self.reserved} and withheld by {self.withheld}."
            )
        if self.at.tzinfo is None:
            raise BadEntry(f"{self.position.item}: the entry's time {self.at} has no time zone.")
        cost = self.unit_cost
        if cost is not None and not (cost.is_finite() and 0 <= cost < COST_MAX and cost == round(cost, COST_DECIMALS)):
            raise BadEntry(
                f"{self.position.item}: a unit cost of {cost} cannot be kept; give 0 or more, below {COST_MAX}, "
                f"with at most {COST_DECIMALS} decimals."
            )


def available_moved(movements: Iterable[Movement]) -> set[str]:
    """The items of which some location has more or fewer available after these.

    A shipment of what was reserved leaves that as it was.
    """
    return {key.item for key, units in _available_moved(movements).items() if units}


def available_lowered(movements: Iterable[Movement]) -> set[str]:
    """The items of which some location has fewer available after these."""
    return {key.item for key, units in _available_moved(movements).items() if units < 0}


def _available_moved(movements: Iterable[Movement]) -> dict[PositionKey, int]:
    moved: dict[PositionKey, int] = {}
    for one in movements:
        moved[one.position] = moved.get(one.position, 0) + one.on_hand - one.reserved - one.withheld
    return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A movement as written: numbered within its position and chained to the entry before."""

    movement: Movement
    number: int
    recorded_at: datetime
    previous: str
    hash: str


def entry_id(*parts: object) -> str:
    """The id of an entry from all that identifies its cause: 32 hexadecimal digits, equal parts give equal ids.

    Parts are told apart by their text: the number 1 and the text "1" are equal, ("ab", "c") and ("a", "bc") are not.
    """
    return hashlib.sha256(joined(parts)).hexdigest()[:32]


def joined(parts: Iterable[object]) -> bytes:
    """Texts as one run of bytes that no other texts give, whatever they contain: each goes behind its length."""
    return "".join([f"{len(text)}:{text}" for text in map(str, parts)]).encode()


def append(position: Position, movement: Movement, recorded_at: datetime) -> tuple[Position, LedgerEntry]:
    """The entry that a movement becomes at the end of a position's chain, and the position after it.

    recorded_at: our clock. Raises BadEntry when reserved or withheld would fall below 0: a reservation ends once
    per unit.
    """
    if movement.position != position.key:
        raise BadEntry(f"Movement of {movement.position} applied to {position.key}.")
    if recorded_at.tzinfo is None:
        raise BadEntry(f"{position.key.item}: the entry's recording time {recorded_at} has no time zone.")
    entry = LedgerEntry(
        movement=movement,
        number=position.entries + 1,
        recorded_at=recorded_at,
        previous=position.head,
        hash=_digest(movement, position.entries + 1, recorded_at, position.head),
    )
    after = replace(
        position,
        on_hand=position.on_hand + movement.on_hand,
        reserved=position.reserved + movement.reserved,
        withheld=position.withheld + movement.withheld,
        entries=entry.number,
        head=entry.hash,
        stated_by=position.stated_by or _stated_by(movement, entry),
    )
    if after.reserved < 0 or after.withheld < 0:
        raise BadEntry(
            f"{position.key.item} at {position.key.location}: a {movement.kind} entry would leave "
            f"{after.reserved} reserved and {after.withheld} withheld units; neither can be below 0."
        )
    return after, entry


def _stated_by(movement: Movement, entry: LedgerEntry) -> str:
    cause = movement.cause
    says = movement.kind in _STATING and not cause.order and not cause.actor.startswith("read:")
    return (cause.run or entry.hash) if says else ""


def replay(key: PositionKey, entries: Iterable[LedgerEntry]) -> Position:
    """The position that its entries make, oldest first. Raises BrokenChain where one was altered or is missing."""
    position = Position(key=key)
    for entry in entries:
        try:
            after, expected = append(position, entry.movement, entry.recorded_at)
        except BadEntry as error:
            raise _broken(position, entry) from error
        if expected != entry:
            raise _broken(position, entry)
        position = after
    return position


def _broken(position: Position, entry: LedgerEntry) -> BrokenChain:
    key = position.key
    return BrokenChain(
        f"{key.item} at {key.location}: entry {entry.number} ({entry.movement.id}) does not follow from the "
        f"{position.entries} entries before it. The ledger was altered or entries are missing; "
        "restore a backup or call for help before any further command."
    )


def _sign(units: int) -> str:
    return "+" if units > 0 else "-" if units < 0 else "0"


def _digest(movement: Movement, number: int, recorded_at: datetime, previous: str) -> str:
    """SHA-256 over everything that an entry says. Times in UTC with microseconds, as databases return them."""
    cause = movement.cause
    fields = (
        previous,
        number,
        movement.id,
        movement.position.item,
        movement.position.location,
        movement.kind.value,
        movement.on_hand,
        movement.reserved,
        movement.withheld,
        _instant(movement.at),
        _instant(recorded_at),
        cause.actor,
        cause.run,
        cause.reason,
        cause.channel,
        cause.order,
        cause.line,
        movement.reservation,
        movement.lot,
        "" if movement.unit_cost is None else f"{movement.unit_cost.normalize():f}",
        movement.currency,
    )
    return hashlib.sha256(joined(fields)).hexdigest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
