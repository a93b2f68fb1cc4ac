"""Notifications on their way: signed, one for each line of an order, tried three times, as eBay does.

What `data` of an ORDER_CONFIRMATION holds is not in the descriptions at hand; eBay's AsyncAPI page says that there is
one notification a line and that the seller looks the orderId up in it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass
from datetime import datetime

import httpx
import orjson

from channelsync.lab.marketplace_values import Line, News, Order
from vendor_ebay.notifications import ORDER_TOPIC, Notifications
from vendor_ebay.order_json import time_json
from vendor_ebay.shop import Shop
from vendor_ebay.signing import HEADER

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Signed:
    """A delivery as it is sent. event: the notification's id."""

    headers: dict[str, str]
    body: bytes
    event: str


class Deliveries:
    """Makes deliveries, and sends them to who subscribed."""

    def __init__(self, shop: Shop, notifications: Notifications, seller: str, rng: random.Random) -> None:
        self._shop = shop
        self._notifications = notifications
        self._seller = seller
        self._rng = rng

    def of_order(self, order: Order, now: datetime, *, attempt: int = 1) -> list[Signed]:
        """The notifications of an order, one for each line. now: by eBay's clock."""
        return [self._signed(self._event(), order, line, now, attempt) for line in order.lines]

    async def send(self, order: Order, client: httpx.AsyncClient) -> list[int]:
        """Sends an order's notifications to all who want them; gives the status of every attempt, 0 for none.

        An attempt counts as taken with any 2xx. After three failures of one notification the next one is sent.
        """
        statuses: list[int] = []
        for destination in self._notifications.wanting(ORDER_TOPIC):
            for line in order.lines:
                event = self._event()
                for attempt in range(1, ATTEMPTS + 1):
                    if destination.status != "ENABLED":
                        break
                    signed = self._signed(event, order, line, self._shop.market.time(), attempt)
                    status = await _post(client, destination.endpoint, signed)
                    statuses.append(status)
                    well = 200 <= status < 300
                    self._notifications.delivered(destination.id, well=well)
                    if well:
                        break
        return statuses

    def _event(self) -> str:
        return "_".join(str(uuid.UUID(int=self._rng.getrandbits(128), version=4)) for _ in range(2))

    def _signed(self, event: str, order: Order, line: Line, now: datetime, attempt: int) -> Signed:
        told = {
            "metadata": {"topic": ORDER_TOPIC, "schemaVersion": "1.0", "deprecated": False},
            "notification": {
                "notificationId": event,
                "eventDate": time_json(order.placed_at),
                "publishDate": time_json(now),
                "publishAttemptCount": attempt,
                "data": {
                    "orderId": order.id,
                    "lineItemId": line.id,
                    "itemId": self._shop.lines.get(line.id, ""),
                    "sellerId": self._seller,
                },
            },
        }
        body = orjson.dumps(told)
        return Signed({HEADER: self._notifications.key.header(body), "Content-Type": "application/json"}, body, event)


class Feed:
    """Sends the notifications of every order as soon as its buyer has paid, which is when eBay does."""

    def __init__(self, deliveries: Deliveries, shop: Shop) -> None:
        self._deliveries = deliveries
        self._told: set[str] = set()
        self._waiting: asyncio.Queue[Order] = asyncio.Queue()
        shop.market.on_news.append(self._heard)

    async def run(self, client: httpx.AsyncClient) -> None:
        """Sends for ever; cancel it to stop."""
        while True:
            await self._deliveries.send(await self._waiting.get(), client)

    def _heard(self, news: News) -> None:
        order = news.order
        if order is not None and order.paid_at is not None and order.id not in self._told:
            self._told.add(order.id)
            self._waiting.put_nowait(order)


async def _post(client: httpx.AsyncClient, endpoint: str, signed: Signed) -> int:
    try:
        answer = await client.post(endpoint, content=signed.body, headers=signed.headers)
    except httpx.HTTPError:
        return 0
    return answer.status_code
