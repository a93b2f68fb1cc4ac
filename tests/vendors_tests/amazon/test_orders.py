"""Orders: searched by change or by day, behind by rule and by nature, and told with what was asked for only."""

from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract import CANARY
from channelsync.sdk.contract.world import START
from vendor_amazon import AMAZON_RULES, AmazonHabits, a_seller
from vendor_amazon.order_book import NO_UNITS

ORDERS = "/orders/2026-01-01/orders"
UK = "A1F83G8C2ARO7P"
GERMANY = "A1PA6795UKMFR9"
LATE = 120 + AMAZON_RULES.visibility[1]
EARLY = "2017-06-01T09:00:00Z"
ALL = "FULFILLMENT,CANCELLATION,PACKAGES,PROCEEDS"


def later(**by: float) -> str:
    return (START + timedelta(**by)).isoformat().replace("+00:00", "Z")


@pytest.fixture
def buy(site):
    """Buys units of a listing; gives the order's id."""

    def bought(units=1, sku="MUG", **how):
        if sku not in site.marketplace.offers:
            site.catalogue.list_item(sku, 100)
        return site.marketplace.place([Wanted(sku, units)], **how).order.id

    return bought


def ids(page):
    return [order["orderId"] for order in page["orders"]]


async def test_an_order_is_found_when_two_minutes_and_the_searchs_own_delay_have_passed(call, buy):
    order = buy()
    await call.wait(seconds=119)
    assert ids(call.ok("GET", ORDERS, lastUpdatedAfter=EARLY.replace("09:00", "08:00"))) == []
    await call.wait(seconds=LATE)
    page = call.ok("GET", ORDERS, lastUpdatedAfter=EARLY)
    assert ids(page) == [order]
    assert page["lastUpdatedBefore"] == later(seconds=119 + LATE - 120)
    assert "createdBefore" not in page
    by_day = call.ok("GET", ORDERS, createdAfter=EARLY)
    assert ids(by_day) == [order]
    assert "createdBefore" in by_day


async def test_an_id_has_3_7_and_7_digits_and_times_have_no_fractions(call, buy):
    order = buy()
    found = call.ok("GET", f"{ORDERS}/{order}")["order"]
    assert [len(part) for part in order.split("-")] == [3, 7, 7]
    assert order.replace("-", "").isdecimal()
    assert found["createdTime"] == EARLY
    assert found["orderItems"][0]["orderItemId"].isdecimal()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": EARLY, "lastUpdatedAfter": EARLY},
        {"createdAfter": EARLY, "lastUpdatedBefore": later(minutes=5)},
        {"lastUpdatedAfter": EARLY, "createdBefore": later(minutes=5)},
        {"lastUpdatedBefore": EARLY},
        {"lastUpdatedAfter": EARLY, "lastUpdatedBefore": later(minutes=8, seconds=1)},
        {"lastUpdatedAfter": later(minutes=5), "lastUpdatedBefore": later(minutes=4)},
        {"lastUpdatedAfter": later(minutes=9)},
        {"lastUpdatedAfter": EARLY, "maxResultsPerPage": 0},
        {"lastUpdatedAfter": EARLY, "maxResultsPerPage": 101},
        {"lastUpdatedAfter": EARLY, "includedData": "ORDERS"},
        {"lastUpdatedAfter": EARLY, "fulfillmentStatuses": "Unshipped"},
        {"lastUpdatedAfter": "yesterday"},
        {"lastUpdatedAfter": EARLY, "paginationToken": "guessed"},
    ],
)
async def test_a_search_that_amazon_would_not_take_is_refused(call, query):
    await call.wait(minutes=10)
    assert call.code("GET", ORDERS, **query) == (400, "InvalidInput")


async def test_a_search_up_to_exactly_two_minutes_ago_is_taken(call):
    await call.wait(minutes=10)
    page = call.ok("GET", ORDERS, lastUpdatedAfter=EARLY, lastUpdatedBefore=later(minutes=8))
    assert page == {"orders": [], "lastUpdatedBefore": later(minutes=8)}


async def test_pages_follow_one_another_and_a_change_moves_an_order_behind_the_search(call, buy, site):
    placed = []
    for _ in range(7):
        placed.append(buy())
        await call.wait(seconds=1)
    await call.wait(seconds=LATE)
    query = {"lastUpdatedAfter": EARLY, "maxResultsPerPage": 3}
    first = call.ok("GET", ORDERS, **query)
    assert ids(first) == placed[:3]
    site.marketplace.cancel(placed[4])
    await call.wait(seconds=LATE)
    second = call.ok("GET", ORDERS, **query, paginationToken=first["pagination"]["nextToken"])
    assert ids(second) == [placed[3], placed[5], placed[6]]
    assert "pagination" not in second
    assert second["lastUpdatedBefore"] == first["lastUpdatedBefore"]
    assert ids(call.ok("GET", ORDERS, lastUpdatedAfter=first["lastUpdatedBefore"])) == [placed[4]]


