"""Orders: what every state and transition that eBay documents means to us, one row each."""

from datetime import UTC, datetime

import pytest

from channelsync.sdk.contract import CANARY
from channelsync.sdk.values import NO_ID, Moved, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync_ebay import translate, wire

MORNING = datetime(2017, 5, 31, 9, tzinfo=UTC)
UNPAID = {"payments": [{"paymentStatus": "PENDING"}]}
PART = wire.Shipment.model_validate(
    {"shippedDate": "2017-05-31T09:00:00.000Z", "lineItems": [{"lineItemId": "10001", "quantity": 2}]}
)
CANCELED = {"cancelState": "CANCELED", "cancelledDate": "2017-05-31T09:00:00.000Z"}
CASES = [
    # what, changes of the order, units of the line, shipments, status, to ship, shipped
    ("unpaid", {"orderPaymentStatus": "PENDING", "paymentSummary": UNPAID}, (), OrderStatus.PENDING, 3, 0),
    ("payment failed", {"orderPaymentStatus": "FAILED", "paymentSummary": UNPAID}, (), OrderStatus.PENDING, 3, 0),
    (
        "payment failed, none told",
        {"orderPaymentStatus": "FAILED", "paymentSummary": {}},
        (),
        OrderStatus.PENDING,
        3,
        0,
    ),
    ("paid", {}, (), OrderStatus.OPEN, 3, 0),
    ("a refund is pending", {"orderPaymentStatus": "PENDING"}, (), OrderStatus.OPEN, 3, 0),
    ("a refund failed", {"orderPaymentStatus": "FAILED"}, (), OrderStatus.OPEN, 3, 0),
    ("refunded in part", {"orderPaymentStatus": "PARTIALLY_REFUNDED"}, (), OrderStatus.OPEN, 3, 0),
    ("refunded in full, not cancelled", {"orderPaymentStatus": "FULLY_REFUNDED"}, (), OrderStatus.OPEN, 3, 0),
    ("a cancel is asked for", {"cancelStatus": {"cancelState": "IN_PROGRESS"}}, (), OrderStatus.OPEN, 3, 0),
    ("cancelled", {"cancelStatus": CANCELED}, (), OrderStatus.CANCELLED, 0, 0),
    ("cancelled, otherwise spelled", {"cancelStatus": {"cancelState": "CANCELLED"}}, (), OrderStatus.CANCELLED, 0, 0),
    (
        "cancelled and refunded",
        {"cancelStatus": CANCELED, "orderPaymentStatus": "FULLY_REFUNDED"},
        (),
        OrderStatus.CANCELLED,
        0,
        0,
    ),
    ("cancelled unpaid", {"cancelStatus": CANCELED, "orderPaymentStatus": "PENDING"}, (), OrderStatus.CANCELLED, 0, 0),
    ("left in part", {"orderFulfillmentStatus": "IN_PROGRESS"}, (PART,), OrderStatus.OPEN, 1, 2),
    ("left in part, twice told", {"orderFulfillmentStatus": "IN_PROGRESS"}, (PART, PART), OrderStatus.CLOSED, 0, 3),
    ("left", {"orderFulfillmentStatus": "FULFILLED"}, (), OrderStatus.CLOSED, 0, 3),
    (
        "left, then refunded",
        {"orderFulfillmentStatus": "FULFILLED", "orderPaymentStatus": "FULLY_REFUNDED"},
        (),
        OrderStatus.CLOSED,
        0,
        3,
    ),
    (
        "left unpaid",
        {"orderFulfillmentStatus": "FULFILLED", "orderPaymentStatus": "PENDING", "paymentSummary": UNPAID},
        (),
        OrderStatus.CLOSED,
        0,
        3,
    ),
    (
        "left in part, then cancelled",
        {"orderFulfillmentStatus": "IN_PROGRESS", "cancelStatus": CANCELED},
        (PART,),
        OrderStatus.CANCELLED,
        0,
        2,
    ),
]


def read(row, shipments=(), **more) -> OrderSnapshot:
    found = translate.order_of(row, shipments, **more)
    assert isinstance(found, OrderSnapshot), found
    return found


