"""Between the shop's products and our listings and numbers: pure, like `translate`."""

from __future__ import annotations

import re

from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_woocommerce import wire

_NOT_SOLD_HERE = frozenset({"grouped", "external"})
"""A grouped product only shows others, an external one is sold by another shop."""

_KEY = re.compile(r"([1-9][0-9]{0,18})(?::([1-9][0-9]{0,18}))?", re.ASCII)


# Names


def name_of(top: int, variation: int = 0) -> str:
    """The name of a listing, and of its number: "15", or "15:18" for variation 18 of product 15."""
    return f"{top}:{variation}" if variation else str(top)


def ids_of(name: str) -> tuple[int, int] | None:
    """The product and the variation (0: none) that a name means; None for what is no such name."""
    found = _KEY.fullmatch(name)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def ids_of_key(key: QuantityKey) -> tuple[int, int] | None:
    """The same for the key of a number; None too where it names a location: the shop has none."""
    return None if key.location else ids_of(key.key)


# Listings and numbers


def varies(row: wire.Row) -> bool:
    """Whether a product is only the roof over its variations, which are what is bought."""
    return bool(row.variations) or row.type.startswith("variable")


def product_of(row: wire.Row) -> Listing | None:
    """A product without variations as a listing; None for one that is not sold by itself, or not here."""
    if varies(row) or row.type in _NOT_SOLD_HERE or row.type == "variation":
        return None
    return _listing(row, None)


def variation_of(row: wire.Row, parent: wire.Row) -> Listing:
    """A variation as a listing."""
    return _listing(row, parent)


def number_of(row: wire.Row | wire.Written) -> int | None:
    """The number of a product's or a variation's own; None: nobody counts it, or its parent's number counts."""
    return row.stock_quantity if row.manage_stock is True else None


def _listing(row: wire.Row, parent: wire.Row | None) -> Listing:
    listing = name_of(row.id) if parent is None else name_of(parent.id, row.id)
    counted = parent if parent is not None and row.manage_stock == "parent" else row
    key = QuantityKey(name_of(parent.id) if counted is parent and parent is not None else listing)
    number = number_of(counted)
    state, reasons = _state(row, parent, number)
    return Listing(
        listing=listing,
        # A variation without a SKU shows its parent's, as all of its kind do.
        sku=None if parent is not None and row.sku == parent.sku else row.sku or None,
        title=_title(row, parent),
        barcode=row.global_unique_id or None,
        state=state,
        reasons=reasons,
        keys=(key,),
        shown={} if number is None else {key: number},
        tracked=number is not None,
        sells_below_zero=number is not None and row.backorders != "no",
    )


def _state(row: wire.Row, parent: wire.Row | None, number: int | None) -> tuple[ListingState, tuple[str, ...]]:
    """Whether it can be bought, its number apart: at 0 the page stays."""
    reasons = [
        f"{whose}status is {one.status}"
        for whose, one in (("", row), ("parent's ", parent))
        if one is not None and one.status != "publish"
    ]
    if any(one is not None and one.status == "trash" for one in (row, parent)):
        return ListingState.ENDED, tuple(reasons)
    if not reasons and not row.purchasable:
        reasons.append("not purchasable: it has no price")
    if row.stock_status == "outofstock" and (number is None or number > 0):
        shown = "nobody counts it" if number is None else f"the number is {number}: see the out-of-stock threshold"
        reasons.append(f"stock_status is outofstock, though {shown}")
    return (ListingState.INACTIVE if reasons else ListingState.ACTIVE), tuple(reasons)


def _title(row: wire.Row, parent: wire.Row | None) -> str:
    if parent is None:
        return row.name
    options = [one.get("option") for one in row.attributes if isinstance(one, dict)]
    own = row.name or ", ".join(option for option in options if isinstance(option, str))
    return f"{parent.name} - {own}" if own else parent.name
