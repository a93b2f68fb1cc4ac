"""A shop that answers from a script, the vendor's schema and captures, and answers in Shopify's own shape."""

import gzip
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import respx
from graphql import GraphQLSchema, build_schema, parse, validate

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.resources import Resources, unused
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings

WITHOUT = (
    "set CHANNELSYNC_CONTRACTS to a folder with shopify/admin_2026-10.graphql.gz (the Admin API's schema, made from"
    " the npm package @shopify/dev-mcp) and shopify/live-captures (fixtures/conformance of the GitHub repository"
    " airhorns/shopify-draft-proxy, one file a scenario)"
)

# Read when this file is imported: the suite clears our settings from the environment of each test.
_CONTRACTS = os.environ.get("CHANNELSYNC_CONTRACTS")  # noqa: TID251

SHOP = "example.myshopify.com"
GRAPHQL = "/admin/api/2026-10/graphql.json"
TOKEN = "/admin/oauth/access_token"


@pytest.fixture(scope="session")
def contracts() -> Path:
    """The folder of the vendor's contract."""
    if not _CONTRACTS:
        pytest.skip(WITHOUT)
    return Path(_CONTRACTS) / "shopify"


@pytest.fixture(scope="session")
def schema(contracts: Path) -> GraphQLSchema:
    """The whole schema of the Admin API."""
    text = gzip.decompress((contracts / "admin_2026-10.graphql.gz").read_bytes()).decode()
    return build_schema(text, assume_valid=True)


@pytest.fixture(scope="session")
def capture(contracts: Path) -> Callable[[str], Any]:
    """A live capture by the end of its file's name."""

    def load(name: str) -> Any:
        (path,) = (contracts / "live-captures").glob(f"*{name}.json")
        return json.loads(path.read_text())

    return load


def page(*nodes: Any, after: str | None = None) -> dict[str, Any]:
    """A connection; after: where the next page begins, if there is one."""
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}


def gid(kind: str, number: int | str) -> str:
    return f"gid://shopify/{kind}/{number}"


def line(number: int = 1, quantity: int = 1, **more: Any) -> dict[str, Any]:
    """A line as an order shows it: nothing has happened to it."""
    return {
        "id": gid("LineItem", number),
        "sku": f"SKU-{number}",
        "quantity": quantity,
        "currentQuantity": quantity,
        "unfulfilledQuantity": quantity,
        "variant": {"id": gid("ProductVariant", 100 + number)},
        **more,
    }


def assigned(*lines: tuple[int, int], location: int | None = 7, status: str = "OPEN", total: int | None = None) -> Any:
    """A fulfilment order: (line, units still to ship)."""
    rows = [
        {
            "totalQuantity": units if total is None else total,
            "remainingQuantity": units,
            "lineItem": {"id": gid("LineItem", one)},
        }
        for one, units in lines
    ]
    at = {"location": None if location is None else {"id": gid("Location", location)}}
    return {
        "__typename": "FulfillmentOrder",
        "id": gid("FulfillmentOrder", 1),
        "status": status,
        "assignedLocation": at,
        "lineItems": page(*rows),
    }


def parcel(*lines: tuple[int, int], status: str = "SUCCESS", location: int | None = 7) -> dict[str, Any]:
    return {
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", 1),
        "status": status,
        "createdAt": "2026-11-21T11:00:00Z",
        "location": None if location is None else {"id": gid("Location", location)},
        "fulfillmentLineItems": page(*({"quantity": n, "lineItem": {"id": gid("LineItem", one)}} for one, n in lines)),
    }


def refund(
    *lines: tuple[int, int, str],
    restocked: bool = True,
    location: int | None = 7,
    of: int | None = None,
    at: str | None = "2026-11-21T12:00:00Z",
) -> dict[str, Any]:
    """A refund: (line, units, restock type). of: the return that it pays for."""
    return {
        "__typename": "Refund",
        "id": gid("Refund", 1),
        "createdAt": at,
        "return": None if of is None else {"id": gid("Return", of)},
        "refundLineItems": page(
            *(
                {
                    "quantity": n,
                    "restockType": kind,
                    "restocked": restocked,
                    "location": None if location is None else {"id": gid("Location", location)},
                    "lineItem": {"id": gid("LineItem", one)},
                }
                for one, n, kind in lines
            )
        ),
    }


