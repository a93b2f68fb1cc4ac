"""Shopify's JSON, as it names things, but for the case of its names. Unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import Answer

Units = Annotated[int, Field(strict=True)]
"""A whole number in JSON: 1.0, "1" and true are none."""

Many = Annotated[int, Field(strict=True, ge=0)]
"""How many units of an order: fewer than none is nonsense, whichever number of it says so."""

Gid = Annotated[str, Field(pattern=r"^gid://shopify/[A-Za-z]+/\d+(\?.*)?$")]
"""Shopify's global id, e.g. gid://shopify/Order/1."""


class Wire(BaseModel):
    """A value never stands in an error: nobody knows what comes."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, alias_generator=to_camel, populate_by_name=True
    )


W = TypeVar("W", bound=Wire)
T = TypeVar("T")


class Token(Wire):
    """The token endpoint's answer. expires_in: seconds; None: it does not expire by itself."""

    model_config = ConfigDict(alias_generator=None)

    access_token: Annotated[str, Field(min_length=1)]
    expires_in: float | None = None
    refresh_token: str | None = None


class TokenRefusal(Wire):
    """Why no token came."""

    error: str = ""


class Extensions(Wire):
    """What stands beside an error."""

    code: str = ""
    required_access: str = ""


class Error(Wire):
    """One of `errors`: the whole request, or a part of it, failed."""

    message: str = ""
    extensions: Extensions = Extensions()


class ThrottleStatus(Wire):
    """What is left of the account's points."""

    currently_available: float
    restore_rate: float


class Cost(Wire):
    """What a request costs; `throttle_status` None where Shopify does not say."""

    requested_query_cost: float = 0
    throttle_status: ThrottleStatus | None = None


class AnswerExtensions(Wire):
    """What stands beside the data."""

    cost: Cost = Cost()


class Envelope(Wire):
    """Every answer of the GraphQL endpoint. data None: the request failed before anything was done."""

    data: dict[str, Any] | None = None
    errors: tuple[Error, ...] = ()
    extensions: AnswerExtensions = AnswerExtensions()

    @field_validator("errors", mode="before")
    @classmethod
    def _one_text_is_an_error_too(cls, value: Any) -> Any:
        """REST-shaped refusals put one text where GraphQL puts a list."""
        return [{"message": value}] if isinstance(value, str) else value


class PageInfo(Wire):
    """Whether there is more, and where."""

    has_next_page: bool
    end_cursor: str | None = None


class Rows(Wire):
    """A page of a list. Rows stay as they came: each is read by itself, so that a broken one spoils no other."""

    nodes: list[Any]
    page_info: PageInfo


class Ref(Wire):
    """Something that is only named."""

    id: Gid


class Nodes(Wire, Generic[T]):
    """A list that was read to its end."""

    nodes: tuple[T, ...]


class LineItem(Wire):
    """A line of an order. quantity: with what was removed and refunded; current_quantity: without."""

    id: Gid
    sku: str | None = None
    quantity: Many
    current_quantity: Many
    unfulfilled_quantity: Many
    variant: Ref | None = None


class FulfillmentOrderLine(Wire):
    """Units of a line that one location is to ship."""

    total_quantity: Many
    remaining_quantity: Many
    line_item: Ref


class AssignedLocation(Wire):
    """Who is to ship; None: a location that is there no more."""

    location: Ref | None = None


class FulfillmentOrder(Wire):
    """What one location is to ship. status: see `FulfillmentOrderStatus` in the schema."""

    status: str
    assigned_location: AssignedLocation = AssignedLocation()
    line_items: Nodes[FulfillmentOrderLine]


class FulfillmentLine(Wire):
    """Units of a line in a parcel; quantity None means none."""

    quantity: Many | None = None
    line_item: Ref


class Fulfillment(Wire):
    """A parcel. status: see `FulfillmentStatus` in the schema."""

    status: str
    created_at: AwareDatetime
    location: Ref | None = None
    fulfillment_line_items: Nodes[FulfillmentLine]


class RefundLine(Wire):
    """Units that were refunded or taken off. restock_type: see `RefundLineItemRestockType` in the schema."""

    quantity: Many
    restock_type: str
    restocked: bool
    location: Ref | None = None
    line_item: Ref


