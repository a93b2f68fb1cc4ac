"""Which numbers go in which batch, and what the answer's rows say of each."""

from typing import Any

import pytest

from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_woocommerce import pushes


def update(key: str, value: int) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(key), value=value, listing=key)


def test_a_push_is_one_batch_for_items_and_one_for_the_variations_of_each() -> None:
    one, two, three, four = update("10", 1), update("15:18", 2), update("22:23", 3), update("15:16", 4)
    batches = pushes.batches_of([one, two, three, four, update("no-such-key", 5)])
    assert batches == {0: [(10, one)], 15: [(18, two), (16, four)], 22: [(23, three)]}
    assert pushes.batch_body(batches[15]) == {
        "update": [{"id": 18, "stock_quantity": 2}, {"id": 16, "stock_quantity": 4}]
    }


ACCEPTED = {"id": 10, "manage_stock": True, "stock_quantity": 5}


@pytest.mark.parametrize(
    ("answered", "result"),
    [
        (ACCEPTED, PushResult.accepted(QuantityKey("10"), 5)),
        (ACCEPTED | {"stock_quantity": 4}, PushResult.accepted(QuantityKey("10"), 4)),  # sold meanwhile
        (ACCEPTED | {"stock_quantity": 5.0}, PushResult.accepted(QuantityKey("10"), 5)),
        (
            {"id": 10, "manage_stock": False, "stock_quantity": None},
            PushResult.refused(
                QuantityKey("10"), 'the shop ignores it: "Track stock quantity" is off for this product'
            ),
        ),
        (
            {"id": 10, "manage_stock": "parent", "stock_quantity": 12},
            PushResult.refused(QuantityKey("10"), "the shop ignores it: the number of the parent product counts"),
        ),
        (
            {"id": 10, "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {}}},
            PushResult.refused(QuantityKey("10"), "woocommerce_rest_product_invalid_id: Invalid ID."),
        ),
        ({"id": 10, "error": {}}, PushResult.refused(QuantityKey("10"), "the shop gives no reason")),
    ],
)
def test_what_the_row_shows_decides_and_not_the_200(answered: dict[str, Any], result: PushResult) -> None:
    assert pushes.results_of([(10, update("10", 5))], [answered]) == [result]


@pytest.mark.parametrize(
    "rows", [[], [None], [{"id": 11}], [{"id": "10"}], [{"id": 10, "stock_quantity": "5"}], [{"id": 10, "error": "?"}]]
)
def test_a_row_that_is_missing_or_cannot_be_read_leaves_the_outcome_unknown(rows: list[Any]) -> None:
    (result,) = pushes.results_of([(10, update("10", 5))], rows)
    assert result.state == "unknown"


def test_rows_are_matched_by_id_and_results_come_in_the_order_of_the_updates() -> None:
    batch = [(10, update("10", 5)), (11, update("11", 6))]
    rows = [{"id": 11, "manage_stock": True, "stock_quantity": 6}, ACCEPTED]
    assert [(one.key.key, one.shown) for one in pushes.results_of(batch, rows)] == [("10", 5), ("11", 6)]
