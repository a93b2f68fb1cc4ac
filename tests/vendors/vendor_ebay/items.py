"""The Inventory API's items: read, listed by page number, put whole, deleted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from channelsync.lab.faults import FaultKind
from vendor_ebay.calls import Call, Handler, batch_answer, row_flaws, whole_number
from vendor_ebay.errors import (
    BAD_SKU,
    NO_ENTITY,
    Answer,
    Flaw,
    Refused,
    bad_quantity,
    bad_value,
    inventory,
    no_sku,
)
from vendor_ebay.records import Item
from vendor_ebay.shop import SKU, Shop

BATCH = 25
_PATH = "/sell/inventory/v1/inventory_item"


def check_sku(sku: str) -> None:
    """Raises 25707 for what eBay takes for no SKU."""
    if SKU.fullmatch(sku) is None:
        raise Refused(400, BAD_SKU)


class Items:
    """The calls of `inventory_item`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getInventoryItem": self.one,
            "getInventoryItems": self.page,
            "bulkGetInventoryItem": self.several,
            "createOrReplaceInventoryItem": self.put,
            "deleteInventoryItem": self.delete,
            "bulkCreateOrReplaceInventoryItem": self.put_several,
        }

    def one(self, call: Call) -> Answer:
        """GET /inventory_item/{sku}"""
        check_sku(call.arguments["sku"])
        return Answer(200, self._json(self._item(call.arguments["sku"])))

    def page(self, call: Call) -> Answer:
        """GET /inventory_item: `offset` is the number of the page, `size` how many pages there are."""
        limit = whole_number(call.query.get("limit"), 25)
        number = whole_number(call.query.get("offset"), 0)
        if limit is None or not 1 <= limit <= 200:
            raise Refused(400, inventory(25706, "You have provided invalid pagination values. limit: 1 to 200."))
        if number is None:
            raise Refused(400, inventory(25706, "You have provided invalid pagination values. offset: a page number."))
        every = list(self._shop.items.values())
        pages = math.ceil(len(every) / limit)
        rows = [self._json(item) for item in every[number * limit : (number + 1) * limit]]
        told = {
            "href": _page(limit, number),
            "limit": limit,
            "size": pages,
            "total": len(every),
            "inventoryItems": call.spoilt(rows),
        }
        if number + 1 < pages:
            told["next"] = _page(limit, number if call.met(FaultKind.SAME_CURSOR) else number + 1)
        if number > 0:
            told["prev"] = _page(limit, number - 1)
        return Answer(200, told)

    def several(self, call: Call) -> Answer:
        """POST /bulk_get_inventory_item"""
        skus = [str(row.get("sku", "")) for row in call.json().get("requests") or ()]
        if not skus:
            raise Refused(400, bad_value("requests", "At least one SKU is needed."))
        if len(skus) > BATCH:
            raise Refused(400, inventory(25727, f"The number of InventoryItems in the request cannot exceed {BATCH}."))
        if len(set(skus)) < len(skus):
            raise Refused(400, inventory(25734, "SKU should be unique in the request."))
        rows: list[dict[str, Any]] = []
        for sku in skus:
            item = self._shop.items.get(sku)
            if item is None:
                rows.append({"statusCode": 404, "sku": sku, "errors": row_flaws(no_sku(sku))})
            else:
                rows.append({"statusCode": 200, "sku": sku, "inventoryItem": self._json(item)})
        return batch_answer(call.results(rows))

    def put(self, call: Call) -> Answer:
        """PUT /inventory_item/{sku}: what the body leaves out is lost."""
        flaws = self._put(call.arguments["sku"], call.json(), call.request.headers.get("content-language", ""))
        if flaws:
            return Answer(200, {"warnings": row_flaws(*flaws)})
        return Answer(204)

    def put_several(self, call: Call) -> Answer:
        """POST /bulk_create_or_replace_inventory_item"""
        asked = call.json().get("requests") or []
        if len(asked) > BATCH:
            raise Refused(400, inventory(25727, f"The number of InventoryItems in the request cannot exceed {BATCH}."))
        if len({str(row.get("sku")) for row in asked}) < len(asked):
            raise Refused(400, inventory(25728, "InventoryItems should be unique in the request."))
        rows: list[dict[str, Any]] = []
        for row in asked:
            content = {name: value for name, value in row.items() if name not in ("sku", "locale")}
            told = {"sku": row.get("sku"), "locale": row.get("locale")}
            try:
                warnings = self._put(str(row.get("sku", "")), content, str(row.get("locale", "")))
            except Refused as refused:
                rows.append(told | {"statusCode": refused.status, "errors": row_flaws(*refused.flaws)})
            else:
                rows.append(told | {"statusCode": 200, "warnings": row_flaws(*warnings)})
        return batch_answer(rows)

    def delete(self, call: Call) -> Answer:
        """DELETE /inventory_item/{sku}: its offers go, its listing ends."""
        item = self._item(call.arguments["sku"])
        self._shop.drop_item(item)
        return Answer(204)

    def _put(self, sku: str, content: Mapping[str, Any], language: str) -> list[Flaw]:
        check_sku(sku)
        ship = dict((content.get("availability") or {}).get("shipToLocationAvailability") or {})
        units = ship.get("quantity")
        if units is not None and units < 0:
            raise Refused(400, bad_quantity("It must be 0 or more."))
        if (busy := self._shop.occupy(sku)) is not None:
            raise Refused(500, busy)
        kept = {name: value for name, value in content.items() if name != "availability"}
        locale = language.replace("-", "_")
        item = self._shop.items.get(sku)
        if item is None:
            item = self._shop.make_item(sku, kept, locale)
        elif (flaw := self._shop.revise(sku)) is not None:
            raise Refused(400, flaw)
        item.content, item.locale = kept, locale
        item.distributions = list(ship.get("availabilityDistributions") or ())
        if (flaw := self._shop.write(item, units or 0)) is not None:
            raise Refused(400, flaw)
        item.stated = units is not None
        return self._shop.warnings(sku)

    def _item(self, sku: str) -> Item:
        item = self._shop.items.get(sku)
        if item is None:
            raise Refused(404, NO_ENTITY)
        return item

    def _json(self, item: Item) -> dict[str, Any]:
        units = self._shop.item_number(item)
        available: dict[str, Any] = {}
        if units is not None:
            ship: dict[str, Any] = {"quantity": units, "allocationByFormat": {"auction": 0, "fixedPrice": units}}
            if item.distributions:
                ship["availabilityDistributions"] = item.distributions
            available = {"shipToLocationAvailability": ship}
        return {"sku": item.sku, "locale": item.locale, **item.content, "availability": available}


def _page(limit: int, number: int) -> str:
    return f"{_PATH}?limit={limit}&offset={number}"
