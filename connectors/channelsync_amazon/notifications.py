"""From Amazon's notifications to hints: pure. They come through a queue of the seller's at AWS, not as webhooks.

Nothing in them is believed beyond what to read: an id of an order, a SKU. They come unsigned, twice and in any order;
who may write to the queue is what they are trusted for. Some types spell their names otherwise than others
(NotificationType, notificationType), so names are matched in any case.
Sources: the schemas of the notifications, with their examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint

ORDERS: Final = frozenset({"ORDER_CHANGE"})
KEYS: Final = frozenset(
    {
        "LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
        "LISTINGS_ITEM_STATUS_CHANGE",
        "LISTINGS_ITEM_ISSUES_CHANGE",
    }
)
"""What names a listing: its number, its state, its issues."""

BY_AMAZON = "AFN"
"""The fulfilment type of orders that Amazon ships: they move no units of ours."""

_TIME = TypeAdapter(AwareDatetime)
_SELLER = ("sellerid", "merchantid")

_DEPTH = 32
"""How deep messages are looked into; Amazon's own have six levels."""


def hint_of(body: bytes | str, seller: str) -> WebhookHint | Harmless | None:
    """What a message says may have changed; None for one that cannot be read, or is about another seller.

    Harmless: a message that names nothing to be read: another type, an order that Amazon ships.
    """
    message = _message(body)
    if message is None:
        return None
    topic, event, at, payload = message
    if any(one != seller for one in _texts(payload, _SELLER)):
        return None
    if topic in ORDERS:
        if BY_AMAZON in set(_texts(payload, ("fulfillmenttype", "fulfillmentchannel"))):
            return Harmless(f"{topic} of an order that Amazon ships")
        orders = tuple(dict.fromkeys(_texts(payload, ("amazonorderid", "orderid"))))
        return WebhookHint(topic=topic, event=event, sent_at=at, orders=orders) if orders else None
    if topic in KEYS:
        keys = tuple(QuantityKey(sku) for sku in dict.fromkeys(_texts(payload, ("sku", "sellersku"))))
        return WebhookHint(topic=topic, event=event, sent_at=at, keys=keys) if keys else None
    return Harmless(f"{topic} says nothing that is read")


def _message(body: bytes | str) -> tuple[str, str, datetime, Any] | None:
    """Type, id, time of publication and payload of a message."""
    try:
        told = _low(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    if isinstance(told, dict) and isinstance(told.get("detail"), dict):  # by way of EventBridge
        told = told["detail"]
    if not isinstance(told, dict) or not isinstance(told.get("notificationmetadata"), dict):
        return None
    topic, about = told.get("notificationtype"), told["notificationmetadata"]
    event = about.get("notificationid")
    try:
        at = _TIME.validate_python(about.get("publishtime") or told.get("eventtime"))
    except ValidationError:
        return None
    if not isinstance(topic, str) or not isinstance(event, str) or not topic or not event:
        return None
    return topic, event, at, told.get("payload")


def _low(value: Any, depth: int = _DEPTH) -> Any:
    """The value with all names in lower case; what is nested deeper is left out."""
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return None
    if isinstance(value, dict):
        return {name.lower(): _low(held, depth - 1) for name, held in value.items()}
    return [_low(one, depth - 1) for one in value]


def _texts(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Every text under one of these names, however deep."""
    if isinstance(value, dict):
        for name, held in value.items():
            if name in names and isinstance(held, str) and held:
                yield held
            yield from _texts(held, names)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, names)
