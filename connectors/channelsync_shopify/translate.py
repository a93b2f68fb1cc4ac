"""Between Shopify's orders and ours: pure, so that every odd answer can be tried in a test.

Orders, by the states that the schema documents:

| Shopify says                                          | here                                              |
|-------------------------------------------------------|---------------------------------------------------|
| cancelledAt                                           | CANCELLED                                         |
| nothing left to ship                                  | CLOSED                                            |
| displayFinancialStatus PENDING, EXPIRED, VOIDED, none | PENDING: it reserves all the same                 |
| any other displayFinancialStatus                      | OPEN                                              |
| confirmed, or a unit has left                         | taken off the number when it was placed           |
| not confirmed                                         | not taken off yet; it reserves all the same       |
| fulfilment SUCCESS                                    | shipped, at its time and location                 |
| fulfilment OPEN, PENDING                              | still to ship                                     |
| fulfilment CANCELLED, ERROR, FAILURE                  | nothing                                           |
| refund line CANCEL                                    | cancelled                                         |
| refund line RETURN, restocked                         | returned                                          |
| refund line RETURN, not restocked                     | nothing: a refund moves no units, only a restock  |
| refund line NO_RESTOCK of units never shipped         | lost                                              |
| refund line NO_RESTOCK of shipped units               | nothing                                           |
| refund line LEGACY_RESTOCK                            | cancelled if never shipped, else returned         |
| return, disposition RESTOCKED                         | returned                                          |
| return, any other disposition, or none yet            | nothing                                           |
| refund line of a return that has dispositions for it  | nothing more: the dispositions count              |
| units gone without any of these (an edit)             | fewer are ordered                                 |
| fulfilment order, not CANCELLED                       | the line's location: where most of it is to ship  |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import BadOrder, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync.sdk.wire import why
from channelsync_shopify import wire, wire_orders

UNPAID = frozenset({None, "PENDING", "EXPIRED", "VOIDED"})
"""Values of displayFinancialStatus of an order that may never be paid."""

_NOT_ABOUT_THE_BUYER = ("createdAt", "updatedAt", "cancelledAt", "confirmed", "displayFinancialStatus")
_OF_A_LINE = ("id", "sku", "quantity", "currentQuantity", "unfulfilledQuantity")
_GID = re.compile(r"gid://shopify/\w+/\d+")


def number_of(gid: str) -> str:
    """The number in a global id: gid://shopify/Order/1 is 1."""
    return gid.rpartition("/")[2].partition("?")[0]


def gid_of(kind: str, number: str) -> str | None:
    """The global id of this number; None for what is no number of Shopify's."""
    return f"gid://shopify/{kind}/{number}" if number.isascii() and number.isdigit() and len(number) < 20 else None


def _place(location: wire.Ref | None) -> str | None:
    return None if location is None else number_of(location.id)


def order_of(row: Any) -> OrderSnapshot | UnreadableOrder:
    """An order as it came, in our words; one that cannot be understood is kept as it came, without the buyer."""
    try:
        return _snapshot(wire_orders.Order.model_validate(row))
    except ValidationError as error:
        reason = why(error)
    except BadOrder as error:
        reason = str(error)
    name = row.get("id") if isinstance(row, dict) else None
    known = number_of(name) if isinstance(name, str) and _GID.fullmatch(name) else ""
    return UnreadableOrder.of(known, reason, _without_buyer(row))


def _without_buyer(row: Any) -> dict[str, Any]:
    """What is kept of an order that cannot be understood: what we asked for, whatever else came."""
    kept = _plain(row, _NOT_ABOUT_THE_BUYER)
    lines = row.get("lineItems") if isinstance(row, dict) else None
    nodes = lines.get("nodes") if isinstance(lines, dict) else None
    return {**kept, "lineItems": [_plain(one, _OF_A_LINE) for one in nodes] if isinstance(nodes, list) else None}


