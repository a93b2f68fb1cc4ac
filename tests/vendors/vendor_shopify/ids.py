"""Shopify's names of things: global ids, plain numbers, times and cursors."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

_PREFIX = "gid://shopify/"

# Where the numbers of each kind begin, so that no number of one kind is one of another.
_FIRST = {
    "Order": 5_100_000_000_000,
    "LineItem": 13_200_000_000_000,
    "Product": 7_300_000_000_000,
    "ProductVariant": 40_400_000_000_000,
    "InventoryItem": 42_500_000_000_000,
    "Location": 68_600_000_000,
    "InventoryLevel": 97_700_000_000,
    "FulfillmentOrder": 6_100_000_000_000,
    "FulfillmentOrderLineItem": 14_200_000_000_000,
    "Fulfillment": 4_300_000_000_000,
    "FulfillmentLineItem": 9_400_000_000_000,
    "Refund": 880_000_000_000,
    "RefundLineItem": 510_000_000_000,
    "Return": 3_600_000_000,
    "ReturnLineItem": 7_700_000_000,
    "ReverseFulfillmentOrder": 2_900_000_000,
    "ReverseFulfillmentOrderLineItem": 5_600_000_000,
    "Customer": 6_800_000_000_000,
    "Publication": 85_000_000_000,
    "BulkOperation": 3_900_000_000_000,
    "WebhookSubscription": 1_000_000_000_000,
    "InventoryAdjustmentGroup": 54_000_000_000_000,
    "ProductVariantComponent": 2_100_000_000,
}
_OTHERS = 900_000_000_000


def gid(kind: str, number: str | int) -> str:
    """The global id of a plain number."""
    return f"{_PREFIX}{kind}/{number}"


def plain(text: str, kind: str) -> str | None:
    """The plain number in a global id of this kind; None for an id of another kind or form."""
    head, _, number = text.partition(f"{_PREFIX}{kind}/")
    number = number.partition("?")[0]
    return number if not head and number.isdecimal() else None


def kind_of(text: str) -> str:
    """The kind that a global id names; empty for no global id."""
    head, found, rest = text.partition(_PREFIX)
    return rest.partition("/")[0] if found and not head else ""


class Numbers:
    """Gives plain numbers to things that the lab names otherwise, the same one whenever asked."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, ...], str] = {}
        self._named: dict[tuple[str, str], tuple[str, ...]] = {}
        self._last: dict[str, int] = {}

    def of(self, kind: str, *name: str) -> str:
        """The number of the thing of this kind and name."""
        key = (kind, *name)
        if key not in self._given:
            number = self.new(kind)
            self._given[key] = number
            self._named[kind, number] = name
        return self._given[key]

    def new(self, kind: str) -> str:
        """The next number of this kind."""
        self._last[kind] = self._last.get(kind, _FIRST.get(kind, _OTHERS)) + 1
        return str(self._last[kind])

    def name(self, kind: str, number: str) -> tuple[str, ...] | None:
        """What a number was given to; None for one that was never given."""
        return self._named.get((kind, number))


def time_text(at: datetime | None) -> str | None:
    """Whole seconds in UTC, as the API tells times."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rank_text(at: datetime) -> str:
    """A time as cursors hold it: to the microsecond, so that they sort."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def cursor(value: str | int, number: str) -> str:
    """The cursor behind a row: its sort value and its id, as Shopify's recorded cursors have them."""
    return base64.b64encode(json.dumps({"last_id": int(number), "last_value": value}).encode()).decode()


def cursor_place(text: str) -> tuple[str | int, int] | None:
    """(sort value, id) in a cursor; None for none of ours."""
    try:
        found: Any = json.loads(base64.b64decode(text, validate=True))
        return found["last_value"], int(found["last_id"])
    except (ValueError, KeyError, TypeError):
        return None
