"""Webhooks registered at the shop: one for each topic, all with one secret: the seller's, or one kept in the vault."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pydantic import SecretStr

from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.vault import Vault
from channelsync_woocommerce.client import WooClient
from channelsync_woocommerce.webhooks import KEPT_AS

_SECRET_BYTES = 32
_OFF = "disabled"
_PAUSED = "paused"
_ON_AGAIN = "Set it to Active in the shop (WooCommerce > Settings > Advanced > Webhooks); until then orders are polled."


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
                advice=_ON_AGAIN if one.status == _PAUSED else "",
            )
            for one in await self._client.webhooks()
        ]

    async def subscribe(self, topic: str, address: str) -> None:
        """A new webhook, with the secret that the others have."""
        await self._client.add_webhook(topic, address, await self._secret())

    async def renew(self, subscription: Subscription) -> None:
        """Makes a webhook active again, its count of failures 0, and its secret the one that we know."""
        await self._client.switch_on(int(subscription.name), await self._secret())

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a webhook; one that is gone already is gone."""
        await self._client.drop_webhook(int(subscription.name))

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
