"""Each field of the marketplace's answers, on answers as docs/sandbox-marketplace.md shows them."""

import json
from datetime import UTC, datetime

import pytest

from channelsync.sdk.values import (
    NO_ID,
    Deducts,
    Listing,
    ListingState,
    Moved,
    OrderLine,
    OrderSnapshot,
    OrderStatus,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    UnreadableOrder,
)
from channelsync_sandbox import translate, wire

AT = datetime(2017, 12, 23, 8, 15, tzinfo=UTC)
LATER = datetime(2017, 12, 23, 9, 0, 0, 1, tzinfo=UTC)

ORDER = {
    "id": "A-1001",
    "status": "open",
    "site": "uk",
    "placed_at": "2017-12-23T08:15:00.000000Z",
    "paid_at": "2017-12-23T08:15:00.000000Z",
    "cancelled_at": None,
    "updated_at": "2017-12-23T09:00:00.000001Z",
    "currency": "EUR",
    "total": "9.98",
    "refunded": "0.00",
    "buyer": {"name": "Canary", "email": "canary@example.org", "address": {"street": "Canary Lane", "city": "Canary"}},
    "note": "Canary",
    "something_new": {"of": "no interest"},
    "lines": [
        {
            "id": "A-1001-1",
            "listing": "L-7",
            "sku": "MUG-BLUE",
            "title": "Mug, blue",
            "price": "4.99",
            "ordered": 5,
            "location": "north",
            "cancelled": [{"units": 1, "at": "2017-12-23T08:15:00Z", "location": None}],
            "written_off": [{"units": 1, "at": None, "location": None}],
            "shipped": [{"units": 2, "at": "2017-12-23T09:00:00.000001Z", "location": "north"}],
            "returned": [{"units": 1, "at": None, "location": ""}],
            "quarantined": [{"units": 1, "at": None, "location": None}],
        }
    ],
}


def with_line(**changes: object) -> dict:
    return ORDER | {"lines": [ORDER["lines"][0] | changes]}


def read(row: object) -> OrderSnapshot | UnreadableOrder:
    return translate.order_of(row, Deducts.AT_ORDER)


def test_an_order_is_translated_field_by_field() -> None:
    assert translate.order_of(ORDER, Deducts.AS_TOLD) == OrderSnapshot(
        order="A-1001",
        version=LATER,
        placed_at=AT,
        status=OrderStatus.OPEN,
        deducted_at=AT,
        lines=(
            OrderLine(
                line="A-1001-1",
                listing="L-7",
                sku="MUG-BLUE",
                ordered=5,
                location="north",
                cancelled=(Moved(units=1, at=AT),),
                lost=(Moved(units=1),),
                shipped=(Moved(units=2, at=LATER, location="north"),),
                returned=(Moved(units=1),),
                withheld=(Moved(units=1),),
            ),
        ),
    )


@pytest.mark.parametrize("deducts", [one for one in Deducts if one is not Deducts.AS_TOLD])
def test_a_payment_says_nothing_of_the_number_where_the_marketplace_deducts_at_another_time(deducts: Deducts) -> None:
    order = translate.order_of(ORDER, deducts)
    assert isinstance(order, OrderSnapshot)
    assert order.deducted_at is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("awaiting_payment", OrderStatus.PENDING),
        ("open", OrderStatus.OPEN),
        ("done", OrderStatus.CLOSED),
        ("cancelled", OrderStatus.CANCELLED),
    ],
)
def test_every_status_has_its_meaning(theirs: str, ours: OrderStatus) -> None:
    order = read(ORDER | {"status": theirs, "cancelled_at": "2017-12-23T09:00:00.000001Z"})
    assert isinstance(order, OrderSnapshot)
    assert (order.status, order.cancelled_at) == (ours, LATER)


def test_a_listing_that_is_not_known_any_more_and_a_blank_sku_are_none() -> None:
    for blank in (None, ""):
        order = read(with_line(listing=None, sku=blank))
        assert isinstance(order, OrderSnapshot)
        assert (order.lines[0].listing, order.lines[0].sku) == (None, None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ORDER | {"lines": []}, "no lines"),
        (with_line(ordered=1.5), "lines.0.ordered"),
        (with_line(ordered=1.0), "lines.0.ordered"),
        (with_line(ordered=True), "lines.0.ordered"),
        (with_line(ordered="2"), "lines.0.ordered"),
        (with_line(ordered=-2), "-2"),
        (with_line(ordered=10**18), "1000000000000000000"),
        (with_line(ordered=None), "lines.0.ordered"),
        (with_line(shipped=[{"units": -1, "at": None}]), "-1"),
        (with_line(id=""), "lines.0.id"),
        (ORDER | {"lines": ORDER["lines"] * 2}, "two lines"),
        (ORDER | {"status": "lost in space"}, "status"),
        (ORDER | {"placed_at": "yesterday"}, "placed_at"),
        (ORDER | {"placed_at": "2017-12-23T08:15:00"}, "placed_at"),
        ({"id": "A-1001"}, "Field required"),
    ],
)
def test_an_order_that_cannot_be_understood_is_kept_with_its_reason_and_without_its_buyer(row, reason: str) -> None:
    order = read(row)
    assert isinstance(order, UnreadableOrder)
    assert order.order == "A-1001"
    assert reason in order.reason
    assert "Canary" not in repr(order)
    assert json.loads(order.raw)["id"] == "A-1001"


