"""Orders become ledger entries, reservations, effects and due keys, in one transaction of a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.util import await_only

from channelsync.domain.findings import FindingKind
from channelsync.domain.ledger import EntryKind
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.store import channels, orders
from channelsync.store.database import Database, open_database
from channelsync.store.items import item_id
from channelsync.store.tables import metadata
from channelsync.sync import accounts
from channelsync.sync.book_orders import Arrival, Booked, book_orders, expire_orders, localised
from channelsync.sync.orders_by_hand import by_hand

KEYS = metadata.tables["quantity_key"]
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def order_of(
    seller: Any,
    listing: str | None,
    units: int,
    *,
    name: str = "1001",
    minute: int = 0,
    status: OrderStatus = OrderStatus.OPEN,
    **line: Any,
) -> OrderSnapshot:
    """An order of one line, placed when the test began and last changed so many minutes later."""
    at = seller.clock.now()
    told = OrderLine(**{"line": "1", "listing": listing, "ordered": units, "sku": "SKU", **line})
    return OrderSnapshot(order=name, version=at + timedelta(minutes=minute), placed_at=at, status=status, lines=(told,))


async def book(seller: Any, *orders: OrderSnapshot, settle: bool = False, channel: str = "shop") -> Booked:
    arrivals = [Arrival(channel=channel, order=order, settle=settle) for order in orders]
    now = seller.clock.now()
    done: Booked = await seller.database.transact(
        lambda c: book_orders(c, seller.agent.setup, arrivals, now=now, run="test")
    )
    return done


async def entries(seller: Any, sku: str, location: str = "main") -> list[tuple[EntryKind, int, int]]:
    """Kind, on hand and reserved of every entry of a position but receipts."""
    moves = [entry.movement for entry in await seller.entries(sku, location)]
    return [(one.kind, one.on_hand, one.reserved) for one in moves if one.kind is not EntryKind.RECEIPT]


async def due_listings(seller: Any) -> set[str]:
    found = await seller.database.query(lambda c: c.execute(select(KEYS.c.listing).where(KEYS.c.due_at.is_not(None))))
    return set(found.scalars())


async def nothing_due(seller: Any) -> None:
    await seller.database.transact(lambda c: c.execute(update(KEYS).values(due_at=None)))


# What an order does


async def test_an_order_reserves_its_units_and_puts_every_key_that_shows_them_on_the_agenda(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 5)
    there = await seller.lists("MUG", 5, channel="market")
    await seller.pull("market")
    await seller.map(there, "MUG", channel="market")
    await nothing_due(seller)

    booked = await book(seller, order_of(seller, mug, 2))

    assert booked.verdicts == ["booked"]
    assert (await seller.position("MUG")).reserved == 2
    assert (await seller.position("MUG")).available == 3
    assert await due_listings(seller) == {mug, there}
    assert booked.items == {item_id("MUG")}


async def test_a_shipment_of_what_was_reserved_puts_no_key_on_the_agenda(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await book(seller, order_of(seller, mug, 2))
    await nothing_due(seller)

    away = order_of(seller, mug, 2, minute=1, status=OrderStatus.CLOSED, shipped=(Moved(units=2),))
    booked = await book(seller, away)

    assert booked.verdicts == ["booked"]
    assert (await seller.position("MUG")).on_hand == 3
    assert (await due_listings(seller), booked.items) == (set(), set())


async def test_a_pack_takes_its_multiple_of_base_units(seller: Any) -> None:
    await seller.has("MUG", 20)
    pack = await seller.lists("MUG x6", 3)
    await seller.pull()
    await seller.map(pack, "MUG", 6)

    await book(seller, order_of(seller, pack, 2))

    assert (await seller.position("MUG")).reserved == 12


async def test_the_same_order_again_changes_nothing(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    order = order_of(seller, mug, 2)

    await book(seller, order)
    again = await book(seller, order, order)

    assert again.verdicts == ["same", "same"]
    assert await entries(seller, "MUG") == [(EntryKind.RESERVE, 0, 2)]


@pytest.mark.fault(5, "the older state is ignored")
async def test_an_older_snapshot_than_the_booked_one_is_ignored(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await book(seller, order_of(seller, mug, 1, minute=2))

    booked = await book(seller, order_of(seller, mug, 3, minute=1))

    assert booked.verdicts == ["stale"]
    assert (await seller.position("MUG")).reserved == 1


async def test_one_batch_books_several_versions_of_an_order_one_after_the_other(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)

    booked = await book(
        seller, *(order_of(seller, mug, units, minute=minute) for minute, units in enumerate((1, 4, 2)))
    )

    assert booked.verdicts == ["booked"] * 3
    assert (await seller.position("MUG")).reserved == 2
    row = await seller.database.query(lambda c: orders.order_row(c, "shop", "1001"))
    assert row.said.lines[0].ordered == 2


async def test_two_contents_of_one_version_are_to_be_read_again_by_id(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    await book(seller, order_of(seller, mug, 2))

    booked = await book(seller, order_of(seller, mug, 3))

    assert booked.verdicts == ["differs"]
    assert booked.ask_again == [("shop", "1001")]
    assert (await seller.position("MUG")).reserved == 2, "what is booked stays until the channel has been asked"


async def test_contents_of_one_version_that_replace_one_another_are_a_change_each_time(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)

    for units in (1, 2, 1, 2):
        await book(seller, order_of(seller, mug, units), settle=True)
        assert (await seller.position("MUG")).reserved == units

    assert [reserved for _, _, reserved in await entries(seller, "MUG")] == [1, 1, -1, 1]


async def test_a_cancelled_order_releases_what_it_held(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await book(seller, order_of(seller, mug, 2))

    await book(seller, order_of(seller, mug, 2, minute=1, status=OrderStatus.CANCELLED))

    assert await entries(seller, "MUG") == [(EntryKind.RESERVE, 0, 2), (EntryKind.RELEASE, 0, -2)]


@pytest.mark.fault(4, "the cancel leaves a tombstone; the order that comes later takes nothing")
async def test_an_order_seen_first_as_cancelled_leaves_a_tombstone_and_no_units(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await book(seller, order_of(seller, mug, 2, minute=1, status=OrderStatus.CANCELLED))

    late = await book(seller, order_of(seller, mug, 2))

    assert late.verdicts == ["stale"]
    assert await entries(seller, "MUG") == []


async def test_a_return_that_was_not_set_aside_after_all_may_be_sold_again(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shipped = (Moved(units=2),)
    away = order_of(seller, mug, 2, status=OrderStatus.CLOSED, shipped=shipped)
    await book(seller, away)
    aside = order_of(seller, mug, 2, minute=1, status=OrderStatus.CLOSED, shipped=shipped, withheld=(Moved(units=2),))
    await book(seller, aside)
    assert (await seller.position("MUG")).withheld == 2

    good = order_of(seller, mug, 2, minute=2, status=OrderStatus.CLOSED, shipped=shipped, returned=(Moved(units=2),))
    await book(seller, good)

    position = await seller.position("MUG")
    assert (position.on_hand, position.withheld, position.available) == (5, 0, 5)


# Bundles and shared components


async def test_the_lines_of_one_order_add_up_their_demand_on_a_shared_component(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2, "TEA": 1}}, locations=("main", "outlet"))
    await seller.has("MUG", 3)
    await seller.has("TEA", 9)
    await seller.has("MUG", 3, "outlet")
    await seller.has("TEA", 9, "outlet")
    bundle, mug = await seller.lists("SET", 1), await seller.lists("MUG", 3)
    await seller.pull()
    await seller.map(bundle, "SET")
    await seller.map(mug, "MUG")
    order = order_of(seller, bundle, 1)
    order = replace(order, lines=(*order.lines, OrderLine(line="2", listing=mug, ordered=2)))

    await book(seller, order)

    assert (await seller.position("MUG")).available == 1, "the set's two mugs are taken here"
    assert (await seller.position("MUG", "outlet")).available == 1, "so the other two must come from elsewhere"
    assert await seller.kinds() == []


async def test_an_order_for_a_part_lowers_the_bundle_and_one_for_the_bundle_its_parts(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2}})
    await seller.has("MUG", 8)
    bundle, mug = await seller.lists("SET", 4), await seller.lists("MUG", 8)
    await seller.pull()
    await seller.map(bundle, "SET")
    await seller.map(mug, "MUG")
    await nothing_due(seller)

    await book(seller, order_of(seller, mug, 1, name="a"))
    assert await due_listings(seller) == {bundle, mug}
    await nothing_due(seller)
    await book(seller, order_of(seller, bundle, 3, name="b"))

    assert await due_listings(seller) == {bundle, mug}
    assert (await seller.position("MUG")).reserved == 7


# Oversold


async def test_an_order_is_never_refused_and_an_oversell_opens_one_finding_and_closes_it(seller: Any) -> None:
    mug = await seller.sells("MUG", 2)

    await book(seller, order_of(seller, mug, 3, name="a"))
    await book(seller, order_of(seller, mug, 1, name="b"))

    assert (await seller.position("MUG")).available == -2
    (found,) = await seller.findings()
    assert found.kind == FindingKind.OVERSOLD
    assert found.summary.startswith("MUG at main: 2 units more are promised than are there. ")

    await book(seller, order_of(seller, mug, 3, name="a", minute=1, status=OrderStatus.CANCELLED))
    assert await seller.findings() == []
    (closed,) = await seller.findings(only_open=False)
    assert closed.closed_why == "available is 0 or more again"


# Lines that mean nothing yet


async def test_an_unknown_listing_is_kept_and_found_and_its_neighbour_is_booked(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    order = order_of(seller, mug, 1)
    order = replace(order, lines=(*order.lines, OrderLine(line="2", listing="item-99", sku="LAMP", ordered=1)))

    booked = await book(seller, order)

    assert booked.unmapped == 1
    assert (await seller.position("MUG")).reserved == 1
    (found,) = await seller.findings()
    assert found.kind == FindingKind.UNMAPPED_LINE
    assert "item-99 (SKU LAMP)" in found.summary
    assert "listings map" in found.summary


async def test_a_line_without_listing_is_booked_by_its_sku_when_one_listing_has_it(seller: Any) -> None:
    await seller.sells("MUG", 5)

    await book(seller, order_of(seller, None, 2, sku="MUG"))

    assert (await seller.position("MUG")).reserved == 2


async def test_a_line_without_listing_waits_when_two_listings_have_its_sku(seller: Any) -> None:
    await seller.sells("MUG", 5)
    other = await seller.lists("MUG", 5)
    await seller.pull()
    await seller.map(other, "MUG")

    await book(seller, order_of(seller, None, 2, sku="MUG"))

    assert await seller.kinds() == [FindingKind.UNMAPPED_LINE]


async def test_the_finding_of_a_line_that_is_edited_away_is_closed(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    order = order_of(seller, mug, 1)
    two = replace(order, lines=(*order.lines, OrderLine(line="2", listing="item-99", sku="LAMP", ordered=1)))
    await book(seller, two)

    await book(seller, replace(order, version=order.version + timedelta(minutes=1)))

    assert await seller.kinds() == []


# Locations


def test_locations_of_the_channel_become_ours_wherever_an_order_names_one() -> None:
    channel = replace(by_hand(("main", "outlet")), remotes={"70001": "outlet"})
    moved = (Moved(units=1, location="70001"), Moved(units=1, location="unknown"))
    line = OrderLine(
        line="1",
        ordered=9,
        location="70001",
        shipped=moved,
        cancelled=moved,
        lost=moved,
        returned=moved,
        withheld=moved,
    )
    order = OrderSnapshot(order="1", version=START, placed_at=START, status=OrderStatus.OPEN, lines=(line,))

    (ours,) = localised(order, channel).lines

    assert ours.location == "outlet"
    for piles in (ours.shipped, ours.cancelled, ours.lost, ours.returned, ours.withheld):
        assert [one.location for one in piles] == ["outlet", None]


async def test_a_location_that_no_remote_names_is_left_to_our_choice(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    order = order_of(seller, mug, 2, location="70001", shipped=(Moved(units=1, location="70001"),))

    await book(seller, localised(order, seller.channel().setup))

    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved) == (4, 1)


# Time limits


async def test_a_pending_order_holds_its_units_until_its_time_limit_and_again_when_it_is_heard_of(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    limit = seller.channel().setup.capabilities.pending_limit
    order = order_of(seller, mug, 2, status=OrderStatus.PENDING)
    await book(seller, order)
    assert (await seller.position("MUG")).reserved == 2

    async def expire(*, read: bool = True) -> Booked:
        """read: the channel's orders were read just now."""
        now, visible = seller.clock.now(), seller.channel().setup.capabilities.order_visibility
        name = seller.channel().name

        def unit(connection: Any) -> Booked:
            if read:
                channels.save_channel(connection, name, covered_to=now + visible)
            return expire_orders(connection, seller.agent.setup, now=now, run="test")

        done: Booked = await seller.database.transact(unit)
        return done

    await seller.clock.sleep(limit.total_seconds() - 1)
    assert (await expire()).entries == 0
    await seller.clock.sleep(1)
    assert (await expire(read=False)).entries == 0, "it may have been paid while its channel could not be read"
    assert (await expire()).items == {item_id("MUG")}
    assert (await seller.position("MUG")).reserved == 0
    assert (await expire()).entries == 0, "it ends once"

    await book(seller, replace(order, version=seller.clock.now(), status=OrderStatus.OPEN))
    assert (await seller.position("MUG")).reserved == 2
    assert [kind for kind, _, _ in await entries(seller, "MUG")] == [
        EntryKind.RESERVE,
        EntryKind.EXPIRE,
        EntryKind.RESERVE,
    ]


