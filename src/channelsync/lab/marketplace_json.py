"""The marketplace's values as its API writes them; see docs/sandbox-marketplace.md."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import orjson

from channelsync.lab.marketplace_numbers import Reading, Result
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import Happened, Line, NumberKey, Offer, Order

CANARY = "CANARY"
"""In every buyer's name, address, e-mail and note: it must never be found in anything that we keep."""

Oddity = Literal["no lines", "half a unit", "negative units", "unknown SKU", "no id of the line"]


def time_json(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds."""
    return None if at is None else at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class OrderWriter:
    """Writes orders; keeps what it wrote of each one's latest version, as polls ask for the same again and again.

    odd: orders by id that are written as a broken marketplace would.
    """

    def __init__(self, rules: MarketplaceRules) -> None:
        self._rules = rules
        self._written: dict[str, tuple[Order, bytes]] = {}
        self.odd: dict[str, Oddity] = {}

    def write(self, order: Order) -> orjson.Fragment:
        """The order as JSON."""
        kept = self._written.get(order.id)
        if kept is None or kept[0] is not order or order.id in self.odd:
            kept = (order, orjson.dumps(self._plain(order)))
            self._written[order.id] = kept
        return orjson.Fragment(kept[1])

    def _plain(self, order: Order) -> dict[str, Any]:
        total = sum((line.price * line.ordered for line in order.lines), start=Decimal("0.00"))
        plain = {
            "id": order.id,
            "status": order.status.value,
            "site": order.site or None,
            "placed_at": time_json(order.placed_at),
            "paid_at": time_json(order.paid_at),
            "cancelled_at": time_json(order.cancelled_at),
            "updated_at": time_json(order.updated_at),
            "currency": "EUR",
            "total": str(total),
            "refunded": str(order.refunded),
            "buyer": _buyer(order),
            "note": f"{CANARY} please ring twice",
            "lines": [self._line(line) for line in order.lines],
        }
        return _odd(plain, self.odd[order.id]) if order.id in self.odd else plain

    def _line(self, line: Line) -> dict[str, Any]:
        return {
            "id": line.id,
            "listing": line.listing,
            "sku": line.sku,
            "title": line.title,
            "price": str(line.price),
            "ordered": line.ordered,
            "location": (line.location or None) if self._rules.assigns_locations else None,
            "cancelled": self._happened(line.cancelled),
            "written_off": self._happened(line.written_off),
            "shipped": self._happened(line.shipped),
            "returned": self._happened(line.returned),
            "quarantined": self._happened(line.quarantined),
        }

    def _happened(self, pile: Iterable[Happened]) -> list[dict[str, Any]]:
        rules = self._rules
        return [
            {
                "units": each.units,
                "at": time_json(each.at) if rules.tells_times else None,
                "location": each.location if rules.assigns_locations else None,
            }
            for each in pile
        ]


def _buyer(order: Order) -> dict[str, Any]:
    return {
        "name": f"{CANARY} Buyer {order.number}",
        "email": f"{CANARY.lower()}-{order.number}@buyer.example",
        "address": {"street": f"{CANARY} Lane {order.number}", "city": CANARY, "postcode": CANARY, "country": "DE"},
    }


def _odd(plain: dict[str, Any], oddity: Oddity) -> dict[str, Any]:
    if oddity == "no lines":
        return plain | {"lines": []}
    first = dict(plain["lines"][0])
    match oddity:
        case "half a unit":
            first["ordered"] = 0.5
        case "negative units":
            first["ordered"] = -1
        case "unknown SKU":
            first |= {"sku": "NOBODY-KNOWS-THIS", "listing": "L-unknown"}
        case "no id of the line":
            del first["id"]
    return plain | {"lines": [first, *plain["lines"][1:]]}


def key_json(key: NumberKey, reading: Reading | None, rules: MarketplaceRules) -> dict[str, Any]:
    """A quantity key with what a read shows of it."""
    return {
        "key": key.key,
        "location": key.location,
        "number": reading.number if reading else None,
        "committed": reading.committed if reading and rules.committed_readable else None,
        "held": reading.held if reading and rules.holds_readable else None,
    }


def listing_json(offer: Offer, readings: Iterable[Reading | None], rules: MarketplaceRules) -> dict[str, Any]:
    """A listing; `readings` of its keys, in their order."""
    return {
        "id": offer.listing,
        "site": offer.site or None,
        "sku": offer.sku,
        "title": offer.title,
        "barcode": offer.barcode,
        "state": offer.state.value,
        "reasons": offer.reasons,
        "tracked": offer.tracked,
        "backorders": offer.sells_below_zero,
        "fulfilled_by": "seller" if offer.own else "channel",
        "keys": [key_json(key, reading, rules) for key, reading in zip(offer.keys, readings, strict=True)],
        "page": offer.page or None,
        "parts": [{"listing": part, "units": each} for part, each in offer.parts],
    }


def result_json(result: Result) -> dict[str, Any]:
    """What became of one row of a push."""
    return {
        "key": result.key.key,
        "location": result.key.location,
        "status": result.status,
        "number": result.number,
        "code": result.code,
        "message": result.message,
    }
