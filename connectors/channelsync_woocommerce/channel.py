"""The WooCommerce channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.http import Answer
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
from channelsync.sdk.wire import readable_listing
from channelsync_woocommerce import translate, translate_listings, wire
from channelsync_woocommerce.client import WooClient, id_of
from channelsync_woocommerce.place import Place
from channelsync_woocommerce.quantities import Writer
from channelsync_woocommerce.settings import BATCH_MAX, WooSettings, capabilities
from channelsync_woocommerce.setup import inspected
from channelsync_woocommerce.subscriptions import Subscriptions
from channelsync_woocommerce.webhooks import TOPICS

_HOME = 'rel="https://api.w.org/"'


class WooChannel:
    """One WooCommerce shop."""

    def __init__(self, settings: WooSettings, resources: Resources, client: WooClient) -> None:
        self._name = resources.channel
        self._settings = settings
        self._clock = resources.clock
        self._client = client
        self._writer = Writer(client, resources.clock)
        self._webhooks = Subscriptions(client, resources.vault, settings.webhook_secrets)
        self._capabilities = capabilities(settings)

    async def check(self) -> Identity:
        answer = await self._client.probe()
        home = home_of(answer.headers.get("link", "")) or self._settings.base_url
        parts = urlsplit(home)
        shop = (parts.netloc + parts.path).rstrip("/").lower()
        return Identity(shop, shop)

    async def inspect(self) -> Sequence[CheckPoint]:
        """Settings of the shop that make units wrong when they differ from ours."""
        return await inspected(self._settings, self._client)

    # Webhooks

    @property
    def topics(self) -> Sequence[str]:
        return TOPICS

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
        """Each page is asked for by the last row's time, never by row number, so rows that move are not skipped.

        The trash is a search of its own, because no other shows it. It comes first: what is trashed later in the round
        is found by the next.
        """
        place = Place() if cursor is None else Place.read(cursor, self._name)
        while True:
            found = await self._client.orders(
                since=place.since,
                status=place.stream,
                besides=place.seen,
                per_page=self._settings.orders_per_page,
            )
            place = place.started(found.answer.asked_at)
            orders = await self._orders(found.rows)
            if found.left:
                place = place.moved_on(found.rows, self._name)
            elif place.stream == "trash":
                place = place.on_to_the_others()
            else:
                place = place.done(self._capabilities.order_overlap + self._capabilities.timing.skew)
            covered_to = place.covered_to
            yield OrderPage.of(
                orders,
                cursor=place.text,
                covered_to=None if covered_to is None else covered_to - self._capabilities.timing.staleness,
            )
            if covered_to is not None:
                return

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        ids = [int(one) for one in orders if one.isascii() and one.isdigit()]
        found = {one.order: one for one in await self._orders(await self._client.orders_by_id(ids))}
        return [found[one] for one in orders if one in found]

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        async for row in self._client.order_ids(day, self._settings.orders_per_page):
            number, _ = translate.place_of(row)
            if number is not None and translate.is_order(row):
                yield str(number)

    async def _orders(self, rows: Iterable[Any]) -> list[OrderSnapshot | UnreadableOrder]:
        """Orders in our words; the refunds of those that have any are read, because an order tells only their ids."""
        orders = []
        for row in rows:
            if translate.is_order(row):
                number, _ = translate.place_of(row)
                refunds = await self._client.refunds(number) if number and translate.has_refunds(row) else []
                orders.append(translate.order_of(row, refunds, self._settings.shipped_statuses))
        return orders

    # Listings and numbers

    async def listings(self) -> AsyncIterator[Listing]:
        roofs: list[wire.Row] = []
        async for raw in self._client.products(self._settings.listings_per_page):
            row = self._row(raw)
            if row is None:
                continue
            if not translate_listings.varies(row):
                listing = translate_listings.product_of(row)
                if listing is not None:
                    yield listing
                continue
            roofs.append(row)
            if sum(len(roof.variations) for roof in roofs) >= BATCH_MAX:
                for one in await self._under(roofs):
                    yield one
                roofs = []
        for one in await self._under(roofs):
            yield one

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        names = [found for found in map(translate_listings.ids_of, listings) if found is not None]
        products = await self._client.products_by_id(sorted({top for top, _ in names}))
        rows = [row for row in (self._row(found.row) for found in products) if row is not None]
        made = [one for one in map(translate_listings.product_of, rows) if one is not None]
        wanted = {name for name in names if name[1]}
        made += await self._under([row for row in rows if translate_listings.varies(row)], wanted)
        found = {one.listing: one for one in made}
        return [found[one] for one in listings if one in found]

    async def _under(self, roofs: Sequence[wire.Row], only: set[tuple[int, int]] | None = None) -> list[Listing]:
        """The variations of these products, all or some, as listings."""
        wanted = {roof.id: [one for one in roof.variations if only is None or (roof.id, one) in only] for roof in roofs}
        parents = {roof.id: roof for roof in roofs}
        found = await self._client.variations_by_id({parent: ids for parent, ids in wanted.items() if ids})
        rows = [(one.parent, self._row(one.row)) for one in found]
        return [translate_listings.variation_of(row, parents[parent]) for parent, row in rows if row is not None]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        refuse_more_than(BATCH_MAX, len(keys))
        names = {key: translate_listings.ids_of_key(key) for key in keys}
        known = sorted({name for name in names.values() if name is not None})
        begun = self._clock.now()
        found = await self._client.products_by_id([top for top, variation in known if not variation])
        wanted: dict[int, list[int]] = {}
        for top, variation in known:
            if variation:
                wanted.setdefault(top, []).append(variation)
        if wanted:
            found += await self._client.variations_by_id(wanted)
        ended = self._clock.now()
        numbers: dict[tuple[int, int], tuple[int | None, Answer]] = {}
        unreadable: dict[tuple[int, int], str] = {}
        for one in found:
            name = (one.parent, id_of(one.row)) if one.parent else (id_of(one.row), 0)
            row = readable_listing(wire.Row, one.row, self._name, "id")
            if isinstance(row, str) and id_of(one.row):
                unreadable[name] = row
            elif not isinstance(row, str):
                numbers[name] = (translate_listings.number_of(row), one.answer)
        return [
            _read(key, numbers.get(name), unreadable.get(name, ""), begun, ended)
            for key, name in ((key, names[key] or (0, 0)) for key in keys)
        ]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(self._settings.updates_per_push, len(updates))
        refuse_negative(updates)
        return await self._writer.push(updates)

    def _row(self, raw: Any) -> wire.Row | None:
        """A row as the shop names things; None for one that cannot be read."""
        row = readable_listing(wire.Row, raw, self._name, "id")
        return None if isinstance(row, str) else row


def home_of(links: str) -> str | None:
    """The shop's own address, as it names it in the Link header of every answer; None where it does not.

    The same whichever of its names we call it by, so that two configured channels of one shop are seen to be one.
    """
    for link in links.split(","):
        target, _, rest = link.strip().partition(">")
        if _HOME in rest and target.startswith("<"):
            return target[1:].split("?")[0].rstrip("/").removesuffix("/wp-json")
    return None


def _read(
    key: QuantityKey, found: tuple[int | None, Answer] | None, unreadable: str, begun: datetime, ended: datetime
) -> KeyRead:
    if found is None:
        return KeyRead(key=key, value=None, asked=begun, answered=ended, unreadable=unreadable)
    value, answer = found
    return KeyRead(key=key, value=value, asked=answer.asked_at, answered=answer.answered_at)
