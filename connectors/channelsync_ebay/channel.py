"""The eBay channel: what is asked of which part of the APIs, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import structlog

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.paging import in_batches
from channelsync.sdk.pushes import refuse_more_than, refuse_negative
from channelsync.sdk.resources import Resources
from channelsync.sdk.subscriptions import Subscription
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
from channelsync.sdk.wire import read_part, readable_listing
from channelsync_ebay import translate, translate_listings, wire
from channelsync_ebay.access import Access
from channelsync_ebay.client import EbayClient, pages, plausible, together
from channelsync_ebay.legacy import LegacyListings
from channelsync_ebay.quantities import Shown, Writer
from channelsync_ebay.search import OrderSearch
from channelsync_ebay.settings import ROWS_MAX, EbaySettings
from channelsync_ebay.setup import inspected
from channelsync_ebay.subscriptions import Subscriptions
from channelsync_ebay.trading import Trading

log = structlog.get_logger(__name__)


class EbayChannel:
    """One eBay seller."""

    def __init__(
        self, settings: EbaySettings, resources: Resources, client: EbayClient, access: Access, trading: Trading
    ) -> None:
        self._name = resources.channel
        self._settings = settings
        self._clock = resources.clock
        self._vault = resources.vault
        self._client = client
        self._access = access
        self._trading = trading
        self._legacy = LegacyListings(trading) if settings.legacy_listings else None
        self._shown = Shown()
        self._search = OrderSearch(resources.channel, settings, client, resources.clock)
        self._webhooks = Subscriptions(client, settings)
        self._writer = Writer(
            client,
            trading if settings.legacy_listings else None,
            self._shown,
            resources.clock,
            resources.random,
        )

    async def check(self) -> Identity:
        """Also tells the limiter what eBay has left for us today, where eBay says so."""
        user = await self._client.user()
        await self._client.probe()
        try:
            await self._client.read_limits()
        except ChannelError as error:
            log.info("channel.limits_unknown", channel=self._name, why=str(error))
        return Identity(f"{self._settings.environment}:{user.user_id}", user.username or user.user_id)

    async def inspect(self) -> Sequence[CheckPoint]:
        """Permissions, consent, registration, out-of-stock control, locations, daily limits."""
        return await inspected(self._settings, self._client, self._access, self._trading, self._vault, self._clock)

    # Webhooks

    @property
    def topics(self) -> Sequence[str]:
        return self._webhooks.topics

    async def subscriptions(self) -> Sequence[Subscription]:
        return await self._webhooks.found()

    async def subscribe(self, topic: str, address: str) -> None:
        await self._webhooks.subscribe(topic, address)

    async def reactivate(self, subscription: Subscription) -> None:
        await self._webhooks.renew(subscription)

    async def unsubscribe(self, subscription: Subscription) -> None:
        await self._webhooks.unsubscribe(subscription)

    # Orders

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in self._search.changed(cursor):
            orders = await self._orders(page.rows)
            yield OrderPage.of(orders, cursor=page.cursor, covered_to=page.covered_to)

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        if not orders:
            return []
        found = {one.order: one for one in await self._orders(await self._client.orders_by_id(orders))}
        return [found[one] for one in orders if one in found]

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        async for name in self._search.placed_on(day):
            yield name

    async def _orders(self, rows: Iterable[Any]) -> list[OrderSnapshot | UnreadableOrder]:
        return await together(lambda row=row: self._order(row) for row in rows)  # type: ignore[misc]

    async def _order(self, row: Any) -> OrderSnapshot | UnreadableOrder:
        """An order in our words, with what a list leaves out: when it was cancelled, what has left in part."""
        if translate.needs_detail(row):
            row = await self._client.order(row["orderId"]) or row
        shipments: tuple[wire.Shipment, ...] = ()
        if translate.needs_shipments(row):
            shipments = (await self._client.shipments(row["orderId"])).fulfillments
        return translate.order_of(row, shipments, legacy=self._settings.legacy_listings)

    # Listings and numbers

    async def listings(self) -> AsyncIterator[Listing]:
        """Items with their offers; then, where they are kept, the listings that are not migrated."""
        seen: set[str] = set()
        migrated: set[str] = set()
        async for rows, _ in pages(self._client, self._settings.listings_per_page):
            items = [item for item in map(self._item, rows) if item is not None and item.sku not in seen]
            seen |= {item.sku for item in items}
            for some in in_batches(items, ROWS_MAX):
                for item, offers, _ in await self._with_offers(some):
                    migrated |= {one.listing.listing_id or "" for one in offers if one.listing is not None}
                    yield translate_listings.listing_of(item, offers, self._shown.sent(item.sku))
        if self._legacy is not None:
            async for listing in self._legacy.listings(migrated):
                yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        legacy, skus = self._parted(listings)
        found: dict[str, Listing] = {}
        for some in in_batches(skus, ROWS_MAX):
            items = [item for item, _ in await self._client.items_by_sku(some)]
            for item, offers, _ in await self._with_offers(items):
                found[item.sku] = translate_listings.listing_of(item, offers, self._shown.sent(item.sku))
        if self._legacy is not None:
            found |= {one.listing: one for one in await self._legacy.listings_by_id(legacy)}
        return [found[one] for one in listings if one in found]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        refuse_more_than(ROWS_MAX, len(keys))
        if not keys:
            return []
        begun = self._clock.now()
        legacy, skus = self._parted([key.key for key in keys if not key.location])
        numbers: dict[str, tuple[int, datetime, datetime]] = {}
        answered = await self._client.items_by_sku(skus)
        asked = {item.sku: answer.asked_at for item, answer in answered}
        for item, offers, ended in await self._with_offers([item for item, _ in answered]):
            number = translate_listings.number_of(item, offers, self._shown.sent(item.sku))
            numbers[item.sku] = (number, asked[item.sku], ended)
        if self._legacy is not None:
            numbers |= await self._legacy.numbers(legacy)
        ended = self._clock.now()
        return [_read(key, None if key.location else numbers.get(key.key), begun, ended) for key in keys]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(self._settings.updates_per_push, len(updates))
        refuse_negative(updates)
        return await self._writer.push(updates)

    async def _with_offers(self, items: Sequence[wire.Item]) -> list[tuple[wire.Item, list[wire.Offer], datetime]]:
        """The items with their offers, and when these were answered. An offer that cannot be read is an error: the
        number that buyers see would be another."""
        found = await self._client.offers_of([item.sku for item in items])
        result = []
        for item, told in zip(items, found, strict=True):
            offers = [read_part(wire.Offer, raw, told.answer) for raw in told.rows]
            self._shown.learn(item.sku, offers)
            result.append((item, offers, told.answer.answered_at))
        return result

    def _parted(self, names: Sequence[str]) -> tuple[list[translate_listings.Legacy], list[str]]:
        """Which of these names are of listings that are not migrated, and which are SKUs; others are left out."""
        legacy: list[translate_listings.Legacy] = []
        skus: list[str] = []
        for name in dict.fromkeys(names):
            old = translate_listings.legacy_of(name) if self._legacy is not None else None
            if old is not None:
                legacy.append(old)
            elif plausible(name):
                skus.append(name)
        return legacy, skus

    def _item(self, raw: Any) -> wire.Item | None:
        """An item as eBay names things; None for one that cannot be read."""
        item = readable_listing(wire.Item, raw, self._name, "sku")
        if isinstance(item, str):
            return None
        if not item.sku:
            log.warning("listing.unreadable", channel=self._name, listing=None, why="it has no SKU")
            return None
        return item


def _read(key: QuantityKey, found: tuple[int, datetime, datetime] | None, begun: datetime, ended: datetime) -> KeyRead:
    value, asked, answered = found or (None, begun, ended)
    return KeyRead(key=key, value=value, asked=asked, answered=answered)
