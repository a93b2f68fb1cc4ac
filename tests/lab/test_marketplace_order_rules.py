"""Rules about orders: when a sale moves a number, how orders are found, and what they tell; each bites."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_search import OrderSearch
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import NumberKey, Offer, Order
from channelsync.sdk.values import Deducts, GivesBack

MUG = NumberKey("K-mug")
Opener = Callable[..., Marketplace]
Client = Any  # see conftest
Opened = Callable[..., tuple[Site, Client]]


def mugs(open_marketplace: Opener, preset: str) -> Marketplace:
    market = open_marketplace(PRESETS[preset])
    market.open_listing(Offer(listing="mug", sku="MUG"), 10)
    return market


def ordered(market: Marketplace, wanted: int = 1, **how: bool) -> Order:
    order = market.buy("mug", wanted, **how).order
    assert order is not None
    return order


# When numbers move


def stages(market: Marketplace) -> list[int]:
    """The number after an order of 3 was placed unpaid, paid, and shipped."""
    order = ordered(market, 3, paid=False)
    seen = [market.number(MUG)]
    market.pay(order.id)
    seen.append(market.number(MUG))
    market.ship(order.id)
    return [*seen, market.number(MUG)]


def test_a_sale_lowers_the_number_at_order_at_payment_at_shipment_or_never(open_marketplace: Opener) -> None:
    presets = ("plain", "deducts at payment", "deducts at shipment", "never deducts")
    assert {preset: stages(mugs(open_marketplace, preset)) for preset in presets} == {
        "plain": [7, 7, 7],
        "deducts at payment": [10, 7, 7],
        "deducts at shipment": [10, 10, 7],
        "never deducts": [10, 10, 10],
    }


def given_back(market: Marketplace) -> list[int]:
    """Units that come back by an edit to fewer, a cancel, and a return."""
    order = ordered(market, 5)
    line = order.lines[0].id
    seen = [market.number(MUG)]
    market.edit(order.id, line, 4)
    seen.append(market.number(MUG))
    market.cancel(order.id, {line: 1})
    seen.append(market.number(MUG))
    market.ship(order.id)
    market.bring_back(order.id, line, 1)
    seen.append(market.number(MUG))
    return [after - before for before, after in pairwise(seen)]


def test_units_come_back_on_cancel_on_edit_on_restock_or_not(open_marketplace: Opener) -> None:
    presets = ("plain", "gives nothing back", "gives back on restock")
    assert {preset: given_back(mugs(open_marketplace, preset)) for preset in presets} == {
        "plain": [1, 1, 0],
        "gives nothing back": [0, 0, 0],
        "gives back on restock": [1, 1, 1],
    }


def test_only_units_that_were_deducted_come_back(open_marketplace: Opener) -> None:
    everything = frozenset(GivesBack)
    for deducts in (Deducts.AS_TOLD, Deducts.AT_SHIPMENT, Deducts.NEVER):
        market = open_marketplace(replace(PRESETS["plain"], deducts=deducts, gives_back=everything))
        market.open_listing(Offer(listing="mug", sku="MUG"), 10)
        order = ordered(market, 3, paid=False)
        market.cancel(order.id)
        assert market.number(MUG) == 10, deducts


def test_units_cancelled_before_the_payment_were_never_deducted_and_do_not_come_back(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, "deducts at payment")
    order = ordered(market, 4, paid=False)
    line = order.lines[0].id
    market.cancel(order.id, {line: 1})
    market.pay(order.id)
    assert market.number(MUG) == 7
    market.cancel(order.id, {line: 1})
    assert market.number(MUG) == 8


def test_a_number_stops_at_0_when_more_is_paid_than_there_was(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, "deducts at payment")
    one, two = ordered(market, 8, paid=False), ordered(market, 8, paid=False)
    market.pay(one.id)
    market.pay(two.id)
    assert market.number(MUG) == 0
    market.cancel(two.id)
    assert market.number(MUG) == 8


def test_an_older_version_that_is_found_late_does_not_replace_a_newer_one(open_marketplace: Opener, clock: Any) -> None:
    market = mugs(open_marketplace, "plain")
    placed = ordered(market, 2)
    shipped = market.ship(placed.id)
    search = OrderSearch("stable")
    search.add(shipped, clock.now())
    search.add(placed, clock.now() + timedelta(minutes=1))
    for _ in range(2):
        search.learn(clock.now())
        assert search.page(since=None, cursor=None, limit=9, site=None) == ([shipped], None)
        clock.go(60)


def test_an_unpaid_order_lapses_after_its_limit_and_a_paid_one_does_not(open_marketplace: Opener, clock: Any) -> None:
    seen = {}
    for preset in ("plain", "unpaid orders lapse"):
        market = mugs(open_marketplace, preset)
        unpaid, paid = ordered(market, 2, paid=False), ordered(market, 1, paid=False)
        market.pay(paid.id)
        clock.go(1_800)
        seen[preset] = (market.number(MUG), market.orders[unpaid.id].status.value, market.orders[paid.id].status.value)
    assert seen == {"plain": (7, "awaiting_payment", "open"), "unpaid orders lapse": (9, "cancelled", "open")}


# Orders


def test_the_search_finds_changes_late_and_shows_the_order_as_it_was_until_then(opened: Opened, clock: Any) -> None:
    fresh, late = opened(PRESETS["plain"]), opened(PRESETS["orders found late"], seed=3)
    for site, _ in (fresh, late):
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 10)
        site.marketplace.buy("mug", 2)
    assert (len(fresh[1].orders()), len(late[1].orders())) == (1, 0)
    clock.go(300)
    assert len(late[1].orders()) == 1
    site, client = late
    name = next(iter(site.marketplace.orders))
    site.marketplace.ship(name)
    assert client.orders()[0]["status"] == "open"
    assert client.json("POST", "/v1/orders/read", {"ids": [name]})["orders"][0]["status"] == "done"
    clock.go(300)
    assert client.orders()[0]["status"] == "done"


def test_some_orders_are_found_later_than_declared(opened: Opened, clock: Any) -> None:
    site, client = opened(PRESETS["orders later than declared"])
    site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 1000)
    for _ in range(200):
        site.marketplace.buy("mug", 1)
    declared = float(str(site.marketplace.rules.declares()["order_visibility_s"]))
    clock.go(declared)
    assert 180 <= len(client.orders()) < 200
    clock.go(900)
    assert len(client.orders()) == 200


def test_rows_move_under_a_cursor_where_pages_shift(opened: Opened, clock: Any) -> None:
    seen = {}
    for pages in ("stable", "shifting"):
        rules = replace(PRESETS["pages that shift"], order_pages=pages, orders_per_page=2)
        site, client = opened(rules)
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 10)
        for _ in range(5):
            site.marketplace.buy("mug", 1)
        first = client.json("GET", "/v1/orders")
        site.marketplace.ship(first["orders"][0]["id"])
        rest = []
        page = first
        while page["next"]:
            page = client.json("GET", "/v1/orders", cursor=page["next"])
            rest += page["orders"]
        seen[pages] = [row["id"] for row in (*first["orders"], *rest)]
    assert seen == {
        "stable": ["agora-1001", "agora-1002", "agora-1003", "agora-1004", "agora-1005", "agora-1001"],
        "shifting": ["agora-1001", "agora-1002", "agora-1004", "agora-1005", "agora-1001"],
    }


def test_an_order_tells_places_and_times_only_where_the_rules_say_so(opened: Opened) -> None:
    told = {}
    for preset in ("plain", "assigns locations", "tells no times"):
        site, client = opened(PRESETS[preset])
        north = NumberKey("K", "north")
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG", keys=(north,)), 5)
        site.marketplace.ship(ordered(site.marketplace, 1).id, location="south")
        line = client.orders()[0]["lines"][0]
        shipped = line["shipped"][0]
        told[preset] = (line["location"], shipped["location"], shipped["at"] is not None)
    assert told == {
        "plain": (None, None, True),
        "assigns locations": ("north", "south", True),
        "tells no times": (None, None, False),
    }


def test_two_listings_of_one_sku_are_refused_where_skus_are_unique(open_marketplace: Opener) -> None:
    mugs(open_marketplace, "plain").open_listing(Offer(listing="other", sku="MUG"), 1)
    market = mugs(open_marketplace, "unique SKUs")
    with pytest.raises(ValueError, match="SKUs are unique"):
        market.open_listing(Offer(listing="other", sku="MUG"), 1)
    market.open_listing(Offer(listing="blank", sku=None), 1)
    market.open_listing(Offer(listing="blank too", sku=None), 1)
    market.open_listing(Offer(listing="elsewhere", sku="MUG", site="de"), 1)
    market.recreate("mug", "mug-2")


def test_the_marketplaces_clock_may_be_off_and_the_log_keeps_true_time(open_marketplace: Opener, clock: Any) -> None:
    for preset, seconds in (("plain", 0.0), ("clock 90 s ahead", 90.0), ("clock 90 s behind", -90.0)):
        market = mugs(open_marketplace, preset)
        order = ordered(market)
        assert (order.placed_at - clock.now()).total_seconds() == seconds
        assert market.log[-1].at == clock.now()
