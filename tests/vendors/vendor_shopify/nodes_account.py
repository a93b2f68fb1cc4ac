"""The shop, the app's installation, webhook subscriptions and bulk operations as objects of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vendor_shopify import buyers
from vendor_shopify.asking import Ask
from vendor_shopify.bulk import BulkOperation
from vendor_shopify.connections import Row, by_number
from vendor_shopify.errors import Node
from vendor_shopify.ids import gid, rank_text, time_text
from vendor_shopify.schema import API_VERSION
from vendor_shopify.shop import Shop
from vendor_shopify.subscriptions import Subscription


class AccountNodes:
    """Makes the objects, and the root fields that lead to them."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._opened = time_text(shop.marketplace.time())

    def roots(self) -> dict[str, Callable[[Ask], Any]]:
        """By name."""
        subscriptions, bulk = self._shop.subscriptions, self._shop.bulk
        return {
            "currentAppInstallation": lambda _: self.installation(),
            "webhookSubscription": lambda ask: self._by_id(ask.args["id"]),
            "webhookSubscriptions": self._subscriptions,
            "webhookSubscriptionsCount": lambda _: {"count": len(subscriptions.all), "precision": "EXACT"},
            "bulkOperation": lambda ask: self._bulk_by_id(ask.args["id"]),
            "currentBulkOperation": lambda _: self.bulk(bulk.latest) if bulk.latest else None,
            "bulkOperations": lambda ask: ask.page(by_number(bulk.all.values(), lambda each: each.number), self.bulk),
        }

    def finders(self) -> dict[str, Callable[[str], Node | None]]:
        """Of things by plain number, by kind."""
        return {
            "Shop": lambda _: self.shop(),
            "WebhookSubscription": lambda number: self._by_id(gid("WebhookSubscription", number)),
            "BulkOperation": lambda number: self._bulk_by_id(gid("BulkOperation", number)),
        }

    def shop(self) -> Node:
        """The Shop."""
        shop = self._shop
        return {
            "__typename": "Shop",
            "id": gid("Shop", "63755419881"),
            "name": shop.name,
            "myshopifyDomain": shop.domain,
            "url": f"https://{shop.domain}",
            "primaryDomain": {"id": gid("Domain", "1"), "host": shop.domain, "url": f"https://{shop.domain}"},
            "email": buyers.EMAIL,
            "contactEmail": buyers.EMAIL,
            "shopOwnerName": buyers.NAME,
            "currencyCode": shop.currency,
            "ianaTimezone": "Europe/Berlin",
            "timezoneAbbreviation": "CET",
            "timezoneOffset": "+0100",
            "timezoneOffsetMinutes": 60,
            "taxesIncluded": True,
            "setupRequired": False,
            "weightUnit": "KILOGRAMS",
            "unitSystem": "METRIC_SYSTEM",
            "createdAt": self._opened,
            "updatedAt": self._opened,
            "plan": {"publicDisplayName": "Basic", "partnerDevelopment": False, "shopifyPlus": False},
        }

    def installation(self) -> Node:
        """The AppInstallation of the app that asks."""
        scopes = sorted(self._shop.access.effective)
        return {
            "__typename": "AppInstallation",
            "id": gid("AppInstallation", "1"),
            "launchUrl": f"https://{self._shop.domain}/admin/apps/channelsync",
            "uninstallUrl": None,
            "accessScopes": [{"handle": each, "description": each.replace("_", " ")} for each in scopes],
            "app": {
                "__typename": "App",
                "id": gid("App", "1"),
                "apiKey": self._shop.access.client_id,
                "handle": "channelsync",
                "title": "channelsync",
                "embedded": False,
                "webhookApiVersion": API_VERSION,
            },
        }

    # Webhook subscriptions

    def _by_id(self, name: str) -> Node | None:
        found = self._shop.subscriptions.find(name)
        return self.subscription(found) if found else None

    def _subscriptions(self, ask: Ask) -> Node:
        topics, uri = ask.args.get("topics"), ask.args.get("uri") or ask.args.get("callbackUrl")
        shown = [
            each
            for each in self._shop.subscriptions.all.values()
            if (not topics or each.topic in topics) and (uri is None or each.uri == uri)
        ]
        rows = [
            Row(each, rank_text(each.created_at) if ask.args.get("sortKey") != "ID" else int(each.number), each.number)
            for each in shown
        ]
        return ask.page(rows, self.subscription)

    def subscription(self, found: Subscription) -> Node:
        """A WebhookSubscription."""
        endpoint: Node = {"__typename": "WebhookHttpEndpoint", "callbackUrl": found.uri}
        if found.uri.startswith("pubsub://"):
            project, _, topic = found.uri.removeprefix("pubsub://").partition(":")
            endpoint = {"__typename": "WebhookPubSubEndpoint", "pubSubProject": project, "pubSubTopic": topic}
        elif found.uri.startswith("arn:"):
            endpoint = {"__typename": "WebhookEventBridgeEndpoint", "arn": found.uri}
        return {
            "__typename": "WebhookSubscription",
            "id": gid("WebhookSubscription", found.number),
            "legacyResourceId": found.number,
            "topic": found.topic,
            "uri": found.uri,
            "callbackUrl": found.uri,
            "endpoint": endpoint,
            "format": found.format,
            "filter": found.filter,
            "name": found.name,
            "includeFields": list(found.fields),
            "metafieldNamespaces": list(found.namespaces),
            "metafields": [],
            "apiVersion": {"handle": API_VERSION, "displayName": API_VERSION, "supported": True},
            "createdAt": time_text(found.created_at),
            "updatedAt": time_text(found.updated_at),
        }

    # Bulk operations

    def _bulk_by_id(self, name: str) -> Node | None:
        found = self._shop.bulk.find(name)
        return self.bulk(found) if found else None

    def bulk(self, found: BulkOperation) -> Node:
        """A BulkOperation, as it is by now."""
        now = self._shop.marketplace.now()
        status = found.status(now)
        done = status in ("COMPLETED", "FAILED", "CANCELED")
        here = found.url if status == "COMPLETED" and found.lines else None
        return {
            "__typename": "BulkOperation",
            "id": gid("BulkOperation", found.number),
            "status": status,
            "type": "QUERY",
            "query": found.query,
            "errorCode": found.error if status == "FAILED" else None,
            "createdAt": time_text(found.since),
            "completedAt": time_text(found.ends) if done else None,
            "objectCount": str(len(found.lines) if done else 0),
            "rootObjectCount": str(found.roots if done else 0),
            "fileSize": str(len(found.content)) if here else None,
            "url": here,
            "partialDataUrl": found.url if status == "FAILED" and found.lines else None,
        }
