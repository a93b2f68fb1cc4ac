"""GetItem, GetMyeBaySelling and GetSellerList: all listings of the seller, those of the Inventory API among them.

The trap of the Trading API: `Quantity` of an item or variation counts the sold units in; available is `Quantity` less
`SellingStatus.QuantitySold`. Only GetMyeBaySelling tells `QuantityAvailable`.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from channelsync.lab.marketplace_values import SWITCHED_OFF, State
from vendor_ebay.order_json import time_json
from vendor_ebay.records import Sale
from vendor_ebay.shop import Shop
from vendor_ebay.trading_xml import Money, TradingError, TradingFlaw, bad_input, flag_of, number_of, text_of

LARGEST = 200
_LONGEST = timedelta(days=120)
_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A listing on the site. names: of the lab's listings, by SKU of the variation; one under "" where it has none."""

    item: str
    title: str
    sku: str | None
    started: datetime
    names: dict[str, str]
    survives_zero: bool
    tracked_by_sku: bool


class TradingItems:
    """The calls that read listings."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def one(self, root: ET.Element) -> dict[str, Any]:
        """GetItem"""
        item = text_of(root, "ItemID")
        if not item:
            raise bad_input("ItemID")
        for each in self._every():
            if each.item == item:
                return {"Item": self._item(each, variations=True)}
        if any(asked == item for asked in self._shop.lines.values()):
            raise TradingError(TradingFlaw(21917182, "Listing deleted.", "The listing is too old to be shown."))
        raise TradingError(
            TradingFlaw(17, "Item cannot be accessed.", "The listing has been deleted, or is not yours.")
        )

    def selling(self, root: ET.Element) -> dict[str, Any]:
        """GetMyeBaySelling: the active listings, those out of stock among them."""
        asked = root.find("ActiveList")
        if asked is None or not flag_of(asked, "Include", default=True):
            return {}
        active = [each for each in self._every() if self._active(each)]
        rows, page = _paged(asked, active)
        items = [self._item(each, variations=True, available=True) for each in rows]
        return {"ActiveList": {"ItemArray": {"Item": items}, "PaginationResult": page}} if active else {}

    def listed(self, root: ET.Element) -> dict[str, Any]:
        """GetSellerList: the listings that end, or began, in a range of at most 120 days."""
        by, since, until = _range(root)
        if root.find("Pagination") is None:
            raise bad_input("Pagination")
        now = self._shop.market.time()
        found = [each for each in self._every() if since <= self._time(each, by, now) <= until]
        rows, page = _paged(root, found)
        detailed = text_of(root, "DetailLevel") == "ReturnAll" or text_of(root, "GranularityLevel") is not None
        variations = flag_of(root, "IncludeVariations")
        items = [self._item(each, variations=variations) if detailed else {"ItemID": each.item} for each in rows]
        number = number_of(root, "Pagination/PageNumber", 1)
        return {
            "PaginationResult": page,
            "HasMoreItems": number < page["TotalNumberOfPages"],
            "ItemArray": {"Item": items},
            "ItemsPerPage": number_of(root, "Pagination/EntriesPerPage", 25),
            "PageNumber": number,
            "ReturnedItemCountActual": len(items),
        }

    def _every(self) -> list[_Listed]:
        shop = self._shop
        found = [
            _Listed(
                each.item,
                each.title,
                each.sku,
                each.started,
                dict(each.variations) or {"": f"item:{each.item}"},
                each.survives_zero,
                each.tracked_by_sku,
            )
            for each in shop.legacy.values()
        ]
        together: dict[str, list[Sale]] = {}
        for sale in shop.sales.values():
            together.setdefault(sale.listing or "", []).append(sale)
        for listing, sales in together.items():
            first = sales[0]
            if listing and first.started is not None:
                names = {sale.sku if sale.variation else "": sale.sku for sale in sales}
                title = shop.market.offers[first.sku].title
                sku = None if first.variation else first.sku
                found.append(_Listed(listing, title, sku, first.started, names, True, False))
        return sorted(found, key=lambda each: (each.started, each.item))

    def _active(self, listed: _Listed) -> bool:
        offers = [self._shop.market.offers[name] for name in listed.names.values()]
        return not any(offer.state is State.ENDED or SWITCHED_OFF in offer.reasons for offer in offers)

    def _time(self, listed: _Listed, by: str, now: datetime) -> datetime:
        """When it began, or ends: Good 'Til Cancelled renews each month."""
        if by == "Start":
            return listed.started
        if not self._active(listed):
            return now - timedelta(seconds=1)
        return listed.started + _MONTH * (1 + max(0, (now - listed.started) // _MONTH))

    def _item(self, listed: _Listed, *, variations: bool, available: bool = False) -> dict[str, Any]:
        shop = self._shop
        names = list(listed.names.values())
        numbers = dict(zip(names, shop.numbers(names), strict=True))
        sold = sum(shop.sold[name] for name in names)
        units = sum(numbers.values())
        active = self._active(listed)
        told: dict[str, Any] = {
            "Currency": shop.behaviour.currency,
            "ItemID": listed.item,
            "ListingDetails": {
                "StartTime": time_json(listed.started),
                "EndTime": time_json(self._time(listed, "End", shop.market.time())),
            },
            "ListingDuration": "GTC",
            "ListingType": "FixedPriceItem",
            "Quantity": units + sold,
            "SellingStatus": {
                "CurrentPrice": self._money(),
                "QuantitySold": sold,
                "ListingStatus": "Active" if active else "Completed",
            },
            "SKU": listed.sku,
            "Title": listed.title,
        }
        if available:
            told["QuantityAvailable"] = units
        if variations and "" not in listed.names:
            told["Variations"] = {
                "Variation": [
                    {
                        "SKU": sku,
                        "StartPrice": self._money(),
                        "Quantity": numbers[name] + shop.sold[name],
                        "SellingStatus": {"QuantitySold": shop.sold[name]},
                        "VariationSpecifics": {"NameValueList": {"Name": "Colour", "Value": sku}},
                    }
                    for sku, name in listed.names.items()
                ]
            }
        if listed.tracked_by_sku:
            told["InventoryTrackingMethod"] = "SKU"
        told["OutOfStockControl"] = listed.survives_zero
        if active and units <= 0:
            told |= {"HideFromSearch": True, "ReasonHideFromSearch": "OutOfStock"}
        return told

    def _money(self) -> Money:
        return Money("9.99", self._shop.behaviour.currency)


def _paged(node: ET.Element, rows: list[_Listed]) -> tuple[list[_Listed], dict[str, int]]:
    size = number_of(node, "Pagination/EntriesPerPage", 25)
    number = number_of(node, "Pagination/PageNumber", 1)
    if not 1 <= size <= LARGEST:
        raise bad_input("EntriesPerPage")
    if number < 1:
        raise bad_input("PageNumber")
    page = {"TotalNumberOfPages": math.ceil(len(rows) / size), "TotalNumberOfEntries": len(rows)}
    return rows[(number - 1) * size : number * size], page


def _range(root: ET.Element) -> tuple[str, datetime, datetime]:
    for by in ("End", "Start"):
        since, until = text_of(root, f"{by}TimeFrom"), text_of(root, f"{by}TimeTo")
        if since and until:
            first, last = time_of(since, f"{by}TimeFrom"), time_of(until, f"{by}TimeTo")
            if last < first or last - first > _LONGEST:
                raise bad_input(f"{by}TimeTo", "The range may be 120 days.")
            return by, first, last
    raise bad_input("EndTimeFrom", "A range of times is required.")


def time_of(text: str, tag: str) -> datetime:
    """A time in a request. Raises TradingError for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad_input(tag) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
