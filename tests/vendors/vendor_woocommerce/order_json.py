"""Orders and refunds as the API shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from channelsync.lab.marketplace_values import Line, Order
from channelsync.sdk.contract.world import Nonsense
from vendor_woocommerce.dates import both, gmt, local
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.orders import Refund, RefundLine, WooOrder
from vendor_woocommerce.php import number
from vendor_woocommerce.product_json import self_link

_CENT = Decimal("0.01")


def money(amount: Decimal) -> str:
    """Two decimals."""
    return str(amount.quantize(_CENT))


def total_of(order: Order) -> Decimal:
    """What the buyer pays."""
    return sum((line.price * line.ordered for line in order.lines), start=Decimal("0.00"))


def _meta(number_of: int, key: str, value: str, display: str | None = None) -> dict[str, Any]:
    return {"id": number_of, "key": key, "value": value, "display_key": display or key, "display_value": value}


class OrderJson:
    """Writes orders of one shop."""

    def __init__(self, market: WooMarketplace, options: SiteOptions) -> None:
        self._market = market
        self._options = options

    def order(self, record: WooOrder, base: str) -> dict[str, Any]:
        """As /orders shows it. base: the site's address of this request."""
        order = self._market.orders[str(record.id)]
        zone = self._options.zone
        total = total_of(order)
        shown: dict[str, Any] = {
            "id": record.id,
            "parent_id": 0,
            "status": record.status,
            "currency": record.currency,
            "version": self._options.version,
            "prices_include_tax": False,
            "date_created": local(order.placed_at, zone),
            "date_modified": local(record.modified, zone),
            "discount_total": "0.00",
            "discount_tax": "0.00",
            "shipping_total": "0.00",
            "shipping_tax": "0.00",
            "cart_tax": "0.00",
            "total": money(total),
            "total_tax": "0.00",
            "customer_id": record.customer_id,
            "order_key": record.order_key,
            "billing": record.billing,
            "shipping": record.shipping,
            "payment_method": record.payment_method,
            "payment_method_title": record.payment_method_title,
            "transaction_id": record.transaction_id,
            "customer_ip_address": "",
            "customer_user_agent": "",
            "created_via": record.created_via,
            "customer_note": record.customer_note,
            "date_completed": local(record.completed, zone),
            "date_paid": local(record.paid, zone),
            "cart_hash": "",
            "number": str(record.id),
            "meta_data": record.meta,
            "line_items": self._lines(record, order),
            "tax_lines": [],
            "shipping_lines": [],
            "fee_lines": [],
            "coupon_lines": [],
            "refunds": [
                {"id": each.id, "reason": each.reason, "total": f"-{money(each.amount)}"}
                for each in reversed(record.refunds)
            ],
            "payment_url": f"{base}/checkout/order-pay/{record.id}/?pay_for_order=true&key={record.order_key}",
            "is_editable": record.status in ("pending", "on-hold", "auto-draft"),
            "needs_payment": record.status in ("pending", "failed") and total > 0,
            "needs_processing": True,
            "date_created_gmt": gmt(order.placed_at),
            "date_modified_gmt": gmt(record.modified),
            "date_completed_gmt": gmt(record.completed),
            "date_paid_gmt": gmt(record.paid),
            "currency_symbol": "$",
        }
        root = f"{base}/wp-json/wc/v3/orders"
        links = {
            "self": self_link(f"{root}/{record.id}"),
            "collection": [{"href": root}],
            "email_templates": [{"embeddable": True, "href": f"{root}/{record.id}/actions/email_templates"}],
        }
        return {**shown, "_links": links}

    def _lines(self, record: WooOrder, order: Order) -> list[dict[str, Any]]:
        lines = [self._line(record, line) for line in order.lines if line.ordered]
        match record.odd:
            case Nonsense.NO_LINES:
                return []
            case Nonsense.FRACTION:
                lines[0]["quantity"] = 0.5
            case Nonsense.NEGATIVE:
                lines[0]["quantity"] = -1
        return lines

    def _line(self, record: WooOrder, line: Line) -> dict[str, Any]:
        item = record.items[line.id]
        product = self._market.products.of_listing(line.listing)
        parent = self._market.products.parent_of(product) if product else None
        metas = [
            _meta(self._market.book.meta_id(item, each["slug"]), each["slug"], str(each["option"]), each["name"])
            for each in (product.attributes if product and parent else [])
        ]
        reduced = line.deducted - line.given_back
        # `wc_restock_refunded_items` counts down to 0; only setting the order back deletes the row.
        if line.moves and (reduced or 0 < item.restocked == line.given_back):
            metas.append(_meta(self._market.book.meta_id(item, "_reduced_stock"), "_reduced_stock", str(reduced)))
        if line.moves and item.restocked:
            key = "_restock_refunded_items"
            metas.append(_meta(self._market.book.meta_id(item, key), key, str(item.restocked)))
        total = money(line.price * line.ordered)
        return {
            "id": item.id,
            **self._what(line),
            "quantity": line.ordered,
            "tax_class": "",
            "subtotal": total,
            "subtotal_tax": "0.00",
            "total": total,
            "total_tax": "0.00",
            "taxes": [],
            "meta_data": metas,
            "sku": line.sku or "",
            "price": number(float(total) / line.ordered),
            "image": {"id": 0 if parent else "", "src": ""},
            "parent_name": parent.name if parent else None,
        }

    def _what(self, line: Line) -> dict[str, Any]:
        """The product of a line; one that was deleted is told as 0."""
        product = self._market.products.of_listing(line.listing)
        parent = self._market.products.parent_of(product) if product else None
        name = line.title
        if product is not None and parent is not None:
            options = ", ".join(str(each["option"]) for each in product.attributes) or product.name
            name = f"{parent.name} - {options}"
        return {
            "name": name,
            "product_id": parent.id if parent else (product.id if product else 0),
            "variation_id": product.id if product and parent else 0,
        }

    def refund(self, record: WooOrder, refund: Refund, base: str) -> dict[str, Any]:
        """As /orders/{id}/refunds shows it."""
        order = self._market.orders[str(record.id)]
        up = f"{base}/wp-json/wc/v3/orders/{record.id}"
        links = {
            "self": self_link(f"{up}/refunds/{refund.id}", ["GET", "DELETE"]),
            "collection": [{"href": f"{up}/refunds"}],
            "up": [{"href": up}],
        }
        return {
            "id": refund.id,
            **both("date_created", refund.created, self._options.zone),
            "amount": money(refund.amount),
            "reason": refund.reason,
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": [],
            "line_items": [self._refund_line(record, order, each) for each in refund.lines],
            "shipping_lines": [],
            "tax_lines": [],
            "fee_lines": [],
            "_links": links,
        }

    def _refund_line(self, record: WooOrder, order: Order, told: RefundLine) -> dict[str, Any]:
        line = order.line(told.line)
        total = money(-told.total)
        key = "_refunded_item_id"
        return {
            "id": told.item,
            **self._what(line),
            "quantity": -told.units,
            "tax_class": "",
            "subtotal": total,
            "subtotal_tax": "0.00",
            "total": total,
            "total_tax": "0.00",
            "taxes": [],
            "meta_data": [_meta(told.meta, key, str(record.items[told.line].id))],
            "sku": line.sku or "",
            "price": number(float(told.total) / told.units) if told.units else 0,
            "image": {"id": "", "src": ""},
            "parent_name": None,
        }
