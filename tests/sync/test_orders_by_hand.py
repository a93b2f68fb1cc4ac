"""Orders that we take ourselves: booked like any other, idempotent by the caller's key, refused only when asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from channelsync.domain.errors import BadOrder, ShortOfUnits
from channelsync.domain.findings import FindingKind
from channelsync.domain.ledger import EntryKind
from channelsync.store import orders_view
from channelsync.store.database import open_database
from channelsync.sync.orders_by_hand import (
    BookByHand,
    LineByHand,
    OrderNow,
    book_by_hand,
)
from channelsync.sync.setup import BY_HAND


async def book(seller: Any, order: str = "P-1", *, database: Any = None, **fields: Any) -> OrderNow:
    """Books an order of one keyword argument a SKU; the rest goes to BookByHand."""
    rest = {name: fields.pop(name) for name in ("placed_at", "change", "refuse_short") if name in fields}
    location = fields.pop("location", None)
    lines = tuple(LineByHand(sku, units, location) for sku, units in fields.items())
    wanted = BookByHand(order=order, lines=lines, **rest)
    now = seller.clock.now()
    done: OrderNow = await (database or seller.database).transact(
        lambda c: book_by_hand(c, seller.agent.setup, wanted, now=now, run="test")
    )
    return done


async def entries(seller: Any, order: str = "P-1") -> list[tuple[EntryKind, int, int]]:
    found = await seller.database.query(lambda c: orders_view.entries_of_order(c, BY_HAND, order))
    return [(one.movement.kind, one.movement.on_hand, one.movement.reserved) for one in found]


# Booking


async def test_an_order_reserves_its_units_and_lowers_every_channel(seller: Any) -> None:
    await seller.sells("MUG", 5)

    done = await book(seller, MUG=2)

    assert (done.changed, done.status, done.oversold) == (True, "open", ())
    assert (await seller.position("MUG")).available == 3


async def test_an_order_that_comes_short_is_booked_and_found(seller: Any) -> None:
    await seller.has("MUG", 1)

    done = await book(seller, MUG=3)

    assert done.oversold == (("MUG", "main", -2),)
    assert await seller.kinds() == [FindingKind.OVERSOLD]


async def test_the_same_key_again_changes_nothing_whenever_it_comes(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=2)
    await seller.clock.sleep(60)
    assert (await book(seller, MUG=2)).changed is False
    await seller.ships("P-1", MUG=1)
    assert (await book(seller, MUG=2)).changed is False
    await seller.cancels("P-1")
    again = await book(seller, MUG=2)

    assert (again.changed, again.status) == (False, "cancelled")
    assert (await seller.position("MUG")).available == 8


async def test_a_key_that_is_taken_by_other_lines_is_refused(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=2)

    for lines in ({"MUG": 3}, {"MUG": 2, "CUP": 1}, {"CUP": 2}, {"MUG": 2, "location": "main"}):
        with pytest.raises(BadOrder, match="booked already with other lines"):
            await book(seller, **lines)

    assert (await seller.position("MUG")).reserved == 2


async def test_a_change_replaces_the_lines(seller: Any) -> None:
    await seller.has("MUG", 9)
    await seller.has("CUP", 9)
    await book(seller, MUG=2)

    await book(seller, MUG=4, CUP=1, change=True)
    assert ((await seller.position("MUG")).reserved, (await seller.position("CUP")).reserved) == (4, 1)
    await book(seller, CUP=1, change=True)
    assert ((await seller.position("MUG")).reserved, (await seller.position("CUP")).reserved) == (0, 1)


async def test_what_was_shipped_stays_shipped_whatever_is_changed(seller: Any) -> None:
    await seller.has("MUG", 9)
    await seller.has("CUP", 9)
    await book(seller, MUG=4)
    await seller.ships("P-1", MUG=3)

    with pytest.raises(BadOrder, match="3 of MUG were shipped or cancelled already"):
        await book(seller, MUG=2, change=True)
    done = await book(seller, CUP=1, change=True)

    assert [(line.sku, line.ordered, line.shipped, line.open) for line in done.lines] == [
        ("MUG", 3, 3, 0),
        ("CUP", 1, 0, 1),
    ]
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (6, 0)


async def test_a_closed_order_opens_again_when_more_is_wanted(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=1)
    assert (await seller.ships("P-1")).status == "closed"

    done = await book(seller, MUG=2, change=True)

    assert done.status == "open"
    assert (await seller.position("MUG")).reserved == 1


async def test_an_order_ships_from_the_location_that_it_names(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "outlet"))
    await seller.has("MUG", 9)
    await seller.has("MUG", 9, "outlet")

    await book(seller, MUG=2, location="outlet")

    assert ((await seller.position("MUG")).reserved, (await seller.position("MUG", "outlet")).reserved) == (0, 2)
    with pytest.raises(BadOrder, match="There is no location moon; there is main, outlet"):
        await book(seller, "P-2", MUG=1, location="moon")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ((), "Order P-1 has no lines"),
        ((LineByHand("MUG", -1),), "-1 is no number of units"),
        ((LineByHand("MUG", 10**18),), "is no number of units"),
        ((LineByHand("MUG", 1), LineByHand("MUG", 2)), "names MUG twice"),
        ((LineByHand("", 1),), "has no id"),
    ],
)
async def test_what_no_order_can_say_is_refused(seller: Any, lines: tuple[LineByHand, ...], told: str) -> None:
    wanted = BookByHand(order="P-1", lines=lines)

    with pytest.raises(BadOrder, match=told):
        await seller.database.transact(
            lambda c: book_by_hand(c, seller.agent.setup, wanted, now=seller.clock.now(), run="test")
        )

    assert await seller.database.query(lambda c: orders_view.find_orders(c, orders_view.OrdersWanted())) == []


async def test_an_order_says_when_it_was_placed(seller: Any) -> None:
    earlier = seller.clock.now() - timedelta(hours=3)
    await seller.has("MUG", 9)
    await book(seller, MUG=1, placed_at=earlier)

    (one,) = await seller.database.query(lambda c: orders_view.find_orders(c, orders_view.OrdersWanted()))

    assert one.said.placed_at == earlier


# Refusing when short


async def test_refuse_short_refuses_what_would_leave_a_location_below_0(seller: Any) -> None:
    await seller.has("MUG", 2)
    await book(seller, "a", MUG=1, refuse_short=True)

    with pytest.raises(ShortOfUnits, match="MUG at main: 2 units wanted, 1 available"):
        await book(seller, "b", MUG=2, refuse_short=True)

    assert (await seller.position("MUG")).reserved == 1
    assert await seller.kinds() == [], "what is refused leaves no finding"
    assert (await book(seller, "b", MUG=1, refuse_short=True)).changed


async def test_refuse_short_adds_up_the_demand_of_an_order_on_a_shared_component(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2}, "BOX": {"SET": 1, "MUG": 1}})
    await seller.has("MUG", 6)

    with pytest.raises(ShortOfUnits, match="MUG at main: 7 units wanted, 6 available"):
        await book(seller, BOX=1, SET=1, MUG=2, refuse_short=True)

    assert (await book(seller, BOX=1, SET=1, MUG=1, refuse_short=True)).changed
    assert (await seller.position("MUG")).available == 0


async def test_refuse_short_finds_the_location_that_has_the_units(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "outlet"))
    await seller.has("MUG", 1)
    await seller.has("MUG", 3, "outlet")

    assert (await book(seller, "a", MUG=3, refuse_short=True)).oversold == ()
    with pytest.raises(ShortOfUnits):
        await book(seller, "b", MUG=2, refuse_short=True)


async def test_refuse_short_looks_at_the_location_that_is_named(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "outlet"))
    await seller.has("MUG", 5)
    await seller.has("MUG", 1, "outlet")

    with pytest.raises(ShortOfUnits, match="MUG at outlet: 2 units wanted, 1 available"):
        await book(seller, MUG=2, location="outlet", refuse_short=True)
    assert (await book(seller, MUG=2, location="main", refuse_short=True)).changed


async def test_refuse_short_of_a_changed_order_counts_what_it_has_reserved_already(seller: Any) -> None:
    await seller.has("MUG", 3)
    await book(seller, MUG=2, refuse_short=True)

    assert (await book(seller, MUG=3, change=True, refuse_short=True)).changed
    with pytest.raises(ShortOfUnits, match="MUG at main"):
        await book(seller, MUG=4, change=True, refuse_short=True)


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite one transaction writes at a time
async def test_who_asks_for_more_than_there_is_waits_for_nobody_that_holds_the_item(
    seller: Any, postgresql_url: str
) -> None:
    await seller.has("MUG", 1)
    other = await asyncpg.connect(postgresql_url)
    await other.execute("BEGIN; SELECT * FROM position FOR UPDATE")
    try:
        async with asyncio.timeout(60):
            with pytest.raises(ShortOfUnits):
                await book(seller, MUG=2, refuse_short=True)
    finally:
        await other.close()


async def test_refuse_short_refuses_a_sku_of_no_item_for_nobody_knows_how_many_there_are(seller: Any) -> None:
    with pytest.raises(ShortOfUnits, match="LAMP: 1 units wanted, 0 available"):
        await book(seller, LAMP=1, refuse_short=True)

    assert await seller.findings() == []


async def test_refuse_short_of_what_is_booked_already_is_no_refusal(seller: Any) -> None:
    await seller.has("MUG", 2)
    await book(seller, MUG=2, refuse_short=True)

    assert (await book(seller, MUG=2, refuse_short=True)).changed is False


async def test_of_many_who_refuse_short_at_once_as_many_get_units_as_there_are(seller: Any) -> None:
    await seller.has("MUG", 7)

    async def attempt(number: int) -> bool:
        try:
            return (await book(seller, f"P-{number}", database=databases[number % 4], MUG=1, refuse_short=True)).changed
        except ShortOfUnits:
            return False

    async with (
        open_database(seller.database.url) as a,
        open_database(seller.database.url) as b,
        open_database(seller.database.url) as c,
    ):
        databases = (seller.database, a, b, c)
        got = await asyncio.gather(*(attempt(number) for number in range(24)))

    assert sum(got) == 7
    assert (await seller.position("MUG")).available == 0


# Shipping and cancelling


async def test_shipped_units_leave_and_what_is_said_again_changes_nothing(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=3)

    done = [
        await seller.ships("P-1", MUG=2),
        await seller.ships("P-1", MUG=2),
        await seller.ships("P-1"),
        await seller.ships("P-1"),
    ]

    assert [(one.changed, one.status) for one in done] == [
        (True, "open"),
        (False, "open"),
        (True, "closed"),
        (False, "closed"),
    ]
    assert await entries(seller) == [
        (EntryKind.RESERVE, 0, 3),
        (EntryKind.SHIP, -2, -2),
        (EntryKind.SHIP, -1, -1),
    ]


async def test_units_can_leave_from_another_location_than_planned(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "outlet"))
    await seller.has("MUG", 9)
    await seller.has("MUG", 9, "outlet")
    await book(seller, MUG=3)

    await seller.ships("P-1", MUG=2, location="outlet")

    main, outlet = await seller.position("MUG"), await seller.position("MUG", "outlet")
    assert (main.on_hand, main.reserved, outlet.on_hand, outlet.reserved) == (9, 1, 7, 0)


async def test_cancelled_units_are_free_again_and_what_is_said_again_changes_nothing(seller: Any) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=3)
    await seller.ships("P-1", MUG=1)

    done = [
        await seller.cancels("P-1", MUG=1),
        await seller.cancels("P-1", MUG=1),
        await seller.cancels("P-1"),
        await seller.cancels("P-1"),
    ]

    assert [(one.changed, one.status) for one in done] == [
        (True, "open"),
        (False, "open"),
        (True, "cancelled"),
        (False, "cancelled"),
    ]
    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (8, 0)
    assert done[-1].lines[0].cancelled == 2


@pytest.mark.parametrize(
    ("command", "units", "told"),
    [
        ("ships", {"MUG": 5}, "MUG: 5 cannot be shipped: 4 were ordered, 2 are shipped and 1 cancelled"),
        ("ships", {"MUG": 1}, "MUG: 2 are shipped already; 1 is less"),
        ("ships", {"CUP": 1}, "Order P-1 has no line of CUP; it has MUG"),
        ("cancels", {"MUG": 3}, "MUG: 3 cannot be cancelled"),
        ("cancels", {"MUG": 0}, "MUG: 1 are cancelled already; 0 is less"),
    ],
)
async def test_what_cannot_have_happened_is_refused(
    seller: Any, command: str, units: dict[str, int], told: str
) -> None:
    await seller.has("MUG", 9)
    await book(seller, MUG=4)
    await seller.ships("P-1", MUG=2)
    await seller.cancels("P-1", MUG=1)
    before = await seller.position("MUG")

    with pytest.raises(BadOrder, match=told):
        await getattr(seller, command)("P-1", **units)

    assert await seller.position("MUG") == before


async def test_an_order_that_is_not_there_or_over_is_refused(seller: Any) -> None:
    await seller.has("MUG", 9)
    for command in ("ships", "cancels"):
        with pytest.raises(BadOrder, match="There is no order P-1 that was booked by hand"):
            await getattr(seller, command)("P-1")
    await book(seller, MUG=1)
    await seller.ships("P-1")
    with pytest.raises(BadOrder, match="nothing left to cancel"):
        await seller.cancels("P-1")
    await book(seller, "P-2", MUG=1)
    await seller.cancels("P-2")
    with pytest.raises(BadOrder, match="was cancelled, so nothing more of it can ship"):
        await seller.ships("P-2")
    with pytest.raises(BadOrder, match="was cancelled and cannot be changed"):
        await book(seller, "P-2", MUG=2, change=True)


async def test_two_changes_in_one_instant_are_two_changes(seller: Any) -> None:
    await seller.has("MUG", 9)

    for units in (1, 2, 1, 2):
        await book(seller, MUG=units, change=True)
        assert (await seller.position("MUG")).reserved == units


async def test_one_key_that_two_processes_book_at_once_is_booked_once(seller: Any) -> None:
    await seller.has("MUG", 9)

    async with open_database(seller.database.url) as other:
        done = await asyncio.gather(*(book(seller, database=one, MUG=2) for one in (seller.database, other) * 4))

    assert sum(one.changed for one in done) == 1
    assert (await seller.position("MUG")).reserved == 2