def came_back(number: int, *told: tuple[int, int, str], status: str = "OPEN") -> dict[str, Any]:
    """A return: (line, units, disposition)."""
    rows = [
        {
            "fulfillmentLineItem": {"lineItem": {"id": gid("LineItem", one)}},
            "dispositions": [
                {
                    "type": kind,
                    "quantity": n,
                    "createdAt": "2026-11-21T13:00:00Z",
                    "location": {"id": gid("Location", 8)},
                }
            ]
            if kind
            else [],
        }
        for one, n, kind in told
    ]
    reverse = {
        "__typename": "ReverseFulfillmentOrder",
        "id": gid("ReverseFulfillmentOrder", 1),
        "lineItems": page(*rows),
    }
    return {
        "__typename": "Return",
        "id": gid("Return", number),
        "status": status,
        "reverseFulfillmentOrders": page(reverse),
    }


def order(
    number: int = 1, *, lines: list[Any] | None = None, updated: str = "2026-11-21T10:30:00Z", **more: Any
) -> Any:
    """An order as it comes: open, paid, of one line, nothing shipped."""
    lines = [line()] if lines is None else lines
    assigned_to = [assigned(*((int(one["id"].rpartition("/")[2]), one["unfulfilledQuantity"]) for one in lines))]
    row: dict[str, Any] = {
        "__typename": "Order",
        "id": gid("Order", number),
        "createdAt": "2026-11-21T10:00:00Z",
        "updatedAt": updated,
        "cancelledAt": None,
        "confirmed": True,
        "displayFinancialStatus": "PAID",
        "lineItems": page(*lines),
        "fulfillmentOrders": page(*assigned_to),
        "fulfillments": [],
        "refunds": [],
        "returns": page(),
    }
    for name, value in more.items():
        row[name] = page(*value) if name in ("fulfillmentOrders", "returns") and isinstance(value, list) else value
    return row


def numbers(available: int, **more: int) -> list[dict[str, Any]]:
    """An item's numbers at a location."""
    told = {"available": available, "reserved": 0, "damaged": 0, "quality_control": 0, "safety_stock": 0, **more}
    return [{"name": name, "quantity": number} for name, number in told.items()]


def level(location: int = 7, available: int = 5, *, theirs: bool = False, **more: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/InventoryLevel/{location}?inventory_item_id=1",
        "location": {"id": gid("Location", location), "isFulfillmentService": theirs},
        "quantities": numbers(available, **more),
    }


def variant(number: int = 101, *, levels: list[Any] | None = None, tracked: bool = True, **more: Any) -> dict[str, Any]:
    """A variant as it comes: published, tracked, five units at one location."""
    found = [level()] if levels is None else levels
    return {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", number),
        "sku": f"SKU-{number}",
        "barcode": "4006381333931",
        "displayName": "Mug - Blue",
        "inventoryPolicy": "DENY",
        "availableForSale": True,
        "requiresComponents": False,
        "product": {
            "id": gid("Product", 1),
            "status": "ACTIVE",
            "resourcePublicationsCount": {"count": 2},
            "availablePublicationsCount": {"count": 2},
        },
        "inventoryItem": {
            "__typename": "InventoryItem",
            "id": gid("InventoryItem", 1000 + number),
            "tracked": tracked,
            "inventoryLevels": page(*found),
        },
        "productVariantComponents": page(),
        **more,
    }


def answer(
    data: Any = None, *, errors: list[Any] | None = None, left: float = 1900, asked: float = 10, rate: float = 100
) -> httpx.Response:
    """An answer of the GraphQL endpoint. left: points in the bucket. asked: what the request costs."""
    body: dict[str, Any] = {
        "extensions": {
            "cost": {
                "requestedQueryCost": asked,
                "actualQueryCost": None if errors else asked,
                "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": left, "restoreRate": rate},
            }
        }
    }
    if errors is not None:
        body["errors"] = errors
    if data is not None:
        body["data"] = data
    return httpx.Response(200, json=body)