async def test_a_page_token_is_good_for_a_day_and_for_its_own_search(call, buy):
    for _ in range(3):
        buy()
    await call.wait(seconds=LATE)
    query = {"lastUpdatedAfter": EARLY, "maxResultsPerPage": 2}
    token = call.ok("GET", ORDERS, **query)["pagination"]["nextToken"]
    assert call.code("GET", ORDERS, lastUpdatedAfter=later(seconds=1), paginationToken=token)[0] == 400
    await call.wait(hours=24)
    assert len(ids(call.ok("GET", ORDERS, **query, paginationToken=token))) == 1
    await call.wait(seconds=1)
    assert call.code("GET", ORDERS, **query, paginationToken=token) == (400, "InvalidInput")


async def test_an_order_goes_from_pending_to_shipped(call, buy, site):
    order = buy(3, paid=False)

    def now():
        found = call.ok("GET", f"{ORDERS}/{order}", includedData=ALL)["order"]
        units = found["orderItems"][0]["fulfillment"]
        return found["fulfillment"]["fulfillmentStatus"], units["quantityFulfilled"], units["quantityUnfulfilled"]

    assert now() == ("PENDING", 0, 3)
    site.book.await_release(order)
    assert now() == ("PENDING_AVAILABILITY", 0, 3)
    site.book.release(order)
    site.marketplace.pay(order)
    assert now() == ("UNSHIPPED", 0, 3)
    line = site.marketplace.orders[order].lines[0].id
    site.marketplace.ship(order, {line: 1})
    assert now() == ("PARTIALLY_SHIPPED", 1, 2)
    site.marketplace.ship(order)
    assert now() == ("SHIPPED", 3, 0)
    packages = call.ok("GET", f"{ORDERS}/{order}", includedData="PACKAGES")["order"]["packages"]
    assert [item["quantity"] for each in packages for item in each["packageItems"]] in ([1, 2], [3])


