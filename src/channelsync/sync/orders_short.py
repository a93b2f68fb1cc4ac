"""Orders of our own and units that are not there: what is refused, where that was asked for, and what is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from channelsync.domain.errors import ShortOfUnits
from channelsync.domain.orders import OrderSnapshot
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.store import items, ledger, orders
from channelsync.store.items import Item
from channelsync.sync.setup import BY_HAND, Setup


def refuse_hopeless(connection: Connection, setup: Setup, order: OrderSnapshot) -> None:
    """Raises for a new order that asks for more than there is, by a look without locks; others are judged by booking.

    When many ask for the last units, most are refused: they need not wait for one another. Only items that consist of
    nothing else are looked at.
    """
    known = items.items_by_sku(connection, {line.sku for line in order.lines if line.sku})
    plain = {sku: item.id for sku, item in known.items() if reachable(item.id, setup.recipes) == {item.id}}
    positions = ledger.read_positions(connection, plain.values())
    for line in order.lines:
        if line.sku in plain:
            places = (line.location,) if line.location else setup.channels[BY_HAND].locations
            there = [positions.get(PositionKey(plain[line.sku], one)) for one in places]
            left = sum(max(one.available, 0) for one in there if one is not None)
            if line.ordered > left:
                where = f" at {places[0]}" if len(places) == 1 else ""
                raise ShortOfUnits(f"{line.sku}{where}", line.ordered, left)


def refuse_unknown(order: OrderSnapshot, known: Collection[str]) -> None:
    """Raises for the first line of units that cannot be counted, because no item has its SKU. known: SKUs of items."""
    for line in order.lines:
        if line.sku not in known and line.to_ship:
            raise ShortOfUnits(str(line.sku), line.to_ship, 0)


def refuse_short(
    connection: Connection, before: Mapping[PositionKey, Position], after: Mapping[PositionKey, Position]
) -> None:
    """Raises for the first position that fell below 0: demand on shared components is added up by then."""
    for key in sorted(after):
        was = before[key].available if key in before else 0
        if after[key].available < min(0, was):
            sku = items.items_by_id(connection, [key.item])[key.item].sku
            raise ShortOfUnits(f"{sku} at {key.location}", was - after[key].available, was)


def oversold_by(
    connection: Connection, setup: Setup, order: OrderSnapshot, known: Mapping[str, Item]
) -> tuple[tuple[str, str, int], ...]:
    """(SKU, location, available) of what an order still takes and of which more is promised than is there, and of
    what it shipped from a place where fewer than no units are on hand now.

    known: items by SKU, of its lines.
    """
    wanted = {known[line.sku].id for line in order.lines if line.sku and line.sku in known and order.to_ship(line)}
    parts = {part for item in wanted for part in reachable(item, setup.recipes)}
    left = _shipped_from(connection, order)
    found = ledger.read_positions(connection, parts | {key.item for key in left}).values()
    short = [
        one for one in found if (one.key.item in parts and one.available < 0) or (one.key in left and one.on_hand < 0)
    ]
    names = items.items_by_id(connection, {one.key.item for one in short})
    return tuple((names[one.key.item].sku, one.key.location, one.available) for one in short)


def _shipped_from(connection: Connection, order: OrderSnapshot) -> set[PositionKey]:
    if not any(line.shipped for line in order.lines):
        return set()
    booked = orders.booked_orders(connection, BY_HAND, [order.order])[order.order]
    return {
        PositionKey(item, leg.location)
        for line in booked.lines
        for leg in line.legs
        if leg.shipped
        for item, _ in leg.takes
    }
