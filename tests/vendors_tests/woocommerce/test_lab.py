"""The lab's people at the shop: buyers, sellers and the hold timer show in its API, and the lab's log is the truth."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from channelsync.lab.buyers import MIXED, Demand, poisson, send_buyers
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.sdk.contract.world import CANARY, ContractClock


def _keys(line) -> dict[str, str]:
    return {meta["key"]: meta["value"] for meta in line["meta_data"]}


def test_a_listing_that_the_lab_opens_is_a_product(ask) -> None:
    market = ask.site.marketplace
    market.open_listing(Offer(listing="15", sku="MUG", title="Mug"), 4)
    market.open_listing(Offer(listing="20:21", sku="SHIRT-S"), 5)
    mug, small = ask("GET", "/products/15").body, ask("GET", "/products/20/variations/21").body
    assert (mug["sku"], mug["type"], mug["stock_quantity"]) == ("MUG", "simple", 4)
    assert (small["sku"], small["stock_quantity"], small["parent_id"]) == ("SHIRT-S", 5, 20)
    assert ask("GET", "/products/20").body["type"] == "variable"
    assert market.quantity_keys() == (NumberKey("15"), NumberKey("20:21"))
    for listing in ("L-1", "15"):
        with pytest.raises(ValueError, match=r"15|L-1"):
            market.open_listing(Offer(listing=listing, sku="CUP"), 1)


def test_a_buyer_takes_what_is_there_and_not_more(ask) -> None:
    market = ask.site.marketplace
    mug = str(ask.simple(number=3))
    sale = market.buy(mug, 5)
    assert (sale.units, sale.missed, ask.number(int(mug))) == (3, 2, 0)
    order = ask("GET", f"/orders/{sale.order.id}").body
    assert (order["status"], order["created_via"], order["line_items"][0]["quantity"]) == ("processing", "checkout", 3)
    assert market.buy(mug, 1).order is None
    ask("PUT", f"/products/{mug}", {"backorders": "yes"})
    assert (market.buy(mug, 2).units, ask.number(int(mug))) == (2, -2)


def test_an_unpaid_checkout_holds_units_that_no_number_shows(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=3)
    order = market.buy(str(mug), 2, paid=False).order.id
    assert (ask.number(mug), market.can_buy(str(mug))) == (3, 1)
    assert ask("GET", f"/orders/{order}").body["status"] == "pending"
    market.pay(order)
    assert (ask.number(mug), market.can_buy(str(mug))) == (1, 1)
    assert ask("GET", f"/orders/{order}").body["date_paid"] is not None


async def test_only_checkouts_are_cancelled_when_nobody_pays(
    open_shop: Callable[..., object], clock: ContractClock
) -> None:
    ask = open_shop(hold_minutes=30)
    mug = ask.simple(number=3)
    bought, made = ask.site.marketplace.buy(str(mug), 1, paid=False).order.id, ask.order(mug)
    await clock.sleep(29 * 60)
    assert ask("GET", f"/orders/{bought}").body["status"] == "pending"
    await clock.sleep(2 * 60)
    assert [ask("GET", f"/orders/{each}").body["status"] for each in (bought, made)] == ["cancelled", "pending"]
    assert ask.site.marketplace.can_buy(str(mug)) == 3


async def test_the_hold_counts_from_the_last_change(open_shop: Callable[..., object], clock: ContractClock) -> None:
    ask = open_shop(hold_minutes=30)
    order = ask.site.marketplace.buy(str(ask.simple(number=3)), 1, paid=False).order.id
    await clock.sleep(20 * 60)
    ask("PUT", f"/orders/{order}", {"customer_note": "still there"})
    for minutes, status in ((15, "pending"), (16, "cancelled")):
        await clock.sleep(minutes * 60)
        assert ask("GET", f"/orders/{order}").body["status"] == status


def test_what_the_seller_does_by_hand_shows(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    market.edit_number(NumberKey(str(mug)), 6)
    assert ask.number(mug) == 6
    market.switch(str(mug), on=False)
    assert ask("GET", f"/products/{mug}").body["status"] == "draft"
    market.switch(str(mug), on=True)
    market.set_policy(str(mug), sells_below_zero=True)
    assert ask("GET", f"/products/{mug}").body["backorders"] == "notify"
    market.set_policy(str(mug), tracked=False)
    assert ask.number(mug) is None
    market.set_policy(str(mug), tracked=True)
    fresh = market.recreate(str(mug), "4711")
    assert (fresh.keys, ask.number(4711)) == ((NumberKey("4711"),), 6)
    assert ask("GET", f"/products/{mug}").body["status"] == "trash"


def test_an_order_s_life_in_the_lab_is_its_life_in_the_shop(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    order = market.buy(str(mug), 3).order
    line = order.lines[0].id
    market.edit(order.id, line, 2)
    shown = ask("GET", f"/orders/{order.id}").body
    assert (shown["line_items"][0]["quantity"], ask.number(mug)) == (2, 8)
    market.ship(order.id)
    assert ask("GET", f"/orders/{order.id}").body["status"] == "completed"
    market.bring_back(order.id, line, 1)
    shown = ask("GET", f"/orders/{order.id}").body
    assert (len(shown["refunds"]), ask.number(mug)) == (1, 9)
    assert _keys(shown["line_items"][0]) == {"_reduced_stock": "1", "_restock_refunded_items": "1"}
    refund = ask("GET", f"/orders/{order.id}/refunds").body[0]
    assert (refund["line_items"][0]["quantity"], refund["amount"]) == (-1, "10.00")
    market.bring_back(order.id, line, 1, quarantined=True)
    assert (len(ask("GET", f"/orders/{order.id}/refunds").body), ask.number(mug)) == (2, 9)


def test_cancelled_units_of_an_open_order_are_a_refund_with_restock(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    order = market.buy(str(mug), 3).order
    market.cancel(order.id, {order.lines[0].id: 1})
    shown = ask("GET", f"/orders/{order.id}").body
    assert (shown["status"], len(shown["refunds"]), ask.number(mug)) == ("processing", 1, 8)
    market.write_off(order.id, order.lines[0].id, 1)
    assert (len(ask("GET", f"/orders/{order.id}/refunds").body), ask.number(mug)) == (2, 8)
    market.cancel(order.id)
    shown = ask("GET", f"/orders/{order.id}").body
    assert (shown["status"], ask.number(mug)) == ("cancelled", 10)


def test_what_was_shipped_of_a_cancelled_order_stays_shipped(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    order = market.buy(str(mug), 3).order
    market.ship(order.id, {order.lines[0].id: 1})
    assert ask("GET", f"/orders/{order.id}").body["status"] == "processing", "a part cannot be told"
    market.cancel(order.id)
    shown = ask("GET", f"/orders/{order.id}").body
    assert (shown["status"], len(shown["refunds"]), ask.number(mug)) == ("completed", 1, 9)


def test_the_referee_counts_orders_of_buyers_and_of_the_api_alike(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple("MUG", 10)
    referee = Referee({"MUG": 4})
    market.on_log.append(referee.tell)
    market.buy(str(mug), 3)
    order = ask.order(mug, 3, set_paid=True)
    assert (referee.oversold_units, referee.left["MUG"]) == (2, -2)
    ask("PUT", f"/orders/{order}", {"status": "cancelled"})
    assert referee.left["MUG"] == 1
    ask("PUT", f"/orders/{order}", {"status": "processing"})
    assert (referee.left["MUG"], ask.number(mug)) == (-2, 4)


async def test_planned_buyers_come_with_orders_of_their_own_names(ask, clock: ContractClock) -> None:
    market = ask.site.marketplace
    mug = ask.simple("MUG", 400)
    demand = Demand(2.0, {"shop": str(mug)}, {"shop": 1.0}, units=(1, 2, 3))
    planned = poisson([demand], starts=clock.now(), lasts=timedelta(hours=1), seed=3, fates=MIXED)
    referee = Referee({"MUG": 400})
    market.on_log.append(referee.tell)
    await send_buyers(planned, {"shop": market}, clock, fates=MIXED)
    statuses: set[str] = set()
    reduced = 0
    for each in planned:
        order = ask("GET", f"/orders/{market.orders[each.order_id].id}").body
        statuses.add(order["status"])
        reduced += int(_keys(order["line_items"][0]).get("_reduced_stock", "0"))
    assert statuses == {"processing", "completed", "cancelled"}
    assert len(planned) == len(market.orders) > 80
    assert ask.number(mug) == 400 - reduced, "the number is what the lines say that they took off"
    assert referee.left["MUG"] == ask.number(mug)
    with pytest.raises(ValueError, match="is there already"):
        market.place([Wanted(str(mug), 1)], order=planned[0].order_id)


def test_a_deleted_order_stays_deleted_whatever_its_buyer_does(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    order = market.buy(str(mug), 3, paid=False).order.id
    ask("DELETE", f"/orders/{order}", query="force=true")
    market.pay(order)
    assert ask("GET", f"/orders/{order}").status == 404
    assert ask("GET", "/orders", query="status=any").body == []


def test_writes_are_in_the_lab_s_log_of_numbers(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=10)
    ask("PUT", f"/products/{mug}", {"stock_quantity": 4})
    market.buy(str(mug), 1)
    assert [(change.why, change.after) for change in market.changes][-2:] == [("write", 4), ("sold", 3)]


def test_every_checkout_carries_a_buyer_whom_nobody_may_remember(ask) -> None:
    market = ask.site.marketplace
    mug = ask.simple(number=3)
    order = market.place([Wanted(str(mug), 1)]).order.id
    shown = ask("GET", f"/orders/{order}").body
    for place in ("billing", "shipping", "customer_note", "meta_data"):
        assert CANARY[0] in str(shown[place])
    assert all(text in str(shown) for text in CANARY)


async def test_the_same_calls_give_the_same_history(open_shop: Callable[..., object], clock: ContractClock) -> None:
    def history(ask) -> list[bytes]:
        mug = ask.simple(number=3)
        ask.site.marketplace.buy(str(mug), 2)
        ask("GET", "/orders")
        return [exchange.reply.body for exchange in ask.site.api.exchanges]

    assert history(open_shop()) == history(open_shop())
    await clock.sleep(timedelta(days=1).total_seconds())
    assert history(open_shop()) != history(open_shop(zone=open_shop().site.api.options.zone, version="10.3.0"))
