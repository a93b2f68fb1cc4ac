"""Deliveries of a later version of a vendor's interface: more fields, other fields, a meaning that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.webhooks import WebhookHint
from channelsync_ebay.webhooks import EbayWebhooks
from channelsync_sandbox.webhooks import SandboxWebhooks
from channelsync_shopify.webhooks import ShopifyWebhooks
from channelsync_woocommerce.webhooks import WooWebhooks

NAMED: dict[str, dict[str, Any]] = {
    "ebay": {
        "metadata": {"topic": "ORDER_CONFIRMATION", "schemaVersion": "1.0", "deprecated": False},
        "notification": {
            "notificationId": "n-1",
            "eventDate": "2026-11-21T12:00:00.000Z",
            "publishDate": "2026-11-21T12:00:00.000Z",
            "publishAttemptCount": 1,
            "data": {"order": {"orderId": "19"}, "orderId": "19"},
        },
    },
    "sandbox": {"type": "order.updated", "data": {"order": {"id": "19"}}},
    "shopify": {"id": 19, "admin_graphql_api_id": "gid://shopify/Order/19"},
    "woocommerce": {"id": 19, "parent_id": 0},
}
"""A delivery of each vendor, that names what it is about."""


@pytest.fixture
def schemes(signers: Any) -> dict[str, WebhookScheme]:
    secret, whsec = SecretStr(signers.secret), SecretStr(signers.whsec)
    keys: Any = SimpleNamespace(key=signers.ebays)
    return {
        "ebay": EbayWebhooks(keys, SecretStr("token")),
        "sandbox": SandboxWebhooks((whsec,), MemoryVault(), timedelta()),
        "shopify": ShopifyWebhooks("example.myshopify.com", (secret,)),
        "woocommerce": WooWebhooks((secret,), MemoryVault()),
    }


def later(value: Any) -> Any:
    """As a later version might send it: with fields of every kind that nobody knows, on every level."""
    if isinstance(value, list):
        return [later(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    unknown = {"new": "x", "newer": {"id": "other", "of": [1, {"id": "other"}]}, "newest": None, "schemaVersion": "9.9"}
    return {**{name: later(one) for name, one in value.items()}, **unknown}


def meaning(hint: Any) -> tuple[object, ...]:
    assert isinstance(hint, WebhookHint), hint
    return (hint.topic, hint.orders, hint.keys)


@pytest.mark.fault(17, "fields that a later version adds change nothing: it names the same")
@pytest.mark.parametrize("name", NAMED)
async def test_fields_that_nobody_knows_change_nothing(schemes: Any, signers: Any, name: str) -> None:
    plain, more = json.dumps(NAMED[name]).encode(), json.dumps(later(NAMED[name])).encode()
    expected = meaning(await schemes[name].verify(signers.signed[name](plain), plain, signers.at))
    assert expected[1] or expected[2], "it names an order or a number, or this would prove nothing"
    assert meaning(await schemes[name].verify(signers.signed[name](more), more, signers.at)) == expected


@pytest.mark.fault(17, "a version that says it in another way: a hint that names nothing, so what is new is read")
@pytest.mark.parametrize("name", NAMED)
async def test_what_says_it_in_another_way_hints_that_something_is_new(schemes: Any, signers: Any, name: str) -> None:
    body = json.dumps({"v": 9, "subject": {"reference": "urn:order:19"}}).encode()
    hint = await schemes[name].verify(signers.signed[name](body), body, signers.at)
    assert meaning(hint)[1:] == ((), ())
    assert hint.event, "so that its repeats are known"
