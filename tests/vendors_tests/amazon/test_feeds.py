"""Feeds: a document put, a feed made, minutes of processing, and a report of every message."""

import gzip
import json
from datetime import timedelta

import pytest
from jsonschema import Draft7Validator

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.sdk.contract.world import START
from vendor_amazon import AMAZON_RULES, AmazonHabits

FEEDS = "/feeds/2021-06-30"
UK = "A1F83G8C2ARO7P"
KIND = "application/json; charset=UTF-8"
TAKES = AmazonHabits().feed_delay[1]
GRACE = AMAZON_RULES.apply_delay[1]


def message(number, sku, quantity, **more):
    value = {"fulfillment_channel_code": "DEFAULT", "quantity": quantity} | more
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": [value]}
    return {
        "messageId": number,
        "sku": sku,
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [patch],
    }


@pytest.fixture
def feed(call, site):
    """Makes a feed of messages, or of any document; gives its id."""

    def made(messages, **header):
        head = {"sellerId": site.seller_id, "version": "2.0"} | header
        content = (
            messages if isinstance(messages, bytes) else json.dumps({"header": head, "messages": messages}).encode()
        )
        opened = call.ok("POST", f"{FEEDS}/documents", {"contentType": KIND})
        assert call.document(opened["url"], "PUT", content, content_type=KIND)[0] == 200
        body = {
            "feedType": "JSON_LISTINGS_FEED",
            "marketplaceIds": [UK],
            "inputFeedDocumentId": opened["feedDocumentId"],
        }
        return call.ok("POST", f"{FEEDS}/feeds", body)["feedId"]

    return made


@pytest.fixture
def report(call, contracts):
    """The processing report of a feed that is done, as its own schema wants it."""
    folder = contracts / "amazon" / "schemas" / "feeds"
    schema = Draft7Validator(json.loads((folder / "listings-feed-processing-report-schema-v2.json").read_text()))

    def got(name):
        found = call.ok("GET", f"{FEEDS}/feeds/{name}")
        assert found["processingStatus"] == "DONE"
        document = call.ok("GET", f"{FEEDS}/documents/{found['resultFeedDocumentId']}")
        status, content = call.document(document["url"])
        assert status == 200
        if "compressionAlgorithm" in document:
            content = gzip.decompress(content)
        told = json.loads(content)
        schema.validate(told)
        assert told["header"]["feedId"] == name
        return told

    return got


async def test_a_feed_is_queued_processed_and_done_and_live_minutes_after_that(call, site, feed, report):
    mug, cup = site.catalogue.list_item("MUG", 7), site.catalogue.list_item("CUP", 7)
    name = feed([message(1, "MUG", 3), message(2, "CUP", 0)])
    status = call.ok("GET", f"{FEEDS}/feeds/{name}")
    assert status["processingStatus"] == "IN_QUEUE"
    assert "resultFeedDocumentId" not in status
    seen = {"IN_QUEUE"}
    for _ in range(20):
        await call.wait(seconds=TAKES / 20)
        seen.add(call.ok("GET", f"{FEEDS}/feeds/{name}")["processingStatus"])
    assert seen == {"IN_QUEUE", "IN_PROGRESS", "DONE"}
    told = report(name)
    assert told["issues"] == []
    assert told["summary"] == {
        "errors": 0,
        "warnings": 0,
        "messagesProcessed": 2,
        "messagesAccepted": 2,
        "messagesInvalid": 0,
    }
    await call.wait(seconds=GRACE)
    assert (site.catalogue.quantity(mug), site.catalogue.quantity(cup)) == (3, 0)


async def test_one_bad_message_does_not_hold_up_its_neighbours(call, site, feed, report):
    item = site.catalogue.list_item("MUG", 7)
    site.catalogue.list_item("CUP", 7).refuses = "You need approval to list this."
    unnamed = message(3, "MUG", 4)
    del unnamed["patches"][0]["value"][0]["fulfillment_channel_code"]
    wrong = message(4, "MUG", 4) | {"productType": "LUGGAGE"}
    broken = {"messageId": 5, "sku": "MUG", "operationType": "PATCH"}
    again, delete = message(1, "MUG", 9), {"messageId": 6, "sku": "MUG", "operationType": "DELETE"}
    messages = [message(1, "MUG", 3), message(2, "CUP", 3), unnamed, wrong, broken, again, delete]
    name = feed([*messages, message(7, "NOWHERE", 1)])
    await call.wait(seconds=TAKES)
    told = report(name)
    assert [(each["messageId"], each["code"]) for each in told["issues"]] == [
        (2, "18299"),
        (3, "BAD_REQUEST"),
        (4, "4000003"),
        (5, "BAD_REQUEST"),
        (1, "BAD_REQUEST"),
        (6, "BAD_REQUEST"),
    ]
    assert told["summary"]["messagesAccepted"] == 2
    assert told["summary"]["messagesInvalid"] == 6
    await call.wait(seconds=GRACE)
    assert site.catalogue.quantity(item) == 3


async def test_a_report_may_hold_the_listings_themselves(call, site, feed, report):
    site.catalogue.list_item("MUG", 7)
    wanted = {"includedData": ["summaries", "fulfillmentAvailability"], "apiVersion": "2021-08-01"}
    name = feed([message(1, "MUG", 3)], report=wanted)
    await call.wait(seconds=TAKES)
    told = report(name)
    assert [item["sku"] for item in told["items"]] == ["MUG"]
    assert told["summary"]["itemSummary"]["items"] == 1


