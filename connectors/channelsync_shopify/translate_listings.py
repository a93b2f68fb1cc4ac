"""Between Shopify's variants and our listings and numbers: pure, like `translate`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from channelsync.sdk.values import KeyRead, Listing, ListingState, QuantityKey
from channelsync_shopify import wire_listings
from channelsync_shopify.translate import number_of

HOLDS = frozenset({"reserved", "damaged", "quality_control", "safety_stock"})
"""Names of numbers that hold what was taken off `available`; `committed` is what open orders hold."""


def available(quantities: Iterable[wire_listings.Quantity]) -> int | None:
    """The number that buyers may buy; None where it is not among these."""
    return next((one.quantity for one in quantities if one.name == "available"), None)


def held(quantities: Iterable[wire_listings.Quantity]) -> int:
    """Units that were taken off the number for a cause that Shopify names: a draft order, damage, a safety margin."""
    return sum(one.quantity for one in quantities if one.name in HOLDS)


def read_of(key: QuantityKey, row: wire_listings.NumberRow | None, *, asked: datetime, answered: datetime) -> KeyRead:
    """A read of one key; row None: there is no such item. Where nothing is counted or kept there is no number."""
    if row is None or not row.tracked or row.inventory_level is None:
        return KeyRead(key=key, value=None, asked=asked, answered=answered)
    told = row.inventory_level.quantities
    return KeyRead(key=key, value=available(told), held=held(told), asked=asked, answered=answered)


def listing_of(variant: wire_listings.Variant) -> Listing:
    """A variant in our words.

    A key for each location of the seller's own where the item is kept. A bundle's parent has none: Shopify computes
    its number from the parts. Where only other companies keep the item, its units are not ours.
    """
    item = number_of(variant.inventory_item.id)
    levels = variant.inventory_item.inventory_levels.nodes
    own = [level for level in levels if not level.location.is_fulfillment_service]
    bundle = variant.requires_components or bool(variant.product_variant_components.nodes)
    keys = () if bundle else tuple(QuantityKey(item, number_of(level.location.id)) for level in own)
    tracked = variant.inventory_item.tracked
    counted = list(zip(keys, (level.quantities for level in own), strict=False)) if tracked else []
    shown = {key: number for key, told in counted if (number := available(told)) is not None}
    state, reasons = _sellable(variant, sum(max(0, one) for one in shown.values()), kept=bundle or bool(levels))
    return Listing(
        listing=number_of(variant.id),
        sku=variant.sku or None,
        title=variant.display_name,
        barcode=variant.barcode or None,
        state=state,
        reasons=reasons,
        keys=keys,
        shown=shown,
        held={key: held(told) for key, told in counted if key in shown},
        tracked=tracked or bundle,
        sells_below_zero=variant.inventory_policy == "CONTINUE",
        fulfilled_by_channel=bool(levels) and not own and not bundle,
        parts=tuple(
            (number_of(one.product_variant.id), one.quantity) for one in variant.product_variant_components.nodes
        ),
    )


def _sellable(variant: wire_listings.Variant, units: int, *, kept: bool) -> tuple[ListingState, tuple[str, ...]]:
    """Whether buyers can buy it, and why not. units: that are there for them."""
    status = variant.parent.status
    if status == "ARCHIVED":
        return ListingState.ENDED, ("the product's status is ARCHIVED",)
    reasons = []
    if status not in ("ACTIVE", "UNLISTED"):
        reasons.append(f"the product's status is {status}")
    published, healthy = variant.parent.resource_publications_count, variant.parent.available_publications_count
    if published is not None and published.count == 0:
        reasons.append("the product is published on no sales channel")
    elif published is not None and healthy is not None and healthy.count == 0:
        reasons.append(
            f"all {published.count} sales channels that it is published on report a problem with the product"
        )
    if variant.inventory_item.tracked and not kept:
        reasons.append("it is stocked at no location")
    if not reasons and units > 0 and not variant.available_for_sale:
        reasons.append("Shopify says that it is not available for sale, though there are units")
    return (ListingState.INACTIVE if reasons else ListingState.ACTIVE), tuple(reasons)
