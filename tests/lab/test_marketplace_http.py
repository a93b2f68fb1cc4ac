"""The marketplace's HTTP API, as docs/sandbox-marketplace.md tells it."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channelsync.lab.marketplace_accounts import Account
from channelsync.lab.marketplace_endpoints import ENDPOINTS
from channelsync.lab.marketplace_http import MarketplaceApi, Request
from channelsync.lab.marketplace_json import CANARY
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import NumberKey, Offer

Client = Any  # see conftest
Opened = Callable[..., tuple[Site, Client]]
PAGE = Path(__file__).parents[2] / "docs" / "sandbox-marketplace.md"


@pytest.fixture
def plain(opened: Opened) -> tuple[Site, Client]:
    """A marketplace with 10 mugs."""
    site, client = opened(PRESETS["plain"])
    site.marketplace.open_listing(Offer(listing="L-mug", sku="MUG", title="Mug", keys=(NumberKey("K-mug"),)), 10)
    return site, client


def error(reply: Any) -> tuple[int, str]:
    content = httpx.Response(reply.status, content=reply.body).json()
    return reply.status, content["error"]["code"]


# The page


def test_the_page_names_every_endpoint_every_declared_rule_and_every_refusal() -> None:
    page = PAGE.read_text()
    for method, path in ENDPOINTS:
        assert re.search(rf"{method} +{re.escape(path.replace('*', '{id}'))}\b|{method} +/v1/webhooks/", page), path
    for name in PRESETS["plain"].declares():
        assert f"`{name}`" in page, name
    source = (Path(__file__).parents[2] / "src/channelsync/lab").glob("marketplace_*.py")
    given = re.compile(r'(?:ApiError\(\s*\d+,|refused\([\w.]+,)\s*"([a-z_]+)"')
    codes = {code for file in source for code in given.findall(file.read_text())}
    assert {"stale_token", "bad_cursor", "not_yours", "revisions_spent", "busy"} <= codes
    for code in codes:
        assert f"`{code}`" in page, code


# Tokens and accounts


def test_a_call_without_a_good_token_is_refused(plain: tuple[Site, Client], clock: Any) -> None:
    _, client = plain
    client.token = "nobody's"
    assert error(client.call("GET", "/v1/account")) == (401, "unknown_token")
    asked = {"grant_type": "refresh_token", "refresh_token": "nobody's"}
    assert error(client.call("POST", "/oauth/token", asked)) == (400, "invalid_grant")
    assert error(client.call("POST", "/oauth/token", {"grant_type": "password"})) == (400, "bad_request")


def test_tokens_end_by_age_on_command_and_when_the_seller_withdraws(opened: Opened, clock: Any) -> None:
    site, client = opened(PRESETS["tokens last 10 min"])
    clock.go(599)
    assert client.json("GET", "/v1/account")["account"] == "agora"
    clock.go(1)
    assert error(client.call("GET", "/v1/account")) == (401, "stale_token")
    client.fresh_token()
    site.api.tokens.drop()
    assert error(client.call("GET", "/v1/account")) == (401, "stale_token")
    client.fresh_token()
    site.api.tokens.revoke(site.account)
    assert error(client.call("GET", "/v1/account")) == (401, "stale_token")
    asked = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    assert error(client.call("POST", "/oauth/token", asked)) == (400, "invalid_grant")


def test_two_accounts_of_a_seller_share_numbers_orders_and_budget_but_not_listings(
    plain: tuple[Site, Client], clock: Any
) -> None:
    site, client = plain
    market = site.marketplace
    api = MarketplaceApi(market, [Account("uk", "rt-uk", "uk"), Account("de", "rt-de", "de")], Random(1))
    uk, de = type(client)(api, "rt-uk"), type(client)(api, "rt-de")
    for place in ("uk", "de"):
        market.open_listing(Offer(listing=f"L-{place}", sku="POT", site=place, keys=(NumberKey("K-pot"),)), 5)
    market.buy("L-uk", 1)
    market.buy("L-de", 2)
    assert [row["id"] for row in uk.json("GET", "/v1/listings")["listings"]] == ["L-uk"]
    assert (uk.numbers("K-pot"), de.numbers("K-pot")) == ([2], [2])
    assert [row["site"] for row in de.orders()] == ["de"]
    assert [row["site"] for row in de.orders(scope="seller")] == ["uk", "de"]
    sellers = [each.json("GET", "/v1/account")["seller"]["id"] for each in (uk, de)]
    assert sellers[0] == sellers[1]
    left = float(de.call("GET", "/v1/account").headers["x-budget-available"])
    uk.call("GET", "/v1/account")
    assert float(de.call("GET", "/v1/account").headers["x-budget-available"]) == left - 2


# Budget


def test_a_call_over_the_budget_is_refused_costs_nothing_and_is_counted(opened: Opened, clock: Any) -> None:
    site, client = opened(PRESETS["tight budget"])
    for _ in range(5):
        reply = client.call("GET", "/v1/orders")
    assert (reply.status, reply.headers["x-call-cost"], reply.headers["x-budget-available"]) == (200, "2", "0.000")
    reply = client.call("GET", "/v1/orders")
    assert (error(reply), reply.headers["retry-after"]) == ((429, "over_budget"), "4")
    assert [(v.endpoint, v.cost, v.budget) for v in site.api.meter.violations] == [("orders", 2, "second")]
    clock.go(4)
    assert client.call("GET", "/v1/orders").status == 200
    assert len(site.api.meter.violations) == 1


def test_a_refusal_says_when_to_come_back_in_seconds_as_a_date_or_not_at_all(opened: Opened) -> None:
    said = {}
    for preset in ("tight budget", "tight budget, no Retry-After", "tight budget, Retry-After as a date"):
        _, client = opened(PRESETS[preset])
        replies = [client.call("GET", "/v1/orders") for _ in range(6)]
        said[preset] = replies[-1].headers.get("retry-after")
    assert said == {
        "tight budget": "4",
        "tight budget, no Retry-After": None,
        "tight budget, Retry-After as a date": "Sat, 23 Dec 2017 12:00:04 GMT",
    }


def test_a_days_quota_begins_anew_at_midnight_of_the_marketplaces_clock(opened: Opened, clock: Any) -> None:
    rules = replace(PRESETS["day quota"], budget_per_day=3.0, skew=3_600.0)
    site, client = opened(rules)
    codes = [client.call("GET", "/v1/account").status for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    assert site.api.meter.violations[-1].budget == "day"
    clock.go(11 * 3_600 - 1)
    assert client.call("GET", "/v1/account").status == 429
    clock.go(1)
    reply = client.call("GET", "/v1/account")
    assert (reply.status, reply.headers["x-budget-day-available"]) == (200, "2")


# Orders


def test_an_order_is_written_whole_with_a_buyer_to_be_dropped(plain: tuple[Site, Client]) -> None:
    site, client = plain
    order = site.marketplace.buy("L-mug", 2).order
    assert order is not None
    site.marketplace.ship(order.id, {order.lines[0].id: 1})
    written = client.orders()[0]
    assert written["lines"][0] == {
        "id": "agora-1001-1",
        "listing": "L-mug",
        "sku": "MUG",
        "title": "Mug",
        "price": "9.99",
        "ordered": 2,
        "location": None,
        "cancelled": [],
        "written_off": [],
        "shipped": [{"units": 1, "at": "2017-12-23T12:00:00.000001Z", "location": None}],
        "returned": [],
        "quarantined": [],
    }
    assert (written["status"], written["total"], written["placed_at"]) == (
        "open",
        "19.98",
        "2017-12-23T12:00:00.000000Z",
    )
    assert written["updated_at"] > written["placed_at"]
    buyer = written["buyer"]
    assert all(
        CANARY in str(text).upper() for text in (buyer["name"], buyer["email"], buyer["address"], written["note"])
    )


def test_the_search_goes_on_from_a_time_and_that_time_is_included(plain: tuple[Site, Client], clock: Any) -> None:
    site, client = plain
    names = []
    for _ in range(3):
        order = site.marketplace.buy("L-mug", 1).order
        assert order is not None
        names.append(order.id)
        clock.go(60)
    since = site.marketplace.orders[names[1]].updated_at
    assert [row["id"] for row in client.orders(since)] == names[1:]
    assert [row["id"] for row in client.orders(since + timedelta(microseconds=1))] == names[2:]
    site.marketplace.cancel(names[0])
    assert [row["id"] for row in client.orders(since)] == [names[1], names[2], names[0]]


def test_every_page_size_and_page_kind_gives_all_orders_once_while_nothing_changes(opened: Opened) -> None:
    for pages in ("stable", "shifting"):
        for size in (1, 2, 3, 7, 8):
            site, client = opened(replace(PRESETS["plain"], order_pages=pages, orders_per_page=size))
            site.marketplace.open_listing(Offer(listing="L-mug", sku="MUG"), 100)
            names = [sale.order.id for sale in (site.marketplace.buy("L-mug", 1) for _ in range(7)) if sale.order]
            assert [row["id"] for row in client.orders()] == names, (pages, size)
            assert [row["id"] for row in client.orders(limit="2")] == names


def test_the_ids_of_a_day_are_those_placed_on_it_by_the_marketplaces_clock(opened: Opened, clock: Any) -> None:
    site, client = opened(replace(PRESETS["plain"], skew=60.0))
    site.marketplace.open_listing(Offer(listing="L-mug", sku="MUG"), 2000)
    clock.go(12 * 3_600 - 61)
    site.marketplace.buy("L-mug", 1)
    clock.go(1)
    for _ in range(501):
        site.marketplace.buy("L-mug", 1)
    site.marketplace.cancel("agora-1001")

    def ids(day: date) -> list[str]:
        found, cursor = [], {}
        while True:
            page = client.json("GET", "/v1/orders/ids", placed_on=day.isoformat(), **cursor)
            found += page["ids"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    assert ids(date(2017, 12, 23)) == ["agora-1001"]
    assert ids(date(2017, 12, 24)) == [f"agora-{1002 + n}" for n in range(501)]
    assert ids(date(2017, 12, 25)) == []


def test_orders_that_a_broken_marketplace_writes_are_odd_in_one_way_each(plain: tuple[Site, Client]) -> None:
    site, client = plain
    order = site.marketplace.buy("L-mug", 2).order
    assert order is not None
    odd = {}
    for oddity in ("no lines", "half a unit", "negative units", "unknown SKU", "no id of the line"):
        site.api.orders.odd[order.id] = oddity
        lines = client.orders()[0]["lines"]
        odd[oddity] = [(line.get("id") is not None, line["sku"], line["ordered"]) for line in lines]
    assert odd == {
        "no lines": [],
        "half a unit": [(True, "MUG", 0.5)],
        "negative units": [(True, "MUG", -1)],
        "unknown SKU": [(True, "NOBODY-KNOWS-THIS", 2)],
        "no id of the line": [(False, "MUG", 2)],
    }
    del site.api.orders.odd[order.id]
    site.marketplace.ship(order.id)
    assert client.orders()[0]["lines"][0]["ordered"] == 2


# Listings and numbers


def test_listings_come_page_by_page_and_by_id_with_their_numbers(opened: Opened) -> None:
    site, client = opened(PRESETS["small pages"])
    for number in range(7):
        site.marketplace.open_listing(Offer(listing=f"L-{number}", sku=None if number == 0 else f"S-{number}"), number)
    first = client.json("GET", "/v1/listings")
    assert [row["id"] for row in first["listings"]] == ["L-0", "L-1", "L-2"]
    second = client.json("GET", "/v1/listings", cursor=first["next"], limit="5")
    third = client.json("GET", "/v1/listings", cursor=second["next"])
    assert ([row["id"] for row in third["listings"]], third["next"]) == (["L-6"], None)
    row = client.json("POST", "/v1/listings/read", {"ids": ["L-0", "L-none"]})["listings"]
    assert row == [
        {
            "id": "L-0",
            "site": None,
            "sku": None,
            "title": "",
            "barcode": None,
            "state": "active",
            "reasons": [],
            "tracked": True,
            "backorders": False,
            "fulfilled_by": "seller",
            "keys": [{"key": "K-L-0", "location": "", "number": 0, "committed": None, "held": None}],
            "page": None,
            "parts": [],
        }
    ]


def test_a_push_answers_row_by_row_and_a_bad_row_does_not_touch_its_neighbours(plain: tuple[Site, Client]) -> None:
    site, client = plain
    site.marketplace.open_listing(Offer(listing="L-pot", sku="POT"), 1)
    results = client.push(
        {"key": "K-none", "number": 1},
        {"key": "K-L-pot", "location": "", "number": 2.5},
        {"key": "K-mug", "number": 4, "expected": 999},
    )
    assert [(row["key"], row["status"], row["code"]) for row in results] == [
        ("K-none", "refused", "unknown_key"),
        ("K-L-pot", "refused", "bad_number"),
        ("K-mug", "accepted", None),
    ]
    assert client.numbers("K-mug", "K-none", "K-L-pot") == [4, None, 1]


@pytest.mark.parametrize("row", [{}, {"number": 1, "change": 1}, {"number": True}, {"number": 10**18}, {"number": "1"}])
def test_a_row_without_one_clear_number_is_refused(plain: tuple[Site, Client], row: dict[str, Any]) -> None:
    _, client = plain
    assert client.push({"key": "K-mug", **row})[0]["code"] == "bad_number"


def test_too_many_rows_or_a_key_twice_changes_nothing(opened: Opened) -> None:
    site, client = opened(PRESETS["one at a time"])
    site.marketplace.open_listing(Offer(listing="L-mug", sku="MUG", keys=(NumberKey("K-mug"),)), 10)
    rows = [{"key": "K-mug", "number": 1}, {"key": "K-other", "number": 1}]
    assert error(client.call("POST", "/v1/numbers", {"updates": rows})) == (413, "too_many")
    assert error(client.call("POST", "/v1/numbers/read", {"keys": rows})) == (413, "too_many")
    _, other = opened(PRESETS["plain"])
    assert error(other.call("POST", "/v1/numbers", {"updates": [rows[0], rows[0]]})) == (422, "twice_in_batch")
    assert client.numbers("K-mug") == [10]


# Webhook subscriptions


def test_subscriptions_belong_to_an_account_and_tell_their_secret_once(plain: tuple[Site, Client]) -> None:
    site, client = plain
    made = client.json("POST", "/v1/webhooks", {"url": "http://us.example/in", "topics": ["order.created"]})
    assert made["secret"].startswith("whsec_")
    assert client.json("GET", "/v1/webhooks")["webhooks"] == [
        {"id": "wh-1", "url": "http://us.example/in", "topics": ["order.created"]}
    ]
    assert not site.api.subscriptions.remove("another account", "wh-1")
    assert client.call("DELETE", "/v1/webhooks/wh-1").status == 204
    assert error(client.call("DELETE", "/v1/webhooks/wh-1")) == (404, "not_found")
    for bad in (
        {"url": "http://us.example"},
        {"url": "x", "topics": ["nothing"]},
        {"url": 1, "topics": ["order.created"]},
    ):
        assert error(client.call("POST", "/v1/webhooks", bad)) == (400, "bad_request")
    assert site.api.subscriptions.of("agora") == []


def test_a_marketplace_without_webhooks_takes_no_subscription(opened: Opened) -> None:
    _, client = opened(PRESETS["no webhooks"])
    asked = {"url": "http://us.example", "topics": ["order.created"]}
    assert error(client.call("POST", "/v1/webhooks", asked)) == (403, "forbidden")


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("key", "location", "number", "change", "expected"), JSON))
)
BODIES = (
    st.binary(max_size=20)
    | JSON.map(lambda content: httpx.Request("POST", "http://x", json=content).content)
    | st.fixed_dictionaries({}, optional={"ids": JSON, "keys": ROWS, "updates": ROWS, "url": JSON, "topics": JSON}).map(
        lambda content: httpx.Request("POST", "http://x", json=content).content
    )
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "updated_since": st.text(max_size=8) | st.datetimes().map(str) | st.sampled_from(["0001-01-01T00:00:00+23:59"]),
        "cursor": st.text(max_size=8) | st.sampled_from(["r1", "n2", "k2017-12-23~x", "r" + "9" * 5000]),
        "limit": st.text(max_size=4) | st.integers().map(str),
        "scope": st.sampled_from(["seller", "account", "x"]),
        "placed_on": st.dates().map(str) | st.text(max_size=8),
    },
)


@given(endpoint=st.sampled_from(sorted(ENDPOINTS)), body=BODIES, query=QUERIES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_whatever_it_holds_makes_it_fall_over(
    plain: tuple[Site, Client], endpoint: tuple[str, str], body: bytes, query: dict[str, str]
) -> None:
    site, client = plain
    headers = {"authorization": f"Bearer {client.token}"}
    method, path = endpoint
    reply = site.api.handle(Request(method, path.replace("*", "wh-9"), query, headers, body))
    assert reply.status in {200, 201, 204, 400, 403, 404, 413, 422, 429}
    if reply.status >= 400:
        error(reply)


def test_a_path_that_is_not_there_is_not_found(plain: tuple[Site, Client]) -> None:
    _, client = plain
    assert error(client.call("GET", "/v2/orders")) == (404, "not_found")
    assert error(client.call("PUT", "/v1/orders")) == (404, "not_found")
