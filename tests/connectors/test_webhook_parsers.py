"""Whatever a genuine delivery holds, no scheme breaks on it, and what it hints at can be kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.sync.inbox import arrived
from channelsync.sync.vault import Seals
from channelsync_ebay.webhooks import EbayWebhooks
from channelsync_sandbox.webhooks import SandboxWebhooks
from channelsync_shopify.webhooks import ShopifyWebhooks
from channelsync_woocommerce.webhooks import WooWebhooks

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "hush-hush"
EBAYS = ec.generate_private_key(ec.SECP256R1())
Signed = Callable[[bytes], dict[str, str]]


def _mac(body: bytes, key: bytes = SECRET.encode()) -> str:
    return base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()


def shopify(body: bytes) -> dict[str, str]:
    return {
        "X-Shopify-Topic": "orders/updated",
        "X-Shopify-Shop-Domain": "example.myshopify.com",
        "X-Shopify-Triggered-At": NOW.isoformat(),
        "X-Shopify-Hmac-Sha256": _mac(body),
    }


def woocommerce(body: bytes) -> dict[str, str]:
    return {"X-WC-Webhook-Topic": "product.updated", "X-WC-Webhook-Signature": _mac(body)}


def sandbox(body: bytes) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))
    return {
        "webhook-id": "msg",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{_mac(f'msg.{stamp}.'.encode() + body)}",
    }


def ebay(body: bytes) -> dict[str, str]:
    signature = base64.b64encode(EBAYS.sign(body, ec.ECDSA(hashes.SHA1()))).decode()  # noqa: S303 - as eBay signs
    told = json.dumps({"alg": "ecdsa", "kid": "9936261a-7d7b", "signature": signature})
    return {"X-EBAY-SIGNATURE": base64.b64encode(told.encode()).decode()}


class EbaysKeys:
    async def key(self, _kid: str) -> Any:
        return SimpleNamespace(public=EBAYS.public_key(), digest=hashes.SHA1)


KEYS: Any = EbaysKeys()
WHSEC = SecretStr("whsec_" + base64.b64encode(SECRET.encode()).decode())
SCHEMES: dict[str, tuple[WebhookScheme, Signed]] = {
    "ebay": (EbayWebhooks(KEYS, SecretStr("token")), ebay),
    "sandbox": (SandboxWebhooks((WHSEC,), MemoryVault(), timedelta()), sandbox),
    "shopify": (ShopifyWebhooks("example.myshopify.com", (SecretStr(SECRET),)), shopify),
    "woocommerce": (WooWebhooks((SecretStr(SECRET),), MemoryVault()), woocommerce),
}

NAMES = st.sampled_from(
    [
        *("id", "order", "order_id", "orderId", "order_edit", "sku", "data", "type", "metadata", "topic"),
        *("notification", "notificationId", "publishDate", "number", "key", "location", "variations", "parent_id"),
        *("date_modified_gmt", "inventory_item_id", "location_id"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["2026-11-21T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\x00", "\ud800"]
    )
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=20
)
BODIES = st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), VALUES)


@pytest.mark.fault(16, "a signed body that is nonsense never breaks the receiver: it hints that something is new")
@pytest.mark.parametrize("name", list(SCHEMES))
@settings(max_examples=150)
@given(body=BODIES)
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 50_000 + b"1" + b"}" * 50_000)
@example(body=b'{"id": 1' + b"0" * 400 + b"}")
@example(body=b'{"id": NaN, "order": {"id": Infinity}}')
@example(body=b'{"id": 1, "id": 2}')
@example(body=b"\xef\xbb\xbf{}")
@example(body=b'{"type": "\\u0000", "data": {"order": {"id": "\\u0000"}}}')
@example(body=b'{"metadata": {"topic": "\\ud800"}, "notification": {}}')
async def test_no_genuine_body_breaks_a_scheme_and_every_hint_can_be_kept(name: str, body: bytes) -> None:
    scheme, sign = SCHEMES[name]
    hint = await scheme.verify(sign(body), body, NOW)
    assert hint is None or isinstance(hint, WebhookHint | Harmless)
    if isinstance(hint, WebhookHint):
        kept = arrived(name, hint, body, Seals(), NOW)
        assert kept.event
        assert (kept.topic + kept.event).isprintable()
        assert len(kept.topic) <= 200 >= len(kept.event)
        assert all(isinstance(order, str) for order in kept.orders)
        assert hint.sent_at.tzinfo is not None
