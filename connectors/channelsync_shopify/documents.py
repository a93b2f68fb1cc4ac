"""Every GraphQL document that is sent, and nothing else. A test validates each against the whole schema of VERSION.

None asks for anything about the buyer: what is not asked for cannot come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from channelsync_shopify.settings import PUSH_COST, READ_COST

VERSION = "2026-10"
"""The Admin API version; Shopify supports each for a year."""

ROWS_MAX = 250
"""Objects in one input list, or ids in one `nodes`: Shopify refuses more."""

_PAGE = "pageInfo { hasNextPage endCursor }"

_LINE = "id sku quantity currentQuantity unfulfilledQuantity variant { id }"
_FULFILLMENT_ORDER_LINE = "totalQuantity remainingQuantity lineItem { id }"
_FULFILLMENT_LINE = "quantity lineItem { id }"
_REFUND_LINE = "quantity restockType restocked location { id } lineItem { id }"
_REVERSE_LINE = "fulfillmentLineItem { lineItem { id } } dispositions { type quantity createdAt location { id } }"
_FULFILLMENT_ORDER = f"""__typename id status assignedLocation {{ location {{ id }} }}
      lineItems(first: 20) {{ nodes {{ {_FULFILLMENT_ORDER_LINE} }} {_PAGE} }}"""
_REVERSE = f"__typename id lineItems(first: 20) {{ nodes {{ {_REVERSE_LINE} }} {_PAGE} }}"
_RETURN = f"__typename id status reverseFulfillmentOrders(first: 2) {{ nodes {{ {_REVERSE} }} {_PAGE} }}"

_NUMBERS = (
    'quantities(names: ["available", "reserved", "damaged", "quality_control", "safety_stock"]) { name quantity }'
)
_LEVEL = f"id location {{ id isFulfillmentService }} {_NUMBERS}"
_COMPONENT = "id quantity productVariant { id }"

_ORDER = f"""
fragment OrderFields on Order {{
  __typename id createdAt updatedAt cancelledAt confirmed displayFinancialStatus
  lineItems(first: 20) {{ nodes {{ {_LINE} }} {_PAGE} }}
  fulfillmentOrders(first: 5) {{ nodes {{ {_FULFILLMENT_ORDER} }} {_PAGE} }}
  fulfillments {{
    __typename id status createdAt location {{ id }}
    fulfillmentLineItems(first: 20) {{ nodes {{ {_FULFILLMENT_LINE} }} {_PAGE} }}
  }}
  refunds {{
    __typename id createdAt return {{ id }}
    refundLineItems(first: 20) {{ nodes {{ {_REFUND_LINE} }} {_PAGE} }}
  }}
  returns(first: 2) {{ nodes {{ {_RETURN} }} {_PAGE} }}
}}
"""

_VARIANT = """
  __typename id sku barcode displayName inventoryPolicy availableForSale requiresComponents
  product {
    id status
    resourcePublicationsCount(onlyPublished: true) { count }
    availablePublicationsCount { count }
  }
