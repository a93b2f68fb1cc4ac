"""Orders: what the search finds and when, and what becomes of lines."""

from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract.world import CANARY


@pytest.fixture
def mug(ask):
    return ask.site.shop.catalogue.offer("MUG", 100)


def bought(ask, offer, units=3, **how):
    """A new order, found by the search."""
    order = ask.site.marketplace.buy(offer.listing, units, **how).order
    ask.advance(3)
    return order


def only(ask):
    """The only order there is, as the search tells it."""
    ask.advance(3)
    (found,) = ask.orders()
    return found


def test_an_order_takes_available_and_commits(ask, mug):
    bought(ask, mug)
    found = only(ask)
    (line,) = found["lineItems"]["nodes"]
    assert (line["quantity"], line["currentQuantity"], line["unfulfilledQuantity"]) == (3, 3, 3)
    assert line["variant"]["id"] == f"gid://shopify/ProductVariant/{mug.listing}"
    assert (found["displayFinancialStatus"], found["displayFulfillmentStatus"]) == ("PAID", "UNFULFILLED")
    (parcel,) = found["fulfillmentOrders"]["nodes"]
    assert parcel["status"] == "OPEN"
    assert parcel["assignedLocation"]["location"]["id"] == ask.row(mug)["locationId"]
    assert ask.site.marketplace.number(mug.keys[0]) == 97


def test_an_unpaid_order_is_pending_and_voided_when_cancelled(ask, mug):
    order = bought(ask, mug, paid=False)
    assert only(ask)["displayFinancialStatus"] == "PENDING"
    ask.site.marketplace.cancel(order.id)
    assert only(ask)["displayFinancialStatus"] == "VOIDED"


def test_cancelling_with_restock_gives_back(ask, mug):
    order = bought(ask, mug)
    ask.data(
        """mutation($id: ID!) { orderCancel(orderId: $id, reason: CUSTOMER, restock: true)
           { job { id } orderCancelUserErrors { code } } }""",
        id=f"gid://shopify/Order/{ask.site.shop.book.number(order)}",
    )
    found = only(ask)
    assert found["cancelledAt"]
    assert found["displayFulfillmentStatus"] == "UNFULFILLED"
    assert [each["currentQuantity"] for each in found["lineItems"]["nodes"]] == [0]
    assert found["fulfillmentOrders"]["nodes"][0]["status"] == "CLOSED"
    (refund,) = found["refunds"]
    (row,) = refund["refundLineItems"]["nodes"]
    assert (row["quantity"], row["restockType"], row["restocked"]) == (3, "CANCEL", True)
    assert row["location"]["id"] == ask.row(mug)["locationId"]
    assert ask.site.marketplace.number(mug.keys[0]) == 100


def test_cancelling_without_restock_does_not(ask, mug):
    order = bought(ask, mug)
    cancel = """mutation($id: ID!) { orderCancel(orderId: $id, reason: OTHER, restock: false)
                { orderCancelUserErrors { code } } }"""
    number = f"gid://shopify/Order/{ask.site.shop.book.number(order)}"
    ask.data(cancel, id=number)
    found = only(ask)
    assert found["cancelledAt"]
    assert found["refunds"][0]["refundLineItems"]["nodes"][0]["restockType"] == "NO_RESTOCK"
    assert ask.site.marketplace.number(mug.keys[0]) == 97
    again = ask.data(cancel, id=number)["orderCancel"]["orderCancelUserErrors"]
    assert [each["code"] for each in again] == ["INVALID"]


REFUND = """
mutation($i: RefundInput!, $k: String!) {
  refundCreate(input: $i) @idempotent(key: $k) { refund { id } userErrors { field message } }
}
"""


