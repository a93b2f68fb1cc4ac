"""Orders as the Fulfillment API writes them, with a buyer in every place where eBay tells of one.

Refunds are amounts only: no field says how many units came back. `cancelRequests` is empty in getOrders and filled in
getOrder, as eBay's description says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from channelsync.lab.marketplace_values import Happened, Line, Order, Status, units
from channelsync.sdk.contract.world import CANARY
from vendor_ebay.market import CancelRequest
from vendor_ebay.shop import Shop

_NAME, _MAIL, _PHONE, _STREET = CANARY
ODDITIES = ("no lines", "half a unit", "negative units")


def time_json(time: datetime) -> str:
    """As eBay writes times: UTC, milliseconds, Z."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


class OrderWriter:
    """Writes orders. odd: orders by id that are written as nonsense, in one of `ODDITIES`."""

    def __init__(self, shop: Shop, seller: str) -> None:
        self._shop = shop
        self._seller = seller
        self.odd: dict[str, str] = {}

    def write(self, order: Order, *, requests: bool) -> dict[str, Any]:
        """An order. requests: whether the wishes to cancel are told (getOrder), or an empty list (getOrders)."""
        lines = [self._line(order, line) for line in order.lines]
        match self.odd.get(order.id):
            case "no lines":
                lines = []
            case "half a unit":
                lines[0]["quantity"] = 0.5
            case "negative units":
                lines[0]["quantity"] = -1
        total = sum((line.price * line.ordered for line in order.lines), start=Decimal("0.00"))
        return {
            "orderId": order.id,
            "creationDate": time_json(order.placed_at),
            "lastModifiedDate": time_json(order.updated_at),
            "orderFulfillmentStatus": _shipped(order.lines),
            "orderPaymentStatus": _paid(order, total),
            "sellerId": self._seller,
            "buyer": _buyer(),
            "buyerCheckoutNotes": f"Leave it with {_NAME}, {_STREET}, or call {_PHONE}.",
            "pricingSummary": {
                "priceSubtotal": self._money(total),
                "deliveryCost": self._money(Decimal("0.00")),
                "total": self._money(total),
            },
            "cancelStatus": self._cancelled(order, requests=requests),
            "paymentSummary": self._payment(order, total),
            "fulfillmentStartInstructions": [_to_ship()],
            "fulfillmentHrefs": [
                f"/sell/fulfillment/v1/order/{order.id}/shipping_fulfillment/{each['fulfillmentId']}"
                for each in self.shipments(order)
            ],
            "lineItems": lines,
            "salesRecordReference": str(order.number),
            "totalFeeBasisAmount": self._money(total),
        }

    def shipments(self, order: Order) -> list[dict[str, Any]]:
        """The shipping fulfilments: one for each moment at which units left."""
        by_moment: dict[datetime, list[dict[str, Any]]] = {}
        for line in order.lines:
            for each in line.shipped:
                by_moment.setdefault(each.at, []).append({"lineItemId": line.id, "quantity": each.units})
        return [
            {
                "fulfillmentId": f"94{order.number:010}{place:04}",
                "shipmentTrackingNumber": f"1Z{order.number:08}{place:04}",
                "shippingCarrierCode": "UPS",
                "shippedDate": time_json(at),
                "lineItems": lines,
            }
            for place, (at, lines) in enumerate(sorted(by_moment.items()), 1)
        ]

    def _line(self, order: Order, line: Line) -> dict[str, Any]:
        shop = self._shop
        told: dict[str, Any] = {
            "lineItemId": line.id,
            "legacyItemId": shop.lines.get(line.id, ""),
            "title": line.title or line.listing,
            "quantity": line.ordered,
            "lineItemCost": self._money(line.price * line.ordered),
            "total": self._money(line.price * line.ordered),
            "deliveryCost": {"shippingCost": self._money(Decimal("0.00"))},
            "soldFormat": "FIXED_PRICE",
            "listingMarketplaceId": shop.behaviour.site,
            "purchaseMarketplaceId": shop.behaviour.site,
            "lineItemFulfillmentStatus": _shipped((line,)),
            "appliedPromotions": [],
            "taxes": [],
            "properties": {"buyerProtection": True},
            "lineItemFulfillmentInstructions": {
                "shipByDate": time_json(order.placed_at + timedelta(days=2)),
                "guaranteedDelivery": False,
            },
            "itemLocation": {"location": "Leeds", "countryCode": "GB", "postalCode": "LS1 4AP"},
            "refunds": [self._refund(line, each) for each in (*line.written_off, *line.returned, *line.quarantined)],
        }
        if line.sku:
            told["sku"] = line.sku
        if (variation := shop.variations.get(line.id)) is not None:
            told["legacyVariationId"] = variation
            told["variationAspects"] = [{"name": "Colour", "value": line.sku or ""}]
        return told

    def _refund(self, line: Line, happened: Happened) -> dict[str, Any]:
        return {
            "amount": self._money(line.price * happened.units),
            "refundDate": time_json(happened.at),
            "refundId": f"5{int(happened.at.timestamp() * 1000)}",
        }

    def _payment(self, order: Order, total: Decimal) -> dict[str, Any]:
        payment: dict[str, Any] = {
            "paymentMethod": "EBAY",
            "amount": self._money(total),
            "paymentStatus": "PAID" if order.paid_at else "PENDING",
        }
        if order.paid_at:
            payment["paymentDate"] = time_json(order.paid_at)
            payment["paymentReferenceId"] = f"P{order.number:09}"
        refunds = []
        back = total if order.status is Status.CANCELLED and order.paid_at else order.refunded
        if back > 0:
            refunds.append(
                {
                    "amount": self._money(back),
                    "refundDate": time_json(order.cancelled_at or order.updated_at),
                    "refundId": f"6{order.number:09}",
                    "refundStatus": "REFUNDED",
                }
            )
        return {"totalDueSeller": self._money(total - back), "payments": [payment], "refunds": refunds}

    def _cancelled(self, order: Order, *, requests: bool) -> dict[str, Any]:
        asked = self._shop.market.cancel_requests.get(order.id, [])
        told: dict[str, Any] = {"cancelState": "NONE_REQUESTED", "cancelRequests": []}
        if order.status is Status.CANCELLED:
            told["cancelState"] = "CANCELED"
            if order.cancelled_at is not None:
                told["cancelledDate"] = time_json(order.cancelled_at)
        elif any(each.open_at(order.updated_at) for each in asked):
            told["cancelState"] = "IN_PROGRESS"
        if requests:
            told["cancelRequests"] = [_request(each) for each in asked]
        return told

    def _money(self, amount: Decimal) -> dict[str, str]:
        return {"value": f"{amount:.2f}", "currency": self._shop.behaviour.currency}


