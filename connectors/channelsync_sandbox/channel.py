"""The sandbox channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller
from channelsync.sdk.pushes import refuse_more_than, refuse_negative
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
from channelsync.sdk.vault import Vault
from channelsync_sandbox import translate, wire
from channelsync_sandbox.client import SandboxClient
from channelsync_sandbox.settings import Declared, SandboxSettings
from channelsync_sandbox.subscriptions import TOPICS, SandboxSubscriptions

log = structlog.get_logger(__name__)

_TICK = timedelta(microseconds=1)


class SandboxChannel:
    """One account on one marketplace of the lab."""

    def __init__(self, name: str, settings: SandboxSettings, client: SandboxClient, vault: Vault) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._webhooks = SandboxSubscriptions(client, vault, by_hand=bool(settings.webhook_secrets))

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
        """What the marketplace declares beside what the settings say; only `on_difference = "warn"` lets it differ."""
        account = await self._client.account()
        different = differences(self._settings, account.declares)
        site = CheckPoint("site", f"account {account.account}")
        if not different:
            return [site, CheckPoint("declares", "as the settings say")]
        found = f"the marketplace declares otherwise: {different}"
        return [site, CheckPoint("declares", found, f"Set these in [channel.settings] of {self._name}.")]

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

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Each page is asked for by the last row's time, never by row number, so rows that move are not skipped."""
        place = _Place() if cursor is None else _Place.read(cursor, self._name)
        while True:
            page, answer = await self._client.orders(since=place.since, after=place.after)
            place = place.started(asked=answer.asked_at, as_of=page.as_of)
            rows = [translate.order_of(row) for row in page.orders]
            more = page.next is not None and bool(rows)  # a cursor that leads nowhere new may come back
            place = place.moved_on(page, rows, self._name) if more else place.done(self._settings.order_overlap_s)
            yield OrderPage(
                orders=tuple(one for one in rows if isinstance(one, OrderSnapshot)),
                unreadable=tuple(one for one in rows if isinstance(one, UnreadableOrder)),
                cursor=place.text,
                covered_to=None if more else place.covered_to,
            )
            if not more:
                return

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        rows = await self._client.orders_by_id(orders)
        found = {one.order: one for one in (translate.order_of(row) for row in rows)}
        return [found[one] for one in orders if one in found]

    def order_ids(self, day: date) -> AsyncIterator[str]:
        return self._client.order_ids(day)

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
        return translate.results_of(updates, rows)

    def _repeatable(self, updates: Sequence[QuantityUpdate]) -> bool:
        """Whether sending all of it twice is harmless even when a buyer came in between."""
        by_key = self._settings.idempotency_keys and all(update.idempotency for update in updates)
        compared = self._settings.compare_and_set and all(update.expected is not None for update in updates)
        return by_key or compared

    def _listing(self, row: Any) -> Listing | None:
        """A listing in our words; one that cannot be read is named in the log, and its neighbours are read on."""
        try:
            return translate.listing_of(wire.Listing.model_validate(row))
        except ValidationError as error:
            name = row.get("id") if isinstance(row, dict) else None
            log.warning("listing.unreadable", channel=self._name, listing=name, why=wire.why(error))
            return None


def differences(settings: Declared, declares: dict[str, Any]) -> str:
    """What the marketplace declares otherwise than the settings say, as `name = value`; empty when all agrees."""
    known = {name: value for name, value in declares.items() if name in Declared.model_fields}
    try:
        declared = Declared.model_validate(known)
    except ValidationError as error:
        raise ChannelMisbehaved(f"the marketplace declares what no setting can say: {wire.why(error)}") from None
    shown = declared.model_dump(mode="json")
    other = [name for name in known if getattr(declared, name) != getattr(settings, name)]
    said = [f"no {name}" if shown[name] is None else f"{name} = {json.dumps(shown[name])}" for name in sorted(other)]
    return ", ".join(said)


class _Cursor(BaseModel):
    """A cursor as it is kept. since, as_of: the marketplace's clock; asked: ours. See `_Place`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the search for orders goes on.

    since: changes from here on are wanted; None: all. after: the marketplace's own cursor, only where a page has no
    readable time to go on from. asked, as_of: when the first page of this round was asked for, by our clock and by
    theirs; what became visible later may be missing among earlier pages, so the next round starts from here.
    """

    since: datetime | None = None
    asked: datetime | None = None
    as_of: datetime | None = None
    after: str | None = None
    covered_to: datetime | None = None

    @classmethod
    def read(cls, cursor: str, channel: str) -> _Place:
        try:
            kept = _Cursor.model_validate_json(cursor)
        except ValidationError:
            raise ValueError(f"{channel}: {cursor[:80]!r} is no cursor of this connector") from None
        return cls(kept.since, kept.asked, kept.as_of)

    @property
    def text(self) -> str:
        """The cursor to be kept. It says nothing of `after`, which does not outlive a round."""
        return _Cursor(since=self.since, asked=self.asked, as_of=self.as_of).model_dump_json()

    def started(self, *, asked: datetime, as_of: datetime) -> _Place:
        """The round has begun, if it had not before."""
        return self if self.asked is not None else replace(self, asked=asked, as_of=as_of)

    def moved_on(self, page: wire.OrdersPage, rows: Sequence[OrderSnapshot | UnreadableOrder], name: str) -> _Place:
        """To the change after the last readable one of this page: no two changes have one time."""
        versions = [one.version for one in rows if isinstance(one, OrderSnapshot)]
        newest = max(versions, default=None)
        if newest is None or (self.since is not None and newest < self.since):
            if page.next == self.after:
                raise ChannelMisbehaved(f"{name}: the search for orders leads back to the page that it came from")
            return replace(self, after=page.next)
        return replace(self, since=newest + _TICK, after=None)

    def done(self, overlap_s: float) -> _Place:
        """The next round: it goes back by the overlap, for changes that are found late."""
        since = None if self.as_of is None else self.as_of - timedelta(seconds=overlap_s)
        return _Place(since=since, covered_to=self.asked)
