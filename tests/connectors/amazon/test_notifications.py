"""Notifications: what they hint at, and that nothing else in them is believed."""

import json
from typing import Any

import pytest

from channelsync.sdk.contract import CANARY
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync_amazon.notifications import hint_of

# file -> (seller, orders, keys); None: it is harmless
EXAMPLES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]] | None] = {
    "OrderChangeNotification": ("A3TH9S8BH6GOGM", ("903-8868176-2219830",), ()),
    "ListingsItemMfnQuantityChange": ("AXXXXXXXXXXXXX", (), ("NLS-SHOES-03",)),
    "ListingsItemStatusChangeNotification": ("A3AYAZLIQ7AX77", (), ("NLS-SHOES-03",)),
    "ListingsItemIssuesChangeNotification": ("AXXXXXXXXXXXXX", (), ("NLS-SHOES-03",)),
    "ListingsItemIssuesChangeNotification_2023-12-13": ("AXXXXXXXXXXXXX", (), ("NLS-SHOES-03",)),
    "FeedProcessingFinishedNotification": None,
    "ReportProcessingFinishedNotification": None,
    "FBAOutboundShipmentStatusNotification": None,
    "FulfillmentOrderStatusNotification": None,
    "ItemInventoryEventChangeNotification": None,
    "ItemSalesEventChangeNotification": None,
}


def examples(models: Any, name: str) -> list[Any]:
    """Amazon's own examples of a notification."""
    found: list[Any] = json.loads((models / "schemas" / "notifications" / f"{name}.json").read_text())["examples"]
    assert found
    return found


def seller_in(value: Any) -> str:
    """The seller that an example is about; any where it names none."""
    text = json.dumps(value)
    return next((one for one in ("A3TH9S8BH6GOGM", "merchantId") if one in text), "A3TH9S8BH6GOGM")


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_amazons_examples(models, name: str) -> None:
    for example in examples(models, name):
        expected = EXAMPLES[name]
        if expected is None:
            assert isinstance(hint_of(json.dumps(example), seller_in(example)), Harmless)
            continue
        seller, orders, skus = expected
        found = hint_of(json.dumps(example).encode(), seller)
        assert isinstance(found, WebhookHint)
        assert (found.orders, found.keys) == (orders, tuple(QuantityKey(sku) for sku in skus))
        assert found.topic == example["NotificationType"]
        assert found.event == example["NotificationMetadata"]["NotificationId"]
        assert found.sent_at.isoformat()[:19] == example["NotificationMetadata"]["PublishTime"][:19]


@pytest.mark.parametrize("name", [name for name, told in EXAMPLES.items() if told is not None])
def test_a_message_about_another_seller_says_nothing(models, name: str) -> None:
    assert hint_of(json.dumps(examples(models, name)[0]), "ANOTHERSELLER") is None


def message(topic: str = "ORDER_CHANGE", **payload: Any) -> dict[str, Any]:
    return {
        "NotificationType": topic,
        "EventTime": "2017-06-01T09:00:00Z",
        "Payload": payload or {"OrderChangeNotification": {"SellerId": "S", "AmazonOrderId": "1"}},
        "NotificationMetadata": {"NotificationId": "n-1", "PublishTime": "2017-06-01T09:00:01.5Z"},
    }


def test_names_are_matched_in_any_case() -> None:
    def lowered(value: Any) -> Any:
        if isinstance(value, dict):
            return {name[0].lower() + name[1:]: lowered(one) for name, one in value.items()}
        return value

    assert hint_of(json.dumps(lowered(message())), "S") == hint_of(json.dumps(message()), "S")


def test_a_message_that_came_by_eventbridge_is_unwrapped() -> None:
    wrapped = {"detail-type": "ORDER_CHANGE", "detail": message()}
    assert hint_of(json.dumps(wrapped), "S") == hint_of(json.dumps(message()), "S")


def test_an_order_that_amazon_ships_is_harmless() -> None:
    told = {"SellerId": "S", "AmazonOrderId": "1", "Summary": {"FulfillmentType": "AFN"}}
    assert isinstance(hint_of(json.dumps(message(OrderChangeNotification=told)), "S"), Harmless)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"{}",
        json.dumps({"NotificationType": "ORDER_CHANGE"}).encode(),
        json.dumps(message() | {"NotificationMetadata": {"NotificationId": "1", "PublishTime": "soon"}}).encode(),
        json.dumps(message() | {"NotificationMetadata": {"PublishTime": "2017-06-01T09:00:00Z"}}).encode(),
        json.dumps(message() | {"NotificationType": 7}).encode(),
        json.dumps(message(OrderChangeNotification={"SellerId": "S"})).encode(),
        json.dumps(message("LISTINGS_ITEM_STATUS_CHANGE", SellerId="S", Sku="")).encode(),
    ],
)
def test_what_cannot_be_read_says_nothing(body: bytes) -> None:
    assert hint_of(body, "S") is None


def test_no_buyer_comes_in_with_a_message() -> None:
    told = {"SellerId": "S", "AmazonOrderId": "1", "Buyer": list(CANARY), "Summary": {"City": CANARY[3]}}
    found = hint_of(json.dumps(message(OrderChangeNotification=told)), "S")
    assert isinstance(found, WebhookHint)
    assert not [text for text in CANARY if text in repr(found)]
