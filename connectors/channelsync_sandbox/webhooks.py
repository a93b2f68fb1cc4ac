"""Deliveries of the marketplace: genuine or not, and which order or number they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr, ValidationError

from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.vault import Vault
from channelsync.sdk.webhooks import TOLERANCE, StandardWebhooks, WebhookHint
from channelsync_sandbox import wire
from channelsync_sandbox.subscriptions import kept_secrets


class SandboxWebhooks:
    """The scheme of one account. secrets: of webhooks registered by hand; those that we registered are in the vault.

    skew: how far the marketplace's clock may be off, on top of the tolerance.
    """

    def __init__(self, secrets: Sequence[SecretStr], vault: Vault, skew: timedelta) -> None:
        self._secrets = tuple(secrets)
        self._vault = vault
        self._tolerance = TOLERANCE + skew

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | None:
        """What a genuine delivery is about. One that is signed but cannot be read hints that something is new."""
        secrets = (*self._secrets, *await self._kept())
        if not secrets:
            return None
        signed = StandardWebhooks(secrets, tolerance=self._tolerance).verified(headers, body, now)
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

    async def _kept(self) -> Sequence[SecretStr]:
        """Raises TryLater where the vault cannot be opened: without the secret nothing can be told from forgeries."""
        try:
            return tuple((await kept_secrets(self._vault)).values())
        except NeedsSeller as error:
            raise TryLater(str(error)) from None


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
