"""What Amazon knows of an order beside its lines: who cancelled, who asked for it, pre-orders, what cannot ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from channelsync.lab.marketplace_values import Line, Order, Status, units
from vendor_amazon.marketplace import AmazonMarketplace

FulfillmentStatus = Literal[
    "PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE"
]
Canceller = Literal["BUYER", "MERCHANT", "AMAZON"]
Oddity = Literal["no lines", "half a unit", "negative units"]

NO_UNITS = "NO_INVENTORY"
"""The seller's reason for which Amazon does not put the units back on sale (Seller Central, «Cancel an order»)."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What is known of a line's cancellation, and since which version of its order."""

    since: datetime
    requested: str = ""
    by: Canceller | None = None
    reason: str = ""


class OrderBook:
    """The orders of an `AmazonMarketplace`, and what people do with them.

    odd: orders that are written so that nobody can understand them. on_request: told of buyers' wishes to cancel.
    """

    def __init__(self, marketplace: AmazonMarketplace) -> None:
        self.marketplace = marketplace
        self.odd: dict[str, Oddity] = {}
        self.on_request: list[Callable[[Order], None]] = []
        self._cancellations: dict[tuple[str, str], list[Cancellation]] = {}
        self._awaited: set[str] = set()
        self._unfulfillable: set[str] = set()

    # What people do

    def request_cancel(self, order: str, reason: str = "", lines: tuple[str, ...] = ()) -> None:
        """The buyer asks to cancel lines (none named: all): nothing is cancelled by that."""
        since = self.marketplace.touch(order)
        for line in lines or tuple(line.id for line in self.marketplace.orders[order].lines):
            self._note(order, line, lambda known: replace(known, since=since, requested=reason or "OTHER"))
        for tell in self.on_request:
            tell(self.marketplace.orders[order])

    def cancel(
        self, order: str, *, by: Canceller = "BUYER", reason: str = "OTHER", lines: Mapping[str, int] | None = None
    ) -> None:
        """Units are cancelled, all that are open or so many of some lines.

        For the seller's want of units (`NO_UNITS`) they do not come back to the number.
        """
        before = self.marketplace.orders[order]
        many = {line.id: line.open for line in before.lines} if lines is None else dict(lines)
        if by == "MERCHANT" and reason == NO_UNITS:
            for line, count in many.items():
                self.marketplace.write_off(order, line, count)
        else:
            self.marketplace.cancel(order, lines)
        since = self.marketplace.orders[order].updated_at
        for line, count in many.items():
            if count:
                self._note(order, line, lambda known: replace(known, since=since, by=by, reason=reason))

    def await_release(self, order: str) -> None:
        """The order is a pre-order: the item is not released yet."""
        self._awaited.add(order)
        self.marketplace.touch(order)

    def release(self, order: str) -> None:
        """The item is released, and payment is being authorised."""
        self._awaited.discard(order)
        self.marketplace.touch(order)

    def give_up(self, order: str) -> None:
        """Amazon cannot ship an order from another channel that it fulfils."""
        self._unfulfillable.add(order)
        self.marketplace.touch(order)

    def _note(self, order: str, line: str, change: Callable[[Cancellation], Cancellation]) -> None:
        known = self._cancellations.setdefault((order, line), [])
        last = known[-1] if known else Cancellation(self.marketplace.orders[order].placed_at)
        known.append(change(last))

    # What is known

    def cancellation(self, order: Order, line: str) -> Cancellation | None:
        """What this version of an order tells of a line's cancellation."""
        known = [each for each in self._cancellations.get((order.id, line), ()) if each.since <= order.updated_at]
        if known:
            return known[-1]
        cancelled = order.line(line).cancelled
        return Cancellation(order.updated_at, by="BUYER", reason="OTHER") if cancelled else None

    def by_amazon(self, order: Order) -> bool:
        """Whether Amazon ships it."""
        return order.id in self.marketplace.by_amazon

    def status(self, order: Order) -> FulfillmentStatus:
        """The status of a version of an order."""
        if order.id in self._unfulfillable:
            return "UNFULFILLABLE"
        shipped, still = sum(units(line.shipped) for line in order.lines), sum(line.open for line in order.lines)
        if not still or order.status is Status.CANCELLED:
            return "SHIPPED" if shipped else "CANCELLED"
        if order.status is Status.AWAITING_PAYMENT:
            return "PENDING_AVAILABILITY" if order.id in self._awaited else "PENDING"
        return "PARTIALLY_SHIPPED" if shipped else "UNSHIPPED"

    def place_of(self, order: Order) -> str:
        """The marketplace id that it was placed in."""
        return self.marketplace.placed_in.get(order.id) or order.site


def gone(line: Line) -> int:
    """Units of a line that are cancelled, put back on sale or not."""
    return units(line.cancelled) + units(line.written_off)
