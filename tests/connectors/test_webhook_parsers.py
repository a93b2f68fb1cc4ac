"""Whatever a delivery holds, genuine or not, no scheme breaks on it, and what it hints at can be kept."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.sync.inbox import arrived
from channelsync.sync.vault import Seals
from channelsync_amazon.notifications import hint_of
from channelsync_ebay.webhooks import EbayWebhooks
from channelsync_sandbox.webhooks import SandboxWebhooks
from channelsync_shopify.webhooks import ShopifyWebhooks
from channelsync_woocommerce.webhooks import WooWebhooks

CONNECTORS = ("ebay", "sandbox", "shopify", "woocommerce")


@pytest.fixture(scope="session")
def schemes(signers: Any) -> dict[str, WebhookScheme]:
    """The scheme of every connector with webhooks, with the secret that its vendor signs with."""
    secret, whsec = SecretStr(signers.secret), SecretStr(signers.whsec)
    keys: Any = SimpleNamespace(key=signers.ebays)
    return {
        "ebay": EbayWebhooks(keys, SecretStr("token")),
        "sandbox": SandboxWebhooks((whsec,), MemoryVault(), timedelta()),
        "shopify": ShopifyWebhooks("example.myshopify.com", (secret,)),
        "woocommerce": WooWebhooks((secret,), MemoryVault()),
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


ODD_BODIES = (
    b"",
    b"[" * 100_000,
    b"[" * 990 + b"]" * 990,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"data":' * 400 + b"1" + b"}" * 400,
    b'{"id": 1' + b"0" * 400 + b"}",
    b'{"id": 1' + b"0" * 100_000 + b"}",
    b'{"id": NaN, "order": {"id": Infinity}}',
    b'{"id": 1, "id": 2}',
    b"\xef\xbb\xbf{}",
    b'{"type": "\\u0000", "data": {"order": {"id": "\\u0000"}}}',
    b'{"metadata": {"topic": "\\ud800"}, "notification": {}}',
    b"webhook_id=1",
    b"webhook_id=" + b"9" * 100_000,
    b"\x00" * 1_000,
    '{"id": "é"}'.encode("utf-16"),
)


@pytest.mark.fault(16, "a signed body that is nonsense never breaks the receiver: it hints that something is new")
@pytest.mark.parametrize("name", CONNECTORS)
@settings(max_examples=150)
@given(body=BODIES | st.sampled_from(ODD_BODIES))
async def test_no_genuine_body_breaks_a_scheme_and_every_hint_can_be_kept(
    schemes: dict[str, WebhookScheme], signers: Any, name: str, body: bytes
) -> None:
    await _hint_that_can_be_kept(schemes[name], signers, name, body)


@pytest.mark.parametrize("name", CONNECTORS)
@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
async def test_none_of_the_odd_bodies_breaks_a_scheme(
    schemes: dict[str, WebhookScheme], signers: Any, name: str, body: bytes
) -> None:
    await _hint_that_can_be_kept(schemes[name], signers, name, body)


async def _hint_that_can_be_kept(scheme: WebhookScheme, signers: Any, name: str, body: bytes) -> None:
    hint = await scheme.verify(signers.signed[name](body), body, signers.at)
    assert hint is None or isinstance(hint, WebhookHint | Harmless)
    if isinstance(hint, WebhookHint):
        kept = arrived(name, hint, body, Seals(), signers.at)
        assert kept.event
        assert (kept.topic + kept.event).isprintable()
        assert len(kept.topic) <= 200 >= len(kept.event)
        assert all(isinstance(order, str) for order in kept.orders)
        assert hint.sent_at.tzinfo is not None


HEADERS = (
    *("X-Shopify-Topic", "X-Shopify-Shop-Domain", "X-Shopify-Triggered-At", "X-Shopify-Hmac-Sha256"),
    *("X-Shopify-Event-Id", "X-Shopify-Webhook-Id", "X-WC-Webhook-Topic", "X-WC-Webhook-Signature"),
    *("webhook-id", "webhook-timestamp", "webhook-signature", "X-EBAY-SIGNATURE"),
)
"""All that any scheme looks at."""

SIGNATURE_OF_EBAY = st.fixed_dictionaries(
    {},
    optional={
        "kid": st.just("9936261a-7d7b") | st.text(max_size=40) | LEAVES,
        "signature": st.builds(lambda raw: base64.b64encode(raw).decode(), st.binary(max_size=80)) | LEAVES,
        "alg": st.sampled_from(["ecdsa", "ECDSA", "none", "HS256"]) | LEAVES,
        "digest": LEAVES,
    },
).map(lambda told: base64.b64encode(json.dumps(told).encode()).decode())
VALUES_OF_HEADERS = (
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
    | st.builds(lambda raw: base64.b64encode(raw).decode(), st.binary(max_size=80))
    | st.sampled_from(["orders/updated", "example.myshopify.com", "2026-11-21T12:00:00+00:00", "1795262400", "v1,AAAA"])
    | SIGNATURE_OF_EBAY
)


@pytest.mark.parametrize("name", CONNECTORS)
@settings(max_examples=300)
@given(
    headers=st.dictionaries(st.sampled_from(HEADERS) | st.text(max_size=20), VALUES_OF_HEADERS, max_size=8),
    body=BODIES | st.sampled_from(ODD_BODIES),
)
async def test_whatever_comes_unsigned_is_refused_or_harmless_and_breaks_no_scheme(
    schemes: dict[str, WebhookScheme], signers: Any, name: str, headers: dict[str, str], body: bytes
) -> None:
    verdict = await schemes[name].verify(headers, body, signers.at)
    assert verdict is None or isinstance(verdict, Harmless)


@pytest.mark.parametrize("name", CONNECTORS)
@settings(max_examples=100)
@given(data=st.data())
async def test_a_genuine_delivery_with_one_header_exchanged_breaks_no_scheme(
    schemes: dict[str, WebhookScheme], signers: Any, name: str, data: st.DataObject
) -> None:
    body = data.draw(BODIES)
    genuine = signers.signed[name](body)
    changed = genuine | {data.draw(st.sampled_from(sorted(genuine))): data.draw(VALUES_OF_HEADERS)}
    verdict = await schemes[name].verify(changed, body, signers.at)
    assert verdict is None or isinstance(verdict, WebhookHint | Harmless)


SELLER = "A3TH9S8BH6GOGM"
AMAZONS_NAMES = st.sampled_from(
    [
        *("NotificationType", "notificationMetadata", "NotificationId", "PublishTime", "EventTime", "Payload"),
        *("SellerId", "merchantId", "AmazonOrderId", "sku", "SellerSku", "FulfillmentType", "detail"),
    ]
)
AMAZONS_LEAVES = LEAVES | st.sampled_from(["ORDER_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE", "AFN", SELLER])
AMAZONS = st.recursive(
    AMAZONS_LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(AMAZONS_NAMES, inner, max_size=6),
    max_leaves=20,
)
AMAZONS_WHOLE = st.builds(
    lambda topic, event, at, payload: {
        "NotificationType": topic,
        "NotificationMetadata": {"NotificationId": event, "PublishTime": at},
        "Payload": payload,
    },
    AMAZONS_LEAVES,
    AMAZONS_LEAVES,
    AMAZONS_LEAVES,
    AMAZONS,
)
AMAZONS_BODIES = BODIES | st.builds(lambda value: json.dumps(value).encode(), AMAZONS | AMAZONS_WHOLE)


@settings(max_examples=300)
@given(body=AMAZONS_BODIES)
def test_no_message_of_amazons_queue_breaks_what_reads_it(body: bytes) -> None:
    _hints_or_says_nothing(body)
    _hints_or_says_nothing(body.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_none_of_the_odd_bodies_breaks_what_reads_amazons_queue(body: bytes) -> None:
    _hints_or_says_nothing(body)
    wrapped = b'{"NotificationType": "ORDER_CHANGE", "NotificationMetadata": {"NotificationId": "1", "PublishTime": '
    _hints_or_says_nothing(wrapped + b'"2026-11-21T12:00:00Z"}, "Payload": ' + body + b"}")


def _hints_or_says_nothing(body: bytes | str) -> None:
    hint = hint_of(body, SELLER)
    assert hint is None or isinstance(hint, WebhookHint | Harmless)
    if isinstance(hint, WebhookHint):
        assert hint.orders or hint.keys
        assert hint.sent_at.tzinfo is not None
