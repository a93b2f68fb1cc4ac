"""Stories of section 1: what a quantity key is, and in which units its number is understood."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.domain.orders import Moved, OrderStatus
from channelsync.domain.rules import LastUnits
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import Offer
from channelsync.lab.stage import StagedListing
from channelsync.store.orders import order_row
from channelsync.sync.book_orders import Arrival, book_orders

PLAIN = MarketplaceRules()
TURNS = 500
"""After so many turns whoever waits for nothing that we do is through."""


def of_one(original: Any) -> Any:
    """Every key is taken to count single units."""
    return lambda *arguments: replace(original(*arguments), multiple=1)


PACKS = [
    StagedListing(marketplace="shop", listing="shop-tea", sku="tea", multiple=3),
    StagedListing(marketplace="market", listing="market-tea", sku="tea"),
]


@pytest.mark.fails_without("sync.targets._ask", around=of_one)
async def test_a_key_of_packs_shows_whole_packs(open_world) -> None:
    world = await open_world(["shop", "market"], 10, listings=PACKS)
    assert world.shown() == [3, 10]
    world.sells("market", 2)
    await world.lives(12)
    assert world.shown() == [2, 8]
    world.sells("shop", 1)
    await world.lives(12)
    assert (world.shown(), await world.available(), await world.kinds()) == ([1, 5], 5, [])


def singly(original: Any) -> Any:
    """What is held for a drop takes one unit for each unit of the key."""
    return lambda sold, *rest: original(replace(sold, multiple=1), *rest)


@pytest.mark.fails_without("sync.understand_reads.pick", around=singly)
async def test_a_drop_of_one_pack_holds_all_its_units(open_world) -> None:
    world = await open_world(["shop", "market"], 10, listings=PACKS)
    world.sells("shop", 1)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shown()) == ([1], [2, 7])


def ended_is_0(original: Any) -> Any:
    """A number that is not there (any more) is taken to be 0."""

    def take(self: Any, record: Any, read: Any) -> None:
        original(self, record, read if read.value is not None else replace(read, value=0))

    return take


@pytest.mark.fails_without("sync.understand_reads._Reading.take", around=ended_is_0)
async def test_a_key_that_the_channel_fulfils_from_now_on_is_no_drop(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.market("shop").offers["shop-tea"].own = False
    world.market("shop").edit_number(world.key("shop"), 2)  # the channel's own units
    await world.sweeps("shop")
    assert await world.held() == []
    await world.pulls("shop")
    await world.lives(15)
    assert (await world.held(), world.shows("market"), await world.available()) == ([], 10, 10)
    assert world.wires["shop"].values == []


@pytest.mark.fails_without(declares={"meaning": "available"})
async def test_a_physical_number_contains_the_units_of_open_orders(open_world) -> None:
    world = await open_world({"shop": PRESETS["physical, committed readable"], "market": PLAIN})
    order = world.sells("shop", 2)
    await world.lives(12)
    assert world.shown() == [10, 8]
    assert world.market("shop").can_buy("shop-tea") == 8
    world.sells("market", 3)
    await world.lives(12)
    assert world.shown() == [7, 5]  # 5 for sale, and 2 in its open order
    world.market("shop").ship(order)
    await world.lives(12)
    assert (world.shown(), await world.kinds()) == ([5, 5], [])


@pytest.mark.fails_without("sync.understand_reads._Reading._hold", lambda self, record, seen, units: None)
async def test_a_sale_is_seen_in_a_physical_number_before_the_order_is(open_world) -> None:
    world = await open_world({"shop": PRESETS["physical, committed readable"], "market": PLAIN})
    world.sells("shop", 2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.tick("market")
    assert (await world.held(), world.shows("market")) == ([2], 8)


@pytest.mark.fails_without(declares={"committed_readable": True})
async def test_a_blind_key_books_nothing_provisionally_and_is_said_to_be_blind(open_world) -> None:
    world = await open_world({"shop": PRESETS["physical, blind"], "market": PLAIN})
    assert await world.kinds() == ["blind key"]
    order = world.sells("shop", 2)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert world.shown() == [10, 8]
    world.market("shop").ship(order)  # its number falls now, and no order is missing
    await world.sweeps("shop")
    await world.lives(15)
    assert (world.shown(), await world.available()) == ([8, 8], 8)


@pytest.mark.fails_without("sync.book_orders._Batch._open_at_blind_channels", lambda batch: set())
async def test_a_blind_number_falls_with_units_that_a_cancelled_order_lost(open_world) -> None:
    world = await open_world({"shop": PRESETS["physical, blind"], "market": PLAIN})
    order = world.sells("shop", 1)
    await world.lives(15)
    assert world.shown() == [10, 9], "the shop's number contains what is ordered there"
    now = world.clock.now()

    def cancelled(connection: Connection) -> None:
        stored = order_row(connection, "shop", order)
        assert stored is not None
        lines = (replace(stored.said.lines[0], lost=(Moved(units=1),)),)
        gone = replace(stored.said, version=now, status=OrderStatus.CANCELLED, cancelled_at=now, lines=lines)
        book_orders(connection, world.agent.setup, [Arrival(channel="shop", order=gone)], now=now, run="story")

    await world.agent.database.transact(cancelled)
    await world.lives(5, poll=False)
    assert (await world.available(), world.shown()) == (9, [9, 9])


async def test_a_slip_at_a_blind_key_is_repaired_as_soon_as_its_orders_were_read(open_world) -> None:
    late = replace(PRESETS["physical, blind"], visibility=(600.0, 600.0))
    world = await open_world({"shop": late, "market": PLAIN})
    world.sells("shop", 1)
    await world.lives(15)
    assert world.shown() == [10, 9]
    world.edits("shop", 9)
    world.passes(minutes=1)
    await world.sweeps("shop")
    await world.lives(5)
    assert world.shown() == [9, 9], "it may have been the shipment"
    await world.lives(25)
    assert world.shown() == [10, 9]


@pytest.mark.fails_without("sync.targets.Target.number", property(lambda target: target.units + target.promised))
async def test_a_blind_number_is_not_raised_for_orders_that_may_have_been_shipped_where_it_would_offer_nothing(
    open_world,
) -> None:
    late = replace(PRESETS["physical, blind"], visibility=(600.0, 600.0))
    world = await open_world({"shop": late, "market": PLAIN})
    order = world.sells("shop", 2)
    world.sells("market", 8)
    await world.lives(15)
    assert (world.shown(), await world.available()) == ([2, 0], 0), "two of its units are ordered, and none is offered"
    world.edits("shop", 1)
    await world.sweeps("shop")
    await world.lives(25)
    assert world.shown() == [1, 0]
    world.market("shop").ship(order)
    await world.lives(25)
    await world.receives(5)
    await world.lives(25)
    assert (world.shown(), await world.available()) == ([5, 5], 5)


def by_channel(original: Any) -> Any:
    """Two configured channels of one account have keys of their own."""
    return lambda connection, channel, identity, *rest: original(connection, channel, f"{identity}, {channel}", *rest)


@pytest.mark.fails_without("store.listings.save_listings", around=by_channel)
async def test_two_channels_of_one_account_share_one_number_and_its_writes(open_world) -> None:
    world = await open_world(["de", "fr", "shop"], twins={"fr": "de"})
    assert len(await world.sql("SELECT id FROM quantity_key WHERE key = 'de-tea'")) == 1
    world.sells("shop", 3)
    await world.lives(15)
    assert [world.shows("de"), world.shows("shop")] == [7, 7]
    assert [*world.wires["de"].values, *world.wires["fr"].values] == [7]
    assert await world.kinds() == []


def of_itself(original: Any) -> Any:
    """Every configured channel is taken for an account of its own."""
    return lambda connection, channel, wanted: original(connection, replace(channel, by_sku=True), wanted)


@pytest.mark.fails_without("sync.accounts.booked_before", around=of_itself)
async def test_an_order_at_one_of_two_channels_of_an_account_is_booked_once(open_world) -> None:
    world = await open_world(["de", "fr", "shop"], twins={"fr": "de"})
    world.sells("fr", 2)
    await world.lives(15)
    assert (world.shows("de"), world.shows("shop"), await world.available()) == (8, 8, 8)
    assert await world.kinds() == []


@pytest.mark.fails_without(declares={"moves": "own"})
@pytest.mark.parametrize("preset", ["bundles move components", "bundles move both"])
async def test_the_declared_keys_of_a_sold_bundle_move(open_world, preset: str) -> None:
    world = await open_world(
        {"shop": PRESETS[preset], "market": PLAIN},
        {"tea": 10, "cup": 6},
        recipes={"set": {"tea": 2, "cup": 1}},
        listings=[
            StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku)
            for name in ("shop", "market")
            for sku in ("tea", "cup")
        ],
    )
    parts = (("shop-tea", 2), ("shop-cup", 1))
    own = None if preset == "bundles move components" else 5
    await world.lists("shop", Offer(listing="shop-set", sku="set", parts=parts), own, means="set")
    await world.lives(3)
    world.sells("shop", 2, "set")
    world.passes(seconds=5)
    await world.poll("shop")
    await world.sweeps("shop")
    assert await world.held() == []
    await world.lives(15)
    assert (world.shown("tea"), world.shown("cup"), await world.kinds()) == ([6, 6], [4, 4], [])


@pytest.mark.fails_without("store.orders.fulfilled_by_channel", lambda *arguments: set())
async def test_an_order_that_the_channel_fulfils_waits_for_no_mapping_and_takes_none_of_our_units(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.market("shop").offers["shop-tea"].own = False
    await world.pulls("shop")
    world.sells("shop", 2)
    await world.lives(12)
    assert (await world.available(), world.shows("market"), await world.kinds()) == (10, 10, [])


@pytest.mark.fails_without("store.listings.mark_gone", lambda *arguments: [])
async def test_a_listing_that_is_gone_keeps_no_last_units_and_is_found(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 3, "cup": 1})
    world.rule(last_units=LastUnits(3, ("shop",)))
    await world.receives(0)
    await world.lives(3)
    assert world.shown() == [3, 0]
    market = world.market("shop")
    offer = market._shelf.offers.pop("shop-tea")
    world.passes(minutes=1)
    await world.pulls("shop")
    await world.lives(5)
    assert (world.shows("market"), await world.kinds()) == (3, ["listing gone"])
    market._shelf.offers["shop-tea"] = offer
    world.passes(minutes=1)
    await world.pulls("shop")
    await world.lives(5)
    assert (world.shown(), await world.found()) == ([3, 0], [])


@pytest.mark.fails_without("sync.pull_listings._shrank", lambda known, missing: False)
async def test_a_pull_that_brings_nothing_ends_no_listing_and_stops_no_writes(open_world) -> None:
    world = await open_world(["shop", "market"])
    shelf = world.market("shop")._shelf
    there, shelf.offers = shelf.offers, {}
    world.passes(minutes=1)
    await world.pulls("shop")
    shelf.offers = there
    assert [one.kind for one in await world.found()] == ["catalogue shrank"]
    world.sells("market", 4)
    await world.lives(12)
    assert world.shown() == [6, 6]
    await world.pulls("shop")
    assert (await world.found(), await world.kinds()) == ([], ["catalogue shrank"])


@pytest.mark.fails_without("sdk.limiter.Limiter.share", lambda self, other: None)
async def test_two_channels_of_one_account_spend_from_one_budget(open_world) -> None:
    world = await open_world(["de", "fr", "shop"], 1, twins={"fr": "de"})
    world.passes(minutes=1)
    world.has_left("de", 0)
    await world.tick("fr")
    assert world.wires["fr"].asked == []  # a scarce number, but nothing is left to read it with
    world.passes(minutes=1)
    await world.tick("fr")
    assert world.wires["fr"].asked == [["de-tea"]]


def alone(setup: Any, states: Any, channel: str) -> tuple[Any, Any]:
    """Every channel is taken to be shown all orders of its account."""
    return states[channel].covered_to, states[channel].orders_asked_at


@pytest.mark.fails_without("sync.explained.orders_read", alone)
async def test_what_is_held_waits_until_every_channel_of_the_account_has_read_its_orders(open_world) -> None:
    world = await open_world(["de", "fr", "shop"], 4, twins={"fr": "de"})
    world.edits("de", 3)  # or an order that only the other channel is shown
    world.passes(minutes=1)
    await world.sweeps("de")
    world.passes(minutes=1)
    await world.poll("de")
    assert await world.held() == [1]
    await world.poll("fr")
    assert await world.held() == []


@pytest.mark.fails_without("sync.send_writes.asyncio", SimpleNamespace(Lock=nullcontext))
async def test_no_older_number_leaves_after_a_newer_one_by_another_channel_of_the_account(open_world) -> None:
    world = await open_world(["de", "fr", "shop"], twins={"fr": "de"})
    wire, inner = world.wires["de"], world.wires["de"].inner
    others: list[asyncio.Task[Any]] = []

    async def push(updates: Any) -> Any:
        """Its first byte has not left when the publisher of the other channel looks, which knows more."""
        wire.inner = inner
        world.sells("shop", 4)
        await world.poll("shop")
        world.passes(seconds=1)
        others.append(asyncio.create_task(world.tick("fr")))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return await inner.push(updates)

    wire.inner = SimpleNamespace(push=push, read=inner.read)
    world.sells("shop", 3)
    await world.poll("shop")
    await world.tick("de")
    await asyncio.gather(*others)
    sent = [row.value for row in await world.sql("SELECT value FROM quantity_write ORDER BY generation")]
    assert (world.shows("de"), sent) == (3, [7, 3])
