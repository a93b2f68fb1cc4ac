"""Deliveries of the marketplace: genuine or not, and which order or number they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr, ValidationError

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import TOLERANCE, StandardWebhooks, WebhookHint
from channelsync_sandbox import wire


class SandboxWebhooks:
    """The scheme of one account. skew: how far the marketplace's clock may be off, on top of the tolerance."""

    def __init__(self, secrets: Sequence[SecretStr], skew: timedelta) -> None:
        self._signatures = StandardWebhooks(secrets, tolerance=TOLERANCE + skew)

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | None:
        """What a genuine delivery is about. One that is signed but cannot be read hints that something is new."""
        signed = self._signatures.verified(headers, body, now)
        if signed is None:
            return None
        try:
            delivered = wire.Delivered.model_validate_json(body)
        except ValidationError:
            return WebhookHint(topic="", event=signed.event, sent_at=signed.sent_at)
        return WebhookHint(
            topic=delivered.type,
            event=signed.event,
            sent_at=signed.sent_at,
            orders=_orders_in(delivered.data),
            keys=_keys_in(delivered.data),
        )


def _orders_in(data: Mapping[str, Any]) -> tuple[str, ...]:
    order = data.get("order")
    name = order.get("id") if isinstance(order, dict) else None
    return (name,) if isinstance(name, str) and name else ()


def _keys_in(data: Mapping[str, Any]) -> tuple[QuantityKey, ...]:
    try:
        row = wire.Number.model_validate(data.get("number"))
    except ValidationError:
        return ()
    return (QuantityKey(row.key, row.location),)
