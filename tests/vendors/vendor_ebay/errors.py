"""eBay's numbered errors, as the answers word them.

Numbers and texts of Inventory (25xxx), Fulfillment (30xxx to 34xxx) and Notification (195xxx) are those of the
`x-response-codes` in eBay's API descriptions; 1001, 1100, 2001 to 2004 are those of the gateway before all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Flaw:
    """One row of `errors` or `warnings`. parameters: names and values that say what it is about."""

    number: int
    domain: str
    message: str
    category: str = "REQUEST"
    subdomain: str = ""
    long_message: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def row(self) -> dict[str, Any]:
        """As JSON."""
        told: dict[str, Any] = {"errorId": self.number, "domain": self.domain}
        if self.subdomain:
            told["subdomain"] = self.subdomain
        told |= {"category": self.category, "message": self.message}
        if self.long_message:
            told["longMessage"] = self.long_message
        if self.parameters:
            told["parameters"] = [{"name": name, "value": value} for name, value in self.parameters]
        return told


class Refused(Exception):
    """A call that is answered with errors."""

    def __init__(self, status: int, *flaws: Flaw, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {[flaw.number for flaw in flaws]}")
        self.status = status
        self.flaws = flaws
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with. content: None for no body."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


# The gateway

BAD_TOKEN = Flaw(
    1001, "OAuth", "Invalid access token", long_message="Invalid access token. Check the value of the Authorization"
)
NO_TOKEN = Flaw(1002, "OAuth", "Missing access token", long_message="Access token is missing in the request header.")
NO_PERMISSION = Flaw(1100, "ACCESS", "Access denied", long_message="Insufficient permissions to fulfill the request.")
TOO_MANY = Flaw(
    2001, "ACCESS", "Too many requests.", long_message="The request limit has been reached for the resource."
)
NO_RESOURCE = Flaw(
    2002,
    "ACCESS",
    "Resource not found",
    long_message="A resource (URI) associated with the request could not be resolved.",
)
INTERNAL = Flaw(
    2003,
    "ACCESS",
    "Internal error",
    "APPLICATION",
    long_message="There was a problem with an eBay internal system or process. Contact eBay developer support.",
)


def invalid_request(reason: str) -> Flaw:
    """What the gateway says to a request that its description does not allow."""
    return Flaw(
        2004,
        "ACCESS",
        "Invalid request",
        long_message="The request has errors. For help, see the documentation for this API.",
        parameters=(("reason", reason),),
    )


def inventory(number: int, message: str, category: str = "REQUEST", **parameters: str) -> Flaw:
    """An error of the Inventory API."""
    return Flaw(number, "API_INVENTORY", message, category, "Selling", "", tuple(parameters.items()))


def fulfilment(number: int, message: str) -> Flaw:
    """An error of the Fulfillment API."""
    return Flaw(number, "API_FULFILLMENT", message)


def notification(number: int, message: str) -> Flaw:
    """An error of the Notification API."""
    return Flaw(number, "API_NOTIFICATION", message)


# The Inventory API

BUSY = inventory(
    25025,
    "Concurrent access of the same Inventory or Inventory Item Group object is not allowed. Please try again later.",
    "APPLICATION",
)
SYSTEM = inventory(25001, "A system error has occurred. Please try again later.", "APPLICATION")
NO_ENTITY = inventory(25710, "We didn't find the resource/entity you are requesting. Please verify the request")
BAD_SKU = inventory(
    25707,
    "This is an invalid value for a SKU. Only alphanumeric characters can be used for SKUs, and their length must not "
    "exceed 50 characters.",
)
ON_HOLD_FIXABLE = inventory(
    25096,
    "This listing is on hold due to a policy violation. You may revise it to resolve the situation. Please check your "
    "email for more information.",
)
ON_HOLD = inventory(
    25097,
    "This listing is on hold due to a policy violation, and revisions are not possible. Please check your email for "
    "more information.",
)


def no_offer(offer: str) -> Flaw:
    """The offer is not there, or not in a state for this call; also what an ineligible marketplace looks like."""
    return inventory(25713, f"This Offer is not available : {offer}.")


def no_sku(sku: str) -> Flaw:
    """No inventory item has this SKU."""
    return inventory(25702, f"SKU {sku} is not available in the system", SKU=sku)


def bad_value(field_name: str, more: str = "") -> Flaw:
    """A field holds what it may not."""
    return inventory(25709, f"Invalid value for {field_name}. {more}".strip(), fieldName=field_name)


def bad_quantity(more: str) -> Flaw:
    """The number of units is not one that may be."""
    return inventory(25004, f"Invalid quantity. {more}")


def no_revision(why: str) -> Flaw:
    """The listing may not be revised now."""
    return inventory(25019, f"Cannot revise listing. {why}")


def over_selling_limit() -> Flaw:
    """The account may not list so much."""
    return inventory(25026, "Selling limits exceeded. You have reached the number of items you can list.")


def ending_soon(item: str) -> Flaw:
    """Within twelve hours of its end a listing with bids or offers may not be revised."""
    return inventory(
        25038, f"{item} cannot be revised if the item has a bid or a best offer or is ending within 12 hours"
    )
