"""What the shop must be set to: its webhooks, and options that decide when units are held."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.vault import Vault
from channelsync_woocommerce.client import WooClient
from channelsync_woocommerce.settings import WooSettings
from channelsync_woocommerce.webhooks import KEPT_AS

TRACKING = "woocommerce_manage_stock"
HOLDING = "woocommerce_hold_stock_minutes"
OPTIONS = (TRACKING, HOLDING)
"""Options of WooCommerce > Settings > Products > Inventory, by their names in the API."""

_SECRET_BYTES = 32
_OFF = "disabled"
_PAUSED = "paused"


class Subscriptions:
    """The shop's webhooks. by_hand: secrets of webhooks that the seller has made; new ones get the first of them."""

    def __init__(self, client: WooClient, vault: Vault, by_hand: Sequence[SecretStr]) -> None:
        self._client = client
        self._vault = vault
        self._by_hand = by_hand

    async def found(self) -> Sequence[Subscription]:
        """All of the shop's. One that the seller has paused counts as active: that is the seller's wish."""
        known = bool(self._by_hand) or await self._vault.get(KEPT_AS) is not None
        trouble = {
            _OFF: "the shop has switched it off after failed deliveries",
            _PAUSED: "paused in the shop",
        }
        return [
            Subscription(
                name=str(one.id),
                topic=one.topic,
                address=one.delivery_url,
                active=known and one.status != _OFF,
                trouble=trouble.get(one.status, "" if known else "its secret is not known here"),
            )
            for one in await self._client.webhooks()
        ]

    async def subscribe(self, topic: str, address: str) -> None:
        """A new webhook, with the secret that the others have."""
        await self._client.add_webhook(topic, address, await self._secret())

    async def renew(self, subscription: Subscription) -> None:
        """Makes a webhook active again, its count of failures 0, and its secret the one that we know."""
        await self._client.switch_on(int(subscription.name), await self._secret())

    async def _secret(self) -> SecretStr:
        """The one in force. A new one is kept before the shop is told: it signs with nothing that we do not know."""
        if self._by_hand:
            return self._by_hand[0]
        kept = await self._vault.get(KEPT_AS)
        if kept is None:
            # Not from a seed: nobody may guess it, and nothing else follows from its value.
            kept = SecretStr(secrets.token_urlsafe(_SECRET_BYTES))
            await self._vault.put(KEPT_AS, kept)
        return kept


def checkpoints(settings: WooSettings, told: Mapping[str, str | None]) -> list[CheckPoint]:
    """What the shop's options mean for us. told: their values; None: the shop does not tell.

    A limit of 0 is none, like a blank one (`wc_cancel_unpaid_orders`: "if held_duration < 1").
    """
    return [_tracking(told.get(TRACKING)), _holding(told.get(HOLDING), settings.hold_stock_minutes)]


def _tracking(value: str | None) -> CheckPoint:
    what = "stock management"
    if value is None:
        return CheckPoint(what, "the shop does not tell whether it counts units")
    if value == "yes":
        return CheckPoint(what, "on")
    return CheckPoint(
        what, "off: the shop counts no units", "WooCommerce > Settings > Products > Inventory: Enable stock management."
    )


def _holding(value: str | None, ours: float) -> CheckPoint:
    what = "hold stock"
    if value is None:
        return CheckPoint(what, "the shop does not tell how long an unpaid order holds units")
    if not value or value == "0":
        return CheckPoint(what, "unpaid orders hold units until somebody cancels them")
    if value.isdigit() and int(value) <= ours:
        return CheckPoint(what, f"{value} minutes, and we wait {ours:g}")
    return CheckPoint(
        what,
        f"{value} minutes, but we take units of unpaid orders back after {ours:g}",
        f"Set hold_stock_minutes = {value} in [channel.settings].",
    )
