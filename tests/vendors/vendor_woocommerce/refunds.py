"""Refunds: what they do to the money, to the numbers and to the order's status."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from channelsync.lab.marketplace_values import Line
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.order_json import total_of
from vendor_woocommerce.orders import Refund, WooOrder
from vendor_woocommerce.php import intval


def _cannot(message: str) -> WooError:
    """Whatever the caller did wrong is answered as an error of the server, with the bare number as data."""
    return WooError(500, "woocommerce_rest_cannot_create_order_refund", message, bare=True)


def amount_of(text: Any) -> Decimal:
    """Money as PHP reads it; 0 for what is no number."""
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)


class Refunds:
    """Makes refunds in one shop."""

    def __init__(self, market: WooMarketplace) -> None:
        self._market = market

    def make(self, record: WooOrder, asked: Mapping[str, Any], rows: Any) -> Refund:
        """`wc_create_refund`. asked: checked; rows: `line_items` as they came. Raises WooError.

        Units go back on sale only with `api_restock`, which is true unless it is said to be false, and only where the
        order took them off. A refund of all the money that is left makes the order "refunded", which moves nothing.
        """
        order = self._market.orders[str(record.id)]
        lines, total = self._lines(record, rows)
        amount = amount_of(asked["amount"]) if asked["amount"] else total
        left = total_of(order) - record.refunded
        if amount < 0 or amount > left:
            raise _cannot("Invalid refund amount.")
        if asked["api_refund"]:
            known = "does not support automatic refunds" if record.payment_method == "cod" else "does not exist"
            how = "for this order " + known
            raise _cannot(f"The payment gateway {how}.")
        restock = bool(asked["api_restock"])
        with self._market.by_api():
            refund = self.write(record, lines, amount, str(asked["reason"] or ""), restock=restock)
            if amount == left:
                record.status = "refunded"
            self._market.touch(record)
        return refund

    def write(
        self, record: WooOrder, lines: list[tuple[Line, int]], amount: Decimal, reason: str, *, restock: bool
    ) -> Refund:
        """Writes it down and moves the units; the order's record does not follow by itself."""
        book, at = self._market.book, self._market.time()
        counted = [(line, many) for line, many in lines if restock and line.moves and line.deducted > line.given_back]
        refund = book.refund(record, lines, at, amount=amount, reason=reason)
        for line, many in counted:
            record.items[line.id].restocked += many
            self._back(record, line, many)
        if not restock:
            for line, many in lines:
                self._market.write_off(str(record.id), line.id, min(many, line.open))
        return refund

    def _back(self, record: WooOrder, line: Line, many: int) -> None:
        """Units that are with the buyer are returned; others are cancelled."""
        name = str(record.id)
        away = min(many, line.away)
        if away:
            self._market.bring_back(name, line.id, away)
        if many > away:
            self._market.cancel(name, {line.id: many - away})

    def _lines(self, record: WooOrder, rows: Any) -> tuple[list[tuple[Line, int]], Decimal]:
        """The lines that are named, with their units, and what they add up to."""
        order = self._market.orders[str(record.id)]
        by_item = {record.items[line.id].id: line for line in order.lines}
        lines: list[tuple[Line, int]] = []
        total = Decimal(0)
        for row in rows if isinstance(rows, list) else []:
            line = by_item.get(intval(row.get("id"))) if isinstance(row, dict) else None
            if line is not None:
                lines.append((line, intval(row.get("quantity", 0))))
                total += amount_of(row.get("refund_total", 0))
        return lines, total
