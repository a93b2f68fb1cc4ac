"""What is asked of the shop, page by page, and what its odd answers become. The shop is played by respx."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx
from structlog.testing import capture_logs

from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.values import OrderPage, QuantityKey, UnreadableOrder

API = "https://shop.example/wp-json/wc/v3"
START = datetime(2017, 6, 1, 9, 0, tzinfo=UTC)
NO_ROUTE = {"code": "rest_no_route", "message": "No route was found.", "data": {"status": 404}}
NO_SUCH = {"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}


async def everything(found: Any) -> list[Any]:
    return [one async for one in found]


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def order(number: int, changed: datetime, status: str = "processing", **more: Any) -> dict[str, Any]:
    line = {"id": number * 10, "product_id": 15, "variation_id": 0, "quantity": 1, "sku": "MUG", "meta_data": []}
    return {
        "id": number,
        "status": status,
        "date_created_gmt": "2017-06-01T08:00:00",
        "date_modified_gmt": text(changed),
        "date_paid_gmt": None,
        "date_completed_gmt": None,
        "line_items": [line],
        "refunds": [],
        **more,
    }


def ids(pages: list[OrderPage]) -> list[str]:
    return [one.order for page in pages for one in page.orders]


class Orders:
    """A list of orders that is searched as a shop searches its own."""

    def __init__(self, *rows: dict[str, Any], totals: bool = True, excludes: bool = True) -> None:
        self.rows = {row["id"]: row for row in rows}
        self.totals = totals
        self.excludes = excludes
        self.asked: list[dict[str, str]] = []
        self.before_answer: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        self.asked.append(params)
        self.before_answer()
        trash = params["status"] == "trash"
        since = params.get("modified_after", "")
        besides = {int(one) for one in params.get("exclude", "").split(",") if one} if self.excludes else set()
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: row["date_modified_gmt"])
            if row["date_modified_gmt"] > since and (row["status"] == "trash") == trash and row["id"] not in besides
        ]
        size, first = int(params["per_page"]), int(params.get("offset", "0"))
        headers = {"X-WP-Total": str(len(found))} if self.totals else {}
        return httpx.Response(200, json=found[first : first + size], headers=headers)


def searched(orders: Orders) -> respx.Route:
    return respx.get(f"{API}/orders").mock(side_effect=orders)


# Orders


@respx.mock
@pytest.mark.parametrize("totals", [True, False])
async def test_orders_come_page_by_page_the_oldest_change_first_after_the_trash(shop, totals: bool) -> None:
    rows = [order(number, START + timedelta(minutes=number)) for number in range(1, 8)]
    orders = Orders(*rows, order(9, START, "trash"), totals=totals)
    searched(orders)
    pages = await everything(shop.orders(cursor=None))
    assert ids(pages) == ["9", "1", "2", "3", "4", "5", "6", "7"]
    assert [page.covered_to for page in pages[:-1]] == [None] * (len(pages) - 1)
    assert pages[-1].covered_to == START
    first = orders.asked[1]
    assert "modified_after" not in first
    assert (first["status"], first["orderby"], first["order"], first["dates_are_gmt"]) == (
        "any",
        "modified",
        "asc",
        "true",
    )
    assert "billing" not in first["_fields"], "nothing about the buyer even leaves the shop"
    assert orders.asked[2]["modified_after"] == text(START + timedelta(minutes=3, seconds=-1))
    assert orders.asked[2]["exclude"] == "3"


@respx.mock
@pytest.mark.fault(6, "each round goes back by the overlap, so what the channel found late is read")
async def test_the_next_round_goes_back_by_the_overlap_and_the_skew(shop, clock) -> None:
    orders = Orders()
    searched(orders)
    (*_, last) = await everything(shop.orders(cursor=None))
    await clock.sleep(600)
    await everything(shop.orders(cursor=last.cursor))
    assert [one.get("modified_after") for one in orders.asked] == [
        None,
        None,
        "2017-06-01T08:57:54",
        "2017-06-01T08:57:54",
    ]


@respx.mock
@pytest.mark.parametrize("page", range(4))
async def test_a_cursor_goes_on_after_its_page_also_in_the_trash(shop, page: int) -> None:
    rows = [order(number, START + timedelta(minutes=number)) for number in range(1, 5)]
    trash = [order(number, START + timedelta(seconds=number), "trash") for number in range(11, 15)]
    searched(Orders(*rows, *trash))
    pages = await everything(shop.orders(cursor=None))
    rest = await everything(shop.orders(cursor=pages[page].cursor))
    assert set(ids(pages[: page + 1]) + ids(rest)) == {str(row["id"]) for row in (*rows, *trash)}


@respx.mock
async def test_rows_that_move_up_while_paging_are_not_skipped(shop) -> None:
    rows = [order(number, START + timedelta(minutes=number)) for number in range(1, 10)]
    orders = Orders(*rows)

    def change() -> None:
        if len(orders.asked) == 3:  # what came on the first page changes, so that all behind it moves up
            for number in (1, 2, 3):
                orders.rows[number] = order(number, START + timedelta(hours=1), "cancelled")

    orders.before_answer = change
    searched(orders)
    pages = await everything(shop.orders(cursor=None))
    assert set(ids(pages)) == {str(number) for number in range(1, 10)}
    assert ids(pages)[-3:] == ["1", "2", "3"]


@respx.mock
@pytest.mark.parametrize("number", [7, 9, 620])
async def test_more_orders_of_one_second_than_a_page_holds_all_come(shop, number: int) -> None:
    orders = Orders(*(order(one, START) for one in range(1, number + 1)), order(9999, START + timedelta(seconds=1)))
    searched(orders)
    found = ids(await everything(shop.orders(cursor=None)))
    assert set(found) == {*(str(one) for one in range(1, number + 1)), "9999"}
    assert len(found) == number + 1
    assert all(one.get("exclude", "").count(",") <= 500 for one in orders.asked), "an address has an end"


@respx.mock
async def test_a_page_that_leads_back_to_itself_is_an_error_and_no_endless_search(shop) -> None:
    searched(Orders(*(order(one, START) for one in range(1, 8)), excludes=False))
    with pytest.raises(ChannelMisbehaved, match="leads back"):
        await everything(shop.orders(cursor=None))


@respx.mock
async def test_a_page_of_orders_that_cannot_be_read_does_not_stop_the_search(shop) -> None:
    broken = [order(number, START, line_items="?") for number in range(1, 5)]
    searched(Orders(*broken, order(5, START + timedelta(seconds=5))))
    pages = await everything(shop.orders(cursor=None))
    assert [one.order for page in pages for one in page.unreadable] == ["1", "2", "3", "4"]
    assert ids(pages) == ["5"]


@respx.mock
async def test_carts_at_the_checkout_are_left_out(shop) -> None:
    searched(Orders(order(1, START, "checkout-draft"), order(2, START)))
    assert ids(await everything(shop.orders(cursor=None))) == ["2"]


@respx.mock
async def test_refunds_are_read_for_orders_that_have_some(shop, recorded) -> None:
    searched(Orders(*recorded("052")))
    refunds = respx.get(f"{API}/orders/20/refunds").respond(json=recorded("048"))
    pages = await everything(shop.orders(cursor=None))
    (found,) = [one for page in pages for one in page.orders if one.order == "20"]
    assert [one.units for one in found.lines[0].returned] == [1]
    assert refunds.call_count == 1


@respx.mock
async def test_orders_by_id_come_from_the_list_and_those_of_the_trash_one_by_one(shop) -> None:
    listed = respx.get(f"{API}/orders").respond(json=[order(7, START), order(8, START, line_items=[])])
    respx.get(f"{API}/orders/21").respond(json=order(21, START, "trash"))
    respx.get(f"{API}/orders/99").respond(404, json=NO_SUCH)
    found = await shop.orders_by_id(["21", "no-such-order", "8", "99", "7"])
    assert [one.order for one in found] == ["21", "8", "7"]
    assert isinstance(found[1], UnreadableOrder)
    assert dict(listed.calls[0].request.url.params)["include"] == "7,8,21,99"


@respx.mock
async def test_the_ids_of_a_day_are_asked_for_by_the_day_in_utc(shop) -> None:
    rows = [
        {"id": 1, "status": "processing"},
        {"id": 2, "status": "checkout-draft"},
        {"id": 3, "status": "cancelled"},
        "?",
    ]
    route = respx.get(f"{API}/orders").respond(json=rows, headers={"X-WP-TotalPages": "1"})
    assert await everything(shop.order_ids(date(2026, 11, 21))) == ["1", "3"]
    params = dict(route.calls[0].request.url.params)
    assert (params["after"], params["before"], params["dates_are_gmt"]) == (
        "2026-11-20T23:59:59",
        "2026-11-22T00:00:00",
        "true",
    )


async def test_a_cursor_of_another_connector_is_refused(shop) -> None:
    for cursor in ("17", "{}x", '{"page": 3}', '{"since": "yesterday"}', '{"stream": "all"}'):
        with pytest.raises(ValueError, match="no cursor of this connector"):
            await everything(shop.orders(cursor=cursor))


# Listings and numbers


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Mug {number}",
        "sku": f"MUG-{number}",
        "manage_stock": True,
        "stock_quantity": 7,
        **more,
    }


class Rows:
    """A list of products or variations, paged as a shop pages it."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.asked: list[dict[str, str]] = []
        self.before_answer: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        self.asked.append(params)
        self.before_answer()
        wanted = {int(one) for one in params.get("include", "").split(",") if one}
        found = [one for one in self.rows if not wanted or one["id"] in wanted]
        size, page = int(params.get("per_page", "10")), int(params.get("page", "1"))
        headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
        return httpx.Response(200, json=found[(page - 1) * size : page * size], headers=headers)


