"""What was seen of each SKU lately: which may be written, and in which marketplace.

A patch of a SKU that does not exist is accepted and makes a listing out of nothing
(amzn/selling-partner-api-models 4402, 2797); one of DEFAULT units for a listing that Amazon fulfils adds a second
fulfilment channel to it (2061). So nothing is written that was not seen before as the seller's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channelsync.sdk.clock import Clock
from channelsync_amazon import translate_listings, wire

SEEN_FOR = 6 * 3600.0
"""Seconds for which a sight of a listing is good. Every read of its number is one."""

MISSING = "Amazon has no listing of this SKU"
BY_AMAZON = "Amazon fulfils it: its number is not ours to write"


@dataclass(frozen=True, slots=True)
class Seen:
    """A SKU as it was seen. refusal: why it must not be written; "" when it may. marketplace: where it is listed."""

    refusal: str
    marketplace: str
    until: float


class Known:
    """The SKUs of one account that were seen by this process. marketplaces: in their order of importance."""

    def __init__(self, clock: Clock, marketplaces: Sequence[str]) -> None:
        self._clock = clock
        self._marketplaces = marketplaces
        self._seen: dict[str, Seen] = {}

    def note(self, item: wire.Item) -> None:
        """This is how the listing is now."""
        listed = {one.marketplace_id for one in item.summaries}
        home = next((one for one in self._marketplaces if one in listed), self._marketplaces[0])
        self._seen[item.sku] = Seen(_refusal(item), home, self._clock.monotonic() + SEEN_FOR)

    def note_missing(self, sku: str) -> None:
        """There is no such listing now: the next push looks again."""
        self._seen.pop(sku, None)

    def seen(self, sku: str) -> Seen | None:
        """The SKU as it was seen; None: not lately."""
        found = self._seen.get(sku)
        return found if found is not None and self._clock.monotonic() < found.until else None


def _refusal(item: wire.Item) -> str:
    if translate_listings.by_amazon(item):
        return BY_AMAZON
    if translate_listings.own(item):
        return ""
    return translate_listings.PER_SOURCE if item.fulfillment_availability else "it has no offer of the seller's own"
