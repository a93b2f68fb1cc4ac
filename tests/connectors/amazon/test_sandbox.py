"""Amazon's static sandbox: for each operation that we use, what we ask, by the parameters of every case, and what we
make of its answer.

A case is parameters and an answer. The connector is given what the case is about (its SKU, its order, its seller, its
marketplaces), and its request is held against the case: a parameter that differs must stand in `NEVER` with the reason,
and nothing may stand there that does not differ.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from channelsync.lab.marketplace_http import Request
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.values import ListingState, OrderSnapshot, OrderStatus, QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR
from channelsync_amazon.settings import FILES_BUCKET, LWA_BUCKET, QUEUE_BUCKET, RATES, AmazonSettings

MODELS = ("orders_2026-01-01", "listingsItems_2021-08-01", "feeds_2021-06-30", "reports_2021-06-30", "sellers")

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

WITHOUT_CASES = {"getInventorySummaries"}
"""It has a dynamic sandbox only."""

US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
SKU = "GM-ZDPI-9B4E"
SUITCASE = QuantityKey(SKU)

EVERY_PLACE = "one number of a SKU counts for all marketplaces of the region: orders of all of them are searched for"
NO_BUYERS = "other data sets are asked for: nothing about the buyer, the price or the tax"
OUR_DATA = "the data sets differ: offers say nothing of numbers, and relationships tell parents of variations"
FULL_PAGES = "pages are as long as they may be"
NO_PREVIEW = "a patch is written, never tried out"
FEED_OF_JSON = "all our feeds are JSON_LISTINGS_FEED; those of XML and flat files are no more"
ONE_EACH = "one marketplace each: a SKU is written where it is listed, and not every report tells of several"
NEWEST = "the listings as they are now: no time is named"
NO_TIME = "it is no time, and nothing but times is sent"
NO_SUCH_SETTING = "the settings refuse it: see the test of them"
ALWAYS_NAMED = "the case leaves it out, which is what is wrong with it"

NEVER: dict[tuple[str, int], dict[str, str]] = {
    ("searchOrders", 0): {"marketplaceIds": EVERY_PLACE, "includedData": NO_BUYERS},
    ("searchOrders", 1): {"marketplaceIds": EVERY_PLACE, "includedData": NO_BUYERS},
    ("searchOrders", 2): {"marketplaceIds": EVERY_PLACE, "includedData": NO_BUYERS},
    ("searchOrders", 3): {"createdAfter": NO_TIME},
    ("getOrder", 0): {"includedData": NO_BUYERS},
    ("getOrder", 1): {"includedData": NO_BUYERS},
    ("getOrder", 2): {"includedData": NO_BUYERS},
    ("searchListingsItems", 0): {"includedData": OUR_DATA, "pageSize": FULL_PAGES},
    ("searchListingsItems", 1): {"sellerId": NO_SUCH_SETTING, "marketplaceIds": NO_SUCH_SETTING},
    ("patchListingsItem", 1): {"includedData": NO_PREVIEW, "mode": NO_PREVIEW},
    ("patchListingsItem", 2): {"includedData": NO_PREVIEW, "mode": NO_PREVIEW},
    ("createFeedDocument", 0): {"body.contentType": FEED_OF_JSON},
    ("createFeedDocument", 1): {"body.contentType": ALWAYS_NAMED},
    ("createFeed", 0): {"body.feedType": FEED_OF_JSON, "body.marketplaceIds": ONE_EACH},
    ("createFeed", 1): {"body.feedType": ALWAYS_NAMED, "body.marketplaceIds": ONE_EACH},
    ("createReport", 0): {"body.dataStartTime": NEWEST, "body.marketplaceIds": ONE_EACH},
    ("createReport", 1): {"body.dataStartTime": NEWEST, "body.marketplaceIds": ONE_EACH},
}
"""What we never send as a case does, by case, and why. All else is sent as the case says."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the models. params: by name, those that are named with a value; `body` is the body."""

    status: int
    params: Mapping[str, Any]
    response: Any

    @property
    def answer(self) -> httpx.Response:
        """As the sandbox answers."""
        return httpx.Response(self.status, json=self.response) if self.response else httpx.Response(self.status)


@dataclass(slots=True)
class Stage:
    """A channel, the other side that answers it, and the case that is played."""

    channel: Any
    amazon: Any
    words: Any
    params: Mapping[str, Any]

    @property
    def client(self) -> Any:
        return self.channel._client


@dataclass(frozen=True, slots=True)
class Play:
    """How a case is played. told: what we make of its answer; a text: of the error. first, then: answers of the same
    operation before and after the case's."""

    do: Callable[[Stage], Awaitable[Any]]
    told: Any
    first: tuple[Any, ...] = ()
    then: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


