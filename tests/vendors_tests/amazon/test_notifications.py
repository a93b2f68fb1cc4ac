"""Notifications: destinations, subscriptions, and queues that keep what Amazon tells: more than once, in no order."""

import json

import pytest
from jsonschema import Draft7Validator

from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract import CANARY
from vendor_amazon import AMAZON_RULES

PATH = "/notifications/v1"
ARN = "arn:aws:sqs:eu-west-1:123456789012:channelsync"
UK = "A1F83G8C2ARO7P"
GERMANY = "A1PA6795UKMFR9"
SCHEMAS = {
    "ORDER_CHANGE": "OrderChangeNotification",
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": "ListingsItemMfnQuantityChange",
    "LISTINGS_ITEM_STATUS_CHANGE": "ListingsItemStatusChangeNotification",
    "LISTINGS_ITEM_ISSUES_CHANGE": "ListingsItemIssuesChangeNotification_2023-12-13",
    "FEED_PROCESSING_FINISHED": "FeedProcessingFinishedNotification",
    "REPORT_PROCESSING_FINISHED": "ReportProcessingFinishedNotification",
}


@pytest.fixture
def own(call, caller_of, site):
    """A caller with the application's own token."""
    caller = caller_of(site)
    form = {"grant_type": "client_credentials", "scope": "sellingpartnerapi::notifications", "refresh_token": ""}
    caller.token = caller.login(**form)[1]["access_token"]
    return caller


@pytest.fixture
def queue(site):
    return site.notifications.open_queue(ARN)


@pytest.fixture
def destination(own, queue):
    made = own.ok("POST", f"{PATH}/destinations", {"name": "here", "resourceSpecification": {"sqs": {"arn": ARN}}})
    return made["payload"]["destinationId"]


@pytest.fixture
def subscribe(call, destination):
    def made(kind, **directive):
        body = {"payloadVersion": "1.0", "destinationId": destination}
        if directive:
            body["processingDirective"] = {"eventFilter": {"eventFilterType": "ORDER_CHANGE", **directive}}
        return call.ok("POST", f"{PATH}/subscriptions/{kind}", body)["payload"]["subscriptionId"]

    return made


@pytest.fixture
def taken(queue):
    """Takes all that is in the queue, and deletes it."""

    def take():
        found = []
        while messages := queue.receive():
            for message in messages:
                found.append(json.loads(message.body))
                queue.delete(message.handle)
        return found

    return take


def test_a_destination_is_the_applications_and_a_subscription_the_sellers(call, own, destination, subscribe):
    assert call.code("GET", f"{PATH}/destinations") == (403, "Unauthorized")
    assert [each["destinationId"] for each in own.ok("GET", f"{PATH}/destinations")["payload"]] == [destination]
    assert own.ok("GET", f"{PATH}/destinations/{destination}")["payload"]["resource"] == {"sqs": {"arn": ARN}}
    name = subscribe("ORDER_CHANGE")
    assert call.ok("GET", f"{PATH}/subscriptions/ORDER_CHANGE")["payload"]["subscriptionId"] == name
    assert own.ok("GET", f"{PATH}/subscriptions/ORDER_CHANGE/{name}")["payload"]["destinationId"] == destination
    body = {"payloadVersion": "1.0", "destinationId": destination}
    assert call.code("POST", f"{PATH}/subscriptions/ORDER_CHANGE", body) == (409, "Conflict")
    assert own.ok("DELETE", f"{PATH}/subscriptions/ORDER_CHANGE/{name}") == {}
    assert call.code("GET", f"{PATH}/subscriptions/ORDER_CHANGE") == (404, "NotFound")
    assert own.ok("DELETE", f"{PATH}/destinations/{destination}") == {}
    assert own.code("GET", f"{PATH}/destinations/{destination}") == (404, "NotFound")


def test_what_amazon_would_not_take_is_refused(call, own, destination):
    other = {"name": "there", "resourceSpecification": {"sqs": {"arn": "arn:aws:sqs:eu-west-1:1:other"}}}
    assert own.code("POST", f"{PATH}/destinations", other) == (400, "InvalidInput")
    body = {"payloadVersion": "1.0", "destinationId": destination}
    assert call.code("POST", f"{PATH}/subscriptions/ORDER_STATUS_CHANGE", body) == (400, "InvalidInput")
    assert call.code("POST", f"{PATH}/subscriptions/ORDER_CHANGE", {"payloadVersion": "1.0"}) == (400, "InvalidInput")
    body["destinationId"] = "another"
    assert call.code("POST", f"{PATH}/subscriptions/ORDER_CHANGE", body) == (400, "InvalidInput")


async def test_every_notification_keeps_to_its_schema(call, site, subscribe, taken, contracts):
    for kind in SCHEMAS:
        await call.wait(seconds=1)
        subscribe(kind)
    site.catalogue.list_item("MUG", 3)
    order = site.marketplace.buy("MUG", 3, paid=False).order
    site.marketplace.pay(order.id)
    site.book.request_cancel(order.id)
    site.book.cancel(order.id)
    site.catalogue.suppress("MUG", "SEARCH_SUPPRESSED")
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [UK]}
    call.ok("POST", "/reports/2021-06-30/reports", body)
    opened = call.ok("POST", "/feeds/2021-06-30/documents", {"contentType": "application/json"})
    call.document(opened["url"], "PUT", b"{}", content_type="application/json")
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [UK], "inputFeedDocumentId": opened["feedDocumentId"]}
    call.ok("POST", "/feeds/2021-06-30/feeds", body)
    await call.wait(minutes=5)
    found = taken()
    seen = set()
    for told in found:
        kind = told.get("NotificationType") or told["notificationType"]
        seen.add(kind)
        schema = json.loads((contracts / "amazon/schemas/notifications" / f"{SCHEMAS[kind]}.json").read_text())
        if kind == "LISTINGS_ITEM_STATUS_CHANGE":  # the schema's own example has this name, its enum another
            del schema["properties"]["NotificationType"]["enum"]
        Draft7Validator(schema).validate(told)
        assert not [text for text in CANARY if text in json.dumps(told)]
    assert seen == set(SCHEMAS)


