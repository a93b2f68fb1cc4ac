"""What a booked order has done, or will do, to the channel's own number.

A channel sells by itself and lowers its number; later it may give units back. Which story it follows is declared
(`NumberBehaviour`). An effect is one such change with the window of time in which the channel made it; publishing
compares every read with the effects that the read must already contain (see `watermark`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from channelsync.domain.booked import BookedLine
from channelsync.domain.ledger import entry_id
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus, newest, total


class Deducts(StrEnum):
    """When a channel takes sold units off its own number.

    AS_TOLD: at the moment that the order tells (`OrderSnapshot.deducted_at`), e.g. when it is paid or reserved.
    """

    AT_ORDER = "at order"
    AS_TOLD = "as told"
    AT_SHIPMENT = "at shipment"
    NEVER = "never"


class GivesBack(StrEnum):
    """When a channel puts units back on its own number; only units that it had deducted.

    ON_CANCEL: cancelled units, unless it deducts at shipment. ON_EDIT: units that an edit takes off a line; without
    it they stay deducted, and cover a later edit up. ON_RESTOCK: returned units that may be sold again.
    """

    ON_CANCEL = "on cancel"
    ON_EDIT = "on edit"
    ON_RESTOCK = "on restock"


@dataclass(frozen=True, slots=True)
class NumberBehaviour:
    """How a channel's own number follows its orders; declared by the connector."""

    deducts: Deducts = Deducts.AT_ORDER
    gives_back: frozenset[GivesBack] = frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})


@dataclass(frozen=True, slots=True)
class KeyMove:
    """A quantity key that an order line moves, and by how many of the key's units per unit of the line."""

    key: int
    units: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One change that the channel made, or will make, to one key's number by itself.

    delta: key units, negative when sold. earliest, latest: the window in which the channel did it, by the channel's
    clock; both equal where the channel tells the time.
    """

    id: str
    key: int
    delta: int
    earliest: datetime
    latest: datetime
    order: str = ""


def effects_of(
    before: BookedLine,
    after: BookedLine,
    line: OrderLine,
    snapshot: OrderSnapshot,
    behaviour: NumberBehaviour,
    moves: Sequence[KeyMove],
    since: datetime | None,
    tag: str,
) -> tuple[BookedLine, tuple[Effect, ...]]:
    """The effects that are new with this snapshot, and the line with how far it has moved the number.

    since: the version that the line was last booked with; what has no time of its own happened after it. None: the
    line moves the number for the first time. tag: unique for this booking of the order; ids are made from it.
    """
    if after.sold is None:
        return after, ()
    sales = _sales(line, snapshot, behaviour)
    deducted = total(sales)
    if GivesBack.ON_EDIT not in behaviour.gives_back:
        deducted = max(deducted, before.deducted)
    backs = _backs(line, snapshot, behaviour)
    given_back = min(deducted, total(backs))
    edited = behaviour.deducts is Deducts.AT_ORDER or (behaviour.deducts is Deducts.AS_TOLD and before.deducted > 0)
    if since is not None and edited:
        sales = ()  # what more is sold by now was an edit, and nobody tells when it was made
    changes = (
        *_new(-1, deducted - before.deducted, sales),
        *_new(1, given_back - before.given_back, backs),
    )
    effects = tuple(
        _effect(change, move, snapshot, since, entry_id("effect", line.line, move.key, tag, number))
        for number, change in enumerate(changes)
        for move in moves
    )
    return replace(after, deducted=deducted, given_back=given_back), effects


@dataclass(frozen=True, slots=True)
class _Change:
    """Units of the line that the channel took off its number or put back. at: when; None: not told."""

    delta: int
    at: datetime | None


def _new(sign: int, units: int, told: Sequence[Moved]) -> list[_Change]:
    """Units that are new, with the times of the newest of what is told; fewer than before is a change without time."""
    changes = [_Change(sign * one.units, one.at) for one in newest(told, units)]
    left = units - sum(sign * one.delta for one in changes)
    return [*changes, _Change(sign * left, None)] if left else changes


def _effect(change: _Change, move: KeyMove, snapshot: OrderSnapshot, since: datetime | None, name: str) -> Effect:
    """With its window. A time that lies before the last version was told late: the channel may have been late too."""
    last = max(snapshot.version, snapshot.placed_at)
    if change.at is None:
        earliest, latest = since or snapshot.placed_at, last
    elif since is not None and change.at <= since:
        earliest, latest = change.at, last
    else:
        earliest = latest = change.at
    return Effect(
        id=name,
        key=move.key,
        delta=change.delta * move.units,
        earliest=earliest,
        latest=latest,
        order=snapshot.order,
    )


def _sales(line: OrderLine, snapshot: OrderSnapshot, behaviour: NumberBehaviour) -> tuple[Moved, ...]:
    """What the channel has taken off its number for this line so far, with times."""
    match behaviour.deducts:
        case Deducts.AT_ORDER:
            return (Moved(units=line.ordered, at=snapshot.placed_at),)
        case Deducts.AS_TOLD:
            if snapshot.deducted_at is None:
                return ()
            return (Moved(units=max(0, line.ordered - _cancelled_before(line, snapshot)), at=snapshot.deducted_at),)
        case Deducts.AT_SHIPMENT:
            return tuple(Moved(units=m.units, at=m.at) for m in line.shipped)
        case Deducts.NEVER:
            return ()


def _cancelled_before(line: OrderLine, snapshot: OrderSnapshot) -> int:
    """Units that were cancelled before the channel deducted the rest: it never deducted them."""
    taken = snapshot.deducted_at
    return sum(m.units for m in line.cancelled if taken and m.at and m.at < taken)


def _backs(line: OrderLine, snapshot: OrderSnapshot, behaviour: NumberBehaviour) -> tuple[Moved, ...]:
    """What the channel has put back on its number for this line so far, with times."""
    backs: list[Moved] = []
    if GivesBack.ON_CANCEL in behaviour.gives_back and behaviour.deducts is not Deducts.AT_SHIPMENT:
        taken = snapshot.deducted_at if behaviour.deducts is Deducts.AS_TOLD else None
        backs += [Moved(units=m.units, at=m.at) for m in line.cancelled if not (taken and m.at and m.at < taken)]
        if snapshot.status is OrderStatus.CANCELLED:
            rest = line.ordered - total(line.cancelled) - total(line.shipped) - total(line.lost)
            backs.append(Moved(units=max(0, rest), at=snapshot.cancelled_at))
    if GivesBack.ON_RESTOCK in behaviour.gives_back:
        backs += [Moved(units=m.units, at=m.at) for m in line.returned]
    return tuple(backs)
