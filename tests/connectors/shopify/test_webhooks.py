"""Deliveries: genuine ones become hints, forged ones nothing, and none raises."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import TOO_LATE, WebhookHint
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings
from channelsync_shopify.webhooks import LATEST, TOPICS, ShopifyWebhooks

SHOP = "example.myshopify.com"
SECRET = "hush-hush"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVENT = "98880550-7158-44d4-b7cd-2c97c8a091b5"
ORDER = {
    "id": 5551,
    "admin_graphql_api_id": "gid://shopify/Order/5551",
    "email": "canary@birdwhistle.example",
    "updated_at": "2026-11-21T06:59:00-05:00",
    "customer": {"first_name": "Canary", "last_name": "Birdwhistle", "phone": "+44 7700 900461"},
    "shipping_address": {"address1": "7 Birdwhistle Lane"},
    "line_items": [{"id": 1, "sku": "MUG", "quantity": 2, "current_quantity": 2}],
}


def signature(body: bytes, secret: str = SECRET, how: Any = hashlib.sha256) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, how)).decode()


def delivery(content: Any = ORDER, *, topic: str = "orders/create", **headers: str) -> tuple[dict[str, str], bytes]:
    """A genuine delivery, with these headers instead."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    told = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "X-Shopify-Event-Id": EVENT,
        "X-Shopify-Triggered-At": "2026-11-21T11:59:30.123456789Z",
        "X-Shopify-Hmac-Sha256": signature(body),
    }
    return told | {f"X-Shopify-{name.replace('_', '-')}": value for name, value in headers.items()}, body


@pytest.fixture
def scheme() -> ShopifyWebhooks:
    return ShopifyWebhooks(SHOP, (SecretStr(SECRET), SecretStr("the old one")))


@pytest.mark.parametrize(
    ("topic", "content", "orders", "keys"),
    [
        ("orders/create", ORDER, ("5551",), ()),
        ("orders/updated", ORDER, ("5551",), ()),
        ("orders/cancelled", ORDER, ("5551",), ()),
        ("orders/delete", {"id": 5551}, ("5551",), ()),
        ("orders/edited", {"order_edit": {"id": 9, "order_id": 5551}}, ("5551",), ()),
        ("refunds/create", {"id": 9, "order_id": 5551}, ("5551",), ()),
        ("fulfillments/create", {"id": 9, "order_id": 5551}, ("5551",), ()),
        ("fulfillments/update", {"id": 9, "order_id": 5551}, ("5551",), ()),
        ("returns/process", {"id": 9, "order": {"id": 5551}}, ("5551",), ()),
        ("fulfillment_orders/moved", {"moved_fulfillment_order": {"id": 9}}, (), ()),
        (
            "inventory_levels/update",
            {"inventory_item_id": 271878346596884015, "location_id": 24826418, "available": 3},
            (),
            (QuantityKey("271878346596884015", "24826418"),),
        ),
        ("inventory_levels/update", {"inventory_item_id": 1}, (), ()),
        ("products/update", {"id": 788}, (), ()),
        ("customers/redact", {"customer": {"email": "canary@birdwhistle.example"}}, (), ()),
        ("orders/create", {"id": "5551"}, ("5551",), ()),
        ("orders/create", {"id": -5}, (), ()),
        ("orders/create", [], (), ()),
        ("orders/create", b"\xff not json", (), ()),
        ("orders/create", b"", (), ()),
    ],
)
async def test_a_genuine_delivery_hints_at_what_to_read(
    scheme: ShopifyWebhooks, topic: str, content: Any, orders: tuple[str, ...], keys: tuple[QuantityKey, ...]
) -> None:
    hint = await scheme.verify(*delivery(content, topic=topic), NOW)
    assert hint is not None
    named = "".join(f" {one.key}@{one.location}" for one in keys)
    assert (hint.topic, hint.event, hint.orders, hint.keys) == (topic, EVENT + named, orders, keys)
    assert hint.sent_at == datetime(2026, 11, 21, 11, 59, 30, 123456, tzinfo=UTC)
    assert "anary" not in repr(hint)


