"""Deliveries of a shop: which are genuine, and what they hint at."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.webhooks import TOO_LATE, Harmless, WebhookHint
from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.webhooks import KEPT_AS, WooWebhooks

SECRET = "lab-webhook-secret"
NOW = datetime(2026, 11, 21, 16, 8, tzinfo=UTC)
ORDER = {
    "id": 19,
    "status": "processing",
    "date_modified_gmt": "2026-11-21T16:07:49",
    "billing": {"email": "c@x.example"},
}
VARIATION = {"id": 18, "type": "variation", "parent_id": 15, "manage_stock": True}
ROOF = {"id": 15, "type": "variable", "parent_id": 0, "variations": [16, 17], "manage_stock": False}


def body_of(row: Any) -> bytes:
    return json.dumps(row).encode()


def sign(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def headers(body: bytes, topic: str = "order.updated", secret: str = SECRET) -> dict[str, str]:
    resource, _, event = topic.partition(".")
    return {
        "Content-Type": "application/json",
        "X-WC-Webhook-Source": "https://shop.example/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": sign(body, secret),
        "X-WC-Webhook-ID": "2",
        "X-WC-Webhook-Delivery-ID": "43bca728ef95d645d05ff9bae81e819f",
    }


@pytest.fixture
def scheme() -> WooWebhooks:
    return WooWebhooks((SecretStr(SECRET),), MemoryVault())


async def test_an_order_hints_at_itself(scheme: WooWebhooks) -> None:
    body = body_of(ORDER)
    hint = await scheme.verify(headers(body), body, NOW)
    assert hint is not None
    assert (hint.topic, hint.orders, hint.keys, hint.sent_at) == ("order.updated", ("19",), (), NOW)
    assert "c@x.example" not in repr(hint)


@pytest.mark.parametrize(
    ("topic", "row", "orders", "keys"),
    [
        ("order.created", ORDER, ("19",), ()),
        ("order.restored", ORDER, ("19",), ()),
        ("order.deleted", {"id": 21}, ("21",), ()),
        ("product.updated", {"id": 10, "type": "simple", "variations": []}, (), ("10",)),
        ("product.deleted", {"id": 14}, (), ("14",)),
        ("product.updated", VARIATION, (), ("15:18",)),
        ("product.updated", VARIATION | {"parent_id": 0}, (), ()),
        ("product.updated", ROOF, (), ("15:16", "15:17")),  # a variation was sold
        ("product.updated", ROOF | {"manage_stock": True}, (), ("15", "15:16", "15:17")),
        ("coupon.updated", {"id": 3}, (), ()),
        ("", {"id": 3}, (), ()),
    ],
)
async def test_a_delivery_hints_at_what_its_topic_is_about(
    scheme: WooWebhooks, topic: str, row: dict[str, Any], orders: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    body = body_of(row)
    hint = await scheme.verify(headers(body, topic), body, NOW)
    assert hint is not None
    assert (hint.orders, hint.keys) == (orders, tuple(map(QuantityKey, keys)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"id": "7"}', b'{"id": 0}', b"{}", b"\xff"])
async def test_a_signed_delivery_that_cannot_be_read_hints_that_something_is_new(
    scheme: WooWebhooks, body: bytes
) -> None:
    hint = await scheme.verify(headers(body), body, NOW)
    assert hint is not None
    assert (hint.orders, hint.keys) == ((), ())


async def test_two_changes_of_one_second_are_two_events_though_their_delivery_ids_are_one(scheme: WooWebhooks) -> None:
    bodies = [body_of(ORDER), body_of(ORDER | {"id": 20})]
    hints = [await scheme.verify(headers(body), body, NOW) for body in bodies]
    assert len({hint.event for hint in hints if hint}) == 2


async def test_a_delivery_that_comes_again_under_another_id_is_the_same_event(scheme: WooWebhooks) -> None:
    body = body_of(ORDER)
    given = headers(body)
    again = given | {"X-WC-Webhook-Delivery-ID": "0" * 32}
    first, second = await scheme.verify(given, body, NOW), await scheme.verify(again, body, NOW)
    assert first is not None
    assert second is not None
    assert first.event == second.event, "who recorded a delivery must not fill the inbox with it"


async def test_both_secrets_count_while_one_replaces_the_other() -> None:
    scheme = WooWebhooks((SecretStr("new"), SecretStr(SECRET)), MemoryVault())
    body = body_of(ORDER)
    assert [
        await scheme.verify(headers(body, secret=one), body, NOW) is not None for one in ("new", SECRET, "old")
    ] == [
        True,
        True,
        False,
    ]


async def test_a_secret_that_was_copied_as_the_shop_shows_it_counts_as_it_was_typed() -> None:
    scheme = WooWebhooks((SecretStr("fish &amp; chips"),), MemoryVault())
    body = body_of(ORDER)
    assert await scheme.verify(headers(body, secret="fish & chips"), body, NOW) is not None


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="anybody could sign"):
        WooWebhooks((SecretStr(""),), MemoryVault())


async def test_while_no_secret_is_known_nothing_passes(settings, resources) -> None:
    scheme = CONNECTOR.webhooks(settings.model_copy(update={"webhook_secrets": ()}), resources)
    body = body_of(ORDER)
    assert [await scheme.verify(headers(body, secret=one), body, NOW) for one in (SECRET, "")] == [None, None]


async def test_the_secret_in_the_vault_counts_from_when_it_is_there(settings, resources) -> None:
    scheme = CONNECTOR.webhooks(settings.model_copy(update={"webhook_secrets": ()}), resources)
    await resources.vault.put(KEPT_AS, SecretStr("made by us"))
    body = body_of(ORDER)
    assert isinstance(await scheme.verify(headers(body, secret="made by us"), body, NOW), WebhookHint)
    assert await scheme.verify(headers(body), body, NOW) is None


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        (timedelta(0), WebhookHint),
        (timedelta(hours=11), WebhookHint),
        (timedelta(hours=13), Harmless),
        (-timedelta(minutes=4), WebhookHint),
        (-timedelta(minutes=6), type(None)),
    ],
)
async def test_a_recorded_delivery_does_not_hint_for_ever(scheme: WooWebhooks, late: timedelta, kind: type) -> None:
    body = body_of(ORDER)
    changed = datetime(2026, 11, 21, 16, 7, 49, tzinfo=UTC)
    assert type(await scheme.verify(headers(body), body, changed + late)) is kind


async def test_a_shop_that_nobody_visited_for_a_day_is_answered_and_not_refused(scheme: WooWebhooks) -> None:
    """It sends then what is a day old, and switches the webhook off at the seventh refusal."""
    body = body_of(ORDER)
    late = datetime(2026, 11, 22, 16, 7, 49, tzinfo=UTC)
    assert await scheme.verify(headers(body), body, late) is TOO_LATE
    assert await scheme.verify(headers(body, secret="guess"), body, late) is None


# Forgeries

Change = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]


def _with(**changed: str) -> Change:
    names = {name: "X-WC-Webhook-" + name.title().replace("_", "-") for name in changed}
    return lambda given, body: ({**given, **{names[name]: value for name, value in changed.items()}}, body)


def _signature(make: Callable[[bytes], str]) -> Change:
    return lambda given, body: ({**given, "X-WC-Webhook-Signature": make(body)}, body)


def _body(make: Callable[[bytes], bytes]) -> Change:
    return lambda given, body: (given, make(body))


def _digest(body: bytes) -> bytes:
    return hmac.digest(SECRET.encode(), body, hashlib.sha256)


FORGERIES: dict[str, Change] = {
    "no headers at all": lambda _given, body: ({}, body),
    "no signature": lambda given, body: ({k: v for k, v in given.items() if "Signature" not in k}, body),
    "an empty signature": _with(signature=""),
    "a blank signature": _with(signature=" "),
    "a question mark": _with(signature="?"),
    "base64 of nothing": _with(signature="===="),
    "a line break behind": _signature(lambda body: sign(body) + "\n"),
    "a blank before": _signature(lambda body: " " + sign(body)),
    "two signatures": _signature(lambda body: f"{sign(body)},{sign(body)}"),
    "a scheme before": _signature(lambda body: "sha256=" + sign(body)),
    "a version before": _signature(lambda body: "v1," + sign(body)),
    "without its padding": _signature(lambda body: sign(body).rstrip("=")),
    "in small letters": _signature(lambda body: sign(body).lower()),
    "cut in half": _signature(lambda body: sign(body)[:22]),
    "one letter off": _signature(lambda body: ("B" if sign(body)[0] == "A" else "A") + sign(body)[1:]),
    "in hexadecimal": _signature(lambda body: _digest(body).hex()),
    "in base64 for addresses": _signature(lambda body: base64.b32encode(_digest(body)).decode()),
    "by another secret": _signature(lambda body: sign(body, "another secret")),
    "by an empty secret": _signature(lambda body: sign(body, "")),
    "by the secret in capitals": _signature(lambda body: sign(body, SECRET.upper())),
    "by the secret with a line break": _signature(lambda body: sign(body, SECRET + "\n")),
    "by SHA-1": _signature(lambda body: base64.b64encode(hmac.digest(SECRET.encode(), body, "sha1")).decode()),
    "by SHA-512": _signature(lambda body: base64.b64encode(hmac.digest(SECRET.encode(), body, "sha512")).decode()),
    "a plain digest": _signature(lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode()),
    "a digest of secret and body": _signature(
        lambda body: base64.b64encode(hashlib.sha256(SECRET.encode() + body).digest()).decode()
    ),
    "of an empty body": _signature(lambda _body: sign(b"")),
    "of the tidied body": _signature(lambda body: sign(json.dumps(json.loads(body), separators=(",", ":")).encode())),
    "of another order": _signature(lambda _body: sign(body_of(ORDER | {"id": 20}))),
    "letters that are none": _with(signature="\u00e9\ud800"),
    "a very long one": _with(signature="A" * 100_000),
    "another order in the body": _body(lambda body: body.replace(b"19", b"20", 1)),
    "a blank behind the body": _body(lambda body: body + b" "),
    "an empty body": _body(lambda _body: b""),
    "a second order behind": _body(lambda body: body + body),
    "in another encoding": _body(lambda body: body.decode().encode("utf-16")),
    "the form ping": lambda _given, _body: ({"Content-Type": "application/x-www-form-urlencoded"}, b"webhook_id=1"),
    "the form ping with a foreign signature": lambda given, _body: (given, b"webhook_id=1"),
}


@pytest.mark.parametrize("forgery", list(FORGERIES))
async def test_a_forgery_is_nothing(scheme: WooWebhooks, forgery: str) -> None:
    body = body_of(ORDER)
    assert await scheme.verify(headers(body), body, NOW) is not None, "the delivery that is forged is genuine"
    given, forged = FORGERIES[forgery](headers(body), body)
    expected = Harmless("ping of a new webhook") if forgery == "the form ping" else None
    assert await scheme.verify(given, forged, NOW) == expected


def test_there_are_thirty_forgeries_at_least() -> None:
    assert len(FORGERIES) >= 30


# Deliveries as they came


async def test_recorded_deliveries_are_genuine_and_pings_are_not(scheme: WooWebhooks, recordings: Path) -> None:
    told: dict[str, int] = {}
    with (recordings / "webhook_deliveries" / "all.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            came = json.loads(line)
            given, body = dict(came["headers"]), came["body"].encode()
            hint = await scheme.verify(given, body, datetime.fromtimestamp(came["t"], UTC))
            topic = given.get("X-WC-Webhook-Topic", "ping")
            assert isinstance(hint, WebhookHint) == (topic != "ping"), came["n"]
            assert hint is not None, "a ping is answered, too"
            if isinstance(hint, WebhookHint):
                assert hint.orders or hint.keys, came["n"]
                assert hint.topic == topic
            told[topic] = told.get(topic, 0) + 1
    assert {"order.created", "order.updated", "order.deleted", "product.updated", "product.deleted", "ping"} <= set(
        told
    )


async def test_recorded_deliveries_that_share_an_id_stay_apart(scheme: WooWebhooks, recordings: Path) -> None:
    lines = (recordings / "webhook_deliveries" / "all.jsonl").read_text(encoding="utf-8").splitlines()
    came = [json.loads(line) for line in lines]
    signed = [one for one in came if "X-WC-Webhook-Delivery-ID" in dict(one["headers"])]
    ids = {dict(one["headers"])["X-WC-Webhook-Delivery-ID"] for one in signed}
    hints = [
        await scheme.verify(dict(one["headers"]), one["body"].encode(), datetime.fromtimestamp(one["t"], UTC))
        for one in signed
    ]
    assert len(ids) < len({one["body"] for one in signed}) == len({hint.event for hint in hints if hint})
