"""Between Amazon's orders and ours: pure, so that every odd answer can be tried in a test.

Source: the model orders_2026-01-01.

Only what the merchant ships touches our units. An order that Amazon fulfils stays an order, with lines of 0 units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from channelsync.sdk.values import BadOrder, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync.sdk.wire import why
from channelsync_amazon import wire

STATUS: Final = {
    "PENDING_AVAILABILITY": OrderStatus.OPEN,
    "PENDING": OrderStatus.PENDING,
    "UNSHIPPED": OrderStatus.OPEN,
    "PARTIALLY_SHIPPED": OrderStatus.OPEN,
    "SHIPPED": OrderStatus.CLOSED,
    "CANCELLED": OrderStatus.CANCELLED,
    "UNFULFILLABLE": OrderStatus.CANCELLED,
}
"""PENDING_AVAILABILITY is a pre-order: it waits for a release date that may be months ahead, so it must not run out
of its time as an unpaid order does."""

_WAITING = ("PENDING_AVAILABILITY", "PENDING")
"""Nothing is to be shipped yet, so no unit counts as remaining to be shipped, and none as cancelled for that."""

_OVER = ("CANCELLED", "UNFULFILLABLE")
_NOT_GONE = ("PENDING", "CANCELLED")
"""States of a package that never left."""

_KEPT_OF_ORDER = ("orderId", "createdTime", "lastUpdatedTime")
_KEPT_OF_LINE = ("orderItemId", "quantityOrdered")


def order_of(row: Any) -> OrderSnapshot | UnreadableOrder:
    """An order in our words; or why it cannot be understood, with what Amazon sent less everything about the buyer."""
    try:
        order = wire.Order.model_validate(row)
        lines = tuple(_line(item, order) for item in order.order_items)
        return OrderSnapshot(
            order=order.order_id,
            version=order.last_updated_time,
            placed_at=order.created_time,
            status=STATUS[order.fulfillment.fulfillment_status],
            lines=lines,
        )
    except ValidationError as error:
        return _unreadable(row, why(error))
    except BadOrder as error:
        return _unreadable(row, str(error))


def ours(order: wire.Order) -> bool:
    """Whether the merchant ships it. UNFULFILLABLE is a state of orders that Amazon fulfils."""
    return order.fulfillment.fulfilled_by != "AMAZON"


def _line(item: wire.OrderItem, order: wire.Order) -> OrderLine:
    sku = item.bought.seller_sku or None
    if not ours(order):
        return OrderLine(line=item.order_item_id, ordered=0, listing=sku, sku=sku)
    cancelled = _cancelled(item, order.fulfillment.fulfillment_status)
    return OrderLine(
        line=item.order_item_id,
        ordered=item.quantity_ordered,
        listing=sku,
        sku=sku,
        cancelled=(Moved(units=cancelled),) if cancelled else (),
        shipped=_shipped(item, order, cancelled),
    )


def _cancelled(item: wire.OrderItem, status: str) -> int:
    """Units that were cancelled by themselves. A wish to cancel changes nothing; when a cancel was carried out, nobody
    tells. Of an order that is cancelled whole the state says all."""
    if status in _OVER:
        return 0
    carried_out = item.cancellation.cancellation_execution is not None
    remain = item.fulfillment.quantity_unfulfilled
    if not carried_out and (status in _WAITING or remain is None):
        return 0
    return max(0, item.quantity_ordered - (item.fulfillment.quantity_fulfilled or 0) - (remain or 0))


def _shipped(item: wire.OrderItem, order: wire.Order, cancelled: int) -> tuple[Moved, ...]:
    """What left, with the times of the packages as far as they tell."""
    units = item.fulfillment.quantity_fulfilled
    if units is None:
        whole = order.fulfillment.fulfillment_status == "SHIPPED"
        units = max(0, item.quantity_ordered - cancelled) if whole else 0
    if units < 0:
        raise BadOrder(f"Line {item.order_item_id} ({item.bought.seller_sku}): {units} units were shipped.")
    moved = []
    for one in sorted(_packed(item.order_item_id, order.packages), key=lambda one: one.at or order.last_updated_time):
        some = min(one.units, units)
        if some > 0:
            moved.append(Moved(units=some, at=one.at))
            units -= some
    return (*moved, Moved(units=units)) if units else tuple(moved)


def _packed(line: str, packages: Sequence[wire.Package]) -> list[Moved]:
    """Units of a line in packages that left at a time that is told."""
    return [
        Moved(units=item.quantity, at=package.ship_time)
        for package in packages
        if package.ship_time is not None
        and (package.package_status is None or package.package_status.status not in _NOT_GONE)
        for item in package.package_items
        if item.order_item_id == line and item.quantity > 0
    ]


def _unreadable(row: Any, reason: str) -> UnreadableOrder:
    name = row.get("orderId") if isinstance(row, dict) else None
    known = name if isinstance(name, str) and _plain(name) else ""
    return UnreadableOrder.of(known, reason, _without_buyer(row))


def _without_buyer(row: Any) -> dict[str, Any]:
    """What of an order may be kept: what it names by ids, times and numbers."""
    if not isinstance(row, dict):
        return {}
    kept: dict[str, Any] = {name: row[name] for name in _KEPT_OF_ORDER if _plain(row.get(name))}
    told = row.get("fulfillment")
    if isinstance(told, dict) and _plain(told.get("fulfillmentStatus")):
        kept["fulfillmentStatus"] = told["fulfillmentStatus"]
    items = row.get("orderItems")
    if isinstance(items, list):
        kept["orderItems"] = [
            {name: item[name] for name in _KEPT_OF_LINE if _plain(item.get(name))}
            for item in items
            if isinstance(item, dict)
        ]
    return kept


def _plain(value: Any) -> bool:
    """A number, or a text in which no name, address or e-mail fits: no space, no @."""
    if isinstance(value, str):
        return len(value) <= 40 and not set(value) & set(" @,;")
    return isinstance(value, int | float)
