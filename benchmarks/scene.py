"""The seller of the intake and latency benchmarks: SKUs with plenty on hand, each on one listing of one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.channel import Capabilities
from channelsync.store import items, ledger, listings, runs
from channelsync.store.database import Database
from channelsync.store.items import Item, item_id
from channelsync.store.listings import SeenListing
from channelsync.store.tables import metadata
from channelsync.sync.book_orders import Arrival
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.setup import ChannelSetup, Setup

SKUS = 1_000
CHANNEL = "shop"
LOCATION = "main"
RUN = "bench"
PLENTY = 10**9
"""Units on hand of every SKU: nothing is refused, nothing is oversold, in any of the contenders."""

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scene:
    """skus: how many there are, numbered from 0; every arrival it makes is an order of its own."""

    skus: int = SKUS
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def setup(self) -> Setup:
        """One channel, one location, no rules."""
        channel = ChannelSetup(name=CHANNEL, capabilities=Capabilities(), locations=(LOCATION,))
        return Setup(channels={CHANNEL: channel}, locations=(LOCATION,))

    def arrival(self, sku: int) -> Arrival:
        """A new order of one line over one unit."""
        number = next(self.numbers)
        at = BEGAN + timedelta(seconds=number)
        line = OrderLine(line="1", ordered=1, listing=listing_name(sku), sku=None)
        order = OrderSnapshot(order=f"order-{number}", version=at, placed_at=at, status=OrderStatus.OPEN, lines=(line,))
        return Arrival(channel=CHANNEL, order=order)

    async def lay_out(self, database: Database) -> None:
        """Makes the schema, the items with their units, the listings and what they mean."""
        await database.transact(self._lay_out)

    def _lay_out(self, connection: Connection) -> None:
        metadata.create_all(connection)
        runs.begin_run(connection, RUN, "bench", "bench", {}, BEGAN)
        items.add_items(connection, [Item(id=item(n), sku=f"SKU-{n}") for n in range(self.skus)], BEGAN)
        receive(connection, [item(n) for n in range(self.skus)], PLENTY)
        seen = [_seen(n) for n in range(self.skus)]
        listings.save_listings(connection, CHANNEL, "account", seen, BEGAN)
        wanted = [Wanted(CHANNEL, listing_name(n), item(n)) for n in range(self.skus)]
        map_listings(connection, self.setup(), wanted, by=RUN, run=RUN, now=BEGAN)


def item(number: int) -> str:
    """The id of a numbered SKU's item."""
    return item_id(f"SKU-{number}")


def listing_name(number: int) -> str:
    """The channel's id of the listing of a numbered SKU."""
    return f"listing-{number}"


def receive(connection: Connection, names: list[str], units: int) -> None:
    """Puts so many units of every item at the one location, by the ledger."""
    positions = [PositionKey(name, LOCATION) for name in names]
    ledger.open_positions(connection, positions)
    cause = Cause(actor="bench", run=RUN, reason="opening units")
    movements = [
        Movement(
            id=entry_id("opening", *key), position=key, kind=EntryKind.RECEIPT, on_hand=units, at=BEGAN, cause=cause
        )
        for key in positions
    ]
    ledger.write(connection, movements, ledger.lock_positions(connection, names), BEGAN)


def _seen(number: int) -> SeenListing:
    return SeenListing(
        listing=listing_name(number),
        sku=f"SKU-{number}",
        title=f"SKU {number}",
        barcode=None,
        state="active",
        reasons=(),
        keys=((listing_name(number), ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
    )
