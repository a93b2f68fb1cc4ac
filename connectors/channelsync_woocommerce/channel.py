"""The WooCommerce channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved
from channelsync.sdk.http import Answer
from channelsync.sdk.pushes import refuse_more_than, refuse_negative, row_after
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
from channelsync_woocommerce import pushes, translate, wire
from channelsync_woocommerce.client import WooClient, id_of
from channelsync_woocommerce.settings import BATCH_MAX, PUSH_SECONDS, WooSettings, capabilities
from channelsync_woocommerce.setup import OPTIONS, Subscriptions, checkpoints
from channelsync_woocommerce.webhooks import TOPICS

log = structlog.get_logger(__name__)

_HOME = 'rel="https://api.w.org/"'


class WooChannel:
    """One WooCommerce shop."""

    def __init__(self, settings: WooSettings, client: WooClient, resources: Resources) -> None:
        self._name = resources.channel
        self._settings = settings
        self._client = client
        self._clock = resources.clock
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
        return checkpoints(self._settings, {name: await self._client.option(name) for name in OPTIONS})

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
        await self._client.drop_webhook(int(subscription.name))

    # Orders

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Each page is asked for by the last row's time, never by row number, so rows that move are not skipped.

        The trash is a search of its own, because no other shows it. It comes first: what is trashed later in the round
        is found by the next.
        """
        place = _Place() if cursor is None else _Place.read(cursor, self._name)
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
            yield OrderPage(
                orders=tuple(one for one in orders if isinstance(one, OrderSnapshot)),
                unreadable=tuple(one for one in orders if isinstance(one, UnreadableOrder)),
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
            if not translate.varies(row):
                listing = translate.product_of(row)
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
        names = [found for found in map(translate.ids_of, listings) if found is not None]
        products = await self._client.products_by_id(sorted({top for top, _ in names}))
        rows = [row for row in (self._row(found.row) for found in products) if row is not None]
        made = [one for one in map(translate.product_of, rows) if one is not None]
        wanted = {name for name in names if name[1]}
        made += await self._under([row for row in rows if translate.varies(row)], wanted)
        found = {one.listing: one for one in made}
        return [found[one] for one in listings if one in found]

    async def _under(self, roofs: Sequence[wire.Row], only: set[tuple[int, int]] | None = None) -> list[Listing]:
        """The variations of these products, all or some, as listings."""
        wanted = {roof.id: [one for one in roof.variations if only is None or (roof.id, one) in only] for roof in roofs}
        parents = {roof.id: roof for roof in roofs}
        found = await self._client.variations_by_id({parent: ids for parent, ids in wanted.items() if ids})
        rows = [(one.parent, self._row(one.row)) for one in found]
        return [translate.variation_of(row, parents[parent]) for parent, row in rows if row is not None]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        refuse_more_than(BATCH_MAX, len(keys))
        names = {key: translate.ids_of_key(key) for key in keys}
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
            row = self._row_or_why(one.row)
            if isinstance(row, str) and id_of(one.row):
                unreadable[name] = row
            elif not isinstance(row, str):
                numbers[name] = (translate.number_of(row), one.answer)
        return [
            _read(key, numbers.get(name), unreadable.get(name, ""), begun, ended)
            for key, name in ((key, names[key] or (0, 0)) for key in keys)
        ]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """Products go in one batch, the variations of each parent in another: the shop takes them no other way.

        Once a batch was answered nothing is raised, because it was written: what got no answer is unknown then, so
        that it is read, and what comes after a failure is not sent.
        """
        refuse_more_than(self._settings.updates_per_push, len(updates))
        refuse_negative(updates)
        results: dict[QuantityKey, PushResult] = {}
        begun, failure = self._clock.monotonic(), ""
        for parent, batch in pushes.batches_of(updates).items():
            if not failure and self._clock.monotonic() - begun > PUSH_SECONDS:
                failure = f"the batches before it took over {PUSH_SECONDS:.0f} s"
            if not failure:
                try:
                    results |= {one.key: one for one in await self._batch(parent, batch)}
                    continue
                except ChannelError as error:
                    if not results:
                        raise
                    failure = f"a part of the push failed before it: {error}"
                    results |= {update.key: row_after(error, update.key) for _, update in batch}
                    continue
            results |= {update.key: PushResult.not_sent(update.key, failure) for _, update in batch}
        return [results.get(update.key) or _no_such_key(update.key) for update in updates]

    async def _batch(self, parent: int, batch: Sequence[tuple[int, QuantityUpdate]]) -> list[PushResult]:
        answered = await self._client.update(parent, pushes.batch_body(batch))
        if isinstance(answered, wire.Error):
            return [PushResult.refused(update.key, pushes.reason_of(answered)) for _, update in batch]
        return pushes.results_of(batch, answered)

    def _row(self, raw: Any) -> wire.Row | None:
        """A row as the shop names things; one that cannot be read is named in the log, its neighbours are read on."""
        row = self._row_or_why(raw)
        return None if isinstance(row, str) else row

    def _row_or_why(self, raw: Any) -> wire.Row | str:
        """A row as the shop names things, or why it cannot be read, which the log says too."""
        try:
            return wire.Row.model_validate(raw)
        except ValidationError as error:
            log.warning("listing.unreadable", channel=self._name, listing=id_of(raw) or None, why=wire.why(error))
            return wire.why(error)


def home_of(links: str) -> str | None:
    """The shop's own address, as it names it in the Link header of every answer; None where it does not.

    The same whichever of its names we call it by, so that two configured channels of one shop are seen to be one.
    """
    for link in links.split(","):
        target, _, rest = link.strip().partition(">")
        if _HOME in rest and target.startswith("<"):
            return target[1:].split("?")[0].rstrip("/").removesuffix("/wp-json")
    return None


class _Cursor(BaseModel):
    """A cursor as it is kept. See `_Place`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin: datetime | None = None
    since: datetime | None = None
    asked: datetime | None = None
    stream: Literal["trash", "any"] = "trash"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the search for orders goes on.

    begin: changes from here on are wanted in this round; None: all. since: how far it has come; the whole second is
    asked for again, because the shop tells no smaller part. seen: the orders of that second, and those that tell no
    time, which have been given already. asked: when the round's first page was asked for: what changed later may be
    missing among earlier pages, so the next round starts from here.
    """

    begin: datetime | None = None
    since: datetime | None = None
    asked: datetime | None = None
    stream: Literal["trash", "any"] = "trash"
    covered_to: datetime | None = None
    seen: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def read(cls, cursor: str, channel: str) -> _Place:
        try:
            kept = _Cursor.model_validate_json(cursor)
        except ValidationError:
            raise ValueError(f"{channel}: {cursor[:80]!r} is no cursor of this connector") from None
        return cls(kept.begin, kept.since, kept.asked, kept.stream)

    @property
    def text(self) -> str:
        """The cursor to be kept. What was seen is not in it: a second is read again after a restart."""
        return _Cursor(begin=self.begin, since=self.since, asked=self.asked, stream=self.stream).model_dump_json()

    def started(self, asked: datetime) -> _Place:
        """The round has begun, if it had not before."""
        return self if self.asked is not None else replace(self, asked=asked)

    def moved_on(self, rows: Iterable[Any], channel: str) -> _Place:
        """To the last second of this page."""
        told = [translate.place_of(row) for row in rows]
        new = {number for number, _ in told if number is not None} - self.seen
        if not new:
            raise ChannelMisbehaved(f"{channel}: the search for orders leads back to the page that it came from")
        last = max((at for _, at in told if at is not None), default=None)
        if last is None or (self.since is not None and last <= self.since):
            return replace(self, seen=self.seen | new)
        same = {number for number, at in told if number is not None and (at is None or at >= last)}
        return replace(self, since=last, seen=frozenset(same))

    def on_to_the_others(self) -> _Place:
        """The round's second search."""
        return replace(self, since=self.begin, stream="any", seen=frozenset())

    def done(self, back: timedelta) -> _Place:
        """The next round: it goes back a little, for changes that are found late."""
        begin = None if self.asked is None else self.asked - back
        return _Place(begin=begin, since=begin, covered_to=self.asked)


def _read(
    key: QuantityKey, found: tuple[int | None, Answer] | None, unreadable: str, begun: datetime, ended: datetime
) -> KeyRead:
    if found is None:
        return KeyRead(key=key, value=None, asked=begun, answered=ended, unreadable=unreadable)
    value, answer = found
    return KeyRead(key=key, value=value, asked=answer.asked_at, answered=answer.answered_at)


def _no_such_key(key: QuantityKey) -> PushResult:
    return PushResult.refused(key, f"{key.key!r} names no product or variation of the shop")
