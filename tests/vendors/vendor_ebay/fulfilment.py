"""The Fulfillment API: orders found late and paged by offset over a set that moves, shipping fulfilments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_values import Order, Status
from vendor_ebay.calls import Call, Handler, whole_number
from vendor_ebay.errors import Answer, Refused, fulfilment, invalid_request
from vendor_ebay.order_filter import OrderFilter, milliseconds, read_filter
from vendor_ebay.order_json import OrderWriter
from vendor_ebay.shop import Shop

LARGEST = 200
IDS = 50
_ID = re.compile(r"\d{2}-\d{5}-\d{5}")
_PATH = "/sell/fulfillment/v1/order"
_EVERYTHING = 1_000_000
_RAW = re.compile(rb"[\[\]{}|]")


class Fulfilment:
    """The calls of `order` and `shipping_fulfillment`."""

    def __init__(self, shop: Shop, writer: OrderWriter) -> None:
        self._shop = shop
        self._writer = writer

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getOrders": self.search,
            "getOrder": self.one,
            "getShippingFulfillments": self.shipments,
            "getShippingFulfillment": self.shipment,
            "createShippingFulfillment": self.ship,
        }

    def search(self, call: Call) -> Answer:
        """GET /order"""
        if _RAW.search(call.request.raw_query):
            raise Refused(400, invalid_request("The characters [ ] { | } of a query must be percent-encoded."))
        _check_groups(call)
        if "orderIds" in call.query:
            return self._by_ids(call, [each for each in call.query["orderIds"].split(",") if each])
        limit = whole_number(call.query.get("limit"), 50)
        offset = whole_number(call.query.get("offset"), 0)
        if limit is None or not 1 <= limit <= LARGEST:
            raise Refused(400, fulfilment(31100, f"Invalid limit: {call.query.get('limit')}"))
        if offset is None:
            raise Refused(400, fulfilment(31000, f"Invalid offset: {call.query.get('offset')}"))
        limit = min(limit, self._shop.market.rules.orders_per_page)
        every = self._matching(read_filter(call.query.get("filter"), self._shop.market.time()), call.now)
        told = self._told(every[offset : offset + limit], len(every), limit, offset, call)
        if offset + limit < len(every):
            following = offset if call.met(FaultKind.SAME_CURSOR) else offset + limit
            told["next"] = _page(call, limit, following)
        if offset > 0:
            told["prev"] = _page(call, limit, max(0, offset - limit))
        return Answer(200, told)

    def one(self, call: Call) -> Answer:
        """GET /order/{orderId}: as it is now, with the wishes to cancel."""
        _check_groups(call)
        return Answer(200, self._writer.write(self._order(call.arguments["orderId"]), requests=True))

    def shipments(self, call: Call) -> Answer:
        """GET /order/{orderId}/shipping_fulfillment"""
        found = self._writer.shipments(self._order(call.arguments["orderId"]))
        return Answer(200, {"fulfillments": found, "total": len(found), "warnings": []})

    def shipment(self, call: Call) -> Answer:
        """GET /order/{orderId}/shipping_fulfillment/{fulfillmentId}"""
        named = call.arguments["fulfillmentId"]
        for each in self._writer.shipments(self._order(call.arguments["orderId"])):
            if named in (each["fulfillmentId"], each["shipmentTrackingNumber"]):
                return Answer(200, each)
        raise Refused(404, fulfilment(32110, f"Invalid shipping fulfillment ID: {named}"))

    def ship(self, call: Call) -> Answer:
        """POST /order/{orderId}/shipping_fulfillment"""
        order = self._order(call.arguments["orderId"])
        asked = call.json()
        lines = {line.id: line for line in order.lines}
        wanted: dict[str, int] = {}
        for row in asked.get("lineItems") or ():
            line = str(row.get("lineItemId"))
            if line not in lines:
                raise Refused(400, fulfilment(32200, f"Invalid line item id: {line}"))
            if line in wanted:
                raise Refused(400, fulfilment(32210, "Duplicate line item in the request"))
            wanted[line] = row.get("quantity", 1)
        if bool(asked.get("trackingNumber")) != bool(asked.get("shippingCarrierCode")):
            raise Refused(400, fulfilment(32300, "Invalid shipment tracking number or carrier"))
        many = wanted or {line.id: line.open for line in order.lines}
        wrong = any(units < 1 or units > lines[line].open for line, units in many.items())
        if wrong or order.status is Status.CANCELLED:
            raise Refused(400, fulfilment(32600, "Invalid input data"))
        after = self._shop.market.ship(order.id, many)
        made = self._writer.shipments(after)[-1]["fulfillmentId"]
        return Answer(201, {}, {"location": f"{_PATH}/{order.id}/shipping_fulfillment/{made}"})

    def _by_ids(self, call: Call, ids: list[str]) -> Answer:
        if len(ids) > IDS:
            raise Refused(400, fulfilment(30900, f"Exceeded maximum number of order IDs (the current limit is {IDS})"))
        known = self._shop.market.orders
        found = [known[each] for each in dict.fromkeys(ids) if each in known]
        return Answer(200, self._told(found, len(found), IDS, 0, call))

    def _matching(self, asked: OrderFilter, now: datetime) -> list[Order]:
        """What the search knows of, in its order."""
        search = self._shop.market.search
        search.learn(now)
        since = milliseconds(asked.since) if asked.by == "lastmodifieddate" else None
        rows, _ = search.page(since=since, cursor=None, limit=_EVERYTHING, site=None)
        found = [
            order
            for order in rows
            if asked.since
            <= milliseconds(order.placed_at if asked.by == "creationdate" else order.updated_at)
            <= asked.until
            and (asked.statuses is None or self._status(order) in asked.statuses)
        ]
        newest = self._shop.behaviour.newest_first
        return sorted(found, key=lambda order: (order.placed_at, order.id), reverse=newest)

    def _status(self, order: Order) -> str:
        return str(self._writer.write(order, requests=False)["orderFulfillmentStatus"])

    def _told(self, orders: list[Order], total: int, limit: int, offset: int, call: Call) -> dict[str, Any]:
        rows = [self._writer.write(order, requests=False) for order in orders]
        return {
            "href": _page(call, limit, offset),
            "total": total,
            "limit": limit,
            "offset": offset,
            "orders": call.spoilt(rows),
        }

    def _order(self, name: str) -> Order:
        if _ID.fullmatch(name) is None:
            raise Refused(400, fulfilment(32100, f"Invalid order ID: {name}"))
        order = self._shop.market.orders.get(name)
        if order is None or order.placed_at < self._shop.market.time() - timedelta(days=731):
            raise Refused(404, fulfilment(32100, f"Invalid order ID: {name}"))
        return order


def _check_groups(call: Call) -> None:
    if call.query.get("fieldGroups", "TAX_BREAKDOWN") != "TAX_BREAKDOWN":
        raise Refused(400, fulfilment(32800, f"Invalid field group: {call.query['fieldGroups']}"))


def _page(call: Call, limit: int, offset: int) -> str:
    others: Mapping[str, str] = {name: call.query[name] for name in ("filter", "orderIds") if name in call.query}
    text = "".join(f"{name}={quote(value)}&" for name, value in others.items())
    return f"{_PATH}?{text}limit={limit}&offset={offset}"
