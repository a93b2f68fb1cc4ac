"""What Amazon keeps of a listing beside its number: attributes, issues, where it is listed, what refuses writes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from channelsync.lab.marketplace_numbers import drawn
from channelsync.lab.marketplace_values import NumberKey, Offer, State
from vendor_amazon.marketplace import AmazonMarketplace
from vendor_amazon.places import SellerAccount

Change = Literal["issues", "status"]

DEFAULT = "DEFAULT"
"""The fulfilment channel of units that the seller ships."""


@dataclass(slots=True)
class Item:
    """One SKU. availability: attributes by fulfilment channel, less the quantity. refuses: why writes are invalid.

    garbled: its number is told as half a unit.
    """

    sku: str
    asin: str
    product_type: str
    marketplace_ids: tuple[str, ...]
    created: datetime
    updated: datetime
    availability: dict[str, dict[str, Any]] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    garbled: bool = False

    def actions(self, marketplace_id: str) -> set[str]:
        """What is enforced against it in a marketplace."""
        return {
            str(action["action"])
            for issue in self.issues
            if marketplace_id in issue.get("marketplaceIds", [marketplace_id])
            and issue.get("enforcements", {}).get("exemption", {}).get("status") == "NOT_EXEMPT"
            for action in issue["enforcements"]["actions"]
        }


class Catalogue:
    """The seller's listings. Those that the lab opened at the marketplace appear by themselves.

    on_change: who is told of a change that is none of a number.
    """

    def __init__(self, marketplace: AmazonMarketplace, account: SellerAccount, rng: random.Random) -> None:
        self.marketplace = marketplace
        self.account = account
        self.on_change: list[Callable[[Item, Change], None]] = []
        self._rng = rng
        self._items: dict[str, Item] = {}

    def list_item(
        self,
        sku: str,
        number: int,
        *,
        title: str = "",
        fba: bool = False,
        marketplace_ids: tuple[str, ...] = (),
        product_type: str = "DRINKING_CUP",
        availability: Mapping[str, Any] | None = None,
    ) -> Item:
        """A new listing. fba: Amazon ships it, from units that it counts. availability: e.g. the lead time."""
        ids = marketplace_ids or self.account.marketplace_ids
        self.marketplace.open_listing(Offer(listing=sku, sku=sku, title=title or sku, site=ids[0], own=not fba), number)
        item = self._new(sku, ids, product_type)
        next(iter(item.availability.values())).update(availability or {})
        return item

    def suppress(
        self,
        sku: str,
        *actions: str,
        code: str = "18027",
        message: str = "The main image has text on it.",
        category: str = "INVALID_IMAGE",
        marketplace_ids: tuple[str, ...] = (),
    ) -> None:
        """Amazon finds an issue with a listing and enforces its rules, e.g. `LISTING_SUPPRESSED`; no action: a warning.

        marketplace_ids: where; empty: wherever it is listed.
        """
        item = self._must(sku)
        found: dict[str, Any] = {
            "code": code,
            "message": message,
            "severity": "WARNING",
            "categories": [category],
            "marketplaceIds": list(marketplace_ids or item.marketplace_ids),
        }
        if actions:
            enforced = [{"action": action} for action in actions]
            found["enforcements"] = {"actions": enforced, "exemption": {"status": "NOT_EXEMPT"}}
        item.issues.append(found)
        self._tell(item, "issues")

    def settle(self, sku: str) -> None:
        """The seller has mended what was wrong with a listing."""
        item = self._must(sku)
        item.issues.clear()
        self._tell(item, "issues")

    def switch(self, sku: str, *, on: bool) -> None:
        """The seller closes a listing, or opens it again."""
        self.marketplace.switch(sku, on=on)
        self._tell(self._must(sku), "status")

    def convert(self, sku: str, *, fba: bool) -> None:
        """Amazon ships the listing from now on, from units of its own; or the seller does again."""
        item = self._must(sku)
        self.marketplace.offers[sku].own = not fba
        item.availability = {self._channel(sku, item.marketplace_ids): {}}
        item.updated = self.marketplace.time()
        self._tell(item, "status")

    def remove(self, sku: str) -> None:
        """The listing is deleted."""
        item = self._must(sku)
        self.marketplace.offers[sku].state = State.ENDED
        self._tell(item, "status")

    def _must(self, sku: str) -> Item:
        item = self.item(sku)
        if item is None:
            raise KeyError(f"{sku} is not listed")
        return item

    def _tell(self, item: Item, what: Change) -> None:
        for tell in self.on_change:
            tell(item, what)

    def item(self, sku: str) -> Item | None:
        """The listing of this SKU; None where there is none, or it was deleted."""
        offer = self.marketplace.offers.get(sku)
        if offer is None or offer.state is State.ENDED:
            return None
        self.marketplace.now()
        return self._items.get(sku) or self._new(sku, (offer.site or self.account.marketplace_ids[0],), "DRINKING_CUP")

    def items(self, marketplace_id: str = "") -> list[Item]:
        """All listings, or those of one marketplace, in the order in which they were listed."""
        found = [item for sku in self.marketplace.offers if (item := self.item(sku)) is not None]
        return [item for item in found if not marketplace_id or marketplace_id in item.marketplace_ids]

    def offer(self, item: Item) -> Offer:
        """The lab's offer behind a listing."""
        return self.marketplace.offers[item.sku]

    def quantity(self, item: Item) -> int | None:
        """The number as reads show it; None where Amazon counts by itself."""
        reading = self.marketplace.read([NumberKey(item.sku)])[0]
        return None if reading is None else reading.number

    def statuses(self, item: Item, marketplace_id: str) -> list[str]:
        """BUYABLE, DISCOVERABLE, both or neither. Nothing can be bought of which there is nothing left."""
        offer, actions = self.offer(item), item.actions(marketplace_id)
        gone = offer.state is State.ENDED or marketplace_id not in item.marketplace_ids
        if gone or "CATALOG_ITEM_REMOVED" in actions:
            return []
        buyable = offer.state is State.ACTIVE and self.marketplace.can_buy(item.sku) != 0
        found = ["BUYABLE"] if buyable and "LISTING_SUPPRESSED" not in actions else []
        return [*found, "DISCOVERABLE"] if not actions & {"SEARCH_SUPPRESSED", "LISTING_SUPPRESSED"} else found

    def later(self, change: Callable[[], None]) -> None:
        """Does this after the delay of an accepted submission."""
        due = self.marketplace.now() + drawn(self._rng, self.marketplace.rules.apply_delay)
        self.marketplace.schedule(due, lambda _: change())

    def _new(self, sku: str, ids: tuple[str, ...], product_type: str) -> Item:
        now = self.marketplace.time()
        asin = f"B0{zlib.crc32(sku.encode()) % 36**8:08X}"[:10]
        item = Item(sku, asin, product_type, ids, now, now, {self._channel(sku, ids): {}})
        self._items[sku] = item
        return item

    def _channel(self, sku: str, ids: tuple[str, ...]) -> str:
        """The fulfilment channel of a listing."""
        if self.marketplace.offers[sku].own:
            return DEFAULT
        return next((place.fba for place in self.account.places if place.id in ids), "AMAZON_EU")
