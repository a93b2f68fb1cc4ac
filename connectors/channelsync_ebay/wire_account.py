"""eBay's JSON about the account itself: access, the seller, limits, notifications. As wire.py."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from channelsync.sdk.wire import At, CamelWire, Name, Units
from channelsync_ebay.wire import Many


class Token(CamelWire):
    """Access, and, where a code was redeemed, what it can be renewed with. Seconds."""

    model_config = ConfigDict(alias_generator=None)

    access_token: Name
    expires_in: Annotated[float, Field(gt=0)]
    refresh_token: str = ""
    refresh_token_expires_in: float | None = None


class User(CamelWire):
    """The seller. The id stays when the name changes."""

    user_id: Name
    username: str = ""


class SellingLimit(CamelWire):
    """How much a seller may sell in a month."""

    quantity: int | None = None


class Privileges(CamelWire):
    """Whether the seller may sell, and how many units a month; no limit where none is told."""

    seller_registration_completed: bool
    selling_limit: SellingLimit | None = None


class Location(CamelWire):
    """One of the seller's places."""

    merchant_location_key: str = ""
    merchant_location_status: str = ""


class Locations(CamelWire):
    """The seller's places."""

    total: Units
    locations: Many[Location] = ()


# Limits


class Rate(CamelWire):
    """Calls in a window of time: how many go, how many are left, when it ends."""

    limit: int | None = None
    remaining: int | None = None
    reset: At | None = None


class LimitedResource(CamelWire):
    """What a limit is of."""

    rates: Many[Rate] = ()


class RateLimit(CamelWire):
    """The limits of one API."""

    api_context: str = ""
    api_name: str = ""
    resources: Many[LimitedResource] = ()


class RateLimits(CamelWire):
    """The limits of all APIs."""

    rate_limits: Many[RateLimit] = ()


# Notifications


class Delivery(CamelWire):
    """How notifications are delivered."""

    endpoint: str = ""


def _delivery(value: object) -> object:
    """An object; eBay's own description calls it a text, so one that holds the object or the address is read too."""
    if not isinstance(value, str):
        return value
    if value.startswith("http"):
        return {"endpoint": value}
    try:
        return json.loads(value)
    except ValueError:
        return None


class Destination(CamelWire):
    """An address that eBay delivers to. status: ENABLED, DISABLED (by us) or MARKED_DOWN (by eBay, after failures)."""

    destination_id: Name
    status: str = ""
    delivery_config: Annotated[Delivery | None, BeforeValidator(_delivery)] = None


class Destinations(CamelWire):
    """A page of destinations."""

    next: str | None = None
    destinations: Many[Destination] = ()


class Subscribed(CamelWire):
    """A topic that is told to a destination."""

    subscription_id: Name
    topic_id: str = ""
    status: str = ""
    destination_id: str = ""


class Subscriptions(CamelWire):
    """A page of subscriptions."""

    next: str | None = None
    subscriptions: Many[Subscribed] = ()


class Payload(CamelWire):
    """A shape in which a topic is told."""

    schema_version: str = "1.0"
    delivery_protocol: str = "HTTPS"
    deprecated: bool = False


class Topic(CamelWire):
    """What can be subscribed to. authorization_scopes: permissions that it asks for."""

    topic_id: Name
    scope: str = ""
    authorization_scopes: Many[str] = ()
    supported_payloads: Many[Payload] = ()


class PublicKey(CamelWire):
    """The key that a notification was signed with."""

    key: Name
    digest: str = ""
