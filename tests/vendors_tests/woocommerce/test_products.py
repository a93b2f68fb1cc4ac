"""Products, variations and their numbers, read and written over the API."""

import pytest

from channelsync.sdk.contract.world import ContractClock


async def _pass(clock: ContractClock, seconds: float = 5) -> None:
    await clock.sleep(seconds)


def test_a_number_is_absolute_and_the_answer_shows_it(ask) -> None:
    mug = ask.simple(number=10)
    for value in (3, 3, 250, 0):
        told = ask("PUT", f"/products/{mug}", {"stock_quantity": value})
        assert (told.status, told.body["stock_quantity"], ask.number(mug)) == (200, value, value)
    assert ask("GET", f"/products/{mug}").body["stock_status"] == "outofstock"


@pytest.mark.parametrize(
    ("sent", "shown"), [(-3, -3), (None, 0), ("7", 7), (7.0, 7), ("abc", None), (1.5, None), (True, None), ([], None)]
)
def test_what_a_single_write_makes_of_odd_numbers(ask, sent: object, shown: int | None) -> None:
    mug = ask.simple(number=10)
    told = ask("PUT", f"/products/{mug}", {"stock_quantity": sent})
    if shown is None:
        assert (told.status, told.body["code"]) == (400, "rest_invalid_param")
        assert told.body["data"]["params"] == {"stock_quantity": "stock_quantity is not of type integer."}
    else:
        assert (told.status, told.body["stock_quantity"]) == (200, shown)
    assert ask.number(mug) == (10 if shown is None else shown)


@pytest.mark.parametrize(("sent", "shown"), [("abc", 0), (1.5, 1), ("7 pieces", 7), (None, 10), (-3, -3)])
def test_a_batch_checks_nothing_and_counts_as_php_counts(ask, sent: object, shown: int) -> None:
    mug = ask.simple(number=10)
    told = ask("POST", "/products/batch", {"update": [{"id": mug, "stock_quantity": sent}]})
    assert (told.status, told.body["update"][0]["stock_quantity"]) == (200, shown)


def test_a_number_for_what_manages_none_is_ignored_without_a_word(ask) -> None:
    loose = ask.simple("LOOSE", None)
    family, (small,) = ask.shirt(("S", 5))
    for product, shown in ((loose, None), (family, None)):
        told = ask("PUT", f"/products/{product}", {"stock_quantity": 9})
        assert (told.status, told.body["stock_quantity"], told.body["manage_stock"]) == (200, shown, False)
    assert ask("GET", f"/products/{family}/variations/{small}").body["stock_quantity"] == 5
    told = ask("PUT", f"/products/{loose}", {"manage_stock": True, "stock_quantity": 9})
    assert told.body["stock_quantity"] == 9
    told = ask("PUT", f"/products/{loose}", {"manage_stock": False})
    assert told.body["stock_quantity"] is None


def test_what_manages_no_number_has_the_stock_status_that_was_set(ask) -> None:
    loose = ask.simple("LOOSE", None)
    market = ask.site.marketplace
    for status, units in (("outofstock", 0), ("onbackorder", 2), ("instock", 2)):
        told = ask("PUT", f"/products/{loose}", {"stock_status": status, "stock_quantity": 5}).body
        assert (told["stock_status"], told["stock_quantity"]) == (status, None)
        assert market.buy(str(loose), 2).units == units


def test_a_null_in_a_batch_changes_nothing(ask) -> None:
    mug = ask.simple("MUG", 10)
    row = {"id": mug, "name": None, "manage_stock": None, "stock_quantity": None, "status": None}
    told = ask("POST", "/products/batch", {"update": [row]}).body["update"][0]
    assert (told["name"], told["manage_stock"], told["stock_quantity"], told["status"]) == ("MUG", True, 10, "publish")


def test_variations_may_be_managed_by_themselves_by_their_parent_or_not_at_all(ask) -> None:
    family, (own, shared, other) = ask.shirt(("S", 5), ("M", None), ("L", None))
    under = f"/products/{family}/variations"
    before = ask("GET", f"{under}/{shared}").body
    assert (before["manage_stock"], before["stock_quantity"]) == (False, None)
    ask("PUT", f"/products/{family}", {"manage_stock": True, "stock_quantity": 8})
    for variation, manages, shown in ((own, True, 5), (shared, "parent", 8), (other, "parent", 8)):
        told = ask("GET", f"{under}/{variation}").body
        assert (told["manage_stock"], told["stock_quantity"]) == (manages, shown)
    ask.order(family, 3, line_items=[{"product_id": family, "variation_id": shared, "quantity": 3}], set_paid=True)
    assert [ask("GET", f"{under}/{each}").body["stock_quantity"] for each in (own, shared, other)] == [5, 5, 5]
    assert ask.number(family) == 5
    ignored = ask("PUT", f"{under}/{shared}", {"stock_quantity": 99})
    assert (ignored.status, ignored.body["stock_quantity"]) == (200, 5)
    word = ask("PUT", f"{under}/{shared}", {"manage_stock": "parent"})
    assert word.body["data"]["params"] == {"manage_stock": "manage_stock is not of type boolean."}


