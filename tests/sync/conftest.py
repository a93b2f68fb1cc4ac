"""A seller with shops in this process: the agent on a real database, its clock in the hand of the test."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.ledger import Cause, EntryKind, LedgerEntry, Movement, entry_id
from channelsync.domain.quantities import Position, PositionKey
from channelsync.sdk.channel import Connector
from channelsync.store import findings, items, ledger, order_hints, runs
from channelsync.store.database import Database
from channelsync.store.findings import StoredFinding
from channelsync.store.items import Item, item_id
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.orders_by_hand import OrderNow, by_hand, cancel_by_hand, ship_by_hand
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.setup import BY_HAND, ChannelSetup, Setup
from channelsync.sync.take_orders import book_unmapped
from channelsync.sync.verify import verify
from channelsync_memory import CONNECTOR
from channelsync_memory.shop import SHOPS, Shop

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
ENTRY = metadata.tables["ledger_entry"]


class HandClock:
    """A clock that stands still until somebody moves it; whoever sleeps on it moves it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Seller:
    """An agent, the shops it sells at, and what a seller does by hand. Channels are named as their shops."""

    agent: Agent
    shops: Mapping[str, Shop]
    clock: HandClock
    runs: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.agent.database

    def channel(self, name: str = "shop") -> OpenChannel:
        return self.agent.channels[name]

    def shop(self, name: str = "shop") -> Shop:
        return self.shops[name]

    async def has(self, sku: str, units: int, location: str = "main") -> str:
        """So many units of a SKU arrive; returns the item's id."""
        now = self.clock.now()
        key = PositionKey(item_id(sku), location)

        def unit(connection: Any) -> None:
            items.add_items(connection, [Item(id=key.item, sku=sku)], now)
            ledger.open_positions(connection, [key])
            positions = ledger.lock_positions(connection, [key.item])
            if units:
                movement = Movement(
                    id=entry_id("receipt", sku, location, positions[key].entries),
                    position=key,
                    kind=EntryKind.RECEIPT,
                    on_hand=units,
                    at=now,
                    cause=Cause(actor="test", run=self.agent.run, reason="received"),
                )
                ledger.write(connection, [movement], positions, now)
            ledger.state(connection, [key], positions, self.agent.run)

        await self.database.transact(unit)
        return key.item

    async def lists(self, sku: str, number: int, *, channel: str = "shop") -> str:
        """A shop lists a SKU; returns the listing's id. It is not pulled yet."""
        return self.shop(channel).list_item(sku, number).id

    async def pull(self, channel: str = "shop") -> None:
        """Brings the listings of a shop."""
        await identify(self.agent, self.channel(channel))
        await pull_listings(self.agent, self.channel(channel))

    async def map(
        self, listing: str, sku: str, multiple: int = 1, *, channel: str = "shop", books: bool = True
    ) -> None:
        """Says what a listing means, and books the orders that waited for it."""
        wanted = Wanted(channel, listing, item_id(sku), multiple)
        now = self.clock.now()
        await self.database.transact(
            lambda c: map_listings(c, self.agent.setup, [wanted], by="test", run=self.agent.run, now=now)
        )
        if books:
            await book_unmapped(self.agent, channel)

    async def sells(self, sku: str, number: int, *, units: int | None = None, channel: str = "shop") -> str:
        """A SKU that is there (`units`, else `number` of it), listed, pulled and mapped; returns the listing's id."""
        await self.has(sku, number if units is None else units)
        listing = await self.lists(sku, number, channel=channel)
        await self.pull(channel)
        await self.map(listing, sku, channel=channel)
        return listing

    async def ships(self, order: str, location: str | None = None, **units: int) -> OrderNow:
        """`orders ship`, of one keyword argument a SKU; none: all that is open."""
        now = self.clock.now()
        return await self.database.transact(
            lambda c: ship_by_hand(c, self.agent.setup, order, units, location=location, now=now, run="test")
        )

    async def cancels(self, order: str, **units: int) -> OrderNow:
        """`orders cancel`, of one keyword argument a SKU; none: all that is open."""
        now = self.clock.now()
        return await self.database.transact(
            lambda c: cancel_by_hand(c, self.agent.setup, order, units, now=now, run="test")
        )

    async def position(self, sku: str, location: str = "main") -> Position:
        """The sums of a SKU at a location; zeroes where there never was any."""
        key = PositionKey(item_id(sku), location)
        found = await self.database.query(lambda c: ledger.read_positions(c, [key.item]))
        return found.get(key, Position(key=key))

    async def entries(self, sku: str, location: str = "main") -> list[LedgerEntry]:
        """The entries of a SKU at a location, oldest first."""
        theirs = select(ENTRY).where(ENTRY.c.item == item_id(sku), ENTRY.c.location == location)
        rows = await self.database.query(lambda c: c.execute(theirs.order_by(ENTRY.c.number)).all())
        return [ledger.entry_of(row) for row in rows]

    async def hinted(self, channel: str = "shop") -> list[str]:
        """Orders that would be read by their ids now, the first one first."""
        now = self.clock.now()
        found = await self.database.query(lambda c: order_hints.hints_to_read(c, channel, now, limit=100))
        return [order for order, _ in found]

    async def findings(self, *, only_open: bool = True) -> list[StoredFinding]:
        return await self.database.query(lambda c: findings.list_findings(c, only_open=only_open))

    async def kinds(self) -> list[str]:
        """The kinds of all open findings, sorted."""
        return sorted(one.kind for one in await self.findings())