def roof(number: int, *under: int) -> dict[str, Any]:
    return row(number, type="variable", variations=list(under), manage_stock=False, stock_quantity=None)


@respx.mock
async def test_every_listing_comes_with_the_variations_under_their_parents(shop) -> None:
    respx.get(f"{API}/products").mock(side_effect=Rows(row(10), roof(15, 16, 17), row(20), row(21), row(22)))
    respx.get(f"{API}/products/15/variations").mock(side_effect=Rows(row(16, sku="S"), row(17, sku="M")))
    found = await everything(shop.listings())
    assert {one.listing for one in found} == {"10", "15:16", "15:17", "20", "21", "22"}


@respx.mock
async def test_variations_of_many_parents_are_one_call_where_the_shop_can(shop) -> None:
    flat = respx.get(f"{API}/variations").mock(side_effect=Rows(row(16, parent_id=15), row(26, parent_id=25)))
    reads = await shop.read([QuantityKey("15:16"), QuantityKey("25:26"), QuantityKey("25:27")])
    assert [one.value for one in reads] == [7, 7, None]
    assert flat.call_count == 1


@respx.mock
async def test_an_older_shop_is_asked_parent_by_parent_and_not_tried_again(shop) -> None:
    flat = respx.get(f"{API}/variations").respond(404, json=NO_ROUTE)
    respx.get(f"{API}/products/15/variations").mock(side_effect=Rows(row(16)))
    respx.get(f"{API}/products/25/variations").respond(
        404, json={"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."}
    )
    for _ in "ab":
        reads = await shop.read([QuantityKey("15:16"), QuantityKey("25:26")])
        assert [one.value for one in reads] == [7, None]
    assert flat.call_count == 1