def _request(asked: CancelRequest) -> dict[str, Any]:
    state = "REJECTED" if asked.rejected else "REQUESTED" if asked.closed is None else "COMPLETED"
    told = {
        "cancelRequestId": asked.id,
        "cancelInitiator": asked.initiator,
        "cancelReason": asked.reason,
        "cancelRequestedDate": time_json(asked.requested),
        "cancelRequestState": state,
    }
    if asked.closed is not None and not asked.rejected:
        told["cancelCompletedDate"] = time_json(asked.closed)
    return told


def _shipped(lines: tuple[Line, ...]) -> str:
    """OrderFulfillmentStatus, of an order or of one line."""
    gone = sum(units(line.shipped) for line in lines)
    if gone == 0:
        return "NOT_STARTED"
    return "FULFILLED" if gone >= sum(line.ordered for line in lines) else "IN_PROGRESS"


def _paid(order: Order, total: Decimal) -> str:
    """OrderPaymentStatusEnum."""
    if order.paid_at is None:
        return "FAILED" if order.status is Status.CANCELLED else "PENDING"
    if order.status is Status.CANCELLED or (total and order.refunded >= total):
        return "FULLY_REFUNDED"
    back = order.refunded or any(line.written_off or line.returned or line.quarantined for line in order.lines)
    return "PARTIALLY_REFUNDED" if back else "PAID"


def _buyer() -> dict[str, Any]:
    return {
        "username": _NAME,
        "taxAddress": {"city": "Leeds", "postalCode": "LS1 4AP", "countryCode": "GB"},
        "buyerRegistrationAddress": _contact(),
    }


def _to_ship() -> dict[str, Any]:
    return {
        "fulfillmentInstructionsType": "SHIP_TO",
        "ebaySupportedFulfillment": False,
        "shippingStep": {"shippingServiceCode": "UPSGround", "shippingCarrierCode": "UPS", "shipTo": _contact()},
    }


def _contact() -> dict[str, Any]:
    return {
        "fullName": _NAME,
        "email": _MAIL,
        "primaryPhone": {"phoneNumber": _PHONE},
        "contactAddress": {
            "addressLine1": _STREET,
            "city": "Leeds",
            "postalCode": "LS1 4AP",
            "countryCode": "GB",
        },
    }
