"""Sends the shop's webhooks over HTTP: signed, repeated eight times over four hours, as unreliable as the plan says."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import httpx

from channelsync.lab.marketplace_values import News
from channelsync.lab.webhook_sender import Attempt, WebhookPlan
from channelsync.sdk.clock import Clock
from vendor_shopify.api import ShopifyApi
from vendor_shopify.subscriptions import Subscription
from vendor_shopify.webhooks import Deliveries, Delivery

REPEATS = (10.0, 30.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7640.0)
"""Seconds before each further attempt: eight, four hours in all [shopify.dev, webhook retry mechanism]."""

TIMEOUT = 5.0
"""Seconds in which a receiver must have answered 2xx."""


@dataclass(frozen=True, slots=True)
class _Message:
    delivery: Delivery
    subscription: Subscription
    topic: str
    delay: float
    forged: bool


class ShopifyWebhookSender:
    """Tells the subscribers of one shop what happens there, for as long as `run` runs.

    client: reaches the receivers. log: every attempt, and every message that was lost. A subscription is removed when
    eight repeats in a row were not taken.
    """

    def __init__(
        self,
        api: ShopifyApi,
        client: httpx.AsyncClient,
        clock: Clock,
        rng: random.Random,
        plan: WebhookPlan | None = None,
    ) -> None:
        self.log: list[Attempt] = []
        self._shop = api.shop
        self._deliveries = Deliveries(api.shop, api.orders)
        self._client = client
        self._clock = clock
        self._rng = rng
        self._plan = plan or WebhookPlan()
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()
        self._under_way = 0
        api.marketplace.on_news.append(self._hear)

    @property
    def idle(self) -> bool:
        """No message waits or is under way."""
        return self._messages.empty() and not self._under_way

    async def run(self) -> None:
        """Delivers until cancelled; whatever is under way then is dropped."""
        async with asyncio.TaskGroup() as deliveries:
            while True:
                message = await self._messages.get()
                deliveries.create_task(self._deliver(message))

    def _hear(self, news: News) -> None:
        for event in self._deliveries.events(news):
            for subscription in self._shop.subscriptions.wanting(event.topic):
                if not subscription.uri.startswith("https://") and not subscription.uri.startswith("http://"):
                    continue
                told = self._deliveries.cut(event, subscription)
                forged = self._rng.random() < self._plan.forged
                delivery = self._deliveries.signed(told, name=subscription.name, secret="not it" if forged else "")
                if self._rng.random() < self._plan.lost:
                    self.log.append(Attempt(self._clock.now(), delivery.delivery, event.topic, None, "lost"))
                    continue
                self._send(delivery, subscription, event.topic, 0.0, forged=forged)
                if self._rng.random() < self._plan.doubled:
                    again = self._deliveries.signed(told, name=subscription.name)
                    self._send(again, subscription, event.topic, self._rng.uniform(*self._plan.late), forged=False)

    def _send(self, delivery: Delivery, subscription: Subscription, topic: str, more: float, *, forged: bool) -> None:
        delay = self._rng.uniform(*self._plan.delay) + more
        if self._rng.random() < self._plan.late_share:
            delay += self._rng.uniform(*self._plan.late)
        self._under_way += 1
        self._messages.put_nowait(_Message(delivery, subscription, topic, delay, forged))

    async def _deliver(self, message: _Message) -> None:
        try:
            for turn, wait in enumerate((message.delay, *REPEATS)):
                await self._clock.sleep(wait)
                if message.subscription.number not in self._shop.subscriptions.all:
                    return
                taken = await self._attempt(message)
                if taken or turn:
                    self._shop.subscriptions.delivered(message.subscription.number, taken=taken)
                if taken:
                    return
        finally:
            self._under_way -= 1

    async def _attempt(self, message: _Message) -> bool:
        """Sends once; whether it was taken."""
        status: int | None = None
        uri, headers = message.subscription.uri, message.delivery.headers
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._client.post(uri, content=message.delivery.body, headers=headers)
            status = answer.status_code
        except (httpx.RequestError, TimeoutError):
            pass
        outcome = "forged" if message.forged else "sent"
        self.log.append(Attempt(self._clock.now(), message.delivery.delivery, message.topic, status, outcome))
        return status is not None and httpx.codes.is_success(status)
