"""The Inventory API's offers: of one SKU, never of all; published, withdrawn, migrated from the Trading API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channelsync.lab.marketplace_values import ENDED, NumberKey, State
from vendor_ebay.calls import Call, Handler, batch_answer, row_flaws, whole_number
from vendor_ebay.errors import (
    BAD_SKU,
    Answer,
    Flaw,
    Refused,
    bad_quantity,
    bad_value,
    inventory,
    no_offer,
    no_sku,
)
from vendor_ebay.items import check_sku
from vendor_ebay.records import Legacy, Sale
from vendor_ebay.shop import Shop

MIGRATED = 5


class Offers:
    """The calls of `offer`, and bulk_migrate_listing."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getOffers": self.of_sku,
            "getOffer": self.one,
            "createOffer": self.create,
            "updateOffer": self.update,
            "deleteOffer": self.delete,
            "publishOffer": self.publish,
            "withdrawOffer": self.withdraw,
            "bulkMigrateListing": self.migrate,
        }

    def of_sku(self, call: Call) -> Answer:
        """GET /offer: without a SKU eBay finds the (missing) SKU not to be alphanumeric."""
        sku = call.query.get("sku", "")
        if not sku:
            raise Refused(400, BAD_SKU)
        check_sku(sku)
        limit, number = whole_number(call.query.get("limit"), 100), whole_number(call.query.get("offset"), 0)
        if not limit or limit > 200 or number is None:
            raise Refused(400, inventory(25706, "You have provided invalid pagination values."))
        every = [
            sale
            for sale in self._shop.sales_of(sku)
            if call.query.get("marketplace_id", sale.content.get("marketplaceId")) == sale.content.get("marketplaceId")
            and call.query.get("format", sale.content.get("format")) == sale.content.get("format")
        ]
        if not every:
            raise Refused(404, inventory(25713, "This Offer is not available."))
        rows = [self._json(sale) for sale in every[number * limit : (number + 1) * limit]]
        href = f"/sell/inventory/v1/offer?sku={sku}&limit={limit}&offset={number}"
        return Answer(200, {"href": href, "total": len(every), "size": len(rows), "limit": limit, "offers": rows})

    def one(self, call: Call) -> Answer:
        """GET /offer/{offerId}"""
        return Answer(200, self._json(self._sale(call)))

    def create(self, call: Call) -> Answer:
        """POST /offer: one of a SKU for each site and format, as the description says."""
        asked = call.json()
        sku = str(asked.get("sku") or "")
        check_sku(sku)
        if sku not in self._shop.items:
            raise Refused(400, no_sku(sku))
        for name in ("marketplaceId", "format"):
            if not asked.get(name):
                raise Refused(400, bad_value(name))
        kind = (asked["marketplaceId"], asked["format"])
        same = [
            sale
            for sale in self._shop.sales_of(sku)
            if (sale.content.get("marketplaceId"), sale.content.get("format")) == kind
        ]
        for there in same:
            more = "A user error has occurred. Offer entity already exists."
            raise Refused(400, inventory(25002, more, offerId=there.id))
        units = asked.get("availableQuantity")
        if units is not None and units < 0:
            raise Refused(400, bad_quantity("It must be 0 or more."))
        sale = self._shop.make_sale(sku, asked)
        if units is not None:
            self._raise_if(self._shop.write_sale(sale, units))
        return Answer(201, {"offerId": sale.id})

    def update(self, call: Call) -> Answer:
        """PUT /offer/{offerId}: what the body leaves out is lost, its number as well."""
        sale = self._sale(call)
        asked = call.json()
        units = asked.get("availableQuantity")
        if units is not None and units < 0:
            raise Refused(400, bad_quantity("It must be 0 or more."))
        if (busy := self._shop.occupy(sale.sku)) is not None:
            raise Refused(500, busy)
        self._raise_if(self._shop.revise(sale.sku))
        kept = {name: value for name, value in sale.content.items() if name in ("sku", "marketplaceId", "format")}
        sale.content = {**asked, **kept}
        self._raise_if(self._shop.stop_overriding(sale) if units is None else self._shop.write_sale(sale, units))
        return Answer(204)

    def delete(self, call: Call) -> Answer:
        """DELETE /offer/{offerId}: a published one's listing ends."""
        self._shop.drop_sale(self._sale(call))
        return Answer(204)

    def publish(self, call: Call) -> Answer:
        """POST /offer/{offerId}/publish: a new listing id; the same one and a warning where it is live already."""
        sale = self._sale(call)
        if sale.listing is not None and self._shop.status(sale) in ("ACTIVE", "OUT_OF_STOCK"):
            more = "System warning. The offer is published already."
            return Answer(
                200, {"listingId": sale.listing, "warnings": row_flaws(inventory(25402, more, "APPLICATION"))}
            )
        item = self._shop.items[sale.sku]
        if not item.stated and not sale.overrides:
            raise Refused(400, bad_quantity("It is not set."))
        if self._shop.market.number(NumberKey(sale.sku)) < 1:
            raise Refused(400, bad_quantity("It must be 1 or more."))
        if sale.sku in self._shop.refusals:
            raise Refused(400, self._shop.refusals[sale.sku])
        return Answer(200, {"listingId": self._shop.publish(sale)})

    def withdraw(self, call: Call) -> Answer:
        """POST /offer/{offerId}/withdraw: the listing ends, the offer stays."""
        sale = self._sale(call)
        if sale.listing is None:
            raise Refused(400, no_offer(sale.id))
        return Answer(200, {"listingId": self._shop.withdraw(sale)})

    def migrate(self, call: Call) -> Answer:
        """POST /bulk_migrate_listing: up to five listings of the Trading API become items and offers."""
        asked = [str(row.get("listingId")) for row in call.json().get("requests") or ()]
        if not 1 <= len(asked) <= MIGRATED:
            raise Refused(400, bad_value("requests", f"One to {MIGRATED} listings are allowed."))
        return batch_answer([self._migrated(listing) for listing in asked])

    def _migrated(self, listing: str) -> dict[str, Any]:
        told: dict[str, Any] = {"listingId": listing, "marketplaceId": self._shop.behaviour.site}
        legacy = self._shop.legacy.get(listing)
        why = "The listing is not one of yours, or is migrated already." if legacy is None else self._hinders(legacy)
        if legacy is None or why:
            flaw = inventory(25718, f"Cannot migrate listing. {why}")
            return told | {"statusCode": 400, "errors": row_flaws(flaw)}
        rows = []
        for sku, name in (legacy.variations or {legacy.sku or "": f"item:{listing}"}).items():
            sale = self._adopt(sku, name, legacy)
            rows.append({"sku": sku, "offerId": sale.id})
        del self._shop.legacy[listing]
        if legacy.variations:
            told["inventoryItemGroupKey"] = f"group{listing}"
        return told | {"statusCode": 200, "inventoryItems": rows}

    def _hinders(self, legacy: Legacy) -> str:
        if not legacy.migratable:
            return "Business policies are required."
        skus = list(legacy.variations) or [legacy.sku or ""]
        if any(not sku for sku in skus):
            return "SKU is missing in the listing."
        if taken := [sku for sku in skus if sku in self._shop.items]:
            return f"The SKU {taken[0]} is in use."
        if any(self._shop.market.offers[name].state is State.ENDED for name in legacy.names):
            return "The listing is not active."
        return ""

    def _adopt(self, sku: str, name: str, legacy: Legacy) -> Sale:
        """The item and the offer of a migrated listing. It keeps its id on the site, and its number."""
        shop = self._shop
        units = shop.market.number(NumberKey(name))
        old = shop.market.offers[name]
        old.state, old.reasons = State.ENDED, [ENDED]
        item = shop.make_item(sku, {"product": {"title": legacy.title}, "condition": "NEW"}, "en_US", units)
        item.stated, item.own = True, units
        sale = shop.make_sale(sku, {"marketplaceId": shop.behaviour.site, "format": "FIXED_PRICE"})
        sale.overrides = True
        shop.publish(sale)
        sale.listing, sale.started, sale.variation = legacy.item, legacy.started, legacy.variation_ids.get(sku)
        return sale

    def _sale(self, call: Call) -> Sale:
        sale = self._shop.sales.get(call.arguments["offerId"])
        if sale is None:
            raise Refused(404, no_offer(call.arguments["offerId"]))
        return sale

    def _raise_if(self, flaw: Flaw | None) -> None:
        if flaw is not None:
            raise Refused(400, flaw)

    def _json(self, sale: Sale) -> dict[str, Any]:
        defaults: Mapping[str, Any] = {
            "listingDuration": "GTC",
            "includeCatalogProductDetails": True,
            "hideBuyerDetails": False,
            "pricingSummary": {"price": {"value": "9.99", "currency": self._shop.behaviour.currency}},
        }
        told = {**defaults, **sale.content, "offerId": sale.id, "sku": sale.sku}
        told["availableQuantity"] = self._shop.offer_number(sale)
        if sale.listing is None:
            return told | {"status": "UNPUBLISHED"}
        listing = {
            "listingId": sale.listing,
            "listingStatus": self._shop.status(sale),
            "soldQuantity": self._shop.sold[sale.sku],
            "listingOnHold": self._shop.on_hold(sale.sku),
        }
        return told | {"status": "PUBLISHED", "listing": listing}
