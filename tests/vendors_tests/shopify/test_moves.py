"""Fulfilment orders that move to another location: what becomes of them, of the numbers, and of their dates."""

import pytest

from channelsync.lab.marketplace import Wanted

MOVE = """
mutation Move($id: ID!, $to: ID!, $rows: [FulfillmentOrderLineItemInput!]) {
  fulfillmentOrderMove(id: $id, newLocationId: $to, fulfillmentOrderLineItems: $rows) {
    movedFulfillmentOrder { id status assignedLocation { location { id } } }
    originalFulfillmentOrder { id status assignedLocation { location { id } } }
    userErrors { code field message }
  }
}
"""

PARCELS = """
query Parcels($query: String, $closed: Boolean, $key: FulfillmentOrderSortKeys) {
  fulfillmentOrders(first: 50, query: $query, includeClosed: $closed, sortKey: $key) {
    nodes { id orderId status updatedAt }
  }
}
"""

SHOWN = """
query Shown($id: ID!) {
  order(id: $id) {
    updatedAt
    all: fulfillmentOrders(first: 9) {
      nodes {
        id status assignedLocation { location { id } }
        lineItems(first: 9) { nodes { id remainingQuantity lineItem { id } } }
      }
    }
    displayable: fulfillmentOrders(first: 9, displayable: true) { nodes { id } }
  }
}
"""


@pytest.fixture
def places(ask):
    """Two locations of the shop."""
    catalogue = ask.site.shop.catalogue
    return catalogue.primary, catalogue.add_location("Second")


@pytest.fixture
def mugs(ask, places):
    """Two listings that both locations stock."""
    return [ask.site.shop.catalogue.offer(sku, dict.fromkeys(places, 100)) for sku in ("BLUE", "RED")]


def gid(kind, number):
    return f"gid://shopify/{kind}/{number}"


def bought(ask, mugs, units=3):
    """An order of both, which the search knows."""
    order = ask.site.marketplace.place([Wanted(mug.listing, units) for mug in mugs]).order
    ask.advance(60)
    return order


def shown(ask, order):
    return ask.data(SHOWN, id=gid("Order", ask.site.shop.book.number(order)))["order"]


def moved(ask, parcel, to, **more):
    return ask.data(MOVE, id=parcel["id"], to=gid("Location", to), **more)["fulfillmentOrderMove"]


def place_of(parcel):
    return parcel["assignedLocation"]["location"]["id"].rpartition("/")[2]


def numbers(ask, mug):
    """(available, committed) at each location."""
    told = [ask.site.shop.catalogue.quantities(key) for key in mug.keys]
    return [(one["available"], one["committed"]) for one in told]


def test_a_whole_fulfilment_order_moves_and_the_order_is_not_dated_anew(ask, mugs, places):
    order = bought(ask, mugs)
    before = shown(ask, order)
    (parcel,) = before["all"]["nodes"]
    assert numbers(ask, mugs[0]) == [(97, 3), (100, 0)]
    ask.advance(600)
    done = moved(ask, parcel, places[1])
    assert done["userErrors"] == []
    assert done["movedFulfillmentOrder"] == done["originalFulfillmentOrder"]
    ask.advance(60)
    after = shown(ask, order)
    assert [(one["id"], place_of(one)) for one in after["all"]["nodes"]] == [(parcel["id"], places[1])]
    assert after["updatedAt"] == before["updatedAt"]
    assert numbers(ask, mugs[0]) == [(100, 0), (97, 3)]
    assert ask.site.api.problems == []


def test_what_is_cancelled_after_a_move_is_given_back_where_it_was_moved_to(ask, mugs, places):
    order = bought(ask, mugs)
    moved(ask, shown(ask, order)["all"]["nodes"][0], places[1])
    ask.site.marketplace.cancel(order.id)
    ask.advance(60)
    assert numbers(ask, mugs[0]) == [(100, 0), (100, 0)]


def test_a_line_moves_into_a_fulfilment_order_of_its_own(ask, mugs, places):
    order = bought(ask, mugs)
    (parcel,) = shown(ask, order)["all"]["nodes"]
    row = parcel["lineItems"]["nodes"][1]
    done = moved(ask, parcel, places[1], rows=[{"id": row["id"], "quantity": 3}])
    assert done["originalFulfillmentOrder"]["id"] == parcel["id"] != done["movedFulfillmentOrder"]["id"]
    found = {place_of(one): one["lineItems"]["nodes"] for one in shown(ask, order)["all"]["nodes"]}
    assert {place: [one["lineItem"] for one in rows] for place, rows in found.items()} == {
        places[0]: [parcel["lineItems"]["nodes"][0]["lineItem"]],
        places[1]: [row["lineItem"]],
    }


