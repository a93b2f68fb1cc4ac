"""An order that Shopify has not reserved yet: we reserve it, and wait for the number to fall until Shopify does."""

from collections.abc import Mapping
from typing import Any

import pytest

from channelsync.domain.booked import BookedOrder
from channelsync.domain.booking import Booking, Terms, book
from channelsync.domain.effects import KeyMove
from channelsync.domain.sourcing import SoldAs
from channelsync.sdk.values import OrderSnapshot, QuantityKey
from channelsync_shopify.settings import capabilities

START = 40


class Books:
    """What we book of one order, and what we hold Shopify's number to be."""

    def __init__(self, both: Any) -> None:
        self.both = both
        self.mug = both.site.shop.catalogue.offer("MUG", START)
        self.booked: BookedOrder | None = None
        self.number = START

    def buys(self) -> str:
        """An order that is not reserved."""
        sale = self.both.site.marketplace.buy(self.mug.listing, 3)
        self.both.site.shop.book.leave_unreserved(sale.order.id)
        return sale.order.id

    async def reads(self, order: str) -> tuple[int, int, int | None]:
        """Books the order as it is now: (units that we reserve, the number that we expect, the one that is shown)."""
        await self.both.clock.sleep(60)
        name = self.both.site.shop.book.number(self.both.site.marketplace.orders[order])
        async with self.both.open() as channel:
            (found,) = await channel.orders_by_id([name])
            (read,) = await channel.read([QuantityKey(self.mug.keys[0].key, self.mug.keys[0].location)])
        booking = self._booking(found)
        assert booking.order is not None
        self.booked = booking.order
        self.number += sum(effect.delta for effect in booking.effects)
        held = sum(leg.open for line in self.booked.lines for leg in line.legs)
        return held, self.number, read.value

    def _booking(self, found: OrderSnapshot) -> Booking:
        lines: Mapping[str, Any] = {line.line: line for line in found.lines}
        return book(
            self.booked,
            found,
            Terms(
                channel="shop-uk",
                sold={line: SoldAs("mug") for line in lines},
                locations=[self.mug.keys[0].location],
                available={},
                recipes={},
                counted_up_to={},
                run="run-1",
                behaviour=capabilities(self.both.settings).behaviour,
                moves={line: [KeyMove(1)] for line in lines},
            ),
        )


@pytest.fixture
def books(both: Any) -> Books:
    return Books(both)


async def test_the_number_is_expected_to_fall_when_shopify_reserves_and_the_units_are_ours_at_once(books) -> None:
    order = books.buys()
    assert await books.reads(order) == (3, START, START)
    books.both.site.shop.book.reserve(order)
    assert await books.reads(order) == (3, START - 3, START - 3)
    books.both.site.marketplace.ship(order)
    assert await books.reads(order) == (0, START - 3, START - 3)


async def test_what_is_edited_while_it_is_not_reserved_is_expected_with_the_rest(books) -> None:
    order = books.buys()
    await books.reads(order)
    line = books.both.site.marketplace.orders[order].lines[0].id
    books.both.site.marketplace.edit(order, line, 5)
    assert await books.reads(order) == (5, START, START)
    books.both.site.shop.book.reserve(order)
    assert await books.reads(order) == (5, START - 5, START - 5)


async def test_an_order_that_is_cancelled_before_it_was_reserved_is_expected_to_move_nothing(books) -> None:
    order = books.buys()
    await books.reads(order)
    books.both.site.marketplace.cancel(order)
    assert await books.reads(order) == (0, START, START)


async def test_an_order_that_is_cancelled_after_it_was_reserved_gives_its_units_back(books) -> None:
    order = books.buys()
    await books.reads(order)
    books.both.site.shop.book.reserve(order)
    await books.reads(order)
    books.both.site.marketplace.cancel(order)
    assert await books.reads(order) == (0, START, START)
