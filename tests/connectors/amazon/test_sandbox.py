"""Amazon's static sandbox: for each operation that we use, every request that it answers, and what we make of it."""

import json
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.values import ListingState, OrderSnapshot, OrderStatus, QuantityKey, QuantityUpdate
from channelsync_amazon.client import TokenRefused

MODELS = ("orders_2026-01-01", "listingsItems_2021-08-01", "feeds_2021-06-30", "reports_2021-06-30", "sellers")
REFUSED = (ChannelMisbehaved,)

BUYERS = (
    "John Smith",
    "Sarah Thompson",
    "Carlos Oliveira",
    "Maria Silva Santos",
    "Mehmet Yilmaz",
    "Feliz Natal",
    "buyer-email",
    "SW1A",
)
"""What Amazon's examples say about buyers."""

USED: dict[str, int] = {
    "searchOrders": 4,
    "getOrder": 4,
    "getListingsItem": 2,
    "searchListingsItems": 2,
    "patchListingsItem": 4,
    "createFeedDocument": 2,
    "createFeed": 2,
    "getFeed": 2,
    "getFeedDocument": 2,
    "createReport": 2,
    "getReport": 2,
    "getReportDocument": 2,
    "getMarketplaceParticipations": 1,
}
"""How many cases an operation has. getInventorySummaries has a dynamic sandbox only."""


@pytest.fixture
def cases(models: Path) -> dict[str, list[tuple[int, dict[str, Any], Any]]]:
    """Status, request parameters and response of every case, by operation."""
    found: dict[str, list[tuple[int, dict[str, Any], Any]]] = {}
    for name in MODELS:
        told = json.loads((models / "models" / f"{name}.json").read_text())
        for path in told["paths"].values():
            for operation in (one for one in path.values() if isinstance(one, dict) and "operationId" in one):
                for status, answer in operation["responses"].items():
                    for case in answer.get("x-amzn-api-sandbox", {}).get("static", []):
                        given = case.get("request", {}).get("parameters", {})
                        params = {key: value.get("value") for key, value in given.items()}
                        entry = (int(status), params, case.get("response"))
                        found.setdefault(operation["operationId"], []).append(entry)
    return found


@pytest.fixture
def replay(amazon, cases) -> Callable[[str, int], dict[str, Any]]:
    """Makes an operation answer as the sandbox does to a case; gives what the case was asked with."""

    def answer(operation: str, number: int) -> dict[str, Any]:
        status, params, response = cases[operation][number]
        amazon.on(operation, httpx.Response(status, json=response))
        return params

    return answer


def test_every_case_of_every_operation_that_we_use_is_replayed(cases) -> None:
    assert {name: len(cases[name]) for name in USED} == USED


# Orders


def order_facts(order: OrderSnapshot) -> tuple[str, str, list[tuple[str | None, int, int, int]]]:
    lines = [
        (line.sku, line.ordered, sum(one.units for one in line.shipped), order.to_ship(line)) for line in order.lines
    ]
    return order.order, order.status.value, lines


SEARCHED = (
    (
        "250-1234567-8901234",  # fulfilled by Amazon
        OrderStatus.CLOSED,
        [("ECHO-DOT-4-JP-CHARCOAL", 0, 0, 0), ("FIRE-TV-4K-MAX-JP", 0, 0, 0)],
    ),
    ("202-7654321-1098765", OrderStatus.CLOSED, [("ECHO-DOT-4-UK-CHARCOAL-SINGLE", 1, 1, 0)]),
    ("171-2345678-9012345", OrderStatus.OPEN, [("DELL-I15-BR-001", 1, 0, 1)]),
)


