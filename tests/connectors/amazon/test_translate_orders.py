"""Orders: one row for each state and transition that Amazon documents (orders_2026-01-01)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.sdk.contract import CANARY
from channelsync.sdk.values import Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync_amazon.translate import STATUS, order_of

EXECUTED = {"cancellationExecution": {"cancelledBy": "BUYER", "cancelReason": CANARY[0]}}
REQUESTED = {"cancellationRequest": {"requester": "BUYER", "cancelReason": CANARY[0]}}


def read(row: Any) -> OrderSnapshot:
    found = order_of(row)
    assert isinstance(found, OrderSnapshot), found
    return found


def to_ship(order: OrderSnapshot) -> list[int]:
    return [order.to_ship(line) for line in order.lines]


@pytest.mark.parametrize(
    ("status", "means", "left"),
    [
        ("PENDING_AVAILABILITY", OrderStatus.OPEN, 2),
        ("PENDING", OrderStatus.PENDING, 2),
        ("UNSHIPPED", OrderStatus.OPEN, 2),
        ("PARTIALLY_SHIPPED", OrderStatus.OPEN, 2),
        ("SHIPPED", OrderStatus.CLOSED, 0),
        ("CANCELLED", OrderStatus.CANCELLED, 0),
        ("UNFULFILLABLE", OrderStatus.CANCELLED, 0),
    ],
)
def test_every_state_of_an_order(words, status: str, means: OrderStatus, left: int) -> None:
    found = read(words.order(1, status, words.line(1, 2)))
    assert (found.status, to_ship(found)) == (means, [left])


def test_no_documented_state_is_missing(models) -> None:
    told = json.loads((models / "models" / "orders_2026-01-01.json").read_text())
    assert set(STATUS) == set(told["definitions"]["FulfillmentStatus"]["enum"])


def test_an_order_names_what_was_bought_and_when(words) -> None:
    found = read(words.order(7, "UNSHIPPED", words.line(1, 2, "MUG"), words.line(2, 1, "JUG")))
    assert found.order == "250-0000000-0000007"
    assert found.placed_at == datetime(2017, 6, 1, 8, 0, tzinfo=UTC)
    assert found.version == datetime(2017, 6, 1, 8, 30, tzinfo=UTC)
    assert (found.deducted_at, found.cancelled_at) == (None, None)
    assert found.lines == (
        OrderLine(line="line-1", ordered=2, listing="MUG", sku="MUG"),
        OrderLine(line="line-2", ordered=1, listing="JUG", sku="JUG"),
    )


def test_a_line_without_a_sku_names_no_listing(words) -> None:
    (line,) = read(words.order(1, "UNSHIPPED", words.line(sku=None))).lines
    assert (line.listing, line.sku) == (None, None)


# (state, ordered, fulfilled, unfulfilled, cancellation) -> (cancelled, shipped, to ship)
LINES: dict[str, tuple[str, int, int | None, int | None, Any, tuple[int, int, int]]] = {
    "nothing has happened": ("UNSHIPPED", 3, 0, 3, None, (0, 0, 3)),
    "amounts are not told": ("UNSHIPPED", 3, None, None, None, (0, 0, 3)),
    "pending: nothing is to be shipped yet": ("PENDING", 3, 0, 0, None, (0, 0, 3)),
    "pre-order: nothing is to be shipped yet": ("PENDING_AVAILABILITY", 3, 0, 0, None, (0, 0, 3)),
    "one of three left": ("PARTIALLY_SHIPPED", 3, 1, 2, None, (0, 1, 2)),
    "all left": ("SHIPPED", 3, 3, 0, None, (0, 3, 0)),
    "all left, amounts are not told": ("SHIPPED", 3, None, None, None, (0, 3, 0)),
    "a cancel is wanted, not done": ("UNSHIPPED", 3, 0, 3, REQUESTED, (0, 0, 3)),
    "a cancel is wanted, amounts are not told": ("UNSHIPPED", 3, None, None, REQUESTED, (0, 0, 3)),
    "the line was cancelled": ("UNSHIPPED", 3, 0, 0, EXECUTED, (3, 0, 0)),
    "the line was cancelled, amounts are not told": ("UNSHIPPED", 3, None, None, EXECUTED, (3, 0, 0)),
    "wanted and done": ("UNSHIPPED", 3, 0, 0, REQUESTED | EXECUTED, (3, 0, 0)),
    "a part was cancelled": ("UNSHIPPED", 3, 0, 2, EXECUTED, (1, 0, 2)),
    "a part was cancelled, nobody says so": ("UNSHIPPED", 3, 0, 2, None, (1, 0, 2)),
    "one left, one was cancelled": ("PARTIALLY_SHIPPED", 3, 1, 1, EXECUTED, (1, 1, 1)),
    "one left, the rest was cancelled": ("SHIPPED", 3, 1, 0, EXECUTED, (2, 1, 0)),
    "one left, the rest was cancelled, left is not told": ("SHIPPED", 3, 1, None, EXECUTED, (2, 1, 0)),
    "a pending order's line was cancelled": ("PENDING", 3, 0, 0, EXECUTED, (3, 0, 0)),
    "a cancel takes the amount ordered to 0": ("UNSHIPPED", 0, 0, 0, EXECUTED, (0, 0, 0)),
    "the order is cancelled: its state says all": ("CANCELLED", 3, 0, 0, EXECUTED, (0, 0, 0)),
    "the order is cancelled after one left": ("CANCELLED", 3, 1, 0, EXECUTED, (0, 1, 0)),
}


@pytest.mark.parametrize("case", list(LINES))
def test_what_happened_to_a_line(words, case: str) -> None:
    status, ordered, fulfilled, unfulfilled, cancellation, expected = LINES[case]
    told = {"quantityFulfilled": fulfilled, "quantityUnfulfilled": unfulfilled}
    more: dict[str, Any] = {"fulfillment": {name: units for name, units in told.items() if units is not None}}
    if cancellation is not None:
        more["cancellation"] = cancellation
    found = read(words.order(1, status, words.line(1, ordered, **more)))
    (line,) = found.lines
    units = [sum(moved.units for moved in some) for some in (line.cancelled, line.shipped)]
    assert (*units, found.to_ship(line)) == expected
    assert (line.lost, line.returned, line.withheld) == ((), (), ())
    assert all(moved.at is None for moved in line.cancelled), "when it was cancelled nobody tells"


@pytest.mark.parametrize("status", list(STATUS))
@pytest.mark.parametrize("cancellation", [None, REQUESTED, EXECUTED])
def test_an_order_that_amazon_ships_never_touches_our_units(words, status: str, cancellation: Any) -> None:
    more = {"fulfillment": words.done(1, 1)} | ({} if cancellation is None else {"cancellation": cancellation})
    found = read(words.order(1, status, words.line(1, 2, **more), by="AMAZON"))
    assert found.lines == (OrderLine(line="line-1", ordered=0, listing="MUG", sku="MUG"),)


def test_an_order_that_does_not_say_who_ships_is_ours(words) -> None:
    assert to_ship(read(words.order(1, "PENDING", words.line(1, 2), by=None))) == [2]


def test_units_leave_when_their_packages_do(words) -> None:
    packages = [
        words.package(1, 2, "2017-06-02T10:00:00Z"),
        words.package(1, 1, "2017-06-01T10:00:00Z"),
        words.package(2, 4, "2017-06-01T11:00:00Z"),
    ]
    line = words.line(1, 5, fulfillment=words.done(4, 1))
    (found,) = read(words.order(1, "PARTIALLY_SHIPPED", line, packages=packages)).lines
    assert found.shipped == (
        Moved(units=1, at=datetime(2017, 6, 1, 10, tzinfo=UTC)),
        Moved(units=2, at=datetime(2017, 6, 2, 10, tzinfo=UTC)),
        Moved(units=1),
    )


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("PENDING", False),
        ("CANCELLED", False),
        ("IN_TRANSIT", True),
        ("SHIPPED", True),
        ("DELIVERED", True),
        ("UNDELIVERABLE", True),
    ],
)
def test_a_package_tells_a_time_only_where_it_left(words, status: str, counts: bool) -> None:
    line = words.line(1, 1, fulfillment=words.done(1, 0))
    packages = [words.package(1, 1, "2017-06-01T10:00:00Z", status)]
    (found,) = read(words.order(1, "SHIPPED", line, packages=packages)).lines
    assert found.shipped == (Moved(units=1, at=datetime(2017, 6, 1, 10, tzinfo=UTC) if counts else None),)


def test_packages_say_when_and_never_how_many(words) -> None:
    line = words.line(1, 3, fulfillment=words.done(1, 2))
    packages = [words.package(1, 3, "2017-06-01T10:00:00Z")]
    (found,) = read(words.order(1, "PARTIALLY_SHIPPED", line, packages=packages)).lines
    assert sum(moved.units for moved in found.shipped) == 1


def broken(words, **more: Any) -> dict[str, Any]:
    buyer = {"buyer": {"buyerName": CANARY[0], "buyerEmail": CANARY[1]}, "recipient": {"phone": CANARY[2]}}
    return words.order(1, "UNSHIPPED", words.line(1, 1, note=CANARY[3])) | buyer | more


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("no lines", {"orderItems": []}),
        ("half a unit", {"orderItems": [{"orderItemId": "1", "quantityOrdered": 0.5, "product": {}}]}),
        ("a negative number", {"orderItems": [{"orderItemId": "1", "quantityOrdered": -1, "product": {}}]}),
        ("a text for a number", {"orderItems": [{"orderItemId": "1", "quantityOrdered": "1", "product": {}}]}),
        ("two lines of one id", {"orderItems": [{"orderItemId": "1", "quantityOrdered": 1, "product": {}}] * 2}),
        ("a state that nobody documents", {"fulfillment": {"fulfillmentStatus": "LOST"}}),
        ("no state", {"fulfillment": None}),
        ("no time", {"lastUpdatedTime": "yesterday"}),
        ("a time without a zone", {"createdTime": "2017-06-01T08:00:00"}),
    ],
)
def test_an_order_that_cannot_be_understood_is_kept_without_its_buyer(words, what: str, change: Any) -> None:
    found = order_of(broken(words, **change))
    assert isinstance(found, UnreadableOrder)
    assert found.order == "250-0000000-0000001"
    assert found.reason
    assert "250-0000000-0000001" in found.raw
    assert not [text for text in CANARY if text in repr(found)]


@pytest.mark.parametrize("row", [None, "text", [], {}, {"orderId": 7}, {"orderId": "", "orderItems": "none"}])
def test_what_is_no_order_at_all_is_unreadable(row: Any) -> None:
    assert isinstance(order_of(row), UnreadableOrder)


def test_only_ids_numbers_and_times_of_an_order_are_kept(words) -> None:
    told = broken(words, orderItems=[{"orderItemId": CANARY[1], "quantityOrdered": 0.5, "product": {}}])
    told |= {"orderId": CANARY[0], "createdTime": CANARY[3], "lastUpdatedTime": CANARY[0]}
    found = order_of(told)
    assert not [text for text in CANARY if text in repr(found)]
