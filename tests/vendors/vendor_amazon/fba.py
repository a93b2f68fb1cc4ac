"""Units that Amazon keeps and ships itself: the pool, and the FBA Inventory API that tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from channelsync.lab.marketplace_values import units
from vendor_amazon.ask import Answer, Ask, Call, from_token, token_of, told, whole
from vendor_amazon.catalogue import Catalogue, Item
from vendor_amazon.errors import bad_input

PAGE = 50
_TOKENS_LIVE = timedelta(seconds=30)
_BACK_MAX = timedelta(days=548)
"""Eighteen months."""


@dataclass(frozen=True, slots=True)
class FbaUnits:
    """The units of one SKU. fulfillable: less what buyers have ordered; reserved: what they have ordered."""

    fulfillable: int
    reserved: int
    inbound: int
    unfulfillable: int


@dataclass(slots=True)
class _Pile:
    received: int = 0
    inbound: int = 0
    unfulfillable: int = 0


class FbaPool:
    """What Amazon has of the seller's units, by SKU. None of it is in any number of ours."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._piles: dict[str, _Pile] = {}

    def receive(self, sku: str, received: int, *, inbound: int = 0, unfulfillable: int = 0) -> None:
        """Units arrive at Amazon. inbound, unfulfillable: what is so from now on."""
        pile = self._piles.setdefault(sku, _Pile())
        pile.received += received
        pile.inbound, pile.unfulfillable = inbound, unfulfillable
        if (item := self._catalogue.item(sku)) is not None:
            item.updated = self._catalogue.marketplace.time()

    def units(self, sku: str) -> FbaUnits:
        """What there is of a SKU now."""
        pile = self._piles.get(sku, _Pile())
        orders = self._catalogue.marketplace.orders.values()
        lines = [line for order in orders for line in order.lines if line.listing == sku]
        ordered, gone = sum(line.open for line in lines), sum(units(line.shipped) for line in lines)
        left = max(0, pile.received - ordered - gone)
        return FbaUnits(left, ordered, pile.inbound, pile.unfulfillable)


class FbaSummaries:
    """The calls that tell of the pool."""

    def __init__(self, catalogue: Catalogue, pool: FbaPool) -> None:
        self._catalogue = catalogue
        self._pool = pool

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {"getInventorySummaries": self.summaries}

    def summaries(self, ask: Ask) -> Answer:
        """A page of SKUs that Amazon fulfils in one marketplace."""
        place = ask.text("granularityId")
        if ask.texts("marketplaceIds") != (place,) or place not in self._catalogue.account.marketplace_ids:
            raise bad_input("granularityId and marketplaceIds must be one and the same marketplace.")
        since = ask.moment("startDateTime")
        if since is not None and since < ask.time - _BACK_MAX:
            raise bad_input("startDateTime is more than 18 months ago.")
        start = 0
        if text := ask.text("nextToken"):
            start = int(from_token(text, "nextToken", _TOKENS_LIVE, ask.now)["start"])
        wanted = ask.texts("sellerSkus") or tuple(filter(None, (ask.text("sellerSku"),)))
        found = [
            item
            for item in self._catalogue.items(place)
            if not self._catalogue.offer(item).own
            and (since is not None or not wanted or item.sku in wanted)
            and (since is None or whole(item.updated) >= since)
        ]
        details = bool(ask.given.get("details"))
        rows = [self._summary(item, details=details) for item in found[start : start + PAGE]]
        granularity = {"granularityType": "Marketplace", "granularityId": place}
        content: dict[str, Any] = {"payload": {"granularity": granularity, "inventorySummaries": rows}}
        if found[start + PAGE :]:
            content["pagination"] = {
                "nextToken": token_of("nextToken", {"at": ask.now.isoformat(), "start": start + PAGE})
            }
        return Answer(content)

    def _summary(self, item: Item, *, details: bool) -> dict[str, Any]:
        there = self._pool.units(item.sku)
        summary: dict[str, Any] = {
            "asin": item.asin,
            "fnSku": f"X00{item.asin[3:]}",
            "sellerSku": item.sku,
            "condition": "NewItem",
            "lastUpdatedTime": told(item.updated),
            "productName": self._catalogue.offer(item).title,
            "totalQuantity": there.fulfillable + there.reserved + there.inbound + there.unfulfillable,
            "stores": [],
        }
        if details:
            summary["inventoryDetails"] = _details(there)
        return summary


def _details(there: FbaUnits) -> dict[str, Any]:
    return {
        "fulfillableQuantity": there.fulfillable,
        "inboundWorkingQuantity": 0,
        "inboundShippedQuantity": there.inbound,
        "inboundReceivingQuantity": 0,
        "reservedQuantity": {
            "totalReservedQuantity": there.reserved,
            "pendingCustomerOrderQuantity": there.reserved,
            "pendingTransshipmentQuantity": 0,
            "fcProcessingQuantity": 0,
        },
        "researchingQuantity": {"totalResearchingQuantity": 0, "researchingQuantityBreakdown": []},
        "unfulfillableQuantity": {
            "totalUnfulfillableQuantity": there.unfulfillable,
            "customerDamagedQuantity": there.unfulfillable,
            "warehouseDamagedQuantity": 0,
            "distributorDamagedQuantity": 0,
            "carrierDamagedQuantity": 0,
            "defectiveQuantity": 0,
            "expiredQuantity": 0,
        },
    }