"""

_LISTING = f"""
fragment ListingFields on ProductVariant {{
  {_VARIANT}
  inventoryItem {{ __typename id tracked inventoryLevels(first: 10) {{ nodes {{ {_LEVEL} }} {_PAGE} }} }}
  productVariantComponents(first: 10) {{ nodes {{ {_COMPONENT} }} {_PAGE} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One operation. name: as the schema's tests and error messages call it.

    points: what it costs beside its rows. row_points: of a page, what a row costs. An object is 1 point, a list is one
    of its objects however many come, `nodes` included; a connection 2 points and its rows; a mutation 10 (GraphQL Admin
    API rate limits; live captures of 2026-04 and 2025-01, by which a page of n rows costs as much as 2 ln n rows).
    """

    name: str
    text: str
    points: int = 1
    row_points: int = 0

    def cost(self, rows: int = 0) -> int:
        """Points that Shopify wants to be there before it answers with so many rows on a page."""
        return self.points + (max(1, math.floor(2 * math.log(rows))) * self.row_points if rows else 0)


CHECK = Document(
    "Check",
    """query Check {
  shop { id name myshopifyDomain } currentAppInstallation { accessScopes { handle } app { webhookApiVersion } }
}""",
    points=4,
)

ORDERS = Document(
    "Orders",
    f"""query Orders($first: Int!, $after: String, $query: String) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{ nodes {{ ...OrderFields }} {_PAGE} }}
}}{_ORDER}""",
    points=2,
    row_points=126,
)

ORDERS_BY_ID = Document(
    "OrdersById",
    f"query OrdersById($ids: [ID!]!) {{ nodes(ids: $ids) {{ ...OrderFields }} }}{_ORDER}",
    points=126,
)

FULFILLMENT_ORDERS = Document(
    "FulfillmentOrders",
    f"""query FulfillmentOrders($first: Int!, $after: String, $query: String!) {{
  fulfillmentOrders(first: $first, after: $after, query: $query, includeClosed: true, sortKey: UPDATED_AT) {{
    nodes {{ orderId updatedAt }} {_PAGE}
  }}
}}""",
    points=2,
    row_points=1,
)
"""With those that are closed: one whose units were all moved into another is."""

ORDER_IDS = Document(
    "OrderIds",
    f"""query OrderIds($first: Int!, $after: String, $query: String!) {{
  orders(first: $first, after: $after, query: $query, sortKey: CREATED_AT) {{ nodes {{ id createdAt }} {_PAGE} }}
}}""",
    points=2,
    row_points=1,
)

LISTINGS = Document(
    "Listings",
    f"""query Listings($first: Int!, $after: String) {{
  productVariants(first: $first, after: $after, sortKey: ID) {{ nodes {{ ...ListingFields }} {_PAGE} }}
}}{_LISTING}""",
    points=2,
    row_points=29,
)

LISTINGS_BY_ID = Document(
    "ListingsById",
    f"query ListingsById($ids: [ID!]!) {{ nodes(ids: $ids) {{ ...ListingFields }} }}{_LISTING}",
    points=29,
)

LISTINGS_COUNT = Document("ListingsCount", "query ListingsCount { productVariantsCount(limit: null) { count } }")

NUMBERS = Document(
    "Numbers",
    f"""query Numbers($ids: [ID!]!, $location: ID!) {{
  nodes(ids: $ids) {{
    ... on InventoryItem {{ id tracked inventoryLevel(locationId: $location) {{ id {_NUMBERS} }} }}
  }}
}}""",
    points=READ_COST,
)

SET_QUANTITIES = Document(
    "SetQuantities",
    """mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes(quantityNames: ["available"]) { item { id tracked } } }
    userErrors { code field message }
  }
}""",
    points=PUSH_COST,
)

BULK_LISTINGS = Document(
    "BulkListings",
    f"""{{
  productVariants {{ edges {{ node {{
    {_VARIANT}
    inventoryItem {{ __typename id tracked inventoryLevels {{ edges {{ node {{ __typename {_LEVEL} }} }} }} }}
    productVariantComponents {{ edges {{ node {{ __typename {_COMPONENT} }} }} }}
  }} }} }}
}}""",
)
"""Runs at Shopify, in a bulk operation: three connections, two deep."""

BULK_START = Document(
    "BulkStart",
    """mutation BulkStart($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status }
    userErrors { code field message }
  }
}""",
    points=10,
)

BULK_STATE = Document(
    "BulkState", "query BulkState($id: ID!) { bulkOperation(id: $id) { id status errorCode fileSize url } }"
)


WEBHOOKS = Document(
    "Webhooks",
    f"""query Webhooks($after: String) {{
  webhookSubscriptions(first: 100, after: $after, sortKey: ID) {{
    nodes {{ id topic uri format filter includeFields }} {_PAGE}
  }}
}}""",
    points=11,
)

WEBHOOK_ADD = Document(
    "WebhookAdd",
    """mutation WebhookAdd($topic: WebhookSubscriptionTopic!, $webhookSubscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhookSubscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}""",
    points=10,
)

WEBHOOK_CHANGE = Document(
    "WebhookChange",
    """mutation WebhookChange($id: ID!, $webhookSubscription: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $webhookSubscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}""",
    points=10,
)

WEBHOOK_END = Document(
    "WebhookEnd",
    """mutation WebhookEnd($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}""",
    points=10,
)

LOCATIONS = Document(
    "Locations",
    f"""query Locations($after: String) {{
  locations(first: 100, after: $after, includeInactive: true, includeLegacy: true, sortKey: ID) {{
    nodes {{ id name isActive isFulfillmentService fulfillsOnlineOrders }} {_PAGE}
  }}
}}""",
    points=11,
)


def _more(on: str, connection: str, fields: str, points: int) -> Document:
    name = f"More{on}{connection[0].upper()}{connection[1:]}"
    return Document(
        name,
        f"""query {name}($id: ID!, $after: String!) {{
  node(id: $id) {{
    ... on {on} {{ {connection}(first: 50, after: $after) {{ nodes {{ {fields} }} {_PAGE} }} }}
  }}
}}""",
        points=points,
    )


MORE = {
    (on, connection): _more(on, connection, fields, points)
    for on, connection, fields, points in (
        ("Order", "lineItems", _LINE, 17),
        ("Order", "fulfillmentOrders", _FULFILLMENT_ORDER, 108),
        ("Order", "returns", _RETURN, 220),
        ("FulfillmentOrder", "lineItems", _FULFILLMENT_ORDER_LINE, 17),
        ("Fulfillment", "fulfillmentLineItems", _FULFILLMENT_LINE, 17),
        ("Refund", "refundLineItems", _REFUND_LINE, 24),
        ("Return", "reverseFulfillmentOrders", _REVERSE, 199),
        ("ReverseFulfillmentOrder", "lineItems", _REVERSE_LINE, 38),
        ("InventoryItem", "inventoryLevels", _LEVEL, 24),
        ("ProductVariant", "productVariantComponents", _COMPONENT, 17),
    )
}
"""The rest of a list that is longer than its first page, by type and field."""

ALL = (
    CHECK,
    ORDERS,
    ORDERS_BY_ID,
    FULFILLMENT_ORDERS,
    ORDER_IDS,
    LISTINGS,
    LISTINGS_BY_ID,
    LISTINGS_COUNT,
    NUMBERS,
    SET_QUANTITIES,
    BULK_LISTINGS,
    BULK_START,
    BULK_STATE,
    WEBHOOKS,
    WEBHOOK_ADD,
    WEBHOOK_CHANGE,
    WEBHOOK_END,
    LOCATIONS,
    *MORE.values(),
)