OpenSeller = Callable[..., Awaitable[Seller]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def open_seller(database: Database, clock: HandClock) -> AsyncIterator[OpenSeller]:
    """Opens a seller: open_seller("shop", "market", connectors={...}, recipes={"SET": {"MUG": 2}}, page=..., **setup).

    connectors: by channel, where it is not the memory connector. recipes: virtual bundles, by SKU. page: orders a page.
    channel: fields of every ChannelSetup. The rest goes to Setup. At the end of the test the whole database is proved.
    """
    async with AsyncExitStack() as stack:

        async def opened(
            *names: str,
            connectors: Mapping[str, Connector] | None = None,
            recipes: Mapping[str, Mapping[str, int]] | None = None,
            locations: tuple[str, ...] = ("main",),
            page: int = 50,
            channel: Mapping[str, Any] | None = None,
            **setup: Any,
        ) -> Seller:
            chosen = {name: (connectors or {}).get(name, CONNECTOR) for name in names or ("shop",)}
            settings = {name: one.settings(shop=name, orders_per_page=page) for name, one in chosen.items()}
            shops = {name: Shop(clock) for name in chosen}
            SHOPS.update(shops)
            made = Setup(
                channels={
                    BY_HAND: by_hand(locations),
                    **{
                        name: replace(
                            ChannelSetup(name=name, capabilities=one.capabilities(settings[name]), locations=locations),
                            **(channel or {}),
                        )
                        for name, one in chosen.items()
                    },
                },
                locations=locations,
                recipes={
                    item_id(sku): Recipe(
                        item_id(sku), "virtual", tuple(Part(item_id(part), units) for part, units in parts.items())
                    )
                    for sku, parts in (recipes or {}).items()
                },
                **setup,
            )
            named = {*(recipes or {}), *(part for parts in (recipes or {}).values() for part in parts)}
            await database.transact(lambda c: _begin(c, named, clock.now()))
            measures = await database.query(lambda c: measure(c, made, clock.now()))
            agent = Agent(database=database, clock=clock, setup=made, run="test", measures=measures)
            for name, one in chosen.items():
                agent.channels[name] = await stack.enter_async_context(
                    open_channel(
                        made.channels[name],
                        one,
                        settings[name],
                        database=database,
                        clock=clock,
                        rng=random.Random(1),
                    )
                )
            return Seller(agent, shops, clock)

        yield opened
    proved = await database.query(verify, snapshot=True)
    assert proved.problems == []
    for name in list(SHOPS):
        del SHOPS[name]


def _begin(connection: Any, skus: set[str], now: datetime) -> None:
    runs.begin_run(connection, "test", "test", "test", {}, now)
    items.add_items(connection, [Item(id=item_id(sku), sku=sku) for sku in sorted(skus)], now)


@pytest.fixture
async def seller(open_seller: OpenSeller) -> Seller:
    """A seller with one channel, "shop"."""
    return await open_seller("shop")
