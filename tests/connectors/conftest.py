"""Deliveries of every connector with webhooks are judged by the real receiver, which has no database to use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.inbox import Inbox
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.vault import Seals
from channelsync.web.app import build_app
from channelsync.web.receiver import ReceiverCounters, receiver_routes


class Untouched:
    """A database that counts who wants something of it, and gives nothing."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.used = 0

    async def transact(self, _work: Any) -> Any:
        self.used += 1
        raise DatabaseError

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was used: {name}")


@pytest.fixture
async def judge_delivery(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[bool]]]:
    """Whether a delivery passes: whether the receiver wanted to keep it. A forgery is answered 401, counted, and costs
    no use of the database."""
    database, counters = Untouched(), ReceiverCounters()
    kept: Any = database
    async with Inbox(kept) as inbox:
        doors: dict[str, Door] = {}
        app = build_app(receiver_routes(Receiver(doors, inbox, clock, Seals()), counters, body_limit=1_000_000))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            async def judge(scheme: WebhookScheme, headers: Mapping[str, str], body: bytes) -> bool:
                doors["shop"] = Door("shop", scheme)
                refused, used = counters.refused["shop", "forged"], database.used
                raw = [(name.encode(), value.encode()) for name, value in headers.items()]
                answer = await client.post("/webhooks/shop", headers=raw, content=body)
                if answer.status_code == 401:
                    assert counters.refused["shop", "forged"] == refused + 1
                    assert database.used == used
                    return False
                assert (answer.status_code, database.used) == (503, used + 1)
                return True

            yield judge


class Signers:
    """Every vendor whose deliveries we take, as it signs: `signers.signed["shopify"](body)` are the headers.

    at: when it sends. secret, ebays_key: what it signs with.
    """

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.secret = "hush-hush, and longer than that"
        self.ebays_key = ec.generate_private_key(ec.SECP256R1())
        self.signed: dict[str, Callable[[bytes], dict[str, str]]] = {
            "ebay": self._ebay,
            "sandbox": self._sandbox,
            "shopify": self._shopify,
            "woocommerce": self._woocommerce,
        }

    @property
    def whsec(self) -> str:
        """The secret as Standard Webhooks spells it."""
        return "whsec_" + base64.b64encode(self.secret.encode()).decode()

    async def ebays(self, kid: str) -> Any:
        """eBay's key of this id, as `Keys.key` gives it; None: it has none."""
        if kid != "9936261a-7d7b":
            return None
        return SimpleNamespace(public=self.ebays_key.public_key(), digest=hashes.SHA1)

    def _mac(self, body: bytes) -> str:
        return base64.b64encode(hmac.digest(self.secret.encode(), body, hashlib.sha256)).decode()

    def _shopify(self, body: bytes) -> dict[str, str]:
        return {
            "X-Shopify-Topic": "orders/updated",
            "X-Shopify-Shop-Domain": "example.myshopify.com",
            "X-Shopify-Triggered-At": self.at.isoformat(),
            "X-Shopify-Hmac-Sha256": self._mac(body),
        }

    def _woocommerce(self, body: bytes) -> dict[str, str]:
        return {"X-WC-Webhook-Topic": "product.updated", "X-WC-Webhook-Signature": self._mac(body)}

    def _sandbox(self, body: bytes) -> dict[str, str]:
        stamp = str(int(self.at.timestamp()))
        return {
            "webhook-id": "msg",
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{self._mac(f'msg.{stamp}.'.encode() + body)}",
        }

    def _ebay(self, body: bytes) -> dict[str, str]:
        signature = base64.b64encode(self.ebays_key.sign(body, ec.ECDSA(hashes.SHA1()))).decode()  # noqa: S303 - as it does
        told = json.dumps({"alg": "ecdsa", "kid": "9936261a-7d7b", "signature": signature})
        return {"X-EBAY-SIGNATURE": base64.b64encode(told.encode()).decode()}


@pytest.fixture(scope="session")
def signers() -> Signers:
    """See `Signers`."""
    return Signers()
