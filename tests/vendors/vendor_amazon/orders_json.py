"""Orders as the Orders API 2026-01-01 writes them, with the data sets that were asked for."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from channelsync.lab.marketplace_values import Line, Order, units
from channelsync.sdk.contract.world import CANARY
from vendor_amazon.ask import told
from vendor_amazon.catalogue import Catalogue
from vendor_amazon.habits import AmazonHabits
from vendor_amazon.order_book import OrderBook, gone
from vendor_amazon.places import PLACES

_NAME, _EMAIL, _PHONE, _STREET = CANARY


class OrderWriter:
    """Writes orders. Buyers' data is in BUYER and RECIPIENT, and what a buyer wrote on a gift card in FULFILLMENT."""

    def __init__(self, book: OrderBook, catalogue: Catalogue, habits: AmazonHabits) -> None:
        self._book = book
        self._catalogue = catalogue
        self._habits = habits

    def write(self, order: Order, included: Collection[str]) -> dict[str, Any]:
        """A version of an order."""
        place = PLACES[self._book.place_of(order)]
        by_amazon = self._book.by_amazon(order)
        written: dict[str, Any] = {
            "orderId": order.id,
            "createdTime": told(order.placed_at),
            "lastUpdatedTime": told(order.updated_at),
            "salesChannel": {"channelName": "AMAZON", "marketplaceId": place.id, "marketplaceName": place.name},
        }
        if "BUYER" in included:
            written["buyer"] = {"buyerName": _NAME} | ({} if by_amazon else {"buyerEmail": _EMAIL})
        if "RECIPIENT" in included:
            written["recipient"] = {"deliveryAddress": _address(place.country)}
        if "PROCEEDS" in included:
            total = sum((line.price * self._ordered(line) for line in order.lines), Decimal("0.00"))
            written["proceeds"] = {"grandTotal": {"amount": f"{total:.2f}", "currencyCode": place.currency}}
        if "FULFILLMENT" in included:
            written["fulfillment"] = {
                "fulfillmentStatus": self._book.status(order),
                "fulfilledBy": "AMAZON" if by_amazon else "MERCHANT",
                "fulfillmentServiceLevel": "STANDARD",
            }
        written["orderItems"] = [self._item(order, line, place.currency, included) for line in order.lines]
        if "PACKAGES" in included and not by_amazon:
            written["packages"] = _packages(order)
        return self._made_odd(order, written)

    def _item(self, order: Order, line: Line, currency: str, included: Collection[str]) -> dict[str, Any]:
        item = self._catalogue.item(line.listing)
        product: dict[str, Any] = {
            "title": line.title,
            "sellerSku": line.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW", "conditionNote": ""},
            "price": {"unitPrice": {"amount": str(line.price), "currencyCode": currency}},
        }
        if item is not None:
            product["asin"] = item.asin
        written: dict[str, Any] = {
            "orderItemId": line.id,
            "quantityOrdered": self._ordered(line),
            "product": product,
        }
        if "FULFILLMENT" in included:
            written["fulfillment"] = {
                "quantityFulfilled": units(line.shipped),
                "quantityUnfulfilled": line.open,
                "packing": {"giftOption": {"giftMessage": f"From {_NAME}, {_STREET}", "giftWrapLevel": "STANDARD"}},
            }
        if "CANCELLATION" in included and (cancellation := self._cancellation(order, line)):
            written["cancellation"] = cancellation
        return written

    def _ordered(self, line: Line) -> int:
        return line.ordered - (gone(line) if self._habits.cancelled_units == "taken off" else 0)

    def _cancellation(self, order: Order, line: Line) -> dict[str, Any]:
        known = self._book.cancellation(order, line.id)
        written: dict[str, Any] = {}
        if known is not None and known.requested:
            written["cancellationRequest"] = {"requester": "BUYER", "cancelReason": known.requested}
        if known is not None and known.by is not None and gone(line):
            written["cancellationExecution"] = {"cancelledBy": known.by, "cancelReason": known.reason}
        return written

    def _made_odd(self, order: Order, written: dict[str, Any]) -> dict[str, Any]:
        """An order of which nobody knows what to ship, where the tests want one."""
        match self._book.odd.get(order.id):
            case "no lines":
                written["orderItems"] = []
            case "half a unit":
                written["orderItems"][0]["quantityOrdered"] = 0.5
            case "negative units":
                written["orderItems"][0]["quantityOrdered"] = -1
        return written


def _address(country: str) -> dict[str, str]:
    return {
        "name": _NAME,
        "addressLine1": _STREET,
        "city": "Ambleside",
        "postalCode": "LA22 9AB",
        "countryCode": country,
        "phone": _PHONE,
        "addressType": "RESIDENTIAL",
    }


def _packages(order: Order) -> list[dict[str, Any]]:
    """One package for all that left at one time."""
    left: dict[str, list[dict[str, Any]]] = {}
    for line in order.lines:
        for shipped in line.shipped:
            packed = {"orderItemId": line.id, "quantity": shipped.units}
            left.setdefault(told(shipped.at), []).append(packed)
    return [
        {
            "packageReferenceId": str(number),
            "createdTime": at,
            "packageStatus": {"status": "SHIPPED"},
            "carrier": "Royal Mail",
            "shipTime": at,
            "packageItems": packed,
        }
        for number, (at, packed) in enumerate(sorted(left.items()), 1)
    ]
