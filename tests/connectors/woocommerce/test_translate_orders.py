"""Orders of a shop in our words: one row per status, transition and refund that its behaviour was seen for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.sdk.values import NO_ID, Moved, OrderLine, OrderSnapshot, OrderStatus, UnreadableOrder
from channelsync_woocommerce import translate

PLACED = datetime(2026, 11, 21, 16, 7, 49, tzinfo=UTC)
PAID = datetime(2026, 11, 21, 16, 8, 0, tzinfo=UTC)
SENT = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
BEFORE_SENT = datetime(2026, 11, 21, 18, 0, 0, tzinfo=UTC)
AFTER_SENT = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC)
SHIPPED = ("completed", "collected")

LINE = {
    "id": 2,
    "name": "Mug, engraved for Canary",
    "product_id": 15,
    "variation_id": 18,
    "quantity": 3,
    "sku": "MUG-L",
    "total": "59.70",
    "meta_data": [{"id": 1, "key": "engraving", "value": "Canary"}],
}


def gmt(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S")


def line(*, taken: Any = None, restocked: Any = None, **changes: Any) -> dict[str, Any]:
    """A line. taken, restocked: the shop's own counters."""
    counters = {"_reduced_stock": taken, "_restock_refunded_items": restocked}
    meta = [{"key": key, "value": value} for key, value in counters.items() if value is not None]
    return LINE | {"meta_data": [*LINE["meta_data"], *meta]} | changes


def order(
    status: str, *lines: dict[str, Any], paid: datetime | None = None, sent: datetime | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "id": 20,
        "number": "A-20",
        "status": status,
        "date_created": "2026-11-21T20:07:49",
        "date_created_gmt": gmt(PLACED),
        "date_modified_gmt": gmt(CHANGED),
        "date_paid_gmt": gmt(paid),
        "date_completed_gmt": gmt(sent),
        "billing": {"first_name": "Canary", "email": "canary@example.org"},
        "customer_note": "Canary",
        "line_items": list(lines) or [line(taken="3")],
        "refunds": [],
    } | changes


def refund(units: int, at: datetime | None, *, of: int = 2, number: int = 24) -> dict[str, Any]:
    part = LINE | {"id": 90 + number, "quantity": -units, "meta_data": [{"key": "_refunded_item_id", "value": str(of)}]}
    return {"id": number, "date_created_gmt": gmt(at), "reason": "Canary changed her mind", "line_items": [part]}


def read(row: Any, *refunds: Any) -> OrderSnapshot:
    found = translate.order_of(row, refunds, SHIPPED)
    assert isinstance(found, OrderSnapshot), found
    return found


def units(moved: tuple[Moved, ...]) -> int:
    return sum(one.units for one in moved)


def fate(line: OrderLine) -> dict[str, int]:
    """What became of the units of a line, the noughts left out."""
    told = {
        "cancelled": units(line.cancelled),
        "lost": units(line.lost),
        "shipped": units(line.shipped),
        "returned": units(line.returned),
    }
    return {name: number for name, number in told.items() if number}


def test_an_order_is_translated_field_by_field() -> None:
    assert read(order("processing", paid=PAID)) == OrderSnapshot(
        order="20",
        version=CHANGED,
        placed_at=PLACED,
        status=OrderStatus.OPEN,
        deducted_at=PAID,
        lines=(OrderLine(line="2", listing="15:18", sku="MUG-L", ordered=3),),
    )


TAKEN, FREE = line(taken="3"), line()