async def test_an_expired_order_of_a_channel_that_was_removed_still_ends(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await book(seller, order_of(seller, mug, 2, status=OrderStatus.PENDING))
    setup = replace(seller.agent.setup, channels={})
    await seller.clock.sleep(timedelta(days=8).total_seconds())

    await seller.database.transact(lambda c: expire_orders(c, setup, now=seller.clock.now(), run="test"))

    assert (await seller.position("MUG")).reserved == 0


# Two at the same time


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # on SQLite one transaction writes at a time
async def test_an_order_that_two_processes_book_for_the_first_time_at_once_is_booked_once(
    open_seller: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked for it and found nothing before either writes; one has a version with another line."""
    seller = await open_seller("shop")
    mug, lamp = await seller.sells("MUG", 5), await seller.sells("LAMP", 5)
    looks, both_have_looked = count(1), asyncio.Barrier(2)
    look = accounts.booked_before

    def look_together(*arguments: Any) -> Any:
        found = look(*arguments)
        if next(looks) <= 2:
            await_only(both_have_looked.wait())
        return found

    monkeypatch.setattr(accounts, "booked_before", look_together)
    async with open_database(database.url) as other:
        elsewhere = replace_database(seller, other)
        await asyncio.gather(
            book(seller, order_of(seller, mug, 2)), book(elsewhere, order_of(seller, lamp, 3, minute=1, line="2"))
        )

    assert next(looks) == 4, "the one that came too late looked again"
    assert (await seller.position("MUG")).reserved == 0
    assert (await seller.position("LAMP")).reserved == 3


def replace_database(seller: Any, database: Database) -> Any:
    """The same seller in another process."""
    return replace(seller, agent=replace(seller.agent, database=database))
