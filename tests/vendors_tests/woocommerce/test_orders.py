"""Orders over the API: what each status and each refund does to the numbers, and how they are found."""

import json
from zoneinfo import ZoneInfo

import pytest

from channelsync.sdk.contract.world import ContractClock

PAID = {"payment_method": "card", "set_paid": True}


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        (("pending", "processing", "completed"), (10, 7, 7)),
        (("on-hold", "processing", "cancelled"), (7, 7, 10)),
        (("processing", "pending", "processing"), (7, 10, 7)),
        (("processing", "refunded", "cancelled"), (7, 7, 10)),
        (("processing", "failed", "processing"), (7, 7, 7)),
        (("failed", "pending", "completed"), (10, 10, 7)),
        (("completed", "processing", "cancelled"), (7, 7, 10)),
        (("completed", "cancelled", "completed"), (7, 10, 7)),
        (("cancelled", "pending", "on-hold"), (10, 10, 7)),
        (("cancelled", "processing", "cancelled"), (10, 7, 10)),
        (("processing", "processing", "completed"), (7, 7, 7)),
    ],
)
def test_the_number_follows_the_status(ask, path: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 3)
    seen = []
    for status in path:
        told = ask("PUT", f"/orders/{order}", {"status": status})
        assert (told.status, told.body["status"]) == (200, status)
        seen.append(ask.number(mug))
    assert tuple(seen) == numbers


@pytest.mark.parametrize(("method", "status"), [("card", "processing"), ("cod", "completed"), ("bacs", "processing")])
def test_a_paid_order_is_processing_or_completed_at_once(ask, method: str, status: str) -> None:
    mug = ask.simple(number=10)
    lines = [{"product_id": mug, "quantity": 2}]
    told = ask("POST", "/orders", {"payment_method": method, "set_paid": True, "line_items": lines}).body
    assert told["status"] == status
    assert (told["date_paid"] is None, told["date_completed"] is None) == (False, status != "completed")
    assert ask.number(mug) == 8


def test_each_line_tells_what_it_took_off(ask) -> None:
    mug, loose = ask.simple("MUG", 10), ask.simple("LOOSE", None)
    lines = [{"product_id": mug, "quantity": 2}, {"sku": "LOOSE", "quantity": 1}]
    order = ask("POST", "/orders", {"line_items": lines, "payment_method": "card"}).body
    assert [line["meta_data"] for line in order["line_items"]] == [[], []]
    paid = ask("PUT", f"/orders/{order['id']}", {"set_paid": True}).body
    metas = [{meta["key"]: meta["value"] for meta in line["meta_data"]} for line in paid["line_items"]]
    assert metas == [{"_reduced_stock": "2"}, {}]
    assert [line["product_id"] for line in paid["line_items"]] == [mug, loose]
    gone = ask("PUT", f"/orders/{order['id']}", {"status": "cancelled"}).body
    assert [line["meta_data"] for line in gone["line_items"]] == [[], []]


def test_orders_over_the_api_are_taken_without_a_limit_and_leave_negative_numbers(ask) -> None:
    mug = ask.simple(number=2)
    order = ask.order(mug, 50, set_paid=True)
    assert (ask.number(mug), ask("GET", f"/products/{mug}").body["stock_status"]) == (-48, "outofstock")
    ask("PUT", f"/orders/{order}", {"status": "cancelled"})
    assert ask.number(mug) == 2


def test_a_change_of_quantity_moves_the_number_at_once(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 3, set_paid=True)
    item = ask("GET", f"/orders/{order}").body["line_items"][0]["id"]
    for quantity, number in ((5, 5), (1, 9)):
        told = ask("PUT", f"/orders/{order}", {"line_items": [{"id": item, "quantity": quantity}]}).body
        assert (told["line_items"][0]["quantity"], ask.number(mug)) == (quantity, number)
    unpaid = ask.order(mug, 2)
    item = ask("GET", f"/orders/{unpaid}").body["line_items"][0]["id"]
    ask("PUT", f"/orders/{unpaid}", {"line_items": [{"id": item, "quantity": 4}]})
    assert (ask.number(mug), ask("GET", f"/orders/{unpaid}").body["status"]) == (5, "pending")
    ask("PUT", f"/orders/{unpaid}", {"status": "processing"})
    assert ask.number(mug) == 5


def _refund(ask, order: int, units: int, *, amount: str = "10.00", **more: object):
    item = ask("GET", f"/orders/{order}").body["line_items"][0]["id"]
    lines = [{"id": item, "quantity": units, "refund_total": 10.0 * units}]
    return ask("POST", f"/orders/{order}/refunds", {"amount": amount, "api_refund": False, "line_items": lines, **more})


