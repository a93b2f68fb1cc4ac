"""What the tests of the eBay connector share: a seller's settings, and an eBay that answers as it is told.

Every request over REST is held against eBay's own OpenAPI documents, where they are there.
"""

import asyncio
import json
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from channelsync.lab.marketplace_http import Request
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import MemoryVault
from channelsync_ebay import CONNECTOR
from channelsync_ebay.channel import EbayChannel
from channelsync_ebay.settings import EbaySettings
from vendor_common.openapi import Contract, Tolerated
from vendor_ebay import EBAY_RULES, EbayBehaviour, EbaySite, open_vendor
from vendor_ebay.notifications import Challenge

CONTRACTS = os.getenv("CHANNELSYNC_CONTRACTS", "")
"""Read here, because no test sees what the environment says to channelsync."""
NO_CONTRACTS = (
    "needs eBay's OpenAPI documents: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts, and ebay in it"
    " holds those of github.com/hendt/ebay-api, folder specs"
)
DESCRIPTIONS = (
    "sell_inventory_v1_oas3.json",
    "sell_fulfillment_v1_oas3.json",
    "sell_account_v1_oas3.json",
    "commerce_identity_v1_oas3.json",
    "commerce_notification_v1_oas3.json",
    "developer_analytics_v1_beta_oas3.json",
)
EMPTY_BODY = Tolerated(
    r"^body: the description names none$",
    "eBay's edge answers 411 to a POST without a body, although the description names none: `{}` is sent",
    "enableSubscription",
)
_SEVERAL = (list, tuple)


class Ebay(httpx.AsyncBaseTransport):
    """Answers what it was told to, by method and path; the newest word counts. described: judges every request."""

    def __init__(self, described: Contract | None) -> None:
        self.described = described
        self.asked: list[httpx.Request] = []
        self.problems: list[str] = []
        self.operations: set[str] = set()
        self._rules: list[tuple[str, re.Pattern[str], Any]] = []
        self.fault: Any = None

    def on(self, method: str, path: str, answer: Any) -> None:
        """answer: a body; a Response; what makes one of a request; an exception; or several, one a request, of which
        the last goes on."""
        self._rules.insert(0, (method, re.compile(path), [*answer] if isinstance(answer, _SEVERAL) else [answer]))

    def on_trading(self, name: str, *answers: Any) -> None:
        """The same for a call of the Trading API; answers are what stands in the envelope, or Responses."""
        made = [one if not isinstance(one, str) else envelope(name, one) for one in answers]
        self._rules.insert(0, (name, re.compile("/ws/api.dll"), made))

    def of(self, path: str, method: str = "") -> list[httpx.Request]:
        """Requests so far whose path holds this."""
        return [one for one in self.asked if path in one.url.path and method in ("", one.method)]

    def bodies(self, path: str) -> list[Any]:
        """The JSON that was sent there."""
        return [json.loads(one.content) for one in self.of(path) if one.content]

    def calls(self, name: str) -> list[str]:
        """The XML that was sent for a call of the Trading API."""
        return [one.content.decode() for one in self.asked if one.headers.get("x-ebay-api-call-name") == name]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        await asyncio.sleep(0)  # as any network would, so that others have their turn
        self.asked.append(request)
        self._judge(request)
        if self.fault is not None and "/oauth2/token" not in request.url.path:
            return self._made(self.fault, request)
        how = request.headers.get("x-ebay-api-call-name", request.method)
        for method, path, answers in self._rules:
            if method == how and path.search(request.url.path):
                return self._made(answers.pop(0) if len(answers) > 1 else answers[0], request)
        raise AssertionError(f"nobody said what to answer to {how} {request.url}")

    def _made(self, answer: Any, request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, httpx.Response):  # a fresh one, as a response is read once
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx.Response(200, json=answer)

    def _judge(self, request: httpx.Request) -> None:
        path = request.url.path
        if self.described is None or path == "/ws/api.dll" or path.endswith("/oauth2/token"):
            return
        operation = self.described.operation(request.method, path)
        if operation is None:
            self.problems.append(f"{request.method} {path}: eBay knows no such operation")
            return
        self.operations.add(operation.id)
        raw = request.url.query
        given = Request(
            request.method,
            path,
            dict(parse_qsl(raw.decode(), keep_blank_values=True)),
            dict(request.headers),
            request.content,
            raw,
        )
        found = self.described.request_problems(operation, given)
        self.problems += [f"{operation.id}: {problem}" for problem in found]


