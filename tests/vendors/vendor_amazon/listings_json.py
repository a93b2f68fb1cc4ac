"""Listings as the Listings Items API 2021-08-01 writes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vendor_amazon.ask import told
from vendor_amazon.catalogue import Catalogue, Item
from vendor_amazon.places import PLACES


def item_json(catalogue: Catalogue, item: Item, ids: Collection[str], included: Collection[str]) -> dict[str, Any]:
    """A listing, in these marketplaces, with these data sets."""
    here = [each for each in item.marketplace_ids if each in ids]
    written: dict[str, Any] = {"sku": item.sku}
    if "summaries" in included:
        written["summaries"] = [_summary(catalogue, item, each) for each in here]
    if "attributes" in included:
        written["attributes"] = _attributes(catalogue, item, here)
    if "issues" in included:
        written["issues"] = [issue for issue in item.issues if set(issue.get("marketplaceIds", here)) & set(here)]
    if "offers" in included:
        written["offers"] = [_offer(catalogue, item, each) for each in here]
    if "fulfillmentAvailability" in included:
        written["fulfillmentAvailability"] = _availability(catalogue, item)
    if "relationships" in included:
        written["relationships"] = [{"marketplaceId": each, "relationships": []} for each in here]
    if "productTypes" in included:
        written["productTypes"] = [{"marketplaceId": each, "productType": item.product_type} for each in here]
    return written


def _summary(catalogue: Catalogue, item: Item, marketplace_id: str) -> dict[str, Any]:
    offer = catalogue.offer(item)
    summary = {
        "marketplaceId": marketplace_id,
        "asin": item.asin,
        "productType": item.product_type,
        "conditionType": "new_new",
        "status": catalogue.statuses(item, marketplace_id),
        "itemName": offer.title,
        "createdDate": told(item.created),
        "lastUpdatedDate": told(item.updated),
    }
    return summary if offer.own else {**summary, "fnSku": f"X00{item.asin[3:]}"}


def _offer(catalogue: Catalogue, item: Item, marketplace_id: str) -> dict[str, Any]:
    price = {"currencyCode": PLACES[marketplace_id].currency, "amount": str(catalogue.offer(item).price)}
    audience = {"value": "ALL", "displayName": "Sell on Amazon"}
    return {"marketplaceId": marketplace_id, "offerType": "B2C", "price": price, "audience": audience}


def _availability(catalogue: Catalogue, item: Item) -> list[dict[str, Any]]:
    """Amazon does not tell here how many units of its own it has: that is the FBA API's."""
    number = 0.5 if item.garbled else catalogue.quantity(item)
    return [
        {"fulfillmentChannelCode": code} | ({} if number is None else {"quantity": number})
        for code in item.availability
    ]


def _attributes(catalogue: Catalogue, item: Item, ids: Collection[str]) -> dict[str, Any]:
    number = catalogue.quantity(item)
    return {
        "item_name": [
            {"value": catalogue.offer(item).title, "language_tag": PLACES[each].language, "marketplace_id": each}
            for each in ids
        ],
        "condition_type": [{"value": "new_new", "marketplace_id": each} for each in ids],
        "fulfillment_availability": [
            {"fulfillment_channel_code": code, **more} | ({} if number is None else {"quantity": number})
            for code, more in item.availability.items()
        ],
    }