async def test_an_order_is_told_by_every_change_of_its_status(site, subscribe, taken):
    subscribe("ORDER_CHANGE")
    site.catalogue.list_item("MUG", 9)
    order = site.marketplace.place([Wanted("MUG", 3), Wanted("MUG", 1)], paid=False).order
    site.marketplace.pay(order.id)
    site.marketplace.ship(order.id, {order.lines[0].id: 1})
    site.marketplace.ship(order.id, {order.lines[0].id: 1})
    site.book.request_cancel(order.id, lines=(order.lines[1].id,))
    told = [each["Payload"]["OrderChangeNotification"] for each in taken()]
    assert [(each["OrderChangeType"], each["Summary"]["OrderStatus"]) for each in told] == [
        ("OrderStatusChange", "Pending"),
        ("OrderStatusChange", "Unshipped"),
        ("OrderStatusChange", "PartiallyShipped"),
        ("BuyerRequestedChange", "PartiallyShipped"),
    ]
    assert told[0]["AmazonOrderId"] == order.id
    items = told[3]["Summary"]["OrderItems"]
    assert [(each["SellerSKU"], each["Quantity"], each["IsBuyerRequestedCancel"]) for each in items] == [
        ("MUG", 3, False),
        ("MUG", 1, True),
    ]


async def test_a_filter_lets_only_some_through(site, subscribe, taken):
    subscribe("ORDER_CHANGE", marketplaceIds=[GERMANY], orderChangeTypes=["BuyerRequestedChange"])
    site.catalogue.list_item("MUG", 9)
    here = site.marketplace.place([Wanted("MUG", 1)]).order.id
    there = site.marketplace.place([Wanted("MUG", 1)], marketplace_id=GERMANY).order.id
    for order in (here, there):
        site.book.request_cancel(order)
    told = [each["Payload"]["OrderChangeNotification"] for each in taken()]
    assert [(each["AmazonOrderId"], each["OrderChangeType"]) for each in told] == [(there, "BuyerRequestedChange")]


async def test_a_number_is_told_whoever_changes_it_and_a_status_when_it_does(call, site, subscribe, taken):
    site.catalogue.list_item("MUG", 3)
    subscribe("LISTINGS_ITEM_MFN_QUANTITY_CHANGE")
    subscribe("LISTINGS_ITEM_STATUS_CHANGE")
    site.marketplace.buy("MUG", 1)
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": 0}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    body = {"productType": "PRODUCT", "patches": [patch]}
    call.ok("PATCH", f"/listings/2021-08-01/items/{site.seller_id}/MUG", body, marketplaceIds=UK)
    await call.wait(seconds=AMAZON_RULES.apply_delay[1])
    told = taken()
    numbers = [each["Payload"]["Quantity"] for each in told if "MFN" in each["NotificationType"]]
    assert numbers == [2, 0]
    statuses = [each["Payload"] for each in told if "STATUS" in each["NotificationType"]]
    assert [(each["MarketplaceId"], each["Status"]) for each in statuses] == [
        (UK, ["DISCOVERABLE"]),
        (GERMANY, ["DISCOVERABLE"]),
    ]


async def test_what_amazon_finds_wrong_is_told_and_so_is_what_the_seller_does(site, subscribe, taken):
    site.catalogue.list_item("MUG", 3, marketplace_ids=(UK,))
    for kind in ("LISTINGS_ITEM_ISSUES_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE"):
        subscribe(kind)

    def told():
        return [
            each["Payload"].get(
                "Status", (each["Payload"].get("Severities"), each["Payload"].get("EnforcementActions"))
            )
            for each in taken()
        ]

    site.catalogue.suppress("MUG", "LISTING_SUPPRESSED")
    assert told() == [(["WARNING"], ["LISTING_SUPPRESSED"]), []]
    site.catalogue.settle("MUG")
    assert told() == [(["NONE"], []), ["BUYABLE", "DISCOVERABLE"]]
    site.catalogue.switch("MUG", on=False)
    assert told() == [["DISCOVERABLE"]]
    site.catalogue.remove("MUG")
    assert told() == [[]]


async def test_a_queue_gives_again_what_nobody_deleted(clock, queue, site):
    queue.send("one")
    (first,) = queue.receive()
    assert queue.receive() == []
    await clock.sleep(30)
    (again,) = queue.receive()
    assert (again.id, again.body) == (first.id, "one")
    assert again.handle != first.handle
    queue.delete(again.handle)
    await clock.sleep(30)
    assert queue.receive() == []
    assert len(queue) == 0


async def test_a_queue_may_give_twice_what_was_deleted_and_in_any_order(site):
    queue = site.notifications.open_queue("arn:two", duplicates=1.0, disorder=True)
    for number in range(8):
        queue.send(str(number))
    first = queue.receive()
    for message in first:
        queue.delete(message.handle)
    second = queue.receive()
    assert sorted(each.id for each in first) == sorted(each.id for each in second)
    assert [each.body for each in first] != sorted(each.body for each in first)
    for message in second:
        queue.delete(message.handle)
    assert queue.receive() == []