@respx.mock
async def test_reads_come_in_the_order_asked_with_the_times_of_their_request(shop, clock) -> None:
    respx.get(f"{API}/products").mock(
        side_effect=Rows(row(10), row(11, stock_quantity=-2), row(12, manage_stock=False))
    )
    keys = [QuantityKey(one) for one in ("12", "no-such-key", "11", "99", "10", "11")]
    reads = await shop.read(keys)
    assert [one.key for one in reads] == keys
    assert [one.value for one in reads] == [None, None, -2, None, 7, -2]
    assert {(one.asked, one.answered) for one in reads} == {(START, START)}
    assert await shop.read([]) == []


async def test_more_keys_than_declared_are_a_value_error(shop) -> None:
    with pytest.raises(ValueError, match="100"):
        await shop.read([QuantityKey(str(number)) for number in range(1, 102)])


@pytest.mark.fault(39, "what moved up is read again")
@respx.mock
async def test_what_moved_up_because_a_row_was_removed_is_read_again(shop) -> None:
    products = Rows(*(row(number) for number in range(1, 11)))

    def remove() -> None:
        if len(products.asked) == 2:
            del products.rows[0]

    products.before_answer = remove
    respx.get(f"{API}/products").mock(side_effect=products)
    found = [one.listing for one in await everything(shop.listings())]
    assert sorted(found, key=int) == [str(number) for number in range(1, 11)]


@respx.mock
async def test_listings_whose_pages_lead_back_are_an_error_and_not_half_a_list(shop) -> None:
    rows = [row(number) for number in range(1, 4)]
    respx.get(f"{API}/products").respond(json=rows, headers={"X-WP-TotalPages": "9", "X-WP-Total": "27"})
    with pytest.raises(ChannelMisbehaved, match="leads back"):
        await everything(shop.listings())


@respx.mock
async def test_listings_by_id_come_in_the_order_asked(shop) -> None:
    respx.get(f"{API}/products").mock(side_effect=Rows(row(10), roof(15, 16, 17)))
    respx.get(f"{API}/products/15/variations").mock(side_effect=Rows(row(16), row(17)))
    found = await shop.listings_by_id(["15:17", "no-such-listing", "10", "15", "15:99", "77"])
    assert [one.listing for one in found] == ["15:17", "10"]


