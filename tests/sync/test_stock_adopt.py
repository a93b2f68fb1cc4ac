"""Opening positions from a channel's numbers and its open orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.booked import BookedLine, Leg
from channelsync.domain.quantities import PositionKey
from channelsync.store import items
from channelsync.store.items import Item, item_id
from channelsync.sync.stock import By, Place, Refused
from channelsync.sync.stock_adopt import Adopted, HowToAdopt, adopt
from channelsync.sync.stock_adopt_plan import Known, Shown, off_the_number, planned
from channelsync.sync.stock_count import count
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.verify import verify
from channelsync_memory.shop import ShopSilent

HOUR = timedelta(hours=1)
OpenSeller = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Office:
    """Somebody who adopts what the channel `shop` shows."""

    seller: Any

    async def lists(self, sku: str, number: int, multiple: int = 1, *, channel: str = "shop") -> Any:
        """A listing of an item without units; returns it as the shop keeps it."""
        now = self.seller.clock.now()
        await self.seller.database.transact(lambda c: items.add_items(c, [Item(id=item_id(sku), sku=sku)], now))
        listing = await self.seller.lists(sku, number, channel=channel)
        await self.seller.pull(channel)
        await self.seller.map(listing, sku, multiple, channel=channel)
        return self.seller.shop(channel).items[listing]

    async def adopts(self, location: str = "main", **how: Any) -> Adopted:
        agent = self.seller.agent
        self.seller.clock.at += timedelta(minutes=1)
        by = By(actor="user:eve", run="test", now=agent.clock.now())
        return await adopt(agent, self.seller.channel(), location, by, HowToAdopt(**how))

    async def sums(self, sku: str, location: str = "main") -> tuple[int, int]:
        """On hand and available."""
        position = await self.seller.position(sku, location)
        return position.on_hand, position.available

    async def statuses(self, **how: Any) -> dict[str, str]:
        return {row.sku: row.status for row in (await self.adopts(**how)).rows}


@pytest.fixture
async def office(open_seller: OpenSeller) -> Any:
    made = Office(await open_seller("shop", "market", locations=("main", "annex"), recipes={"SET": {"MUG": 2}}))
    yield made
    done = await made.seller.database.query(verify, snapshot=True)
    assert done.problems == []


async def test_what_a_channel_shows_is_on_hand_and_the_units_of_its_open_orders_are_put_back(office: Office) -> None:
    mug = await office.lists("MUG", 7)
    office.seller.shop().buy((mug, 2))

    done = await office.adopts()

    assert await office.sums("MUG") == (7, 5)
    (row,) = done.rows
    assert (row.units, row.promised, row.becomes, row.status) == (5, 2, 7, "adopt")
    assert done.entries == 1


async def test_the_entry_says_what_was_shown(office: Office) -> None:
    await office.lists("MUG", 7)

    await office.adopts()

    last = (await office.seller.entries("MUG"))[-1].movement
    assert last.cause.reason == "counted 7 available: adopted from shop, which shows item-1: 7; 0 in open orders"


async def test_a_dry_run_says_the_same_and_writes_nothing(office: Office) -> None:
    await office.lists("MUG", 7)

    planned_rows = (await office.adopts(dry_run=True)).rows
    assert await office.sums("MUG") == (0, 0)

    assert (await office.adopts()).rows == planned_rows


async def test_a_dry_run_takes_no_orders_in(office: Office) -> None:
    mug = await office.lists("MUG", 7)
    office.seller.shop().buy((mug, 2))

    (row,) = (await office.adopts(dry_run=True)).rows

    assert (row.units, row.promised) == (5, 0)


async def test_an_order_placed_while_the_numbers_are_read_stays_on_top(office: Office) -> None:
    mug = await office.lists("MUG", 7)
    shop, clock = office.seller.shop(), office.seller.clock

    class Slow:
        """A shop at which somebody buys just after the listings were read."""

        async def listings(self) -> Any:
            async for one in channel.channel.listings():
                yield one
            clock.at += timedelta(seconds=1)
            shop.buy((mug, 2))

        def __getattr__(self, name: str) -> Any:
            return getattr(channel.channel, name)

    channel = replace(office.seller.channel())
    office.seller.channel().channel = Slow()

    await office.adopts()

    assert await office.sums("MUG") == (7, 5)


async def test_open_orders_of_other_channels_stay_on_top_unless_the_numbers_were_kept_alike(office: Office) -> None:
    await office.lists("MUG", 7)
    there = await office.lists("MUG", 7, channel="market")
    office.seller.shop("market").buy((there, 2))
    market = office.seller.channel("market")

    await poll_orders(office.seller.agent, market)

    await office.adopts()
    assert await office.sums("MUG") == (7, 5)

    await office.adopts(all_orders=True, overwrite=True)
    assert await office.sums("MUG") == (9, 7)


async def test_packs_agree_with_single_units_as_far_as_whole_packs_go(office: Office) -> None:
    await office.lists("MUG", 7)
    await office.lists("MUG", 1, multiple=6)

    (row,) = (await office.adopts()).rows

    assert (row.shown, row.units, row.status) == (("item-1: 7", "item-2: 1 x 6"), 7, "adopt")


async def test_listings_of_one_item_that_disagree_are_shown_and_left_alone_unless_the_lowest_holds(
    office: Office,
) -> None:
    await office.lists("MUG", 7)
    await office.lists("MUG", 4)

    (row,) = (await office.adopts()).rows
    assert (row.shown, row.units, row.becomes, row.status) == (
        ("item-1: 7", "item-2: 4"),
        None,
        None,
        "listings disagree",
    )
    assert await office.sums("MUG") == (0, 0)

    await office.adopts(lowest=True)
    assert await office.sums("MUG") == (4, 4)


async def test_other_channels_that_show_something_else_are_named(office: Office) -> None:
    await office.lists("MUG", 7)
    await office.lists("CUP", 3)
    await office.lists("MUG", 9, channel="market")
    await office.lists("CUP", 3, channel="market")

    rows = {row.sku: row.others for row in (await office.adopts(dry_run=True)).rows}

    assert rows == {"CUP": (), "MUG": ("market item-1: 9",)}


async def test_items_with_entries_of_their_own_are_left_alone_unless_they_are_overwritten(office: Office) -> None:
    await office.lists("MUG", 7)
    await office.lists("CUP", 3)
    await office.seller.has("CUP", 5)

    assert await office.statuses() == {"CUP": "has entries", "MUG": "adopt"}
    assert await office.sums("CUP") == (5, 5)

    assert await office.statuses(overwrite=True) == {"CUP": "adopt", "MUG": "as it is"}
    assert await office.sums("CUP") == (3, 3)


async def test_items_that_were_only_sold_have_no_entries_of_their_own(office: Office) -> None:
    mug = await office.lists("MUG", 7)
    sale = office.seller.shop().buy((mug, 2))
    office.seller.shop().ship(sale, 1)

    assert await office.statuses() == {"MUG": "adopt"}
    assert await office.sums("MUG") == (6, 5)


async def test_only_the_items_that_are_named_are_adopted(office: Office) -> None:
    await office.lists("MUG", 7)
    await office.lists("CUP", 3)

    assert await office.statuses(items=[item_id("CUP")]) == {"CUP": "adopt"}
    assert await office.sums("MUG") == (0, 0)


async def test_listings_without_an_item_are_counted_and_virtual_bundles_follow_from_their_parts(office: Office) -> None:
    await office.lists("MUG", 7)
    await office.lists("SET", 3)
    await office.seller.lists("PLATE", 2)
    await office.seller.pull()

    done = await office.adopts()

    assert {row.sku: row.status for row in done.rows} == {"MUG": "adopt", "SET": "bundle"}
    assert done.not_mapped == 1


async def test_a_history_that_is_read_after_adopting_lowers_nothing(office: Office) -> None:
    """The first poll of a channel brings every order there ever was."""
    mug = await office.lists("MUG", 7)
    sale = office.seller.shop().buy((mug, 2))
    office.seller.shop().ship(sale, 2)
    office.seller.clock.at += HOUR
    by = By(actor="user:eve", run="test", now=office.seller.clock.now())
    agent = office.seller.agent
    where = Place("MUG", PositionKey(item_id("MUG"), "main"))
    await agent.database.transact(lambda c: count(c, agent.setup, by, where, 5))

    await office.adopts(overwrite=True)

    assert await office.sums("MUG") == (5, 5)


async def test_units_promised_at_another_location_are_said(office: Office) -> None:
    mug = await office.lists("MUG", 7)
    office.seller.shop().buy((mug, 2))

    done = await office.adopts("annex")

    assert done.notes == [
        "shop keeps one number for main, annex: all of it is put at annex.",
        "MUG: 2 units of open orders are promised at main; they stay on top.",
    ]
    assert await office.sums("MUG", "annex") == (5, 5)
    assert await office.sums("MUG", "main") == (0, -2)


async def test_an_unknown_location_and_one_that_the_channel_does_not_sell_from_are_refused(
    open_seller: OpenSeller,
) -> None:
    seller = await open_seller("shop", locations=("main", "annex"), channel={"locations": ("main",)})
    office = Office(seller)

    with pytest.raises(Refused, match="There is no location 'mian'"):
        await office.adopts("mian")
    with pytest.raises(Refused, match="shop does not sell from annex, but from main"):
        await office.adopts("annex")


async def test_nothing_is_adopted_when_the_orders_cannot_be_read(office: Office) -> None:
    await office.lists("MUG", 7)
    channel = office.seller.channel()
    real = channel.channel

    class NoOrders:
        """A shop whose orders cannot be read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def orders(self, *, cursor: str | None) -> Any:
            office.seller.shop().trouble = ShopSilent("no answer came")
            async for page in real.orders(cursor=cursor):
                yield page

    channel.channel = NoOrders()

    with pytest.raises(Refused, match=r"shop: its orders cannot be read .*; nothing was adopted"):
        await office.adopts()

    assert await office.sums("MUG") == (0, 0)


