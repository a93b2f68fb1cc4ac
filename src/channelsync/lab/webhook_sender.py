"""Sends a marketplace's webhooks: signed, and as unreliable as the plan says.

The messages and their signature are told in docs/sandbox-marketplace.md.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx
import orjson

from channelsync.lab.marketplace_accounts import Subscription
from channelsync.lab.marketplace_http import MarketplaceApi
from channelsync.lab.marketplace_json import key_json, time_json
from channelsync.lab.marketplace_numbers import Reading
from channelsync.lab.marketplace_values import News
from channelsync.sdk.clock import Clock

REPEATS = (5.0, 30.0, 120.0, 600.0)
"""Seconds before each further attempt at a message that was not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """How messages go astray; shares are between 0 and 1, spans are (least, most) seconds.

    delay: of every message, each drawn by itself, so a wide span brings them out of order. lost: never sent.
    doubled: sent a second time, after `late`. late_share: held back for `late`. forged: the signature is wrong.
    timeout: seconds that a receiver has to answer.
    """

    delay: tuple[float, float] = (0.1, 2.0)
    lost: float = 0.0
    doubled: float = 0.0
    late_share: float = 0.0
    late: tuple[float, float] = (60.0, 900.0)
    forged: float = 0.0
    timeout: float = 10.0

    @classmethod
    def unreliable(cls) -> WebhookPlan:
        """Some of everything: lost, doubled, late, out of order."""
        return cls(delay=(0.1, 30.0), lost=0.1, doubled=0.1, late_share=0.1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver. status: of the answer; None: there was none. outcome: what the plan did to it."""

    at: datetime
    message: str
    topic: str
    status: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class _Message:
    id: str
    subscription: Subscription
    topic: str
    body: bytes
    delay: float
    forged: bool


def signed(
    subscription: Subscription, message: str, at: datetime, body: bytes, *, forged: bool = False
) -> dict[str, str]:
    """The headers of one attempt. forged: signed with another key."""
    stamp = str(int(at.timestamp()))
    key = b"not the key" if forged else subscription.key
    digest = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


class WebhookSender:
    """Tells the subscribers of one marketplace what happens there, for as long as `run` runs.

    client: reaches the receivers; over sockets or in process. log: every attempt, and every message that was lost.
    """

    def __init__(
        self, api: MarketplaceApi, client: httpx.AsyncClient, clock: Clock, rng: random.Random, plan: WebhookPlan
    ) -> None:
        self.log: list[Attempt] = []
        self._api = api
        self._client = client
        self._clock = clock
        self._rng = rng
        self._plan = plan
        self._made = 0
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()
        self._under_way = 0
        api.marketplace.on_news.append(self._hear)

    @property
    def idle(self) -> bool:
        """No message waits or is under way."""
        return self._messages.empty() and not self._under_way

    async def run(self) -> None:
        """Delivers until cancelled; whatever is under way then is dropped.

        By anyio, as the time limit of an attempt: a delivery that is cancelled may be just closing connections that
        the receiver has given up, and httpcore shields that from anyio's cancellation alone. Others would leak.
        """
        async with anyio.create_task_group() as deliveries:
            while True:
                # Deliveries start from here and not from where the news is told: a task takes over the context of
                # whoever starts it, and news is told while a request is being answered.
                message = await self._messages.get()
                deliveries.start_soon(self._deliver, message)

    def _hear(self, news: News) -> None:
        for subscription in self._api.subscriptions.wanting(news.topic):
            self._made += 1
            name = f"msg-{self._api.marketplace.name}-{self._made}"
            if self._rng.random() < self._plan.lost:
                self.log.append(Attempt(self._clock.now(), name, news.topic, None, "lost"))
                continue
            body = orjson.dumps(self._content(news, subscription))
            self._send(name, subscription, news.topic, body, 0.0)
            if self._rng.random() < self._plan.doubled:
                self._send(name, subscription, news.topic, body, self._rng.uniform(*self._plan.late))

    def _send(self, name: str, subscription: Subscription, topic: str, body: bytes, more: float) -> None:
        plan, rng = self._plan, self._rng
        delay = rng.uniform(*plan.delay) + more
        if rng.random() < plan.late_share:
            delay += rng.uniform(*plan.late)
        forged = rng.random() < plan.forged
        self._under_way += 1
        self._messages.put_nowait(_Message(name, subscription, topic, body, delay, forged))

    def _content(self, news: News, subscription: Subscription) -> Mapping[str, Any]:
        rules = self._api.marketplace.rules
        data: dict[str, Any] = {}
        if news.order is not None:
            data["order"] = self._api.orders.write(news.order)
        if news.key is not None and news.number is not None:
            told = key_json(news.key, Reading(news.number, 0, 0), rules)
            data["number"] = told | {"committed": None, "held": None}
        at = news.at + timedelta(seconds=rules.skew)
        return {"type": news.topic, "timestamp": time_json(at), "account": subscription.account, "data": data}

    async def _deliver(self, message: _Message) -> None:
        try:
            for wait in (message.delay, *REPEATS):
                await self._clock.sleep(wait)
                if await self._attempt(message):
                    return
        finally:
            self._under_way -= 1

    async def _attempt(self, message: _Message) -> bool:
        """Sends once; whether it was taken."""
        stamp = self._clock.now() + timedelta(seconds=self._api.marketplace.rules.skew)
        headers = signed(message.subscription, message.id, stamp, message.body, forged=message.forged)
        status: int | None = None
        try:
            with anyio.fail_after(self._plan.timeout):
                answer = await self._client.post(message.subscription.url, content=message.body, headers=headers)
            status = answer.status_code
        except (httpx.RequestError, TimeoutError):
            pass
        outcome = "forged" if message.forged else "sent"
        self.log.append(Attempt(self._clock.now(), message.id, message.topic, status, outcome))
        return status is not None and httpx.codes.is_success(status)
