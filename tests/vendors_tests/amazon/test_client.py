"""Amazon's own SDK, and AWS's for the queue, talk to the server on a socket: second judges of it."""

import asyncio
import gzip
import importlib
import json
import pkgutil
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request as Plain
from urllib.request import urlopen

import pytest

from channelsync.lab.marketplace import Marketplace, Wanted
from channelsync.lab.marketplace_fronts import MarketplaceApp
from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.clock import SystemClock
from vendor_amazon import AMAZON_RULES, AmazonHabits, AmazonSite, open_vendor
from vendor_amazon.sqs import AccessKey, SqsApi

spapi = pytest.importorskip("spapi", reason="Amazon's SDK is not installed: `make judges` installs it")
boto3 = pytest.importorskip("boto3", reason="AWS's client is not installed: `make judges` installs it")

ARN = "arn:aws:sqs:eu-west-1:123456789012:q"
QUANTITY = "/attributes/fulfillment_availability"


@pytest.fixture
def site(contracts: Path) -> AmazonSite:
    """Eight listings and four orders, at the time of this machine; what is written is live at once."""
    clock = SystemClock()
    earlier = timedelta(minutes=30)

    class Shifted(SystemClock):
        behind = earlier

        def now(self) -> datetime:
            return clock.now() - self.behind

    shifted = Shifted()
    rules = replace(AMAZON_RULES, apply_delay=(0.0, 0.0))
    habits = AmazonHabits(feed_delay=(0.0, 0.0), report_delay=(0.0, 0.0))
    site = open_vendor("amazon", shifted, contracts=contracts, rules=rules, habits=habits)
    for number in range(8):
        site.catalogue.list_item(f"SKU {number}/A" if number == 3 else f"SKU-{number}", number + 5)
    for number in range(4):
        site.marketplace.place([Wanted(f"SKU-{number + 4}", 2)], paid=number % 2 == 0)
    site.notifications.open_queue(ARN)
    Shifted.behind = timedelta(0)
    return site


def _api(client: Any, module: str, name: str = "") -> Any:
    """The one class of calls that a module of the SDK has."""
    package = importlib.import_module(f"spapi.api.{module}")
    for found in pkgutil.iter_modules(package.__path__):
        inner = importlib.import_module(f"spapi.api.{module}.{found.name}")
        for held, value in vars(inner).items():
            if isinstance(value, type) and held.endswith("Api") and name in ("", held):
                return value(client)
    raise AssertionError(f"the SDK has no {module}")


def _a_day(url: str, site: AmazonSite) -> list[Any]:
    def client(**how: str) -> Any:
        config = spapi.SPAPIConfig(client_id=site.client_id, client_secret=site.client_secret, **how)
        return spapi.SPAPIClient(config, oauth_endpoint=f"{url}/auth/o2/token", endpoint=url).api_client

    ours = client(refresh_token=site.refresh_token)
    grantless = client(scope="sellingpartnerapi::notifications")
    seller, uk = site.seller_id, site.marketplace_ids[0]
    told: list[Any] = []

    search, get = _api(ours, "orders_v2026_01_01", "SearchOrdersApi"), _api(ours, "orders_v2026_01_01", "GetOrderApi")
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - the client's time
    which = {"last_updated_after": since, "max_results_per_page": 3, "included_data": ["FULFILLMENT"]}
    page = search.search_orders(**which)
    more = search.search_orders(**which, pagination_token=page.pagination.next_token)
    told.append((len(page.orders), len(more.orders)))
    told.append(get.get_order(page.orders[0].order_id).order.order_id == page.orders[0].order_id)

    listings, models = (
        _api(ours, "listings_items_v2021_08_01"),
        importlib.import_module("spapi.models.listings_items_v2021_08_01"),
    )
    told.append(listings.get_listings_item(seller, "SKU 3/A", [uk]).sku)
    patch = models.PatchOperation(op="merge", path=QUANTITY, value=[_number(4)])
    body = models.ListingsItemPatchRequest(product_type="PRODUCT", patches=[patch])
    told.append(listings.patch_listings_item(seller, "SKU-5", [uk], body).status)
    told.append(_quantity(listings, seller, uk, "SKU-5"))

    told += _fed(ours, listings, seller, uk)
    told.append(_subscribed(ours, grantless))
    return told


def _number(value: int) -> dict[str, Any]:
    return {"fulfillment_channel_code": "DEFAULT", "quantity": value}


