"""Webhooks registered at the shop: one for each topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.wire import read_part
from channelsync_shopify import documents, wire, wire_account
from channelsync_shopify.client import ShopifyClient, next_of
from channelsync_shopify.documents import Document
from channelsync_shopify.webhooks import TOPICS

_TAKEN = "Address for this topic has already been taken"
"""Live capture of 2026-06."""


class Subscriptions:
    """The app's webhook subscriptions in one shop. Those that the app's own configuration makes are not among them.

    Shopify has no switch: it deletes a subscription whose deliveries fail eight times in a row. One that tells less
    than we need counts as switched off.
    """

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client

    async def found(self) -> list[Subscription]:
        """All of them."""
        found: list[Subscription] = []
        after: str | None = None
        while True:
            data, answer = await self._client.ask(documents.WEBHOOKS, {"after": after})
            rows = read_part(wire.Rows, data.get("webhookSubscriptions"), answer, documents.WEBHOOKS.name)
            for row in rows.nodes:
                found.append(_told(read_part(wire_account.Webhook, row, answer, documents.WEBHOOKS.name)))
            after = next_of(rows, after, answer)
            if after is None:
                return found

    async def subscribe(self, topic: str, address: str) -> None:
        """A new subscription. One that is there already is left as it is: Shopify takes no second of the same kind."""
        variables = {"topic": _in_the_schema(topic), "webhookSubscription": _wanted(topic, address)}
        errors = await self._change(documents.WEBHOOK_ADD, "webhookSubscriptionCreate", variables)
        _refuse(topic, [error for error in errors if error.message != _TAKEN])

    async def renew(self, subscription: Subscription) -> None:
        """Makes a subscription tell all that we need."""
        topic = subscription.topic
        variables = {"id": subscription.name, "webhookSubscription": _wanted(topic, subscription.address)}
        _refuse(topic, await self._change(documents.WEBHOOK_CHANGE, "webhookSubscriptionUpdate", variables))

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription; one that is gone already is gone."""
        variables = {"id": subscription.name}
        errors = await self._change(documents.WEBHOOK_END, "webhookSubscriptionDelete", variables)
        _refuse(subscription.topic, [error for error in errors if error.field != ("id",)])

    async def _change(self, document: Document, root: str, variables: dict[str, Any]) -> Sequence[wire.UserError]:
        """What Shopify says against a change; nothing where it is made."""
        data, answer = await self._client.ask(document, variables, write=True)
        return read_part(wire_account.Changed, data.get(root), answer, document.name).user_errors


def _in_the_schema(topic: str) -> str:
    """A topic as `WebhookSubscriptionTopic` spells it: orders/create is ORDERS_CREATE."""
    return topic.replace("/", "_").upper()


_TOPICS = {_in_the_schema(topic): topic for topic in TOPICS}


def _wanted(topic: str, address: str) -> dict[str, Any]:
    """A subscription as it must be. Raises NeedsSeller for an address that Shopify does not deliver to."""
    if not address.startswith("https://"):
        raise NeedsSeller("Give channelsync a public address with https: Shopify delivers webhooks to no other.")
    return {"uri": address, "format": "JSON", "filter": "", "includeFields": list(TOPICS[topic])}


def _told(found: wire_account.Webhook) -> Subscription:
    topic = _TOPICS.get(found.topic, found.topic)
    trouble = ""
    if found.format != "JSON":
        trouble = f"it tells {found.format} instead of JSON"
    elif found.filter:
        trouble = "it has a filter, so it does not tell of all"
    elif found.include_fields and not _tells(found.include_fields, TOPICS.get(topic, ())):
        trouble = "it leaves out what it is about"
    return Subscription(name=found.id, topic=topic, address=found.uri, active=not trouble, trouble=trouble)


def _tells(fields: Sequence[str], needed: Sequence[str]) -> bool:
    """Whether deliveries with these fields only hold what we need. needed: nothing means all."""
    return bool(needed) and {*needed} <= {*fields}


def _refuse(topic: str, errors: Sequence[wire.UserError]) -> None:
    if errors:
        told = "; ".join(error.message for error in errors if error.message)[:300]
        raise NeedsSeller(f"Look why Shopify takes no webhook of {topic}: {told or 'it gives no reason'}.")
