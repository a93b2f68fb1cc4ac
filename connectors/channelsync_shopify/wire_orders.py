"""Shopify's JSON of orders, and of what has happened to them, without their buyers. See wire.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from channelsync.sdk.wire import At, CamelWire
from channelsync_shopify.wire import Gid, Many, Nodes, Ref


class LineItem(CamelWire):
    """A line of an order. quantity: with what was removed and refunded; current_quantity: without."""

    id: Gid
    sku: str | None = None
    quantity: Many
    current_quantity: Many
    unfulfilled_quantity: Many
    variant: Ref | None = None


class FulfillmentOrderLine(CamelWire):
    """Units of a line that one location is to ship."""

    total_quantity: Many
    remaining_quantity: Many
    line_item: Ref


class AssignedLocation(CamelWire):
    """Who is to ship; None: a location that is there no more."""

    location: Ref | None = None


class FulfillmentOrder(CamelWire):
    """What one location is to ship. status: see `FulfillmentOrderStatus` in the schema."""

    status: str
    assigned_location: AssignedLocation = AssignedLocation()
    line_items: Nodes[FulfillmentOrderLine]


class FulfillmentLine(CamelWire):
    """Units of a line in a parcel; quantity None means none."""

    quantity: Many | None = None
    line_item: Ref


class Fulfillment(CamelWire):
    """A parcel. status: see `FulfillmentStatus` in the schema."""

    status: str
    created_at: At
    location: Ref | None = None
    fulfillment_line_items: Nodes[FulfillmentLine]


class RefundLine(CamelWire):
    """Units that were refunded or taken off. restock_type: see `RefundLineItemRestockType` in the schema."""

    quantity: Many
    restock_type: str
    restocked: bool
    location: Ref | None = None
    line_item: Ref


class Refund(CamelWire):
    """return_: the return that it pays for, if any."""

    created_at: At | None = None
    return_: Annotated[Ref | None, Field(alias="return")] = None
    refund_line_items: Nodes[RefundLine]


class Disposition(CamelWire):
    """What became of units that came back. type: see `ReverseFulfillmentOrderDispositionType` in the schema."""

    type: str
    quantity: Many
    created_at: At
    location: Ref | None = None


class ReturnedFrom(CamelWire):
    """The parcel's row that came back."""

    line_item: Ref


class ReverseLine(CamelWire):
    """Units of a parcel on their way back."""

    fulfillment_line_item: ReturnedFrom | None = None
    dispositions: tuple[Disposition, ...] = ()


class ReverseFulfillmentOrder(CamelWire):
    """What is to come back to one place."""

    line_items: Nodes[ReverseLine]


class Return(CamelWire):
    """A return. status: see `ReturnStatus` in the schema; units move by dispositions, whatever it is."""

    id: Gid
    status: str
    reverse_fulfillment_orders: Nodes[ReverseFulfillmentOrder]


class Order(CamelWire):
    """An order, without its buyer. confirmed: Shopify has reserved its units."""

    id: Gid
    created_at: At
    updated_at: At
    cancelled_at: At | None = None
    confirmed: Annotated[bool, Field(strict=True)]
    display_financial_status: str | None = None
    line_items: Nodes[LineItem]
    fulfillment_orders: Nodes[FulfillmentOrder]
    fulfillments: tuple[Fulfillment, ...]
    refunds: tuple[Refund, ...]
    returns: Nodes[Return]


class ChangedFulfillmentOrder(CamelWire):
    """Which order a fulfilment order belongs to, and when it changed."""

    order_id: Gid
    updated_at: At


class OrderId(CamelWire):
    """An order's id and when it was placed."""

    id: Gid
    created_at: At