def _plain(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """The plain values under these names."""
    fields = row if isinstance(row, dict) else {}
    return {name: fields[name] for name in names if isinstance(fields.get(name), str | int | float)}


@dataclass(slots=True)
class _Happened:
    """What has happened to one line. unsaid: refunded, and whether units moved must be found out; with restock or not.

    waiting: units in parcels that have not left. places: (to ship, in all, location) of its fulfilment orders.
    """

    shipped: list[Moved] = field(default_factory=list)
    cancelled: list[Moved] = field(default_factory=list)
    returned: list[Moved] = field(default_factory=list)
    unsaid: list[tuple[Moved, bool]] = field(default_factory=list)
    refunded: int = 0
    waiting: int = 0
    places: list[tuple[int, int, str | None]] = field(default_factory=list)


def _snapshot(order: wire_orders.Order) -> OrderSnapshot:
    happened = {line.id: _Happened() for line in order.line_items.nodes}
    _note_places(order, happened)
    _note_parcels(order, happened)
    _note_refunds(order, happened, _note_returns(order, happened))
    cancelled = order.cancelled_at is not None
    lines = [_line(line, happened[line.id], cancelled=cancelled) for line in order.line_items.nodes]
    # A tip or a custom item is nobody's unit; an order of nothing else is kept whole, so that it is not missing.
    ours = [line for line in lines if line.listing or line.sku] or lines
    return OrderSnapshot(
        order=number_of(order.id),
        version=order.updated_at,
        placed_at=order.created_at,
        status=_status(order, ours),
        lines=tuple(ours),
        deducted_at=_deducted_at(order, ours),
        cancelled_at=order.cancelled_at,
    )


def _deducted_at(order: wire_orders.Order, lines: Sequence[OrderLine]) -> datetime | None:
    """When Shopify took the units off its number.

    That is with the order, paid or not, unless it says that it has not reserved them yet (None). When it does so later
    it tells no time: some moment since the order was placed. Units that have left were taken, whatever it says.
    """
    taken = order.confirmed or any(line.shipped for line in lines)
    return order.created_at if taken else None


def _status(order: wire_orders.Order, lines: Sequence[OrderLine]) -> OrderStatus:
    if order.cancelled_at is not None:
        return OrderStatus.CANCELLED
    if lines and all(line.to_ship == 0 for line in lines):
        return OrderStatus.CLOSED
    return OrderStatus.PENDING if order.display_financial_status in UNPAID else OrderStatus.OPEN


def _note_places(order: wire_orders.Order, happened: Mapping[str, _Happened]) -> None:
    for one in order.fulfillment_orders.nodes:
        if one.status == "CANCELLED":
            continue
        location = _place(one.assigned_location.location)
        for row in one.line_items.nodes:
            if row.line_item.id in happened:
                happened[row.line_item.id].places.append((row.remaining_quantity, row.total_quantity, location))


def _note_parcels(order: wire_orders.Order, happened: Mapping[str, _Happened]) -> None:
    for parcel in order.fulfillments:
        for row in parcel.fulfillment_line_items.nodes:
            noted = happened.get(row.line_item.id)
            if noted is None or not row.quantity:
                continue
            if parcel.status == "SUCCESS":
                moved = Moved(units=row.quantity, at=parcel.created_at, location=_place(parcel.location))
                noted.shipped.append(moved)
            elif parcel.status in ("OPEN", "PENDING"):
                noted.waiting += row.quantity


def _note_returns(order: wire_orders.Order, happened: Mapping[str, _Happened]) -> set[tuple[str, str]]:
    """The (return, line) pairs that have dispositions: what their refunds say of a restock would count it twice."""
    disposed: set[tuple[str, str]] = set()
    for one in order.returns.nodes:
        rows = (row for reverse in one.reverse_fulfillment_orders.nodes for row in reverse.line_items.nodes)
        for row in rows:
            if row.fulfillment_line_item is None or not row.dispositions:
                continue
            line = row.fulfillment_line_item.line_item.id
            disposed.add((one.id, line))
            if line in happened:
                happened[line].returned += [
                    Moved(units=told.quantity, at=told.created_at, location=_place(told.location))
                    for told in row.dispositions
                    if told.type == "RESTOCKED"
                ]
    return disposed


def _note_refunds(order: wire_orders.Order, happened: Mapping[str, _Happened], disposed: set[tuple[str, str]]) -> None:
    for refund in order.refunds:
        for row in refund.refund_line_items.nodes:
            noted = happened.get(row.line_item.id)
            if noted is None:
                continue
            moved = Moved(units=row.quantity, at=refund.created_at, location=_place(row.location))
            noted.refunded += row.quantity
            counted = refund.return_ is not None and (refund.return_.id, row.line_item.id) in disposed
            if row.restock_type == "CANCEL":
                noted.cancelled.append(moved)
            elif row.restock_type == "RETURN":
                if row.restocked and not counted:
                    noted.returned.append(moved)
            elif not counted:
                noted.unsaid.append((moved, row.restock_type == "LEGACY_RESTOCK"))


def _line(line: wire_orders.LineItem, noted: _Happened, *, cancelled: bool) -> OrderLine:
    """The line. Whatever the refunds say, as many units are to ship as Shopify says are."""
    to_ship = sum(remaining for remaining, _, _ in noted.places) if noted.places else line.unfulfilled_quantity
    kept = _units(noted.cancelled) + _units(noted.shipped) + noted.waiting + to_ship
    gone = max(0, line.quantity - kept)
    unsaid = sum(moved.units for moved, _ in noted.unsaid)
    removed = line.quantity - line.current_quantity - noted.refunded
    if cancelled:  # what no refund explains went back when the order was cancelled
        edited = max(0, min(gone, removed)) if noted.refunded else 0
    else:
        edited = max(0, min(gone, removed), gone - unsaid)
    lost, taken_back, returned = _found_out(noted.unsaid, gone - edited)
    return OrderLine(
        line=number_of(line.id),
        listing=None if line.variant is None else number_of(line.variant.id),
        sku=line.sku or None,
        ordered=line.quantity - edited,
        cancelled=(*noted.cancelled, *taken_back),
        lost=tuple(lost),
        shipped=tuple(noted.shipped),
        returned=(*noted.returned, *returned),
        location=max(noted.places, key=lambda place: place[:2])[2] if noted.places else None,
    )


def _found_out(unsaid: Iterable[tuple[Moved, bool]], gone: int) -> tuple[list[Moved], list[Moved], list[Moved]]:
    """Of refunded units, so many were never shipped: lost, cancelled (restocked); and what was returned."""
    lost: list[Moved] = []
    cancelled: list[Moved] = []
    returned: list[Moved] = []
    for moved, restocked in unsaid:
        unshipped = min(moved.units, gone)
        gone -= unshipped
        if unshipped > 0:
            part = Moved(units=unshipped, at=moved.at, location=moved.location)
            (cancelled if restocked else lost).append(part)
        if restocked and moved.units > unshipped:
            returned.append(Moved(units=moved.units - unshipped, at=moved.at, location=moved.location))
    return lost, cancelled, returned


def _units(moved: Iterable[Moved]) -> int:
    return sum(one.units for one in moved)
