"""Orders as the command line shows them, with SKUs instead of the ids of items."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from channelsync.domain.booked import BookedLine
from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.orders import OrderLine, OrderSnapshot, total
from channelsync.store import items, orders_view
from channelsync.store.orders_view import KeptOrder, OrdersWanted, StoredOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOnView:
    """One order, whole. lines: as told; legs: where the units come from and how far they got; entries: the ledger."""

    channel: str
    order: str
    head: dict[str, object]
    lines: list[dict[str, object]]
    legs: list[dict[str, object]]
    entries: list[dict[str, object]]


def order_row(one: StoredOrder) -> dict[str, object]:
    """One order in a list."""
    return {
        "channel": one.channel,
        "order": one.order,
        "status": one.said.status,
        "placed_at": one.said.placed_at,
        "changed_at": one.said.version,
        "booked_at": one.booked_at,
        "expires_at": one.expires_at,
        "lines": len(one.said.lines),
        "units": sum(line.ordered for line in one.said.lines),
        "to_ship": sum(one.said.to_ship(line) for line in one.said.lines),
        "waiting": one.unmapped,
    }


def kept_row(one: KeptOrder) -> dict[str, object]:
    """One order that could not be understood, in a list."""
    return {
        "channel": one.channel,
        "order": one.order,
        "reason": one.reason,
        "raw": one.raw,
        "seen_at": one.seen_at,
    }


def view_order(connection: Connection, order: str, channel: str) -> list[OrderOnView]:
    """The orders of this id, one a channel; channel: only of this one, unless it is empty."""
    found = orders_view.find_orders(connection, OrdersWanted(channel=channel, orders=[order]))
    kept = orders_view.kept_orders(connection, channel=channel, order=order)
    told = {one.channel: one for one in kept}
    views = [_viewed(connection, one, told.pop(one.channel, None)) for one in found]
    unread = [
        OrderOnView(channel=one.channel, order=order, head=kept_row(one), lines=[], legs=[], entries=[])
        for one in told.values()
    ]
    return views + unread


def _viewed(connection: Connection, one: StoredOrder, kept: KeptOrder | None) -> OrderOnView:
    entries = orders_view.entries_of_order(connection, one.channel, one.order)
    used = {entry.movement.position.item for entry in entries}
    used |= {line.sold.item for line in one.booked.lines if line.sold}
    skus = {name: item.sku for name, item in items.items_by_id(connection, used).items()}
    booked = {line.line: line for line in one.booked.lines}
    head = order_row(one) | {
        "first_seen_at": one.first_seen_at,
        "paid_at": one.said.paid_at,
        "cancelled_at": one.said.cancelled_at,
    }
    if kept is not None:
        head["its_latest_version_cannot_be_understood"] = kept.reason
    return OrderOnView(
        channel=one.channel,
        order=one.order,
        head=head,
        lines=[_line(one.said, line, booked.get(line.line), skus) for line in one.said.lines],
        legs=[leg for line in one.booked.lines for leg in _legs(line, skus)],
        entries=[_entry(entry, skus) for entry in entries],
    )


def _line(order: OrderSnapshot, line: OrderLine, booked: BookedLine | None, skus: dict[str, str]) -> dict[str, object]:
    sold = booked.sold if booked else None
    return {
        "line": line.line,
        "listing": line.listing,
        "sku": line.sku,
        "sells": skus.get(sold.item, sold.item) if sold else None,
        "multiple": sold.multiple if sold else None,
        "ordered": line.ordered,
        "to_ship": order.to_ship(line),
        "shipped": total(line.shipped),
        "cancelled": total(line.cancelled),
        "lost": total(line.lost),
        "returned": total(line.returned),
        "set_aside": total(line.withheld),
        "waits": sold is None,
    }


def _legs(line: BookedLine, skus: dict[str, str]) -> list[dict[str, object]]:
    return [
        {
            "line": line.line,
            "location": leg.location,
            "takes": {skus.get(item, item): units for item, units in leg.takes},
            "open": leg.open,
            "shipped": leg.shipped,
            "released": leg.released,
            "expired": leg.expired,
            "lost": leg.lost,
            "returned": leg.returned,
        }
        for leg in line.legs
    ]


def _entry(entry: LedgerEntry, skus: dict[str, str]) -> dict[str, object]:
    movement = entry.movement
    return {
        "recorded_at": entry.recorded_at,
        "at": movement.at,
        "kind": movement.kind,
        "sku": skus.get(movement.position.item, movement.position.item),
        "location": movement.position.location,
        "on_hand": movement.on_hand,
        "reserved": movement.reserved,
        "withheld": movement.withheld,
        "reason": movement.cause.reason,
        "run": movement.cause.run,
        "line": movement.cause.line,
    }