def _quantity(listings: Any, seller: str, place: str, sku: str) -> int:
    found = listings.get_listings_item(seller, sku, [place], included_data=["fulfillmentAvailability"])
    return int(found.fulfillment_availability[0].quantity)


def _fed(client: Any, listings: Any, seller: str, place: str) -> list[Any]:
    """A feed from its document to its report."""
    feeds, models = _api(client, "feeds_v2021_06_30"), importlib.import_module("spapi.models.feeds_v2021_06_30")
    kind = "application/json; charset=UTF-8"
    document = feeds.create_feed_document(models.CreateFeedDocumentSpecification(content_type=kind))
    message = {"messageId": 1, "sku": "SKU-6", "operationType": "PATCH", "productType": "PRODUCT"}
    message |= {"patches": [{"op": "merge", "path": QUANTITY, "value": [_number(2)]}]}
    content = json.dumps({"header": {"sellerId": seller, "version": "2.0"}, "messages": [message]}).encode()
    with urlopen(Plain(document.url, content, {"Content-Type": kind}, method="PUT")) as stored:  # noqa: S310
        assert stored.status == 200
    wanted = models.CreateFeedSpecification(
        feed_type="JSON_LISTINGS_FEED", marketplace_ids=[place], input_feed_document_id=document.feed_document_id
    )
    name = feeds.create_feed(wanted).feed_id
    ended = feeds.get_feed(name)
    result = feeds.get_feed_document(ended.result_feed_document_id)
    with urlopen(result.url) as answer:  # noqa: S310
        raw = answer.read()
    report = json.loads(gzip.decompress(raw) if result.compression_algorithm else raw)
    return [ended.processing_status, report["summary"]["messagesAccepted"], _quantity(listings, seller, place, "SKU-6")]


def _subscribed(client: Any, grantless: Any) -> str:
    """A queue as a destination, and a subscription to changes of orders."""
    models = importlib.import_module("spapi.models.notifications_v1")
    resource = models.DestinationResourceSpecification(sqs=models.SqsResource(arn=ARN))
    asked = models.CreateDestinationRequest(name="q", resource_specification=resource)
    made = _api(grantless, "notifications_v1").create_destination(asked)
    body = models.CreateSubscriptionRequest(payload_version="1.0", destination_id=made.payload.destination_id)
    ours = _api(client, "notifications_v1")
    ours.create_subscription("ORDER_CHANGE", body)
    return str(ours.get_subscription("ORDER_CHANGE").payload.payload_version)


async def test_amazons_own_sdk_reads_writes_and_subscribes(site: AmazonSite) -> None:
    async with loopback_server(site.app) as url:
        told = await asyncio.to_thread(_a_day, url, site)
    assert told == [(3, 1), True, "SKU 3/A", "ACCEPTED", 4, "DONE", 1, 2, "1.0"]
    assert site.api.problems == []
    assert site.api.refused == []


async def test_awss_own_client_reads_the_queue(site: AmazonSite) -> None:
    queue = site.notifications.open_queue("arn:two")
    for number in range(3):
        queue.send(f"message {number}")
    clock = SystemClock()
    key = AccessKey("AKIA1", "a-secret", "eu-west-1")
    market: Marketplace = site.marketplace
    api = SqsApi(market, queue, "", key, clock.now)

    def read(url: str) -> list[Any]:
        client = boto3.client(
            "sqs",
            endpoint_url=url,
            region_name=key.region,
            aws_access_key_id=key.name,
            aws_secret_access_key=key.secret,
        )
        found = client.receive_message(QueueUrl=api.url, MaxNumberOfMessages=10, WaitTimeSeconds=20)["Messages"]
        rows = [{"Id": str(place), "ReceiptHandle": one["ReceiptHandle"]} for place, one in enumerate(found)]
        deleted = client.delete_message_batch(QueueUrl=api.url, Entries=rows)
        told = client.get_queue_attributes(QueueUrl=api.url, AttributeNames=["ApproximateNumberOfMessages"])
        client.close()
        return [sorted(one["Body"] for one in found), len(deleted["Successful"]), told["Attributes"]]

    async with loopback_server(MarketplaceApp(api, clock, random.Random(1))) as url:
        api.url = f"{url}/123456789012/q"
        told = await asyncio.to_thread(read, url)
    assert told == [["message 0", "message 1", "message 2"], 3, {"ApproximateNumberOfMessages": "0"}]
