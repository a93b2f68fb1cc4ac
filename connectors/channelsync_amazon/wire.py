"""Amazon's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read.

Sources: the models orders_2026-01-01, listingsItems_2021-08-01, sellers and fbaInventory. Feeds and reports are in
`wire_documents`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from channelsync.sdk.answers import Answer
from channelsync.sdk.wire import At, CamelWire, Name, Units, Wire

# Access and errors


class Token(Wire):
    """An access token of Login with Amazon. expires_in: seconds."""

    access_token: Name
    expires_in: float = 3600.0


class Error(CamelWire):
    """What Amazon says is wrong."""

    code: str = ""
    message: str = ""
    details: str = ""


class Refusal(CamelWire):
    """The body of an answer that is not 2xx."""

    errors: tuple[Error, ...] = ()


class Pagination(CamelWire):
    """Where the next page begins."""

    next_token: str | None = None


# Orders

FulfillmentStatus = Literal[
    "PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE"
]


class OrderFulfillment(CamelWire):
    """How far an order is, and who ships it."""

    fulfillment_status: FulfillmentStatus
    fulfilled_by: str = "MERCHANT"


class Execution(CamelWire):
    """A cancellation that was carried out. By whom and why is not read."""


class Cancellation(CamelWire):
    """A wish to cancel is not read: only what was carried out counts."""

    cancellation_execution: Execution | None = None


class Bought(CamelWire):
    """What was bought."""

    seller_sku: str | None = None


class ItemFulfillment(CamelWire):
    """Units that were shipped, and units that remain to be shipped."""

    quantity_fulfilled: Units | None = None
    quantity_unfulfilled: Units | None = None


class OrderItem(CamelWire):
    """A line of an order."""

    order_item_id: Name
    quantity_ordered: Units
    bought: Annotated[Bought, Field(alias="product")]
    cancellation: Cancellation = Cancellation()
    fulfillment: ItemFulfillment = ItemFulfillment()


class PackageStatus(CamelWire):
    """How far a package is."""

    status: str


class PackageItem(CamelWire):
    """Units of a line in a package."""

    order_item_id: Name
    quantity: Units


class Package(CamelWire):
    """A package; where it goes is not read."""

    package_status: PackageStatus | None = None
    ship_time: At | None = None
    package_items: tuple[PackageItem, ...] = ()


class Order(CamelWire):
    """An order, without its buyer."""

    order_id: Name
    created_time: At
    last_updated_time: At
    fulfillment: OrderFulfillment
    order_items: tuple[OrderItem, ...]
    packages: tuple[Package, ...] = ()


class OrdersPage(CamelWire):
    """Orders stay as they came: each is read by itself, so that a broken one spoils no other."""

    orders: list[Any]
    pagination: Pagination = Pagination()
    last_updated_before: At | None = None


class OrderFound(CamelWire):
    """One order, as it came."""

    order: dict[str, Any]


class OrderPlaced(CamelWire):
    """An order's id, and when it was placed."""

    order_id: Name
    created_time: At


# Listings


class Summary(CamelWire):
    """A listing in one marketplace."""

    marketplace_id: Name
    status: tuple[str, ...] = ()
    item_name: str = ""


class Action(CamelWire):
    """An enforcement, e.g. LISTING_SUPPRESSED."""

    action: str


class Exemption(CamelWire):
    """Whether the enforcements are in force: NOT_EXEMPT."""

    status: str = "NOT_EXEMPT"


class Enforcements(CamelWire):
    """What Amazon did to a listing."""

    actions: tuple[Action, ...] = ()
    exemption: Exemption = Exemption()


class Issue(CamelWire):
    """What is wrong with a listing, or with what was submitted."""

    code: str = ""
    message: str = ""
    severity: str = "ERROR"
    enforcements: Enforcements | None = None
    marketplace_ids: tuple[str, ...] = ()


class Availability(CamelWire):
    """Units of one fulfilment channel: DEFAULT is the seller's own, AMAZON_... is Amazon's."""

    fulfillment_channel_code: Name
    quantity: Units | None = None


class Relationship(CamelWire):
    """A variation's children."""

    child_skus: tuple[str, ...] = ()
    type: str = ""


class Relationships(CamelWire):
    """Relationships in one marketplace."""

    relationships: tuple[Relationship, ...] = ()


class Item(CamelWire):
    """A listing, over all marketplaces that were asked for."""

    sku: Name
    summaries: tuple[Summary, ...] = ()
    issues: tuple[Issue, ...] = ()
    fulfillment_availability: tuple[Availability, ...] = ()
    relationships: tuple[Relationships, ...] = ()


class ItemsPage(CamelWire):
    """Listings stay as they came: each is read by itself, so that a broken one spoils no other."""

    number_of_results: Units
    items: list[Any]
    pagination: Pagination = Pagination()


class Submission(CamelWire):
    """What became of a patch: ACCEPTED is not yet live, INVALID comes with HTTP 200 too."""

    status: Literal["ACCEPTED", "INVALID", "VALID"]
    issues: tuple[Issue, ...] = ()


# The account


class Marketplace(CamelWire):
    """A marketplace."""

    id: Name
    name: str = ""


class Participation(CamelWire):
    """Whether the seller sells there."""

    is_participating: bool
    has_suspended_listings: bool = False


class MarketplaceParticipation(CamelWire):
    """The seller in one marketplace."""

    marketplace: Marketplace
    participation: Participation
    store_name: str = ""


class Participations(CamelWire):
    """The seller in all marketplaces of the region."""

    payload: tuple[MarketplaceParticipation, ...]


# Units at Amazon

Pile = Annotated[int, Field(strict=True, ge=0)]
"""Units that lie somewhere. One that is missing is not 0."""


class ReservedQuantity(CamelWire):
    """Units that Amazon holds back. pending_customer_order_quantity: those of them that are for orders."""

    total_reserved_quantity: Pile
    pending_customer_order_quantity: Pile


class ResearchingQuantity(CamelWire):
    """Units that Amazon looks for."""

    total_researching_quantity: Pile


class UnfulfillableQuantity(CamelWire):
    """Units that cannot be sold."""

    total_unfulfillable_quantity: Pile


class InventoryDetails(CamelWire):
    """Units at Amazon. Those on their way there are not read: they are not there yet."""

    fulfillable_quantity: Pile
    reserved_quantity: ReservedQuantity
    researching_quantity: ResearchingQuantity
    unfulfillable_quantity: UnfulfillableQuantity


class InventorySummary(CamelWire):
    """Units of one SKU at Amazon, as they came: each is read by itself. fn_sku, condition: which of several kinds."""

    seller_sku: Name
    fn_sku: str | None = None
    condition: str | None = None
    inventory_details: Any = None


class InventorySummaries(CamelWire):
    """Units of several SKUs at Amazon stay as they came: each is read by itself, so that a broken one spoils no
    other."""

    inventory_summaries: list[Any]


class InventoryFound(CamelWire):
    """The answer that holds a page of them."""

    payload: InventorySummaries
    pagination: Pagination = Pagination()


def refusal(answer: Answer) -> Error:
    """The first error of a refusal; an empty one where the answer tells none."""
    try:
        errors = Refusal.model_validate_json(answer.body).errors
    except ValidationError:
        return Error()
    return errors[0] if errors else Error()
