"""The judge of requests by a shop's own list of routes: what the real shop took is right, what it refused is not."""

import json
from pathlib import Path

import pytest

from vendor_woocommerce import params
from vendor_woocommerce.recorded import Recorded
from vendor_woocommerce.routes import Routes

ROOT = "/wp-json/wc/v3"
VARIATIONS = rf"{ROOT}/products/7/variations"

WRONG = {
    "018_product_create_decimal_stock": (400, "stock_quantity"),
    "024_products_list_per_page_101": (400, "per_page"),
    "031_product_set_stock_string": (400, "stock_quantity"),
    "059_webhook_deliveries": (404, "no such route"),
    "032_product_set_stock_null": (200, "stock_quantity"),
    "044_order_refund_partial_restock": (201, "line_items"),
    "045_order_refund_partial_norestock": (201, "line_items"),
}
"""Recorded requests that the shop's list of routes forbids, with the shop's answer: it lets a null pass unchecked, and
does not name the lines of a refund. Our connector sends neither."""

ELSEWHERE = ("060", "101")
"""Of other APIs than this one: wc-analytics, and that of the checkout."""


@pytest.fixture
def routes(recordings_folder: Path) -> Routes:
    return Routes.read(recordings_folder)


def test_it_finds_wrong_what_the_shop_found_wrong_and_nothing_else(recorded: list[Recorded], routes: Routes) -> None:
    found = {}
    for row in recorded:
        problems = routes.problems(row.method, row.path, row.raw_query, row.sent)
        if problems and not row.name.startswith(ELSEWHERE):
            found[row.name] = (row.status, *problems)
    assert {name: status for name, (status, *_) in found.items()} == {
        name: status for name, (status, _) in WRONG.items()
    }
    assert [name for name, (_, what) in WRONG.items() if what not in found[name][1]] == []


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "says"),
    [
        ("GET", f"{ROOT}/orders", b"status=any,paid", {}, "status"),
        ("GET", f"{ROOT}/orders", b"orderby=changed", {}, "orderby"),
        ("GET", f"{ROOT}/orders", b"modified_after=yesterday", {}, "modified_after"),
        ("GET", f"{ROOT}/orders", b"modified_since=2026-01-01T00:00:00", {}, "modified_since is no parameter"),
        ("GET", f"{ROOT}/orders", b"page=0", {}, "page"),
        ("GET", f"{ROOT}/orders", b"include=1,b", {}, "include"),
        ("GET", f"{ROOT}/orders", b"dates_are_gmt=perhaps", {}, "dates_are_gmt"),
        ("PATCH", f"{ROOT}/orders", b"", {}, "no such route"),
        ("GET", f"{ROOT}/no-such-thing", b"", {}, "no such route"),
        ("GET", "/wc/v3/orders", b"", {}, "no such route"),
        ("POST", f"{ROOT}/webhooks", b"", {"topic": "order.updated"}, "delivery_url is required"),
        ("POST", f"{ROOT}/products/batch", b"", {"update": [{"id": 7, "stock_quantity": "x"}]}, "stock_quantity"),
        ("POST", f"{ROOT}/products/batch", b"", {"update": [{"stock_quantity": 7}]}, "no id"),
        ("POST", f"{ROOT}/products/batch", b"", {"update": [{"id": 7, "stock": 7}]}, "stock is no parameter"),
        ("POST", f"{ROOT}/products/batch", b"", {"change": []}, "change is nothing"),
        ("POST", f"{VARIATIONS}/batch", b"", {"update": [{"id": 7, "manage_stock": "parent"}]}, "manage_stock"),
    ],
)
def test_it_says_what_is_wrong(routes: Routes, method: str, path: str, query: bytes, body: object, says: str) -> None:
    (problem,) = routes.problems(method, path, query, json.dumps(body).encode() if body else b"")
    assert says in problem


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("LIST_ORDERS", "/orders"),
        ("LIST_PRODUCTS", "/products"),
        ("LIST_VARIATIONS", "/products/7/variations"),
        ("LIST_REFUNDS", "/orders/7/refunds"),
        ("LIST_WEBHOOKS", "/webhooks"),
    ],
)
def test_the_server_takes_the_parameters_that_a_shop_has(routes: Routes, name: str, path: str) -> None:
    found = routes.route("GET", ROOT + path)
    assert found is not None
    args = found[0].args
    for parameter, ours in getattr(params, name).items():
        theirs = args[parameter]
        words = theirs.get("enum") or theirs.get("items", {}).get("enum") or ()
        assert set(ours.enum) <= set(words), parameter
        assert (ours.least, ours.most) == (theirs.get("minimum"), theirs.get("maximum")), parameter
        kind = {"date": "string", "list": "array"}.get(ours.kind, ours.kind)
        assert kind == theirs["type"], parameter
