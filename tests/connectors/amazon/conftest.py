"""What the tests of the Amazon connector share: an Amazon that says what it is told, and checks what it is asked.

Every request is held against Amazon's own models, and every answer that a test gives as plain JSON too.
"""

import json
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import pytest

from channelsync.lab.marketplace_http import Request
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import MemoryVault
from channelsync_amazon import CONNECTOR
from channelsync_amazon.channel import AmazonChannel
from channelsync_amazon.settings import AmazonSettings
from vendor_amazon import AmazonHabits, AmazonSite, open_vendor
from vendor_common.openapi import Contract

CONTRACTS = os.getenv("CHANNELSYNC_CONTRACTS", "")
"""Read here, because no test sees what the environment says to channelsync."""
NO_MODELS = (
    "needs Amazon's models: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts; amazon/models and"
    " amazon/schemas in it hold the files of github.com/amzn/selling-partner-api-models"
)
MODELS = (
    "orders_2026-01-01",
    "listingsItems_2021-08-01",
    "feeds_2021-06-30",
    "reports_2021-06-30",
    "sellers",
    "fbaInventory",
)

API = "https://sellingpartnerapi-na.amazon.com"
LWA = "https://api.amazon.com"
FILES = "https://documents.example"
SELLER = "A3TH9S8BH6GOGM"
US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"

ROUTES = {
    "searchOrders": ("GET", r"/orders/2026-01-01/orders"),
    "getOrder": ("GET", r"/orders/2026-01-01/orders/[^/]+"),
    "searchListingsItems": ("GET", r"/listings/2021-08-01/items/[^/]+"),
    "getListingsItem": ("GET", r"/listings/2021-08-01/items/[^/]+/[^/]+"),
    "patchListingsItem": ("PATCH", r"/listings/2021-08-01/items/[^/]+/[^/]+"),
    "createFeedDocument": ("POST", r"/feeds/2021-06-30/documents"),
    "getFeedDocument": ("GET", r"/feeds/2021-06-30/documents/[^/]+"),
    "createFeed": ("POST", r"/feeds/2021-06-30/feeds"),
    "getFeed": ("GET", r"/feeds/2021-06-30/feeds/[^/]+"),
    "cancelFeed": ("DELETE", r"/feeds/2021-06-30/feeds/[^/]+"),
    "createReport": ("POST", r"/reports/2021-06-30/reports"),
    "getReport": ("GET", r"/reports/2021-06-30/reports/[^/]+"),
    "getReportDocument": ("GET", r"/reports/2021-06-30/documents/[^/]+"),
    "getMarketplaceParticipations": ("GET", r"/sellers/v1/marketplaceParticipations"),
    "getInventorySummaries": ("GET", r"/fba/inventory/v1/summaries"),
}
STATUS = {"createFeedDocument": 201, "createFeed": 202, "createReport": 202}


@dataclass
class Asked:
    """A request as it came. params: the query, each value once. body: JSON, or the text."""

    operation: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def sku(self) -> str:
        """The last part of the path, decoded."""
        return unquote(self.path.rsplit("/", 1)[-1])


class Amazon:
    """Answers by operation, in the order that it was told to; the last answer is given again and again.

    An answer is JSON (of a 2xx, held against the models), a Response, an exception to raise, or a function of `Asked`
    that gives one of these.
    """

    def __init__(self, contract: Contract | None) -> None:
        self.contract = contract
        self.asked: list[Asked] = []
        self.problems: list[str] = []
        self._answers: dict[str, list[Any]] = {}
        self.on("token", {"access_token": "Atza|one", "token_type": "bearer", "expires_in": 3600})

    def on(self, operation: str, *answers: Any) -> None:
        """What the operation answers from now on."""
        self._answers[operation] = list(answers)

    def of(self, operation: str) -> list[Asked]:
        """What was asked of an operation."""
        return [one for one in self.asked if one.operation == operation]

    @property
    def operations(self) -> list[str]:
        """What was asked of the API, in order."""
        return [one.operation for one in self.asked if one.operation != "token"]

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.split(b"?")[0].decode()
        operation = self._operation(request, path)
        params = {name: values[-1] for name, values in parse_qs(request.url.query.decode()).items()}
        text = request.content.decode()
        kind = request.headers.get("content-type", "")
        body = json.loads(text) if text and "json" in kind else text
        asked = Asked(operation, path, params, dict(request.headers), body)
        self.asked.append(asked)
        if operation in ROUTES:
            self._check(operation, request)
        answers = self._answers.get(operation)
        assert answers, f"nobody told what {operation} answers: {request.method} {path}"
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return self._answer(operation, request, answer(asked) if callable(answer) else answer)

    def _operation(self, request: httpx.Request, path: str) -> str:
        host = f"{request.url.scheme}://{request.url.host}"
        if host == LWA:
            return "token"
        if host == FILES:
            return f"{request.method} {path}"
        assert host == API, f"a request to {host}"
        found = [name for name, (verb, route) in ROUTES.items() if verb == request.method and re.fullmatch(route, path)]
        assert len(found) == 1, f"{request.method} {path} is no operation of Amazon's"
        return found[0]

    def _check(self, name: str, request: httpx.Request) -> None:
        if self.contract is None:
            return
        path = unquote(request.url.raw_path.split(b"?")[0].decode())
        operation = self.contract.operation(request.method, path)
        assert operation is not None
        assert operation.id == name
        told = Request(
            request.method, path, dict(request.url.params), request.headers, request.content, request.url.query
        )
        self.problems += [f"{name}: {one}" for one in self.contract.request_problems(operation, told)]

    def _answer(self, operation: str, request: httpx.Request, answer: Any) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        response = httpx.Response(STATUS.get(operation, 200), json=answer)
        if self.contract is not None and operation in ROUTES:
            path = unquote(request.url.raw_path.split(b"?")[0].decode())
            known = self.contract.operation(request.method, path)
            assert known is not None
            headers = dict(response.headers)
            found = self.contract.answer_problems(known, response.status_code, headers, response.content)
            self.problems += [f"the test's answer to {operation}: {one}" for one in found]
        return response


