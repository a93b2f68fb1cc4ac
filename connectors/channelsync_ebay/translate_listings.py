"""Between eBay's items with their offers and our listings and numbers: pure, like `translate`.

Of a listing: PUBLISHED and ACTIVE, not on hold, is active. OUT_OF_STOCK, INACTIVE and NOT_LISTED, an offer that is not
published and an item without an offer are inactive; ENDED and EBAY_ENDED are ended. eBay's word is the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_ebay import wire

_LEGACY = re.compile(r"item:([0-9]{6,19})(?::(.{1,80}))?", re.ASCII | re.DOTALL)
_ENDED = frozenset({"ENDED", "EBAY_ENDED"})
_LIVE = frozenset({None, "", "ACTIVE", "OUT_OF_STOCK"})


# Names


@dataclass(frozen=True, slots=True)
class Legacy:
    """A listing that is not migrated, or a variation of one (by its SKU)."""

    item: str
    sku: str | None = None

    @property
    def name(self) -> str:
        """Its name, as a listing and as a key."""
        return f"item:{self.item}:{self.sku}" if self.sku is not None else f"item:{self.item}"


def legacy_of(name: str) -> Legacy | None:
    """What a name of a listing that is not migrated means; None for what is no such name."""
    found = _LEGACY.fullmatch(name)
    return None if found is None else Legacy(found[1], found[2])


# Listings and numbers


def sold_here(offers: Iterable[wire.Offer]) -> list[wire.Offer]:
    """The offers that our numbers are written to: at a fixed price, and live. An auction keeps units of its own."""
    return [
        one
        for one in offers
        if one.format != "AUCTION"
        and one.status == "PUBLISHED"
        and (one.listing is None or one.listing.listing_status in _LIVE)
    ]


def number_of(item: wire.Item, offers: Sequence[wire.Offer], sent: int | None = None) -> int:
    """What buyers may buy: the offer's number, or the item's where there is none; of several offers the highest.

    sent: the number that we wrote last, to the item and its offers alike; None: none yet.

    Where the offer's is above the item's, eBay's words differ: the offer's overrides (the API's description), or the
    lower one counts (guide to bulk updates; knowledge base 5100). Then the one that we did not write is told, so that
    both are written anew; and before we wrote any the offer's, so that no more is left on sale than is meant to be. An
    item without a number has none to sell where its listing says so too (Inventory API: "out of stock listings will
    result").
    """
    place = item.availability.ship_to_location_availability if item.availability is not None else None
    total = (place.quantity if place is not None else None) or 0
    numbers = [one.available_quantity for one in sold_here(offers) if one.available_quantity is not None]
    highest = max(numbers, default=total)
    if highest <= total:
        return highest
    hidden = all(one.listing is not None and one.listing.listing_status == "OUT_OF_STOCK" for one in sold_here(offers))
    return total if highest == sent or (total == 0 and hidden) else highest


def listing_of(item: wire.Item, offers: Sequence[wire.Offer], sent: int | None = None) -> Listing:
    """An item with its offers as a listing. Its name is the SKU, and so is its key's. sent: see `number_of`."""
    key = QuantityKey(item.sku)
    fixed = [one for one in offers if one.format != "AUCTION"]
    states = [_state(one) for one in fixed] or [(ListingState.INACTIVE, "it has no offer: it was never listed")]
    best = min(states, key=lambda one: list(ListingState).index(one[0]))
    described = item.described
    codes = (*described.ean, *described.upc, *described.isbn) if described is not None else ()
    active = best[0] is ListingState.ACTIVE
    reasons = () if active else tuple(dict.fromkeys(reason for _, reason in states if reason))
    pages = pages_of(offers)
    return Listing(
        listing=item.sku,
        sku=item.sku,
        title=(described.title if described is not None else None) or "",
        barcode=next((code for code in codes if code.isdigit()), None),
        state=best[0],
        reasons=reasons,
        keys=(key,),
        shown={key: number_of(item, fixed, sent)},
        page=next(iter(pages), ""),
        further_pages=tuple(pages[1:]),
    )


def pages_of(offers: Iterable[wire.Offer]) -> list[str]:
    """The ids of the listings that the live offers are shown on, by which eBay counts revisions; always in one order.

    Several are on several of eBay's sites: a write revises each of them.
    """
    shown = (one.listing for one in sold_here(offers))
    return sorted({one.listing_id for one in shown if one is not None and one.listing_id})


def _state(offer: wire.Offer) -> tuple[ListingState, str]:
    details = offer.listing
    status = details.listing_status if details is not None else None
    if status in _ENDED:
        why = "EBAY_ENDED: eBay has ended the listing" if status == "EBAY_ENDED" else "ENDED: the listing has ended"
        return ListingState.ENDED, why
    if offer.status != "PUBLISHED":
        return ListingState.INACTIVE, f"{offer.status or 'UNPUBLISHED'}: the offer is not published"
    if details is not None and details.listing_on_hold:
        return ListingState.INACTIVE, "on hold: eBay hides the listing because of a policy violation"
    if status in (None, "", "ACTIVE"):
        return ListingState.ACTIVE, ""
    if status == "OUT_OF_STOCK":
        return ListingState.INACTIVE, "OUT_OF_STOCK: hidden until there is something to sell"
    return ListingState.INACTIVE, str(status)