@pytest.mark.parametrize("status", ["processing", "completed"])
@pytest.mark.parametrize(("restock", "number"), [(True, 8), (False, 7), (None, 8)])
def test_a_refund_puts_units_back_only_when_it_says_so(ask, status: str, restock: object, number: int) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 3, set_paid=True, status=status)
    more = {} if restock is None else {"api_restock": restock}
    told = _refund(ask, order, 1, **more)
    assert (told.status, told.body["amount"], told.body["line_items"][0]["quantity"]) == (201, "10.00", -1)
    assert ask.number(mug) == number
    shown = ask("GET", f"/orders/{order}").body
    assert (shown["status"], shown["line_items"][0]["quantity"]) == (status, 3)
    metas = {meta["key"]: meta["value"] for meta in shown["line_items"][0]["meta_data"]}
    back = {"_reduced_stock": "2", "_restock_refunded_items": "1"}
    assert metas == (back if number == 8 else {"_reduced_stock": "3"})
    ask("PUT", f"/orders/{order}", {"status": "cancelled"})
    assert ask.number(mug) == 10


def test_a_refund_of_all_the_money_makes_it_refunded(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 2, set_paid=True)
    assert _refund(ask, order, 2, amount="20.00", api_restock=False).status == 201
    assert (ask("GET", f"/orders/{order}").body["status"], ask.number(mug)) == ("refunded", 8)
    listed = ask("GET", f"/orders/{order}/refunds")
    assert (len(listed.body), listed.headers["x-wp-total"]) == (1, "1")
    one = ask("GET", f"/orders/{order}/refunds/{listed.body[0]['id']}")
    assert one.body == listed.body[0]


def test_a_client_s_mistake_in_a_refund_is_answered_as_the_server_s(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 2, set_paid=True)
    for body, message in (
        ({"amount": "20.01", "api_refund": False}, "Invalid refund amount."),
        ({"amount": "5.00"}, "The payment gateway for this order does not exist."),
    ):
        told = ask("POST", f"/orders/{order}/refunds", body)
        code = "woocommerce_rest_cannot_create_order_refund"
        assert (told.status, told.body) == (500, {"code": code, "message": message, "data": 500})
    assert ask("GET", f"/orders/{order}").body["refunds"] == []
    assert ask("POST", "/orders/4711/refunds", {"amount": "1"}).status == 404


def test_a_deleted_refund_leaves_what_it_restocked(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 3, set_paid=True)
    refund = _refund(ask, order, 1).body["id"]
    assert ask("DELETE", f"/orders/{order}/refunds/{refund}").status == 501
    assert ask("DELETE", f"/orders/{order}/refunds/{refund}", query="force=true").status == 200
    assert (ask("GET", f"/orders/{order}/refunds").body, ask.number(mug)) == ([], 8)


async def test_the_trash_and_a_deletion_give_nothing_back(ask, clock: ContractClock) -> None:
    mug = ask.simple(number=10)
    first, second = ask.order(mug, 3, set_paid=True), ask.order(mug, 2, set_paid=True)
    await clock.sleep(60)
    shown = ask("DELETE", f"/orders/{first}")
    assert (shown.status, shown.body["status"]) == (200, "processing")
    assert ask("DELETE", f"/orders/{second}", query="force=true").status == 200
    assert ask.number(mug) == 5
    assert ask("GET", f"/orders/{first}").body["status"] == "trash"
    assert (ask("GET", f"/orders/{second}").status, ask("DELETE", f"/orders/{first}").status) == (404, 410)
    assert ask("GET", "/orders").body == []
    assert [each["id"] for each in ask("GET", "/orders", query="status=trash").body] == [first]
    changed = ask("GET", f"/orders/{first}").body["date_modified_gmt"]
    assert changed > shown.body["date_modified_gmt"], "who goes by the time of change sees it"


def test_orders_that_cannot_be_made_say_why(ask) -> None:
    mug = ask.simple(number=10)
    rows = (
        ({"quantity": 1}, "woocommerce_rest_required_product_reference"),
        ({"product_id": 4711}, "woocommerce_rest_invalid_product_id"),
        ({"product_id": mug, "quantity": "many"}, "rest_invalid_param"),
    )
    for row, code in rows:
        told = ask("POST", "/orders", {"line_items": [row]})
        assert (told.status, told.body["code"]) == (400, code)
    assert ask("POST", "/orders", {"status": "lost"}).body["code"] == "rest_invalid_param"
    assert ask("PUT", "/orders/4711", {"status": "pending"}).status == 400
    assert ask("GET", "/orders/4711").body["code"] == "woocommerce_rest_shop_order_invalid_id"


