"""Which locations a listing's SKU ships from, for estimates of delivery; no number hangs on it."""

from __future__ import annotations

from vendor_ebay.account import Account
from vendor_ebay.calls import Call, Handler
from vendor_ebay.errors import Answer, Refused, inventory
from vendor_ebay.shop import Shop


class Mappings:
    """The calls of `listing/{listingId}/sku/{sku}/locations`."""

    def __init__(self, shop: Shop, account: Account) -> None:
        self._shop = shop
        self._account = account
        self._keys: dict[tuple[str, str], list[str]] = {}

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getSkuLocationMapping": self.read,
            "createOrReplaceSkuLocationMapping": self.put,
            "deleteSkuLocationMapping": self.delete,
        }

    def read(self, call: Call) -> Answer:
        """GET: 404 where there is none."""
        keys = self._keys.get(self._named(call))
        if keys is None:
            raise Refused(404, inventory(25904, "Invalid listing ID or the listing does not belong to the seller."))
        return Answer(200, {"locations": [{"merchantLocationKey": key} for key in keys]})

    def put(self, call: Call) -> Answer:
        """PUT: all locations of the SKU."""
        named = self._named(call)
        keys = [str(each.get("merchantLocationKey")) for each in call.json().get("locations") or ()]
        if not keys:
            raise Refused(400, inventory(25901, "Missing a location. Please specify one or more inventory locations."))
        if len(set(keys)) < len(keys):
            raise Refused(400, inventory(25902, "One or more duplicate inventory locations were specified."))
        if not set(keys) <= set(self._account.locations):
            more = "One or more inventory locations could not be found for the seller."
            raise Refused(400, inventory(25900, more))
        self._keys[named] = keys
        return Answer(204)

    def delete(self, call: Call) -> Answer:
        """DELETE"""
        self._keys.pop(self._named(call), None)
        return Answer(204)

    def _named(self, call: Call) -> tuple[str, str]:
        listing, sku = call.arguments["listingId"], call.arguments["sku"]
        if not any(each.listing == listing for each in self._shop.sales.values()):
            raise Refused(400, inventory(25904, "Invalid listing ID or the listing does not belong to the seller."))
        if listing not in self._shop.listing_ids(sku):
            raise Refused(400, inventory(25905, "Invalid SKU value or the SKU value is not defined in the listing."))
        return listing, sku
