"""Units that are moved to another location: the next poll says so, though the order is not dated anew."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_http import Request
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync_shopify.settings import ORDER_OVERLAP
from vendor_shopify.api import GRAPHQL

LATER = ORDER_OVERLAP + timedelta(minutes=10)
"""So long after a change that no overlap brings it again."""

MOVE = """mutation($id: ID!, $to: ID!) {
  fulfillmentOrderMove(id: $id, newLocationId: $to) { userErrors { field message } }
}"""


class Seller:
    """A shop with two locations that stock everything, and its seller."""

    def __init__(self, both: Any) -> None:
        self.both = both
        self.catalogue, self.book, self.market = both.site.shop.catalogue, both.site.shop.book, both.site.marketplace
        self.here, self.there = self.catalogue.primary, self.catalogue.add_location("Second")
        self.mug = self.catalogue.offer("MUG", {self.here: 5000, self.there: 5000})

    def buys(self, orders: int = 1) -> list[str]:
        """A buyer's orders, by number."""
        placed = [self.market.place([Wanted(self.mug.listing, 2)]).order for _ in range(orders)]
        return [self.book.number(order) for order in placed]

    def moves(self, order: str) -> None:
        """The seller lets the other location ship the order."""
        (parcel,) = self.both.site.api.orders.after.parcels(self.both.order(order))
        variables = {
            "id": f"gid://shopify/FulfillmentOrder/{parcel.number}",
            "to": f"gid://shopify/Location/{self.there}",
        }
        headers = {
            "x-shopify-access-token": self.both.site.shop.access.lasting_token(),
            "content-type": "application/json",
        }
        body = orjson.dumps({"query": MOVE, "variables": variables})
        told = orjson.loads(self.both.site.api.handle(Request("POST", GRAPHQL, "", headers, body)).body)
        assert told["data"]["fulfillmentOrderMove"]["userErrors"] == []

    async def waits(self, by: timedelta = LATER) -> None:
        await self.both.clock.sleep(by.total_seconds())


@pytest.fixture
def seller(both: Any) -> Seller:
    return Seller(both)


async def polled(both: Any, cursor: str | None = None, **changed: Any) -> list[Any]:
    """The pages of one poll."""
    async with both.open(**changed) as channel:
        return [page async for page in channel.orders(cursor=cursor)]


def places(pages: list[Any]) -> dict[str, str | None]:
    """Where each order is to be shipped from, as the pages say last."""
    return {order.order: order.lines[0].location for page in pages for order in page.orders}


async def test_the_poll_after_a_move_brings_the_order_with_its_new_location(both, seller) -> None:
    stays, moves = seller.buys(2)
    await seller.waits()
    first = await polled(both)
    assert places(first) == {stays: seller.here, moves: seller.here}
    await seller.waits()
    seller.moves(moves)
    await seller.waits(timedelta(seconds=5))
    second = await polled(both, first[-1].cursor)
    assert places(second) == {moves: seller.there}
    assert second[-1].covered_to is not None
    versions = {order.version for page in (*first, *second) for order in page.orders if order.order == moves}
    assert len(versions) == 1, "the server dated the order anew: this proves nothing"
    await seller.waits()
    third = await polled(both, second[-1].cursor)  # its window holds the move, for the second began right after it
    assert places(await polled(both, third[-1].cursor)) == {}, "a move is told again for ever"


async def test_a_move_that_the_search_learns_of_late_is_found_by_the_next_poll(both, seller) -> None:
    (order,) = seller.buys()
    await seller.waits()
    pages = await polled(both)
    await seller.waits()
    seller.moves(order)
    pages = await polled(both, pages[-1].cursor)
    assert places(pages) == {}, "the search knew at once: this proves nothing"
    await seller.waits(timedelta(seconds=30))
    assert places(await polled(both, pages[-1].cursor)) == {order: seller.there}


