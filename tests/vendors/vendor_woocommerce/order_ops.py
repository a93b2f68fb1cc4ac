"""What WooCommerce does to orders that other marketplaces do not: pure functions from an order to a change of it.

WooCommerce goes from any status to any other, and numbers follow the units that a line has really taken off.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from channelsync.lab import marketplace_orders as after_sales
from channelsync.lab.marketplace_orders import Changed, Told
from channelsync.lab.marketplace_values import Order, Status


def voided(order: Order, at: datetime) -> Changed:
    """Cancelled whole, whatever was shipped or refunded: all that is still taken off comes back."""
    lines = tuple(replace(line, written_off=(), quarantined=()) for line in order.lines)
    recalled = unshipped(replace(order, lines=lines), at)
    gone = after_sales.cancelled(recalled.order, at)
    return Changed(gone.order, (*recalled.told, *gone.told))


def unshipped(order: Order, at: datetime) -> Changed:
    """Not completed after all: what was shipped and did not come back is open again."""
    change = Changed(order)
    for line in order.lines:
        step = after_sales.shipment_taken_back(change.order, line.id, line.away, at)
        change = Changed(step.order, (*change.told, *step.told))
    return change


def reopened(order: Order) -> Changed:
    """A cancelled order lives again: its units are sold anew."""
    told = tuple(Told("sold", line, sum(each.units for each in line.cancelled)) for line in order.lines)
    lines = tuple(replace(line, cancelled=()) for line in order.lines)
    status = Status.OPEN if order.paid_at is not None else Status.AWAITING_PAYMENT
    return Changed(
        replace(order, lines=lines, status=status, cancelled_at=None), tuple(each for each in told if each.units)
    )


def unpaid(order: Order, at: datetime) -> Changed:
    """Back to waiting for payment: the numbers come back, and whoever pays takes them off again."""
    change = unshipped(order, at)
    return Changed(replace(change.order, paid_at=None, status=Status.AWAITING_PAYMENT), change.told)
