"""An order that cannot be booked holds up neither its neighbours nor what its channel tells afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.domain.orders import OrderLine
from channelsync.sdk.values import OrderPage
from channelsync.store import channels, orders, orders_view
from channelsync.store.database_errors import DatabaseFull
from channelsync.sync import book_orders
from channelsync.sync.orders_by_id import read_hinted
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


class PowerCut(BaseException):
    """The process dies here."""


async def poll(seller: Any) -> Any:
    return await poll_orders(seller.agent, seller.channel())


async def cursor(seller: Any) -> str | None:
    found = await seller.database.transact(lambda c: channels.channel_state(c, "shop"))
    return str(found.cursor) if found.cursor is not None else None


async def kept(seller: Any) -> list[Any]:
    return list(await seller.database.query(orders_view.kept_orders))


async def three_sales(seller: Any) -> list[Any]:
    mug = await seller.sells("MUG", 9)
    shop = seller.shop()
    return [shop.buy((shop.items[mug], units)) for units in (1, 2, 4)]


Poison = Callable[..., pytest.MonkeyPatch]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """poison(order): booking that order raises, with a text that a database refuses, until it is undone."""
    book = book_orders.book

    def poisoned(order: str, error: Exception | None = None) -> pytest.MonkeyPatch:
        def fails(before: Any, told: Any, terms: Any) -> Any:
            if told.order == order:
                raise error or ZeroDivisionError("it is \x00 poison\nand more")
            return book(before, told, terms)

        monkeypatch.setattr(book_orders, "book", fails)
        return monkeypatch

    return poisoned


@pytest.mark.fault(64, "an order that cannot be booked is kept and found; its neighbours and what follows are booked")
async def test_an_order_that_cannot_be_booked_is_kept_and_found_and_the_channel_s_orders_go_on(
    seller: Any, poison: Poison
) -> None:
    sales = await three_sales(seller)
    patch = poison(sales[1].id)

    taken = await poll(seller)

    assert (taken.failed, taken.orders, taken.booked) == ("", 3, 2)
    assert (await seller.position("MUG")).reserved == 5
    (found,) = await seller.findings()
    assert found.kind == FindingKind.UNREADABLE_ORDER
    assert f"Order {sales[1].id} on shop" in found.summary
    (row,) = await kept(seller)
    assert (row.order, row.reason) == (sales[1].id, "booking it failed with ZeroDivisionError: it is \\x00 poison")
    assert '"ordered": 2' in row.raw
    assert (await poll(seller)).orders == 0, "its page is not asked for again"
    state = await seller.database.transact(lambda c: channels.channel_state(c, "shop"))
    assert state.covered_to == seller.clock.now()

    patch.undo()
    seller.shop().edit(sales[1], 3)
    assert (await poll(seller)).booked == 1
    assert (await seller.position("MUG")).reserved == 8
    assert (await seller.findings(), await kept(seller)) == ([], [])


class Odd(MemoryChannel):
    """A channel of which the second order of a page has a line with an SKU that databases refuse."""

    sku: str

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in super().orders(cursor=cursor):
            odd = OrderLine(line="odd", sku=Odd.sku, ordered=1)
            yield replace(
                page,
                orders=tuple(
                    replace(one, lines=(*one.lines, odd)) if at == 1 else one for at, one in enumerate(page.orders)
                ),
            )


@pytest.mark.parametrize("sku", ["te\x00a", "te\ud800a"])
async def test_a_text_that_the_database_refuses_stops_no_other_order(
    open_seller: Any, monkeypatch: pytest.MonkeyPatch, sku: str
) -> None:
    monkeypatch.setattr(Odd, "sku", sku, raising=False)
    seller = await open_seller("shop", connectors={"shop": memory_connector(Odd)})
    sales = await three_sales(seller)

    await poll(seller)

    takes_it = seller.database.dialect == "sqlite" and "\x00" in sku
    assert (await seller.position("MUG")).reserved == (7 if takes_it else 5)
    assert [one.order for one in await kept(seller)] == ([] if takes_it else [sales[1].id])
    assert (await poll(seller)).orders == 0


async def test_an_order_whose_very_id_the_database_refuses_is_kept_under_one_that_it_takes(
    open_seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unnamed(MemoryChannel):
        async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
            async for page in super().orders(cursor=cursor):
                first = [replace(one, order="o-\ud800") for one in page.orders[:1]]
                yield replace(page, orders=(*first, *page.orders[1:]))

    seller = await open_seller("shop", connectors={"shop": memory_connector(Unnamed)})
    await three_sales(seller)

    assert (await poll(seller)).booked == 2
    assert [one.order for one in await kept(seller)] == ["o-\\ud800"]


async def test_a_hinted_order_that_cannot_be_booked_is_kept_and_its_neighbours_are_booked(
    seller: Any, poison: Poison
) -> None:
    sales = await three_sales(seller)
    poison(sales[0].id)
    now = seller.clock.now()
    named = dict.fromkeys((sale.id for sale in sales), "a webhook")
    await seller.database.transact(lambda c: orders.hint_orders(c, "shop", named, now))

    assert await read_hinted(seller.agent, seller.channel()) == 2

    assert (await seller.position("MUG")).reserved == 6
    assert ([one.order for one in await kept(seller)], await seller.hinted()) == ([sales[0].id], [])


async def test_an_error_of_the_database_as_a_whole_is_no_order_s_fault(seller: Any, poison: Poison) -> None:
    sales = await three_sales(seller)
    patch = poison(sales[1].id, DatabaseFull("no room"))

    with pytest.raises(DatabaseFull):
        await poll(seller)

    assert ((await seller.position("MUG")).reserved, await kept(seller), await cursor(seller)) == (0, [], None)
    patch.undo()
    assert (await poll(seller)).booked == 3


async def test_the_cursor_goes_with_the_last_transaction_when_orders_are_booked_one_by_one(
    seller: Any, poison: Poison
) -> None:
    """The process dies when every order is booked but the one that cannot be, and that one is not kept yet."""
    sales = await three_sales(seller)
    patch = poison(sales[0].id)

    def dies(*_: Any) -> None:
        raise PowerCut

    keep = orders.keep_unreadable
    patch.setattr(orders, "keep_unreadable", lambda c, name, some, now: dies() if some else keep(c, name, some, now))
    with pytest.raises(PowerCut):
        await poll(seller)
    assert ((await seller.position("MUG")).reserved, await cursor(seller)) == (6, None)

    patch.setattr(orders, "keep_unreadable", keep)
    assert (await poll(seller)).orders == 3, "the page comes again"
    assert ((await seller.position("MUG")).reserved, len(await kept(seller))) == (6, 1)