@respx.mock
async def test_a_row_that_cannot_be_read_is_named_and_its_neighbours_come(shop) -> None:
    respx.get(f"{API}/products").mock(side_effect=Rows(row(10), row(11, stock_quantity=1.5)))
    with capture_logs() as logs:
        found = await everything(shop.listings())
    assert [one.listing for one in found] == ["10"]
    assert [(one["event"], one["listing"]) for one in logs if one["log_level"] == "warning"] == [
        ("listing.unreadable", 11)
    ]


# Access and failures


HOME = '<https://www.Shop.example/wp-json/>; rel="https://api.w.org/"'


def checked(link: str = "") -> respx.Route:
    """A shop of many orders and products: the next page's address takes the place of its own, as recorded (021)."""
    paged = {"Link": '<https://www.shop.example/wp-json/wc/v3/products?page=2>; rel="next"'}
    respx.get(f"{API}/orders").respond(json=[{"id": 1}], headers=paged)
    respx.get(f"{API}/products").respond(json=[{"id": 1}], headers=paged)
    return respx.post(f"{API}/products/batch").respond(json=[], headers={"Link": link} if link else {})


@respx.mock
@pytest.mark.parametrize("link", [HOME, f'{HOME}, <https://x.example>; rel="alternate"'])
async def test_check_tries_every_permission_and_names_the_shop_as_it_names_itself(shop, link: str) -> None:
    batch = checked(link)
    assert await shop.check() == Identity("www.shop.example", "www.shop.example")
    assert json.loads(batch.calls[0].request.content) == {"update": []}, "it changes nothing"


@respx.mock
async def test_a_shop_that_does_not_name_itself_is_named_by_its_address(shop) -> None:
    checked()
    assert (await shop.check()).name == "shop.example"


@respx.mock
async def test_a_key_that_may_only_read_is_found_out_by_the_check(shop) -> None:
    checked()
    error = {
        "code": "woocommerce_rest_authentication_error",
        "message": "no write permissions",
        "data": {"status": 401},
    }
    respx.post(f"{API}/products/batch").respond(401, json=error)
    with pytest.raises(NeedsSeller, match="Read/Write"):
        await shop.check()


@respx.mock
async def test_a_recorded_refusal_needs_the_seller_and_names_the_header_that_hosts_drop(shop, recorded) -> None:
    for number in ("001", "002"):
        respx.get(f"{API}/products").respond(401, json=recorded(number))
        with pytest.raises(NeedsSeller) as caught:
            await shop.listings_by_id(["10"])
        assert 'auth = "query"' in caught.value.what_to_do
        assert "woocommerce_rest_cannot_view" in caught.value.what_to_do


@respx.mock
@pytest.mark.parametrize("answer", [httpx.Response(404, json=NO_ROUTE), httpx.Response(404, html="<h1>Not found</h1>")])
async def test_an_address_without_the_api_needs_the_seller(shop, answer: httpx.Response) -> None:
    respx.get(f"{API}/products").mock(return_value=answer)
    with pytest.raises(NeedsSeller, match="permalinks"):
        await shop.listings_by_id(["10"])


@respx.mock
async def test_a_throttled_read_is_tried_again_and_then_later(shop, clock) -> None:
    limited = httpx.Response(429, headers={"Retry-After": "7"})
    route = respx.get(f"{API}/products").mock(side_effect=[limited, httpx.Response(200, json=[row(10)])])
    assert [one.value for one in await shop.read([QuantityKey("10")])] == [7]
    assert route.call_count == 2
    assert clock.monotonic() >= 1007
    respx.get(f"{API}/products").respond(429, headers={"Retry-After": "3600"})
    with pytest.raises(TryLater) as caught:
        await shop.read([QuantityKey("10")])
    assert caught.value.retry_after == 3600


@respx.mock
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_shop_that_is_down_is_tried_later(shop, status: int) -> None:
    respx.get(f"{API}/products").respond(status, html="<h1>Error establishing a database connection</h1>")
    with pytest.raises(TryLater):
        await shop.read([QuantityKey("10")])


@respx.mock
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>Maintenance</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, json={"envelope": {"buyer": "Canary"}}),
        httpx.Response(200, content=b'[{"id": 1, "billing": {"first_name": "Canary"'),
    ],
)
async def test_an_answer_that_nobody_can_read_is_an_error_and_no_empty_list(shop, answer: httpx.Response) -> None:
    respx.get(f"{API}/orders").mock(return_value=answer)
    with pytest.raises(AnswerUnreadable) as caught:
        await everything(shop.orders(cursor=None))
    assert "Canary" not in repr(caught.value) + str(caught.value)
