"""The number and the orders tell one story, whatever buyers and the seller do."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_http import Request
from channelsync.lab.marketplace_values import Line, Offer, Order, units
from channelsync.sdk.values import OrderSnapshot, OrderStatus, QuantityKey
from vendor_shopify.api import GRAPHQL

START = 40


def _something_happens(both: Any, rng: random.Random, offers: list[Offer], orders: list[str]) -> None:
    """One thing that a buyer or the seller does, of all that the shop knows."""
    market = both.site.marketplace
    if not orders or rng.random() < 0.2:
        lines = rng.sample(offers, rng.randint(1, len(offers)))
        sale = market.buy(lines[0].listing, rng.randint(1, 6), paid=rng.random() < 0.5)
        if sale.order is not None:
            orders.append(sale.order.id)
        return
    order = market.orders[rng.choice(orders)]
    if both.site.shop.book.story(order).cancelled_at is None:
        rng.choice(_possible(both, order, rng.choice(order.lines), rng.randint(1, 3)))()


def _possible(both: Any, order: Order, line: Line, some: int) -> list[Callable[[], object]]:
    """What can happen to an order now."""
    market = both.site.marketplace
    away = units(line.shipped) - units(line.returned) - units(line.quarantined)
    less = max(line.ordered - line.open, line.ordered - some)
    back, left = min(some, away), min(some, line.open)
    found: list[Callable[[], object]] = [
        lambda: market.pay(order.id),
        lambda: market.edit(order.id, line.id, less),
        lambda: market.edit(order.id, line.id, line.ordered + some),
    ]
    if left:
        found += [
            lambda: market.cancel(order.id, {line.id: left}),
            lambda: market.write_off(order.id, line.id, left),
            lambda: market.ship(order.id, {line.id: left}),
        ]
    if back > 0:
        found += [
            lambda: market.bring_back(order.id, line.id, back),
            lambda: market.bring_back(order.id, line.id, back, quarantined=True),
        ]
    if some == 1:
        found.append(lambda: market.cancel(order.id))
        found.append(lambda: None if line.shipped else _cancel_without_restock(both, order))
    return found


@pytest.mark.parametrize("seed", range(15))
async def test_the_number_is_what_the_orders_say(both: Any, seed: int) -> None:
    """Each history of orders explains the number: what was taken, and what was given back at which restock type."""
    rng = random.Random(seed)
    offers = [both.site.shop.catalogue.offer(f"MUG-{name}", START) for name in ("A", "B")]
    orders: list[str] = []
    for _ in range(60):
        _something_happens(both, rng, offers, orders)
        await both.clock.sleep(1)
    await both.clock.sleep(600)
    names = [both.site.shop.book.number(both.site.marketplace.orders[one]) for one in orders]
    async with both.open() as channel:
        found = list(await channel.orders_by_id(names))
        listed = {one.order: one async for page in channel.orders(cursor=None) for one in page.orders}
        reads = await channel.read([QuantityKey(offer.keys[0].key, offer.keys[0].location) for offer in offers])
    assert [listed[one.order] for one in found] == found
    taken: Counter[str] = Counter()
    for order in found:
        assert isinstance(order, OrderSnapshot)
        true = both.order(order.order)
        _is_true(order, true, both.site.shop.book.story(true).cancelled_at)
        for line in order.lines:
            given_back = sum(moved.units for moved in (*line.cancelled, *line.returned))
            if order.status is OrderStatus.CANCELLED:  # the rest went back with the order
                given_back += line.to_ship
            taken[str(line.listing)] += line.ordered - given_back
    assert [read.value for read in reads] == [START - taken[offer.listing] for offer in offers]


def _cancel_without_restock(both: Any, order: Order) -> None:
    """orderCancel with restock: false."""
    token = both.site.shop.access.lasting_token()
    text = """mutation($id: ID!) { orderCancel(orderId: $id, reason: OTHER, restock: false)
              { orderCancelUserErrors { message } } }"""
    asked = {"query": text, "variables": {"id": f"gid://shopify/Order/{both.site.shop.book.number(order)}"}}
    headers = {"x-shopify-access-token": token, "content-type": "application/json"}
    both.site.api.handle(Request("POST", GRAPHQL, "", headers, orjson.dumps(asked)))


def _is_true(told: OrderSnapshot, order: Order, without_restock: datetime | None = None) -> None:
    """Whether the snapshot says of each line what the shop knows. without_restock: when it was cancelled so."""
    assert (told.status is OrderStatus.CANCELLED) == (order.cancelled_at is not None or without_restock is not None)
    for line, true in zip(told.lines, order.lines, strict=True):
        said = [sum(moved.units for moved in some) for some in (line.shipped, line.returned, line.lost)]
        assert said == [units(some) for some in (true.shipped, true.returned, true.written_off)], true
        assert told.to_ship(line) == true.open, true


async def test_long_lists_in_an_order_are_read_to_their_end(both: Any) -> None:
    """More of everything than fits on the first page of each list in an order."""
    market = both.site.marketplace
    offers = [both.site.shop.catalogue.offer(f"MUG-{number}", START) for number in range(45)]
    sale = market.place([Wanted(offer.listing, 6) for offer in offers], partial=False)
    assert sale.order is not None
    for step in range(4):
        market.ship(sale.order.id, {line.id: 1 for line in sale.order.lines})
        await both.clock.sleep(5)
        for line in sale.order.lines:
            market.bring_back(sale.order.id, line.id, 1, quarantined=step == 3)
        market.cancel(sale.order.id, {line.id: 1 for line in sale.order.lines[:30]} if step == 0 else {})
    async with both.open() as channel:
        (found,) = await channel.orders_by_id([both.site.shop.book.number(market.orders[sale.order.id])])
    assert isinstance(found, OrderSnapshot)
    assert len(found.lines) == 45
    _is_true(found, market.orders[sale.order.id])


@pytest.mark.parametrize("status", ["REQUESTED", "OPEN", "CANCELED", "DECLINED"])
async def test_a_return_that_nothing_came_back_of_moves_nothing(both, status: str) -> None:
    market, book = both.site.marketplace, both.site.shop.book
    offer = both.site.shop.catalogue.offer("MUG", START)
    sale = market.buy(offer.listing, 3)
    market.ship(sale.order.id)
    book.announce_return(market.orders[sale.order.id], sale.order.lines[0].id, 2, status)
    async with both.open() as channel:
        (found,) = await channel.orders_by_id([book.number(market.orders[sale.order.id])])
    assert isinstance(found, OrderSnapshot)
    assert [line.returned for line in found.lines] == [()]
    _is_true(found, market.orders[sale.order.id])


async def test_an_order_on_hold_still_ships_all_of_its_units(both) -> None:
    market, book = both.site.marketplace, both.site.shop.book
    offer = both.site.shop.catalogue.offer("MUG", START)
    sale = market.buy(offer.listing, 3)
    book.story(sale.order).on_hold = True
    async with both.open() as channel:
        (found,) = await channel.orders_by_id([book.number(sale.order)])
    assert isinstance(found, OrderSnapshot)
    assert (found.status, [found.to_ship(line) for line in found.lines]) == (OrderStatus.OPEN, [3])


async def test_a_bundles_order_names_its_parts(both) -> None:
    """The bundle's own number cannot be written, so nothing may be reserved on it."""
    market, catalogue = both.site.marketplace, both.site.shop.catalogue
    cup, plate = catalogue.offer("CUP", START), catalogue.offer("PLATE", START)
    bundle = catalogue.offer("SET", parts=[(cup.listing, 2), (plate.listing, 1)])
    sale = market.buy(bundle.listing, 3)
    market.ship(sale.order.id, {sale.order.lines[0].id: 1})
    async with both.open() as channel:
        (found,) = await channel.orders_by_id([both.site.shop.book.number(market.orders[sale.order.id])])
    assert isinstance(found, OrderSnapshot)
    assert {line.listing: (line.ordered, found.to_ship(line)) for line in found.lines} == {
        cup.listing: (6, 4),
        plate.listing: (3, 2),
    }
