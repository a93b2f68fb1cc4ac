"""Between eBay's words and ours: pure, so that every odd answer can be tried in a test.

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

Of a listing: PUBLISHED and ACTIVE, not on hold, is active. OUT_OF_STOCK, INACTIVE and NOT_LISTED, an offer that is not
published and an item without an offer are inactive; ENDED and EBAY_ENDED are ended. eBay's word is the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import (
    BadOrder,
    Listing,
    ListingState,
    Moved,
    OrderLine,
    OrderSnapshot,
    OrderStatus,
    QuantityKey,
    UnreadableOrder,
)
from channelsync_ebay import wire

NO_ID = "(no id)"

_LEGACY = re.compile(r"item:([0-9]{6,19})(?::(.{1,80}))?", re.ASCII | re.DOTALL)
_ORDER_FIELDS = ("orderId", "creationDate", "lastModifiedDate", "orderFulfillmentStatus", "orderPaymentStatus")
_LINE_FIELDS = ("lineItemId", "quantity", "legacyItemId", "legacyVariationId", "lineItemFulfillmentStatus")
_PLAIN = re.compile(r"[A-Za-z0-9_.:!-]{1,60}", re.ASCII)
"""What is kept of an order that cannot be read: ids, times, states. Anything else may be the buyer's words."""
_RAW_CHARACTERS_MAX = 10_000

_CANCELLED = frozenset({"CANCELED", "CANCELLED"})
"""eBay's pages say CANCELED; its OpenAPI documents do not name the value, so the other spelling is taken too."""

_UNPAID = frozenset({"PENDING", "FAILED"})
_ENDED = frozenset({"ENDED", "EBAY_ENDED"})
_LIVE = frozenset({None, "", "ACTIVE", "OUT_OF_STOCK"})


# Names


@dataclass(frozen=True, slots=True)
class Legacy:
    """A listing that is not migrated, or a variation of one (by its SKU)."""

    item: str
    sku: str | None = None

    @property
    def name(self) -> str:
        """Its name, as a listing and as a key."""
        return f"item:{self.item}:{self.sku}" if self.sku is not None else f"item:{self.item}"


def legacy_of(name: str) -> Legacy | None:
    """What a name of a listing that is not migrated means; None for what is no such name."""
    found = _LEGACY.fullmatch(name)
    return None if found is None else Legacy(found[1], found[2])


# Orders


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
        reason = wire.why(error)
    except BadOrder as error:
        reason = str(error)
    fields = row if isinstance(row, dict) else {}
    name = fields.get("orderId")
    return UnreadableOrder(
        order=name if isinstance(name, str) and _PLAIN.fullmatch(name) else NO_ID,
        reason=reason,
        raw=json.dumps(_without_the_buyer(fields))[:_RAW_CHARACTERS_MAX],
    )


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
        paid_at=_paid_at(order),
        cancelled_at=_cancelled_at(order) if status is OrderStatus.CANCELLED else None,
    )


def _status(order: wire.Order, lines: Sequence[OrderLine]) -> OrderStatus:
    if order.cancel_status.cancel_state in _CANCELLED:
        return OrderStatus.CANCELLED
    if lines and all(line.to_ship == 0 for line in lines):
        return OrderStatus.CLOSED
    if order.order_payment_status in _UNPAID and _paid_at(order) is None:
        return OrderStatus.PENDING
    return OrderStatus.OPEN


def _paid_at(order: wire.Order) -> datetime | None:
    dates = [one.payment_date for one in order.payment_summary.payments if one.payment_status not in _UNPAID]
    return min((date for date in dates if date is not None), default=None)


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


# Listings and numbers


def sold_here(offers: Iterable[wire.Offer]) -> list[wire.Offer]:
    """The offers that our numbers are written to: at a fixed price, and live. An auction keeps units of its own."""
    return [
        one
        for one in offers
        if one.format != "AUCTION"
        and one.status == "PUBLISHED"
        and (one.listing is None or one.listing.listing_status in _LIVE)
    ]


def number_of(item: wire.Item, offers: Sequence[wire.Offer], sent: int | None = None) -> int:
    """What buyers may buy: the offer's number, or the item's where there is none; of several offers the highest.

    sent: the number that we wrote last, to the item and its offers alike; None: none yet.

    Where the offer's is above the item's, eBay's words differ: the offer's overrides (the API's description), or the
    lower one counts (guide to bulk updates; knowledge base 5100). Then the one that we did not write is told, so that
    both are written anew; and before we wrote any the offer's, so that no more is left on sale than is meant to be. An
    item without a number has none to sell where its listing says so too (Inventory API: "out of stock listings will
    result").
    """
    place = item.availability.ship_to_location_availability if item.availability is not None else None
    total = (place.quantity if place is not None else None) or 0
    numbers = [one.available_quantity for one in sold_here(offers) if one.available_quantity is not None]
    highest = max(numbers, default=total)
    if highest <= total:
        return highest
    hidden = all(one.listing is not None and one.listing.listing_status == "OUT_OF_STOCK" for one in sold_here(offers))
    return total if highest == sent or (total == 0 and hidden) else highest


def listing_of(item: wire.Item, offers: Sequence[wire.Offer], sent: int | None = None) -> Listing:
    """An item with its offers as a listing. Its name is the SKU, and so is its key's. sent: see `number_of`."""
    key = QuantityKey(item.sku)
    fixed = [one for one in offers if one.format != "AUCTION"]
    states = [_state(one) for one in fixed] or [(ListingState.INACTIVE, "it has no offer: it was never listed")]
    best = min(states, key=lambda one: list(ListingState).index(one[0]))
    described = item.described
    codes = (*described.ean, *described.upc, *described.isbn) if described is not None else ()
    active = best[0] is ListingState.ACTIVE
    reasons = () if active else tuple(dict.fromkeys(reason for _, reason in states if reason))
    return Listing(
        listing=item.sku,
        sku=item.sku,
        title=(described.title if described is not None else None) or "",
        barcode=next((code for code in codes if code.isdigit()), None),
        state=best[0],
        reasons=reasons,
        keys=(key,),
        shown={key: number_of(item, fixed, sent)},
        page=page_of(offers),
    )


def page_of(offers: Iterable[wire.Offer]) -> str:
    """The id of the listing that the live offers are shown on, what eBay counts revisions of; "" where there is none.

    Of several, on several of eBay's sites, always the same one: a write revises all of them.
    """
    shown = (one.listing for one in sold_here(offers))
    return min((one.listing_id for one in shown if one is not None and one.listing_id), default="")


def _state(offer: wire.Offer) -> tuple[ListingState, str]:
    details = offer.listing
    status = details.listing_status if details is not None else None
    if status in _ENDED:
        why = "EBAY_ENDED: eBay has ended the listing" if status == "EBAY_ENDED" else "ENDED: the listing has ended"
        return ListingState.ENDED, why
    if offer.status != "PUBLISHED":
        return ListingState.INACTIVE, f"{offer.status or 'UNPUBLISHED'}: the offer is not published"
    if details is not None and details.listing_on_hold:
        return ListingState.INACTIVE, "on hold: eBay hides the listing because of a policy violation"
    if status in (None, "", "ACTIVE"):
        return ListingState.ACTIVE, ""
    if status == "OUT_OF_STOCK":
        return ListingState.INACTIVE, "OUT_OF_STOCK: hidden until there is something to sell"
    return ListingState.INACTIVE, str(status)