async def test_a_pending_order_has_taken_its_units_and_a_cancelled_one_gives_them_back(call, buy, site):
    order = buy(3, paid=False)
    item = site.catalogue.item("MUG")
    assert site.catalogue.quantity(item) == 97
    site.book.cancel(order)
    assert site.catalogue.quantity(item) == 100
    found = call.ok("GET", f"{ORDERS}/{order}", includedData=ALL)["order"]
    assert found["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    assert found["orderItems"][0]["quantityOrdered"] == 0
    assert found["orderItems"][0]["cancellation"] == {
        "cancellationExecution": {"cancelledBy": "BUYER", "cancelReason": "OTHER"}
    }


async def test_an_order_that_the_seller_cancels_for_want_of_units_gives_none_back(call, buy, site):
    order = buy(3)
    site.book.cancel(order, by="MERCHANT", reason=NO_UNITS)
    assert site.catalogue.quantity(site.catalogue.item("MUG")) == 97
    found = call.ok("GET", f"{ORDERS}/{order}", includedData=ALL)["order"]
    assert found["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    assert found["orderItems"][0]["cancellation"]["cancellationExecution"]["cancelledBy"] == "MERCHANT"


async def test_a_buyers_request_to_cancel_cancels_nothing(call, buy, site):
    order = buy(3)
    await call.wait(seconds=5)
    site.book.request_cancel(order, "CHANGED_MIND")
    found = call.ok("GET", f"{ORDERS}/{order}", includedData=ALL)["order"]
    assert found["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    item = found["orderItems"][0]
    assert (item["quantityOrdered"], item["fulfillment"]["quantityUnfulfilled"]) == (3, 3)
    assert item["cancellation"] == {"cancellationRequest": {"requester": "BUYER", "cancelReason": "CHANGED_MIND"}}
    assert found["lastUpdatedTime"] == later(seconds=5)
    site.book.cancel(order, by="MERCHANT", reason="CUSTOMER_CANCEL")
    item = call.ok("GET", f"{ORDERS}/{order}", includedData=ALL)["order"]["orderItems"][0]
    assert set(item["cancellation"]) == {"cancellationRequest", "cancellationExecution"}


@pytest.mark.parametrize(("habit", "ordered"), [("taken off", 1), ("left in", 3)])
async def test_some_units_of_a_line_are_cancelled(open_site, caller_of, habit, ordered):
    site = open_site(habits=AmazonHabits(cancelled_units=habit))
    site.catalogue.list_item("MUG", 10)
    order = site.marketplace.place([Wanted("MUG", 3), Wanted("MUG", 1)]).order
    site.book.cancel(order.id, lines={order.lines[0].id: 2})
    found = caller_of(site).ok("GET", f"{ORDERS}/{order.id}", includedData=ALL)["order"]
    assert found["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    first, second = found["orderItems"]
    assert (first["quantityOrdered"], first["fulfillment"]["quantityUnfulfilled"]) == (ordered, 1)
    assert "cancellationExecution" in first["cancellation"]
    assert "cancellation" not in second


async def test_data_sets_come_only_when_they_are_asked_for(call, buy):
    order = buy()
    plain = call.ok("GET", f"{ORDERS}/{order}")["order"]
    assert set(plain) == {"orderId", "createdTime", "lastUpdatedTime", "salesChannel", "orderItems"}
    assert set(plain["orderItems"][0]) == {"orderItemId", "quantityOrdered", "product"}
    assert not [text for text in CANARY if text in str(plain)]


async def test_a_buyers_data_needs_the_role(call, buy, open_site, caller_of):
    order = buy()
    for included in ("BUYER", "RECIPIENT", "FULFILLMENT,RECIPIENT"):
        assert call.code("GET", f"{ORDERS}/{order}", includedData=included) == (403, "Unauthorized")
    site = open_site(account=a_seller("amazon", sees_buyers=True))
    site.catalogue.list_item("MUG", 10)
    order = site.marketplace.buy("MUG", 1).order.id
    found = str(caller_of(site).ok("GET", f"{ORDERS}/{order}", includedData="BUYER,RECIPIENT"))
    assert all(text in found for text in CANARY)


async def test_what_a_buyer_wrote_on_a_gift_card_comes_with_the_fulfilment(call, buy):
    found = call.ok("GET", f"{ORDERS}/{buy()}", includedData="FULFILLMENT")["order"]
    assert CANARY[0] in found["orderItems"][0]["fulfillment"]["packing"]["giftOption"]["giftMessage"]


async def test_orders_of_amazons_own_units_are_told_apart_and_move_no_number(call, buy, site):
    site.catalogue.list_item("FBA", 0, fba=True)
    ours, theirs = buy(), buy(2, "FBA")
    found = call.ok("GET", f"{ORDERS}/{theirs}", includedData="FULFILLMENT")["order"]
    assert found["fulfillment"]["fulfilledBy"] == "AMAZON"
    await call.wait(seconds=LATE)
    for by, order in (("MERCHANT", ours), ("AMAZON", theirs)):
        assert ids(call.ok("GET", ORDERS, lastUpdatedAfter=EARLY, fulfilledBy=by)) == [order]
    assert len(ids(call.ok("GET", ORDERS, lastUpdatedAfter=EARLY, fulfilledBy="AMAZON,MERCHANT"))) == 2
    site.book.give_up(theirs)
    found = call.ok("GET", f"{ORDERS}/{theirs}", includedData="FULFILLMENT")["order"]
    assert found["fulfillment"]["fulfillmentStatus"] == "UNFULFILLABLE"
    with pytest.raises(ValueError, match="two orders"):
        site.marketplace.place([Wanted("FBA", 1), Wanted("MUG", 1)])


async def test_one_number_sells_in_two_marketplaces(call, buy, site):
    here, there = buy(2), buy(3, marketplace_id=GERMANY)
    assert site.catalogue.quantity(site.catalogue.item("MUG")) == 95
    await call.wait(seconds=LATE)
    for place, order in ((UK, here), (GERMANY, there)):
        page = call.ok("GET", ORDERS, lastUpdatedAfter=EARLY, marketplaceIds=place)
        assert ids(page) == [order]
        assert page["orders"][0]["salesChannel"]["marketplaceId"] == place


async def test_a_search_by_status_finds_only_those(call, buy):
    pending, unshipped = buy(paid=False), buy()
    await call.wait(seconds=LATE)
    for status, order in (("PENDING", pending), ("UNSHIPPED", unshipped)):
        assert ids(call.ok("GET", ORDERS, lastUpdatedAfter=EARLY, fulfillmentStatuses=status)) == [order]


async def test_an_order_that_is_none_is_not_found_and_an_id_that_is_none_is_refused(call):
    assert call.code("GET", f"{ORDERS}/203-1234567-1234567") == (404, "NotFound")
    assert call.code("GET", f"{ORDERS}/no-such-order") == (400, "InvalidInput")