@pytest.mark.parametrize("number", range(3))
async def test_orders_that_are_searched_for(channel, amazon, replay, words, number: int) -> None:
    asked = replay("searchOrders", number)
    page, _ = await channel._client.search_orders({"createdAfter": asked["createdAfter"]}, asked.get("paginationToken"))
    assert page.pagination.next_token == ("2YgYW55IGNhcm5hbCBwbGVhc3VyZS4" if number == 0 else None)
    sent = amazon.of("searchOrders")[0].params
    assert sent.get("paginationToken") == asked.get("paginationToken")
    assert sent["createdAfter"] == asked["createdAfter"]
    amazon.on("searchOrders", httpx.Response(200, json={"orders": page.orders}))
    (found,) = [one async for one in channel.orders(cursor=None)]
    assert [order_facts(one) for one in found.orders] == [SEARCHED[number]]
    assert found.unreadable == ()
    assert not [text for text in BUYERS if text in repr(found)]


async def test_when_a_package_left_is_told(channel, replay) -> None:
    replay("searchOrders", 1)
    (page,) = [one async for one in channel.orders(cursor=None)]
    (moved,) = page.orders[0].lines[0].shipped
    assert moved.at is not None
    assert moved.at.isoformat() == "2024-12-25T14:00:00+00:00"


async def test_a_search_that_is_refused(channel, amazon, replay) -> None:
    asked = replay("searchOrders", 3)
    amazon.contract = None  # the case asks for a time that is none
    with pytest.raises(REFUSED):
        await channel._client.search_orders({"createdAfter": asked["createdAfter"]}, None)
    with pytest.raises(TokenRefused):
        await channel._client.search_orders({"createdAfter": asked["createdAfter"]}, "a-token")


GOT = (
    ("171-9876543-2109876", OrderStatus.OPEN, [("ECHO-DOT-4-BR-PRETO", 1, 0, 1)]),
    ("028-1234567-8901234", OrderStatus.CLOSED, [("FIRE-HD10-TR-BLK", 2, 2, 0)]),
    ("114-9876543-1234567", OrderStatus.OPEN, [("ECHO-POP-US-BLK", 1, 0, 1)]),
)


@pytest.mark.parametrize("number", range(3))
async def test_an_order_by_its_id(channel, amazon, replay, number: int) -> None:
    asked = replay("getOrder", number)
    (found,) = await channel.orders_by_id([asked["orderId"]])
    assert order_facts(found) == GOT[number]
    assert amazon.of("getOrder")[0].sku == asked["orderId"]
    assert not [text for text in BUYERS if text in repr(found)]


async def test_an_order_that_amazon_does_not_know(channel, replay) -> None:
    asked = replay("getOrder", 3)
    assert await channel.orders_by_id([asked["orderId"]]) == []


async def test_the_orders_of_a_day(channel, replay) -> None:
    replay("searchOrders", 2)
    assert [one async for one in channel.order_ids(date(2017, 5, 1))] == [], "it was placed on another day"


# Listings

SUITCASE = QuantityKey("GM-ZDPI-9B4E")


@pytest.mark.parametrize("operation", ["getListingsItem", "searchListingsItems"])
async def test_a_listing_with_issues(channel, amazon, replay, operation: str) -> None:
    replay(operation, 0)
    if operation == "getListingsItem":
        amazon.on("searchListingsItems", httpx.Response(200, json={"numberOfResults": 0, "items": []}))
    (found,) = await channel.listings_by_id(["GM-ZDPI-9B4E"])
    assert (found.listing, found.sku, found.keys) == ("GM-ZDPI-9B4E", "GM-ZDPI-9B4E", (SUITCASE,))
    assert found.title == "Hardside Carry-On Spinner Suitcase Luggage"
    assert (found.state, found.shown) == (ListingState.ACTIVE, {SUITCASE: 100})
    assert [reason.split(":")[0] for reason in found.reasons] == ["LISTING_SUPPRESSED", "CATALOG_ITEM_REMOVED"]


async def test_the_number_of_a_listing(channel, replay) -> None:
    replay("getListingsItem", 0)
    (read,) = await channel.read([SUITCASE])
    assert read.value == 100


async def test_a_page_of_the_search_names_the_next(channel, cases) -> None:
    _, asked, response = cases["searchListingsItems"][0]
    assert response["pagination"]["nextToken"].startswith("xsdflkj324")
    assert asked["identifiersType"] == "SKU"