async def placed(stage: Stage) -> list[str]:
    """The ids of the orders of the day with which the case begins."""
    day = str(stage.params["createdAfter"])[:10]
    return [one async for one in stage.channel.order_ids(date.fromisoformat(day if day[:2] == "20" else "2025-01-01"))]


async def order(stage: Stage) -> list[tuple[Any, ...]]:
    return [order_facts(one) for one in await stage.channel.orders_by_id([stage.params["orderId"]])]


async def number(stage: Stage) -> list[int | None]:
    return [one.value for one in await stage.channel.read([QuantityKey(stage.params.get("sku", SKU))])]


async def listings(stage: Stage) -> list[tuple[str, ...]]:
    stage.amazon.on("getListingsItem", stage.words.error(404, "NOT_FOUND"))
    found = await stage.channel.listings_by_id(stage.params.get("identifiers", ["BadSKU"]))
    return [(one.listing, one.title, one.state.value, *map(str, one.shown.values())) for one in found]


async def written(stage: Stage) -> tuple[str, str]:
    sku = stage.params.get("sku", SKU)
    stage.amazon.on("searchListingsItems", stage.words.items(stage.words.item(sku)))
    (result,) = await stage.channel.push([QuantityUpdate(key=QuantityKey(sku), value=1, listing=sku)])
    return result.state, result.reason


async def sold_on(stage: Stage) -> list[tuple[str, str]]:
    found = await stage.client.participations()
    return [(one.marketplace.id, one.store_name) for one in found if one.participation.is_participating]


def order_facts(order: OrderSnapshot) -> tuple[str, str, list[tuple[str | None, int, int, int]]]:
    lines = [
        (line.sku, line.ordered, sum(one.units for one in line.shipped), order.to_ship(line)) for line in order.lines
    ]
    return order.order, order.status.value, lines


def of(stage: Stage) -> Any:
    return stage.params.get("body") or {}


def document(stage: Stage) -> Any:
    return stage.client.feed_document()


def feed(stage: Stage) -> Any:
    return stage.client.create_feed(of(stage)["inputFeedDocumentId"], US)


def report(stage: Stage) -> Any:
    return stage.client.create_report(of(stage)["reportType"], US)


def named(call: str, parameter: str) -> Callable[[Stage], Any]:
    """A call that takes one id."""
    return lambda stage: getattr(stage.client, call)(stage.params[parameter])


BAD = "HTTP 400.*BAD_REQUEST"
INVALID = "HTTP 400"
NEXT = "2YgYW55IGNhcm5hbCBwbGVhc3VyZS4"
XML = "https://d34o8swod1owfl.cloudfront.net/Feed_101__POST_PRODUCT_DATA_.xml"
TXT = "https://d34o8swod1owfl.cloudfront.net/Report_47700__GET_MERCHANT_LISTINGS_ALL_DATA_.txt"
NO_MORE: dict[str, Any] = {"orders": []}

