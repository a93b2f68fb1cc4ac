"""Amazon's sandbox cases, put to the server that behaves as Amazon does: it takes what the sandbox takes.

The server is brought to where a case begins (a listing of that SKU, an order or a feed of that id, a seller of that
name), is asked exactly what the case says, and must answer with its status, and by the schema of it. What a case leaves
out and the model requires is named beside it: the seller, a marketplace, a patch.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract import ContractClock
from vendor_amazon import AmazonHabits, AmazonSite
from vendor_amazon.places import PLACES, USA
from vendor_amazon.sandbox import SandboxCase, cases_of
from vendor_amazon.site import a_seller

CASES = {
    "searchOrders": 4,
    "getOrder": 4,
    "getListingsItem": 2,
    "searchListingsItems": 2,
    "patchListingsItem": 4,
    "createFeedDocument": 2,
    "createFeed": 2,
    "getFeed": 2,
    "cancelFeed": 2,
    "getFeedDocument": 2,
    "createReport": 2,
    "getReport": 2,
    "getReportDocument": 2,
    "getMarketplaceParticipations": 1,
}
"""How many cases each operation has that a connector for stock needs."""

NAMES = [(operation, place) for operation, many in CASES.items() for place in range(many)]

UNKNOWN = "the sandbox's word for a bad request: to Amazon itself it is an id or a SKU that there is none of"

ELSE: dict[tuple[str, int], tuple[int, str]] = {
    ("getListingsItem", 1): (404, UNKNOWN),
    ("patchListingsItem", 3): (200, "a patch of any SKU is accepted, and makes a listing (models issues 4402, 2797)"),
    ("createFeed", 0): (400, "feeds of XML are no more"),
    ("getFeed", 1): (404, UNKNOWN),
    ("cancelFeed", 1): (404, UNKNOWN),
    ("getFeedDocument", 1): (404, UNKNOWN),
    ("getReport", 1): (404, UNKNOWN),
    ("getReportDocument", 1): (404, UNKNOWN),
}
"""Where the server answers with another status than the case, and why. All others are answered as they say."""

SAYS = {
    "searchOrders": ["orders.0.salesChannel.marketplaceId"],
    "getOrder": ["order.orderId", "order.salesChannel"],
    "getListingsItem": ["sku"],
    "searchListingsItems": ["numberOfResults", "items.0.sku"],
    "patchListingsItem": ["sku", "status"],
    "getFeed": ["processingStatus"],
    "getFeedDocument": ["feedDocumentId"],
    "getReport": ["processingStatus"],
    "getReportDocument": ["reportDocumentId"],
    "getMarketplaceParticipations": ["payload.0.marketplace", "payload.0.participation"],
}
"""What a success of the server says word for word as that of the case does."""

SKU = "GM-ZDPI-9B4E"
KIND = "application/json; charset=UTF-8"


@pytest.fixture
def clock() -> ContractClock:
    """Later than the days that the cases ask for."""
    return ContractClock(datetime(2025, 4, 1, tzinfo=UTC))


@pytest.fixture
def case(open_site: Callable[..., AmazonSite], request: pytest.FixtureRequest) -> SandboxCase:
    operation, place = request.param
    contract = open_site().api.contract
    (known,) = (each for each in contract.operations if each.id == operation)
    found = list(cases_of(known))
    assert len(found) == CASES[operation]
    return found[place]


@pytest.fixture
def site(open_site: Callable[..., AmazonSite], case: SandboxCase) -> AmazonSite:
    """The seller of the case, who sells everywhere and sees buyers; orders come one a page."""
    seller = replace(a_seller("amazon", sees_buyers=True), marketplace_ids=(USA.id, *(PLACES.keys() - {USA.id})))
    seller = replace(seller, seller_id=case.parameters.get("sellerId", seller.seller_id))
    return open_site(account=seller, habits=AmazonHabits(page_max=1))


async def bring_about(site: AmazonSite, call: Any, case: SandboxCase) -> dict[str, Any]:
    """What the case is about is there. Gives parameters of which nobody but the server knows the values."""
    given, says = case.parameters, case.response or {}
    if case.status >= 400:
        return {}
    match case.operation.id:
        case "searchOrders" | "getOrder":
            return await _orders(site, call, case)
        case "getListingsItem" | "searchListingsItems" | "patchListingsItem":
            places = tuple(given.get("marketplaceIds", (USA.id,)))
            for sku in given.get("identifiers", (given.get("sku", SKU),)):
                site.catalogue.list_item(sku, 7, marketplace_ids=places)
        case "createFeed":
            name = call.ok("POST", "/feeds/2021-06-30/documents", {"contentType": KIND})["feedDocumentId"]
            opened = site.feeds.documents.rename(name, given["body"]["inputFeedDocumentId"])
            call.document(site.feeds.documents.sign(opened, "PUT", "", site.marketplace.now()), "PUT", b"{}")
        case "getFeed" | "cancelFeed":
            job = site.feeds.jobs.rename(_a_feed(call), given["feedId"])
            if says:
                site.feeds.jobs.cancel(job)
        case "getFeedDocument" | "getReportDocument":
            made = site.feeds.documents.add(b"{}", KIND, zipped=False)
            site.feeds.documents.rename(made.id, next(iter(given.values())))
        case "getReport":
            asked = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": [USA.id]}
            name = call.ok("POST", "/reports/2021-06-30/reports", asked)["reportId"]
            job = site.reports.jobs.rename(name, given["reportId"])
            while job.status != says["processingStatus"]:
                await call.wait(seconds=1)
                site.marketplace.now()
    return {}


async def _orders(site: AmazonSite, call: Any, case: SandboxCase) -> dict[str, Any]:
    """Two of the marketplace, the first of the case's id. A page's token is the server's own secret."""
    told = case.response["order"] if "order" in case.response else case.response["orders"][0]
    place = told["salesChannel"]["marketplaceId"]
    site.catalogue.list_item("SOLD", 9, marketplace_ids=(place,))
    for name in (told["orderId"], "299-0000000-0000001"):
        site.marketplace.place([Wanted("SOLD", 1)], order=name, marketplace_id=place)
    await call.wait(minutes=10)
    if "paginationToken" not in case.parameters:
        return {}
    first = {name: value for name, value in case.parameters.items() if name != "paginationToken"}
    return {"paginationToken": _asked(call, replace(case, parameters=first))[1]["pagination"]["nextToken"]}


