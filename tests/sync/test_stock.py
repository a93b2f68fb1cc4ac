"""What happens to units by hand: each command is one transaction, leaves entries, and makes keys due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest
from sqlalchemy import Connection

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import items, keys, positions_view, sharing
from channelsync.store.items import Item, item_id
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.stock import By, Place, Refused, StockChanged, Worth, place
from channelsync.sync.stock_count import count
from channelsync.sync.stock_incoming import expect
from channelsync.sync.stock_moves import (
    Receipt,
    Transfer,
    adjust,
    produce,
    receive,
    transfer,
    unwithhold,
    withhold,
    write_off,
)
from channelsync.sync.verify import verify

HOUR = timedelta(hours=1)


class Seller(Protocol):
    agent: Any
    clock: Any

    async def has(self, sku: str, units: int, location: str = "main") -> str: ...
    async def position(self, sku: str, location: str = "main") -> Position: ...
    async def sells(self, sku: str, number: int, *, units: int | None = None, channel: str = "shop") -> str: ...
    async def kinds(self) -> list[str]: ...


@dataclass(slots=True)
class Desk:
    """A seller with two locations; every command given here is one transaction."""

    seller: Seller

    async def do(self, use_case: Callable[..., StockChanged], *wanted: Any, key: str = "", **more: Any) -> StockChanged:
        """use_case(connection, setup, by, *wanted, **more); a (SKU, location) among `wanted` becomes a place."""
        agent = self.seller.agent
        by = By(actor="user:eve", run="test", now=self.seller.clock.now(), reason=more.pop("reason", ""), key=key)

        def unit(connection: Connection) -> StockChanged:
            found = [place(connection, agent.setup, *one) if isinstance(one, tuple) else one for one in wanted]
            return use_case(connection, agent.setup, by, *found, **more)

        return await agent.database.transact(unit)

    async def receives(
        self, sku: str, units: int, location: str = "main", *, key: str = "", **more: Any
    ) -> StockChanged:
        where = Place(sku, PositionKey(item_id(sku), location))
        return await self.do(receive, Receipt(place=where, units=units, **more), key=key)

    async def transfers(self, units: int, source: str, target: str, **more: Any) -> StockChanged:
        ends = [Place("MUG", PositionKey(item_id("MUG"), name)) for name in (source, target)]
        return await self.do(transfer, Transfer(source=ends[0], target=ends[1], units=units, **more))

    async def entries(self, sku: str, location: str = "main") -> list[LedgerEntry]:
        return await self.seller.entries(sku, location)

    async def orders(self, units: int, *, at: Any, shipped_at: Any = None, name: str = "o-1") -> None:
        """An order for mugs on the shop, booked now whatever its times say."""
        shipped = (Moved(units=units, at=shipped_at),) if shipped_at else ()
        line = OrderLine(line="1", ordered=units, listing="item-1", shipped=shipped)
        status = OrderStatus.CLOSED if shipped else OrderStatus.OPEN
        snapshot = OrderSnapshot(order=name, version=shipped_at or at, placed_at=at, status=status, lines=(line,))
        agent, now = self.seller.agent, self.seller.clock.now()
        arrivals = [Arrival(channel="shop", order=snapshot)]
        await agent.database.transact(lambda c: book_orders(c, agent.setup, arrivals, now=now, run="test"))

    async def sums(self, sku: str, location: str = "main") -> tuple[int, int, int]:
        """On hand, reserved, withheld."""
        position = await self.seller.position(sku, location)
        return position.on_hand, position.reserved, position.withheld

    async def query(self, work: Callable[[Connection], Any]) -> Any:
        return await self.seller.agent.database.query(work, snapshot=True)


@pytest.fixture
async def desk(open_seller: Callable[..., Awaitable[Seller]]) -> Any:
    """MUG is sold on the shop, ten are on hand. SET is a virtual bundle of two mugs. At the end the proof is clean."""
    seller = await open_seller("shop", locations=("main", "annex"), recipes={"SET": {"MUG": 2}})
    await seller.sells("MUG", 10)
    made = Desk(seller)
    yield made
    assert (await made.query(verify)).problems == []


async def test_received_units_are_on_hand_and_the_entry_says_who_why_and_at_what_cost(desk: Desk) -> None:
    at = desk.seller.clock.now() - HOUR
    worth = Worth(lot="L7", unit_cost=Decimal("2.50"), currency="EUR")

    changed = await desk.receives("MUG", 5, at=at, worth=worth)

    assert await desk.sums("MUG") == (15, 0, 0)
    assert [one.on_hand for one in changed.positions] == [15]
    movement = (await desk.entries("MUG"))[-1].movement
    assert (movement.cause.actor, movement.cause.run, movement.cause.reason) == ("user:eve", "test", "received")
    assert (movement.at, movement.lot, movement.unit_cost, movement.currency) == (at, "L7", Decimal("2.50"), "EUR")


async def test_units_received_to_withheld_are_not_for_sale(desk: Desk) -> None:
    await desk.receives("MUG", 5, withheld=True)

    assert await desk.sums("MUG") == (15, 0, 5)
    assert (await desk.seller.position("MUG")).available == 10


async def test_the_caller_s_reason_is_the_reason(desk: Desk) -> None:
    await desk.do(adjust, ("MUG", "main"), -1, reason="fell off the shelf")

    assert (await desk.entries("MUG"))[-1].movement.cause.reason == "fell off the shelf"


async def test_keys_that_show_the_item_are_due_afterwards(desk: Desk) -> None:
    def not_due(connection: Connection) -> list[int]:
        ids = sharing.keys_sharing(connection, [item_id("MUG")])
        keys.save_keys(connection, {key: {"due_at": None} for key in ids})
        return ids

    (key,) = await desk.seller.agent.database.transact(not_due)

    await desk.receives("MUG", 5)

    assert (await desk.query(lambda c: keys.load_keys(c, [key])))[key].due_at == desk.seller.clock.now()


@pytest.mark.parametrize(
    ("sku", "location", "said"),
    [
        ("MUGG", "main", "There is no item with the SKU 'MUGG'"),
        ("MUG", "mian", "There is no location 'mian'; there is main, annex."),
        ("SET", "main", "SET is a virtual bundle: it has no units of its own"),
    ],
)
async def test_a_place_that_cannot_hold_units_is_refused(desk: Desk, sku: str, location: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        await desk.do(adjust, (sku, location), 1)


@pytest.mark.parametrize("units", [0, -1, 10**9 + 1, 10**18])
async def test_what_is_no_number_of_units_is_refused(desk: Desk, units: int) -> None:
    with pytest.raises(Refused, match=f"MUG at main receives: {units} is no number of units from 1 to 1000000000"):
        await desk.receives("MUG", units)

    assert await desk.sums("MUG") == (10, 0, 0)


async def test_what_has_not_happened_yet_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="is in the future"):
        await desk.receives("MUG", 1, at=desk.seller.clock.now() + HOUR)
    with pytest.raises(Refused, match="has no time zone"):
        await desk.receives("MUG", 1, at=desk.seller.clock.now().replace(tzinfo=None))


async def test_a_command_repeated_under_its_key_is_done_once_and_says_by_which_run(desk: Desk) -> None:
    first = await desk.receives("MUG", 5, key="delivery 7")
    again = await desk.receives("MUG", 5, key="delivery 7")

    assert (first.entries, first.repeated) == (1, "")
    assert (again.entries, again.repeated) == (0, "test")
    assert [one.on_hand for one in again.positions] == [15]
    assert await desk.sums("MUG") == (15, 0, 0)


async def test_of_many_that_give_one_command_under_one_key_at_once_one_does_it(desk: Desk) -> None:
    done = await asyncio.gather(*(desk.receives("MUG", 5, key="delivery 7") for _ in range(8)))

    assert sorted(one.entries for one in done) == [0] * 7 + [1]
    assert await desk.sums("MUG") == (15, 0, 0)


async def test_of_many_that_set_units_aside_at_once_as_many_do_as_there_are_units(desk: Desk) -> None:
    calls = (desk.do(withhold, ("MUG", "main"), 3, key=f"call {number}") for number in range(8))
    done = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(isinstance(one, Refused) for one in done) == 5
    assert await desk.sums("MUG") == (10, 0, 9)


async def test_a_key_that_was_used_for_another_command_is_refused(desk: Desk) -> None:
    await desk.receives("MUG", 5, key="delivery 7")

    with pytest.raises(Refused, match=r"The key 'delivery 7' was used for another command .*receive 5 of MUG at main"):
        await desk.receives("MUG", 6, key="delivery 7")

    assert await desk.sums("MUG") == (15, 0, 0)


async def test_a_refused_command_does_not_use_its_key_up(desk: Desk) -> None:
    with pytest.raises(Refused):
        await desk.do(withhold, ("MUG", "main"), 11, key="k")
    await desk.receives("MUG", 5)

    assert (await desk.do(withhold, ("MUG", "main"), 11, key="k")).entries == 1


async def test_on_hand_is_adjusted_up_and_down_but_not_below_none(desk: Desk) -> None:
    await desk.do(adjust, ("MUG", "main"), 2)
    await desk.do(adjust, ("MUG", "main"), -12)
    assert await desk.sums("MUG") == (0, 0, 0)

    with pytest.raises(Refused, match="MUG at main: 1 units cannot be taken off, 0 are on hand"):
        await desk.do(adjust, ("MUG", "main"), -1)


async def test_promised_units_can_be_adjusted_away_for_the_world_is_as_it_is(desk: Desk) -> None:
    await desk.orders(8, at=desk.seller.clock.now())

    await desk.do(adjust, ("MUG", "main"), -5)

    assert (await desk.seller.position("MUG")).available == -3
    assert await desk.seller.kinds() == ["oversold"]


async def test_units_are_written_off_from_those_on_hand_or_from_those_set_aside(desk: Desk) -> None:
    await desk.do(withhold, ("MUG", "main"), 3)
    await desk.do(write_off, ("MUG", "main"), 2)
    await desk.do(write_off, ("MUG", "main"), 1, from_withheld=True)
    assert await desk.sums("MUG") == (7, 0, 2)

    with pytest.raises(Refused, match="3 units are named, but 2 are set aside"):
        await desk.do(write_off, ("MUG", "main"), 3, from_withheld=True)
    with pytest.raises(Refused, match="8 units cannot be written off, 7 are on hand"):
        await desk.do(write_off, ("MUG", "main"), 8)


async def test_promised_units_are_set_aside_only_by_force_and_then_it_is_found(desk: Desk) -> None:
    await desk.orders(8, at=desk.seller.clock.now())
    with pytest.raises(Refused, match="MUG at main: 3 units cannot be set aside, 2 are available"):
        await desk.do(withhold, ("MUG", "main"), 3)

    changed = await desk.do(withhold, ("MUG", "main"), 3, force=True)

    assert [one.available for one in changed.positions] == [-1]
    assert await desk.seller.kinds() == ["oversold"]

    await desk.do(unwithhold, ("MUG", "main"), 1)

    assert await desk.seller.kinds() == []
    with pytest.raises(Refused, match="3 units are named, but 2 are set aside"):
        await desk.do(unwithhold, ("MUG", "main"), 3)


async def test_a_transfer_leaves_one_location_and_arrives_at_the_other(desk: Desk) -> None:
    await desk.transfers(4, "main", "annex", lot="L7")

    assert await desk.sums("MUG") == (6, 0, 0)
    assert await desk.sums("MUG", "annex") == (4, 0, 0)
    assert (await desk.entries("MUG", "annex"))[-1].movement.lot == "L7"


async def test_a_transfer_of_promised_units_or_to_where_they_are_is_refused(desk: Desk) -> None:
    await desk.orders(8, at=desk.seller.clock.now())

    with pytest.raises(Refused, match="MUG at main: 3 units cannot leave, 2 are available"):
        await desk.transfers(3, "main", "annex")
    with pytest.raises(Refused, match="from one location to another"):
        await desk.transfers(1, "main", "main")

    await desk.transfers(3, "main", "annex", force=True)
    assert (await desk.seller.position("MUG")).available == -1


def box(desk: Desk, kind: Any, **parts: int) -> None:
    """BOX becomes a bundle of these parts."""
    agent = desk.seller.agent
    recipe = Recipe(item_id("BOX"), kind, tuple(Part(item_id(sku), units) for sku, units in parts.items()))
    agent.setup = type(agent.setup)(
        channels=agent.setup.channels,
        locations=agent.setup.locations,
        recipes={**agent.setup.recipes, item_id("BOX"): recipe},
    )


async def named(desk: Desk, *skus: str) -> None:
    now = desk.seller.clock.now()
    await desk.seller.agent.database.transact(
        lambda c: items.add_items(c, [Item(id=item_id(sku), sku=sku) for sku in skus], now)
    )


async def test_bundles_packed_ahead_take_their_parts_those_of_bundles_in_them_too(desk: Desk) -> None:
    await named(desk, "BOX", "LID")
    await desk.receives("LID", 5)
    box(desk, "prebuilt", SET=1, LID=1)

    await desk.do(produce, ("BOX", "main"), 3)

    assert await desk.sums("BOX") == (3, 0, 0)
    assert await desk.sums("LID") == (2, 0, 0)
    assert await desk.sums("MUG") == (4, 0, 0)
    assert (await desk.entries("LID"))[-1].movement.cause.reason == "made into 3 of BOX"


async def test_a_bundle_that_is_short_of_one_part_takes_none(desk: Desk) -> None:
    await named(desk, "BOX", "LID")
    await desk.receives("LID", 2)
    box(desk, "both", MUG=1, LID=1)

    with pytest.raises(Refused, match="LID at main: 3 units are needed to make 3 of BOX, 2 are available"):
        await desk.do(produce, ("BOX", "main"), 3)

    assert await desk.sums("MUG") == (10, 0, 0)

    await desk.do(produce, ("BOX", "main"), 3, force=True)
    assert await desk.sums("LID") == (-1, 0, 0)


async def test_only_what_has_a_recipe_and_is_packed_ahead_is_made(desk: Desk) -> None:
    with pytest.raises(Refused, match="MUG is not packed ahead"):
        await desk.do(produce, ("MUG", "main"), 1)
    with pytest.raises(Refused, match="SET is a virtual bundle"):
        await desk.do(produce, ("SET", "main"), 1)


async def incoming(desk: Desk) -> list[tuple[str, int, date | None]]:
    found = await desk.query(lambda c: positions_view.incoming_of(c, item_id("MUG")))
    return [(one.reference, one.units, one.due) for one in found]


async def test_expected_units_are_not_on_hand_until_they_are_received_under_their_reference(desk: Desk) -> None:
    due = date(2026, 4, 1)
    await desk.do(expect, ("MUG", "main"), 20, reference="PO-1", due=due)
    assert await desk.sums("MUG") == (10, 0, 0)

    await desk.receives("MUG", 15, reference="PO-1")
    assert await incoming(desk) == [("PO-1", 5, due)]

    await desk.receives("MUG", 7, reference="PO-1")
    assert await incoming(desk) == []
    assert await desk.sums("MUG") == (32, 0, 0)


async def test_a_delivery_that_is_complete_closes_what_did_not_come(desk: Desk) -> None:
    await desk.do(expect, ("MUG", "main"), 20, reference="PO-1")

    await desk.receives("MUG", 15, reference="PO-1", complete=True)

    assert await incoming(desk) == []


async def test_expecting_again_under_a_reference_replaces_and_expecting_none_ends_it(desk: Desk) -> None:
    await desk.do(expect, ("MUG", "main"), 20, reference="PO-1")
    await desk.do(expect, ("MUG", "main"), 8, reference="PO-1")
    assert await incoming(desk) == [("PO-1", 8, None)]

    await desk.do(expect, ("MUG", "main"), 0, reference="PO-1")
    assert await incoming(desk) == []


async def test_a_reference_under_which_nothing_was_expected_is_refused_and_the_known_ones_are_named(desk: Desk) -> None:
    await desk.do(expect, ("MUG", "main"), 20, reference="PO-1")

    with pytest.raises(Refused, match="nothing is on its way under PO-2, but under: PO-1"):
        await desk.receives("MUG", 5, reference="PO-2")

    assert await desk.sums("MUG") == (10, 0, 0)


async def test_a_count_sets_on_hand_and_says_what_was_counted(desk: Desk) -> None:
    await desk.do(count, ("MUG", "main"), 7, reason="spring")

    assert await desk.sums("MUG") == (7, 0, 0)
    assert (await desk.entries("MUG"))[-1].movement.cause.reason == "counted 7 physical: spring"


async def test_a_count_that_was_right_leaves_an_entry_that_changes_nothing(desk: Desk) -> None:
    changed = await desk.do(count, ("MUG", "main"), 10)

    assert changed.entries == 1
    assert (await desk.entries("MUG"))[-1].movement.on_hand == 0


async def test_none_can_be_counted_but_not_fewer(desk: Desk) -> None:
    await desk.do(count, ("MUG", "main"), 0)
    assert await desk.sums("MUG") == (0, 0, 0)

    with pytest.raises(Refused, match="-1 is no number of units"):
        await desk.do(count, ("MUG", "main"), -1)


async def test_what_was_shipped_received_or_moved_after_the_moment_of_a_count_stays_on_top(desk: Desk) -> None:
    counted = desk.seller.clock.now()
    desk.seller.clock.at += HOUR
    await desk.orders(2, at=counted, shipped_at=desk.seller.clock.now())
    await desk.receives("MUG", 4)
    await desk.transfers(1, "main", "annex")
    desk.seller.clock.at += HOUR

    await desk.do(count, ("MUG", "main"), 7, as_of=counted)

    assert await desk.sums("MUG") == (7 - 2 + 4 - 1, 0, 0)


async def test_what_left_before_a_count_and_is_booked_after_it_changes_on_hand_no_more(desk: Desk) -> None:
    ordered = desk.seller.clock.now()
    desk.seller.clock.at += HOUR
    await desk.do(count, ("MUG", "main"), 7)

    await desk.orders(2, at=ordered, shipped_at=ordered + HOUR / 2)

    assert await desk.sums("MUG") == (7, 0, 0)


async def test_orders_may_be_counted_up_to_an_earlier_moment_than_the_units(desk: Desk) -> None:
    """A list of the morning, from a system that had heard of the orders of yesterday only."""
    yesterday = desk.seller.clock.now()
    desk.seller.clock.at += 24 * HOUR
    await desk.orders(2, at=yesterday, shipped_at=yesterday + HOUR)
    morning = desk.seller.clock.now()

    await desk.do(count, ("MUG", "main"), 10, as_of=morning, orders_up_to=yesterday)

    assert await desk.sums("MUG") == (8, 0, 0)


async def test_orders_cannot_be_counted_up_to_a_later_moment_than_the_units(desk: Desk) -> None:
    now = desk.seller.clock.now()

    with pytest.raises(Refused, match="later than the count itself"):
        await desk.do(count, ("MUG", "main"), 10, as_of=now - HOUR, orders_up_to=now)


async def test_a_count_of_an_earlier_moment_does_not_overrule_a_newer_one(desk: Desk) -> None:
    early = desk.seller.clock.now()
    desk.seller.clock.at += HOUR
    await desk.do(count, ("MUG", "main"), 7)
    desk.seller.clock.at += HOUR

    with pytest.raises(Refused, match="MUG at main: it was counted as of 2026-03-01T10:00:00"):
        await desk.do(count, ("MUG", "main"), 9, as_of=early)

    assert await desk.sums("MUG") == (7, 0, 0)

    await desk.do(count, ("MUG", "main"), 6, as_of=early + HOUR)
    assert await desk.sums("MUG") == (6, 0, 0)


async def test_what_happened_before_a_count_and_is_told_after_it_is_in_the_count(desk: Desk) -> None:
    before = desk.seller.clock.now()
    desk.seller.clock.at += HOUR
    await desk.do(count, ("MUG", "main"), 7)
    desk.seller.clock.at += HOUR

    with pytest.raises(Refused, match=r"MUG at main: it was counted as of .*, and the count holds"):
        await desk.receives("MUG", 4, at=before)
    with pytest.raises(Refused, match="and the count holds"):
        await desk.do(adjust, ("MUG", "main"), -1, at=before)
    with pytest.raises(Refused, match="and the count holds"):
        await desk.transfers(1, "annex", "main", at=before, force=True)

    await desk.receives("MUG", 4, at=before + HOUR)
    assert await desk.sums("MUG") == (11, 0, 0)