async def test_an_order_that_moves_while_the_pages_are_read_comes_with_the_next_poll(both, seller) -> None:
    orders = seller.buys(5)
    await seller.waits()
    cursor = (await polled(both))[-1].cursor
    for order in orders:
        seller.market.edit(seller.both.order(order).id, seller.both.order(order).lines[0].id, 3)
    await seller.waits(timedelta(seconds=10))
    pages = []
    async with both.open(orders_per_page=2) as channel:
        async for page in channel.orders(cursor=cursor):
            pages.append(page)
            if len(pages) == 1:
                seller.moves(orders[0])
                await seller.waits(timedelta(seconds=10))
    assert places(pages)[orders[0]] == seller.here, "it came before it was moved"
    await seller.waits()
    assert places(await polled(both, pages[-1].cursor))[orders[0]] == seller.there


async def test_a_move_during_the_first_round_is_found_by_the_second(both, seller) -> None:
    orders = seller.buys(5)
    await seller.waits()
    pages = []
    async with both.open(orders_per_page=2) as channel:
        async for page in channel.orders(cursor=None):
            pages.append(page)
            if len(pages) == 1:
                seller.moves(orders[0])
                await seller.waits()
    assert places(pages)[orders[0]] == seller.here
    assert places(await polled(both, pages[-1].cursor)) == {orders[0]: seller.there}


async def test_a_poll_that_is_resumed_at_any_page_brings_every_move(both, seller) -> None:
    orders = seller.buys(300)
    await seller.waits()
    cursor = (await polled(both, orders_per_page=200))[-1].cursor
    await seller.waits()
    for order in orders:
        seller.moves(order)
        await seller.waits(timedelta(milliseconds=200))
    new = seller.buys(3)
    await seller.waits(timedelta(seconds=30))
    pages = await polled(both, cursor, orders_per_page=2)
    assert {order: place for order, place in places(pages).items() if order not in new} == dict.fromkeys(
        orders, seller.there
    )
    assert len(pages) > 3, "nothing to resume at"
    assert [page.covered_to is None for page in pages] == [True] * (len(pages) - 1) + [False]
    for number, page in enumerate(pages, 1):
        rest = await polled(both, page.cursor, orders_per_page=50)
        assert {*places(pages[:number]), *places(rest)} >= {*orders, *new}, f"resumed after page {number}"


async def test_an_order_of_a_shop_where_nothing_moves_is_read_once(both, seller) -> None:
    """Fulfilment orders change with their orders: what the pages brought is not asked for again."""
    cursor = (await polled(both))[-1].cursor
    seller.buys(4)
    await seller.waits(timedelta(seconds=30))
    both.site.api.calls.clear()
    assert len(places(await polled(both, cursor))) == 4
    assert both.site.api.calls.get("orders by id", 0) == 0
    assert both.site.api.calls["orders"] == 2, "one page of orders, and one of fulfilment orders"


async def test_a_search_for_moves_that_fails_is_a_failed_poll_which_keeps_the_orders_that_came(
    both, seller, monkeypatch
) -> None:
    cursor = (await polled(both))[-1].cursor
    (order,) = seller.buys()
    await seller.waits(timedelta(seconds=30))
    pages = []
    async with both.open() as channel:

        async def fails(**_: Any) -> None:
            raise TryLater("the search is down")

        monkeypatch.setattr(channel._client, "fulfillment_orders", fails)
        with pytest.raises(TryLater):
            await _collect(channel.orders(cursor=cursor), pages)
    assert places(pages) == {order: seller.here}
    assert [page.covered_to for page in pages] == [None]
    assert (await polled(both, pages[-1].cursor))[-1].covered_to is not None


async def _collect(found: Any, pages: list[Any]) -> None:
    async for page in found:
        pages.append(page)


async def test_the_permission_that_is_needed_is_the_one_that_whole_orders_need_too(both, seller) -> None:
    """So a shop whose orders can be polled at all can be asked for moves, and none is lost for want of a permission."""
    cursor = (await polled(both))[-1].cursor
    seller.buys()
    await seller.waits(timedelta(seconds=30))
    access = both.site.shop.access
    access.scopes = frozenset(one for one in access.scopes if "fulfillment_orders" not in one)
    for began in (None, cursor):
        with pytest.raises(NeedsSeller, match="fulfillment_orders"):
            await polled(both, began)
