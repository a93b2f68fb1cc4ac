"""Webhook deliveries: signed, late, sent once, and switched off at the seventh failure in a row."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import httpx

from channelsync.sdk.clock import Clock
from vendor_woocommerce.php import json_encode
from vendor_woocommerce.webhooks import HOOKS, Webhook, WebhooksApi

FAILURES_MAX = 5
"""A delivery that fails when more than so many did before switches the webhook off: the seventh in a row."""

TIMEOUT = 60.0
"""Seconds that a receiver has."""

LATE = (1.0, 61.0)
"""Seconds after which the shop's cron comes round to a delivery."""

Payload = Callable[[str, int], object]
"""Builds what a delivery carries: of a topic and an id, as it is at this moment; None when it is gone."""


@dataclass(frozen=True, slots=True)
class HookDelivery:
    """One delivery as it goes out."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery that was tried. status: of the answer; None: there was none. topic: empty for a ping."""

    at: datetime
    webhook: int
    topic: str
    resource: int
    delivery: HookDelivery
    status: int | None


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    at: datetime
    webhook: int
    resource: int
    topic: str


def signature(secret: str, body: bytes) -> str:
    """base64 of HMAC-SHA256 over the raw body; the secret's HTML entities are decoded first."""
    key = html.unescape(secret).encode()
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


def delivery_id(webhook: int, at: datetime) -> str:
    """`wp_hash` of the webhook and the second: all deliveries of a webhook within one second share it."""
    return hashlib.md5(f"salt{webhook}{int(at.timestamp())}".encode(), usedforsecurity=False).hexdigest()


class Deliveries:
    """What one shop's webhooks send. log: every delivery that was tried.

    What is told twice before it goes out goes out once, with the content of that later moment.
    """

    def __init__(self, hooks: WebhooksApi, payload: Payload, clock: Clock, rng: random.Random, version: str) -> None:
        self.log: list[Sent] = []
        self._hooks = hooks
        self._payload = payload
        self._clock = clock
        self._rng = rng
        self._agent = f"WooCommerce/{version} Hookshot (WordPress/6.9)"
        self._due: list[_Due] = []
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Deliveries that the cron has not come round to."""
        return len(self._due)

    def ping(self, hook: Webhook) -> None:
        """A new webhook: its address gets a ping."""
        self._wait(_Due(self._clock.now(), hook.id, 0, ""))

    def hear(self, topic: str, resource: int) -> None:
        """Something happened; every active webhook of the topic will tell of it."""
        for hook in self._hooks.all.values():
            if hook.topic != topic or hook.status != "active":
                continue
            if any((due.webhook, due.resource) == (hook.id, resource) and due.topic for due in self._due):
                continue
            late = timedelta(seconds=self._rng.uniform(*LATE))
            self._wait(_Due(self._clock.now() + late, hook.id, resource, topic))

    def _wait(self, due: _Due) -> None:
        self._due.append(due)
        self._woken.set()

    def signed(self, hook: Webhook, resource: int, at: datetime, source: str) -> HookDelivery:
        """The delivery of this webhook about an order or a product, as it is now. source: the site's address."""
        kind, _, event = hook.topic.partition(".")
        content = {"id": resource} if event == "deleted" else self._payload(hook.topic, resource)
        body = json_encode(content)
        headers = {
            "User-Agent": self._agent,
            "Accept": "*/*",
            "Accept-Encoding": "deflate, gzip, br, zstd",
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{source}/",
            "X-WC-Webhook-Topic": hook.topic,
            "X-WC-Webhook-Resource": kind,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": signature(hook.secret, body),
            "X-WC-Webhook-ID": str(hook.id),
            "X-WC-Webhook-Delivery-ID": delivery_id(hook.id, at),
            "Connection": "close",
        }
        return HookDelivery(hook.delivery_url, headers, body)

    def pinged(self, hook: Webhook, url: str) -> HookDelivery:
        """The ping of a new webhook."""
        headers = {
            "User-Agent": self._agent,
            "Accept": "*/*",
            "Accept-Encoding": "deflate, gzip, br, zstd",
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return HookDelivery(url, headers, f"webhook_id={hook.id}".encode())

    def made_up(self, topic: str, secret: str) -> Webhook:
        """The first webhook of a topic, with this secret; one that nobody made where there is none."""
        found = next((hook for hook in self._hooks.all.values() if hook.topic == topic), None)
        if topic not in HOOKS:
            raise ValueError(f"This shop has no topic {topic}.")
        if found is not None:
            return replace(found, secret=secret)
        now = self._clock.now()
        return Webhook(id=1, name=topic, topic=topic, delivery_url="http://nowhere.example", secret=secret, created=now)

    async def run(self, client: httpx.AsyncClient, source: str) -> None:
        """Delivers until cancelled, when the cron comes round to what waits. source: the site's address."""
        while True:
            if not self._due:
                self._woken.clear()
                await self._woken.wait()
            upcoming = min(due.at for due in self._due)
            await self._clock.sleep(max(0.0, (upcoming - self._clock.now()).total_seconds()))
            await self.send(client, source)

    async def send(self, client: httpx.AsyncClient, source: str, *, all_of_them: bool = False) -> None:
        """Sends what is due now, or all that waits. Nothing is ever sent a second time."""
        now = self._clock.now()
        ready = sorted(due for due in self._due if all_of_them or due.at <= now)
        self._due = [due for due in self._due if due not in ready]
        for due in ready:
            hook = self._hooks.all.get(due.webhook)
            if hook is not None and hook.status == "active":
                await self._deliver(client, hook, due, source)

    async def _deliver(self, client: httpx.AsyncClient, hook: Webhook, due: _Due, source: str) -> None:
        now = self._clock.now()
        delivery = self.signed(hook, due.resource, now, source) if due.topic else self.pinged(hook, hook.delivery_url)
        status: int | None = None
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await client.post(
                    delivery.url, content=delivery.body, headers=delivery.headers, follow_redirects=False
                )
            status = answer.status_code
        except (httpx.RequestError, TimeoutError):
            pass
        self.log.append(Sent(now, hook.id, due.topic, due.resource, delivery, status))
        if due.topic:
            hook.modified = now
            _count(hook, taken=status is not None and 200 <= status < 303)


def _count(hook: Webhook, *, taken: bool) -> None:
    """`failed_delivery`: nothing is told to anybody when the webhook is switched off."""
    if taken:
        hook.failures = 0
    elif hook.failures > FAILURES_MAX:
        hook.status = "disabled"
    else:
        hook.failures += 1
