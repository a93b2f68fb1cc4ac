"""The plan of a day in the words of the channels, without what they could not tell of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from channelsync.lab.trading_day import (
    AfterEvent,
    Edit,
    PlannedListing,
    PlannedOrder,
    Return,
    Ship,
    TradingDay,
)
from vendor_day.stalls import VendorStall


def in_words_of(stalls: Mapping[str, VendorStall], plan: TradingDay) -> TradingDay:
    """The same day: listings, orders and lines named as their channel names them."""
    names: dict[str, str] = {}
    for number, one in enumerate(plan.listings):
        usual = one.sku if one.multiple == 1 else f"{one.sku}-x{one.multiple}"
        names[one.listing_id] = stalls[one.marketplace].names.listing(number, usual)
    listings = tuple(_listing(one, names) for one in plan.listings)
    orders = tuple(_order(stalls[one.marketplace], turn, one, names) for turn, one in enumerate(plan.orders))
    return replace(plan, listings=listings, orders=orders)


def _listing(listing: PlannedListing, names: Mapping[str, str]) -> PlannedListing:
    return replace(listing, listing_id=names[listing.listing_id])


def _order(stall: VendorStall, number: int, order: PlannedOrder, names: Mapping[str, str]) -> PlannedOrder:
    lines = {line.line_id: stall.names.line(number, turn) for turn, line in enumerate(order.lines, 1)}
    return replace(
        order,
        order_id=stall.names.order(number, order.order_id),
        lines=tuple(
            replace(line, line_id=lines[line.line_id], listing_id=names[line.listing_id]) for line in order.lines
        ),
        after=tuple(_event(event, lines) for event in order.after if _told(stall, event)),
    )


def _told(stall: VendorStall, event: AfterEvent) -> bool:
    """Whether the channel tells of such an event."""
    in_part = isinstance(event, Ship) and event.lines is not None
    return type(event) in stall.knows and (stall.ships_parts or not in_part)


def _event(event: AfterEvent, lines: Mapping[str, str]) -> AfterEvent:
    match event:
        case Edit() | Return():
            return replace(event, line_id=lines[event.line_id])
        case Ship(lines=some) if some is not None:
            return replace(event, lines=tuple((lines[line], units) for line, units in some))
    return event
