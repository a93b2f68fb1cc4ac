"""What a seller has at this eBay: the records of items, offers and listings of the Trading API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Item:
    """An inventory item. content: as it was put, without `availability`.

    own: its number where an offer overrides it; None where the offer's counts, or none is set. stated: whether it has a
    number at all. distributions: units by location, as they were put.
    """

    sku: str
    content: dict[str, Any]
    locale: str
    stated: bool = False
    own: int | None = None
    distributions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Sale:
    """An offer of an item. content: as it was put. listing: the id on the site while it is published, else None.

    overrides: whether the offer states a number of its own. own: that number, where the lower one of two counts and it
    may be another than the one in force. variation: its id where the listing has several.
    """

    id: str
    sku: str
    content: dict[str, Any]
    listing: str | None = None
    overrides: bool = False
    started: datetime | None = None
    variation: str | None = None
    own: int | None = None


@dataclass(slots=True)
class Legacy:
    """A listing made by the Trading API. variations: listing names by SKU; empty for a single one.

    survives_zero: it stays alive, out of stock, at 0. tracked_by_sku: InventoryTrackingMethod. migratable: it has
    business policies and SKUs. variation_ids: by SKU.
    """

    item: str
    title: str
    sku: str | None
    started: datetime
    variations: dict[str, str] = field(default_factory=dict)
    survives_zero: bool = True
    tracked_by_sku: bool = False
    migratable: bool = True
    variation_ids: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The lab's names of its listings."""
        return list(self.variations.values()) or [f"item:{self.item}"]
