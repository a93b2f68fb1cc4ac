"""Webhook deliveries: their bodies, shaped as the REST resources are, and their signed headers.

Header names, signature and event id: shopify.dev, Verify webhook deliveries. The bodies hold the fields of the REST
resources that a connector of quantities may look at, and the buyer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from channelsync.lab.marketplace_values import News, Order, units
from vendor_shopify import buyers
from vendor_shopify.ids import gid, time_text
from vendor_shopify.nodes_orders import OrderNodes
from vendor_shopify.orders import Item
from vendor_shopify.schema import API_VERSION
from vendor_shopify.shop import Shop
from vendor_shopify.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Event:
    """Something that subscribers of a topic are told. topic: as the enum writes it."""

    topic: str
    at: datetime
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it goes out. event: the same over repeats of one event; delivery: of this message only."""

    headers: dict[str, str]
    body: bytes
    event: str
    delivery: str


class Deliveries:
    """Makes the deliveries of one shop."""

    def __init__(self, shop: Shop, nodes: OrderNodes) -> None:
        self._shop = shop
        self._nodes = nodes

    def events(self, news: News) -> list[Event]:
        """What Shopify tells of something that happened in the lab's marketplace."""
        if news.key is not None:
            return [Event("INVENTORY_LEVELS_UPDATE", news.at, self._level(news))]
        order = news.order
        if order is None:
            return []
        content = self.order(order)
        topics = ["ORDERS_CREATE"] if news.topic == "order.created" else ["ORDERS_UPDATED"]
        if news.topic == "order.cancelled":
            topics.append("ORDERS_CANCELLED")
        if order.paid_at == order.updated_at or (news.topic == "order.created" and order.paid_at):
            topics.append("ORDERS_PAID")
        events = [Event(topic, news.at, content) for topic in topics]
        story = self._shop.book.story(order)
        new = [each for each in story.refunds if each.at == order.updated_at]
        return events + [Event("REFUNDS_CREATE", news.at, self._refund(order, each.number)) for each in new]

    def signed(self, event: Event, *, name: str | None = None, body: bytes | None = None, secret: str = "") -> Delivery:
        """A delivery of an event. body: other bytes than its content. secret: another key than the app's."""
        body = orjson.dumps(event.content) if body is None else body
        number = self._shop.numbers.new("Delivery")
        event_id = str(self._shop.numbers.of("Event", event.topic, event.at.isoformat(), _key(event)))
        digest = hmac.new((secret or self._shop.access.client_secret).encode(), body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic_path(event.topic),
            "X-Shopify-Shop-Domain": self._shop.domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": _uuid("webhook", number),
            "X-Shopify-Event-Id": _uuid("event", event_id),
            "X-Shopify-Triggered-At": event.at.isoformat().replace("+00:00", "Z"),
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        }
        if name:
            headers["X-Shopify-Name"] = name
        return Delivery(headers, body, headers["X-Shopify-Event-Id"], headers["X-Shopify-Webhook-Id"])

    def of_order(self, order: Order, topic: str = "ORDERS_UPDATED") -> Delivery:
        """A delivery about an order, sent now."""
        return self.signed(Event(topic, self._shop.marketplace.time(), self.order(order)))

    def cut(self, event: Event, subscription: Subscription) -> Event:
        """An event with the fields only that a subscription wants."""
        if not subscription.fields:
            return event
        content = {name: value for name, value in event.content.items() if name in subscription.fields}
        return Event(event.topic, event.at, content)

    # Bodies

    def order(self, order: Order) -> dict[str, Any]:
        """The REST resource of an order."""
        number = self._shop.book.number(order)
        cancelled = order.cancelled_at or self._shop.book.story(order).cancelled_at
        return buyers.rest() | {
            "id": int(number),
            "admin_graphql_api_id": gid("Order", number),
            "name": f"#{1000 + order.number}",
            "order_number": 1000 + order.number,
            "created_at": time_text(order.placed_at),
            "updated_at": time_text(order.updated_at),
            "cancelled_at": time_text(cancelled),
            "confirmed": self._shop.book.story(order).confirmed,
            "test": self._shop.book.story(order).test,
            "currency": self._shop.currency,
            "financial_status": self._nodes.financial_status(order).lower(),
            "fulfillment_status": _rest_status(self._nodes.fulfillment_status(order)),
            "line_items": [self._item(order, item) for item in self._shop.book.items(order)],
            "refunds": [self._refund(order, each.number) for each in self._shop.book.story(order).refunds],
        }

    def _item(self, order: Order, item: Item) -> dict[str, Any]:
        line = item.line
        product = self._shop.catalogue.product_of(item.listing)
        return {
            "id": int(item.number),
            "admin_graphql_api_id": gid("LineItem", item.number),
            "variant_id": int(item.listing),
            "product_id": int(product.number),
            "sku": line.sku,
            "title": line.title,
            "quantity": self._shop.book.most(order, line) * item.each,
            "current_quantity": self._shop.book.current(order, line) * item.each,
            "fulfillable_quantity": line.open * item.each,
            "fulfillment_status": "fulfilled" if units(line.shipped) and not line.open else None,
        }

    def _refund(self, order: Order, number: str) -> dict[str, Any]:
        note = next(each for each in self._shop.book.story(order).refunds if each.number == number)
        items = {item.line.id: item for item in self._shop.book.items(order)}
        return {
            "id": int(number),
            "order_id": int(self._shop.book.number(order)),
            "admin_graphql_api_id": gid("Refund", number),
            "created_at": time_text(note.at),
            "refund_line_items": [
                {
                    "id": int(row.number),
                    "line_item_id": int(items[row.line].number) if row.line in items else None,
                    "quantity": row.units,
                    "restock_type": row.restock.lower(),
                    "location_id": int(row.location) if row.location else None,
                }
                for row in note.lines
            ],
        }

    def _level(self, news: News) -> dict[str, Any]:
        assert news.key is not None
        level = self._shop.numbers.of("InventoryLevel", news.key.key, news.key.location)
        return {
            "inventory_item_id": int(news.key.key),
            "location_id": int(news.key.location),
            "available": news.number,
            "updated_at": time_text(news.at),
            "admin_graphql_api_id": f"{gid('InventoryLevel', level)}?inventory_item_id={news.key.key}",
        }


_GROUPS = ("inventory_levels", "inventory_items", "fulfillment_orders", "bulk_operations", "product_publications")


def topic_path(topic: str) -> str:
    """A topic as the header writes it: orders/create, inventory_levels/update."""
    low = topic.lower()
    group = next((each for each in _GROUPS if low.startswith(f"{each}_")), low.partition("_")[0])
    return f"{group}/{low[len(group) + 1 :]}"


def _rest_status(status: str) -> str | None:
    return {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(status)


def _key(event: Event) -> str:
    return str(event.content.get("id") or event.content.get("inventory_item_id") or "")


def _uuid(*parts: str) -> str:
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
