"""What orders of our own may say of themselves: the same by hand and in a file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.errors import BadOrder
from channelsync.domain.orders import OrderStatus
from channelsync.store import orders_view
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync.orders_by_hand import (
    BookByHand,
    LineByHand,
    OrderNow,
    book_by_hand,
)
from channelsync.sync.orders_file import read_orders
from channelsync.sync.orders_import import Imported, RowsRefused, import_orders
from channelsync.sync.orders_shown import view_order
from channelsync.sync.stock import CLOCKS_DIFFER


async def book(seller: Any, order: str = "1", *, sku: str = "MUG", units: int = 3, **more: Any) -> OrderNow:
    wanted = BookByHand(order=order, lines=(LineByHand(sku, units),), **more)
    now = seller.clock.now()
    done: OrderNow = await seller.database.transact(
        lambda c: book_by_hand(c, seller.agent.setup, wanted, now=now, run="test")
    )
    return done


async def take(seller: Any, text: str) -> Imported:
    """Takes a file of orders in."""
    file = read_orders(text.encode(), json_lines=text.startswith("{"), locations=("main",))
    now = seller.clock.now()
    done: Imported = await seller.database.transact(
        lambda c: import_orders(
            c, seller.agent.setup, file, name="f", digest=text, skip_bad_rows=False, now=now, run="test"
        )
    )
    return done


async def stored(seller: Any) -> list[str]:
    found = await seller.database.query(lambda c: orders_view.find_orders(c, OrdersWanted()))
    return sorted(one.order for one in found)


# Times that have not come


async def test_an_order_of_a_time_to_come_is_refused_by_hand_and_its_time_is_named(seller: Any) -> None:
    await seller.has("MUG", 9)
    now = seller.clock.now()

    with pytest.raises(BadOrder, match=r"Order 1: placed_at 2036-01-01T00:00:00\+00:00 is in the future"):
        await book(seller, placed_at=now.replace(year=2036, month=1, day=1, hour=0))
    with pytest.raises(BadOrder, match="is in the future"):
        await book(seller, placed_at=now + CLOCKS_DIFFER + timedelta(seconds=1))

    assert await stored(seller) == []
    assert (await book(seller, placed_at=now + CLOCKS_DIFFER)).changed, "clocks differ a little"


@pytest.mark.parametrize("column", ["placed_at", "changed_at"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_order_of_a_time_to_come_is_refused_in_a_file_and_row_order_and_time_are_named(
    seller: Any, form: str, column: str
) -> None:
    later = (seller.clock.now() + timedelta(minutes=2)).isoformat()
    told = f"order,sku,units,{column}\n1,MUG,2,\n2,MUG,1,{later}\n"
    if form == "jsonl":
        line = '"lines": [{"sku": "MUG", "units": 1}]'
        told = f'{{"order": "1", {line}}}\n{{"order": "2", "{column}": "{later}", {line}}}\n'

    with pytest.raises(RowsRefused) as refused:
        await take(seller, told)

    (bad,) = refused.value.bad
    assert bad.row == (3 if form == "csv" else 2)
    assert bad.why.startswith(f"order 2: {column} {later} is in the future")
    assert await stored(seller) == []


# Names


@pytest.mark.parametrize("name", [" 1", "1 ", "1\u200b", "1\u00a0"])
async def test_a_key_that_nobody_could_tell_from_another_is_refused_by_hand_as_in_a_file(
    seller: Any, name: str
) -> None:
    await seller.has("MUG", 9)
    await book(seller)

    with pytest.raises(BadOrder) as by_hand:
        await book(seller, name)
    with pytest.raises(RowsRefused) as in_file:
        await take(seller, f"order,sku,units\n{name},MUG,3\n")

    (bad,) = in_file.value.bad
    assert bad.why == f"order {name!r} has blanks at its ends or characters that cannot be seen; remove them"
    assert bad.why in str(by_hand.value)
    assert (await seller.position("MUG")).reserved == 3


async def test_a_sku_with_blanks_at_its_ends_is_refused_by_hand_too(seller: Any) -> None:
    with pytest.raises(BadOrder, match="sku ' MUG' has blanks at its ends"):
        await book(seller, sku=" MUG")


# Units


async def test_an_order_of_no_units_is_refused_by_hand_and_closed_in_a_file(seller: Any) -> None:
    await seller.has("MUG", 9)

    with pytest.raises(BadOrder, match="Order 1: 0 is no number of units to order of MUG; name 1 or more"):
        await book(seller, units=0)

    await take(seller, "order,sku,units\n1,MUG,0\n")
    (one,) = await seller.database.query(lambda c: orders_view.find_orders(c, OrdersWanted()))
    assert one.said.status is OrderStatus.CLOSED


async def test_what_a_cancelled_order_says_is_cancelled_is_the_same_wherever_it_is_shown(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller)
    await seller.ships("1", MUG=1)
    await seller.cancels("1", MUG=1)

    done = await seller.cancels("1")
    (shown,) = await seller.database.query(lambda c: view_order(c, "1", "manual"))

    assert (done.lines[0].shipped, done.lines[0].cancelled) == (1, 2)
    assert (shown.lines[0].shipped, shown.lines[0].cancelled, shown.lines[0].to_ship) == (1, 2, 0)


@pytest.mark.parametrize(
    ("units", "told"),
    [
        ({"MUG": 99}, "MUG: 99 cannot be cancelled: 3 were ordered, 1 are shipped and 2 cancelled already"),
        ({"MUG": 1}, "MUG: 2 are cancelled already; 1 is less"),
        ({"CUP": 1}, "Order 1 has no line of CUP"),
    ],
)
async def test_what_cannot_be_cancelled_is_refused_of_a_cancelled_order_too(
    seller: Any, units: dict[str, int], told: str
) -> None:
    await seller.has("MUG", 9)
    await book(seller)
    await seller.ships("1", MUG=1)
    await seller.cancels("1")

    with pytest.raises(BadOrder, match=told):
        await seller.cancels("1", **units)
    assert not (await seller.cancels("1", MUG=2)).changed, "so many are"
    assert not (await seller.cancels("1")).changed


# What shipping leaves behind


async def test_units_that_were_not_there_and_are_shipped_are_told(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "second"))
    await seller.has("MUG", 9)
    await seller.has("MUG", 1, "second")
    await book(seller)

    fine = await seller.ships("1", location="second", MUG=1)
    short = await seller.ships("1", location="second", MUG=2)
    rest = await seller.ships("1")

    assert fine.oversold == ()
    assert short.oversold == rest.oversold == (("MUG", "second", -1),)
    await seller.has("MUG", 1, "second")
    assert (await seller.ships("1")).oversold == ()