def _a_feed(call: Any) -> str:
    opened = call.ok("POST", "/feeds/2021-06-30/documents", {"contentType": KIND})
    assert call.document(opened["url"], "PUT", b"{}", content_type=KIND)[0] == 200
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [USA.id]}
    return str(
        call.ok("POST", "/feeds/2021-06-30/feeds", body | {"inputFeedDocumentId": opened["feedDocumentId"]})["feedId"]
    )


def completed(site: AmazonSite, case: SandboxCase) -> SandboxCase:
    """The case with what the model requires besides."""
    required = {str(each.content["name"]) for each in case.operation.parameters if each.content.get("required")}
    wrong = [each["attributeNames"][0] for each in (case.response or {}).get("issues", ()) if "attributeNames" in each]
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": 3}]
    patch = {"op": "merge", "path": f"/attributes/{(wrong or ['fulfillment_availability'])[0]}", "value": value}
    known = {
        "sellerId": site.seller_id,
        "sku": SKU,
        "marketplaceIds": [USA.id],
        "body": {"productType": "PRODUCT", "patches": [patch]},
    }
    named = {name: value for name, value in case.parameters.items() if value is not None}
    return replace(case, parameters={name: known[name] for name in required & known.keys()} | named)


def _asked(call: Any, case: SandboxCase) -> tuple[int, Any]:
    """The answer to a case's request."""
    token = call.token or call.login()[1]["access_token"]
    reply = call.site.api.handle(case.request({"x-amz-access-token": token}))
    return reply.status, json.loads(reply.body) if reply.body else None


def at(content: Any, path: str) -> Any:
    for step in path.split("."):
        content = content[int(step)] if step.isdigit() else content[step]
    return content


ALL = pytest.mark.parametrize("case", NAMES, indirect=True, ids=lambda name: f"{name[0]}-{name[1]}")


@ALL
async def test_a_case_is_answered_with_its_status_and_by_its_schema(site, call, case, request) -> None:
    name = request.node.callspec.params["case"]
    case = completed(site, case)
    secrets = await bring_about(site, call, case)
    status, content = _asked(call, replace(case, parameters={**case.parameters, **secrets}))
    expected, _ = ELSE.get(name, (case.status, ""))
    assert status == expected, content
    assert (status != case.status) == (name in ELSE)
    if status < 300:
        assert (site.api.refused, site.api.ignored) == ([], [])
    if status == case.status < 300 and case.response is not None:
        kind, body = {"content-type": "application/json"}, json.dumps(content).encode()
        assert site.api.contract.answer_problems(case.operation, status, kind, body) == []
        paths = SAYS.get(case.operation.id, ())
        assert {path: at(content, path) for path in paths} == {path: at(case.response, path) for path in paths}
    if status >= 400:
        assert set(content) == set(case.response if case.status >= 400 else {"errors"}), content


def _spoilt(case: SandboxCase) -> Mapping[str, SandboxCase]:
    """The case with one thing wrong each: what is required left out, and a word that is none of those allowed."""
    found = {}
    for parameter in (each.content for each in case.operation.parameters if each.content["in"] == "query"):
        name = str(parameter["name"])
        without = {key: value for key, value in case.parameters.items() if key != name}
        if parameter.get("required"):
            found[f"without {name}"] = replace(case, parameters=without)
        words = parameter.get("enum") or parameter.get("items", {}).get("enum")
        if words:
            found[f"{name} of none"] = replace(case, parameters={**without, name: "NONE_SUCH"})
    body = case.parameters.get("body") or {}
    for name in body:
        less = {key: value for key, value in body.items() if key != name}
        found[f"without body.{name}"] = replace(case, parameters={**case.parameters, "body": less})
        found[f"body.{name} of none"] = replace(case, parameters={**case.parameters, "body": {**body, name: {}}})
    return found


OPTIONAL = {"without body.dataStartTime"}


@ALL
async def test_a_case_with_one_thing_wrong_is_refused(site, call, case) -> None:
    whole = completed(site, case)
    secrets = await bring_about(site, call, whole)
    whole = replace(whole, parameters={**whole.parameters, **secrets})
    for what, spoilt in _spoilt(whole).items():
        if what not in OPTIONAL:
            await call.wait(minutes=3)  # a search for orders is there again
            assert _asked(call, spoilt)[0] == 400, what
