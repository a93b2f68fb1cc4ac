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
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus, last_time, total


class Deducts(StrEnum):
    """When a channel takes sold units off its own number."""

    AT_ORDER = "at order"
    AT_PAYMENT = "at payment"
    AT_SHIPMENT = "at shipment"
    NEVER = "never"


class GivesBack(StrEnum):
    """When a channel puts units back on its own number."""

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
) -> tuple[BookedLine, tuple[Effect, ...]]:
    """The effects that are new with this snapshot, and the line with how far it has moved the number.

    since: the version booked before; a change without a time of its own happened after it. None: first seen.
    """
    if after.sold is None:
        return after, ()
    deducted = _deducted(line, snapshot, behaviour)
    if GivesBack.ON_EDIT not in behaviour.gives_back:
        deducted = max(deducted, before.deducted)
    given_back = min(deducted, _given_back(line, snapshot, behaviour))
    changes = (
        (
            "sold",
            before.deducted - deducted,
            _sale_time(line, snapshot, behaviour) if not before.deducted else None,
        ),
        ("given back", given_back - before.given_back, _back_time(line, snapshot)),
    )
    effects = tuple(
        Effect(
            id=entry_id("effect", snapshot.order, line.line, move.key, snapshot.content, name),
            key=move.key,
            delta=delta * move.units,
            earliest=at or since or snapshot.placed_at,
            latest=at or max(snapshot.version, snapshot.placed_at),
            order=snapshot.order,
        )
        for name, delta, at in changes
        if delta
        for move in moves
    )
    return replace(after, deducted=deducted, given_back=given_back), effects


def _deducted(line: OrderLine, snapshot: OrderSnapshot, behaviour: NumberBehaviour) -> int:
    match behaviour.deducts:
        case Deducts.AT_ORDER:
            return line.ordered
        case Deducts.AT_PAYMENT:
            return line.ordered if snapshot.paid_at is not None else 0
        case Deducts.AT_SHIPMENT:
            return total(line.shipped)
        case Deducts.NEVER:
            return 0


def _given_back(line: OrderLine, snapshot: OrderSnapshot, behaviour: NumberBehaviour) -> int:
    units = 0
    if GivesBack.ON_CANCEL in behaviour.gives_back:
        if snapshot.status is OrderStatus.CANCELLED:
            units += line.ordered - total(line.shipped) - total(line.lost)
        else:
            units += total(line.cancelled)
    if GivesBack.ON_RESTOCK in behaviour.gives_back:
        units += total(line.returned)
    return units


def _sale_time(line: OrderLine, snapshot: OrderSnapshot, behaviour: NumberBehaviour) -> datetime | None:
    match behaviour.deducts:
        case Deducts.AT_ORDER:
            return snapshot.placed_at
        case Deducts.AT_PAYMENT:
            return snapshot.paid_at
        case Deducts.AT_SHIPMENT:
            return line.shipped[0].at if len(line.shipped) == 1 else None
        case Deducts.NEVER:
            return None


def _back_time(line: OrderLine, snapshot: OrderSnapshot) -> datetime | None:
    """The one moment at which units came back; None where it is not told, or where there were several."""
    if snapshot.status is OrderStatus.CANCELLED and not line.returned:
        return snapshot.cancelled_at or last_time(line.cancelled)
    moved = (*line.cancelled, *line.returned)
    return moved[0].at if len(moved) == 1 else None