def test_two_that_meet_at_a_location_are_closed_and_hidden_and_a_third_holds_their_lines(ask, mugs, places):
    order = bought(ask, mugs)
    (parcel,) = shown(ask, order)["all"]["nodes"]
    moved(ask, parcel, places[1], rows=[{"id": parcel["lineItems"]["nodes"][1]["id"], "quantity": 3}])
    moved(ask, parcel, places[1])
    after = shown(ask, order)
    (alive,) = [one for one in after["all"]["nodes"] if one["status"] != "CLOSED"]
    assert place_of(alive) == places[1]
    assert len(alive["lineItems"]["nodes"]) == 2
    assert [one["id"] for one in after["displayable"]["nodes"]] == [alive["id"]]
    left = [row for one in after["all"]["nodes"] if one is not alive for row in one["lineItems"]["nodes"]]
    assert len(after["all"]["nodes"]) == 3
    assert {row["remainingQuantity"] for row in left} == {0}


def test_the_search_finds_what_was_moved_by_its_own_date(ask, mugs, places):
    moves, stays = bought(ask, mugs), bought(ask, mugs)
    (parcel,) = shown(ask, moves)["all"]["nodes"]
    ask.advance(3600)
    since = f"updated_at:>='{ask.site.marketplace.time():%Y-%m-%dT%H:%M:%SZ}'"
    assert ask.data(PARCELS, query=since)["fulfillmentOrders"]["nodes"] == []
    moved(ask, parcel, places[1])
    ask.advance(60)
    (found,) = ask.data(PARCELS, query=since)["fulfillmentOrders"]["nodes"]
    assert (found["id"], found["orderId"]) == (parcel["id"], gid("Order", ask.site.shop.book.number(moves)))
    order = [one["id"] for one in ask.data(PARCELS, key="UPDATED_AT")["fulfillmentOrders"]["nodes"]]
    assert order == [shown(ask, stays)["all"]["nodes"][0]["id"], parcel["id"]]
    assert [one["id"] for one in ask.data(PARCELS)["fulfillmentOrders"]["nodes"]] == sorted(order)


def test_the_search_knows_of_a_move_as_late_as_of_an_order(ask, mugs, places):
    order = bought(ask, mugs)
    (parcel,) = shown(ask, order)["all"]["nodes"]
    ask.advance(3600)
    since = f"updated_at:>='{ask.site.marketplace.time():%Y-%m-%dT%H:%M:%SZ}'"
    moved(ask, parcel, places[1])
    assert ask.data(PARCELS, query=since)["fulfillmentOrders"]["nodes"] == []


def test_closed_ones_are_found_only_where_they_are_asked_for(ask, mugs):
    order = bought(ask, mugs)
    ask.site.marketplace.ship(order.id)
    ask.advance(60)
    assert ask.data(PARCELS)["fulfillmentOrders"]["nodes"] == []
    (found,) = ask.data(PARCELS, closed=True, query="status:closed")["fulfillmentOrders"]["nodes"]
    assert found["status"] == "CLOSED"


def test_a_closed_one_cannot_be_moved(ask, mugs, places):
    order = bought(ask, mugs)
    ask.site.marketplace.ship(order.id)
    done = moved(ask, shown(ask, order)["all"]["nodes"][0], places[1])
    assert [one["field"] for one in done["userErrors"]] == [["id"]]


def test_one_with_reported_progress_cannot_be_moved(ask, mugs, places):
    order = bought(ask, mugs)
    ask.site.shop.book.story(order).in_progress = True
    (parcel,) = shown(ask, order)["all"]["nodes"]
    done = moved(ask, parcel, places[1])
    assert parcel["status"] == "IN_PROGRESS"
    assert [one["code"] for one in done["userErrors"]] == ["CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"]


@pytest.mark.parametrize("where", ["where it is", "where nothing is stocked", "where it is stocked no more", "nowhere"])
def test_a_location_that_cannot_ship_it_is_refused(ask, mugs, places, where):
    order = bought(ask, mugs)
    catalogue = ask.site.shop.catalogue
    (parcel,) = shown(ask, order)["all"]["nodes"]
    to = {"where it is": places[0], "where it is stocked no more": places[1], "nowhere": "404"}.get(where)
    if where == "where it is stocked no more":
        catalogue.inactive.add(mugs[0].keys[1])
    done = moved(ask, parcel, to or catalogue.add_location("Empty"))
    assert [one["field"] for one in done["userErrors"]] == [["newLocationId"]]
    assert done["movedFulfillmentOrder"] is None
    assert numbers(ask, mugs[0]) == [(97, 3), (100, 0)]


@pytest.mark.parametrize("units", [0, 4])
def test_units_that_are_not_there_cannot_be_moved(ask, mugs, places, units):
    order = bought(ask, mugs)
    (parcel,) = shown(ask, order)["all"]["nodes"]
    row = {"id": parcel["lineItems"]["nodes"][0]["id"], "quantity": units}
    assert moved(ask, parcel, places[1], rows=[row])["userErrors"]


def test_an_app_that_may_not_see_fulfilment_orders_is_refused_both_questions(opened):
    ask = opened(scopes=["read_orders"])
    for asked in (PARCELS, "{ orders(first: 1) { nodes { fulfillmentOrders(first: 1) { nodes { id } } } } }"):
        mug = ask.site.shop.catalogue.offer("MUG", 5)
        ask.site.marketplace.buy(mug.listing, 1)
        ask.advance(60)
        assert [one["extensions"]["code"] for one in ask(asked)["errors"]] == ["ACCESS_DENIED"]
