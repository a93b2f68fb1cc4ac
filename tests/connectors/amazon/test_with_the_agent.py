"""The agent at Amazon's test server: what Amazon ships never touches our units; what nobody pays for comes back."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import Position, PositionKey
from channelsync.sdk.contract import ContractClock
from channelsync.store import findings, ledger, runs
from channelsync.store.items import Item, add_items, item_id
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.kept_units import count_kept
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.verify import verify
from channelsync_amazon import CONNECTOR
from vendor_amazon import AmazonHabits, AmazonSite

UNITS = 10
UK = "A1F83G8C2ARO7P"
TICK = timedelta(minutes=3).total_seconds()


@dataclass
class Shop:
    """The agent with its one channel, Amazon, and a time in which both live."""

    agent: Agent
    channel: OpenChannel
    site: AmazonSite
    clock: ContractClock
    skus: tuple[str, ...]

    async def ticks(self, number: int = 12) -> None:
        """So many ticks of polling and publishing."""
        for _ in range(number):
            await poll_orders(self.agent, self.channel)
            assert (await publish_tick(self.agent, self.channel)).failed == ""
            await self.clock.sleep(TICK)

    async def held(self, sku: str) -> tuple[int, int]:
        """Units on hand, and reserved."""
        found = await self.position(sku, "main")
        return found.on_hand, found.reserved

    async def position(self, sku: str, location: str) -> Position:
        """A SKU at a location; zeroes where there never was any."""
        key = PositionKey(item_id(sku), location)
        found = await self.agent.database.query(lambda c: ledger.read_positions(c, [key.item]))
        return found.get(key, Position(key=key))

    async def counted(self, sku: str, pool: str) -> tuple[int, int, int]:
        """What is counted at a pool of Amazon's, now: on hand, withheld and available."""
        await count_kept(self.agent, self.channel, self.clock.now())
        found = await self.position(sku, f"fba-{pool}")
        return found.on_hand, found.withheld, found.available

    def shown(self, sku: str) -> int:
        """What buyers see."""
        item = self.site.catalogue.item(sku)
        assert item is not None
        number = self.site.catalogue.quantity(item)
        assert number is not None
        return number


@pytest.fixture
def skus() -> tuple[str, ...]:
    return ("MUG", "CUP")


@pytest.fixture
def more() -> dict[str, Any]:
    """Settings that differ from the usual ones."""
    return {}


@pytest.fixture
async def shop(sqlite_database, clock, site, settings_of, skus, more) -> AsyncIterator[Shop]:
    """Ten units of each SKU, listed with three and mapped; FBA is listed, and Amazon's to ship."""
    for sku in skus:
        site.catalogue.list_item(sku, 3)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 50)
    settings = settings_of(site, **more)
    told = CONNECTOR.capabilities(settings)
    kept = {pool: f"fba-{pool}" for pool in settings.fba_pools}
    setup = Setup(
        channels={"amazon": ChannelSetup(name="amazon", capabilities=told, locations=("main",), kept=kept)},
        locations=("main",),
    )

    def receive(connection) -> None:
        runs.begin_run(connection, "test", "test", "test", {}, clock.now())
        add_items(connection, [Item(id=item_id(sku), sku=sku) for sku in (*skus, "FBA")], clock.now())
        keys = [PositionKey(item_id(sku), "main") for sku in (*skus, "FBA")]
        ledger.open_positions(connection, keys)
        moves = [
            Movement(
                id=entry_id("receipt", key.item),
                position=key,
                kind=EntryKind.RECEIPT,
                on_hand=UNITS,
                at=clock.now(),
                cause=Cause(actor="test", run="test", reason="received"),
            )
            for key in keys
        ]
        ledger.write(connection, moves, ledger.lock_positions(connection, [key.item for key in keys]), clock.now())

    await sqlite_database.transact(receive)
    measures = await sqlite_database.query(lambda c: measure(c, setup, clock.now()))
    agent = Agent(database=sqlite_database, clock=clock, setup=setup, run="test", measures=measures)
    opening = open_channel(
        setup.channels["amazon"],
        CONNECTOR,
        settings,
        database=sqlite_database,
        clock=clock,
        rng=random.Random(1),
        transport=site.transport,
    )
    async with opening as channel:
        agent.channels["amazon"] = channel
        await identify(agent, channel)
        await pull_listings(agent, channel)
        wanted = [Wanted("amazon", sku, item_id(sku), 1) for sku in (*skus, "FBA")]
        await sqlite_database.transact(lambda c: map_listings(c, setup, wanted, by="test", run="test", now=clock.now()))
        shop = Shop(agent, channel, site, clock, skus)
        await shop.ticks(1 if more else 12)
        yield shop
        assert (await sqlite_database.query(verify, snapshot=True)).problems == []
    assert (site.api.problems, site.api.refused, site.api.ignored, site.api.buckets.violations) == ([], [], [], [])


