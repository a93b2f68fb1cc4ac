"""Between eBay's orders and ours: pure, so that every odd answer can be tried in a test.

What each state of an order means (F: Fulfillment API; the rest is our choice):

| State                                           | eBay's number            | To us                                   |
|-------------------------------------------------|--------------------------|-----------------------------------------|
| payment PENDING or FAILED, no payment date      | taken: committed (F)     | PENDING: reserves, with a time limit    |
| payment PENDING or FAILED with one: of a refund | taken                    | as PAID                                 |
| payment PAID, PARTIALLY_REFUNDED                | taken                    | OPEN                                    |
| payment FULLY_REFUNDED, not cancelled           | taken; refunds are money | OPEN: units stay reserved               |
| fulfilment IN_PROGRESS                          | taken                    | OPEN, less what its shipments hold      |
| fulfilment FULFILLED (of the order or a line)   | taken                    | that line was shipped; CLOSED when all  |
| cancel NONE_REQUESTED, IN_PROGRESS              | taken                    | as above: a request is no cancellation  |
| cancel CANCELED                                 | back, where relisted     | CANCELLED                               |
| fulfilled by eBay                               | not our units            | CLOSED, nothing ordered of us           |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import BadOrder, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync.sdk.wire import why
from channelsync_ebay import wire
from channelsync_ebay.translate_listings import Legacy

_ORDER_FIELDS = ("orderId", "creationDate", "lastModifiedDate", "orderFulfillmentStatus", "orderPaymentStatus")
_LINE_FIELDS = ("lineItemId", "quantity", "legacyItemId", "legacyVariationId", "lineItemFulfillmentStatus")
_PLAIN = re.compile(r"[A-Za-z0-9_.:!-]{1,60}", re.ASCII)
"""What is kept of an order that cannot be read: ids, times, states. Anything else may be the buyer's words."""

_CANCELLED = frozenset({"CANCELED", "CANCELLED"})
"""eBay's pages say CANCELED; its OpenAPI documents do not name the value, so the other spelling is taken too."""

_UNPAID = frozenset({"PENDING", "FAILED"})


def needs_shipments(row: Any) -> bool:
    """Whether the order's shipments must be read: part of it has left, and the order does not tell how much."""
    order = _read(row)
    if order is None or order.order_fulfillment_status == "FULFILLED":
        return False
    states = {line.line_item_fulfillment_status for line in order.line_items}
    if states == {"FULFILLED"}:
        return False
    return order.order_fulfillment_status == "IN_PROGRESS" or "IN_PROGRESS" in states


def needs_detail(row: Any) -> bool:
    """Whether the order must be read by itself: it is cancelled, and only its requests to cancel tell when."""
    order = _read(row)
    if order is None or order.cancel_status.cancel_state not in _CANCELLED:
        return False
    return order.cancel_status.cancelled_date is None and not order.cancel_status.cancel_requests


def order_of(
    row: Any, shipments: Iterable[wire.Shipment] = (), *, legacy: bool = False
) -> OrderSnapshot | UnreadableOrder:
    """An order as it came, in our words; one that cannot be understood is kept as it came, without the buyer.

    shipments: what has left, where `needs_shipments`. legacy: listings that are not migrated are kept too, so that a
    SKU may be of either kind, and the order does not tell of which.
    """
    try:
        return _snapshot(wire.Order.model_validate(row), list(shipments), legacy=legacy)
    except ValidationError as error:
        reason = why(error)
    except BadOrder as error:
        reason = str(error)
    fields = row if isinstance(row, dict) else {}
    name = fields.get("orderId")
    known = name if isinstance(name, str) and _PLAIN.fullmatch(name) else ""
    return UnreadableOrder.of(known, reason, _without_the_buyer(fields))


def _read(row: Any) -> wire.Order | None:
    try:
        return wire.Order.model_validate(row)
    except ValidationError:
        return None


def _snapshot(order: wire.Order, shipments: Sequence[wire.Shipment], *, legacy: bool) -> OrderSnapshot:
    ours = not _fulfilled_by_ebay(order)
    lines = tuple(_line(order, line, shipments, legacy=legacy, ours=ours) for line in order.line_items)
    status = _status(order, lines)
    return OrderSnapshot(
        order=order.order_id,
        version=order.last_modified_date,
        placed_at=order.creation_date,
        status=status,
        lines=lines,
        cancelled_at=_cancelled_at(order) if status is OrderStatus.CANCELLED else None,
    )


def _status(order: wire.Order, lines: Sequence[OrderLine]) -> OrderStatus:
    if order.cancel_status.cancel_state in _CANCELLED:
        return OrderStatus.CANCELLED
    if lines and all(line.to_ship == 0 for line in lines):
        return OrderStatus.CLOSED
    if order.order_payment_status in _UNPAID and not _was_paid(order):
        return OrderStatus.PENDING
    return OrderStatus.OPEN


def _was_paid(order: wire.Order) -> bool:
    paid = (one for one in order.payment_summary.payments if one.payment_status not in _UNPAID)
    return any(one.payment_date is not None for one in paid)


def _cancelled_at(order: wire.Order) -> datetime:
    status = order.cancel_status
    if status.cancelled_date is not None:
        return status.cancelled_date
    done = [one.cancel_completed_date for one in status.cancel_requests]
    return max((at for at in done if at is not None), default=order.last_modified_date)


def _line(
    order: wire.Order, line: wire.Line, shipments: Sequence[wire.Shipment], *, legacy: bool, ours: bool
) -> OrderLine:
    return OrderLine(
        line=line.line_item_id,
        listing=_listing_name(line, legacy=legacy),
        sku=line.sku or None,
        ordered=line.quantity if ours else 0,
        shipped=_shipped(order, line, shipments) if ours else (),
    )


def _listing_name(line: wire.Line, *, legacy: bool) -> str | None:
    if line.sku:
        return None if legacy else line.sku
    return None if line.legacy_item_id is None else Legacy(line.legacy_item_id).name


def _shipped(order: wire.Order, line: wire.Line, shipments: Sequence[wire.Shipment]) -> tuple[Moved, ...]:
    """All of a fulfilled line; of another what shipments hold, never more than were ordered."""
    if "FULFILLED" in (order.order_fulfillment_status, line.line_item_fulfillment_status):
        return (Moved(units=line.quantity),)
    left, moved = line.quantity, []
    for shipment in shipments:
        for part in shipment.line_items:
            units = min(left, part.quantity) if part.line_item_id == line.line_item_id else 0
            if units > 0:
                moved.append(Moved(units=units, at=shipment.shipped_date))
                left -= units
    return tuple(moved)


def _fulfilled_by_ebay(order: wire.Order) -> bool:
    program = order.program.fulfillment_program if order.program is not None else None
    return program is not None and program.fulfilled_by == "EBAY"


def _without_the_buyer(fields: dict[str, Any]) -> dict[str, Any]:
    lines = fields.get("lineItems")
    kept: dict[str, Any] = _plain(fields, _ORDER_FIELDS)
    if isinstance(lines, list):
        kept["lineItems"] = [_plain(line, _LINE_FIELDS) for line in lines if isinstance(line, dict)]
    return kept


def _plain(fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: fields[name] for name in names if _is_plain(fields.get(name))}


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and _PLAIN.fullmatch(value) is not None)
