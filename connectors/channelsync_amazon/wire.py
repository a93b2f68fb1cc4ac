"""Amazon's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read.

Sources: the models orders_2026-01-01, listingsItems_2021-08-01, sellers and fbaInventory. Feeds and reports are in
`wire_documents`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import Answer

Units = Annotated[int, Field(strict=True)]
"""A whole number in JSON: 1.0, "1" and true are none."""

Name = Annotated[str, Field(min_length=1)]


class Wire(BaseModel):
    """A value never stands in an error: it may be the buyer's."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, alias_generator=to_camel, populate_by_name=True
    )


W = TypeVar("W", bound=Wire)


# Access and errors


class Token(BaseModel):
    """An access token of Login with Amazon. expires_in: seconds."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: Name
    expires_in: float = 3600.0


class TokenRefusal(BaseModel):
    """Why Login with Amazon made none."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    error: str = ""


class Error(Wire):
    """What Amazon says is wrong."""

    code: str = ""
    message: str = ""
    details: str = ""


class Refusal(Wire):
    """The body of an answer that is not 2xx."""

    errors: tuple[Error, ...] = ()


class Pagination(Wire):
    """Where the next page begins."""

    next_token: str | None = None


# Orders

FulfillmentStatus = Literal[
    "PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNFULFILLABLE"
]


class OrderFulfillment(Wire):
    """How far an order is, and who ships it."""

    fulfillment_status: FulfillmentStatus
    fulfilled_by: str = "MERCHANT"


class Execution(Wire):
    """A cancellation that was carried out. By whom and why is not read."""


class Cancellation(Wire):
    """A wish to cancel is not read: only what was carried out counts."""

    cancellation_execution: Execution | None = None


class Bought(Wire):
    """What was bought."""

    seller_sku: str | None = None


class ItemFulfillment(Wire):
    """Units that were shipped, and units that remain to be shipped."""

    quantity_fulfilled: Units | None = None
    quantity_unfulfilled: Units | None = None


class OrderItem(Wire):
    """A line of an order."""

    order_item_id: Name
    quantity_ordered: Units
    bought: Annotated[Bought, Field(alias="product")]
    cancellation: Cancellation = Cancellation()
    fulfillment: ItemFulfillment = ItemFulfillment()


class PackageStatus(Wire):
    """How far a package is."""

    status: str


class PackageItem(Wire):
    """Units of a line in a package."""

    order_item_id: Name
    quantity: Units


class Package(Wire):
    """A package; where it goes is not read."""

    package_status: PackageStatus | None = None
    ship_time: AwareDatetime | None = None
    package_items: tuple[PackageItem, ...] = ()


class Order(Wire):
    """An order, without its buyer."""

    order_id: Name
    created_time: AwareDatetime
    last_updated_time: AwareDatetime
    fulfillment: OrderFulfillment
    order_items: tuple[OrderItem, ...]
    packages: tuple[Package, ...] = ()


class OrdersPage(Wire):
    """Orders stay as they came: each is read by itself, so that a broken one spoils no other."""

    orders: list[Any]
    pagination: Pagination = Pagination()
    last_updated_before: AwareDatetime | None = None


class OrderFound(Wire):
    """One order, as it came."""

    order: dict[str, Any]


class OrderPlaced(Wire):
    """An order's id, and when it was placed."""

    order_id: Name
    created_time: AwareDatetime


# Listings


class Summary(Wire):
    """A listing in one marketplace."""

    marketplace_id: Name
    status: tuple[str, ...] = ()
    item_name: str = ""


class Action(Wire):
    """An enforcement, e.g. LISTING_SUPPRESSED."""

    action: str


class Exemption(Wire):
    """Whether the enforcements are in force: NOT_EXEMPT."""

    status: str = "NOT_EXEMPT"


class Enforcements(Wire):
    """What Amazon did to a listing."""

    actions: tuple[Action, ...] = ()
    exemption: Exemption = Exemption()


class Issue(Wire):
    """What is wrong with a listing, or with what was submitted."""

    code: str = ""
    message: str = ""
    severity: str = "ERROR"
    enforcements: Enforcements | None = None
    marketplace_ids: tuple[str, ...] = ()


class Availability(Wire):
    """Units of one fulfilment channel: DEFAULT is the seller's own, AMAZON_... is Amazon's."""

    fulfillment_channel_code: Name
    quantity: Units | None = None


class Relationship(Wire):
    """A variation's children."""

    child_skus: tuple[str, ...] = ()
    type: str = ""


class Relationships(Wire):
    """Relationships in one marketplace."""

    relationships: tuple[Relationship, ...] = ()


class Item(Wire):
    """A listing, over all marketplaces that were asked for."""

    sku: Name
    summaries: tuple[Summary, ...] = ()
    issues: tuple[Issue, ...] = ()
    fulfillment_availability: tuple[Availability, ...] = ()
    relationships: tuple[Relationships, ...] = ()


class ItemsPage(Wire):
    """Listings stay as they came: each is read by itself, so that a broken one spoils no other."""

    number_of_results: Units
    items: list[Any]
    pagination: Pagination = Pagination()


class Submission(Wire):
    """What became of a patch: ACCEPTED is not yet live, INVALID comes with HTTP 200 too."""

    status: Literal["ACCEPTED", "INVALID", "VALID"]
    issues: tuple[Issue, ...] = ()


# The account


class Marketplace(Wire):
    """A marketplace."""

    id: Name
    name: str = ""


class Participation(Wire):
    """Whether the seller sells there."""

    is_participating: bool
    has_suspended_listings: bool = False


class MarketplaceParticipation(Wire):
    """The seller in one marketplace."""

    marketplace: Marketplace
    participation: Participation
    store_name: str = ""


class Participations(Wire):
    """The seller in all marketplaces of the region."""

    payload: tuple[MarketplaceParticipation, ...]


class ReservedQuantity(Wire):
    """Units that Amazon holds for orders."""

    pending_customer_order_quantity: Units = 0


class InventoryDetails(Wire):
    """Units at Amazon."""

    fulfillable_quantity: Units = 0
    reserved_quantity: ReservedQuantity = ReservedQuantity()


class InventorySummary(Wire):
    """Units of one SKU at Amazon."""

    seller_sku: Name
    inventory_details: InventoryDetails | None = None


class InventorySummaries(Wire):
    """Units of several SKUs at Amazon."""

    inventory_summaries: tuple[InventorySummary, ...]


class InventoryFound(Wire):
    """The answer that holds them."""

    payload: InventorySummaries


def read(model: type[W], answer: Answer) -> W:
    """The answer's body. Raises AnswerUnreadable, which names the fields that are wrong and shows no value."""
    return read_value(model, answer.json(), f"{answer.call}: HTTP {answer.status}")


def read_value(model: type[W], value: Any, what: str) -> W:
    """A value out of an answer. Raises AnswerUnreadable. what: where it came from."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise AnswerUnreadable(f"{what} with {why(error)}") from None


def refusal(answer: Answer) -> Error:
    """The first error of a refusal; an empty one where the answer tells none."""
    try:
        errors = Refusal.model_validate_json(answer.body).errors
    except ValidationError:
        return Error()
    return errors[0] if errors else Error()


def why(error: ValidationError) -> str:
    """What is wrong where, without any value."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more