def envelope(name: str, inner: str, ack: str = "Success") -> httpx.Response:
    told = "" if "<Ack>" in inner else f"<Ack>{ack}</Ack>"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><{name}Response xmlns="urn:ebay:apis:eBLBaseComponents">'
        f"<Timestamp>2017-06-01T09:00:00.000Z</Timestamp>{told}{inner}</{name}Response>"
    )
    return httpx.Response(200, content=text.encode(), headers={"Content-Type": "text/xml"})


@pytest.fixture(scope="session")
def described() -> Contract | None:
    """eBay's own documents; None where they are not there."""
    folder = Path(CONTRACTS) / "ebay"
    if not CONTRACTS or not folder.is_dir():
        return None
    return Contract.read(*(folder / name for name in DESCRIPTIONS), tolerated=[EMPTY_BODY], closed=True)


@pytest.fixture
def contracts() -> Path:
    """The folder of eBay's documents."""
    folder = Path(CONTRACTS) / "ebay"
    if not CONTRACTS or not folder.is_dir():
        pytest.skip(NO_CONTRACTS)
    return folder


@pytest.fixture
def ebay(described: Contract | None) -> Iterator[Ebay]:
    """eBay, which hands out tokens and finds no fault with any request of the test."""
    found = Ebay(described)
    number = iter(range(1, 1000))
    found.on(
        "POST",
        "/identity/v1/oauth2/token$",
        lambda _: httpx.Response(200, json={"access_token": f"v^1.1#token-{next(number)}", "expires_in": 7200}),
    )
    found.on("GET", "/developer/analytics/v1_beta/rate_limit/$", httpx.Response(204))
    yield found
    assert found.problems == []


@pytest.fixture
def settings() -> EbaySettings:
    """A seller. Override it for another one."""
    return EbaySettings(
        client_id="Seller-chansync-PRD-1",
        client_secret="the-cert-id",
        ru_name="Seller-Sellerc-chansy-abcdefg",
        refresh_token="v^1.1#refresh-token",
        verification_token="a-verification-token-of-40-letters-long_",
        alert_email="shop@seller.example",
        orders_per_page=3,
        listings_per_page=3,
    )


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def resources(settings: EbaySettings, clock: ContractClock, ebay: Ebay) -> Resources:
    return Resources(
        channel="my-ebay",
        clock=clock,
        limiter=Limiter(CONNECTOR.budgets(settings), clock),
        breaker=Breaker("my-ebay", clock, failures_max=1000),
        random=random.Random(1),
        vault=MemoryVault(),
        transport=ebay,
    )


@pytest.fixture
async def seller(settings: EbaySettings, resources: Resources) -> AsyncIterator[EbayChannel]:
    """The channel."""
    async with CONNECTOR.open(settings, resources) as channel:
        yield channel


class Noting(httpx.AsyncBaseTransport):
    """Passes everything on to the test server and notes what it refused.

    inner: leads there, in process or by a socket; who made it closes it.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.asked: list[httpx.Request] = []
        self.refused: list[tuple[str, int]] = []
        """What was called, and the number of each error."""

    def calls(self, name: str) -> list[httpx.Request]:
        """Requests so far, by the last part of the path or the name of a Trading call."""
        return [one for one in self.asked if _called(one) == name]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        response = await self.inner.handle_async_request(request)
        try:
            body = await response.aread()
        finally:
            await response.aclose()
        self.refused += [(_called(request), number) for number in _errors(body)]
        return httpx.Response(response.status_code, headers=response.headers, content=body)


def _called(request: httpx.Request) -> str:
    return request.headers.get("x-ebay-api-call-name", request.url.path.rstrip("/").rpartition("/")[2])


def _errors(body: bytes) -> list[int]:
    """The numbers of eBay's errors: of the whole call, and of its rows."""
    if body.startswith(b"<"):
        return [int(number) for number in re.findall(rb"<ErrorCode>(\d+)</ErrorCode>", body)]
    try:
        told = json.loads(body)
    except ValueError:
        return []
    rows = [told, *told.get("responses", ())] if isinstance(told, dict) else []
    return [one["errorId"] for row in rows for one in row.get("errors", ())]


@pytest.fixture
def behaviour() -> EbayBehaviour:
    """How the test server behaves. Override it for another one."""
    return EbayBehaviour()


@pytest.fixture
def rules() -> MarketplaceRules:
    """The rules of its state machine. Override it for others."""
    return EBAY_RULES


