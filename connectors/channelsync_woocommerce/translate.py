"""Between the shop's orders and ours: pure, so that every odd answer can be tried in a test.

What each order status means (R: recorded on a real shop; S: WooCommerce's source; the rest is our choice):

| Status                        | The shop's number             | To us                                            |
|-------------------------------|-------------------------------|--------------------------------------------------|
| checkout-draft, auto-draft    | untouched                     | no order yet: nobody has placed it               |
| pending                       | untouched; given back when it | PENDING: reserves, with a time limit. Where an   |
|                               | was taken before (R, S)       | edit over the API took all of it (S), it is paid |
| on-hold, processing           | taken (R, S)                  | OPEN                                             |
| completed (`shipped`)         | taken (R, S)                  | CLOSED, all that is left was shipped             |
| cancelled                     | given back (R, S)             | CANCELLED                                        |
| refunded                      | stays taken, unless a refund  | CLOSED; restocked units are cancelled (returned  |
|                               | asked to restock (R, S)       | where shipped), the others lost (or shipped)     |
| failed                        | stays as it was (S)           | CANCELLED; PENDING while units are still taken   |
| trash                         | stays as it was (R)           | as failed; CLOSED where it had been shipped      |
| any other, of a plugin        | as its lines say              | OPEN                                             |

A failed or trashed order whose units the shop still keeps off its number is PENDING, because CANCELLED would mean that
the shop gives them back: it does not. When the time limit ends, the next push puts them on sale again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import BadOrder, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync.sdk.wire import why
from channelsync_woocommerce import wire
from channelsync_woocommerce.translate_listings import name_of

NOT_AN_ORDER = frozenset({"checkout-draft", "auto-draft"})

_DEDUCTED = frozenset({"on-hold", "processing", "completed"})
_GIVEN_UP = frozenset({"failed", "trash"})

_REDUCED = "_reduced_stock"
_RESTOCKED = "_restock_refunded_items"
_REFUNDED_LINE = "_refunded_item_id"

_ORDER_FIELDS = ("id", "status", "date_created_gmt", "date_modified_gmt", "date_paid_gmt", "date_completed_gmt")
_LINE_FIELDS = ("id", "product_id", "variation_id", "quantity")
"""Kept where they are numbers: a text in their place may be anything."""


def is_order(row: Any) -> bool:
    """Whether a row is an order that somebody has placed; one that cannot be read counts as one."""
    return not (isinstance(row, dict) and row.get("status") in NOT_AN_ORDER)


def order_of(row: Any, refunds: Iterable[Any], shipped: Collection[str]) -> OrderSnapshot | UnreadableOrder:
    """An order as it came, in our words; one that cannot be understood is kept as it came, without the buyer.

    refunds: those of the order, as they came. shipped: the statuses that mean that all was shipped.
    """
    try:
        return _snapshot(
            wire.Order.model_validate(row), [wire.Refund.model_validate(refund) for refund in refunds], shipped
        )
    except ValidationError as error:
        reason = why(error)
    except BadOrder as error:
        reason = str(error)
    fields = row if isinstance(row, dict) else {}
    name = fields.get("id")
    known = isinstance(name, int) and not isinstance(name, bool)
    return UnreadableOrder.of(str(name) if known else "", reason, _without_the_buyer(fields))


def has_refunds(row: Any) -> bool:
    """Whether the order's refunds must be read: the order names them, but not how many units they are about."""
    return isinstance(row, dict) and bool(row.get("refunds"))


def deducted_at(order: wire.Order, refunds: Sequence[wire.Refund] = ()) -> datetime | None:
    """When the shop took the order's units off its number; None: it has not, or has put them back.

    The shop does so when the order reaches processing, on-hold or completed, and tells no time of it: that of the
    payment is nearest, else that of placing it, which for an order on hold is the same moment. What becomes of the
    order later moves nothing unless its lines count it (`_reduced_stock`): an order that was set back to pending, or
    cancelled, and then to refunded or into the trash, has its old times, but took nothing.

    An edit over the API takes the units of the lines that it names off at once, even of an order that waits for
    payment (prepare_line_items of WC_REST_Orders_V2_Controller): that counts where it is all of the order.
    """
    at = order.date_paid_gmt or order.date_created_gmt
    if order.status == "pending":
        return at if _all_taken(order) else None
    if order.status in _DEDUCTED or any(_meta(line, _REDUCED) is not None for line in order.line_items):
        return at
    if order.status == "cancelled" or (order.status in _GIVEN_UP and order.date_completed_gmt is None):
        return order.date_paid_gmt
    # Older versions end the count with the last unit that a refund restocks.
    ended = any(0 < line.quantity <= _units(_refunded(line, refunds)) for line in order.line_items)
    return at if ended and order.status not in _GIVEN_UP else None


def _snapshot(order: wire.Order, refunds: Sequence[wire.Refund], shipped: Collection[str]) -> OrderSnapshot:
    changed = order.date_modified_gmt or order.date_created_gmt
    status = _status(order, shipped)
    left = _left_at(order, shipped, changed)
    given_up = order.status == "refunded" and left is None
    deducted = deducted_at(order, refunds)
    if deducted is None or status is OrderStatus.CANCELLED:
        refunds = ()  # with the order the shop has put back all of it, restocked or not
    return OrderSnapshot(
        order=str(order.id),
        version=changed,
        placed_at=order.date_created_gmt,
        status=status,
        lines=tuple(_line(line, _refunded(line, refunds), left, given_up=given_up) for line in order.line_items),
        deducted_at=deducted,
        cancelled_at=changed if status is OrderStatus.CANCELLED else None,
    )


