"""The Inventory API's one write for numbers and prices: bulk_update_price_quantity.

Up to 25 requests, one SKU each, although the method's own text says one (its schema, and a live probe, say 25). Each
offer named gets a row of its own in the answer; where only the item is written, the item does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channelsync.lab.faults import FaultKind
from vendor_ebay.calls import Call, Handler, batch_answer, row_flaws
from vendor_ebay.errors import SYSTEM, Answer, Flaw, Refused, bad_quantity, bad_value, no_offer, no_revision, no_sku
from vendor_ebay.records import Sale
from vendor_ebay.shop import Shop

BATCH = 25


class Quantities:
    """The call that writes numbers."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {"bulkUpdatePriceQuantity": self.write}

    def write(self, call: Call) -> Answer:
        """POST /bulk_update_price_quantity"""
        asked = call.json().get("requests") or []
        offers = [str(offer.get("offerId")) for row in asked for offer in row.get("offers") or ()]
        if not asked:
            raise Refused(400, bad_value("requests", "At least one request is needed."))
        if len(asked) > BATCH:
            raise Refused(400, bad_value("requests", f"At most {BATCH} are allowed."))
        if len(offers) > BATCH:
            raise Refused(400, bad_value("offers", f"At most {BATCH} are allowed."))
        if len(set(offers)) < len(offers):
            raise Refused(400, bad_value("offerId", "Each offer may be named once."))
        rows: list[dict[str, Any]] = []
        for turn, row in enumerate(asked):
            spoilt = SYSTEM if call.met(FaultKind.PARTIAL) and turn % 2 == 0 else None
            rows += self._row(row, spoilt)
        return batch_answer(call.results(rows))

    def _row(self, row: Mapping[str, Any], spoilt: Flaw | None) -> list[dict[str, Any]]:
        offers = list(row.get("offers") or ())
        ship = row.get("shipToLocationAvailability")
        sku = str(row.get("sku") or "") or self._sku_of(offers)
        failed: Refused | None = None
        try:
            _check(row, spoilt)
            self._item(sku, offers, ship or {})
        except Refused as refused:
            failed = refused
        rows = []
        if not offers or self._shop.behaviour.item_rows:
            rows.append(self._told(sku, None, failed))
        for offer in offers:
            named = str(offer.get("offerId"))
            rows.append(self._told(sku, named, failed or self._tried(sku, named, offer)))
        self._shop.settle(sku)
        return rows

    def _item(self, sku: str, offers: list[Mapping[str, Any]], ship: Mapping[str, Any]) -> None:
        """Writes the item's number, and counts the one revision that the request is. Raises Refused."""
        shop = self._shop
        units = ship.get("quantity")
        item = shop.items.get(sku)
        if item is None:
            raise Refused(404, no_offer(str(offers[0].get("offerId"))) if offers and not sku else no_sku(sku))
        if (units is not None and units < 0) or any((each.get("availableQuantity") or 0) < 0 for each in offers):
            raise Refused(400, bad_quantity("It must be 0 or more."))
        if (flaw := shop.occupy(sku)) is not None:
            raise Refused(500, flaw)
        if (flaw := shop.revise(sku)) is not None:
            raise Refused(400, flaw)
        item.distributions = list(ship.get("availabilityDistributions") or item.distributions)
        if units is None:
            return
        sale = shop.sale_of(sku)
        if sale is not None and sale.listing is not None and _names(offers, sale):
            shop.write_beside(item, sale, units)
        elif (flaw := shop.write(item, units)) is not None:
            raise Refused(400, flaw)

    def _tried(self, sku: str, named: str, asked: Mapping[str, Any]) -> Refused | None:
        try:
            self._offer(sku, named, asked)
        except Refused as refused:
            return refused
        return None

    def _offer(self, sku: str, named: str, asked: Mapping[str, Any]) -> None:
        sale = self._shop.sales.get(named)
        if sale is None or sale.listing is None:
            raise Refused(404, no_offer(named))
        if sale.sku != sku:
            raise Refused(400, bad_value("offerId", f"Offer {named} is not one of SKU {sku}."))
        if named in self._shop.offer_refusals:
            raise Refused(400, self._shop.offer_refusals[named])
        units, price = asked.get("availableQuantity"), asked.get("price")
        if units is None and price is None:
            raise Refused(400, bad_value("availableQuantity", "It, or a price, is required."))
        if self._shop.status(sale) in ("ENDED", "EBAY_ENDED"):
            raise Refused(400, no_revision("The listing has ended."))
        if units is not None and (flaw := self._shop.write_sale(sale, units)) is not None:
            raise Refused(400, flaw)
        if price is not None:
            _reprice(sale, price)

    def _told(self, sku: str, offer: str | None, refused: Refused | None) -> dict[str, Any]:
        told: dict[str, Any] = {"sku": sku, "statusCode": 200 if refused is None else refused.status}
        if offer is not None:
            told["offerId"] = offer
        if refused is not None:
            told["errors"] = row_flaws(*refused.flaws)
        elif warnings := self._shop.warnings(sku):
            told["warnings"] = row_flaws(*warnings)
        return told

    def _sku_of(self, offers: list[Mapping[str, Any]]) -> str:
        for offer in offers:
            if (sale := self._shop.sales.get(str(offer.get("offerId")))) is not None:
                return sale.sku
        return ""


def _check(row: Mapping[str, Any], spoilt: Flaw | None) -> None:
    ship = row.get("shipToLocationAvailability")
    if ship is not None and not row.get("sku"):
        raise Refused(400, bad_value("sku", "It is required with shipToLocationAvailability."))
    if ship is None and not row.get("offers"):
        raise Refused(400, bad_value("offers", "Nothing is to be updated."))
    if spoilt is not None:
        raise Refused(500, spoilt)


def _names(offers: list[Mapping[str, Any]], sale: Sale) -> bool:
    """Whether a number of this offer's is asked for."""
    return any(str(each.get("offerId")) == sale.id and each.get("availableQuantity") is not None for each in offers)


def _reprice(sale: Sale, price: Mapping[str, Any]) -> None:
    sale.content["pricingSummary"] = {**(sale.content.get("pricingSummary") or {}), "price": dict(price)}