@pytest.mark.parametrize("secret", [SECRET, "the old one"])
async def test_the_secret_before_the_present_one_still_counts(scheme: ShopifyWebhooks, secret: str) -> None:
    headers, body = delivery()
    assert await scheme.verify(headers | {"X-Shopify-Hmac-Sha256": signature(body, secret)}, body, NOW) is not None


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
async def test_header_names_are_matched_in_any_case(scheme: ShopifyWebhooks, spelled: Any) -> None:
    headers, body = delivery()
    assert await scheme.verify({spelled(name): value for name, value in headers.items()}, body, NOW) is not None


async def test_duplicates_of_an_event_have_one_name_and_a_delivery_without_one_has_its_own(
    scheme: ShopifyWebhooks,
) -> None:
    async def event(**headers: str) -> str:
        hint = await scheme.verify(*delivery(**headers), NOW)
        assert hint is not None
        return hint.event

    assert await event(Webhook_Id="11111111-1111-1111-1111-111111111111") == await event() == EVENT
    assert await event(Event_Id="") == "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"
    assert await event(Event_Id="?", Webhook_Id="\x00") == hashlib.sha256(json.dumps(ORDER).encode()).hexdigest()


async def test_numbers_that_change_together_are_each_followed_whatever_event_they_are_said_to_be(
    scheme: ShopifyWebhooks,
) -> None:
    async def event(item: int, location: int) -> str:
        told = {"inventory_item_id": item, "location_id": location, "available": 3}
        hint = await scheme.verify(*delivery(told, topic="inventory_levels/update"), NOW)
        assert isinstance(hint, WebhookHint)
        return hint.event

    names = [await event(*one) for one in ((1, 7), (2, 7), (1, 8))]
    assert len({*names}) == 3, "the inbox would keep the second aside as another body of the first"
    assert await event(1, 7) == names[0]


@pytest.mark.parametrize("age", [timedelta(hours=4), LATEST, -timedelta(minutes=4)])
async def test_a_repeat_of_four_hours_ago_counts(scheme: ShopifyWebhooks, age: timedelta) -> None:
    headers, body = delivery(Triggered_At=(NOW - age).isoformat())
    assert isinstance(await scheme.verify(headers, body, NOW), WebhookHint)


@pytest.mark.parametrize("age", [LATEST + timedelta(seconds=1), timedelta(days=1), timedelta(days=400)])
async def test_one_that_comes_too_late_is_answered_and_hints_at_nothing(
    scheme: ShopifyWebhooks, age: timedelta
) -> None:
    """Some come a day late, and Shopify ends a subscription after eight refusals in a row."""
    headers, body = delivery(Triggered_At=(NOW - age).isoformat())
    assert await scheme.verify(headers, body, NOW) is TOO_LATE
    assert await scheme.verify(headers | {"X-Shopify-Hmac-Sha256": "guess"}, body, NOW) is None


BODY = json.dumps(ORDER).encode()
GOOD = signature(BODY)
FORGERIES: dict[str, tuple[dict[str, str], bytes]] = {
    "no signature": delivery(Hmac_Sha256=""),
    "a blank for a signature": delivery(Hmac_Sha256=" "),
    "another secret": delivery(Hmac_Sha256=signature(BODY, "guess")),
    "an empty secret": delivery(Hmac_Sha256=signature(BODY, "")),
    "SHA-1": delivery(Hmac_Sha256=signature(BODY, how=hashlib.sha1)),
    "SHA-512": delivery(Hmac_Sha256=signature(BODY, how=hashlib.sha512)),
    "a hash without a secret": delivery(Hmac_Sha256=base64.b64encode(hashlib.sha256(BODY).digest()).decode()),
    "hexadecimal": delivery(Hmac_Sha256=base64.b64decode(GOOD).hex()),
    "in lower case": delivery(Hmac_Sha256=GOOD.lower()),
    "cut": delivery(Hmac_Sha256=GOOD[:-1]),
    "cut to nothing but its end": delivery(Hmac_Sha256=GOOD[-4:]),
    "longer": delivery(Hmac_Sha256=GOOD + "A"),
    "with a blank": delivery(Hmac_Sha256=GOOD + " "),
    "with a line end": delivery(Hmac_Sha256=GOOD + "\n"),
    "two of them": delivery(Hmac_Sha256=f"{GOOD},{GOOD}"),
    "with the name of its kind": delivery(Hmac_Sha256=f"sha256={GOOD}"),
    "not ASCII": delivery(Hmac_Sha256="é" * 44),
    "half a character": delivery(Hmac_Sha256="\udcff" * 44),
    "a zero byte": delivery(Hmac_Sha256="\x00" * 44),
    "very long": delivery(Hmac_Sha256="A" * 100_000),
    "one bit of the body": (delivery()[0], BODY[:-2] + bytes([BODY[-2] ^ 1]) + BODY[-1:]),
    "one byte more": (delivery()[0], BODY + b" "),
    "one byte less": (delivery()[0], BODY[:-1]),
    "no body": (delivery()[0], b""),
    "the body of another delivery": (delivery()[0], json.dumps(ORDER | {"id": 5552}).encode()),
    "the same JSON, written otherwise": (delivery()[0], json.dumps(ORDER, indent=1).encode()),
    "signed without the body": (delivery()[0] | {"X-Shopify-Hmac-Sha256": signature(b"")}, BODY),
    "another shop": delivery(Shop_Domain="another.myshopify.com"),
    "no shop": delivery(Shop_Domain=""),
    "a shop that only begins like ours": delivery(Shop_Domain=f"{SHOP}.evil.example"),
    "no topic": delivery(topic=""),
    "a topic of another kind": delivery(topic="orders/create\nX: y"),
    "a topic without a thing": delivery(topic="/create"),
    "no time": delivery(Triggered_At=""),
    "a time that is none": delivery(Triggered_At="yesterday"),
    "a time without a zone": delivery(Triggered_At="2026-11-21T11:59:30"),
    "a time in seconds": delivery(Triggered_At="1795262370"),
    "of tomorrow": delivery(Triggered_At="2026-11-22T11:59:30Z"),
    "a year that is none": delivery(Triggered_At="0001-01-01T00:00:00+23:59"),
    "no headers": ({}, BODY),
}