@pytest.fixture
def challenge() -> Challenge | None:
    """How it reaches the addresses that it is to deliver to; None: each of them answers rightly."""
    return None


@pytest.fixture
def site(
    contracts: Path,
    clock: ContractClock,
    behaviour: EbayBehaviour,
    rules: MarketplaceRules,
    challenge: Challenge | None,
) -> Iterator[EbaySite]:
    """A test server that was written without knowledge of the connector; its answers are eBay's, by its documents."""
    found = open_vendor(
        "ebay", clock, contracts=contracts.parent, behaviour=behaviour, rules=rules, challenge=challenge
    )
    yield found
    assert found.api.answer_problems == [], "the server's own answers stray from eBay's documents"


@pytest.fixture
def noting(site: EbaySite) -> Noting:
    """The way to it."""
    return Noting(site.transport)


@pytest.fixture
def sellers() -> Callable[..., EbaySettings]:
    """Makes the settings with which a seller connects this server."""
    return settings_of


def settings_of(site: EbaySite, **more: Any) -> EbaySettings:
    given: dict[str, Any] = {
        "client_id": site.client_id,
        "client_secret": site.client_secret,
        "ru_name": site.ru_name,
        "refresh_token": site.refresh_token,
        "verification_token": site.verification_token,
        "alert_email": "shop@seller.example",
        "orders_per_page": 3,
        "listings_per_page": 3,
        "history_days": 90,
    }
    return EbaySettings(**given | more)


@pytest.fixture
def words() -> SimpleNamespace:
    """eBay's words, as its schemas spell them."""
    return SimpleNamespace(
        order=order,
        line=line,
        item=item,
        offer=offer,
        orders=orders,
        items=items,
        offers=offers,
        errors=errors,
        written=written,
        envelope=envelope,
    )


def line(number: str = "10001", sku: str | None = "MUG-BLUE", units: int = 1, **more: Any) -> dict[str, Any]:
    said = {"lineItemId": number, "quantity": units, "legacyItemId": "110012345678", "title": "A mug", **more}
    return said if sku is None else {"sku": sku, **said}


def order(number: str = "12-34567-89012", *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "orderId": number,
        "creationDate": "2017-05-31T08:00:00.000Z",
        "lastModifiedDate": "2017-05-31T08:30:00.000Z",
        "orderFulfillmentStatus": "NOT_STARTED",
        "orderPaymentStatus": "PAID",
        "cancelStatus": {"cancelState": "NONE_REQUESTED", "cancelRequests": []},
        "paymentSummary": {
            "payments": [{"paymentStatus": "PAID", "paymentDate": "2017-05-31T08:05:00.000Z"}],
            "refunds": [],
        },
        "lineItems": [*lines] or [line()],
        **more,
    }


def orders(*rows: Any, total: int | None = None, offset: int = 0) -> dict[str, Any]:
    return {"href": "x", "total": len(rows) if total is None else total, "offset": offset, "orders": [*rows]}


def item(sku: str = "MUG-BLUE", units: int | None = 5, **more: Any) -> dict[str, Any]:
    place = {} if units is None else {"quantity": units}
    return {
        "sku": sku,
        "condition": "NEW",
        "availability": {"shipToLocationAvailability": place},
        "product": {"title": f"{sku}, the mug", "ean": ["4006381333931"]},
        **more,
    }


def items(*rows: Any, total: int | None = None) -> dict[str, Any]:
    return {"href": "x", "total": len(rows) if total is None else total, "size": 1, "inventoryItems": [*rows]}


def offer(number: str = "36445435465", units: int | None = 5, **more: Any) -> dict[str, Any]:
    said = {
        "offerId": number,
        "sku": "MUG-BLUE",
        "format": "FIXED_PRICE",
        "status": "PUBLISHED",
        "marketplaceId": "EBAY_US",
        "listing": {"listingId": "110012345678", "listingStatus": "ACTIVE", "soldQuantity": 3},
        **more,
    }
    return said if units is None else {"availableQuantity": units, **said}


def offers(*rows: Any) -> dict[str, Any]:
    return {"href": "x", "total": len(rows), "size": len(rows), "limit": 100, "offers": [*rows]}


def errors(number: int, message: str = "Something is wrong.", status: int = 400) -> httpx.Response:
    said = {"errorId": number, "domain": "API_INVENTORY", "category": "REQUEST", "message": message}
    return httpx.Response(status, json={"errors": [said]})


def written(*rows: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"responses": [*rows]})
