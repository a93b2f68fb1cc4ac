"""The sandbox channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import structlog

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
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
from channelsync_sandbox import translate, wire
from channelsync_sandbox.client import SandboxClient
from channelsync_sandbox.place import Place
from channelsync_sandbox.settings import SandboxSettings
from channelsync_sandbox.setup import differences, inspected
from channelsync_sandbox.subscriptions import TOPICS, Subscriptions

log = structlog.get_logger(__name__)


class SandboxChannel:
    """One account on one marketplace of the lab."""

    def __init__(self, settings: SandboxSettings, resources: Resources, client: SandboxClient) -> None:
        self._name = resources.channel
        self._settings = settings
        self._client = client
        self._webhooks = Subscriptions(client, resources.vault, by_hand=bool(settings.webhook_secrets))

    async def check(self) -> Identity:
        """Also compares what the marketplace declares with the settings."""
        account = await self._client.account()
        different = differences(self._settings, account.declares)
        if different and self._settings.on_difference == "stop":
            raise NeedsSeller(f"Set in [channel.settings] of {self._name}, as the marketplace declares: {different}.")
        if different:
            log.warning("channel.declares_otherwise", channel=self._name, declared=different)
        return Identity(account.seller.id, account.seller.title)

    async def inspect(self) -> Sequence[CheckPoint]:
        """What the marketplace declares beside what the settings say."""
        return await inspected(self._settings, self._client, self._name)

    # Webhooks

    @property
    def topics(self) -> Sequence[str]:
        """All, where the marketplace sends webhooks."""
        return TOPICS if self._settings.webhooks else ()

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
        """Each page is asked for by the last row's time, never by row number, so rows that move are not skipped."""
        place = Place() if cursor is None else Place.read(cursor, self._name)
        while True:
            page, answer = await self._client.orders(since=place.since, after=place.after)
            place = place.started(asked=answer.asked_at, as_of=page.as_of)
            rows = [self._order(row) for row in page.orders]
            more = page.next is not None and bool(rows)  # a cursor that leads nowhere new may come back
            place = place.moved_on(page, rows, self._name) if more else place.done(self._settings.order_overlap_s)
            yield OrderPage.of(rows, cursor=place.text, covered_to=None if more else place.covered_to)
            if not more:
                return

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        rows = await self._client.orders_by_id(orders)
        found = {one.order: one for one in (self._order(row) for row in rows)}
        return [found[one] for one in orders if one in found]

    def order_ids(self, day: date) -> AsyncIterator[str]:
        return self._client.order_ids(day)

    # Listings and numbers

    async def listings(self) -> AsyncIterator[Listing]:
        async for row in self._client.listings():
            listing = self._listing(row)
            if listing is not None:
                yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        rows = await self._client.listings_by_id(listings)
        found = {one.listing: one for one in map(self._listing, rows) if one is not None}
        return [found[one] for one in listings if one in found]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        refuse_more_than(self._settings.reads_per_call, len(keys))
        if not keys:
            return []
        rows, answer = await self._client.numbers([{"key": key.key, "location": key.location} for key in keys])
        found = {translate.key_of(row): row for row in rows}
        missing = [key for key in keys if key not in found]
        if missing:
            raise AnswerUnreadable(f"{answer.call}: the answer has no row for {len(missing)} of {len(keys)} keys")
        return [
            KeyRead(
                key=key,
                value=found[key].number,
                asked=answer.asked_at,
                answered=answer.answered_at,
                committed=found[key].committed,
                held=found[key].held,
            )
            for key in keys
        ]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(self._settings.updates_per_push, len(updates))
        refuse_negative(updates)
        if not updates:
            return []
        rows = await self._client.push(translate.push_body(updates), idempotent=self._repeatable(updates))
        return [self._seen_within(result) for result in translate.results_of(updates, rows)]

    def _seen_within(self, result: PushResult) -> PushResult:
        """A write that was answered is in force so soon. One that was not may still arrive until its deadline."""
        if result.state != "accepted":
            return result
        return replace(result, within=timedelta(seconds=self._settings.grace_s))

    def _repeatable(self, updates: Sequence[QuantityUpdate]) -> bool:
        """Whether sending all of it twice is harmless even when a buyer came in between."""
        by_key = self._settings.idempotency_keys and all(update.idempotency for update in updates)
        compared = self._settings.compare_and_set and all(update.expected is not None for update in updates)
        return by_key or compared

    def _order(self, row: Any) -> OrderSnapshot | UnreadableOrder:
        return translate.order_of(row, self._settings.deducts)

    def _listing(self, row: Any) -> Listing | None:
        """A listing in our words; None for one that cannot be read."""
        listing = readable_listing(wire.Listing, row, self._name, "id")
        return None if isinstance(listing, str) else translate.listing_of(listing)
