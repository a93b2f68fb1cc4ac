"""The Notification API: configuration, destinations with their challenge, subscriptions, topics, public keys."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from vendor_ebay.behaviour import EbayBehaviour
from vendor_ebay.calls import Call, Handler, whole_number
from vendor_ebay.errors import Answer, Refused, notification
from vendor_ebay.oauth import BASE, SCOPES
from vendor_ebay.order_json import time_json
from vendor_ebay.signing import SigningKey, challenge_response

Challenge = Callable[[str], tuple[int, bytes]]
"""GETs an address and gives status and body; status 0 where nobody answers."""

ORDER_TOPIC = "ORDER_CONFIRMATION"
_TOPICS: dict[str, tuple[str, str]] = {
    "MARKETPLACE_ACCOUNT_DELETION": ("APPLICATION", BASE),
    "AUTHORIZATION_REVOCATION": ("APPLICATION", BASE),
    "ORDER_CANCELLATION_ACTIVITY": ("USER", SCOPES["sell.fulfillment"]),
}
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{32,80}")
_NO_CONFIG = notification(195003, "Please provide configurations required for notifications. Refer to /config")


@dataclass(slots=True)
class Destination:
    """Where notifications go. failures: attempts that failed in a row."""

    id: str
    name: str
    status: str
    endpoint: str
    token: str
    failures: int = 0

    def json(self) -> dict[str, Any]:
        """As it is read."""
        return {
            "destinationId": self.id,
            "name": self.name,
            "status": self.status,
            "deliveryConfig": {"endpoint": self.endpoint, "verificationToken": self.token},
        }


@dataclass(slots=True)
class Subscription:
    """A topic that a destination is told of."""

    id: str
    topic: str
    destination: str
    status: str
    created: datetime

    def json(self) -> dict[str, Any]:
        """As it is read."""
        return {
            "subscriptionId": self.id,
            "topicId": self.topic,
            "destinationId": self.destination,
            "status": self.status,
            "creationDate": time_json(self.created),
            "payload": {"format": "JSON", "schemaVersion": "1.0", "deliveryProtocol": "HTTPS"},
        }


class Notifications:
    """The calls of the Notification API. challenge: reaches endpoints; None: every endpoint answers rightly.

    alert_email: None until PUT /config.
    """

    def __init__(
        self, key: SigningKey, rng: random.Random, behaviour: EbayBehaviour, challenge: Challenge | None
    ) -> None:
        self.key = key
        self.destinations: dict[str, Destination] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.alert_email: str | None = None
        self.challenge = challenge
        self.topics = dict(_TOPICS)
        if behaviour.order_topic:
            self.topics[ORDER_TOPIC] = ("USER", SCOPES[behaviour.order_scope])
        self._rng = rng
        self._down_after = behaviour.down_after

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getPublicKey": self._public_key,
            "getTopic": self._topic,
            "getTopics": self._all_topics,
            "getConfig": self._config,
            "updateConfig": self._configure,
            "getDestinations": self._all_destinations,
            "getDestination": lambda call: Answer(200, self._destination(call).json()),
            "createDestination": self._create_destination,
            "updateDestination": self._update_destination,
            "deleteDestination": self._delete_destination,
            "getSubscriptions": self._all_subscriptions,
            "getSubscription": lambda call: Answer(200, self._subscription(call).json()),
            "createSubscription": self._subscribe,
            "updateSubscription": self._update_subscription,
            "deleteSubscription": self._unsubscribe,
            "enableSubscription": self._enable,
            "disableSubscription": self._disable,
            "test": self._test,
        }

    def delivered(self, destination: str, *, well: bool) -> None:
        """An attempt at delivery went well, or failed; too many failures in a row mark the destination down."""
        there = self.destinations[destination]
        there.failures = 0 if well else there.failures + 1
        if there.failures >= self._down_after:
            there.status = "MARKED_DOWN"

    def wanting(self, topic: str) -> list[Destination]:
        """The enabled destinations with an enabled subscription to a topic."""
        wanted = {
            each.destination for each in self.subscriptions.values() if each.topic == topic and each.status == "ENABLED"
        }
        return [each for each in self.destinations.values() if each.id in wanted and each.status == "ENABLED"]

    # Keys, topics, configuration

    def _public_key(self, call: Call) -> Answer:
        if call.arguments["public_key_id"] != self.key.id:
            raise Refused(404, notification(195001, "The specified key id is invalid."))
        return Answer(200, {"algorithm": "ECDSA", "digest": "SHA1", "key": self.key.pem})

    def _topic(self, call: Call) -> Answer:
        if call.arguments["topic_id"] not in self.topics:
            raise Refused(404, notification(195002, "Invalid or missing topic id."))
        return Answer(200, self._topic_json(call.arguments["topic_id"]))

    def _all_topics(self, call: Call) -> Answer:
        return self._page(call, "topic", "topics", [self._topic_json(name) for name in self.topics])

    def _topic_json(self, name: str) -> dict[str, Any]:
        scope, needed = self.topics[name]
        payload = {"schemaVersion": "1.0", "format": ["JSON"], "deliveryProtocol": "HTTPS", "deprecated": False}
        return {
            "topicId": name,
            "description": name.replace("_", " ").capitalize(),
            "authorizationScopes": [needed],
            "status": "ENABLED",
            "context": "SELL" if scope == "USER" else "COMMERCE",
            "scope": scope,
            "supportedPayloads": [payload],
        }

    def _config(self, _call: Call) -> Answer:
        if self.alert_email is None:
            raise Refused(404, notification(195026, "Configuration not found."))
        return Answer(200, {"alertEmail": self.alert_email})

    def _configure(self, call: Call) -> Answer:
        email = str(call.json().get("alertEmail") or "")
        if "@" not in email:
            raise Refused(400, notification(195025, "Invalid or missing email."))
        self.alert_email = email
        return Answer(204)

    # Destinations

    def _all_destinations(self, call: Call) -> Answer:
        return self._page(call, "destination", "destinations", [each.json() for each in self.destinations.values()])

    def _create_destination(self, call: Call) -> Answer:
        if self.alert_email is None:
            raise Refused(409, _NO_CONFIG)
        made = Destination(self._id(), *self._checked(call.json(), None))
        self.destinations[made.id] = made
        return Answer(201, {}, {"location": f"/commerce/notification/v1/destination/{made.id}"})

    def _update_destination(self, call: Call) -> Answer:
        there = self._destination(call)
        there.name, there.status, there.endpoint, there.token = self._checked(call.json(), there)
        there.failures = 0
        return Answer(204)

    def _delete_destination(self, call: Call) -> Answer:
        there = self._destination(call)
        if any(each.destination == there.id for each in self.subscriptions.values()):
            raise Refused(409, notification(195024, "Destination is in use and cannot be deleted."))
        del self.destinations[there.id]
        return Answer(204)

    def _checked(self, asked: dict[str, Any], old: Destination | None) -> tuple[str, str, str, str]:
        config = asked.get("deliveryConfig") or {}
        name, status = str(asked.get("name") or ""), str(asked.get("status") or "")
        endpoint, token = str(config.get("endpoint") or ""), str(config.get("verificationToken") or "")
        if not 1 <= len(name) <= 64 or "<" in name:
            raise Refused(400, notification(195016, "Invalid name. Markups or lengths greater than 64 not supported"))
        if status not in ("ENABLED", "DISABLED"):
            more = "Invalid or missing destination status. Supported values:[ENABLED,DISABLED]"
            raise Refused(400, notification(195018, more))
        if not endpoint.startswith("https://") or "//localhost" in endpoint:
            raise Refused(400, notification(195017, "Invalid or missing endpoint."))
        if _TOKEN.fullmatch(token) is None:
            raise Refused(400, notification(195019, "Invalid or missing verification token for this endpoint."))
        if any(each.endpoint == endpoint and each is not old for each in self.destinations.values()):
            raise Refused(409, notification(195021, "Destination exists for this endpoint"))
        if not self._answers(endpoint, token):
            raise Refused(409, notification(195020, "Challenge verification failed for requested endpoint"))
        return name, status, endpoint, token

    def _answers(self, endpoint: str, token: str) -> bool:
        """Challenges an endpoint with 64 hexadecimal digits, as a live one was."""
        if self.challenge is None:
            return True
        code = f"{self._rng.getrandbits(256):064x}"
        status, body = self.challenge(f"{endpoint}{'&' if '?' in endpoint else '?'}challenge_code={code}")
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            return False
        wanted = challenge_response(code, token, endpoint)
        return status == 200 and isinstance(told, dict) and told.get("challengeResponse") == wanted

    def _destination(self, call: Call) -> Destination:
        there = self.destinations.get(call.arguments["destination_id"])
        if there is None:
            raise Refused(404, notification(195022, "Invalid or missing destination id."))
        return there

    # Subscriptions

    def _all_subscriptions(self, call: Call) -> Answer:
        return self._page(call, "subscription", "subscriptions", [each.json() for each in self.subscriptions.values()])

    def _subscribe(self, call: Call) -> Answer:
        asked = call.json()
        if self.alert_email is None:
            raise Refused(409, _NO_CONFIG)
        topic = str(asked.get("topicId") or "")
        if topic not in self.topics:
            raise Refused(400, notification(195027, "Invalid or missing topic id."))
        scope, needed = self.topics[topic]
        if needed not in call.grant.scopes or (scope == "APPLICATION") != (call.grant.kind == "application"):
            raise Refused(403, notification(195011, "Not authorized for this topic."))
        status = self._status(asked)
        self._check_payload(asked)
        there = self.destinations.get(str(asked.get("destinationId") or ""))
        if there is None:
            raise Refused(400, notification(195007, "Invalid or missing destination id."))
        if any(each.topic == topic for each in self.subscriptions.values()):
            raise Refused(409, notification(195012, "Subscription already exists"))
        self._check_enabled(status, there)
        made = Subscription(self._id(), topic, there.id, status, call.now)
        self.subscriptions[made.id] = made
        return Answer(201, {}, {"location": f"/commerce/notification/v1/subscription/{made.id}"})

    def _update_subscription(self, call: Call) -> Answer:
        subscription, asked = self._subscription(call), call.json()
        status = self._status(asked)
        self._check_payload(asked)
        there = self.destinations.get(str(asked.get("destinationId") or ""))
        if there is None:
            raise Refused(400, notification(195007, "Invalid or missing destination id."))
        self._check_enabled(status, there)
        subscription.status, subscription.destination = status, there.id
        return Answer(204)

    def _unsubscribe(self, call: Call) -> Answer:
        del self.subscriptions[self._subscription(call).id]
        return Answer(204)

    def _enable(self, call: Call) -> Answer:
        subscription = self._subscription(call)
        self._check_enabled("ENABLED", self.destinations[subscription.destination])
        subscription.status = "ENABLED"
        return Answer(204)

    def _disable(self, call: Call) -> Answer:
        self._subscription(call).status = "DISABLED"
        return Answer(204)

    def _test(self, call: Call) -> Answer:
        self._subscription(call)
        return Answer(202)

    def _status(self, asked: dict[str, Any]) -> str:
        status = str(asked.get("status") or "")
        if status not in ("ENABLED", "DISABLED"):
            raise Refused(400, notification(195006, "Invalid or missing subscription status."))
        return status

    def _check_payload(self, asked: dict[str, Any]) -> None:
        payload = asked.get("payload") or {}
        if payload.get("schemaVersion") != "1.0":
            more = "Please refer to /topic/{topic_id} for supported schema versions."
            raise Refused(400, notification(195008, f"Invalid or missing schema version. {more}"))
        if payload.get("format") != "JSON":
            raise Refused(400, notification(195009, "Specified format is not supported for the topic."))
        if payload.get("deliveryProtocol") != "HTTPS":
            raise Refused(400, notification(195010, "Invalid or missing protocol"))

    def _check_enabled(self, status: str, there: Destination) -> None:
        if status == "ENABLED" and there.status != "ENABLED":
            more = "The subscription cannot be enabled since the destination is not enabled."
            raise Refused(409, notification(195015, more))

    def _subscription(self, call: Call) -> Subscription:
        subscription = self.subscriptions.get(call.arguments["subscription_id"])
        if subscription is None:
            raise Refused(404, notification(195013, "Invalid subscription Id."))
        return subscription

    # Pages

    def _page(self, call: Call, path: str, name: str, every: list[dict[str, Any]]) -> Answer:
        limit = whole_number(call.query.get("limit"), 20)
        if limit is None or not 10 <= limit <= 100:
            raise Refused(400, notification(195004, "Invalid limit. Supported ranges 10 - 100."))
        start = whole_number(call.query.get("continuation_token"), 0)
        if start is None or start > len(every):
            raise Refused(400, notification(195005, "Invalid continuation token."))
        href = f"/commerce/notification/v1/{path}?limit={limit}"
        told = {"total": len(every), "href": href, "limit": limit, name: every[start : start + limit]}
        if start + limit < len(every):
            told["next"] = f"{href}&continuation_token={start + limit}"
        return Answer(200, told)

    def _id(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"
