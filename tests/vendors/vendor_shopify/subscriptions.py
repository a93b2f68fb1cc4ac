"""Webhook subscriptions: which there are, and which addresses Shopify takes, in the words of its recorded refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from vendor_shopify.errors import Node, user_error
from vendor_shopify.ids import Numbers, plain
from vendor_shopify.search import parsed

ADDRESS_MAX = 64 * 1024 - 1
APP = "347082227713"

_INTERNAL = re.compile(r"(^|\.)(myshopify\.com|shopify\.com|myshopify\.io)$|^localhost$|\.local$|\.internal$")
_JSON_ONLY = ("RETURNS_", "FULFILLMENT_ORDERS_", "BULK_OPERATIONS_", "SUBSCRIPTION_")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription. topic: as the enum writes it. failures: deliveries in a row that were not taken."""

    number: str
    topic: str
    uri: str
    created_at: datetime
    updated_at: datetime
    format: str = "JSON"
    filter: str | None = None
    name: str | None = None
    fields: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    failures: int = 0


class Subscriptions:
    """All subscriptions of the app. removed: those that were dropped because nobody took their deliveries."""

    def __init__(self, numbers: Numbers) -> None:
        self.all: dict[str, Subscription] = {}
        self.removed: list[Subscription] = []
        self._numbers = numbers

    def find(self, name: str) -> Subscription | None:
        """By global id."""
        return self.all.get(plain(name, "WebhookSubscription") or "")

    def wanting(self, topic: str) -> list[Subscription]:
        """All that want to hear of a topic."""
        return [each for each in self.all.values() if each.topic == topic]

    def add(self, topic: str, uri: str, now: datetime, asked: Mapping[str, Any] | None = None) -> Subscription:
        """A new subscription, as asked; addresses are not looked at here."""
        number = self._numbers.new("WebhookSubscription")
        self.all[number] = _with(Subscription(number, topic, uri, now, now), asked or {}, now)
        return self.all[number]

    def make_sure(self, number: str, now: datetime) -> None:
        """A subscription of this number is there."""
        self.all.setdefault(number, Subscription(number, "SHOP_UPDATE", f"https://hook.example/{number}", now, now))

    def change(self, found: Subscription, asked: Mapping[str, Any], now: datetime) -> Subscription:
        """The subscription with what was asked changed."""
        uri = address_of(asked)
        self.all[found.number] = _with(replace(found, uri=found.uri if uri is None else uri), asked, now)
        return self.all[found.number]

    def delivered(self, number: str, *, taken: bool) -> None:
        """Counts failures in a row: after the eighth the subscription is removed."""
        found = self.all.get(number)
        if found is None:
            return
        found = replace(found, failures=0 if taken else found.failures + 1)
        self.all[number] = found
        if found.failures >= 8:
            self.removed.append(self.all.pop(number))

    def wrong(self, topic: str, asked: Mapping[str, Any], found: Subscription | None = None) -> list[Node]:
        """What Shopify refuses of a new subscription, or of a change to one."""
        uri = address_of(asked)
        at = ["webhookSubscription", "callbackUrl"]
        errors = [user_error(at, each) for each in ([] if found is not None and uri is None else address_errors(uri))]
        named = asked.get("format") or (found.format if found else "JSON")
        uri = uri if uri is not None else (found.uri if found else "")
        errors += _format_errors(topic, str(named), uri)
        if (name := asked.get("name")) is not None:
            errors += self._name_errors(str(name), found)
        if (wanted := asked.get("filter")) and not all(term.field for term in parsed(wanted).terms()):
            message = "The specified filter is invalid, please ensure you specify the field(s) you wish to filter on."
            errors.append(user_error(["webhookSubscription"], message))
        taken = any(
            (each.topic, each.uri, each.filter or "", each.format) == (topic, uri, asked.get("filter") or "", named)
            for each in self.all.values()
            if found is None or each.number != found.number
        )
        if not errors and taken:
            errors.append(user_error(at, "Address for this topic has already been taken"))
        return errors

    def _name_errors(self, name: str, found: Subscription | None) -> list[Node]:
        at = ["webhookSubscription", "name"]
        errors = []
        if not name:
            errors.append(user_error(at, "Name is too short (minimum is 1 character)"))
        if not re.fullmatch(r"[\w-]+", name, re.ASCII):
            message = "Name name field can only contain alphanumeric characters, underscores, and hyphens"
            errors.append(user_error(at, message))
        if any(
            (each.name or "").lower() == name.lower() and (found is None or each.number != found.number)
            for each in self.all.values()
        ):
            errors.append(user_error(at, "Name already exists, no duplicate allowed"))
        return errors