@pytest.mark.parametrize(
    ("backorders", "number", "status", "allowed"),
    [
        ("no", 1, "instock", False),
        ("no", 0, "outofstock", False),
        ("notify", 0, "onbackorder", True),
        ("yes", -2, "onbackorder", True),
        ("no", -2, "outofstock", False),
    ],
)
def test_the_stock_status_follows_the_number(ask, backorders: str, number: int, status: str, *, allowed: bool) -> None:
    mug = ask.simple(number=number, backorders=backorders)
    shown = ask("GET", f"/products/{mug}").body
    assert (shown["stock_status"], shown["backorders_allowed"]) == (status, allowed)
    assert shown["backordered"] is (status == "onbackorder")
    assert [each["id"] for each in ask("GET", "/products", query=f"stock_status={status}").body] == [mug]


def test_a_family_is_in_stock_while_one_of_its_variations_is(ask) -> None:
    family, (small, large) = ask.shirt(("S", 1), ("L", 0))
    assert ask("GET", f"/products/{family}").body["stock_status"] == "instock"
    ask("PUT", f"/products/{family}/variations/{small}", {"stock_quantity": 0})
    assert ask("GET", f"/products/{family}").body["stock_status"] == "outofstock"
    assert ask("GET", f"/products/{family}").body["variations"] == [small, large]


def test_a_batch_answers_each_row_and_takes_a_hundred_in_all(ask) -> None:
    mug = ask.simple("MUG", 1)
    _, (small,) = ask.shirt(("S", 5))
    rows = [{"id": mug, "stock_quantity": 4}, {"id": 4711, "stock_quantity": 1}, {"id": small, "stock_quantity": 1}]
    told = ask("POST", "/products/batch", {"update": rows})
    first, unknown, variation = told.body["update"]
    assert (told.status, first["stock_quantity"]) == (200, 4)
    assert (unknown["id"], unknown["error"]["data"]["status"]) == (4711, 400)
    assert variation["error"]["code"] == "woocommerce_rest_invalid_product_id"
    full = [{"id": mug, "stock_quantity": 5}] * 60
    many = ask("POST", "/products/batch", {"update": full, "delete": [1] * 41})
    assert (many.status, many.body["code"]) == (413, "woocommerce_rest_request_entity_too_large")
    assert ask.number(mug) == 4
    assert ask("POST", "/products/batch", {"update": full + full[:40]}).status == 200


def test_variations_are_written_by_batches_of_their_own_parent(ask) -> None:
    family, (small, large) = ask.shirt(("S", 5), ("L", 7))
    other = ask.simple("MUG", 1)
    rows = [{"id": small, "stock_quantity": 2}, {"id": other, "stock_quantity": 2}]
    told = ask("POST", f"/products/{family}/variations/batch", {"update": rows}).body["update"]
    assert told[0]["stock_quantity"] == 2
    assert told[1]["error"]["code"] == "woocommerce_rest_product_variation_invalid_id"
    assert ask("PUT", f"/products/{family}/variations/{other}", {"stock_quantity": 1}).status == 404
    assert ask("GET", f"/products/{family}/variations/{large}").body["stock_quantity"] == 7


def test_a_delta_is_added_to_what_is_there(ask) -> None:
    mug = ask.simple(number=10)
    assert ask("PUT", f"/products/{mug}", {"inventory_delta": -4}).body["stock_quantity"] == 6


def test_a_sku_is_there_once_and_finds_variations_too(ask) -> None:
    ask.simple("MUG", 1)
    told = ask("POST", "/products", {"name": "Again", "sku": "MUG"})
    assert (told.status, told.body["code"], told.body["data"]["unique_sku"]) == (400, "product_invalid_sku", "MUG-1")
    family, (small,) = ask.shirt(("S", 5))
    found = ask("GET", "/products", query="sku=SHIRT-S,MUG").body
    assert sorted((each["type"], each["parent_id"]) for each in found) == [("simple", 0), ("variation", family)]
    assert small in [each["id"] for each in found]
    assert all(each["type"] != "variation" for each in ask("GET", "/products").body)