STATUSES = [
    # status, line, paid, sent -> our status, when it was taken off the shop's number, what became of the units
    ("pending", FREE, None, None, OrderStatus.PENDING, None, {}),
    ("on-hold", TAKEN, None, None, OrderStatus.OPEN, PLACED, {}),
    ("on-hold", FREE, None, None, OrderStatus.OPEN, PLACED, {}),  # nobody counts it
    ("processing", TAKEN, PAID, None, OrderStatus.OPEN, PAID, {}),
    ("processing", TAKEN, None, None, OrderStatus.OPEN, PLACED, {}),  # set by hand
    ("processing", FREE, PAID, None, OrderStatus.OPEN, PAID, {}),  # nobody counts it
    ("completed", TAKEN, PAID, SENT, OrderStatus.CLOSED, PAID, {"shipped": 3}),
    ("completed", TAKEN, PAID, None, OrderStatus.CLOSED, PAID, {"shipped": 3}),
    ("collected", TAKEN, PAID, None, OrderStatus.CLOSED, PAID, {"shipped": 3}),  # of a plugin, told in the settings
    ("packed", TAKEN, PAID, None, OrderStatus.OPEN, PAID, {}),  # of a plugin, not told
    ("packed", FREE, None, None, OrderStatus.OPEN, None, {}),
    ("cancelled", FREE, PAID, None, OrderStatus.CANCELLED, PAID, {}),
    ("cancelled", FREE, None, None, OrderStatus.CANCELLED, None, {}),  # never paid, or only on hold
    ("cancelled", FREE, PAID, SENT, OrderStatus.CANCELLED, PAID, {}),  # after it was completed: the units are back
    ("failed", FREE, None, None, OrderStatus.CANCELLED, None, {}),  # the usual: a card that was declined
    ("failed", TAKEN, None, None, OrderStatus.PENDING, PLACED, {}),  # after on-hold: the shop gives nothing back
    ("refunded", TAKEN, PAID, None, OrderStatus.CLOSED, PAID, {"lost": 3}),  # by status alone: nothing comes back
    ("refunded", TAKEN, PAID, SENT, OrderStatus.CLOSED, PAID, {"shipped": 3}),
    ("trash", FREE, None, None, OrderStatus.CANCELLED, None, {}),  # never taken, or cancelled before
    ("trash", TAKEN, PAID, None, OrderStatus.PENDING, PAID, {}),  # the trash restores nothing
    ("trash", TAKEN, PAID, SENT, OrderStatus.CLOSED, PAID, {"shipped": 3}),
]


@pytest.mark.parametrize(("status", "row", "paid", "sent", "ours", "taken_at", "became"), STATUSES)
def test_every_status_has_its_meaning(status, row, paid, sent, ours, taken_at, became) -> None:
    found = read(order(status, row, paid=paid, sent=sent))
    assert (found.status, found.deducted_at) == (ours, taken_at)
    assert fate(found.lines[0]) == became
    assert found.cancelled_at == (CHANGED if ours is OrderStatus.CANCELLED else None)


TRANSITIONS = [
    # from, to -> when it was taken off the number, before and after
    (order("pending", FREE), order("on-hold", TAKEN), None, PLACED),
    (order("pending", FREE), order("processing", TAKEN, paid=PAID), None, PAID),
    (order("pending", FREE), order("completed", TAKEN, paid=PAID, sent=SENT), None, PAID),
    (order("on-hold", TAKEN), order("pending", FREE), PLACED, None),  # given back
    (order("processing", TAKEN, paid=PAID), order("pending", FREE, paid=PAID), PAID, None),  # given back
    (order("on-hold", TAKEN), order("cancelled", FREE), PLACED, None),
    (order("processing", TAKEN, paid=PAID), order("cancelled", FREE, paid=PAID), PAID, PAID),
    (order("processing", TAKEN, paid=PAID), order("refunded", TAKEN, paid=PAID), PAID, PAID),
    (order("on-hold", TAKEN), order("failed", TAKEN), PLACED, PLACED),
    (order("processing", TAKEN, paid=PAID), order("trash", TAKEN, paid=PAID), PAID, PAID),
    (order("cancelled", FREE, paid=PAID), order("trash", FREE, paid=PAID), PAID, PAID),
    (order("cancelled", FREE, paid=PAID), order("processing", TAKEN, paid=PAID), PAID, PAID),
]


@pytest.mark.parametrize(("before", "after", "taken_before", "taken_after"), TRANSITIONS)
def test_a_change_of_status_says_what_happened_to_the_shops_number(before, after, taken_before, taken_after) -> None:
    assert (read(before).deducted_at, read(after).deducted_at) == (taken_before, taken_after)


@pytest.mark.parametrize("status", ["checkout-draft", "auto-draft"])
def test_a_cart_at_the_checkout_is_no_order_yet(status: str) -> None:
    assert not translate.is_order(order(status))
    assert translate.is_order(order("pending"))
    assert translate.is_order("nonsense"), "what cannot be read is reported"