def _status(order: wire.Order, shipped: Collection[str]) -> OrderStatus:
    if order.status in shipped or order.status == "refunded":
        return OrderStatus.CLOSED
    if order.status in _GIVEN_UP:
        if order.status == "trash" and order.date_completed_gmt is not None:
            return OrderStatus.CLOSED
        return OrderStatus.PENDING if _still_taken(order) else OrderStatus.CANCELLED
    return {"pending": OrderStatus.PENDING, "cancelled": OrderStatus.CANCELLED}.get(order.status, OrderStatus.OPEN)


def _left_at(order: wire.Order, shipped: Collection[str], changed: datetime) -> datetime | None:
    """When the order was shipped; None: it was not.

    The shop keeps the time of completion when the order goes on to refunded or to the trash. It keeps it too for one
    that is opened again, so elsewhere the time alone says nothing.
    """
    if order.status in shipped:
        return order.date_completed_gmt or changed
    return order.date_completed_gmt if order.status in ("refunded", "trash") else None


def _line(line: wire.Line, refunded: Sequence[Moved], left: datetime | None, *, given_up: bool) -> OrderLine:
    """left: when the order was shipped. given_up: it is refunded and was never shipped, so what is left of it is lost.

    Units refunded before the shipment were not shipped; those refunded later came back only where they were restocked.
    """
    restocked = _restocked(line, _units(refunded))
    back, gone = _split(refunded, restocked)
    early = [one for one in back if not _after(one, left)]
    returned = [one for one in back if _after(one, left)]
    lost = [one for one in gone if not _after(one, left)]
    rest = max(0, line.quantity - _units((*early, *lost)))
    if given_up and rest:
        lost.append(Moved(units=rest))
    return OrderLine(
        line=str(line.id),
        listing=name_of(line.product_id, line.variation_id) if line.product_id else None,
        sku=line.sku or None,
        ordered=line.quantity,
        cancelled=tuple(early),
        lost=tuple(lost),
        shipped=(Moved(units=rest, at=left),) if left is not None and rest else (),
        returned=tuple(returned),
    )


def _after(moved: Moved, left: datetime | None) -> bool:
    return left is not None and (moved.at is None or moved.at >= left)


def _refunded(line: wire.Line, refunds: Sequence[wire.Refund]) -> list[Moved]:
    """Units of the line that refunds are about, oldest first. Refunds of money alone are about none."""
    found = [
        Moved(units=-part.quantity, at=refund.date_created_gmt)
        for refund in refunds
        for part in refund.line_items
        if _meta(part, _REFUNDED_LINE) == line.id and part.quantity < 0
    ]
    return sorted(found, key=lambda one: (one.at is not None, one.at.timestamp() if one.at else 0.0))


def _restocked(line: wire.Line, refunded: int) -> int:
    """How many of the refunded units the shop has put back on its number.

    A refund does not say whether it restocked; the line does: it counts what is still taken, and what was restocked.
    The first decides: an order that was given back and then taken again took what had been restocked with it. Without
    either count a wholly refunded line was restocked (in older versions the counts end with it), a part was not.
    """
    counted, taken = _meta(line, _RESTOCKED), _meta(line, _REDUCED)
    if taken is not None:
        return min(refunded, max(0, line.quantity - taken))
    if counted is not None:
        return min(refunded, max(0, counted))
    return refunded if refunded >= line.quantity else 0


def _units(moved: Iterable[Moved]) -> int:
    return sum(one.units for one in moved)


def _split(refunded: Sequence[Moved], restocked: int) -> tuple[list[Moved], list[Moved]]:
    """(restocked, not restocked). Where some were and some were not, nobody tells which: the oldest are taken."""
    back: list[Moved] = []
    gone: list[Moved] = []
    for one in refunded:
        units = min(one.units, restocked)
        restocked -= units
        if units:
            back.append(Moved(units=units, at=one.at))
        if one.units > units:
            gone.append(Moved(units=one.units - units, at=one.at))
    return back, gone


def _still_taken(order: wire.Order) -> bool:
    """Whether the shop still keeps units of the order off its number."""
    return any(_meta(line, _REDUCED) for line in order.line_items)


def _all_taken(order: wire.Order) -> bool:
    """Whether the shop has taken every unit of the order off its number, whatever refunds have restocked since."""
    counted = [(line, _meta(line, _REDUCED)) for line in order.line_items]
    return bool(counted) and all(
        taken is not None and taken + (_meta(line, _RESTOCKED) or 0) >= line.quantity for line, taken in counted
    )


def _meta(line: wire.Line, key: str) -> int | None:
    """A counter among the line's meta data; None where there is none, or none that is a whole number."""
    for one in line.meta_data:
        if one.key == key:
            try:
                return int(str(one.value))
            except ValueError:
                return None
    return None


def _without_the_buyer(row: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: row[name] for name in _ORDER_FIELDS if name in row}
    lines = row.get("line_items")
    if isinstance(lines, list):
        kept["line_items"] = [
            {name: line[name] for name in _LINE_FIELDS if isinstance(line.get(name), int | float)}
            for line in lines
            if isinstance(line, dict)
        ]
    return kept


def place_of(row: Any) -> tuple[int | None, datetime | None]:
    """The id of an order and the time of its last change, also of one that makes no sense; None: it does not tell."""
    try:
        found = wire.Placed.model_validate(row)
    except ValidationError:
        return None, None
    return found.id, found.date_modified_gmt
