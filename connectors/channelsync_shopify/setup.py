"""What the shop must be set to: the app's webhook subscriptions and permissions, and the shop's locations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Answer
from channelsync.sdk.subscriptions import Subscription
from channelsync_shopify import documents, translate, wire, wire_account
from channelsync_shopify.client import ShopifyClient, next_of
from channelsync_shopify.documents import Document
from channelsync_shopify.webhooks import TOPICS

SCOPES = (
    "read_orders",
    "read_returns",
    "read_merchant_managed_fulfillment_orders",
    "read_products",
    "read_publications",
    "read_inventory",
    "write_inventory",
    "read_locations",
)
"""What the app must be allowed to do (access scopes of the schema's types, fields and webhook topics). A write scope
holds its read scope."""

ALL_ORDERS = "read_all_orders"
"""Without it Shopify shows orders of the last 60 days only."""

_TAKEN = "Address for this topic has already been taken"
"""Live capture of 2026-06."""
_SERVED_BY = "x-shopify-api-version"


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
            rows = wire.read(wire.Rows, data.get("webhookSubscriptions"), answer, documents.WEBHOOKS.name)
            for row in rows.nodes:
                found.append(_told(wire.read(wire_account.Webhook, row, answer, documents.WEBHOOKS.name)))
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
        return wire.read(wire_account.Changed, data.get(root), answer, document.name).user_errors


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


# What is looked at


def missing_scopes(granted: Iterable[str]) -> list[str]:
    """The permissions that the app lacks."""
    held = {*granted}
    return [one for one in SCOPES if not held & {one, one.replace("read_", "write_", 1)}]


async def inspected(client: ShopifyClient) -> list[CheckPoint]:
    """What can be set wrongly at Shopify."""
    data, answer = await client.ask(documents.CHECK, {})
    found = wire.read(wire_account.Checked, data, answer, documents.CHECK.name)
    installed = found.current_app_installation
    granted = [scope.handle for scope in installed.access_scopes]
    version = _version(answer, installed.app.webhook_api_version[:20])
    return [_permissions(granted), _older_orders(granted), version, *_locations(await _places(client))]


async def _places(client: ShopifyClient) -> list[wire_account.Location]:
    """All locations, deactivated ones and other companies' included."""
    found: list[wire_account.Location] = []
    after: str | None = None
    while True:
        data, answer = await client.ask(documents.LOCATIONS, {"after": after})
        rows = wire.read(wire.Rows, data.get("locations"), answer, documents.LOCATIONS.name)
        found += [wire.read(wire_account.Location, row, answer, documents.LOCATIONS.name) for row in rows.nodes]
        after = next_of(rows, after, answer)
        if after is None:
            return found


def _permissions(granted: Sequence[str]) -> CheckPoint:
    missing = missing_scopes(granted)
    if missing:
        advice = "Add them to the app's access scopes, release that version, and install it anew."
        return CheckPoint("permissions", f"The app lacks {', '.join(missing)}.", advice)
    return CheckPoint("permissions", f"The app may do all that is needed; it holds {', '.join(sorted(granted))[:300]}.")


def _older_orders(granted: Sequence[str]) -> CheckPoint:
    if ALL_ORDERS in granted:
        return CheckPoint("older orders", "Orders of any age are shown.")
    return CheckPoint("older orders", f"Orders older than 60 days are not shown: the app lacks {ALL_ORDERS}.")


def _version(answer: Answer, delivered: str) -> CheckPoint:
    """By whichever version the answer was made: Shopify answers by another one once ours is no longer supported.

    delivered: the version of webhooks, which the app's own settings choose; all of them name what changed alike.
    """
    served = answer.headers.get(_SERVED_BY, "")[:20] or documents.VERSION
    told = f"Shopify answers by {served}" + (f" and writes deliveries by {delivered}." if delivered else ".")
    if served == documents.VERSION:
        return CheckPoint("API version", told)
    return CheckPoint("API version", told, f"Update channelsync: it speaks {documents.VERSION}, which has ended.")


def _locations(places: Sequence[wire_account.Location]) -> list[CheckPoint]:
    """Which locations have numbers that are written, and why the others have none."""
    fed = [one for one in places if one.is_active and not one.is_fulfillment_service]
    found = f"{len(fed)} of {len(places)} are active and the seller's own: {_named(fed)}." if fed else "None is active."
    advice = "" if fed else "Activate a location of your own in Settings > Locations: numbers are kept there."
    points = [CheckPoint("locations", found, advice)]
    theirs = [one for one in places if one.is_fulfillment_service]
    if theirs:
        points.append(CheckPoint("locations", f"Other companies keep these, so nothing is written: {_named(theirs)}."))
    closed = [one for one in places if not one.is_active and not one.is_fulfillment_service]
    if closed:
        points.append(CheckPoint("locations", f"Deactivated, so nothing is kept there: {_named(closed)}."))
    silent = [one for one in fed if not one.fulfills_online_orders]
    if silent:
        points.append(CheckPoint("locations", f"Online orders are not shipped from: {_named(silent)}."))
    return points


def _named(places: Sequence[wire_account.Location]) -> str:
    """Up to ten of them by number and name."""
    told = [f"{translate.number_of(one.id)} ({one.name[:40]})" for one in places[:10]]
    return ", ".join(told) + (f" and {len(places) - 10} more" if len(places) > 10 else "")
