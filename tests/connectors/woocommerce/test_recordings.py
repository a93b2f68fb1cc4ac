"""Every recorded answer of a real shop is read, and says what was done when it was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from channelsync.sdk.values import Listing, OrderSnapshot, OrderStatus, QuantityKey, QuantityUpdate
from channelsync_woocommerce import quantities, translate, translate_listings, wire
from channelsync_woocommerce.channel import home_of

ELSEWHERE = ("webhooks", "settings", "wc-analytics", "wc/store")
"""Parts of the API that this connector never asks."""


def snapshot(row: Any, refunds: Any = ()) -> OrderSnapshot:
    found = translate.order_of(row, refunds, ("completed",))
    assert isinstance(found, OrderSnapshot), found
    return found


def listing(row: Any) -> Listing | None:
    return translate_listings.product_of(wire.Row.model_validate(row))


def _read(path: str, body: Any) -> None:
    """Reads an answer as the connector would; raises where it cannot."""
    rows = body if isinstance(body, list) else body.get("update", body.get("create", [body]))
    for row in rows:
        if "/refunds" in path:
            wire.Refund.model_validate(row)
        elif "/orders" in path:
            snapshot(row)
        elif "error" in row:
            wire.Written.model_validate(row)
        else:
            wire.Row.model_validate(row)


def test_every_recorded_answer_is_read(recordings: Path) -> None:
    read = refused = 0
    for path in sorted(recordings.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if "response" not in kept:
            continue
        url, answer = kept["request"]["url"], kept["response"]
        asked = url.partition("?")[0].partition("/wp-json/")[2]
        if asked == "wc/v3/" or any(part in asked for part in ELSEWHERE):
            continue
        if answer["status"] >= 400:
            error = wire.Error.model_validate(answer["body"])
            assert error.code, path.name
            assert error.message, path.name
            refused += 1
        else:
            _read(asked, answer["body"])
            read += 1
    assert read >= 35
    assert refused >= 9


@pytest.mark.parametrize(
    ("number", "status", "taken", "ordered"),
    [
        ("038", OrderStatus.PENDING, False, [2]),
        ("039", OrderStatus.OPEN, True, [2]),
        ("040", OrderStatus.CLOSED, True, [3, 2]),  # paid over the API, it was completed at once
        ("041", OrderStatus.CLOSED, True, [50]),  # more than there were
        ("042", OrderStatus.CLOSED, True, [3]),
        ("043", OrderStatus.CANCELLED, False, [2]),  # was on its way, never paid
        ("050", OrderStatus.CLOSED, True, [50]),
    ],
)
def test_a_recorded_order_says_what_was_done(recorded, number, status, taken, ordered) -> None:
    found = snapshot(recorded(number))
    assert (found.status, found.deducted_at is not None) == (status, taken)
    assert [line.ordered for line in found.lines] == ordered


def test_recorded_refunds_with_and_without_restock_are_told_apart(recorded) -> None:
    found = snapshot(recorded("047"), recorded("048"))
    mugs, shirts = found.lines
    assert ([one.units for one in mugs.shipped], [one.units for one in mugs.returned]) == ([3], [1])
    assert (mugs.cancelled, mugs.lost, shirts.returned) == ((), (), ())
    assert (mugs.listing, shirts.listing) == ("11", "15:18")


def test_recorded_orders_hold_nothing_about_the_buyer(recorded) -> None:
    kept = repr([snapshot(row, recorded("048")) for row in recorded("052")])
    assert not [word for word in ("Ada", "Lab St", "Oakland", "example.test", "one back") if word in kept]


def test_the_recorded_catalogue_is_listed_as_it_was_made(recorded) -> None:
    rows = recorded("022")
    found = {one.listing: one for one in map(listing, rows) if one is not None}
    assert {name: list(one.shown.values()) for name, one in found.items()} == {
        "10": [10],
        "11": [10],
        "12": [10],
        "13": [1],
        "14": [],
    }
    assert [name for name, one in found.items() if one.sells_below_zero] == ["13"]
    assert [name for name, one in found.items() if not one.tracked] == ["14"]
    (roof,) = [wire.Row.model_validate(row) for row in rows if row["id"] == 15]
    under = [translate_listings.variation_of(wire.Row.model_validate(row), roof) for row in recorded("027")]
    assert {one.listing: (one.sku, list(one.shown.values())) for one in under} == {
        "15:18": ("SHIRT-L", [7]),
        "15:17": ("SHIRT-M", [0]),
        "15:16": ("SHIRT-S", [5]),
    }


def batch(*values: tuple[str, int, int]) -> list[tuple[int, QuantityUpdate]]:
    return [(row, QuantityUpdate(key=QuantityKey(key), value=value, listing=key)) for key, row, value in values]


def test_a_recorded_batch_with_errors_refuses_those_rows_alone(recorded) -> None:
    sent = batch(("10", 10, 10), ("11", 11, 10), ("12", 12, 0), ("999999", 999999, 3), ("16", 16, 4))
    results = quantities.results_of(sent, recorded("035")["update"])
    assert [(one.state, one.shown) for one in results] == [
        ("accepted", 10),
        ("accepted", 10),
        ("accepted", 0),
        ("refused", None),
        ("refused", None),
    ]
    assert results[3].reason == "woocommerce_rest_product_invalid_id: Invalid ID."
    assert "/products/<product_id>/variations/<id>" in results[4].reason


def test_a_recorded_batch_of_variations_is_accepted(recorded) -> None:
    results = quantities.results_of(batch(("15:16", 16, 6), ("15:17", 17, 2)), recorded("036")["update"])
    assert [(one.state, one.shown) for one in results] == [("accepted", 6), ("accepted", 2)]


@pytest.mark.parametrize(("number", "name"), [("033", 14), ("034", 15)])
def test_a_recorded_write_that_the_shop_ignored_is_refused(recorded, number: str, name: int) -> None:
    (result,) = quantities.results_of(batch((str(name), name, 5)), [recorded(number)])
    assert (result.state, result.shown) == ("refused", None)
    assert "Track stock quantity" in result.reason


def test_a_recorded_negative_number_is_read_as_it_is(recorded) -> None:
    found = listing(recorded("030"))
    assert found is not None
    assert found.shown == {QuantityKey("10"): -3}


def test_a_recorded_answer_names_the_shop(recordings: Path) -> None:
    kept = json.loads((recordings / "022_products_list_fields.json").read_text(encoding="utf-8"))
    links = ", ".join(value for name, value in kept["response"]["headers"] if name == "link")
    assert home_of(links) == "https://127.0.0.1:4100"


@pytest.mark.parametrize(
    "name", ["orders__list-all-orders", "orders__retrieve-an-order", "products__list-all-products"]
)
def test_the_answers_in_the_vendors_documentation_are_read(recordings: Path, name: str) -> None:
    fixture = recordings.parents[1] / "contracts" / "woocommerce" / "fixtures" / f"{name}.json"
    _read("/orders" if name.startswith("orders") else "/products", json.loads(fixture.read_text(encoding="utf-8")))