class Words:
    """Amazon's JSON, with what a test does not care about filled in."""

    seller, us, ca, files = SELLER, US, CA, FILES

    def error(self, status: int, code: str = "InvalidInput", message: str = "", details: str = "") -> httpx.Response:
        return httpx.Response(status, json={"errors": [{"code": code, "message": message, "details": details}]})

    def line(self, number: int = 1, units: int = 1, sku: str | None = "MUG", **more: Any) -> dict[str, Any]:
        told = {"orderItemId": f"line-{number}", "quantityOrdered": units, "product": {"title": "Mug"}}
        if sku is not None:
            told["product"] |= {"sellerSku": sku}
        return told | more

    def done(self, fulfilled: int, left: int) -> dict[str, Any]:
        return {"quantityFulfilled": fulfilled, "quantityUnfulfilled": left}

    def order(
        self,
        number: int = 1,
        status: str = "UNSHIPPED",
        *lines: dict[str, Any],
        by: str | None = "MERCHANT",
        updated: str = "2017-06-01T08:30:00Z",
        created: str = "2017-06-01T08:00:00Z",
        **more: Any,
    ) -> dict[str, Any]:
        fulfillment = {"fulfillmentStatus": status} | ({} if by is None else {"fulfilledBy": by})
        return {
            "orderId": f"250-0000000-{number:07}",
            "createdTime": created,
            "lastUpdatedTime": updated,
            "salesChannel": {"channelName": "AMAZON", "marketplaceId": US},
            "fulfillment": fulfillment,
            "orderItems": list(lines) or [self.line()],
            **more,
        }

    def orders(self, *orders: Any, token: str | None = None, until: str = "2017-06-01T08:58:00Z") -> dict[str, Any]:
        page: dict[str, Any] = {"orders": list(orders), "lastUpdatedBefore": until}
        return page if token is None else page | {"pagination": {"nextToken": token}}

    def package(self, line: int, units: int, at: str, status: str = "SHIPPED") -> dict[str, Any]:
        return {
            "packageReferenceId": "1",
            "packageStatus": {"status": status},
            "shipTime": at,
            "packageItems": [{"orderItemId": f"line-{line}", "quantity": units}],
        }

    def summary(self, marketplace: str = US, *status: str) -> dict[str, Any]:
        return {
            "marketplaceId": marketplace,
            "productType": "MUG",
            "status": list(status),
            "itemName": "A mug",
            "createdDate": "2017-01-01T00:00:00Z",
            "lastUpdatedDate": "2017-01-01T00:00:00Z",
        }

    def issue(self, code: str = "90220", severity: str = "ERROR", action: str | None = None, **more: Any) -> Any:
        told = {"code": code, "message": "something is wrong", "severity": severity, "categories": []}
        if action is not None:
            exemption = {"status": more.pop("exemption", "NOT_EXEMPT")}
            told |= {"enforcements": {"actions": [{"action": action}], "exemption": exemption}}
        return told | more

    def item(self, sku: str = "MUG", quantity: int | None = 5, code: str = "DEFAULT", **more: Any) -> dict[str, Any]:
        available = {"fulfillmentChannelCode": code} | ({} if quantity is None else {"quantity": quantity})
        return {
            "sku": sku,
            "summaries": [self.summary(US, "BUYABLE", "DISCOVERABLE")],
            "issues": [],
            "fulfillmentAvailability": [available],
            **more,
        }

    def items(self, *items: Any, token: str | None = None, results: int | None = None) -> dict[str, Any]:
        page: dict[str, Any] = {"numberOfResults": len(items) if results is None else results, "items": list(items)}
        return page if token is None else page | {"pagination": {"nextToken": token}}

    def submission(self, sku: str = "MUG", status: str = "ACCEPTED", *issues: Any) -> dict[str, Any]:
        return {"sku": sku, "status": status, "submissionId": "f1dc2914", "issues": list(issues)}

    def feed(self, status: str, result: str | None = None) -> dict[str, Any]:
        told = {"feedId": "1", "feedType": "JSON_LISTINGS_FEED", "createdTime": "2017-06-01T09:00:00Z"}
        told |= {"processingStatus": status}
        return told if result is None else told | {"resultFeedDocumentId": result}

    def feed_result(self, *issues: Any, accepted: int = 0, invalid: int = 0) -> httpx.Response:
        summary = {"errors": invalid, "warnings": 0, "messagesProcessed": accepted + invalid}
        summary |= {"messagesAccepted": accepted, "messagesInvalid": invalid}
        header = {"sellerId": SELLER, "version": "2.0", "feedId": "1"}
        return httpx.Response(200, json={"header": header, "issues": list(issues), "summary": summary})

    def row_issue(self, message: int | None, text: str = "no such SKU", severity: str = "ERROR") -> dict[str, Any]:
        told: dict[str, Any] = {"code": "4000", "severity": severity, "message": text}
        return told if message is None else told | {"messageId": message}

    def report(self, status: str, document: str | None = None) -> dict[str, Any]:
        told = {"reportId": "7", "reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "createdTime": "2017-06-01T09:00:00Z"}
        told |= {"processingStatus": status}
        return told if document is None else told | {"reportDocumentId": document}

    def document(self, name: str, kind: str = "report", **more: Any) -> dict[str, Any]:
        return {f"{kind}DocumentId": name, "url": f"{FILES}/{name}?X-Amz-Signature=signed-away", **more}

    def participation(self, marketplace: str = US, *, there: bool = True, suspended: bool = False) -> dict[str, Any]:
        return {
            "marketplace": {
                "id": marketplace,
                "name": f"Amazon {marketplace[-2:]}",
                "countryCode": "US",
                "defaultCurrencyCode": "USD",
                "defaultLanguageCode": "en_US",
                "domainName": "www.amazon.com",
            },
            "participation": {"isParticipating": there, "hasSuspendedListings": suspended},
            "storeName": "Mugs",
        }


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of Amazon's models and schemas."""
    folder = Path(CONTRACTS) / "amazon"
    if not CONTRACTS or not (folder / "models").is_dir():
        pytest.skip(NO_MODELS)
    return folder


@pytest.fixture
def habits() -> AmazonHabits:
    """How the vendor's server behaves where nobody outside knows for sure; override it for another one."""
    return AmazonHabits()


@pytest.fixture
def site(models: Path, clock: ContractClock, habits: AmazonHabits) -> AmazonSite:
    """A seller's account on a server that was written without knowledge of the connector."""
    return open_vendor("amazon", clock, contracts=models.parent, habits=habits)


@pytest.fixture
def settings_of() -> Callable[..., AmazonSettings]:
    """What a seller would set for such an account."""

    def made(site: AmazonSite, **more: Any) -> AmazonSettings:
        given = {name: getattr(site, name) for name in ("seller_id", "client_id", "client_secret", "refresh_token")}
        given |= {"feed_least": 1, "region": "eu", "marketplaces": site.marketplace_ids[:1]}
        return AmazonSettings(**(given | {"base_url": "http://localhost", "lwa_url": "http://localhost"} | more))

    return made


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Amazon's models; None where they are not at hand: then requests are not checked."""
    folder = Path(CONTRACTS) / "amazon" / "models"
    if not CONTRACTS or not folder.is_dir():
        return None
    return Contract.read(*(folder / f"{name}.json" for name in MODELS))


@pytest.fixture
def amazon(contract: Contract | None) -> Iterator[Amazon]:
    """The other side. What leaves must fit the models, whatever the test is about."""
    other = Amazon(contract)
    yield other
    assert not other.problems


@pytest.fixture
def settings() -> AmazonSettings:
    """An account. Override it for another one."""
    return AmazonSettings(
        seller_id=SELLER,
        region="na",
        marketplaces=(US,),
        client_id="amzn1.application-oa2-client.1",
        client_secret="the-client-secret",
        refresh_token="Atzr|the-refresh-token",
        feed_from=3,
        feed_least=1,
        feed_wait_s=120,
    )


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def resources(settings: AmazonSettings, clock: ContractClock, amazon: Amazon) -> Resources:
    return Resources(
        vault=MemoryVault(),
        channel="amazon-na",
        clock=clock,
        limiter=Limiter(CONNECTOR.budgets(settings), clock),
        breaker=Breaker("amazon-na", clock, failures_max=1000),
        random=random.Random(1),
        transport=httpx.MockTransport(amazon.handle),
    )


@pytest.fixture
async def channel(settings: AmazonSettings, resources: Resources) -> AsyncIterator[AmazonChannel]:
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened


@pytest.fixture
def everything() -> Callable[[AsyncIterator[Any]], Any]:
    """All of it, as a list."""

    async def gathered(found: AsyncIterator[Any]) -> list[Any]:
        return [one async for one in found]

    return gathered