@pytest.mark.parametrize("row", [None, "A-1001", 7, [], {}, {"id": 7}, {"id": None, "buyer": "Canary"}])
def test_what_is_no_order_at_all_is_kept_too(row: object) -> None:
    order = read(row)
    assert isinstance(order, UnreadableOrder)
    assert order.order == NO_ID
    assert "Canary" not in repr(order)


def test_a_listing_is_translated_field_by_field() -> None:
    row = wire.Listing.model_validate(
        {
            "id": "L-7",
            "site": "uk",
            "sku": "MUG-SET",
            "title": "Mugs",
            "barcode": "",
            "state": "inactive",
            "reasons": ["out of quantity"],
            "tracked": True,
            "backorders": True,
            "fulfilled_by": "channel",
            "keys": [
                {"key": "K-7", "location": "north", "number": -2, "committed": 3, "held": 1},
                {"key": "K-7", "location": "south", "number": None, "committed": None, "held": None},
            ],
            "page": "mugs",
            "parts": [{"listing": "L-3", "units": 2}],
        }
    )
    north, south = QuantityKey("K-7", "north"), QuantityKey("K-7", "south")
    assert translate.listing_of(row) == Listing(
        listing="L-7",
        sku="MUG-SET",
        title="Mugs",
        barcode=None,
        state=ListingState.INACTIVE,
        reasons=("out of quantity",),
        keys=(north, south),
        page="mugs",
        shown={north: -2},
        committed={north: 3},
        held={north: 1},
        tracked=True,
        sells_below_zero=True,
        fulfilled_by_channel=True,
        parts=(("L-3", 2),),
    )


def test_an_untracked_listing_shows_no_number() -> None:
    row = {"id": "L-7", "state": "active", "tracked": False, "keys": [{"key": "K-7", "number": None}], "page": None}
    listing = translate.listing_of(wire.Listing.model_validate(row))
    assert (listing.tracked, listing.shown, listing.keys) == (False, {}, (QuantityKey("K-7"),))
    assert listing.page == ""
    assert not listing.fulfilled_by_channel


def test_a_push_sends_what_is_expected_and_its_key_only_where_there_is_one() -> None:
    key = QuantityKey("K-7", "north")
    plain = QuantityUpdate(key=key, value=5, listing="L-7")
    full = QuantityUpdate(key=key, value=0, listing="L-7", expected=0, idempotency="g-1")
    assert translate.push_body([plain, full]) == {
        "updates": [
            {"key": "K-7", "location": "north", "listing": "L-7", "number": 5},
            {
                "key": "K-7",
                "location": "north",
                "listing": "L-7",
                "number": 0,
                "expected": 0,
                "idempotency_key": "g-1",
            },
        ]
    }


def test_results_are_matched_by_key_and_a_missing_or_unheard_of_one_is_unknown() -> None:
    keys = [QuantityKey("K", str(place)) for place in range(6)]
    updates = [QuantityUpdate(key=key, value=1, listing="L") for key in keys]
    rows = [
        {"location": "4", "status": "eaten"},
        {"location": "3", "status": "refused"},
        {"location": "2", "status": "refused", "code": "ended", "message": "The listing has ended."},
        {"location": "1", "status": "conflict", "number": 7},
        {"location": "0", "status": "accepted", "number": 1},
        {"location": "9", "status": "accepted", "number": 1},
    ]
    results = translate.results_of(updates, [wire.Result.model_validate({"key": "K"} | row) for row in rows])
    assert results == [
        PushResult.accepted(keys[0], 1),
        PushResult.conflict(keys[1], 7),
        PushResult.refused(keys[2], "ended: The listing has ended."),
        PushResult.refused(keys[3], "the marketplace gives no reason"),
        PushResult.unknown(keys[4], "the answer says 'eaten', which means nothing to us"),
        PushResult.unknown(keys[5], "the answer has no row for it"),
    ]