def refused(code: str, message: str = "No.", **more: Any) -> dict[str, Any]:
    """One of `errors`."""
    return {"message": message, "extensions": {"code": code, **more}}


def user_error(code: str | None, row: int | None, field: str = "quantity") -> dict[str, Any]:
    """One of `userErrors` of a write."""
    path = ["input", "quantities", str(row), field] if row is not None else ["input"]
    return {"code": code, "field": path, "message": f"It is {code}."}


def written(*errors: dict[str, Any], changed: bool | None = None) -> httpx.Response:
    """The answer to a write: with errors nothing was changed, unless it is said."""
    done = not errors if changed is None else changed
    group = {"id": gid("InventoryAdjustmentGroup", 1)} if done else None
    return answer({"inventorySetQuantities": {"inventoryAdjustmentGroup": group, "userErrors": list(errors)}})


Reply = httpx.Response | Exception | Callable[[dict[str, Any]], httpx.Response]


class Shop:
    """Answers each operation from its own script, in turn; the last reply of a script stays."""

    def __init__(self, check_document: Callable[[str], None]) -> None:
        self.router = respx.MockRouter(assert_all_called=False)
        self.scripts: dict[str, deque[Reply]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tokens: list[str] = []
        self.token_requests: list[dict[str, Any]] = []
        self._check = check_document
        self.router.post(f"https://{SHOP}{GRAPHQL}").mock(side_effect=self._graphql)
        self.router.post(f"https://{SHOP}{TOKEN}").mock(side_effect=self._token)

    def on(self, operation: str, *replies: Reply) -> None:
        self.scripts[operation] = deque(replies)

    def variables(self, operation: str) -> list[dict[str, Any]]:
        """What each request for this operation said."""
        return [variables for name, variables in self.asked if name == operation]

    def _reply(self, operation: str, body: dict[str, Any]) -> httpx.Response:
        script = self.scripts.get(operation)
        assert script, f"the test has no answer for {operation}"
        reply = script.popleft() if len(script) > 1 else script[0]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):  # each request gets a response of its own
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)
        return reply(body)

    def _graphql(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self._check(body["query"])
        found = re.match(r"(?:query|mutation) (\w+)", body["query"])
        assert found is not None
        self.tokens.append(request.headers["X-Shopify-Access-Token"])
        self.asked.append((found[1], body["variables"]))
        return self._reply(found[1], body["variables"])

    def _token(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.token_requests.append(body)
        return self._reply("token", body)


@pytest.fixture
def check_document(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Looks at each document that leaves: it must be valid against the schema, where that is at hand."""
    if not _CONTRACTS:
        return lambda _text: None
    schema: GraphQLSchema = request.getfixturevalue("schema")
    seen: set[str] = set()

    def check(text: str) -> None:
        if text not in seen:
            assert validate(schema, parse(text)) == []
            seen.add(text)

    return check


@pytest.fixture
def shop(check_document: Callable[[str], None]) -> Iterator[Shop]:
    made = Shop(check_document)
    made.on("token", httpx.Response(200, json={"access_token": "shpat-first", "scope": "x", "expires_in": 86399}))
    made.on("FulfillmentOrders", answer({"fulfillmentOrders": page()}))
    return made


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def settings() -> ShopifySettings:
    return ShopifySettings(shop=SHOP, client_id="the-client", client_secret="the-client-secret")


@pytest.fixture
def resources(settings: ShopifySettings, clock: ContractClock, shop: Shop) -> Resources:
    return unused(
        "shop-uk", CONNECTOR.budgets(settings), clock, transport=httpx.MockTransport(shop.router.async_handler)
    )


@pytest.fixture
def words() -> SimpleNamespace:
    """Shopify's shapes, for tests to write answers in."""
    made = (page, gid, line, assigned, parcel, refund, came_back, order, level, numbers, variant, answer, refused)
    return SimpleNamespace(**{one.__name__: one for one in (*made, user_error, written)})
