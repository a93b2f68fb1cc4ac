"""Between the marketplace's words and ours: pure, so that every odd answer can be tried in a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import (
    BadOrder,
    Deducts,
    Listing,
    ListingState,
    Moved,
    OrderLine,
    OrderSnapshot,
    OrderStatus,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    UnreadableOrder,
)
from channelsync.sdk.wire import why
from channelsync_sandbox import wire

STATUS = {
    "awaiting_payment": OrderStatus.PENDING,
    "open": OrderStatus.OPEN,
    "done": OrderStatus.CLOSED,
    "cancelled": OrderStatus.CANCELLED,
}

_NOT_ABOUT_THE_BUYER = frozenset(
    {"id", "status", "site", "placed_at", "paid_at", "cancelled_at", "updated_at", "lines"}
)


def order_of(row: Any, deducts: Deducts) -> OrderSnapshot | UnreadableOrder:
    """An order as it came, in our words; one that cannot be understood is kept as it came, without the buyer.

    deducts: the marketplace's rule; one that deducts as told does so when the order is paid.
    """
    try:
        return _snapshot(wire.Order.model_validate(row), deducts)
    except ValidationError as error:
        reason = why(error)
    except BadOrder as error:
        reason = str(error)
    fields = row if isinstance(row, dict) else {}
    kept = {name: value for name, value in fields.items() if name in _NOT_ABOUT_THE_BUYER}
    name = fields.get("id")
    return UnreadableOrder.of(name if isinstance(name, str) else "", reason, kept)


def _snapshot(order: wire.Order, deducts: Deducts) -> OrderSnapshot:
    return OrderSnapshot(
        order=order.id,
        version=order.updated_at,
        placed_at=order.placed_at,
        status=STATUS[order.status],
        lines=tuple(_line(line) for line in order.lines),
        deducted_at=order.paid_at if deducts is Deducts.AS_TOLD else None,
        cancelled_at=order.cancelled_at,
    )


def _line(line: wire.Line) -> OrderLine:
    def moved(many: Iterable[wire.Movement]) -> tuple[Moved, ...]:
        return tuple(Moved(units=one.units, at=one.at, location=one.location or None) for one in many)

    return OrderLine(
        line=line.id,
        listing=line.listing,
        sku=line.sku or None,
        ordered=line.ordered,
        cancelled=moved(line.cancelled),
        lost=moved(line.written_off),
        shipped=moved(line.shipped),
        returned=moved(line.returned),
        withheld=moved(line.quarantined),
        location=line.location or None,
    )


def key_of(row: wire.Number | wire.Result) -> QuantityKey:
    """The quantity key that a row is about."""
    return QuantityKey(row.key, row.location)


def listing_of(listing: wire.Listing) -> Listing:
    """A listing in our words. A key without a number is left out of `shown`: nothing is counted for it."""
    return Listing(
        listing=listing.id,
        sku=listing.sku or None,
        title=listing.title,
        barcode=listing.barcode or None,
        state=ListingState(listing.state),
        reasons=listing.reasons,
        keys=tuple(key_of(row) for row in listing.keys),
        page=listing.page or "",
        shown={key_of(row): row.number for row in listing.keys if row.number is not None},
        committed={key_of(row): row.committed for row in listing.keys if row.committed is not None},
        held={key_of(row): row.held for row in listing.keys if row.held is not None},
        tracked=listing.tracked,
        sells_below_zero=listing.backorders,
        fulfilled_by_channel=listing.fulfilled_by != "seller",
        parts=tuple((part.listing, part.units) for part in listing.parts),
    )


def push_body(updates: Sequence[QuantityUpdate]) -> dict[str, Any]:
    """What is sent for these updates."""
    return {
        "updates": [
            {
                "key": update.key.key,
                "location": update.key.location,
                "listing": update.listing,
                "number": update.value,
                **({} if update.expected is None else {"expected": update.expected}),
                **({"idempotency_key": update.idempotency} if update.idempotency else {}),
            }
            for update in updates
        ]
    }


def results_of(updates: Sequence[QuantityUpdate], rows: Iterable[wire.Result]) -> list[PushResult]:
    """One result an update, in their order; rows are matched by key, and a missing one leaves the outcome unknown."""
    found = {key_of(row): row for row in rows}
    return [_result(update.key, found.get(update.key)) for update in updates]


def _result(key: QuantityKey, row: wire.Result | None) -> PushResult:
    if row is None:
        return PushResult.unknown(key, "the answer has no row for it")
    reason = ": ".join(text for text in (row.code, row.message) if text)
    match row.status:
        case "accepted":
            return PushResult.accepted(key, row.number)
        case "conflict":
            return PushResult.conflict(key, row.number, reason)
        case "refused":
            return PushResult.refused(key, reason or "the marketplace gives no reason")
        case _:
            return PushResult.unknown(key, f"the answer says {row.status!r}, which means nothing to us")