@pytest.mark.parametrize(
    ("operation", "ask"),
    [
        ("getListingsItem", lambda channel: channel.read([QuantityKey("BadSKU")])),
        ("searchListingsItems", lambda channel: channel.listings_by_id(["BadSKU"])),
    ],
)
async def test_a_listing_that_is_refused(channel, replay, operation: str, ask: Any) -> None:
    replay(operation, 1)
    with pytest.raises(REFUSED, match="BAD_REQUEST"):
        await ask(channel)


@pytest.mark.parametrize(
    ("number", "state", "reason"),
    [
        (0, "accepted", ""),
        (1, "unknown", "VALID"),
        (2, "refused", "90000900: The attributes are invalid."),
        (3, "refused", "BAD_REQUEST: Invalid input"),
    ],
)
async def test_a_patch(channel, amazon, words, replay, number: int, state: str, reason: str) -> None:
    asked = replay("patchListingsItem", number)
    sku = asked.get("sku") or "GM-ZDPI-9B4E"
    amazon.on("searchListingsItems", words.items(words.item(sku)))
    (result,) = await channel.push([QuantityUpdate(key=QuantityKey(sku), value=1, listing=sku)])
    assert result.state == state
    assert reason in result.reason
    assert amazon.of("patchListingsItem")[0].sku == sku


# Feeds, reports, the account

Ask = Callable[[Any], Awaitable[Any]]

TAKEN: dict[str, tuple[Ask, Any]] = {
    "createFeedDocument": (
        lambda client: client.feed_document(),
        {
            "feed_document_id": "3d4e42b5-1d6e-44e8-a89c-2abfca0625bb",
            "url": "https://d34o8swod1owfl.cloudfront.net/Feed_101__POST_PRODUCT_DATA_.xml",
        },
    ),
    "createFeed": (lambda client: client.create_feed("3d4e42b5", "ATVPDKIKX0DER"), "3485934"),
    "getFeed": (
        lambda client: client.feed("feedId1"),
        {"feed_id": "FeedId1", "processing_status": "CANCELLED", "result_feed_document_id": None},
    ),
    "getFeedDocument": (
        lambda client: client.feed_result("0356cf79-b8b0-4226-b4b9-0ee058ea5760"),
        {
            "url": "https://d34o8swod1owfl.cloudfront.net/Feed_101__POST_PRODUCT_DATA_.xml",
            "compression_algorithm": None,
        },
    ),
    "createReport": (lambda client: client.create_report("GET_MERCHANT_LISTINGS_ALL_DATA", "ATVPDKIKX0DER"), "ID323"),
    "getReport": (
        lambda client: client.report("ID323"),
        {"report_id": "ReportId1", "processing_status": "IN_PROGRESS", "report_document_id": None},
    ),
    "getReportDocument": (
        lambda client: client.report_document("0356cf79-b8b0-4226-b4b9-0ee058ea5760"),
        {
            "url": "https://d34o8swod1owfl.cloudfront.net/Report_47700__GET_MERCHANT_LISTINGS_ALL_DATA_.txt",
            "compression_algorithm": None,
        },
    ),
}


@pytest.mark.parametrize("operation", list(TAKEN))
async def test_a_feed_or_report_operation(channel, replay, operation: str) -> None:
    ask, expected = TAKEN[operation]
    replay(operation, 0)
    found = await ask(channel._client)
    assert (found if isinstance(expected, str) else found.model_dump()) == expected


@pytest.mark.parametrize("operation", list(TAKEN))
async def test_a_feed_or_report_operation_that_is_refused(channel, replay, operation: str) -> None:
    ask, _ = TAKEN[operation]
    replay(operation, 1)
    with pytest.raises(REFUSED, match="400"):
        await ask(channel._client)


async def test_the_marketplaces_of_an_account(channel, cases, replay) -> None:
    _, _, response = cases["getMarketplaceParticipations"][0]
    replay("getMarketplaceParticipations", 0)
    points = await channel.inspect()
    told = [one["marketplace"]["id"] for one in response["payload"]]
    assert points[0].fine is ("ATVPDKIKX0DER" in told)
    assert "ATVPDKIKX0DER" in points[0].found
