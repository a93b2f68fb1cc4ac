"""The Shopify channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.pushes import refuse_more_than, refuse_negative
from channelsync.sdk.resources import Resources
from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.times import utc_text
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
from channelsync.sdk.wire import readable_listing
from channelsync_shopify import translate, translate_listings, wire_listings
from channelsync_shopify.bulk import BulkPull
from channelsync_shopify.client import ShopifyClient, next_of
from channelsync_shopify.documents import ROWS_MAX
from channelsync_shopify.place import Place
from channelsync_shopify.quantities import Writer
from channelsync_shopify.settings import READS_PER_CALL, ShopifySettings
from channelsync_shopify.setup import inspected, missing_scopes
from channelsync_shopify.subscriptions import Subscriptions
from channelsync_shopify.webhooks import TOPICS


class ShopifyChannel:
    """One shop."""

    def __init__(
        self, settings: ShopifySettings, resources: Resources, client: ShopifyClient, writer: Writer, bulk: BulkPull
    ) -> None:
        self._name = resources.channel
        self._clock = resources.clock
        self._settings = settings
        self._client = client
        self._writer = writer
        self._bulk = bulk
        self._webhooks = Subscriptions(client)

    async def check(self) -> Identity:
        """Also looks whether the app has every permission, and whether it is the shop that the settings name."""
        found = await self._client.checked()
        missing = missing_scopes(scope.handle for scope in found.current_app_installation.access_scopes)
        if missing:
            raise NeedsSeller(f"Give the app these access scopes, and install it anew: {', '.join(missing)}.")
        if found.shop.myshopify_domain not in ("", self._settings.shop):
            raise NeedsSeller(
                f"Set shop = {found.shop.myshopify_domain!r}, or the access of {self._settings.shop}: they differ."
            )
        return Identity(translate.number_of(found.shop.id), found.shop.name)

    async def inspect(self) -> Sequence[CheckPoint]:
        """Permissions, the API's version, and which locations have numbers."""
        return await inspected(self._client)

    # Webhooks

    @property
    def topics(self) -> Sequence[str]:
        return tuple(TOPICS)

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
        """Within a round pages follow Shopify's own cursor, which names the last row; between rounds, the time.

        A round ends with the orders whose units were moved to another location: see `_moved`. The first round reads
        all orders, and needs no such search: what is moved meanwhile lies in the window of the second.
        """
        place = Place() if cursor is None else Place.read(cursor, self._name)
        query = None if place.since is None else _changed_since(place.since)
        after: str | None = None
        came: set[str] = set()
        while True:
            page, answer = await self._client.orders(query=query, after=after)
            place = place.started(answer)
            rows = [translate.order_of(row) for row in page.nodes]
            orders = tuple(one for one in rows if isinstance(one, OrderSnapshot))
            after = next_of(page, after, answer)
            last = after is None and place.moved_since is None
            place = place.done() if last else place.moved_on(orders)
            if place.moved_since is not None:
                came.update(one.order for one in rows)
            yield OrderPage.of(rows, cursor=place.text, covered_to=place.covered_to)
            if after is None:
                break
        if place.moved_since is not None:
            async for moved in self._moved(place, place.moved_since, came):
                yield moved

    async def _moved(self, place: Place, since: datetime, came: set[str]) -> AsyncIterator[OrderPage]:
        """The orders with a fulfilment order that changed in the window of this round, but those that came by then.

        Nobody says that an order is dated anew when its units are moved to another location; its fulfilment orders are.
        An order that came and is moved after that is found by the next round, whose window begins where this one did.

        It is asked of every shop: which locations are the seller's and feed ours is not told to a connector, and a
        question for the ids alone costs 13 points at most, where a page of ten orders costs 506.
        """
        after: str | None = None
        while True:
            changed, after = await self._client.fulfillment_orders(query=_changed_since(since), after=after)
            missing = dict.fromkeys(one.order_id for one in changed if translate.number_of(one.order_id) not in came)
            rows = [translate.order_of(row) for row in await self._client.orders_by_id(list(missing))]
            came.update(map(translate.number_of, missing))
            place = place.done() if after is None else place.searched(one.updated_at for one in changed)
            yield OrderPage.of(rows, cursor=place.text, covered_to=place.covered_to)
            if after is None:
                return

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        rows = await self._client.orders_by_id(_gids("Order", orders))
        found = {one.order: one for one in (translate.order_of(row) for row in rows)}
        return [found[one] for one in orders if one in found]

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        query = f"created_at:>='{day}T00:00:00Z' AND created_at:<'{day + timedelta(days=1)}T00:00:00Z'"
        async for one in self._client.order_ids(query):
            if one.created_at.date() == day:
                yield translate.number_of(one.id)

    # Listings and numbers

    async def listings(self) -> AsyncIterator[Listing]:
        """In bulk where there are many, page by page where there are few or where Shopify cannot do it in bulk."""
        rows: list[dict[str, Any]] | None = None
        if self._settings.bulk_from is not None and await self._client.listings_count() >= self._settings.bulk_from:
            rows = await self._bulk.variants()
        if rows is not None:
            for row in rows:
                listing = self._listing(row)
                if listing is not None:
                    yield listing
            return
        async for row in self._client.listings():
            listing = self._listing(row)
            if listing is not None:
                yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        rows = await self._client.listings_by_id(_gids("ProductVariant", listings))
        found = {one.listing: one for one in map(self._listing, rows) if one is not None}
        return [found[one] for one in listings if one in found]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        """One request for each location among the keys."""
        refuse_more_than(READS_PER_CALL, len(keys))
        reads: dict[QuantityKey, KeyRead] = {}
        for location in dict.fromkeys(key.location for key in keys):
            at = translate.gid_of("Location", location)
            here = [key for key in keys if key.location == location]
            items = _gids("InventoryItem", [key.key for key in here])
            if at is None or not items:  # Shopify's names are numbers, so these name nothing, whenever it is asked
                now = self._clock.now()
                reads |= {key: translate_listings.read_of(key, None, asked=now, answered=now) for key in here}
                continue
            rows, answer = await self._client.numbers(at, items)
            found = {translate.number_of(row.id): row for row in rows}
            times = {"asked": answer.asked_at, "answered": answer.answered_at}
            reads |= {key: translate_listings.read_of(key, found.get(key.key), **times) for key in here}
        return [reads[key] for key in keys]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(ROWS_MAX, len(updates))
        refuse_negative(updates)
        return await self._writer.push(updates)

    def _listing(self, row: Any) -> Listing | None:
        """A listing in our words; None for one that cannot be read."""
        variant = readable_listing(wire_listings.Variant, row, self._name, "id")
        return None if isinstance(variant, str) else translate_listings.listing_of(variant)


def _changed_since(at: datetime) -> str:
    """The search for what changed from here on."""
    return f"updated_at:>='{utc_text(at, 'seconds')}'"


def _gids(kind: str, names: Sequence[str]) -> list[str]:
    """The global ids of those that can be Shopify's, each once."""
    return [gid for one in dict.fromkeys(names) if (gid := translate.gid_of(kind, one)) is not None]
