"""eBay's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import Answer


def _or_nothing(value: object) -> object:
    """eBay leaves a list out, or writes null, where it is empty."""
    return () if value is None else value


T = TypeVar("T")
Many = Annotated[tuple[T, ...], BeforeValidator(_or_nothing)]
Units = Annotated[int, Field(strict=True)]
"""A whole number in JSON: "1", 1.5 and true are none."""

Name = Annotated[str, Field(min_length=1)]
At = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class Wire(BaseModel):
    """A value never stands in an error: it may be the buyer's."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, alias_generator=to_camel, populate_by_name=True
    )


W = TypeVar("W", bound=Wire)


class Error(Wire):
    """One numbered error or warning."""

    error_id: int = 0
    message: str = ""
    long_message: str = ""


Errors = Many[Error]


class Refusal(Wire):
    """What an answer that is not 2xx says."""

    errors: Errors = ()


# Orders


class Payment(Wire):
    """A payment of an order; also one that failed or waits."""

    payment_date: At | None = None
    payment_status: str = ""


class PaymentSummary(Wire):
    """What was paid for an order."""

    payments: Many[Payment] = ()


class CancelRequest(Wire):
    """A wish to cancel an order; only getOrder tells of it."""

    cancel_completed_date: At | None = None


class CancelStatus(Wire):
    """Whether an order was cancelled, and when."""

    cancel_state: str = "NONE_REQUESTED"
    cancelled_date: At | None = None
    cancel_requests: Many[CancelRequest] = ()


class FulfilledBy(Wire):
    """Who ships."""

    fulfilled_by: str = ""


class Program(Wire):
    """The programs that an order runs in."""

    fulfillment_program: FulfilledBy | None = None


class Line(Wire):
    """A line of an order. sku: none on some listings that were not made by the Inventory API."""

    line_item_id: Name
    quantity: Annotated[Units, Field(ge=1)]
    sku: str | None = None
    legacy_item_id: str | None = None
    line_item_fulfillment_status: str = "NOT_STARTED"


class Order(Wire):
    """An order, without its buyer."""

    order_id: Name
    creation_date: At
    last_modified_date: At
    order_fulfillment_status: str = "NOT_STARTED"
    order_payment_status: str = ""
    cancel_status: CancelStatus = Field(default_factory=CancelStatus)
    payment_summary: PaymentSummary = Field(default_factory=PaymentSummary)
    program: Program | None = None
    line_items: tuple[Line, ...]


class Found(Wire):
    """What the search for orders goes by."""

    order_id: Name
    creation_date: At | None = None
    last_modified_date: At | None = None


class Orders(Wire):
    """A page of orders; rows stay as they came: each is read by itself."""

    total: Annotated[Units, Field(ge=0)]
    orders: Many[Any] = ()


class ShippedLine(Wire):
    """Units of a line in a shipment."""

    line_item_id: Name
    quantity: Units = 1


class Shipment(Wire):
    """One parcel, or several that left together."""

    shipped_date: At | None = None
    line_items: Many[ShippedLine] = ()


class Shipments(Wire):
    """What has left of an order so far."""

    total: Units
    fulfillments: Many[Shipment] = ()


# Items and offers


class ShipToLocation(Wire):
    """The units of an item that buyers may order."""

    quantity: Units | None = None


class Availability(Wire):
    """Where the units of an item are."""

    ship_to_location_availability: ShipToLocation | None = None


class Described(Wire):
    """What an item is, by its `product`. Codes as the seller wrote them: some write "Does not apply"."""

    title: str | None = None
    ean: Many[str] = ()
    upc: Many[str] = ()
    isbn: Many[str] = ()


class Item(Wire):
    """What is sold, with the number for all its offers."""

    sku: str = ""
    availability: Availability | None = None
    described: Annotated[Described | None, Field(alias="product")] = None


class Items(Wire):
    """A page of items; rows stay as they came."""

    total: Annotated[Units, Field(ge=0)]
    inventory_items: Many[Any] = ()


class ItemAnswer(Wire):
    """One item of several that were asked for, or why it is missing."""

    sku: str = ""
    status_code: int
    inventory_item: Item | None = None


class ItemAnswers(Wire):
    """The answer to a call for several items; rows stay as they came."""

    responses: tuple[Any, ...]


class ListingDetails(Wire):
    """The listing of a published offer."""

    listing_id: str | None = None
    listing_status: str | None = None
    listing_on_hold: bool | None = None


class Offer(Wire):
    """An item on offer at one of eBay's sites; published, it is a listing."""

    offer_id: Name
    sku: str = ""
    format: str = "FIXED_PRICE"
    status: str = ""
    available_quantity: Units | None = None
    listing: ListingDetails | None = None


class Offers(Wire):
    """The offers of a SKU; rows stay as they came."""

    total: Annotated[Units, Field(ge=0)]
    offers: Many[Any] = ()


class Written(Wire):
    """What became of one item or one offer of a push."""

    sku: str = ""
    offer_id: str = ""
    status_code: int = 0
    errors: Errors = ()


class Writes(Wire):
    """The answer to a push; rows stay as they came."""

    responses: tuple[Any, ...]


def read(model: type[W], answer: Answer) -> W:
    """The answer's body. Raises AnswerUnreadable, which names the fields that are wrong and shows no value."""
    return row(model, answer.json(), answer)


def row(model: type[W], found: Any, answer: Answer) -> W:
    """One row of an answer. Raises AnswerUnreadable likewise."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with {why(error)}") from None


def refusal(answer: Answer) -> tuple[Error, ...]:
    """The errors of an answer; none where it says nothing that eBay would."""
    try:
        return Refusal.model_validate_json(answer.body).errors
    except ValidationError:
        return ()


def ids_of(errors: tuple[Error, ...]) -> frozenset[int]:
    """Their numbers."""
    return frozenset(one.error_id for one in errors)


def why(error: ValidationError) -> str:
    """What is wrong where, without any value."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more


def time_text(at: datetime) -> str:
    """A time as eBay writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
