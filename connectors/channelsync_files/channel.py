"""The files channel: what is read from which files, and what is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date

from channelsync.sdk.channel import Identity
from channelsync.sdk.clock import Clock
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.pushes import refuse_more_than, refuse_negative
from channelsync.sdk.values import (
    KeyRead,
    Listing,
    OrderPage,
    OrderSnapshot,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    UnreadableOrder,
)
from channelsync_files.orders import OrderSource
from channelsync_files.outbox import Outbox, why_not
from channelsync_files.settings import READS_PER_CALL, FilesSettings, capabilities
from channelsync_files.setup import Inspection
from channelsync_files.shown import Shown
from channelsync_files.translate import Offered


class FilesChannel:
    """One account of another system that reads and writes files."""

    def __init__(
        self,
        settings: FilesSettings,
        orders: OrderSource,
        shown: Shown,
        outbox: Outbox | None,
        inspection: Inspection,
        clock: Clock,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._orders, self._shown, self._outbox, self._inspection = orders, shown, outbox, inspection
        self._offers: Mapping[str, Offered] = {}

    async def check(self) -> Identity:
        """Also makes the folders that files are moved to."""
        await self._inspection.prepare()
        await self._shown.check()
        if self._settings.kind == "http" and self._settings.listings is None and self._settings.numbers is None:
            await self._orders.ids_of(self._clock.now().date())
        return Identity(self._settings.identity, self._settings.identity)

    async def inspect(self) -> Sequence[CheckPoint]:
        """Folders, rights, and whether the newest file of each section fits its mapping."""
        return await self._inspection.inspect()

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Takes every complete file in, then hands on what was taken after the cursor."""
        await self._inspection.prepare()
        async for page in self._orders.pages(cursor):
            yield page

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        await self._inspection.prepare()
        return await self._orders.by_id(orders)

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        await self._inspection.prepare()
        for order in await self._orders.ids_of(day):
            yield order

    async def listings(self) -> AsyncIterator[Listing]:
        self._offers = await self._shown.offered()
        for listing in await self._shown.listings():
            yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        """Reads the one file that holds all."""
        found = {one.listing: one for one in await self._shown.listings()} if listings else {}
        return [found[one] for one in listings if one in found]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        """Reads the one file that holds all."""
        refuse_more_than(READS_PER_CALL, len(keys))
        return await self._shown.read(keys) if keys else []

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """One file. Refused beforehand: listings that are not offered, not counted, or that a row cannot name."""
        refuse_more_than(capabilities(self._settings).updates_per_push, len(updates))
        refuse_negative(updates)
        if not updates:
            return []
        await self._inspection.prepare()
        offers = await self._offers_of(updates)
        uncounted = await self._shown.uncounted() if self._outbox is not None else frozenset[QuantityKey]()
        results = {update.key: self._refused(update, offers, uncounted) for update in updates}
        send = [update for update in updates if results[update.key] is None]
        if send and self._outbox is not None:
            results |= await self._outbox.send(send, offers)
        unknown = "nothing says what became of it"
        return [results[update.key] or PushResult.unknown(update.key, unknown) for update in updates]

    async def _offers_of(self, updates: Sequence[QuantityUpdate]) -> Mapping[str, Offered]:
        """What is offered; read anew only where a listing is not known yet."""
        if self._outbox is not None and any(update.key.key not in self._offers for update in updates):
            self._offers = await self._shown.offered()
        return self._offers

    def _refused(
        self, update: QuantityUpdate, offers: Mapping[str, Offered], uncounted: Collection[QuantityKey]
    ) -> PushResult | None:
        if self._outbox is None or self._settings.quantities is None:
            return PushResult.refused(update.key, "no `quantities` are set: nothing is written to this system")
        offered = offers.get(update.key.key)
        if offered is None:
            return PushResult.refused(update.key, "the other system offers no such listing")
        if update.key in uncounted:
            return PushResult.refused(update.key, "the other system counts nothing for it, and would ignore a number")
        why = why_not(update, offered, self._settings.quantities)
        return PushResult.refused(update.key, why) if why else None