REFUNDS = [
    # status, sent, line, refunds -> what became of the units
    ("processing", None, line(taken="2", restocked="1"), [refund(1, BEFORE_SENT)], {"cancelled": 1}),
    ("processing", None, line(taken="3"), [refund(1, BEFORE_SENT)], {"lost": 1}),
    ("completed", SENT, line(taken="2", restocked="1"), [refund(1, AFTER_SENT)], {"shipped": 3, "returned": 1}),
    ("completed", SENT, line(taken="3"), [refund(1, AFTER_SENT)], {"shipped": 3}),
    ("completed", SENT, line(taken="2", restocked="1"), [refund(1, BEFORE_SENT)], {"shipped": 2, "cancelled": 1}),
    ("completed", SENT, line(taken="3"), [refund(1, BEFORE_SENT)], {"shipped": 2, "lost": 1}),
    ("refunded", None, line(), [refund(3, BEFORE_SENT)], {"cancelled": 3}),  # all restocked: the counters are gone
    ("refunded", SENT, line(), [refund(3, AFTER_SENT)], {"shipped": 3, "returned": 3}),
    ("refunded", None, line(taken="3"), [refund(3, BEFORE_SENT)], {"lost": 3}),
    ("refunded", None, line(taken="2", restocked="1"), [refund(1, BEFORE_SENT)], {"cancelled": 1, "lost": 2}),
    ("processing", None, line(), [refund(1, BEFORE_SENT)], {"lost": 1}),  # nobody counts it: nothing says restocked
    ("processing", None, line(taken="2"), [refund(1, BEFORE_SENT)], {"cancelled": 1}),  # shops that keep one counter
    ("processing", None, line(taken=2, restocked=1), [refund(1, BEFORE_SENT)], {"cancelled": 1}),  # not as texts
    ("processing", None, line(taken="odd", restocked=[]), [refund(1, BEFORE_SENT)], {"lost": 1}),
    ("completed", SENT, line(taken="2", restocked="1"), [refund(1, None)], {"shipped": 3, "returned": 1}),
    ("processing", None, line(taken="3"), [refund(1, BEFORE_SENT, of=7)], {}),  # of another line
    ("processing", None, line(taken="3"), [{"id": 5, "date_created_gmt": None, "line_items": []}], {}),  # money only
]


@pytest.mark.parametrize(("status", "sent", "row", "refunds", "became"), REFUNDS)
def test_a_refund_moves_units_only_as_far_as_it_restocked(status, sent, row, refunds, became) -> None:
    found = read(order(status, row, paid=PAID, sent=sent), *refunds)
    assert fate(found.lines[0]) == became
    assert found.lines[0].ordered == 3, "a refund changes nothing of what was ordered"


def test_of_two_refunds_with_one_restock_the_older_is_taken() -> None:
    row = order("completed", line(taken="2", restocked="1"), paid=PAID, sent=SENT)
    later = AFTER_SENT.replace(hour=19)
    found = read(row, refund(1, later, number=25), refund(1, AFTER_SENT, number=24))
    assert found.lines[0].returned == (Moved(units=1, at=AFTER_SENT),)


def test_refunds_are_read_only_for_orders_that_name_some() -> None:
    assert translate.has_refunds(order("processing", refunds=[{"id": 24, "reason": "", "total": "-19.90"}]))
    for none in (order("processing"), {}, [], None, "?"):
        assert not translate.has_refunds(none)


def test_a_line_of_a_deleted_item_and_one_without_a_sku_name_none() -> None:
    found = read(order("processing", line(product_id=0, variation_id=0, sku=""), line(id=3, variation_id=0, sku=None)))
    assert [(one.listing, one.sku) for one in found.lines] == [(None, None), ("15", None)]


def test_an_order_that_was_never_changed_has_the_version_of_its_placing() -> None:
    assert read(order("pending", date_modified_gmt=None)).version == PLACED


def test_a_number_that_a_plugin_made_a_float_is_whole() -> None:
    assert read(order("processing", line(quantity=2.0))).lines[0].ordered == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (order("processing", line_items=[]), "no lines"),
        (order("processing", line(quantity=0.5)), "line_items.0.quantity"),
        (order("processing", line(quantity=-1)), "-1"),
        (order("processing", line(quantity="2")), "line_items.0.quantity"),
        (order("processing", line(quantity=True)), "line_items.0.quantity"),
        (order("processing", line(quantity=10**18)), "1000000000000000000"),
        (order("processing", line(id=0)), "line_items.0.id"),
        (order("processing", line(), line()), "two lines"),
        (order(""), "status"),
        (order("processing", date_created_gmt=None), "date_created_gmt"),
        (order("processing", date_created_gmt="yesterday"), "date_created_gmt"),
        ({"id": 20}, "status"),
        ({"id": "twenty"}, "id"),
        ("an order", "the answer"),
    ],
)
def test_an_order_that_makes_no_sense_is_kept_without_its_buyer(row: Any, reason: str) -> None:
    found = translate.order_of(row, [], SHIPPED)
    assert isinstance(found, UnreadableOrder)
    assert found.order == ("20" if isinstance(row, dict) and row.get("id") == 20 else NO_ID)
    assert reason in found.reason
    assert "anary" not in repr(found), "the buyer is in it"


def test_a_refund_that_makes_no_sense_makes_the_order_unreadable() -> None:
    found = translate.order_of(order("processing"), [{"id": "Canary"}], SHIPPED)
    assert isinstance(found, UnreadableOrder)
    assert "Canary" not in repr(found)


def test_nothing_about_the_buyer_is_in_an_order() -> None:
    assert "anary" not in repr(read(order("processing", paid=PAID), refund(1, BEFORE_SENT)))
