"""A shop of its own for each test, and a way to ask it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from channelsync.lab.marketplace_http import Reply, Request
from channelsync.lab.marketplace_values import Offer
from channelsync.sdk.contract.world import ContractClock
from vendor_shopify import ShopifySite, open_vendor
from vendor_shopify.api import GRAPHQL

# Read at import: no test sees what the environment says to channelsync.
CONTRACTS = os.environ.get("CHANNELSYNC_CONTRACTS", "")  # noqa: TID251
WHY = "needs Shopify's schema: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts, with shopify in it"

SET = """
mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes { name delta quantityAfterChange item { id } location { id } } }
    userErrors { code field message }
  }
}
"""

ORDERS = """
query Orders($first: Int!, $after: String, $query: String) {
  orders(first: $first, after: $after, sortKey: UPDATED_AT, query: $query) {
    nodes {
      id name updatedAt cancelledAt test confirmed displayFinancialStatus displayFulfillmentStatus
      lineItems(first: 10) {
        nodes { id sku quantity currentQuantity unfulfilledQuantity variant { id inventoryItem { id } } }
      }
      fulfillmentOrders(first: 5) {
        nodes {
          id status assignedLocation { location { id } }
          lineItems(first: 10) { nodes { id remainingQuantity totalQuantity lineItem { id } } }
        }
      }
      refunds { id refundLineItems(first: 10) { nodes { quantity restockType restocked location { id } } } }
      returns(first: 5) { nodes { id status totalQuantity } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class Asking:
    """Asks a shop as its app does, unless told otherwise. clock: the shop's."""

    def __init__(self, site: ShopifySite, clock: ContractClock) -> None:
        self.site = site
        self.clock = clock
        self.token = site.shop.access.lasting_token()
        self.keys = 0

    def raw(self, body: bytes, path: str = GRAPHQL, method: str = "POST", **headers: str) -> Reply:
        """One request. A header's `_` stands for `-`."""
        sent = {"x-shopify-access-token": self.token, "host": self.site.domain, "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.site.api.handle(Request(method, path, {}, sent, body))

    def __call__(self, document: str, /, **variables: Any) -> Any:
        """The whole answer to a query."""
        return orjson.loads(self.raw(orjson.dumps({"query": document, "variables": variables})).body)

    def data(self, document: str, /, **variables: Any) -> Any:
        """The data of a query that succeeds."""
        answer = self(document, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def set(self, *rows: tuple[Offer, int, int | None], key: str = "", name: str = "available", **more: Any) -> Any:
        """inventorySetQuantities of (offer, number, changeFromQuantity) at the offers' first locations."""
        self.keys += 1
        quantities = [
            self.row(offer) | {"quantity": number, "changeFromQuantity": expected} for offer, number, expected in rows
        ]
        asked = {"name": name, "reason": "correction", "quantities": quantities} | more
        return self.data(SET, input=asked, key=key or f"key {self.keys}")["inventorySetQuantities"]

    def row(self, offer: Offer) -> dict[str, str]:
        """The ids of an offer's first level."""
        catalogue = self.site.shop.catalogue
        location = offer.keys[0].location if offer.keys else catalogue.primary
        return {
            "inventoryItemId": f"gid://shopify/InventoryItem/{catalogue.item_of(offer)}",
            "locationId": f"gid://shopify/Location/{location}",
        }

    def orders(self, query: str | None = None, first: int = 10) -> list[Any]:
        """All orders that the search finds."""
        found, after = [], None
        while True:
            page = self.data(ORDERS, first=first, after=after, query=query)["orders"]
            found += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.clock._seconds += seconds


def codes(payload: Any) -> list[str]:
    """The codes of a payload's userErrors."""
    return [each["code"] for each in payload["userErrors"]]


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture(scope="session")
def contracts() -> Path:
    if not (Path(CONTRACTS) / "shopify" / "admin_2026-10.graphql.gz").is_file():
        pytest.skip(WHY)
    return Path(CONTRACTS)


@pytest.fixture
def opened(clock: ContractClock, contracts: Path) -> Callable[..., Asking]:
    """Opens a shop with these options."""
    return lambda **options: Asking(open_vendor("corner-shop", clock, contracts=contracts, **options), clock)


@pytest.fixture
def ask(opened: Callable[..., Asking]) -> Asking:
    return opened()