PLAYS: dict[tuple[str, int], Play] = {
    ("searchOrders", 0): Play(placed, ["250-1234567-8901234"], then=(NO_MORE,)),
    ("searchOrders", 1): Play(
        placed, [], first=({**NO_MORE, "pagination": {"nextToken": "9ZhB4RmVyc2lvbiAxLjAgb2YgdGhl"}},)
    ),
    ("searchOrders", 2): Play(placed, []),
    ("searchOrders", 3): Play(placed, INVALID),
    ("getOrder", 0): Play(order, [("171-9876543-2109876", OrderStatus.OPEN, [("ECHO-DOT-4-BR-PRETO", 1, 0, 1)])]),
    ("getOrder", 1): Play(order, [("028-1234567-8901234", OrderStatus.CLOSED, [("FIRE-HD10-TR-BLK", 2, 2, 0)])]),
    ("getOrder", 2): Play(order, [("114-9876543-1234567", OrderStatus.OPEN, [("ECHO-POP-US-BLK", 1, 0, 1)])]),
    ("getOrder", 3): Play(order, []),
    ("getListingsItem", 0): Play(number, [100]),
    ("getListingsItem", 1): Play(number, BAD),
    ("searchListingsItems", 0): Play(
        listings,
        [(SKU, "Hardside Carry-On Spinner Suitcase Luggage", "active", "100")],
        settings={"marketplaces": (US, CA)},
    ),
    ("searchListingsItems", 1): Play(listings, BAD),
    ("patchListingsItem", 0): Play(written, ("accepted", "")),
    ("patchListingsItem", 1): Play(
        written, ("unknown", "the answer says 'VALID', which means nothing to us"), settings={"marketplaces": (US,)}
    ),
    ("patchListingsItem", 2): Play(written, ("refused", "90000900: The attributes are invalid.")),
    ("patchListingsItem", 3): Play(written, ("refused", "BAD_REQUEST: Invalid input")),
    ("createFeedDocument", 0): Play(document, {"feed_document_id": "3d4e42b5-1d6e-44e8-a89c-2abfca0625bb", "url": XML}),
    ("createFeedDocument", 1): Play(document, INVALID),
    ("createFeed", 0): Play(feed, "3485934"),
    ("createFeed", 1): Play(feed, INVALID),
    ("getFeed", 0): Play(
        named("feed", "feedId"),
        {"feed_id": "FeedId1", "processing_status": "CANCELLED", "result_feed_document_id": None},
    ),
    ("getFeed", 1): Play(named("feed", "feedId"), INVALID),
    ("cancelFeed", 0): Play(named("cancel_feed", "feedId"), True),
    ("cancelFeed", 1): Play(named("cancel_feed", "feedId"), False),
    ("getFeedDocument", 0): Play(named("feed_result", "feedDocumentId"), {"url": XML, "compression_algorithm": None}),
    ("getFeedDocument", 1): Play(named("feed_result", "feedDocumentId"), INVALID),
    ("createReport", 0): Play(report, "ID323"),
    ("createReport", 1): Play(report, INVALID),
    ("getReport", 0): Play(
        named("report", "reportId"),
        {"report_id": "ReportId1", "processing_status": "IN_PROGRESS", "report_document_id": None},
    ),
    ("getReport", 1): Play(named("report", "reportId"), INVALID),
    ("getReportDocument", 0): Play(
        named("report_document", "reportDocumentId"), {"url": TXT, "compression_algorithm": None}
    ),
    ("getReportDocument", 1): Play(named("report_document", "reportDocumentId"), INVALID),
    ("getMarketplaceParticipations", 0): Play(sold_on, [(US, "BestSellerStore")]),
}
"""By operation, and the place of the case among its cases."""


@pytest.fixture(scope="session")
def cases(models: Path) -> dict[tuple[str, int], Case]:
    """Every case of the operations that we use, by operation and its place there."""
    found: dict[str, list[Case]] = {}
    for name in MODELS:
        told = json.loads((models / "models" / f"{name}.json").read_text())
        for path in told["paths"].values():
            for operation in (one for one in path.values() if isinstance(one, dict) and "operationId" in one):
                for status, answer in operation["responses"].items():
                    for case in answer.get("x-amzn-api-sandbox", {}).get("static", []):
                        given = case.get("request", {}).get("parameters", {})
                        params = {key: one["value"] for key, one in given.items() if one.get("value") is not None}
                        entry = Case(int(status), params, case.get("response"))
                        found.setdefault(operation["operationId"], []).append(entry)
    used = {name: some for name, some in found.items() if name in RATES}
    return {(name, place): case for name, some in used.items() for place, case in enumerate(some)}


@pytest.fixture
def clock() -> ContractClock:
    """Later than the days that the cases ask for."""
    return ContractClock(datetime(2025, 4, 1, tzinfo=UTC))


def asked_with(contract: Any, asked: Any, method: str) -> dict[str, Any]:
    """The parameters of a request of ours, as values by the names of the model; those of the body as `body.name`."""
    operation = contract.operation(method, httpx.URL(asked.path).path)
    query = str(httpx.QueryParams(asked.params)).encode()
    given = contract.arguments(operation, Request(method, operation.template, {}, {}, b"", query))
    return given | flat(asked.body) if isinstance(asked.body, dict) else given


def flat(body: Mapping[str, Any]) -> dict[str, Any]:
    return {f"body.{name}": value for name, value in body.items()}


def differing(case: Case, sent: Mapping[str, Any]) -> set[str]:
    """The parameters of a case that a request does not give as it does; of a body that it names also those besides."""
    wanted = {name: value for name, value in case.params.items() if name != "body"}
    if "body" in case.params:
        wanted |= {name: None for name in sent if name.startswith("body.")} | flat(case.params["body"])
    return {name for name, value in wanted.items() if not same(sent.get(name), value)}


def same(sent: Any, wanted: Any) -> bool:
    try:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(wanted)
    except (TypeError, ValueError):
        return bool(sent == wanted)


METHODS = {"patchListingsItem": "PATCH", "cancelFeed": "DELETE"} | dict.fromkeys(
    ("createFeedDocument", "createFeed", "createReport"), "POST"
)


def test_every_case_of_every_operation_that_we_use_is_played(cases) -> None:
    assert set(PLAYS) == set(cases)
    assert {name for name, _ in cases} | WITHOUT_CASES == set(RATES) - {LWA_BUCKET, FILES_BUCKET, QUEUE_BUCKET}
    assert set(NEVER) <= set(PLAYS)