@pytest.mark.parametrize("content", [b"not JSON", b"{}", b'{"header":{"sellerId":"A","version":"2.0"},"messages":[]}'])
async def test_a_document_that_cannot_be_read_is_fatal_and_has_no_report(call, feed, content):
    name = feed(content)
    await call.wait(seconds=TAKES)
    status = call.ok("GET", f"{FEEDS}/feeds/{name}")
    assert status["processingStatus"] == "FATAL"
    assert "resultFeedDocumentId" not in status


async def test_another_sellers_feed_and_one_that_is_too_long_are_fatal(call, site, feed):
    site.catalogue.list_item("MUG", 7)
    names = [feed([message(1, "MUG", 1)], sellerId="ANOTHER")]
    names.append(feed([message(number, "MUG", 1) for number in range(1, 25_002)]))
    await call.wait(seconds=TAKES)
    assert {call.ok("GET", f"{FEEDS}/feeds/{name}")["processingStatus"] for name in names} == {"FATAL"}


async def test_a_feed_may_end_badly_by_itself_and_be_cancelled_while_it_waits(call, site, feed):
    item = site.catalogue.list_item("MUG", 7)
    site.feeds.outcome = "CANCELLED"
    name = feed([message(1, "MUG", 1)])
    await call.wait(seconds=TAKES)
    assert call.ok("GET", f"{FEEDS}/feeds/{name}")["processingStatus"] == "CANCELLED"
    site.feeds.outcome = None
    name = feed([message(1, "MUG", 1)])
    assert call("DELETE", f"{FEEDS}/feeds/{name}") == (200, None)
    assert call.code("DELETE", f"{FEEDS}/feeds/{name}") == (400, "InvalidInput")
    await call.wait(seconds=TAKES + GRACE)
    assert call.ok("GET", f"{FEEDS}/feeds/{name}")["processingStatus"] == "CANCELLED"
    assert site.catalogue.quantity(item) == 7
    found = call.ok("GET", f"{FEEDS}/feeds", feedTypes="JSON_LISTINGS_FEED", processingStatuses="CANCELLED", pageSize=1)
    assert [each["feedId"] for each in found["feeds"]] == [name]
    assert len(call.ok("GET", f"{FEEDS}/feeds", nextToken=found["nextToken"])["feeds"]) == 1


async def test_five_feeds_in_five_minutes_are_the_most(call, site, feed):
    site.catalogue.list_item("MUG", 7)
    for _ in range(5):
        feed([message(1, "MUG", 1)])
    opened = call.ok("POST", f"{FEEDS}/documents", {"contentType": KIND})
    call.document(opened["url"], "PUT", b"{}", content_type=KIND)
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [UK], "inputFeedDocumentId": opened["feedDocumentId"]}
    assert call.code("POST", f"{FEEDS}/feeds", body) == (429, "QuotaExceeded")
    await call.wait(minutes=5)
    assert call("POST", f"{FEEDS}/feeds", body)[0] == 202


async def test_documents_are_put_as_they_were_announced_without_a_token_and_in_time(call):
    opened = call.ok("POST", f"{FEEDS}/documents", {"contentType": KIND})
    put = opened["url"], "PUT", b"{}"
    assert call.document(*put, content_type="text/plain")[0] == 403
    assert b"not signed" in call.document(*put, content_type=KIND, x_amz_access_token=call.token)[1]
    assert call.document(opened["url"])[0] == 403
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [UK], "inputFeedDocumentId": opened["feedDocumentId"]}
    assert call.code("POST", f"{FEEDS}/feeds", body) == (400, "InvalidInput")
    await call.wait(minutes=5)
    assert b"expired" in call.document(*put, content_type=KIND)[1]


def test_feeds_of_other_types_are_not_taken_any_more(call):
    body = {"feedType": "POST_INVENTORY_AVAILABILITY_DATA", "marketplaceIds": [UK], "inputFeedDocumentId": "x"}
    assert call.code("POST", f"{FEEDS}/feeds", body) == (400, "InvalidInput")
    assert call.code("POST", f"{FEEDS}/documents", {}) == (400, "InvalidInput")
    assert call.code("GET", f"{FEEDS}/feeds/1") == (404, "NotFound")
    assert call.code("GET", f"{FEEDS}/feeds") == (400, "InvalidInput")


async def test_a_part_of_a_batch_may_fail_by_itself(open_site, caller_of):
    plan = FaultPlan([Fault(kind=FaultKind.PARTIAL, starts=START, ends=START + timedelta(minutes=1))])
    site = open_site(faults=plan)
    call = caller_of(site)
    items = [site.catalogue.list_item(f"SKU-{number}", 7) for number in range(4)]
    head = {"sellerId": site.seller_id, "version": "2.0"}
    document = {"header": head, "messages": [message(n + 1, item.sku, 1) for n, item in enumerate(items)]}
    opened = call.ok("POST", f"{FEEDS}/documents", {"contentType": KIND})
    call.document(opened["url"], "PUT", json.dumps(document).encode(), content_type=KIND)
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [UK], "inputFeedDocumentId": opened["feedDocumentId"]}
    call.ok("POST", f"{FEEDS}/feeds", body)
    await call.wait(seconds=TAKES + GRACE)
    assert [site.catalogue.quantity(item) for item in items] == [1, 7, 1, 7]
