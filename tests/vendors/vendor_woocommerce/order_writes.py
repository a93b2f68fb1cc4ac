"""Writes to orders: new ones, edits, and every change of status with what it does to the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from channelsync.lab.marketplace_values import Order, Status
from vendor_woocommerce.errors import WooError, invalid_params
from vendor_woocommerce.market import Ordered, WooMarketplace
from vendor_woocommerce.order_json import total_of
from vendor_woocommerce.orders import REDUCES, RESTORES, WooOrder, blank_address
from vendor_woocommerce.php import intval, is_integer
from vendor_woocommerce.products import Product
from vendor_woocommerce.refunds import Refunds, amount_of

_TEXTS = ("customer_note", "payment_method", "payment_method_title", "transaction_id", "currency")


class OrderWrites:
    """Writes to the orders of one shop."""

    def __init__(self, market: WooMarketplace) -> None:
        self.refunds = Refunds(market)
        self._market = market

    def create(self, changes: Mapping[str, Any], meta: Any) -> WooOrder:
        """A new order, accepted whatever the numbers say. Raises WooError."""
        lines = [self._ordered(row, turn) for turn, row in enumerate(changes.get("line_items", []))]
        with self._market.by_api():
            order = self._market.take(lines)
            record = self._market.book.get(int(order.id))
            if record is None:
                raise KeyError(order.id)
            record.billing, record.shipping = blank_address("billing"), blank_address("shipping")
            record.customer_note, record.payment_method, record.payment_method_title = "", "", ""
            self._fields(record, changes, meta)
            self._pay_or_move(record, changes, created=True)
        return record

    def update(self, record: WooOrder, changes: Mapping[str, Any], meta: Any) -> WooOrder:
        """Whatever the body names. Saving moves the time of change even when nothing else differs."""
        with self._market.by_api():
            self._fields(record, changes, meta)
            for turn, row in enumerate(changes.get("line_items", [])):
                self._edit(record, row, turn)
            self._pay_or_move(record, changes, created=False)
            self._market.touch(record)
        return record

    def _pay_or_move(self, record: WooOrder, changes: Mapping[str, Any], *, created: bool) -> None:
        if changes.get("status"):
            self.set_status(record, changes["status"])
        needs_payment = record.status in ("pending", "failed")
        if changes.get("set_paid") is True and (created or needs_payment):
            self.payment_complete(record)

    def _fields(self, record: WooOrder, changes: Mapping[str, Any], meta: Any) -> None:
        for name in _TEXTS:
            if changes.get(name):
                setattr(record, name, changes[name])
        for kind in ("billing", "shipping"):
            address: dict[str, str] = getattr(record, kind)
            given = changes.get(kind) or {}
            address.update({name: str(value) for name, value in given.items() if name in address})
        rows = [row for row in meta if isinstance(row, dict) and "key" in row] if isinstance(meta, list) else []
        for row in rows:
            same = next((each for each in record.meta if each["key"] == row["key"]), None)
            if same is not None:
                same["value"] = row.get("value")
            else:
                record.meta.append({"id": self._market.book.new_meta(), "key": row["key"], "value": row.get("value")})

    # Lines

    def _ordered(self, row: Mapping[str, Any], turn: int) -> Ordered:
        product = self._product(row)
        units = self._units(row.get("quantity", 1), turn)
        price = amount_of(product.regular_price or "0")
        if row.get("total") and units:
            price = amount_of(row["total"]) / units
        return Ordered(product.listing, units, price, str(row.get("name", "")))

    def _units(self, given: Any, turn: int) -> int:
        if not is_integer(given):
            name = f"line_items[{turn}][quantity]"
            message = f"{name} is not of type integer."
            problem = {"code": "rest_invalid_type", "message": message, "data": {"param": name}}
            raise invalid_params({"line_items": problem})
        return intval(given)

    def _product(self, row: Mapping[str, Any]) -> Product:
        products = self._market.products
        found: Product | None = None
        if row.get("sku"):
            found = products.by_sku(str(row["sku"]))
        elif row.get("variation_id") or row.get("product_id"):
            found = products.get(intval(row.get("variation_id") or row["product_id"]))
        else:
            raise WooError(400, "woocommerce_rest_required_product_reference", "Product ID or SKU is required.")
        if found is None or found.listing not in self._market.offers:
            raise WooError(400, "woocommerce_rest_invalid_product_id", "Product is invalid.")
        return found

    def _edit(self, record: WooOrder, row: Mapping[str, Any], turn: int) -> None:
        """`prepare_line_items` for an item that is there: its quantity, and the numbers at once.

        `wc_maybe_adjust_line_item_product_stock` asks for no status: an edit takes the units of an unpaid order off,
        and paying it then takes off nothing more.
        """
        order = self._market.orders[str(record.id)]
        line = next((line for line in order.lines if record.items[line.id].id == row.get("id")), None)
        if line is None:
            raise WooError(
                400, "woocommerce_rest_invalid_item_id", "Order item ID provided is not associated with order."
            )
        if "quantity" not in row:
            return
        units = self._units(row["quantity"], turn)
        self._market.reorder(order.id, line.id, units)
        if units and order.paid_at is None and order.status is not Status.CANCELLED:
            self._market.take_off(order.id)

    # Statuses

    def payment_complete(self, record: WooOrder) -> None:
        """`WC_Order::payment_complete`: processing, or completed where it is cash on delivery; not twice."""
        record.paid = record.paid or self._market.time()
        if record.status in ("pending", "on-hold", "failed", "cancelled"):
            self.set_status(record, _paid_status(record))

    def set_status(self, record: WooOrder, status: str) -> None:
        """Any status after any other. Numbers fall on processing, on-hold and completed unless they did before, and
        rise on cancelled and pending if they fell; refunded, failed and the trash move nothing."""
        name = str(record.id)
        order = self._market.orders[name]
        if status == record.status:
            return
        if status in REDUCES:
            self._reduce(order, completed=status == "completed")
        elif status in RESTORES:
            self._restore(order, cancelled=status == "cancelled")
        elif status == "refunded":
            self._refund_all(record)
        record.status = status
        if record.paid is None and status in (_paid_status(record), "completed"):
            record.paid = self._market.time()
        if status == "completed" and record.completed is None:
            record.completed = self._market.time()
        self._market.touch(record)

    def _reduce(self, order: Order, *, completed: bool) -> None:
        name = order.id
        if order.status is Status.CANCELLED:
            self._market.reopen(name)
        self._market.take_off(name)
        if completed:
            self._market.ship(name)
        else:
            self._market.unship(name)

    def _restore(self, order: Order, *, cancelled: bool) -> None:
        name = order.id
        if cancelled:
            self._market.void(name)
            return
        if order.status is Status.CANCELLED:
            self._market.reopen(name)
        self._market.unpay(name)

    def _refund_all(self, record: WooOrder) -> None:
        """`wc_order_fully_refunded`: a refund of what money is left, of no line, restocking nothing."""
        order = self._market.orders[str(record.id)]
        left = total_of(order) - record.refunded
        if left > Decimal(0):
            self.refunds.write(record, [], left, "Order fully refunded.", restock=False)
        for line in order.lines:
            self._market.write_off(order.id, line.id, line.open)


def _paid_status(record: WooOrder) -> str:
    return "completed" if record.payment_method == "cod" else "processing"
