"""Every request over REST is held against eBay's own OpenAPI documents, and the judge that does so is awake."""

from datetime import date

import httpx
import pytest

from channelsync.sdk.values import QuantityKey, QuantityUpdate

ADDRESS = "https://seller.example/hooks/my-ebay"
NOTICES = "/commerce/notification/v1"
USED = {
    "bulkGetInventoryItem",
    "bulkUpdatePriceQuantity",
    "getInventoryItems",
    "getInventoryLocations",
    "getOffers",
    "getOrder",
    "getOrders",
    "getShippingFulfillments",
    "getPrivileges",
    "getUser",
    "getRateLimits",
    "getConfig",
    "updateConfig",
    "getDestinations",
    "createDestination",
    "getTopic",
    "getSubscriptions",
    "createSubscription",
    "enableSubscription",
    "deleteSubscription",
}
"""All that the connector asks for, but what a destination that is marked down and a delivery's key need."""


async def test_each_operation_is_asked_for_as_ebay_describes_it(seller, ebay, words, contracts) -> None:
    ebay.on("GET", "/commerce/identity/v1/user/$", {"userId": "1"})
    cancelled = words.order("1-1", cancelStatus={"cancelState": "CANCELED"}, orderFulfillmentStatus="IN_PROGRESS")
    ebay.on("GET", "/sell/fulfillment/v1/order$", words.orders(cancelled))
    ebay.on("GET", "/order/1-1$", cancelled)
    ebay.on("GET", "/shipping_fulfillment$", {"total": 0})
    ebay.on("GET", "/inventory_item$", words.items(words.item("MUG/BLUE & 1")))
    ebay.on("GET", "/sell/inventory/v1/offer$", words.offers(words.offer()))
    found = {"sku": "MUG/BLUE & 1", "statusCode": 200, "inventoryItem": words.item("MUG/BLUE & 1")}
    ebay.on("POST", "/bulk_get_inventory_item$", {"responses": [found]})
    ebay.on("POST", "/bulk_update_price_quantity$", {"responses": [{"sku": "MUG/BLUE & 1", "statusCode": 200}]})
    ebay.on("GET", "/privilege$", {"sellerRegistrationCompleted": True})
    ebay.on("GET", "/location$", {"total": 0})
    ebay.on("GET", f"{NOTICES}/config$", httpx.Response(404))
    ebay.on("PUT", f"{NOTICES}/config$", httpx.Response(204))
    ebay.on("GET", f"{NOTICES}/destination$", {"total": 0})
    ebay.on("POST", f"{NOTICES}/destination$", httpx.Response(201, headers={"Location": "/destination/d-1"}))
    ebay.on("GET", f"{NOTICES}/topic/", {"topicId": "ORDER_CONFIRMATION"})
    told = {"subscriptionId": "s-1", "topicId": "ORDER_CONFIRMATION", "status": "ENABLED", "destinationId": "d-1"}
    ebay.on("GET", f"{NOTICES}/subscription$", {"subscriptions": [told]})
    ebay.on("POST", f"{NOTICES}/subscription", httpx.Response(201))
    ebay.on("DELETE", f"{NOTICES}/subscription", httpx.Response(204))
    update = QuantityUpdate(key=QuantityKey("MUG/BLUE & 1"), value=1, listing="MUG/BLUE & 1")

    await seller.check()
    await seller.inspect()
    assert [one async for one in seller.orders(cursor=None)]
    assert [one async for one in seller.order_ids(date(2017, 5, 2))] == []
    assert [one.listing async for one in seller.listings()] == ["MUG/BLUE & 1"]
    await seller.listings_by_id(["MUG/BLUE & 1"])
    await seller.read([update.key])
    await seller.push([update])
    (subscription,) = await seller.subscriptions()
    await seller.subscribe("ORDER_CONFIRMATION", ADDRESS)
    await seller.reactivate(subscription)
    await seller.unsubscribe(subscription)
    assert ebay.operations == USED
    assert ebay.problems == []


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", "/sell/inventory/v1/offer?skus=x", None, "names no such parameter"),
        ("POST", "/sell/inventory/v1/bulk_get_inventory_item", b'{"requests":[{"SKU":"x"}]}', "names no such property"),
        ("POST", "/sell/inventory/v1/bulk_get_inventory_item", b'{"requests":{"sku":"x"}}', "not of type 'array'"),
        ("GET", "/sell/inventory/v2/offer", None, "no such operation"),
        ("POST", "/sell/inventory/v1/bulk_update_price_quantity", None, "required"),
    ],
)
async def test_a_request_that_ebay_does_not_describe_is_found(ebay, contracts, method, path, body, told) -> None:
    ebay.on(method, "/", {})
    headers = {"Content-Type": "application/json"}
    request = httpx.Request(method, f"https://api.ebay.com{path}", content=body, headers=headers)
    await ebay.handle_async_request(request)
    problems, ebay.problems = ebay.problems, []
    assert told in " ".join(problems)
