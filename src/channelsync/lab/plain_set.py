"""The plain way, beside ours: count orders as they are polled, and write the number whenever it changed.

A seller that books every order correctly (by the same domain functions, in memory) and publishes what is available
as an absolute number whenever it differs from what it last sent. No reads, no watermark, no compare-and-set: what
many tools do. It polls and publishes as often as ours, through the same connector and the same budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog

from channelsync.domain.booked import BookedOrder
from channelsync.domain.booking import Terms, book
from channelsync.domain.orders import OrderSnapshot
from channelsync.domain.sourcing import SoldAs
from channelsync.lab.stage import LOCATION, StagedListing, Wares
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.paging import in_batches
from channelsync.sdk.values import OrderPage, PushResult, QuantityKey, QuantityUpdate

log = structlog.get_logger(__name__)

_AT_ONCE = timedelta(0)


class Sells(Protocol):
    """What the plain seller needs of a channel; see `sdk.channel.Channel`."""

    def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Whole orders that changed since the cursor."""
        ...

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """Shows these numbers."""
        ...


Shows = Callable[[StagedListing, Mapping[str, int]], int]
"""What a listing should show when these units are available, by SKU."""


@dataclass(slots=True, kw_only=True)
class PlainChannel:
    """One channel of the plain seller.

    sent: the number last accepted, by listing; at first what the channel shows. due: listings to look at.
    """

    name: str
    channel: Sells
    capabilities: Capabilities
    listings: Mapping[str, StagedListing]
    sent: dict[str, int]
    due: set[str] = field(default_factory=set)
    cursor: str | None = None
    writes: int = 0


class PlainSeller:
    """Counts and writes. available: units by SKU; below 0 while oversold. shows: None for all that is available."""

    def __init__(
        self, wares: Wares, channels: Sequence[PlainChannel], clock: Clock, *, shows: Shows | None = None
    ) -> None:
        self.available: dict[str, int] = dict(wares.opening)
        self._wares = wares
        self._shows = shows or wares.shown
        self._channels = channels
        self._clock = clock
        self._booked: dict[tuple[str, str], BookedOrder] = {}
        self._users: dict[str, list[StagedListing]] = {}
        for listing in wares.listings:
            for sku, _ in wares.takes(listing.sku, listing.multiple):
                self._users.setdefault(sku, []).append(listing)

    async def run(
        self, poll: timedelta, tick: timedelta, *, apart: timedelta = _AT_ONCE, after: timedelta = _AT_ONCE
    ) -> None:
        """Polls and publishes, until cancelled.

        apart: each channel is polled so much later than the one before it. after: the ticks begin so much later.
        """
        async with asyncio.TaskGroup() as tasks:
            for turn, channel in enumerate(self._channels):
                tasks.create_task(self._poll(channel, poll, apart * turn), name=f"{channel.name}: plain orders")
                tasks.create_task(self._publish(channel, tick, after), name=f"{channel.name}: plain numbers")

    async def _poll(self, channel: PlainChannel, every: timedelta, begins: timedelta) -> None:
        await self._clock.sleep(begins.total_seconds())
        while True:
            try:
                async for page in channel.channel.orders(cursor=channel.cursor):
                    for order in page.orders:
                        self._book(channel, order)
                    channel.cursor = page.cursor
            except ChannelError as error:  # the next poll goes on where this one stopped
                log.debug("plain.poll_failed", channel=channel.name, reason=str(error))
            await self._clock.sleep(every.total_seconds())

    async def _publish(self, channel: PlainChannel, every: timedelta, begins: timedelta) -> None:
        await self._clock.sleep(begins.total_seconds())
        while True:
            size = channel.capabilities.updates_per_push
            updates = self._updates(channel)
            for some in in_batches(updates, size):
                await self._push(channel, some)
            await self._clock.sleep(every.total_seconds())

    async def _push(self, channel: PlainChannel, updates: Sequence[QuantityUpdate]) -> None:
        try:
            results = await channel.channel.push(updates)
        except ChannelError as error:  # not known to be accepted: it stays due
            log.debug("plain.push_failed", channel=channel.name, reason=str(error))
            return
        for update, result in zip(updates, results, strict=True):
            if result.state == "accepted":
                channel.sent[update.listing] = update.value
                channel.due.discard(update.listing)
                channel.writes += 1

    def _updates(self, channel: PlainChannel) -> list[QuantityUpdate]:
        wanted = {name: self._shows(channel.listings[name], self.available) for name in sorted(channel.due)}
        channel.due = {name for name, value in wanted.items() if channel.sent[name] != value}
        return [
            QuantityUpdate(key=QuantityKey(name), value=value, listing=name)
            for name, value in wanted.items()
            if name in channel.due
        ]

    def _book(self, channel: PlainChannel, order: OrderSnapshot) -> None:
        sold = {
            line.line: SoldAs(listing.sku, listing.multiple)
            for line in order.lines
            if line.listing and (listing := channel.listings.get(line.listing))
        }
        terms = Terms(
            channel=channel.name,
            sold=sold,
            locations=(LOCATION,),
            available={LOCATION: dict(self.available)},
            recipes=self._wares.recipes,
            counted_up_to={},
            run="plain",
            settle=True,
        )
        name = (channel.name, order.order)
        booking = book(self._booked.get(name), order, terms)
        if booking.verdict != "booked" or booking.order is None:
            return
        self._booked[name] = booking.order
        for one in booking.movements:
            sku = one.position.item
            self.available[sku] = self.available.get(sku, 0) + one.on_hand - one.reserved - one.withheld
            for listing in self._users.get(sku, ()):
                self._channel(listing.marketplace).due.add(listing.listing)

    def _channel(self, name: str) -> PlainChannel:
        return next(channel for channel in self._channels if channel.name == name)