def test_there_are_at_least_thirty_forgeries() -> None:
    assert len(FORGERIES) >= 30


@pytest.mark.parametrize("name", list(FORGERIES))
async def test_a_forged_delivery_is_nothing(scheme: ShopifyWebhooks, name: str) -> None:
    headers, body = FORGERIES[name]
    assert await scheme.verify(headers, body, NOW) is None


@given(
    headers=st.dictionaries(
        st.sampled_from(list(delivery()[0])) | st.text(max_size=9), st.text(max_size=60), max_size=8
    ),
    body=st.binary(max_size=200),
)
async def test_no_delivery_raises(headers: dict[str, str], body: bytes) -> None:
    assert await ShopifyWebhooks(SHOP, (SecretStr(SECRET),)).verify(headers, body, NOW) is None


@given(content=st.binary(max_size=300), topic=st.sampled_from(["orders/create", "orders/edited", "returns/update"]))
async def test_no_signed_body_raises(content: bytes, topic: str) -> None:
    hint = await ShopifyWebhooks(SHOP, (SecretStr(SECRET),)).verify(*delivery(content, topic=topic), NOW)
    assert hint is not None


async def test_without_a_client_secret_there_is_no_scheme(resources) -> None:
    assert CONNECTOR.webhooks is not None
    lasting = ShopifySettings(shop=SHOP, access_token=SecretStr("shpat"))
    assert CONNECTOR.webhooks(lasting, resources) is None
    both = lasting.model_copy(update={"client_secret": SecretStr(SECRET)})
    scheme = CONNECTOR.webhooks(both, resources)
    assert scheme is not None
    assert await scheme.verify(*delivery(), NOW) is not None


@pytest.mark.parametrize("secrets", [(), (SecretStr(""),), (SecretStr(SECRET), SecretStr(""))])
def test_a_scheme_without_a_secret_or_with_an_empty_one_is_refused(secrets: tuple[SecretStr, ...]) -> None:
    with pytest.raises(ValueError, match="anybody could sign"):
        ShopifyWebhooks(SHOP, secrets)


@pytest.mark.parametrize("topic", [topic for topic, fields in TOPICS.items() if fields])
async def test_the_fields_that_are_asked_for_are_enough_to_find_the_order(scheme: ShopifyWebhooks, topic: str) -> None:
    whole = ORDER if topic.startswith("orders/") else {"id": 9, "order_id": 5551, "order": {"id": 5551}}
    cut = {name: value for name, value in whole.items() if name in TOPICS[topic]}
    hint = await scheme.verify(*delivery(cut, topic=topic), NOW)
    assert hint is not None
    assert hint.orders == ("5551",)
