"""Deliveries of Shopify: genuine or not, and which order or number they are about.

The signature vouches for the body alone: base64 of HMAC-SHA256 with the app's client secret over the raw bytes, in
X-Shopify-Hmac-SHA256. Topic, shop, event id and time stand in headers that nobody signs. So a body that was caught on
its way can be sent again under other headers; what it would gain is one more read of what it names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import TOLERANCE, TOO_LATE, Harmless, WebhookHint, plain_keys, signed_by
from channelsync.sdk.wire import CamelWire

LATEST = timedelta(hours=6)
"""How old a delivery may be: Shopify repeats one for four hours. What comes later, as some do by a day (Best practices
for webhooks), the polls have found. It is answered all the same: Shopify ends a subscription after eight refusals."""

TOPICS: Mapping[str, Sequence[str]] = {
    "orders/create": ("id",),
    "orders/updated": ("id",),
    "orders/edited": (),
    "orders/cancelled": ("id",),
    "orders/fulfilled": ("id",),
    "orders/partially_fulfilled": ("id",),
    "orders/delete": ("id",),
    "refunds/create": ("id", "order_id"),
    "returns/process": ("id", "order"),
    "inventory_levels/update": (),
    "inventory_levels/connect": (),
    "inventory_levels/disconnect": (),
}
"""What Shopify is asked to tell us of, and which fields a delivery needs; nothing: all, where none tells of the buyer.

Not fulfillments/create: that needs read_fulfillments (descriptions of `WebhookSubscriptionTopic` in the schema), and
orders/fulfilled tells the same. Not fulfillment_orders/moved: every poll looks for such moves (see `channel`).
"""

_TOPIC = re.compile(r"[a-z_]+/[a-z_]+")
_EVENT = re.compile(r"[0-9A-Za-z-]{8,64}")

Number = Annotated[int, Field(ge=1)]


class _Named(CamelWire):
    id: Number | None = None


class _Edit(CamelWire):
    order_id: Annotated[Number | None, Field(alias="order_id")] = None


class _Body(CamelWire):
    """What is read of a body: the ids of what to ask for. Everything about the buyer is left where it is."""

    id: Number | None = None
    order_id: Annotated[Number | None, Field(alias="order_id")] = None
    order: _Named | None = None
    order_edit: Annotated[_Edit | None, Field(alias="order_edit")] = None
    inventory_item_id: Annotated[Number | None, Field(alias="inventory_item_id")] = None
    location_id: Annotated[Number | None, Field(alias="location_id")] = None


class ShopifyWebhooks:
    """The scheme of one shop. shop: its address at Shopify. secrets: the app's, those replaced lately included.

    Raises ValueError for no secret, or an empty one.
    """

    def __init__(self, shop: str, secrets: Sequence[SecretStr]) -> None:
        self._shop = shop
        self._keys = plain_keys(secrets)

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | Harmless | None:
        """What a genuine delivery is about. One that is signed but cannot be read hints that something is new."""
        found = {name.lower(): value for name, value in headers.items()}
        if not signed_by(self._keys, body, found.get("x-shopify-hmac-sha256", "")):
            return None
        topic = found.get("x-shopify-topic", "")
        sent_at = _time(found.get("x-shopify-triggered-at", ""))
        if sent_at is None or now - sent_at < -TOLERANCE:
            return None
        if not _TOPIC.fullmatch(topic) or found.get("x-shopify-shop-domain", "").lower() != self._shop:
            return None
        if now - sent_at > LATEST:
            return TOO_LATE
        read = _read(body)
        keys = _keys_in(topic, read)
        return WebhookHint(
            topic=topic,
            event=_event(found, body, keys),
            sent_at=sent_at,
            orders=_orders_in(topic, read),
            keys=keys,
        )


def _event(headers: Mapping[str, str], body: bytes, keys: Sequence[QuantityKey]) -> str:
    """The id that all repeats of one event share; else that of the delivery, else one made of the body.

    With the number that it is about: nobody says that what one hand does to several numbers is several events, and of
    one name the inbox follows one body only.
    """
    for name in ("x-shopify-event-id", "x-shopify-webhook-id"):
        value = headers.get(name, "")
        if _EVENT.fullmatch(value):
            return " ".join((value, *(f"{one.key}@{one.location}" for one in keys)))
    return hashlib.sha256(body).hexdigest()


def _time(text: str) -> datetime | None:
    """A time as Shopify writes it; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read(body: bytes) -> _Body:
    try:
        return _Body.model_validate_json(body)
    except ValidationError:
        return _Body()


def _orders_in(topic: str, body: _Body) -> tuple[str, ...]:
    """The order that it is about; none where it does not tell."""
    kind = topic.partition("/")[0]
    number: int | None = None
    if topic == "orders/edited":
        number = None if body.order_edit is None else body.order_edit.order_id
    elif kind == "orders":
        number = body.id
    elif kind in ("refunds", "fulfillments", "order_transactions"):
        number = body.order_id
    elif kind == "returns":
        number = body.order_id or (body.order.id if body.order is not None else None)
    return () if number is None else (str(number),)


def _keys_in(topic: str, body: _Body) -> tuple[QuantityKey, ...]:
    if not topic.startswith("inventory_levels/") or body.inventory_item_id is None or body.location_id is None:
        return ()
    return (QuantityKey(str(body.inventory_item_id), str(body.location_id)),)
