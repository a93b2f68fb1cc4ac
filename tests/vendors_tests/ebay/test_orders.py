"""Orders of the eBay test server: the filter's rules, pages that move, what an order tells and what it does not."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract import CANARY
from vendor_ebay import EBAY_RULES, EbayBehaviour
from vendor_ebay.order_json import time_json

ORDERS = "/sell/fulfillment/v1/order"
LATE = 31


@pytest.fixture
def mug(ebay):
    ebay.site.api.shop.sell_item("MUG", 1_000)
    return "MUG"


def at(ebay, seconds=0.0):
    return time_json(ebay.site.marketplace.time() + timedelta(seconds=seconds))


def ids(told):
    return [order["orderId"] for order in told["orders"]]


async def test_an_order_is_found_late_but_read_by_its_id_at_once(ebay, mug, buy, clock, opened):
    ebay = opened(rules=replace(EBAY_RULES, visibility=(30.0, 30.0)))
    ebay.site.api.shop.sell_item("MUG", 10)
    order = ebay.site.marketplace.place([Wanted("MUG", 1)]).order.id
    assert ebay("GET", ORDERS)[1]["total"] == 0
    assert ebay("GET", f"{ORDERS}/{order}")[1]["orderId"] == order
    assert ids(ebay("GET", ORDERS, orderIds=order)[1]) == [order]
    await clock.sleep(30)
    assert ids(ebay("GET", ORDERS)[1]) == [order]


async def test_changes_are_found_by_lastmodifieddate_both_ends_counting_in(ebay, mug, buy, clock):
    first = buy((mug, 1))
    await clock.sleep(100)
    second = buy((mug, 1))
    ebay.site.marketplace.ship(first.id)
    await clock.sleep(LATE)
    changed = ebay.site.marketplace.orders[first.id]
    assert ids(ebay("GET", ORDERS, filter=f"lastmodifieddate:[{at(ebay, -60)}..]")[1]) == [second.id, first.id]
    exactly = time_json(changed.updated_at)
    found = ebay("GET", ORDERS, filter=f"lastmodifieddate:[{exactly}..{exactly}]")[1]
    assert first.id in ids(found)
    assert ids(ebay("GET", ORDERS, filter=f"lastmodifieddate:[{at(ebay, -3600)}..{at(ebay, -60)}]")[1]) == []


async def test_where_both_dates_are_given_only_creationdate_counts(ebay, mug, buy, clock):
    old = buy((mug, 1))
    await clock.sleep(3_600)
    ebay.site.marketplace.ship(old.id)
    await clock.sleep(LATE)
    both = f"creationdate:[{at(ebay, -60)}..],lastmodifieddate:[{at(ebay, -7200)}..]"
    assert ids(ebay("GET", ORDERS, filter=both)[1]) == []
    assert ids(ebay("GET", ORDERS, filter=f"lastmodifieddate:[{at(ebay, -60)}..]")[1]) == [old.id]


async def test_without_a_filter_orders_of_ninety_days_come(ebay, mug, buy, clock):
    old = buy((mug, 1))
    await clock.sleep(91 * 86_400)
    new = buy((mug, 1))
    await clock.sleep(LATE)
    ebay.login()
    assert ids(ebay("GET", ORDERS)[1]) == [new.id]
    assert ids(ebay("GET", ORDERS, orderIds=f"{old.id},{new.id}", filter="nonsense", limit=999)[1]) == [old.id, new.id]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("birthday:[2017-05-01T00:00:00.000Z..]", 30700),
        ("lastmodifieddate:2017-05-01T00:00:00.000Z", 30800),
        ("orderfulfillmentstatus:{NOT_STARTED}", 30800),
        ("lastmodifieddate:[yesterday..]", 30810),
        ("lastmodifieddate:[2017-05-01T00:00:00.000000Z..]", 30810),
        ("lastmodifieddate:[2017-05-01T00:00:00+00:00..]", 30810),
        ("lastmodifieddate:[..2017-05-01T00:00:00.000Z]", 30820),
        ("creationdate:[2015-05-01T00:00:00.000Z..]", 30830),
        ("lastmodifieddate:[2017-05-02T00:00:00.000Z..2017-05-01T00:00:00.000Z]", 30840),
        ("lastmodifieddate:[2017-06-01T09:00:01.000Z..]", 30850),
        ("lastmodifieddate:[2017-05-01T00:00:00.000Z..2017-06-01T09:00:01.000Z]", 30850),
    ],
)
def test_a_bad_filter_is_refused_by_its_number(ebay, asked, number):
    assert ebay.error("GET", ORDERS, filter=asked) == (400, number)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"limit": 201}, 31100),
        ({"limit": 0}, 31100),
        ({"offset": "x"}, 31000),
        ({"orderIds": ",".join(f"01-00000-{n:05}" for n in range(51))}, 30900),
        ({"fieldGroups": "ALL"}, 32800),
    ],
)
def test_bad_pages_and_too_many_ids_are_refused(ebay, query, number):
    assert ebay.error("GET", ORDERS, **query) == (400, number)


def test_brackets_that_are_not_percent_encoded_are_refused(ebay):
    raw = b"filter=lastmodifieddate:[2017-05-01T00:00:00.000Z..]"
    reply = ebay.send("GET", ORDERS, raw=raw, authorization=f"Bearer {ebay.login()}")
    assert (reply.status, json.loads(reply.body)["errors"][0]["errorId"]) == (400, 2004)


def test_an_unknown_parameter_is_refused_by_the_description(ebay):
    assert ebay.error("GET", ORDERS, page=2) == (400, 2004)


async def test_a_page_by_offset_loses_an_order_where_the_set_moves(opened, clock):
    ebay = opened(behaviour=EbayBehaviour(newest_first=False))
    ebay.site.api.shop.sell_item("MUG", 100)
    placed = [ebay.site.marketplace.place([Wanted("MUG", 1)]).order.id for _ in range(4)]
    await clock.sleep(LATE)
    asked = f"lastmodifieddate:[2017-06-01T09:00:00.000Z..{at(ebay)}]"
    first = ebay("GET", ORDERS, filter=asked, limit=2)[1]
    assert ids(first) == placed[:2]
    assert (first["total"], first["limit"], first["offset"]) == (4, 2, 0)
    assert "offset=2" in first["next"]
    await clock.sleep(1)
    ebay.site.marketplace.ship(placed[0])
    await clock.sleep(LATE)
    assert ids(ebay("GET", ORDERS, filter=asked, limit=2, offset=2)[1]) == [placed[3]], "the third one moved up"


async def test_orders_by_state_of_shipment(ebay, mug, buy, clock):
    open_order, done = buy((mug, 1)), buy((mug, 1))
    ebay.site.marketplace.ship(done.id)
    await clock.sleep(LATE)
    found = {
        name: ids(ebay("GET", ORDERS, filter=f"orderfulfillmentstatus:{{{name}|IN_PROGRESS}}")[1])
        for name in ("NOT_STARTED", "FULFILLED")
    }
    assert found == {"NOT_STARTED": [open_order.id], "FULFILLED": [done.id]}


def test_an_order_tells_its_states(ebay, mug, buy):
    order = buy((mug, 3), paid=False)
    market = ebay.site.marketplace

    def states():
        told = ebay("GET", f"{ORDERS}/{order.id}")[1]
        line = told["lineItems"][0]
        return (
            told["orderPaymentStatus"],
            told["orderFulfillmentStatus"],
            line["lineItemFulfillmentStatus"],
            told["cancelStatus"]["cancelState"],
        )

    assert states() == ("PENDING", "NOT_STARTED", "NOT_STARTED", "NONE_REQUESTED")
    market.pay(order.id)
    market.ship(order.id, {order.lines[0].id: 1})
    assert states() == ("PAID", "IN_PROGRESS", "IN_PROGRESS", "NONE_REQUESTED")
    market.ship(order.id)
    assert states() == ("PAID", "FULFILLED", "FULFILLED", "NONE_REQUESTED")
    market.refund(order.id, 40)
    assert states()[0] == "PARTIALLY_REFUNDED"
    market.refund(order.id, 100)
    assert states()[0] == "FULLY_REFUNDED"


def test_a_return_is_a_refund_of_money_without_a_number_of_units(ebay, mug, buy):
    order = buy((mug, 2))
    ebay.site.marketplace.ship(order.id)
    ebay.site.marketplace.bring_back(order.id, order.lines[0].id, 1)
    told = ebay("GET", f"{ORDERS}/{order.id}")[1]
    assert [sorted(refund) for refund in told["lineItems"][0]["refunds"]] == [["amount", "refundDate", "refundId"]]
    assert (told["orderPaymentStatus"], told["orderFulfillmentStatus"]) == ("PARTIALLY_REFUNDED", "FULFILLED")


async def test_wishes_to_cancel_are_told_by_getorder_only(ebay, mug, buy, clock):
    order = buy((mug, 1))
    await clock.sleep(LATE)
    ebay.site.marketplace.request_cancel(order.id)
    await clock.sleep(LATE)

    def both():
        one = ebay("GET", f"{ORDERS}/{order.id}")[1]["cancelStatus"]
        listed = ebay("GET", ORDERS, filter=f"lastmodifieddate:[{at(ebay, -LATE - 1)}..]")[1]["orders"][0]
        assert listed["cancelStatus"]["cancelRequests"] == []
        return (
            listed["cancelStatus"]["cancelState"],
            one["cancelState"],
            [each["cancelRequestState"] for each in one["cancelRequests"]],
        )

    assert both() == ("IN_PROGRESS", "IN_PROGRESS", ["REQUESTED"])
    ebay.site.marketplace.decline_cancel(order.id)
    assert both() == ("IN_PROGRESS", "NONE_REQUESTED", ["REJECTED"]), "the search does not know yet"
    await clock.sleep(LATE)
    assert both() == ("NONE_REQUESTED", "NONE_REQUESTED", ["REJECTED"])
    ebay.site.marketplace.cancel(order.id)
    await clock.sleep(LATE)
    assert both() == ("CANCELED", "CANCELED", ["REJECTED", "COMPLETED"])


def test_nothing_of_an_order_is_edited_or_cancelled_in_part(ebay, mug, buy):
    order = buy((mug, 3))
    line = order.lines[0].id
    assert ebay.site.marketplace.edit(order.id, line, 1) == order
    assert ebay.site.marketplace.cancel(order.id, {line: 1}) == order
    assert ebay.site.marketplace.cancel(order.id, {line: 3}).status == "cancelled"


def test_lines_name_sku_listing_and_variation(ebay, mug, buy):
    shop = ebay.site.api.shop
    legacy = shop.sell_legacy({"RED": 5, "BLUE": 5})
    bare = shop.sell_legacy(5)
    order = buy((mug, 1), (legacy.variations["RED"], 1), (bare.names[0], 1))
    lines = ebay("GET", f"{ORDERS}/{order.id}")[1]["lineItems"]
    assert [(line.get("sku"), line["legacyItemId"], line.get("legacyVariationId")) for line in lines] == [
        ("MUG", shop.sale_of("MUG").listing, None),
        ("RED", legacy.item, legacy.variation_ids["RED"]),
        (None, bare.item, None),
    ]
    assert all(len(line["lineItemId"]) == 14 for line in lines)
    first, middle, last = order.id.split("-")
    assert [len(first), len(middle), len(last)] == [2, 5, 5]


def test_a_line_keeps_the_listing_id_that_it_was_bought_from(ebay, mug, buy):
    order = buy((mug, 1))
    sale = ebay.site.api.shop.sale_of(mug)
    before = sale.listing
    for what in ("withdraw", "publish"):
        assert ebay("POST", f"/sell/inventory/v1/offer/{sale.id}/{what}", {})[0] == 200
    assert sale.listing != before
    assert ebay("GET", f"{ORDERS}/{order.id}")[1]["lineItems"][0]["legacyItemId"] == before


async def test_the_buyer_is_in_every_order(ebay, mug, buy, clock):
    buy((mug, 1))
    await clock.sleep(LATE)
    text = json.dumps(ebay("GET", ORDERS)[1], ensure_ascii=False)
    assert all(each in text for each in CANARY)


def test_shipping_by_the_api_is_told_as_a_fulfilment(ebay, mug, buy):
    order = buy((mug, 3))
    line = order.lines[0].id
    path = f"{ORDERS}/{order.id}/shipping_fulfillment"
    asked = {"lineItems": [{"lineItemId": line, "quantity": 2}], "trackingNumber": "1Z", "shippingCarrierCode": "UPS"}
    assert ebay("POST", path, asked)[0] == 201
    assert "shipping_fulfillment/" in ebay.headers["location"]
    found = ebay("GET", path)[1]
    assert found["total"] == 1
    assert found["fulfillments"][0]["lineItems"] == [{"lineItemId": line, "quantity": 2}]
    assert ebay.error("POST", path, asked) == (400, 32600)
    assert ebay.error("POST", path, {"lineItems": [{"lineItemId": "1", "quantity": 1}]}) == (400, 32200)
    assert ebay.error("POST", path, {"lineItems": [], "trackingNumber": "1Z"}) == (400, 32300)


@pytest.mark.parametrize(("order", "status"), [("no-such-order", 400), ("01-00000-00000", 404)])
def test_an_unknown_order_is_refused(ebay, order, status):
    assert ebay.error("GET", f"{ORDERS}/{order}") == (status, 32100)
