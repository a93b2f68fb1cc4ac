"""Every state and transition of an order, as Shopify writes them."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import GraphQLSchema
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.values import NO_ID, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync_shopify import translate, wire_orders

Row = Callable[[SimpleNamespace], dict[str, Any]]

SHIPPED_AT = datetime(2026, 11, 21, 11, tzinfo=UTC)
REFUNDED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DISPOSED_AT = datetime(2026, 11, 21, 13, tzinfo=UTC)


def snapshot(row: Any) -> OrderSnapshot:
    found = translate.order_of(row)
    assert isinstance(found, OrderSnapshot), found
    return found


def told(line: OrderLine) -> dict[str, int]:
    """The units of a line by what happened to them."""
    kinds = ("cancelled", "lost", "shipped", "returned", "withheld")
    units = {kind: sum(moved.units for moved in getattr(line, kind)) for kind in kinds}
    return {"ordered": line.ordered, "to_ship": line.to_ship, **{kind: n for kind, n in units.items() if n}}


# What a line shows of what happened to it: (name, order, status, units).
STORIES: list[tuple[str, Row, OrderStatus, dict[str, int]]] = [
    (
        "placed and paid",
        lambda w: w.order(lines=[w.line(quantity=3)]),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 3},
    ),
    (
        "placed, and no location assigned yet",
        lambda w: w.order(lines=[w.line(quantity=3)], fulfillmentOrders=[]),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 3},
    ),
    (
        "shipped in part",
        lambda w: w.order(
            lines=[w.line(quantity=3, unfulfilledQuantity=2)],
            fulfillmentOrders=[w.assigned((1, 2))],
            fulfillments=[w.parcel((1, 1))],
        ),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 2, "shipped": 1},
    ),
    (
        "shipped whole",
        lambda w: w.order(
            lines=[w.line(quantity=3, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 1)), w.parcel((1, 2))],
        ),
        OrderStatus.CLOSED,
        {"ordered": 3, "to_ship": 0, "shipped": 3},
    ),
    (
        "a parcel was cancelled",
        lambda w: w.order(lines=[w.line(quantity=3)], fulfillments=[w.parcel((1, 3), status="CANCELLED")]),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 3},
    ),
    *(
        (
            f"a parcel is {status}: the units are with whoever ships and have not left",
            lambda w, status=status: w.order(
                lines=[w.line(quantity=3, unfulfilledQuantity=1)],
                fulfillmentOrders=[w.assigned((1, 1))],
                fulfillments=[w.parcel((1, 2), status=status)],
            ),
            OrderStatus.OPEN,
            {"ordered": 3, "to_ship": 3},
        )
        for status in ("OPEN", "PENDING")
    ),
    *(
        (
            f"a parcel is {status}",
            lambda w, status=status: w.order(
                lines=[w.line(quantity=2)], fulfillments=[w.parcel((1, 2), status=status)]
            ),
            OrderStatus.OPEN,
            {"ordered": 2, "to_ship": 2},
        )
        for status in ("ERROR", "FAILURE")
    ),
    (
        "cancelled, with restock",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=0, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            cancelledAt="2026-11-21T12:00:00Z",
            refunds=[w.refund((1, 2, "CANCEL"))],
        ),
        OrderStatus.CANCELLED,
        {"ordered": 2, "to_ship": 0, "cancelled": 2},
    ),
    (
        "cancelled, without restock",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=0, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            cancelledAt="2026-11-21T12:00:00Z",
            refunds=[w.refund((1, 2, "NO_RESTOCK"), restocked=False)],
        ),
        OrderStatus.CANCELLED,
        {"ordered": 2, "to_ship": 0, "lost": 2},
    ),
    (
        "cancelled without a refund: all that was ordered goes back at the time of the cancel",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=0, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            cancelledAt="2026-11-21T12:00:00Z",
        ),
        OrderStatus.CANCELLED,
        {"ordered": 2, "to_ship": 2},
    ),
    (
        "one of three refunded before it was shipped, with restock",
        lambda w: w.order(
            lines=[w.line(quantity=3, currentQuantity=2, unfulfilledQuantity=2)],
            fulfillmentOrders=[w.assigned((1, 2))],
            refunds=[w.refund((1, 1, "CANCEL"))],
        ),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 2, "cancelled": 1},
    ),
    (
        "one of three refunded before it was shipped, without restock",
        lambda w: w.order(
            lines=[w.line(quantity=3, currentQuantity=2, unfulfilledQuantity=2)],
            fulfillmentOrders=[w.assigned((1, 2))],
            refunds=[w.refund((1, 1, "NO_RESTOCK"), restocked=False)],
        ),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 2, "lost": 1},
    ),
    (
        "refunded after it was shipped, and kept by the buyer",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            refunds=[w.refund((1, 1, "NO_RESTOCK"), restocked=False)],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2},
    ),
    (
        "one of two shipped, the other refunded without restock",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 1))],
            refunds=[w.refund((1, 1, "NO_RESTOCK"), restocked=False)],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 1, "lost": 1},
    ),
    (
        "came back with its refund and was restocked",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            refunds=[w.refund((1, 1, "RETURN"))],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2, "returned": 1},
    ),
    (
        "refunded as a return that was not restocked",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            refunds=[w.refund((1, 1, "RETURN"), restocked=False)],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2},
    ),
    (
        "an old restock of a unit never shipped",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=1)],
            fulfillmentOrders=[w.assigned((1, 1))],
            refunds=[w.refund((1, 1, "LEGACY_RESTOCK"))],
        ),
        OrderStatus.OPEN,
        {"ordered": 2, "to_ship": 1, "cancelled": 1},
    ),
    (
        "an old restock of a shipped unit",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            refunds=[w.refund((1, 1, "LEGACY_RESTOCK"))],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2, "returned": 1},
    ),
    (
        "an edit took two of three off",
        lambda w: w.order(
            lines=[w.line(quantity=3, currentQuantity=1, unfulfilledQuantity=1)],
            fulfillmentOrders=[w.assigned((1, 1))],
        ),
        OrderStatus.OPEN,
        {"ordered": 1, "to_ship": 1},
    ),
    (
        "an edit took two of three off, and says so by a refund of nothing",
        lambda w: w.order(
            lines=[w.line(quantity=3, currentQuantity=1, unfulfilledQuantity=1)],
            fulfillmentOrders=[w.assigned((1, 1))],
            refunds=[w.refund((1, 2, "CANCEL"))],
        ),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 1, "cancelled": 2},
    ),
    (
        "an edit took the whole line off",
        lambda w: w.order(
            lines=[
                w.line(1, quantity=3, currentQuantity=0, unfulfilledQuantity=0),
                w.line(2, quantity=1),
            ],
            fulfillmentOrders=[w.assigned((2, 1))],
        ),
        OrderStatus.OPEN,
        {"ordered": 0, "to_ship": 0},
    ),
    (
        "an edit added two",
        lambda w: w.order(lines=[w.line(quantity=5)]),
        OrderStatus.OPEN,
        {"ordered": 5, "to_ship": 5},
    ),
    (
        "an edit took one off, another was refunded and a third shipped",
        lambda w: w.order(
            lines=[w.line(quantity=4, currentQuantity=2, unfulfilledQuantity=1)],
            fulfillmentOrders=[w.assigned((1, 1))],
            fulfillments=[w.parcel((1, 1))],
            refunds=[w.refund((1, 1, "CANCEL"))],
        ),
        OrderStatus.OPEN,
        {"ordered": 3, "to_ship": 1, "cancelled": 1, "shipped": 1},
    ),
    *(
        (
            f"a return is {status}: nothing came back yet",
            lambda w, status=status: w.order(
                lines=[w.line(quantity=2, unfulfilledQuantity=0)],
                fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
                fulfillments=[w.parcel((1, 2))],
                returns=[w.came_back(1, (1, 1, ""), status=status)],
            ),
            OrderStatus.CLOSED,
            {"ordered": 2, "to_ship": 0, "shipped": 2},
        )
        for status in ("REQUESTED", "OPEN", "CLOSED", "CANCELED", "DECLINED")
    ),
    *(
        (
            f"a return was disposed of as {kind}",
            lambda w, kind=kind: w.order(
                lines=[w.line(quantity=2, unfulfilledQuantity=0)],
                fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
                fulfillments=[w.parcel((1, 2))],
                returns=[w.came_back(1, (1, 1, kind))],
            ),
            OrderStatus.CLOSED,
            {"ordered": 2, "to_ship": 0, "shipped": 2, **back},
        )
        for kind, back in (
            ("RESTOCKED", {"returned": 1}),
            ("NOT_RESTOCKED", {}),
            ("PROCESSING_REQUIRED", {}),
            ("MISSING", {}),
        )
    ),
    (
        "a return was restocked and then refunded: it came back once",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=1, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            returns=[w.came_back(1, (1, 1, "RESTOCKED"))],
            refunds=[w.refund((1, 1, "RETURN"), of=1)],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2, "returned": 1},
    ),
    (
        "one came back by a return, another by a refund alone: two came back",
        lambda w: w.order(
            lines=[w.line(quantity=2, currentQuantity=0, unfulfilledQuantity=0)],
            fulfillmentOrders=[w.assigned((1, 0), status="CLOSED")],
            fulfillments=[w.parcel((1, 2))],
            returns=[w.came_back(1, (1, 1, "RESTOCKED"))],
            refunds=[w.refund((1, 1, "RETURN"))],
        ),
        OrderStatus.CLOSED,
        {"ordered": 2, "to_ship": 0, "shipped": 2, "returned": 2},
    ),
    *(
        (
            f"a fulfilment order is {status}",
            lambda w, status=status: w.order(
                lines=[w.line(quantity=2)], fulfillmentOrders=[w.assigned((1, 2), status=status)]
            ),
            OrderStatus.OPEN,
            {"ordered": 2, "to_ship": 2},
        )
        for status in ("OPEN", "SCHEDULED", "IN_PROGRESS", "ON_HOLD", "INCOMPLETE")
    ),
    (
        "a fulfilment order was cancelled and replaced",
        lambda w: w.order(
            lines=[w.line(quantity=2)],
            fulfillmentOrders=[w.assigned((1, 2), status="CANCELLED", location=9), w.assigned((1, 2))],
        ),
        OrderStatus.OPEN,
        {"ordered": 2, "to_ship": 2},
    ),
]


@pytest.mark.parametrize(("row", "status", "units"), [story[1:] for story in STORIES], ids=[one[0] for one in STORIES])
def test_what_happened_to_an_order_is_told(
    words: SimpleNamespace, row: Row, status: OrderStatus, units: dict[str, int]
) -> None:
    found = snapshot(row(words))
    assert found.status is status
    assert told(found.lines[0]) == units


@pytest.mark.parametrize(
    ("financial", "status"),
    [
        ("AUTHORIZED", OrderStatus.OPEN),
        ("PAID", OrderStatus.OPEN),
        ("PARTIALLY_PAID", OrderStatus.OPEN),
        ("PARTIALLY_REFUNDED", OrderStatus.OPEN),
        ("REFUNDED", OrderStatus.OPEN),
        ("PENDING", OrderStatus.PENDING),
        ("EXPIRED", OrderStatus.PENDING),
        ("VOIDED", OrderStatus.PENDING),
        (None, OrderStatus.PENDING),
    ],
)
def test_an_order_reserves_whatever_its_payment(
    words: SimpleNamespace, financial: str | None, status: OrderStatus
) -> None:
    found = snapshot(words.order(displayFinancialStatus=financial))
    assert (found.status, found.lines[0].to_ship) == (status, 1)


PLACED_AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize("financial", ["PAID", "PENDING", "AUTHORIZED", "VOIDED", None])
@pytest.mark.parametrize(
    ("more", "confirmed", "unconfirmed"),
    [
        ({}, PLACED_AT, None),
        ({"fulfillmentOrders": []}, PLACED_AT, None),
        ({"cancelledAt": "2026-11-21T12:00:00Z"}, PLACED_AT, None),
        ({"fulfillments": "OPEN"}, PLACED_AT, None),
        ({"fulfillments": "CANCELLED"}, PLACED_AT, None),
        ({"fulfillments": "SUCCESS"}, PLACED_AT, PLACED_AT),
    ],
    ids=["open", "no location yet", "cancelled", "parcel under way", "parcel cancelled", "shipped"],
)
def test_units_are_taken_off_the_number_once_shopify_has_reserved_them_whoever_paid(
    words: SimpleNamespace,
    financial: str | None,
    more: dict[str, Any],
    confirmed: datetime | None,
    unconfirmed: datetime | None,
) -> None:
    if "fulfillments" in more:
        more = {"fulfillments": [words.parcel((1, 1), status=more["fulfillments"])]}
    for said, taken in ((True, confirmed), (False, unconfirmed)):
        found = snapshot(words.order(confirmed=said, displayFinancialStatus=financial, **more))
        assert found.deducted_at == taken


def test_an_order_that_is_not_reserved_at_shopify_is_reserved_here(words: SimpleNamespace) -> None:
    found = snapshot(words.order(confirmed=False, lines=[words.line(quantity=3)]))
    assert (found.status, found.lines[0].to_ship, found.lines[0].location) == (OrderStatus.OPEN, 3, "7")


def test_every_state_that_the_schema_names_stands_in_the_tables(schema: GraphQLSchema) -> None:
    written = "\n".join(name for name, *_ in STORIES) + (translate.__doc__ or "")
    missing = {
        f"{kind}.{value}"
        for kind in (
            "FulfillmentStatus",
            "FulfillmentOrderStatus",
            "RefundLineItemRestockType",
            "ReturnStatus",
            "ReverseFulfillmentOrderDispositionType",
        )
        for value in schema.type_map[kind].values  # type: ignore[attr-defined]
        if value not in written and value != "CLOSED"
    }
    assert missing == set()


def test_times_and_places_are_those_of_what_happened(words: SimpleNamespace) -> None:
    row = words.order(
        lines=[words.line(quantity=4, currentQuantity=2, unfulfilledQuantity=0)],
        fulfillmentOrders=[words.assigned((1, 0), status="CLOSED", total=3)],
        fulfillments=[words.parcel((1, 3))],
        refunds=[words.refund((1, 1, "CANCEL"), location=8), words.refund((1, 1, "RETURN"), location=None)],
        returns=[words.came_back(1, (1, 1, "RESTOCKED"))],
    )
    found = snapshot(row)
    (line,) = found.lines
    assert (found.order, found.placed_at) == ("1", datetime(2026, 11, 21, 10, tzinfo=UTC))
    assert found.version == datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    assert (line.line, line.listing, line.sku, line.location) == ("1", "101", "SKU-1", "7")
    assert line.shipped == (Moved(units=3, at=SHIPPED_AT, location="7"),)
    assert line.cancelled == (Moved(units=1, at=REFUNDED_AT, location="8"),)
    assert line.returned == (
        Moved(units=1, at=DISPOSED_AT, location="8"),
        Moved(units=1, at=REFUNDED_AT, location=None),
    )


def test_a_line_counts_for_the_location_that_ships_most_of_it(words: SimpleNamespace) -> None:
    row = words.order(
        lines=[words.line(quantity=5)],
        fulfillmentOrders=[words.assigned((1, 2), location=7), words.assigned((1, 3), location=9)],
    )
    assert snapshot(row).lines[0].location == "9"


def test_a_cancelled_fulfilment_order_ships_nothing(words: SimpleNamespace) -> None:
    row = words.order(
        lines=[words.line(quantity=3, currentQuantity=1, unfulfilledQuantity=1)],
        fulfillmentOrders=[words.assigned((1, 2), location=9, status="CANCELLED"), words.assigned((1, 1))],
    )
    (line,) = snapshot(row).lines
    assert (line.to_ship, line.location) == (1, "7")


def test_lines_that_nobody_stocks_are_left_out_unless_there_is_nothing_else(words: SimpleNamespace) -> None:
    tip = words.line(2, variant=None, sku=None)
    gone = words.line(3, variant=None)
    assert [line.line for line in snapshot(words.order(lines=[words.line(), tip, gone])).lines] == ["1", "3"]
    assert [line.line for line in snapshot(words.order(lines=[tip])).lines] == ["2"]


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_sku_is_none(words: SimpleNamespace, blank: str | None) -> None:
    assert snapshot(words.order(lines=[words.line(sku=blank)])).lines[0].sku is None


@pytest.mark.parametrize(
    "row",
    [
        lambda w: w.order(lines=[]),
        lambda w: w.order(lines=[w.line(quantity=-1, currentQuantity=-1, unfulfilledQuantity=0)]),
        lambda w: w.order(lines=[w.line() | {"quantity": 1.5}]),
        lambda w: w.order(lines=[w.line() | {"quantity": "1"}]),
        lambda w: w.order() | {"updatedAt": "yesterday"},
        lambda w: w.order() | {"id": "1"},
        lambda w: w.order() | {"confirmed": None},
        lambda w: w.order() | {"confirmed": "false"},
        lambda w: {"id": "gid://shopify/Order/1"},
        lambda w: None,
        lambda w: "an order",
    ],
)
def test_what_makes_no_sense_is_kept_and_reported(words: SimpleNamespace, row: Row) -> None:
    found = translate.order_of(row(words))
    assert isinstance(found, UnreadableOrder)
    assert found.reason
    assert found.order in ("1", NO_ID)


def test_an_unreadable_order_is_kept_without_what_it_says_of_its_buyer(words: SimpleNamespace) -> None:
    found = translate.order_of(words.order(lines=[]) | {"email": "canary@birdwhistle.example", "note": "Canary"})
    assert isinstance(found, UnreadableOrder)
    assert "anary" not in repr(found)


@given(
    quantity=st.integers(0, 9),
    current=st.integers(0, 9),
    remaining=st.integers(0, 9),
    shipped=st.integers(0, 9),
    cancelled=st.integers(0, 4),
    unsaid=st.integers(0, 4),
)
def test_as_many_units_are_to_ship_as_shopify_says_as_long_as_its_numbers_add_up(
    quantity: int, current: int, remaining: int, shipped: int, cancelled: int, unsaid: int
) -> None:
    line = wire_orders.LineItem(
        id="gid://shopify/LineItem/1", quantity=quantity, current_quantity=current, unfulfilled_quantity=remaining
    )
    noted = translate._Happened(
        shipped=[Moved(units=shipped)],
        cancelled=[Moved(units=cancelled)],
        unsaid=[(Moved(units=unsaid), False)],
        refunded=cancelled + unsaid,
        places=[(remaining, quantity, "7")],
    )
    found = translate._line(line, noted, cancelled=False)
    assert found.ordered <= quantity
    if remaining + shipped + cancelled <= quantity:
        assert found.to_ship == remaining