MUG = Known(sku="MUG", item="mug", on_hand=0, withheld=0, promised=0, changed=0, has_entries=False, virtual=False)


def test_what_is_set_aside_is_put_back_too() -> None:
    row = planned(replace(MUG, withheld=3), [Shown("shop", "L", 7, 1)], [], overwrite=False, lowest=False)

    assert row.becomes == 10


def test_a_number_at_the_channel_s_cap_may_mean_more() -> None:
    capped = Shown("shop", "L", 100, 1, capped=True)

    alone = planned(MUG, [capped], [], overwrite=False, lowest=False)
    beside = planned(MUG, [capped, Shown("shop", "M", 250, 1)], [], overwrite=False, lowest=False)

    assert (alone.status, alone.becomes) == ("shows its cap", None)
    assert (beside.status, beside.becomes) == ("adopt", 250)


def test_a_number_that_cannot_be_told_is_none() -> None:
    row = planned(MUG, [Shown("shop", "L", None, 1)], [], overwrite=False, lowest=True)

    assert (row.status, row.shown) == ("no number", ("L: ?",))


@pytest.mark.parametrize(
    ("opened", "shipped", "deducted", "off"),
    [(3, 0, 3, 3), (2, 1, 3, 2), (3, 0, 0, 0), (2, 1, 1, 0), (2, 0, 5, 2)],
    ids=["at order", "part shipped", "not paid yet", "at shipment", "cancelled in part and not given back"],
)
def test_open_units_are_off_the_number_as_far_as_the_channel_has_deducted_them(
    opened: int, shipped: int, deducted: int, off: int
) -> None:
    leg = Leg(number=1, location="main", takes=(("mug", 1),), open=opened, shipped=shipped)

    assert off_the_number(BookedLine(line="1", legs=(leg,), deducted=deducted)) == off
