"""What our snapshots say that orders did to the shop's number is what they did, by recordings and by its source."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from channelsync.domain.booking import Terms, book
from channelsync.domain.effects import KeyMove
from channelsync.domain.sourcing import SoldAs
from channelsync.sdk.values import OrderSnapshot
from channelsync_woocommerce import CONNECTOR, translate

PLACED, PAID, REFUNDED = "2026-11-21T16:00:00", "2026-11-21T16:01:00", "2026-11-21T16:30:00"


def snapshot(row: dict[str, Any], refunds: Iterable[Any] = ()) -> OrderSnapshot:
    found = translate.order_of(row, refunds, ("completed",))
    assert isinstance(found, OrderSnapshot), found
    return found


@pytest.fixture
def moved(settings):
    """By how much the shop's numbers have moved after these snapshots, by listing."""
    behaviour = CONNECTOR.capabilities(settings).behaviour

    def moved(*snapshots: OrderSnapshot) -> dict[str, int]:
        names = sorted({line.listing or "" for one in snapshots for line in one.lines})
        numbers: dict[str, int] = defaultdict(int)
        booked: dict[str, Any] = {}
        for one in snapshots:
            terms = Terms(
                channel="my-shop",
                sold={line.line: SoldAs(line.listing or "") for line in one.lines},
                locations=["here"],
                available={"here": dict.fromkeys(names, 100)},
                recipes={},
                counted_up_to={},
                run="run-1",
                behaviour=behaviour,
                moves={line.line: [KeyMove(names.index(line.listing or ""))] for line in one.lines},
            )
            booking = book(booked.get(one.order), one, terms)
            assert booking.verdict == "booked"
            booked[one.order] = booking.order
            for effect in booking.effects:
                numbers[names[effect.key]] += effect.delta
        return dict(numbers)

    return moved


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

STORIES = {
    "an order that nobody paid": ([PENDING], 0),
    "paid": ([PENDING, PROCESSING], -3),
    "paid, first seen when it was": ([PROCESSING], -3),
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