def _with(found: Subscription, asked: Mapping[str, Any], now: datetime) -> Subscription:
    return replace(
        found,
        updated_at=now,
        format=asked.get("format") or found.format,
        filter=asked.get("filter", found.filter),
        name=asked.get("name", found.name),
        fields=_listed(asked.get("includeFields"), found.fields),
        namespaces=_listed(asked.get("metafieldNamespaces"), found.namespaces),
    )


def _listed(asked: Sequence[str] | None, before: tuple[str, ...]) -> tuple[str, ...]:
    """A list as it is asked for: an empty one empties it, as recorded."""
    return before if asked is None else tuple(asked)


def address_of(asked: Mapping[str, Any]) -> str | None:
    """The address in an input; None where it names none. Surrounding blanks do not count."""
    found = asked.get("uri", asked.get("callbackUrl"))
    return None if found is None else str(found).strip()


def address_errors(uri: str | None) -> list[str]:
    """What is wrong with an address."""
    if not uri:
        return ["Address can't be blank"]
    if len(uri.encode()) > ADDRESS_MAX:
        return ["Address is too big (maximum is 64 KB)"]
    if uri.startswith("arn:"):
        return _arn_errors(uri)
    return _pubsub_errors(uri) if uri.startswith("pubsub:") else _url_errors(uri)


def _url_errors(uri: str) -> list[str]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ["Address is invalid"]
    if parts.scheme == "kafka":
        return ["Address protocol kafka:// is not supported", "Address is not a valid kafka topic"]
    if parts.scheme not in ("https", ""):
        return [f"Address protocol {parts.scheme}:// is not supported"]
    if not parts.scheme or not parts.hostname:
        return ["Address is invalid"]
    return ["Address cannot be a Shopify or an internal domain"] if _INTERNAL.search(parts.hostname) else []


def _arn_errors(uri: str) -> list[str]:
    found = re.fullmatch(r"arn:aws:events:[\w-]+::event-source/aws\.partner/shopify\.com(?:\.test)?/(\d+)/\S+", uri)
    if found is None:
        return ["Address is invalid", "Address is not a valid AWS ARN"]
    if found[1] != APP:
        return [
            "Address is invalid",
            f"Address is an AWS ARN and includes api_client_id '{found[1]}' instead of '{APP}'",
        ]
    return []


def _pubsub_errors(uri: str) -> list[str]:
    project, colon, topic = uri.removeprefix("pubsub://").partition(":")
    if not colon or not project or not topic:
        said = "Address is not a valid GCP pub/sub format. Format should be pubsub://project:topic"
        return ["Address protocol pubsub:// is not supported", said]
    errors = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{4,28}[a-z0-9]", project):
        errors.append("Address is not a valid GCP project id.")
    if not re.fullmatch(r"(?!goog)[A-Za-z][\w.~+%-]{2,254}", topic, re.ASCII):
        errors.append("Address is not a valid GCP topic id.")
    return ["Address is invalid", *errors] if errors else []


def _format_errors(topic: str, named: str, uri: str) -> list[Node]:
    at = ["webhookSubscription", "format"]
    errors = []
    if named != "JSON" and topic.startswith(_JSON_ONLY):
        message = f"Format '{named.lower()}' is invalid for this webhook topic. Allowed formats: json"
        errors.append(user_error(at, message))
    if named != "JSON" and uri.startswith(("arn:", "pubsub://")):
        errors.append(user_error(at, "Format can only be used with format: 'json'"))
    return errors