@pytest.mark.parametrize(("restock", "number"), [("CANCEL", 99), ("NO_RESTOCK", 97)])
def test_a_refund_of_unshipped_units_gives_back_by_its_restock_type(ask, mug, restock, number):
    bought(ask, mug)
    found = only(ask)
    row = {"lineItemId": found["lineItems"]["nodes"][0]["id"], "quantity": 2, "restockType": restock}
    done = ask.data(REFUND, i={"orderId": found["id"], "refundLineItems": [row]}, k="1")["refundCreate"]
    assert done["userErrors"] == []
    after = only(ask)
    assert after["lineItems"]["nodes"][0]["quantity"] == 3
    assert after["lineItems"]["nodes"][0]["currentQuantity"] == 1
    assert after["lineItems"]["nodes"][0]["unfulfilledQuantity"] == 1
    assert after["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert ask.site.marketplace.number(mug.keys[0]) == number
    too_many = ask.data(REFUND, i={"orderId": found["id"], "refundLineItems": [row]}, k="2")["refundCreate"]
    assert too_many["userErrors"]


@pytest.mark.parametrize(("quarantined", "restock", "number"), [(False, "RETURN", 98), (True, "NO_RESTOCK", 97)])
def test_units_that_come_back_are_a_return_and_its_refund(ask, mug, quarantined, restock, number):
    order = bought(ask, mug)
    ask.site.marketplace.ship(order.id)
    ask.site.marketplace.bring_back(order.id, order.lines[0].id, 1, quarantined=quarantined)
    found = only(ask)
    assert found["displayFulfillmentStatus"] == "FULFILLED"
    assert [(each["status"], each["totalQuantity"]) for each in found["returns"]["nodes"]] == [("CLOSED", 1)]
    (row,) = found["refunds"][0]["refundLineItems"]["nodes"]
    assert (row["quantity"], row["restockType"]) == (1, restock)
    assert ask.site.marketplace.number(mug.keys[0]) == number


def test_shipping_a_part_leaves_the_rest(ask, mug):
    bought(ask, mug)
    found = only(ask)
    (parcel,) = found["fulfillmentOrders"]["nodes"]
    line = {"id": parcel["lineItems"]["nodes"][0]["id"], "quantity": 2}
    lots = [{"fulfillmentOrderId": parcel["id"], "fulfillmentOrderLineItems": [line]}]
    ship = """mutation($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f)
              { fulfillment { id status totalQuantity } userErrors { message } } }"""
    done = ask.data(ship, f={"lineItemsByFulfillmentOrder": lots})["fulfillmentCreate"]
    assert (done["fulfillment"]["status"], done["fulfillment"]["totalQuantity"]) == ("SUCCESS", 2)
    after = only(ask)
    assert after["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    (rest,) = after["fulfillmentOrders"]["nodes"]
    assert (rest["status"], rest["lineItems"]["nodes"][0]["remainingQuantity"]) == ("IN_PROGRESS", 1)
    assert ask.site.marketplace.number(mug.keys[0]) == 97


def test_an_edit_down_keeps_the_quantity_and_lowers_the_current_one(ask, mug):
    order = bought(ask, mug)
    ask.site.marketplace.edit(order.id, order.lines[0].id, 1)
    (line,) = only(ask)["lineItems"]["nodes"]
    assert (line["quantity"], line["currentQuantity"], line["unfulfilledQuantity"]) == (3, 1, 1)
    ask.site.marketplace.edit(order.id, order.lines[0].id, 5)
    (line,) = only(ask)["lineItems"]["nodes"]
    assert (line["quantity"], line["currentQuantity"]) == (5, 5)


def test_an_order_of_a_bundle_shows_its_components(ask, mug):
    cup = ask.site.shop.catalogue.offer("CUP", 100)
    bundle = ask.site.shop.catalogue.offer("SET", parts=[(mug.listing, 1), (cup.listing, 2)])
    bought(ask, bundle, 3)
    lines = only(ask)["lineItems"]["nodes"]
    assert [(each["sku"], each["quantity"]) for each in lines] == [("MUG", 3), ("CUP", 6)]
    assert [ask.site.marketplace.number(each.keys[0]) for each in (mug, cup)] == [97, 94]


def test_an_order_over_two_locations_has_two_fulfilment_orders(ask):
    place = ask.site.shop.catalogue.add_location("Second")
    mug = ask.site.shop.catalogue.offer("MUG", {ask.site.shop.catalogue.primary: 2, place: 2})
    bought(ask, mug, 4)
    found = only(ask)
    assert [each["lineItems"]["nodes"][0]["remainingQuantity"] for each in found["fulfillmentOrders"]["nodes"]] == [
        2,
        2,
    ]


def test_the_search_learns_of_an_order_late_but_its_id_finds_it_at_once(opened):
    ask = opened()
    mug = ask.site.shop.catalogue.offer("MUG", 10)
    order = ask.site.marketplace.buy(mug.listing, 1).order
    assert ask.orders() == []
    number = f"gid://shopify/Order/{ask.site.shop.book.number(order)}"
    assert ask.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[number])["nodes"] == [{"id": number}]
    ask.advance(2)
    assert [each["id"] for each in ask.orders()] == [number]


def test_pages_hold_every_order_once_in_the_order_of_change(ask, mug):
    placed = [bought(ask, mug, 1) for _ in range(7)]
    ask.site.marketplace.pay(placed[0].id)
    ask.site.marketplace.cancel(placed[2].id)
    ask.advance(3)
    found = [each["id"].rpartition("/")[2] for each in ask.orders(first=3)]
    wanted = [*placed[:2], *placed[3:], placed[2]]
    assert found == [ask.site.shop.book.number(each) for each in wanted]


def test_updated_at_filters_by_whole_seconds_or_finer(ask, mug):
    for _ in range(3):
        bought(ask, mug, 1)
    times = [each["updatedAt"] for each in ask.orders()]
    assert len(ask.orders(f"updated_at:>='{times[1]}'")) == 2
    assert len(ask.orders(f"updated_at:<'{times[1]}'")) == 1
    assert len(ask.orders(f"updated_at:>='{times[0]}' AND NOT updated_at:>='{times[2]}'")) == 2


def test_an_unknown_search_field_is_ignored_with_a_warning(ask, mug):
    bought(ask, mug)
    answer = ask('{ orders(first: 5, query: "colour:red") { nodes { id } } }')
    assert len(answer["data"]["orders"]["nodes"]) == 1
    assert answer["extensions"]["search"][0]["warnings"][0]["field"] == "colour"


def test_a_page_size_is_needed_and_limited(ask):
    for arguments in ("", "(first: 251)"):
        answer = ask(f"{{ orders{arguments} {{ nodes {{ id }} }} }}")
        assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert ask('{ orders(first: 1, after: "nonsense") { nodes { id } } }')["errors"]


def test_orders_of_more_than_60_days_need_a_scope_of_their_own(opened):
    ask = opened(scopes=["read_orders", "read_products", "read_inventory"])
    mug = ask.site.shop.catalogue.offer("MUG", 10)
    ask.site.marketplace.buy(mug.listing, 1)
    ask.advance(timedelta(days=61).total_seconds())
    short = "{ orders(first: 5) { nodes { id } } }"
    assert ask.data(short)["orders"]["nodes"] == []
    ask.site.shop.access.scopes |= {"read_all_orders"}
    assert len(ask.data(short)["orders"]["nodes"]) == 1


def test_the_buyer_is_in_every_field_that_tells_of_one(ask, mug):
    bought(ask, mug)
    found = ask.data(
        """{ orders(first: 1) { nodes { email phone note customer { displayName email phone }
             shippingAddress { name address1 phone } billingAddress { name address1 }
             customAttributes { value } } } }"""
    )["orders"]["nodes"][0]
    text = str(found)
    assert all(each in text for each in CANARY)


def test_orders_that_nobody_can_ship_can_be_made(ask, mug):
    first, second = bought(ask, mug), bought(ask, mug)
    ask.site.shop.book.odd = {first.id: "no lines", second.id: "negative units"}
    lines = [each["lineItems"]["nodes"] for each in ask.orders()]
    assert lines[0] == []
    assert lines[1][0]["currentQuantity"] == -1


@pytest.mark.parametrize("status", ["REQUESTED", "OPEN", "DECLINED", "CANCELED"])
def test_a_return_that_is_not_closed_brings_nothing_back(ask, mug, status):
    order = bought(ask, mug)
    ask.site.marketplace.ship(order.id)
    ask.site.shop.book.announce_return(order, order.lines[0].id, 1, status)
    found = only(ask)
    assert [(each["status"], each["totalQuantity"]) for each in found["returns"]["nodes"]] == [(status, 1)]
    assert (found["refunds"], found["lineItems"]["nodes"][0]["currentQuantity"]) == ([], 3)
    assert ask.site.marketplace.number(mug.keys[0]) == 97


def test_an_order_can_be_on_hold_or_a_test(ask, mug):
    story = ask.site.shop.book.story(bought(ask, mug))
    story.on_hold, story.test = True, True
    found = only(ask)
    assert (found["test"], found["confirmed"], found["displayFulfillmentStatus"]) == (True, True, "ON_HOLD")
    assert found["fulfillmentOrders"]["nodes"][0]["status"] == "ON_HOLD"


def numbers(ask, mug):
    """What the shop shows of the number: available, committed, on hand."""
    told = ask.site.shop.catalogue.quantities(mug.keys[0])
    return told["available"], told["committed"], told["on_hand"]


def test_the_units_of_an_order_that_is_not_confirmed_are_available_until_it_is(ask, mug):
    order = bought(ask, mug)
    assert numbers(ask, mug) == (97, 3, 100)
    ask.site.shop.book.leave_unreserved(order.id)
    before = only(ask)
    assert (before["confirmed"], numbers(ask, mug)) == (False, (100, 0, 100))
    ask.site.marketplace.edit(order.id, order.lines[0].id, 5)
    ask.advance(3)
    assert numbers(ask, mug) == (100, 0, 100)
    ask.site.shop.book.reserve(order.id)
    after = only(ask)
    assert (after["confirmed"], numbers(ask, mug)) == (True, (95, 5, 100))
    assert after["updatedAt"] > before["updatedAt"]


def test_an_order_that_is_cancelled_before_it_is_confirmed_moves_no_number(ask, mug):
    order = bought(ask, mug)
    ask.site.shop.book.leave_unreserved(order.id)
    ask.site.marketplace.cancel(order.id)
    assert only(ask)["confirmed"] is False
    assert numbers(ask, mug) == (100, 0, 100)


def test_orders_that_the_lab_names_are_told_by_number(ask, mug):
    sale = ask.site.marketplace.place([Wanted(mug.listing, 1, "1")], order="agora-0-12")
    number = ask.site.shop.book.number(sale.order)
    assert number.isdecimal()
    assert ask.site.shop.book.find(number) is sale.order
    assert only(ask)["id"] == f"gid://shopify/Order/{number}"


def test_no_answer_strayed_from_the_schema(ask, mug):
    order = bought(ask, mug)
    ask.site.marketplace.ship(order.id, {order.lines[0].id: 1})
    ask.site.marketplace.take_back_shipment(order.id, order.lines[0].id, 1)
    only(ask)
    assert ask.site.api.problems == []
