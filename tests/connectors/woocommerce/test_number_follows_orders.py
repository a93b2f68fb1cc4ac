"""What our snapshots say that orders did to the shop's number is what they did, by recordings and by its source."""

from collections.abc import Iterable
from typing import Any

import pytest

from channelsync.sdk.values import OrderSnapshot
from channelsync_woocommerce import translate

PLACED, PAID, REFUNDED = "2026-11-21T16:00:00", "2026-11-21T16:01:00", "2026-11-21T16:30:00"


def snapshot(row: dict[str, Any], refunds: Iterable[Any] = ()) -> OrderSnapshot:
    found = translate.order_of(row, refunds, ("completed",))
    assert isinstance(found, OrderSnapshot), found
    return found


def test_the_recorded_numbers_are_those_that_the_recorded_orders_explain(moved, recorded) -> None:
    before = {row["id"]: row["stock_quantity"] for row in recorded("035")["update"] if "error" not in row}
    numbers = {"10": before[10], "11": before[11], "13": 1, "15:18": 7}
    orders = [snapshot(recorded(number)) for number in ("038", "039", "040", "041", "042", "043")]
    orders.append(snapshot(recorded("047"), recorded("048")))
    for name, delta in moved(*orders).items():
        numbers[name] += delta
    after = {str(row["id"]): row.get("stock_quantity") for row in recorded("054")}
    assert {name: number for name, number in numbers.items() if ":" not in name} == {
        name: after[name] for name in ("10", "11", "13")
    }
    (shirt,) = [row for row in recorded("060") if row["id"] == 18]
    assert numbers["15:18"] == shirt["stock_quantity"]


def step(status: str, minute: int, *, taken: int = 0, restocked: int = 0, paid: bool = False) -> dict[str, Any]:
    counters = {"_reduced_stock": taken, "_restock_refunded_items": restocked}
    meta = [{"key": key, "value": str(value)} for key, value in counters.items() if value]
    return {
        "id": 20,
        "status": status,
        "date_created_gmt": PLACED,
        "date_modified_gmt": f"2026-11-21T17:{minute:02}:00",
        "date_paid_gmt": PAID if paid else None,
        "date_completed_gmt": "2026-11-21T16:20:00" if status == "completed" else None,
        "line_items": [{"id": 2, "product_id": 15, "variation_id": 0, "quantity": 3, "meta_data": meta}],
        "refunds": [],
    }


PENDING = step("pending", 1)
HELD = step("on-hold", 2, taken=3)
PROCESSING = step("processing", 3, taken=3, paid=True)
COMPLETED = step("completed", 4, taken=3, paid=True)
SENT = {"date_completed_gmt": COMPLETED["date_completed_gmt"]}

STORIES = {
    "an order that nobody paid": ([PENDING], 0),
    "paid": ([PENDING, PROCESSING], -3),
    "paid, first seen when it was": ([PROCESSING], -3),
    "edited over the API before it was paid": ([PENDING, step("pending", 2, taken=3)], -3),
    "edited over the API, then paid": ([PENDING, step("pending", 2, taken=3), PROCESSING], -3),
    "edited over the API, then cancelled": ([PENDING, step("pending", 2, taken=3), step("cancelled", 9)], 0),
    "on hold": ([PENDING, HELD], -3),
    "on hold, then paid": ([HELD, PROCESSING], -3),
    "completed": ([PROCESSING, COMPLETED], -3),
    "cancelled before it was paid": ([PENDING, step("cancelled", 9)], 0),
    "cancelled on hold": ([HELD, step("cancelled", 9)], 0),
    "cancelled when it was paid": ([PROCESSING, step("cancelled", 9, paid=True)], 0),
    "cancelled when it was completed": ([COMPLETED, step("cancelled", 9, paid=True)], 0),
    "set back to pending": ([PROCESSING, step("pending", 9, paid=True)], 0),
    "set back to pending, then paid again": ([PROCESSING, step("pending", 9, paid=True), PROCESSING], -3),
    "failed before it was paid": ([PENDING, step("failed", 9)], 0),
    "failed on hold": ([HELD, step("failed", 9, taken=3)], -3),
    "failed, then paid": ([step("failed", 1), PROCESSING], -3),
    "set to refunded": ([PROCESSING, step("refunded", 9, taken=3, paid=True)], -3),
    "in the trash before it was paid": ([PENDING, step("trash", 9)], 0),
    "in the trash when it was paid": ([PROCESSING, step("trash", 9, taken=3, paid=True)], -3),
    "in the trash after it was cancelled": (
        [PROCESSING, step("cancelled", 8, paid=True), step("trash", 9, paid=True)],
        0,
    ),
    "in the trash after it was completed and cancelled": (
        [COMPLETED, step("cancelled", 8, paid=True), step("trash", 9, paid=True) | SENT],
        0,
    ),
    "set to refunded after it was set back to pending": (
        [COMPLETED, step("pending", 8, paid=True) | SENT, step("refunded", 9, paid=True) | SENT],
        0,
    ),
    "back from the trash": ([PROCESSING, step("trash", 9, taken=3, paid=True), PROCESSING], -3),
    "cancelled, then processed after all": ([HELD, step("cancelled", 8), PROCESSING], -3),
    "first seen as cancelled": ([step("cancelled", 9, paid=True)], 0),
}


