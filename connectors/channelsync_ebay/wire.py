"""eBay's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from channelsync.sdk.answers import Answer
from channelsync.sdk.wire import At, CamelWire, Name, Units


def _or_nothing(value: object) -> object:
    """eBay leaves a list out, or writes null, where it is empty."""
    return () if value is None else value


T = TypeVar("T")
Many = Annotated[tuple[T, ...], BeforeValidator(_or_nothing)]


class Error(CamelWire):
    """One numbered error or warning."""

    error_id: int = 0
    message: str = ""
    long_message: str = ""


Errors = Many[Error]


class Refusal(CamelWire):
    """What an answer that is not 2xx says."""

    errors: Errors = ()


# Orders


class Payment(CamelWire):
    """A payment of an order; also one that failed or waits."""

    payment_date: At | None = None
    payment_status: str = ""


class PaymentSummary(CamelWire):
    """What was paid for an order."""

    payments: Many[Payment] = ()


class CancelRequest(CamelWire):
    """A wish to cancel an order; only getOrder tells of it."""

    cancel_completed_date: At | None = None


class CancelStatus(CamelWire):
    """Whether an order was cancelled, and when."""

    cancel_state: str = "NONE_REQUESTED"
    cancelled_date: At | None = None
    cancel_requests: Many[CancelRequest] = ()


class FulfilledBy(CamelWire):
    """Who ships."""

    fulfilled_by: str = ""


class Program(CamelWire):
    """The programs that an order runs in."""

    fulfillment_program: FulfilledBy | None = None


class Line(CamelWire):
    """A line of an order. sku: none on some listings that were not made by the Inventory API."""

    line_item_id: Name
    quantity: Annotated[Units, Field(ge=1)]
    sku: str | None = None
    legacy_item_id: str | None = None
    line_item_fulfillment_status: str = "NOT_STARTED"


class Order(CamelWire):
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


class Found(CamelWire):
    """What the search for orders goes by."""

    order_id: Name
    creation_date: At | None = None
    last_modified_date: At | None = None


class Orders(CamelWire):
    """A page of orders; rows stay as they came: each is read by itself."""

    total: Annotated[Units, Field(ge=0)]
    orders: Many[Any] = ()


class ShippedLine(CamelWire):
    """Units of a line in a shipment."""

    line_item_id: Name
    quantity: Units = 1


class Shipment(CamelWire):
    """One parcel, or several that left together."""

    shipped_date: At | None = None
    line_items: Many[ShippedLine] = ()


class Shipments(CamelWire):
    """What has left of an order so far."""

    total: Units
    fulfillments: Many[Shipment] = ()


# Items and offers


class ShipToLocation(CamelWire):
    """The units of an item that buyers may order."""

    quantity: Units | None = None


class Availability(CamelWire):
    """Where the units of an item are."""

    ship_to_location_availability: ShipToLocation | None = None


class Described(CamelWire):
    """What an item is, by its `product`. Codes as the seller wrote them: some write "Does not apply"."""

    title: str | None = None
    ean: Many[str] = ()
    upc: Many[str] = ()
    isbn: Many[str] = ()


class Item(CamelWire):
    """What is sold, with the number for all its offers."""

    sku: str = ""
    availability: Availability | None = None
    described: Annotated[Described | None, Field(alias="product")] = None


class Items(CamelWire):
    """A page of items; rows stay as they came."""

    total: Annotated[Units, Field(ge=0)]
    inventory_items: Many[Any] = ()


class ItemAnswer(CamelWire):
    """One item of several that were asked for, or why it is missing."""

    sku: str = ""
    status_code: int
    inventory_item: Item | None = None


class ItemAnswers(CamelWire):
    """The answer to a call for several items; rows stay as they came."""

    responses: tuple[Any, ...]


class ListingDetails(CamelWire):
    """The listing of a published offer."""

    listing_id: str | None = None
    listing_status: str | None = None
    listing_on_hold: bool | None = None


class Offer(CamelWire):
    """An item on offer at one of eBay's sites; published, it is a listing."""

    offer_id: Name
    sku: str = ""
    format: str = "FIXED_PRICE"
    status: str = ""
    available_quantity: Units | None = None
    listing: ListingDetails | None = None


class Offers(CamelWire):
    """The offers of a SKU; rows stay as they came."""

    total: Annotated[Units, Field(ge=0)]
    offers: Many[Any] = ()


class Written(CamelWire):
    """What became of one item or one offer of a push."""

    sku: str = ""
    offer_id: str = ""
    status_code: int = 0
    errors: Errors = ()


class Writes(CamelWire):
    """The answer to a push; rows stay as they came."""

    responses: tuple[Any, ...]


def refusal(answer: Answer) -> tuple[Error, ...]:
    """The errors of an answer; none where it says nothing that eBay would."""
    try:
        return Refusal.model_validate_json(answer.body).errors
    except ValidationError:
        return ()


def ids_of(errors: tuple[Error, ...]) -> frozenset[int]:
    """Their numbers."""
    return frozenset(one.error_id for one in errors)
