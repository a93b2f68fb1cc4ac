"""GetOrders of the Trading API: the same orders as the Fulfillment API's, in the old words."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from channelsync.lab.marketplace_values import Line, Order, Status
from channelsync.sdk.contract.world import CANARY
from vendor_ebay.order_json import time_json
from vendor_ebay.shop import Shop
from vendor_ebay.trading_items import time_of
from vendor_ebay.trading_xml import Money, bad_input, number_of, text_of

_NAME, _MAIL, _PHONE, _STREET = CANARY
_LARGEST = 100
_EVERYTHING = 1_000_000


def get_orders(shop: Shop, seller: str, root: ET.Element) -> dict[str, Any]:
    """GetOrders: by ids, or by creation or change in a range; changes of at most 30 days."""
    ids = [(node.text or "").strip() for node in root.findall("OrderIDArray/OrderID")]
    size, number = number_of(root, "Pagination/EntriesPerPage", 25), number_of(root, "Pagination/PageNumber", 1)
    if not 1 <= size <= _LARGEST or number < 1:
        raise bad_input("Pagination")
    known = shop.market.orders
    every = [known[each] for each in ids if each in known] if ids else _matching(shop, root)
    rows = every[(number - 1) * size : number * size]
    pages = math.ceil(len(every) / size)
    return {
        "PaginationResult": {"TotalNumberOfPages": pages, "TotalNumberOfEntries": len(every)},
        "HasMoreOrders": number < pages,
        "OrderArray": {"Order": [_order(shop, seller, each) for each in rows]},
        "OrdersPerPage": size,
        "PageNumber": number,
        "ReturnedOrderCountActual": len(rows),
    }


def _matching(shop: Shop, root: ET.Element) -> list[Order]:
    by, since, until = _range(root, shop.market.time())
    search = shop.market.search
    search.learn(shop.market.now())
    rows, _ = search.page(since=None, cursor=None, limit=_EVERYTHING, site=None)
    found = [each for each in rows if since <= (each.updated_at if by == "Mod" else each.placed_at) <= until]
    return sorted(found, key=lambda each: (each.placed_at, each.id))


def _range(root: ET.Element, now: datetime) -> tuple[str, datetime, datetime]:
    days = number_of(root, "NumberOfDays", 0)
    if days:
        if not 1 <= days <= 30:
            raise bad_input("NumberOfDays")
        return "Create", now - timedelta(days=days), now
    for by, longest in (("Mod", timedelta(days=30)), ("Create", timedelta(days=90))):
        since, until = text_of(root, f"{by}TimeFrom"), text_of(root, f"{by}TimeTo")
        if since and until:
            first, last = time_of(since, f"{by}TimeFrom"), time_of(until, f"{by}TimeTo")
            if last < first or last - first > longest:
                raise bad_input(f"{by}TimeTo")
            return by, first, last
    raise bad_input("CreateTimeFrom")


def _order(shop: Shop, seller: str, order: Order) -> dict[str, Any]:
    total = sum((line.price * line.ordered for line in order.lines), start=Decimal("0.00"))
    shipped = [each.at for line in order.lines for each in line.shipped]
    cancelled = order.status is Status.CANCELLED
    return {
        "OrderID": order.id,
        "OrderStatus": "Cancelled" if cancelled else "Completed" if order.paid_at else "Active",
        "AmountPaid": Money(f"{total if order.paid_at else 0:.2f}", shop.behaviour.currency),
        "CheckoutStatus": {
            "eBayPaymentStatus": "NoPaymentFailure",
            "LastModifiedTime": time_json(order.updated_at),
            "Status": "Complete" if order.paid_at else "Incomplete",
        },
        "CreatedTime": time_json(order.placed_at),
        "ShippingAddress": {"Name": _NAME, "Street1": _STREET, "Phone": _PHONE, "Country": "GB"},
        "Total": Money(f"{total:.2f}", shop.behaviour.currency),
        "TransactionArray": {"Transaction": [_transaction(shop, order, line) for line in order.lines]},
        "BuyerUserID": _NAME,
        "PaidTime": time_json(order.paid_at) if order.paid_at else None,
        "ShippedTime": time_json(max(shipped)) if shipped and all(not line.open for line in order.lines) else None,
        "CancelStatus": "CancelComplete" if cancelled else "NotApplicable",
        "SellerUserID": seller,
    }


def _transaction(shop: Shop, order: Order, line: Line) -> dict[str, Any]:
    item = shop.lines.get(line.id, "")
    variation = line.id in shop.variations
    return {
        "Buyer": {"Email": _MAIL},
        "CreatedDate": time_json(order.placed_at),
        "Item": {"ItemID": item, "Title": line.title or line.listing, "SKU": None if variation else line.sku},
        "QuantityPurchased": line.ordered,
        "TransactionID": line.id,
        "Variation": {"SKU": line.sku} if variation else None,
        "OrderLineItemID": f"{item}-{line.id}",
    }
