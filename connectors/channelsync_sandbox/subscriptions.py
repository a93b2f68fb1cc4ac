"""Webhooks registered at the marketplace: one for each topic, whose secrets are kept in the vault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.vault import Vault
from channelsync_sandbox.client import SandboxClient

TOPICS = ("order.created", "order.updated", "order.cancelled", "number.changed")

KEPT_AS = "webhook_secrets"
"""The name in the vault: a JSON object, webhook id -> secret."""


class Subscriptions:
    """The account's webhooks. by_hand: the settings hold secrets of webhooks that were registered by hand."""

    def __init__(self, client: SandboxClient, vault: Vault, *, by_hand: bool) -> None:
        self._client = client
        self._vault = vault
        self._by_hand = by_hand

    async def found(self) -> Sequence[Subscription]:
        """One for each topic of each webhook. One whose secret nobody knows counts as off: its deliveries are lost."""
        kept = await kept_secrets(self._vault)
        return [
            Subscription(
                name=one.id,
                topic=topic,
                address=one.url,
                active=self._by_hand or one.id in kept,
                trouble="" if self._by_hand or one.id in kept else "its secret is not known here",
            )
            for one in await self._client.webhooks()
            for topic in one.topics
        ]

    async def subscribe(self, topic: str, address: str) -> None:
        """Registers a webhook. The secret is told once: should we end before it is kept, `found` says so."""
        made = await self._client.subscribe(topic, address)
        await self._keep({**await kept_secrets(self._vault), made.id: made.secret})

    async def renew(self, subscription: Subscription) -> None:
        """Registers a webhook anew, with a secret that is known, and ends the old one."""
        await self.subscribe(subscription.topic, subscription.address)
        await self.unsubscribe(subscription)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a webhook, with all its topics; one that is gone already is gone."""
        await self._client.unsubscribe(subscription.name)
        kept = await kept_secrets(self._vault)
        if subscription.name in kept:
            await self._keep({name: secret for name, secret in kept.items() if name != subscription.name})

    async def _keep(self, secrets: Mapping[str, SecretStr]) -> None:
        plain = {name: secret.get_secret_value() for name, secret in secrets.items()}
        await self._vault.put(KEPT_AS, SecretStr(json.dumps(plain)))


async def kept_secrets(vault: Vault) -> dict[str, SecretStr]:
    """The secrets of the webhooks that we registered, by webhook. Raises NeedsSeller for what we did not put there."""
    kept = await vault.get(KEPT_AS)
    if kept is None:
        return {}
    try:
        plain = json.loads(kept.get_secret_value())
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        raise NeedsSeller(
            f"What the vault keeps as {KEPT_AS!r} is not ours: run `channelsync secrets forget` with it, then "
            "`channelsync channels check --repair`."
        )
    return {str(name): SecretStr(str(secret)) for name, secret in plain.items()}
