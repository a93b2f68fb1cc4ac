"""What a submission to a listing asks for, and what is wrong with it: pure, for single patches and for feeds.

The texts are those that users report: amzn/selling-partner-api-models issues 4554 and 5241,
jlevers/selling-partner-api issues 493 and 861. The code of a bad quantity is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vendor_amazon.errors import ApiError

Op = Literal["add", "replace", "merge", "delete"]

ATTRIBUTE = "fulfillment_availability"
ANY_TYPE = "PRODUCT"
"""The product type under which every item's offer can be patched."""

_KNOWN = frozenset(
    {ATTRIBUTE, "purchasable_offer", "item_name", "condition_type", "list_price", "merchant_shipping_group"}
)


@dataclass(frozen=True, slots=True)
class Change:
    """One fulfilment channel's new values. quantity None: not named. only: what is not named is dropped."""

    code: str
    quantity: int | None
    more: dict[str, Any]
    only: bool


@dataclass(frozen=True, slots=True)
class Patched:
    """A submission that was understood: what it changes, or what is wrong with it (as issues)."""

    changes: tuple[Change, ...] = ()
    issues: tuple[dict[str, Any], ...] = ()


def issue(code: str, message: str, attribute: str = "", category: str = "INVALID_ATTRIBUTE") -> dict[str, Any]:
    """An error of a submission."""
    named = {"attributeNames": [attribute]} if attribute else {}
    return {"code": code, "message": message, "severity": "ERROR", **named, "categories": [category]}


def read_patches(patches: Sequence[dict[str, Any]]) -> Patched:
    """Understands the patches of a submission. Raises ApiError for a path that can be no attribute."""
    changes: list[Change] = []
    issues: list[dict[str, Any]] = []
    for patch in patches:
        start, _, name = str(patch["path"]).rpartition("/")
        if start != "/attributes" or not name:
            raise ApiError(400, "InvalidInput", "Request has missing or invalid parameters and cannot be parsed.")
        if name not in _KNOWN:
            issues.append(issue("90000900", "The attributes are invalid.", name))
        elif name == ATTRIBUTE:
            for value in patch.get("value") or ():
                found = _change(value, patch["op"])
                if isinstance(found, Change):
                    changes.append(found)
                else:
                    issues.append(found)
    return Patched((), tuple(issues)) if issues else Patched(tuple(changes))


def _change(value: dict[str, Any], op: Op) -> Change | dict[str, Any]:
    more = {name: each for name, each in value.items() if name not in ("fulfillment_channel_code", "quantity")}
    code, quantity = value.get("fulfillment_channel_code"), value.get("quantity")
    if not isinstance(code, str) or not code:
        return issue(
            "99022",
            f"The field 'fulfillment_channel_code' for the attribute '{ATTRIBUTE}' does not have enough values. "
            "The required minimum is '1' value(s).",
            ATTRIBUTE,
        )
    if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 0):
        return issue("90244", f"The value '{quantity}' of 'quantity' is not a whole number of at least 0.", ATTRIBUTE)
    if op == "delete":
        return Change(code, 0, {}, only=True)
    return Change(code, quantity, more, only=op != "merge")
