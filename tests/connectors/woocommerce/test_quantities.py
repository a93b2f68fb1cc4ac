"""Which numbers go in which batch, and what the answer's rows say of each."""

from typing import Any

import pytest

from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_woocommerce import quantities


def update(key: str, value: int) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(key), value=value, listing=key)


@pytest.mark.parametrize(("ids", "batch", "row"), [((10, 0), 0, 10), ((15, 18), 15, 18)])
def test_products_go_in_one_batch_and_the_variations_of_each_in_another(
    ids: tuple[int, int], batch: int, row: int
) -> None:
    assert (quantities.batch_of(ids), quantities.row_of(ids)) == (batch, row)


def test_a_batch_names_rows_and_their_numbers_and_switches_no_counting_on() -> None:
    assert quantities.batch_body([(18, update("15:18", 2)), (16, update("15:16", 4))]) == {
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
    assert quantities.results_of([(10, update("10", 5))], [answered]) == [result]


@pytest.mark.parametrize(
    "rows", [[], [None], [{"id": 11}], [{"id": "10"}], [{"id": 10, "stock_quantity": "5"}], [{"id": 10, "error": "?"}]]
)
def test_a_row_that_is_missing_or_cannot_be_read_leaves_the_outcome_unknown(rows: list[Any]) -> None:
    (result,) = quantities.results_of([(10, update("10", 5))], rows)
    assert result.state == "unknown"


def test_rows_are_matched_by_id_and_results_come_in_the_order_of_the_updates() -> None:
    batch = [(10, update("10", 5)), (11, update("11", 6))]
    rows = [{"id": 11, "manage_stock": True, "stock_quantity": 6}, ACCEPTED]
    assert [(one.key.key, one.shown) for one in quantities.results_of(batch, rows)] == [("10", 5), ("11", 6)]