@pytest.mark.parametrize("story", list(STORIES))
def test_the_number_follows_every_story_as_the_shop_does_it(moved, story: str) -> None:
    rows, delta = STORIES[story]
    later = [row | {"date_modified_gmt": f"2026-11-21T18:{minute:02}:00"} for minute, row in enumerate(rows)]
    assert moved(*map(snapshot, later)).get("15", 0) == delta


@pytest.mark.parametrize(("before", "status"), [(PROCESSING, "processing"), (COMPLETED, "completed")])
@pytest.mark.parametrize(("restocked", "delta"), [(1, -2), (0, -3)])
def test_the_number_follows_a_refund_as_far_as_it_restocked(moved, before, status, restocked, delta) -> None:
    part = {"id": 90, "product_id": 15, "quantity": -1, "meta_data": [{"key": "_refunded_item_id", "value": "2"}]}
    refund = {"id": 24, "date_created_gmt": REFUNDED, "line_items": [part]}
    after = step(status, 9, taken=3 - restocked, restocked=restocked, paid=True)
    assert moved(snapshot(before), snapshot(after, [refund])) == {"15": delta}


@pytest.mark.parametrize("status", ["cancelled", "pending"])
@pytest.mark.parametrize("restocked", [0, 1])
def test_what_was_refunded_of_an_order_comes_back_with_the_rest_of_it(moved, status: str, restocked: int) -> None:
    """Restocked or not, before or after: the shop puts back all that is still off, and then counts no more."""
    part = {"id": 90, "product_id": 15, "quantity": -1, "meta_data": [{"key": "_refunded_item_id", "value": "2"}]}
    refund = {"id": 24, "date_created_gmt": REFUNDED, "line_items": [part]}
    before = snapshot(step("processing", 8, taken=3 - restocked, restocked=restocked, paid=True), [refund])
    after = snapshot(step(status, 9, restocked=restocked, paid=True), [refund])
    assert moved(snapshot(PROCESSING), before, after) == {"15": 0}
    assert after.lines[0].lost == ()


def test_an_order_that_was_given_back_and_is_taken_again_is_taken_whole(moved) -> None:
    part = {"id": 90, "product_id": 15, "quantity": -2, "meta_data": [{"key": "_refunded_item_id", "value": "2"}]}
    refund = {"id": 24, "date_created_gmt": REFUNDED, "line_items": [part]}
    rows = [
        step("processing", 8, taken=1, restocked=2, paid=True),
        step("cancelled", 9, restocked=2, paid=True),
        step("on-hold", 10, taken=3, restocked=2, paid=True),
    ]
    assert moved(snapshot(PROCESSING), *(snapshot(row, [refund]) for row in rows)) == {"15": -3}