@pytest.mark.parametrize("name", list(PLAYS), ids=lambda name: f"{name[0]}-{name[1]}")
async def test_a_case_is_asked_as_it_says_and_read_as_it_answers(
    cases, contract, settings, resources, amazon, words, name: tuple[str, int]
) -> None:
    case, play, operation = cases[name], PLAYS[name], name[0]
    amazon.on(operation, *play.first, case.answer, *play.then)
    async with CONNECTOR.open(settings.model_copy(update=dict(play.settings)), resources) as channel:
        stage = Stage(channel, amazon, words, case.params)
        if case.status >= 400 and isinstance(play.told, str):
            with pytest.raises(ChannelMisbehaved, match=play.told):
                await play.do(stage)
        else:
            found = await play.do(stage)
            assert (found.model_dump() if hasattr(found, "model_dump") else found) == play.told
    sent = asked_with(contract, amazon.of(operation)[len(play.first)], METHODS.get(operation, "GET"))
    assert differing(case, sent) == set(NEVER.get(name, ()))


@pytest.mark.parametrize("name", ["seller_id", "marketplaces"])
def test_a_seller_and_a_marketplace_that_are_none_are_no_settings(cases, settings, name: str) -> None:
    params = cases["searchListingsItems", 1].params
    wrong = {"seller_id": params["sellerId"], "marketplaces": params["marketplaceIds"]}
    good = settings.model_dump() | {"client_secret": "s", "refresh_token": "t"}
    AmazonSettings.model_validate(good)
    with pytest.raises(ValidationError, match=name):
        AmazonSettings.model_validate(good | {name: wrong[name]})


# What else their answers say

SEARCHED = (
    (
        "250-1234567-8901234",  # fulfilled by Amazon
        OrderStatus.CLOSED,
        [("ECHO-DOT-4-JP-CHARCOAL", 0, 0, 0), ("FIRE-TV-4K-MAX-JP", 0, 0, 0)],
    ),
    ("202-7654321-1098765", OrderStatus.CLOSED, [("ECHO-DOT-4-UK-CHARCOAL-SINGLE", 1, 1, 0)]),
    ("171-2345678-9012345", OrderStatus.OPEN, [("DELL-I15-BR-001", 1, 0, 1)]),
)


@pytest.mark.parametrize("place", range(3))
async def test_orders_that_are_searched_for(channel, amazon, cases, place: int) -> None:
    amazon.on("searchOrders", {"orders": cases["searchOrders", place].response["orders"]})
    (page,) = [one async for one in channel.orders(cursor=None)]
    assert [order_facts(one) for one in page.orders] == [SEARCHED[place]]
    assert page.unreadable == ()
    assert not [text for text in BUYERS if text in repr(page)]


async def test_an_order_by_its_id_has_no_buyer(channel, amazon, cases) -> None:
    for place in range(3):
        amazon.on("getOrder", cases["getOrder", place].answer)
        (found,) = await channel.orders_by_id(["028-1234567-8901234"])
        assert not [text for text in BUYERS if text in repr(found)]


async def test_the_next_page_is_asked_for_by_the_token_of_the_answer(channel, amazon, cases) -> None:
    amazon.on("searchOrders", cases["searchOrders", 0].answer, {"orders": []})
    assert [one async for one in channel.order_ids(date(2024, 12, 25))] == ["250-1234567-8901234"]
    assert [one.params.get("paginationToken") for one in amazon.of("searchOrders")] == [None, NEXT]


async def test_when_a_package_left_is_told(channel, amazon, cases) -> None:
    amazon.on("searchOrders", cases["searchOrders", 1].answer)
    (page,) = [one async for one in channel.orders(cursor=None)]
    (moved,) = page.orders[0].lines[0].shipped
    assert moved.at == datetime(2024, 12, 25, 14, tzinfo=UTC)


@pytest.mark.parametrize("operation", ["getListingsItem", "searchListingsItems"])
async def test_a_listing_with_issues(channel, amazon, cases, words, operation: str) -> None:
    amazon.on("searchListingsItems", words.items())
    amazon.on(operation, cases[operation, 0].answer)
    (found,) = await channel.listings_by_id([SKU])
    assert (found.listing, found.sku, found.keys) == (SKU, SKU, (SUITCASE,))
    assert (found.state, found.shown) == (ListingState.ACTIVE, {SUITCASE: 100})
    assert [reason.split(":")[0] for reason in found.reasons] == ["LISTING_SUPPRESSED", "CATALOG_ITEM_REMOVED"]


async def test_the_marketplaces_of_an_account(channel, amazon, cases) -> None:
    amazon.on("getMarketplaceParticipations", cases["getMarketplaceParticipations", 0].answer)
    (point,) = await channel.inspect()
    assert (point.fine, US in point.found) == (True, True)
