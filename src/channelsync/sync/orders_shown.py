"""Orders as they are shown, with SKUs instead of the ids of items: the same by the command line and by the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.domain.booked import BookedLine
from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.orders import OrderLine, OrderSnapshot, total
from channelsync.store import items, orders_view
from channelsync.store.orders_view import KeptOrder, OrdersWanted, StoredOrder
from channelsync.sync.orders_by_hand import LineNow, OrderNow
from channelsync.sync.setup import BY_HAND


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """One order in a list. units, to_ship: as the channel counts them. waiting: lines that wait for an item.

    expires_at: when what it holds ends without news; None: never.
    """

    channel: str
    order: str
    status: str
    placed_at: datetime
    changed_at: datetime
    booked_at: datetime
    expires_at: datetime | None
    lines: int
    units: int
    to_ship: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHead(OrderRow):
    """One order, without its lines.

    deducted_at: when the channel took the units off its number, where it does so at a moment that the order tells.
    its_latest_version_cannot_be_understood: why; None: it can be.
    """

    first_seen_at: datetime
    deducted_at: datetime | None
    cancelled_at: datetime | None
    its_latest_version_cannot_be_understood: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """An order that could not be understood. raw: what the channel sent, less everything about the buyer."""

    channel: str
    order: str
    reason: str
    raw: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOnView:
    """A line as told. sells: the SKU of the item that it takes, None: it waits for one; multiple: units of it each."""

    line: str
    listing: str | None
    sku: str | None
    sells: str | None
    multiple: int | None
    ordered: int
    to_ship: int
    shipped: int
    cancelled: int
    lost: int
    returned: int
    set_aside: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LegOnView:
    """Where units of a line come from and how far they got. takes: base units by SKU for one unit of the line.
    set_aside: of the returned ones, those that are not for sale."""

    line: str
    location: str
    takes: dict[str, int]
    open: int
    shipped: int
    released: int
    expired: int
    lost: int
    returned: int
    set_aside: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOfOrder:
    """A ledger entry that an order caused. at: when it happened; recorded_at: when we wrote it."""

    recorded_at: datetime
    at: datetime
    kind: str
    sku: str
    location: str
    on_hand: int
    reserved: int
    withheld: int
    reason: str
    run: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOnView:
    """One order, whole. lines: as told; legs: where the units come from and how far they got; entries: the ledger."""

    channel: str
    order: str
    head: OrderHead | KeptRow
    lines: list[LineOnView]
    legs: list[LegOnView]
    entries: list[EntryOfOrder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversold:
    """Where more is promised than is there: available is below 0."""

    sku: str
    location: str
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHandOnView:
    """An order of our own as it stands after a call; see `OrderNow`."""

    channel: str
    order: str
    status: str
    changed: bool
    lines: tuple[LineNow, ...]
    oversold: list[Oversold]


def by_hand_shown(done: OrderNow) -> ByHandOnView:
    """What a call on an order of our own is answered with."""
    return ByHandOnView(
        channel=BY_HAND,
        order=done.order,
        status=done.status,
        changed=done.changed,
        lines=done.lines,
        oversold=oversold_shown(done.oversold),
    )


def oversold_shown(found: Iterable[tuple[str, str, int]]) -> list[Oversold]:
    """From (SKU, location, available)."""
    return [Oversold(sku=sku, location=where, available=units) for sku, where, units in found]


def order_row(one: StoredOrder) -> OrderRow:
    """One order in a list."""
    return OrderRow(**_row(one))


def _row(one: StoredOrder) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "order": one.order,
        "status": one.said.status.value,
        "placed_at": one.said.placed_at,
        "changed_at": one.said.version,
        "booked_at": one.booked_at,
        "expires_at": one.expires_at,
        "lines": len(one.said.lines),
        "units": sum(line.ordered for line in one.said.lines),
        "to_ship": sum(one.said.to_ship(line) for line in one.said.lines),
        "waiting": one.unmapped,
    }


def kept_row(one: KeptOrder) -> KeptRow:
    """One order that could not be understood, in a list."""
    return KeptRow(channel=one.channel, order=one.order, reason=one.reason, raw=one.raw, seen_at=one.seen_at)


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
    head = OrderHead(
        **_row(one),
        first_seen_at=one.first_seen_at,
        deducted_at=one.said.deducted_at,
        cancelled_at=one.said.cancelled_at,
        its_latest_version_cannot_be_understood=kept.reason if kept is not None else None,
    )
    return OrderOnView(
        channel=one.channel,
        order=one.order,
        head=head,
        lines=[_line(one.said, line, booked.get(line.line), skus) for line in one.said.lines],
        legs=[leg for line in one.booked.lines for leg in _legs(line, skus)],
        entries=[_entry(entry, skus) for entry in entries],
    )


def _line(order: OrderSnapshot, line: OrderLine, booked: BookedLine | None, skus: dict[str, str]) -> LineOnView:
    sold = booked.sold if booked else None
    return LineOnView(
        line=line.line,
        listing=line.listing,
        sku=line.sku,
        sells=skus.get(sold.item, sold.item) if sold else None,
        multiple=sold.multiple if sold else None,
        ordered=line.ordered,
        to_ship=order.to_ship(line),
        shipped=total(line.shipped),
        cancelled=order.cancelled(line),
        lost=total(line.lost),
        returned=total(line.returned),
        set_aside=total(line.withheld),
        waits=sold is None,
    )


def _legs(line: BookedLine, skus: dict[str, str]) -> list[LegOnView]:
    return [
        LegOnView(
            line=line.line,
            location=leg.location,
            takes={skus.get(item, item): units for item, units in leg.takes},
            open=leg.open,
            shipped=leg.shipped,
            released=leg.released,
            expired=leg.expired,
            lost=leg.lost,
            returned=leg.returned,
            set_aside=leg.withheld,
        )
        for leg in line.legs
    ]


def _entry(entry: LedgerEntry, skus: dict[str, str]) -> EntryOfOrder:
    movement = entry.movement
    return EntryOfOrder(
        recorded_at=entry.recorded_at,
        at=movement.at,
        kind=movement.kind.value,
        sku=skus.get(movement.position.item, movement.position.item),
        location=movement.position.location,
        on_hand=movement.on_hand,
        reserved=movement.reserved,
        withheld=movement.withheld,
        reason=movement.cause.reason,
        run=movement.cause.run,
        line=movement.cause.line,
    )