async def test_an_order_of_ours_reserves_and_one_that_amazon_ships_does_not(shop: Shop) -> None:
    assert [shop.shown(sku) for sku in shop.skus] == [UNITS, UNITS]
    shop.site.marketplace.buy("MUG", 2)
    shop.site.marketplace.buy("FBA", 3)
    await shop.ticks()
    assert [await shop.held(sku) for sku in ("MUG", "CUP", "FBA")] == [(10, 2), (10, 0), (10, 0)]
    assert [shop.shown(sku) for sku in shop.skus] == [8, 10]
    assert shop.site.catalogue.item("FBA").availability == {"AMAZON_EU": {}}


async def test_a_listing_that_flips_to_amazon_reserves_nothing_and_is_not_written(shop: Shop) -> None:
    shop.site.catalogue.convert("CUP", fba=True)
    shop.site.pool.receive("CUP", 50)
    shop.site.marketplace.buy("CUP", 4)
    await shop.ticks()
    await pull_listings(shop.agent, shop.channel)
    await shop.ticks()
    assert await shop.held("CUP") == (10, 0), "what Amazon sells of its own units is no drop of ours"
    assert shop.site.catalogue.item("CUP").availability == {"AMAZON_EU": {}}


@pytest.mark.parametrize("more", [{"fba_pools": (UK,)}])
async def test_units_at_amazon_are_counted_at_a_location_of_ours_and_sold_by_nobody_else(shop: Shop) -> None:
    await shop.ticks()
    assert await shop.counted("FBA", UK) == (50, 0, 50)
    order = shop.site.marketplace.buy("FBA", 3).order.id
    shop.site.pool.receive("FBA", 0, unfulfillable=2)
    await shop.ticks(1)
    assert await shop.counted("FBA", UK) == (52, 5, 47)
    shop.site.marketplace.ship(order)
    await shop.ticks(1)
    assert await shop.counted("FBA", UK) == (49, 2, 47)
    assert await shop.held("FBA") == (10, 0), "what Amazon keeps and what we have are told apart"
    assert shop.site.catalogue.item("FBA").availability == {"AMAZON_EU": {}}


@pytest.mark.parametrize("more", [{"fba_pools": (UK,)}])
async def test_a_listing_that_becomes_the_sellers_own_is_sold_from_our_units_and_still_asked_about(shop: Shop) -> None:
    assert await shop.counted("FBA", UK) == (50, 0, 50)
    shop.site.catalogue.convert("FBA", fba=False)
    await pull_listings(shop.agent, shop.channel)
    await shop.ticks(12)
    assert shop.shown("FBA") == 10
    assert await shop.counted("FBA", UK) == (0, 0, 0), "Amazon tells of none any more"


async def test_units_of_an_order_that_nobody_pays_come_back(shop: Shop) -> None:
    shop.site.marketplace.buy("MUG", 2, paid=False)
    await shop.ticks()
    assert (await shop.held("MUG"), shop.shown("MUG")) == ((10, 2), 8)
    await shop.clock.sleep(timedelta(days=20, hours=22).total_seconds())
    await shop.ticks(2)
    assert await shop.held("MUG") == (10, 2), "Amazon still checks the payment"
    await shop.clock.sleep(timedelta(hours=2).total_seconds())
    await shop.ticks()
    assert (await shop.held("MUG"), shop.shown("MUG")) == ((10, 0), 10)


@pytest.mark.parametrize(
    ("skus", "more", "habits"),
    [(tuple(f"SKU-{one}" for one in range(12)), {"feed_from": 10}, AmazonHabits(feed_delay=(2000.0, 2000.0)))],
    ids=["a feed of half an hour"],
)
async def test_a_feed_that_takes_half_an_hour_loses_nothing_and_alarms_nobody(shop: Shop) -> None:
    await shop.ticks(24)
    assert {shop.shown(sku) for sku in shop.skus} == {UNITS}
    calls = shop.site.api.calls
    assert (calls["push"], calls["createFeedDocument"]) == (1, 1), "all raises in one feed, and nothing sent again"
    assert await shop.agent.database.query(findings.list_findings) == []