async def test_orders_are_found_by_their_change_in_whole_seconds(ask, clock: ContractClock) -> None:
    mug = ask.simple(number=10)
    made = []
    for _ in range(4):
        made.append(ask.order(mug))
        await clock.sleep(10)
    ids = lambda query: [each["id"] for each in ask("GET", "/orders", query=query).body]  # noqa: E731
    at = [ask("GET", f"/orders/{order}").body["date_modified_gmt"] for order in made]
    gmt = "dates_are_gmt=true&orderby=modified&order=asc"
    assert ids(f"modified_after={at[1]}&{gmt}") == made[2:], "the end itself is left out"
    assert ids(f"modified_before={at[1]}&{gmt}") == made[:1]
    ask("PUT", f"/orders/{made[0]}", {"customer_note": "later"})
    assert ids(f"modified_after={at[1]}&{gmt}") == [*made[2:], made[0]]
    assert ids(f"after={at[1]}&dates_are_gmt=true") == made[:1:-1]
    assert ids(f"include={made[3]},{made[1]}&orderby=include") == [made[3], made[1]]
    assert ids(f"exclude={made[0]}&per_page=1&order=asc") == [made[1]]
    assert ids("status=processing,on-hold") == []
    assert ids(f"search={made[2]}") == [made[2]]
    ask("PUT", f"/orders/{made[1]}", {"status": "on-hold"})
    assert ids("status=processing,on-hold") == [made[1]]


async def test_a_page_number_counts_over_rows_that_move(ask, clock: ContractClock) -> None:
    mug = ask.simple(number=100)
    made = []
    for _ in range(4):
        made.append(ask.order(mug))
        await clock.sleep(2)
    query = "orderby=modified&order=asc&per_page=2&page={}"
    first = [each["id"] for each in ask("GET", "/orders", query=query.format(1)).body]
    ask("PUT", f"/orders/{made[0]}", {"customer_note": "changed between the pages"})
    second = [each["id"] for each in ask("GET", "/orders", query=query.format(2)).body]
    assert (first, second) == (made[:2], [made[3], made[0]]), "order 3 fell between the pages"


async def test_dates_without_gmt_are_the_site_s(open_shop, clock: ContractClock) -> None:
    ask = open_shop(zone=ZoneInfo("America/New_York"))
    mug = ask.simple(number=10)
    order = ask.order(mug)
    shown = ask("GET", f"/orders/{order}").body
    assert (shown["date_created"], shown["date_created_gmt"]) == ("2017-06-01T05:00:00", "2017-06-01T09:00:00")
    found = lambda query: bool(ask("GET", "/orders", query=query).body)  # noqa: E731
    assert found("modified_after=2017-06-01T04:59:59")
    assert not found("modified_after=2017-06-01T05:00:00")
    assert not found("modified_after=2017-06-01T08:59:59")
    assert found("modified_after=2017-06-01T08:59:59&dates_are_gmt=true")
    assert found("modified_after=2017-06-01T08:59:59Z")
    assert found("modified_after=2017-06-01T12:59:59Z&dates_are_gmt=true"), "Z is turned into the site's time first"


def test_fields_and_totals(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 2)
    told = ask("GET", "/orders", query="_fields=id,status,billing.country,line_items")
    assert list(told.body[0]) == ["id", "status", "billing", "line_items"]
    assert list(told.body[0]["billing"]) == ["country"]
    assert (told.headers["x-wp-total"], told.body[0]["line_items"][0]["total"]) == ("1", "20.00")
    assert ask("GET", f"/orders/{order}", query="_fields=id").body == {"id": order}


def test_a_batch_of_orders_changes_each_by_itself(ask) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug, 2)
    rows = [{"id": order, "status": "processing"}, {"id": 4711, "status": "processing"}]
    told = ask("POST", "/orders/batch", {"update": rows}).body["update"]
    assert (told[0]["status"], told[1]["error"]["code"]) == ("processing", "woocommerce_rest_shop_order_invalid_id")
    assert ask.number(mug) == 8


def test_the_json_is_as_php_writes_it(ask) -> None:
    mug = ask.simple("MUG/ü", 10, regular_price="19.90")
    ask.order(mug, 3)
    body = ask.site.api.exchanges[-1].reply.body
    assert b'"MUG\\/\\u00fc"' in body
    assert b'"price":19.900000000000002' in body
    assert json.loads(body)["line_items"][0]["total"] == "59.70"