@pytest.mark.parametrize(
    ("changes", "shipments", "status", "to_ship", "shipped"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_state_of_an_order_means(words, changes, shipments, status, to_ship, shipped) -> None:
    order = read(words.order("1", words.line(units=3), **changes), shipments)
    (line,) = order.lines
    assert (order.status, order.to_ship(line), sum(one.units for one in line.shipped)) == (status, to_ship, shipped)
    assert (line.returned, line.lost, line.cancelled) == ((), (), ()), "a refund moves no unit"


def test_an_order_names_what_was_bought_when_and_for_how_many(words) -> None:
    order = read(words.order("12-1", words.line("1", "MUG-BLUE", 2), words.line("2", "MUG-RED", 1)))
    assert (order.order, order.version) == ("12-1", datetime(2017, 5, 31, 8, 30, tzinfo=UTC))
    assert order.placed_at == datetime(2017, 5, 31, 8, tzinfo=UTC)
    assert order.deducted_at is None, "it falls with the order"
    assert [(one.line, one.listing, one.sku, one.ordered) for one in order.lines] == [
        ("1", "MUG-BLUE", "MUG-BLUE", 2),
        ("2", "MUG-RED", "MUG-RED", 1),
    ]


@pytest.mark.parametrize(("state", "status"), [("FULFILLED", 2), ("NOT_STARTED", 0), ("IN_PROGRESS", 0)])
def test_each_line_is_shipped_by_itself(words, state: str, status: int) -> None:
    lines = (words.line("1", units=2, lineItemFulfillmentStatus=state), words.line("2", "MUG-RED"))
    order = read(words.order("1", *lines, orderFulfillmentStatus="IN_PROGRESS"))
    assert [sum(one.units for one in line.shipped) for line in order.lines] == [status, 0]
    assert order.status is OrderStatus.OPEN


def test_a_shipment_tells_when_it_left_and_never_more_than_was_ordered(words) -> None:
    order = read(words.order("1", words.line(units=1), orderFulfillmentStatus="IN_PROGRESS"), (PART,))
    assert order.lines[0].shipped == (Moved(units=1, at=MORNING),)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (CANCELED, MORNING),
        (
            {
                "cancelState": "CANCELED",
                "cancelRequests": [
                    {"cancelCompletedDate": "2017-05-31T09:00:00.000Z", "cancelRequestState": "COMPLETED"}
                ],
            },
            MORNING,
        ),
        ({"cancelState": "CANCELED", "cancelRequests": None}, datetime(2017, 5, 31, 8, 30, tzinfo=UTC)),
    ],
    ids=["told by the order", "told by the request", "not told: when it last changed"],
)
def test_a_cancelled_order_says_when(words, status, expected) -> None:
    assert read(words.order(cancelStatus=status)).cancelled_at == expected


def test_what_ebay_fulfils_is_not_of_our_units(words) -> None:
    order = read(words.order(program={"fulfillmentProgram": {"fulfilledBy": "EBAY"}}))
    assert (order.status, order.lines[0].ordered, order.lines[0].to_ship) == (OrderStatus.CLOSED, 0, 0)


@pytest.mark.parametrize(
    ("sku", "legacy", "expected"),
    [
        ("MUG-BLUE", False, ("MUG-BLUE", "MUG-BLUE")),
        ("MUG-BLUE", True, (None, "MUG-BLUE")),
        (None, False, ("item:110012345678", None)),
        (None, True, ("item:110012345678", None)),
    ],
)
def test_a_line_names_its_listing(words, sku, legacy, expected) -> None:
    (line,) = read(words.order("1", words.line(sku=sku)), legacy=legacy).lines
    assert (line.listing, line.sku) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"orderFulfillmentStatus": "IN_PROGRESS"}, True),
        ({"orderFulfillmentStatus": "FULFILLED"}, False),
        (
            {
                "orderFulfillmentStatus": "IN_PROGRESS",
                "lineItems": [{"lineItemId": "1", "quantity": 1, "lineItemFulfillmentStatus": "FULFILLED"}],
            },
            False,
        ),
        ({"lineItems": [{"lineItemId": "1", "quantity": 2, "lineItemFulfillmentStatus": "IN_PROGRESS"}]}, True),
        ({"lineItems": []}, False),
        ({"lineItems": "nothing that can be read"}, False),
    ],
)
def test_shipments_are_asked_for_only_where_part_of_an_order_left(words, changes, expected) -> None:
    assert translate.needs_shipments(words.order(**changes)) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"cancelState": "NONE_REQUESTED", "cancelRequests": []}, False),
        ({"cancelState": "IN_PROGRESS", "cancelRequests": []}, False),
        (CANCELED, False),
        ({"cancelState": "CANCELED", "cancelRequests": []}, True),
        ({"cancelState": "CANCELED", "cancelRequests": [{"cancelRequestState": "COMPLETED"}]}, False),
    ],
)
def test_an_order_is_read_by_itself_only_where_the_list_leaves_out_when_it_was_cancelled(
    words, status, expected
) -> None:
    assert translate.needs_detail(words.order(cancelStatus=status)) is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"lineItems": []},
        {"lineItems": [{"lineItemId": "1", "quantity": 0.5}]},
        {"lineItems": [{"lineItemId": "1", "quantity": "1"}]},
        {"lineItems": [{"lineItemId": "1", "quantity": -1}]},
        {"lineItems": [{"lineItemId": "1", "quantity": True}]},
        {"lineItems": [{"lineItemId": "1", "quantity": 1}, {"lineItemId": "1", "quantity": 1}]},
        {"lineItems": [{"quantity": 1}]},
        {"lastModifiedDate": "yesterday"},
        {"creationDate": "2017-05-31T08:00:00"},
    ],
)
def test_an_order_that_cannot_be_understood_is_kept_without_its_buyer(words, changes) -> None:
    row = words.order("12-1", **changes) | {"buyer": {"username": CANARY[0]}, "buyerCheckoutNotes": CANARY[1]}
    found = translate.order_of(row)
    assert isinstance(found, UnreadableOrder)
    assert (found.order, bool(found.reason)) == ("12-1", True)
    assert '"orderId": "12-1"' in found.raw
    assert not [text for text in CANARY if text in repr(found)]


@pytest.mark.parametrize("row", [None, 7, [], {}, {"orderId": CANARY[0]}, {"orderId": ["x"]}])
def test_what_is_no_order_at_all_is_unreadable_too(row) -> None:
    found = translate.order_of(row)
    assert isinstance(found, UnreadableOrder)
    assert found.order == NO_ID
    assert not [text for text in CANARY if text in repr(found)]