async def test_lists_page_filter_and_sort(ask, clock: ContractClock) -> None:
    made = []
    for turn in range(5):
        made.append(ask.simple(f"SKU-{turn}", turn))
        await _pass(clock)
    ids = lambda query: [each["id"] for each in ask("GET", "/products", query=query).body]  # noqa: E731
    assert ids("") == made[::-1]
    assert ids("orderby=id&order=asc&per_page=2&page=2") == made[2:4]
    assert ids("per_page=2&page=9") == []
    assert sorted(ids(f"include={made[0]},{made[3]}")) == [made[0], made[3]]
    assert ids(f"include[]={made[2]}") == [made[2]]
    assert ids(f"exclude={made[4]}&per_page=1") == [made[3]]
    since = ask("GET", f"/products/{made[2]}").body["date_modified_gmt"]
    assert ids(f"modified_after={since}&dates_are_gmt=true&order=asc") == made[3:]
    ask("PUT", f"/products/{made[0]}", {"stock_quantity": 5})
    assert ids("orderby=modified&per_page=1") == [made[0]]
    fields = ask("GET", "/products", query="_fields=id,dimensions.width,categories.id&per_page=1").body
    assert fields == [{"id": made[4], "dimensions": {"width": ""}, "categories": []}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("per_page=0", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ("per_page=101", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ("page=0", "page must be greater than or equal to 1"),
        ("page=two", "page is not of type integer."),
        ("order=up", "order is not one of asc and desc."),
        ("status=gone", "status is not one of any, future, trash, draft, pending, private, and publish."),
        ("modified_after=yesterday", "Invalid date."),
        ("include=1,x", "include[1] is not of type integer."),
        ("dates_are_gmt=maybe", "dates_are_gmt is not of type boolean."),
    ],
)
def test_parameters_that_do_not_fit_are_refused(ask, query: str, message: str) -> None:
    told = ask("GET", "/products", query=query)
    assert (told.status, told.body["code"]) == (400, "rest_invalid_param")
    assert list(told.body["data"]["params"].values()) == [message]


def test_the_headers_of_a_list_lead_on_and_back(ask) -> None:
    for turn in range(5):
        ask.simple(f"SKU-{turn}", 1)
    told = ask("GET", "/products", query="per_page=2&page=2&status=any")
    root = "https://shop.example/wp-json/wc/v3/products?per_page=2&page"
    assert (told.headers["x-wp-total"], told.headers["x-wp-totalpages"]) == ("5", "3")
    assert told.headers["link"] == f'<{root}=1&status=any>; rel="prev", <{root}=3&status=any>; rel="next"'


def test_a_site_may_shorten_every_page(open_shop) -> None:
    ask = open_shop(per_page_cap=2)
    for turn in range(5):
        ask.simple(f"SKU-{turn}", 1)
    told = ask("GET", "/products", query="per_page=100")
    assert (len(told.body), told.headers["x-wp-totalpages"]) == (2, "3")


def test_the_trash_hides_and_deletes_nothing(ask) -> None:
    mug = ask.simple("MUG", 4)
    shown = ask("DELETE", f"/products/{mug}")
    assert (shown.status, shown.body["status"]) == (200, "publish")
    assert ask("GET", "/products").body == []
    assert [each["id"] for each in ask("GET", "/products", query="status=trash").body] == [mug]
    assert ask("GET", f"/products/{mug}").body["status"] == "trash"
    assert ask("DELETE", f"/products/{mug}").status == 410
    assert ask("DELETE", f"/products/{mug}", query="force=true").status == 200
    assert (ask("GET", f"/products/{mug}").status, ask("DELETE", f"/products/{mug}").status) == (404, 404)
    assert ask("PUT", f"/products/{mug}", {"stock_quantity": 1}).status == 400


def test_drafts_are_listed_and_cannot_be_bought(ask) -> None:
    mug = ask.simple("MUG", 4, status="draft")
    assert [each["status"] for each in ask("GET", "/products").body] == ["draft"]
    market = ask.site.marketplace
    assert market.buy(str(mug), 1).order is None
    ask("PUT", f"/products/{mug}", {"status": "publish"})
    assert market.buy(str(mug), 1).units == 1


def test_the_flat_list_of_variations_came_with_version_10_3(open_shop) -> None:
    assert open_shop()("GET", "/variations").status == 404
    assert open_shop(version="10.2.2")("GET", "/variations").status == 404
    ask = open_shop(version="10.3.0")
    family, children = ask.shirt(("S", 5), ("L", 7))
    found = ask("GET", "/variations", query="order=asc").body
    assert [(each["id"], each["parent_id"]) for each in found] == [(child, family) for child in children]


async def test_a_sold_variation_moves_its_parents_date_too(ask, clock: ContractClock) -> None:
    family, (small,) = ask.shirt(("S", 5))
    before = ask("GET", f"/products/{family}").body["date_modified_gmt"]
    await _pass(clock)
    ask.site.marketplace.buy(f"{family}:{small}", 1)
    assert ask("GET", f"/products/{family}").body["date_modified_gmt"] > before


def test_bodies_that_are_no_json_are_refused(ask) -> None:
    mug = ask.simple(number=3)
    told = ask("PUT", f"/products/{mug}", raw=b'{"stock_quantity": 4')
    assert (told.status, told.body["code"], ask.number(mug)) == (400, "rest_invalid_json", 3)


def test_a_plugin_may_refuse_a_write_and_leaves_the_others(ask) -> None:
    mug, cup = ask.simple("MUG", 3), ask.simple("CUP", 3)
    ask.site.api.products.writes.refusals[mug] = "under review"
    rows = [{"id": mug, "stock_quantity": 9}, {"id": cup, "stock_quantity": 9}]
    first, second = ask("POST", "/products/batch", {"update": rows}).body["update"]
    assert (first["error"]["message"], second["stock_quantity"]) == ("under review", 9)
    assert (ask.number(mug), ask.number(cup)) == (3, 9)