class Refund(Wire):
    """return_: the return that it pays for, if any."""

    created_at: AwareDatetime | None = None
    return_: Annotated[Ref | None, Field(alias="return")] = None
    refund_line_items: Nodes[RefundLine]


class Disposition(Wire):
    """What became of units that came back. type: see `ReverseFulfillmentOrderDispositionType` in the schema."""

    type: str
    quantity: Many
    created_at: AwareDatetime
    location: Ref | None = None


class ReturnedFrom(Wire):
    """The parcel's row that came back."""

    line_item: Ref


class ReverseLine(Wire):
    """Units of a parcel on their way back."""

    fulfillment_line_item: ReturnedFrom | None = None
    dispositions: tuple[Disposition, ...] = ()


class ReverseFulfillmentOrder(Wire):
    """What is to come back to one place."""

    line_items: Nodes[ReverseLine]


class Return(Wire):
    """A return. status: see `ReturnStatus` in the schema; units move by dispositions, whatever it is."""

    id: Gid
    status: str
    reverse_fulfillment_orders: Nodes[ReverseFulfillmentOrder]


class Order(Wire):
    """An order, without its buyer."""

    id: Gid
    created_at: AwareDatetime
    updated_at: AwareDatetime
    cancelled_at: AwareDatetime | None = None
    display_financial_status: str | None = None
    line_items: Nodes[LineItem]
    fulfillment_orders: Nodes[FulfillmentOrder]
    fulfillments: tuple[Fulfillment, ...]
    refunds: tuple[Refund, ...]
    returns: Nodes[Return]


class OrderId(Wire):
    """An order's id and when it was placed."""

    id: Gid
    created_at: AwareDatetime


class Quantity(Wire):
    """One of an item's numbers at a location."""

    name: str
    quantity: Units


class Place(Wire):
    """A location; is_fulfillment_service: another company's."""

    id: Gid
    is_fulfillment_service: bool = False


class Level(Wire):
    """An item's numbers at one location."""

    location: Place
    quantities: tuple[Quantity, ...]


class InventoryItem(Wire):
    """What numbers are kept for."""

    id: Gid
    tracked: bool
    inventory_levels: Nodes[Level] = Nodes(nodes=())


class Count(Wire):
    """How many."""

    count: int


class Parent(Wire):
    """The page that a variant is on. The counts are None where Shopify does not say."""

    status: str
    resource_publications_count: Count | None = None
    available_publications_count: Count | None = None


class Component(Wire):
    """A part of a bundle."""

    quantity: Units
    product_variant: Ref


class Variant(Wire):
    """What a buyer buys."""

    id: Gid
    sku: str | None = None
    barcode: str | None = None
    display_name: str = ""
    inventory_policy: str
    available_for_sale: bool
    requires_components: bool = False
    parent: Annotated[Parent, Field(alias="product")]
    inventory_item: InventoryItem
    product_variant_components: Nodes[Component] = Nodes(nodes=())


class NumberLevel(Wire):
    """An item's numbers at the location asked for."""

    quantities: tuple[Quantity, ...]


class NumberRow(Wire):
    """An item's numbers at the location asked for; inventory_level None: it is not kept there."""

    id: Gid
    tracked: bool
    inventory_level: NumberLevel | None = None


class UserError(Wire):
    """What is wrong with a mutation's input. field: the path to it, with row numbers as texts."""

    code: str | None = None
    field: tuple[str, ...] | None = None
    message: str = ""


class SetQuantities(Wire):
    """inventory_adjustment_group None: nothing was changed."""

    inventory_adjustment_group: dict[str, Any] | None = None
    user_errors: tuple[UserError, ...]


class BulkOperation(Wire):
    """A query that runs at Shopify. url: where its result is, once it is there."""

    id: Gid
    status: str
    error_code: str | None = None
    file_size: int | None = None
    url: str | None = None


class BulkStarted(Wire):
    """What became of the wish to start a bulk operation."""

    bulk_operation: BulkOperation | None = None
    user_errors: tuple[UserError, ...] = ()


def read(model: type[W], value: Any, answer: Answer, what: str) -> W:
    """A part of an answer. Raises AnswerUnreadable, which names the fields that are wrong and shows no value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise AnswerUnreadable(f"{answer.call} ({what}): HTTP {answer.status} with {why(error)}") from None


def why(error: ValidationError) -> str:
    """What is wrong where, without any value."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more
