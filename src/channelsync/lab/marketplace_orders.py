"""What happens to an order of a marketplace, and by how much it moves the numbers: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import Happened, Line, Order, Status, What, units
from channelsync.sdk.values import Deducts, GivesBack

Pile = Literal["cancelled", "written_off", "shipped", "returned", "quarantined"]

_LOGGED: Mapping[Pile, What] = {
    "cancelled": "cancelled",
    "written_off": "written off",
    "shipped": "shipped",
    "returned": "returned",
    "quarantined": "quarantined",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the log is to tell of a change: this happened to so many units of a line."""

    what: What
    line: Line
    units: int


@dataclass(frozen=True, slots=True)
class Changed:
    """An order after a change, and what the log is to tell of it."""

    order: Order
    told: tuple[Told, ...] = ()


def put_on(order: Order, pile: Pile, many: Mapping[str, int], at: datetime, location: str | None = None) -> Changed:
    """Moves so many units of lines, by line id, to a pile; each as far as there are any to move.

    cancelled, written_off and shipped take open units; returned and quarantined take units that are with the buyer.
    location: where it happened; None: where the line ships from.
    """

    def moved(line: Line) -> tuple[Line, tuple[Told, ...]]:
        here = min(many.get(line.id, 0), line.away if pile in ("returned", "quarantined") else line.open)
        if here <= 0:
            return line, ()
        happened = Happened(here, at, location or line.location or None)
        after: dict[str, Any] = {pile: (*getattr(line, pile), happened)}
        return replace(line, **after), (Told(_LOGGED[pile], line, here),)

    return _over_lines(order, moved)


def cancelled(order: Order, at: datetime) -> Changed:
    """The whole order is cancelled: all that is open; what was shipped stays shipped."""
    change = put_on(order, "cancelled", {line.id: line.open for line in order.lines}, at)
    return replace(change, order=replace(change.order, status=Status.CANCELLED, cancelled_at=at))


def wanted_now(order: Order, line: str, ordered: int) -> Changed:
    """A line is edited to so many units: never below what has already happened to it."""

    def edited(each: Line) -> tuple[Line, tuple[Told, ...]]:
        units_now = max(ordered, each.ordered - each.open) if each.id == line else each.ordered
        more = units_now - each.ordered
        told = (Told("sold" if more > 0 else "cancelled", each, abs(more)),) if more else ()
        return replace(each, ordered=units_now), told

    return _over_lines(order, edited)


def shipment_taken_back(order: Order, line: str, many: int, at: datetime) -> Changed:
    """Units that were shipped were not, after all: the last shipments first, as far as they are not returned.

    They are open again; on a cancelled order, of which nothing more is shipped, they are cancelled.
    """

    def undone(each: Line) -> tuple[Line, tuple[Told, ...]]:
        left = min(many, each.away) if each.id == line else 0
        if left <= 0:
            return each, ()
        told = Told("shipment taken back", each, left)
        kept: list[Happened] = []
        for shipment in reversed(each.shipped):
            off = min(left, shipment.units)
            left -= off
            if shipment.units > off:
                kept.insert(0, replace(shipment, units=shipment.units - off))
        return replace(each, shipped=tuple(kept)), (told,)

    change = _over_lines(order, undone)
    if order.status is not Status.CANCELLED:
        return change
    rest = put_on(change.order, "cancelled", {each.id: each.open for each in change.order.lines}, at)
    return Changed(rest.order, (*change.told, *rest.told))


def _over_lines(order: Order, change: Callable[[Line], tuple[Line, tuple[Told, ...]]]) -> Changed:
    pairs = [change(line) for line in order.lines]
    lines = tuple(line for line, _ in pairs)
    return Changed(replace(order, lines=lines), tuple(told for _, more in pairs for told in more))


def with_status(order: Order) -> Order:
    """With the status that follows from its lines; a cancelled order stays cancelled."""
    if order.status is Status.CANCELLED:
        return order
    if all(line.open == 0 for line in order.lines):
        gone = any(line.shipped or line.written_off for line in order.lines)
        if gone:
            return replace(order, status=Status.DONE)
        latest = max((each.at for line in order.lines for each in line.cancelled), default=order.updated_at)
        return replace(order, status=Status.CANCELLED, cancelled_at=latest)
    return replace(order, status=Status.OPEN if order.paid_at else Status.AWAITING_PAYMENT)


def with_effects(line: Line, order: Order, rules: MarketplaceRules) -> Line:
    """With how far it has lowered and raised the numbers by now. Only units that were deducted come back."""
    unpaid = _cancelled_unpaid(line, order) if rules.deducts is Deducts.AS_TOLD else 0
    match rules.deducts:
        case Deducts.AT_ORDER:
            deducted = line.ordered
        case Deducts.AS_TOLD:
            deducted = line.ordered - unpaid if order.paid_at is not None else 0
        case Deducts.AT_SHIPMENT:
            deducted = units(line.shipped)
        case Deducts.NEVER:
            deducted = 0
    if GivesBack.ON_EDIT not in rules.gives_back:
        deducted = max(deducted, line.deducted)
    back = 0
    if GivesBack.ON_CANCEL in rules.gives_back and rules.deducts is not Deducts.AT_SHIPMENT:
        back += units(line.cancelled) - unpaid
    if GivesBack.ON_RESTOCK in rules.gives_back:
        back += units(line.returned)
    return replace(line, deducted=deducted, given_back=min(deducted, back))


def _cancelled_unpaid(line: Line, order: Order) -> int:
    """Units cancelled before the order was paid: where sales deduct at payment, they were never deducted."""
    paid = order.paid_at
    return units(each for each in line.cancelled if paid is None or each.at < paid)
