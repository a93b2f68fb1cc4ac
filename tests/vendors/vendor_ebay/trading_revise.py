"""ReviseInventoryStatus: the numbers of up to four listings or variations, absolute.

A number here is what is available, although GetItem's `Quantity` counts sold units in. 0 is refused where the listing
would end by it: without out-of-stock control. Rows that fail are told in `Errors`, those that went well in
`InventoryStatus`; then Ack is PartialFailure.

Error numbers 17, 291, 515, 21916799 and 21919474 are eBay's; that of spent revisions is not known.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_values import SWITCHED_OFF, NumberKey, State
from vendor_ebay.records import Legacy
from vendor_ebay.shop import Shop
from vendor_ebay.trading_xml import Money, TradingError, TradingFlaw, bad_input, text_of

LARGEST = 4
_SPENT = 21919165


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call told. flaws: of its parts."""

    content: Mapping[str, Any]
    flaws: tuple[TradingFlaw, ...] = field(default=())


class Reviser:
    """The one call that writes."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def revise(self, root: ET.Element, fault: Fault | None) -> Outcome:
        """ReviseInventoryStatus"""
        rows = root.findall("InventoryStatus")
        if not 1 <= len(rows) <= LARGEST:
            raise bad_input("InventoryStatus", f"One to {LARGEST} are allowed.")
        named = [(text_of(row, "ItemID") or "", text_of(row, "SKU") or "") for row in rows]
        if len(set(named)) < len(named):
            raise bad_input("InventoryStatus", "A listing may be named once.")
        flaws: list[TradingFlaw] = []
        done: list[dict[str, Any]] = []
        for turn, (row, (item, sku)) in enumerate(zip(rows, named, strict=True)):
            try:
                if fault is not None and fault.kind is FaultKind.PARTIAL and turn % 2 == 0:
                    _fail(10007, "Internal error to the application.", item, sku)
                done.append(self._row(row, item, sku))
            except TradingError as error:
                flaws += error.flaws
        if fault is not None and fault.kind is FaultKind.ROWS_MISSING:
            done = done[1::2]
        if not done:
            return Outcome({}, tuple(flaws))
        fees = [{"ItemID": item, "Fee": {"Name": "ListingFee", "Fee": self._money("0.0")}} for item in _items(done)]
        return Outcome({"Fees": fees, "InventoryStatus": done}, tuple(flaws))

    def _row(self, row: ET.Element, item: str, sku: str) -> dict[str, Any]:
        legacy = self._legacy(item, sku)
        name = self._name(legacy, sku)
        asked = text_of(row, "Quantity")
        if asked is None and text_of(row, "StartPrice") is None:
            raise bad_input("Quantity")
        if asked is not None:
            self._write(legacy, name, asked, sku)
        return {
            "ItemID": legacy.item,
            "Quantity": self._shop.market.number(NumberKey(name)),
            "SKU": sku or legacy.sku or "",
            "StartPrice": self._money("9.99"),
        }

    def _legacy(self, item: str, sku: str) -> Legacy:
        shop = self._shop
        if not item:
            by_sku = [
                each for each in shop.legacy.values() if each.tracked_by_sku and sku in (each.sku, *each.variations)
            ]
            if len(by_sku) != 1 or not sku:
                _fail(21916799, "SKU Mismatch: SKU does not exist in Non-ManageBySKU item.", item, sku)
            return by_sku[0]
        if any(sale.listing == item for sale in shop.sales.values()):
            more = "Inventory-based listing management is not currently supported by this tool."
            _fail(21919474, more, item, sku)
        if item not in shop.legacy:
            more = "This item cannot be accessed because the listing has been deleted, or you are not the seller."
            _fail(17, more, item, sku)
        return shop.legacy[item]

    def _name(self, legacy: Legacy, sku: str) -> str:
        if legacy.variations:
            if sku not in legacy.variations:
                _fail(21916799, "SKU Mismatch: the SKU of a variation is needed.", legacy.item, sku)
            return legacy.variations[sku]
        if sku and sku != legacy.sku:
            _fail(21916799, "SKU Mismatch: SKU does not exist in Non-ManageBySKU item.", legacy.item, sku)
        return f"item:{legacy.item}"

    def _write(self, legacy: Legacy, name: str, asked: str, sku: str) -> None:
        shop = self._shop
        offer = shop.market.offers[name]
        if offer.state is State.ENDED or SWITCHED_OFF in offer.reasons:
            _fail(291, "Auction ended. You are not allowed to revise ended listings.", legacy.item, sku)
        units = int(asked) if asked.isdecimal() else -1
        others = [each for each in legacy.names if each != name]
        last = not any(shop.market.number(NumberKey(each)) > 0 for each in others)
        if units < 0 or (units == 0 and last and not legacy.survives_zero):
            more = "Quantity is not valid. The quantity must be a valid number greater than 0."
            _fail(515, more, legacy.item, sku)
        if name in shop.refusals:
            more = f"The item cannot be listed or modified. {shop.refusals[name].message}"
            _fail(240, more, legacy.item, sku)
        if (flaw := shop.revise(name) or shop.put(name, units)) is not None:
            _fail(_SPENT, flaw.message, legacy.item, sku)

    def _money(self, value: str) -> Money:
        return Money(value, self._shop.behaviour.currency)


def _items(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(row["ItemID"]) for row in rows))


def _fail(code: int, message: str, item: str, sku: str) -> NoReturn:
    """Raises the error of one row."""
    parameters = (("ItemID", item), ("SKU", sku)) if sku else (("ItemID", item),)
    raise TradingError(TradingFlaw(code, message, message, parameters))
