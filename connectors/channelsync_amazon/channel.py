"""The Amazon channel: what is asked of which part of the API, and where to go on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import Answer
from channelsync.sdk.paging import in_batches
from channelsync.sdk.polled_hints import PolledHint
from channelsync.sdk.pushes import refuse_more_than, refuse_negative
from channelsync.sdk.resources import Resources
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
from channelsync.sdk.wire import read_value
from channelsync_amazon import reports, translate, translate_listings, wire
from channelsync_amazon.client import AmazonClient, TokenRefused, next_of
from channelsync_amazon.known import Known
from channelsync_amazon.place import Place, time_text
from channelsync_amazon.pools import Pools
from channelsync_amazon.quantities import Looker, Writer
from channelsync_amazon.queue import NotificationQueue
from channelsync_amazon.reports import Reports
from channelsync_amazon.settings import BLIND, ITEMS_PER_SEARCH, AmazonSettings
from channelsync_amazon.setup import inspected

NO_ORDER = "000-0000000-0000000"
"""Spelled as an order's id, and none: asked for to see whether orders may be read, at no search's price."""

REPORT_AGE = timedelta(days=1)
"""No report is older (Amazon keeps one for one to six hours). What was listed since is searched for."""

SEARCHES_ANEW = 5
"""A search for listings that finds now more, now fewer is begun anew so often, and then read to its end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the channel works with."""

    client: AmazonClient
    looker: Looker
    known: Known
    writer: Writer
    reports: Reports
    pools: Pools
    queue: NotificationQueue | None = None


class AmazonChannel:
    """One seller's account in one region."""

    def __init__(self, settings: AmazonSettings, resources: Resources, parts: Parts) -> None:
        self._settings = settings
        self._name = resources.channel
        self._clock = resources.clock
        self._client = parts.client
        self._looker = parts.looker
        self._known = parts.known
        self._writer = parts.writer
        self._reports = parts.reports
        self._pools = parts.pools
        self._queue = parts.queue

    async def check(self) -> Identity:
        """Looks whether listings of this seller and orders may be read; no call of Amazon's tells whose token it is,
        but one for another seller's listings is refused."""
        await self._client.items()
        await self._client.order(NO_ORDER)
        name = f"{self._settings.seller_id}/{self._settings.region}"
        return Identity(name, f"{self._settings.seller_id} ({self._settings.region.upper()})")

    async def inspect(self) -> Sequence[CheckPoint]:
        """The marketplaces: those that the settings name, and those where the seller sells besides; units at Amazon;
        and the queue."""
        return await inspected(self._settings, self._client, self._queue)

    # Notifications

    @property
    def polls_hints(self) -> bool:
        return self._queue is not None

    async def hints(self) -> Sequence[PolledHint]:
        return [] if self._queue is None else await self._queue.hints()

    async def acknowledge(self, hints: Sequence[PolledHint]) -> None:
        if self._queue is not None:
            await self._queue.acknowledge(hints)

    # Orders

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Within a round pages follow Amazon's own token, over restarts too; between rounds, the time.

        A round tells what had changed when it began. One that was left off is finished, and another follows it.
        """
        now = self._clock.now()
        begun = Place(now - timedelta(days=self._settings.history_days))
        place = begun if cursor is None else Place.read(cursor, self._name)
        place = place.resumed(now, all_orders=self._settings.fba_orders)
        another = place.asked is not None and place.asked < now - BLIND  # a younger one would find nothing more
        while True:
            try:
                page, answer = await self._client.search_orders(place.params, place.token)
            except TokenRefused:
                place, another = place.restarted(), False
                continue
            place = place.started(page, answer)
            token = next_of(page.pagination, place.token, answer.call)
            if token is None:
                place = place.done(self._settings.order_visibility)
            else:
                place = place.moved_on(token, self._clock.now())
            rows = [translate.order_of(row) for row in page.orders]
            yield OrderPage.of(rows, cursor=place.text, covered_to=place.covered_to)
            if token is None and not another:
                return
            another = another and token is not None

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        found = []
        for order in orders:
            row = await self._client.order(order)
            if row is not None:
                found.append(translate.order_of(row))
        return found

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        """Of the last two minutes Amazon tells nothing."""
        begin = datetime.combine(day, time(), tzinfo=UTC)
        end, told_to = begin + timedelta(days=1), self._clock.now() - BLIND
        if begin >= told_to:
            return
        params = {"createdAfter": time_text(begin)}
        if end < told_to - BLIND:  # with a margin, for our clock may be ahead of Amazon's
            params["createdBefore"] = time_text(end)
        token: str | None = None
        while True:
            try:
                page, answer = await self._client.search_orders(params, token)
            except TokenRefused:
                raise AnswerUnreadable(f"{self._name}: Amazon does not accept the token of its own next page") from None
            for row in page.orders:
                placed = read_value(wire.OrderPlaced, row, f"{answer.call}: an order")
                if placed.created_time.date() == day:
                    yield placed.order_id
            token = next_of(page.pagination, token, answer.call)
            if token is None:
                return

    # Listings and numbers

    async def listings(self) -> AsyncIterator[Listing]:
        """By search where there are few; where there are many their SKUs come by report, and they are searched for.

        A report may be hours old (Amazon does not make one anew for as long), so no number, no state is taken from it,
        and what was listed since is searched for besides. Where there are few, reports tell why a listing cannot be
        bought that does not say so itself: such listings come last, as they are once the reports are there.
        """
        page = await self._client.items()
        if page.number_of_results >= self._settings.report_from:
            async for listing in self._reported():
                yield listing
            return
        seen: set[str] = set()
        open_questions: list[Listing] = []
        async for each in self._pages(page):
            items = [item for item in map(self._looker.item, each.items) if item is not None and item.sku not in seen]
            seen |= {item.sku for item in items}
            for listing in self._translated(items):
                if translate_listings.unexplained(listing) or translate_listings.may_be_stranded(listing):
                    open_questions.append(listing)
                else:
                    yield listing
        async for listing in self._explained(open_questions):
            yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        items = await self._looker.items(listings)
        found = {one.listing: one for one in self._translated(items.values())}
        return [found[one] for one in listings if one in found]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        """At most 20 keys of the seller's own units; of units that Amazon keeps, however many."""
        ours = [key for key in keys if not key.location]
        refuse_more_than(ITEMS_PER_SEARCH, len(ours))
        found = await self._read_ours(ours)
        found |= await self._pools.read([key for key in keys if key.location])
        return [found[key] for key in keys]

    async def _read_ours(self, keys: Sequence[QuantityKey]) -> dict[QuantityKey, KeyRead]:
        """One key by itself, several by search; what the search does not show is asked for by itself."""
        skus = list(dict.fromkeys(key.key for key in keys))
        times: dict[str, Answer] = {}
        unreadable: set[str] = set()
        items: dict[str, wire.Item] = {}
        searched = [sku for sku in skus if "," not in sku]
        if len(searched) > 1:
            rows, answer = await self._client.items_by_sku(searched)
            for item in map(self._looker.item, rows):
                if item is not None:
                    items[item.sku], times[item.sku] = item, answer
        for sku in skus:
            if sku not in items:
                row, times[sku] = await self._client.item(sku)
                one = None if row is None else self._looker.item(row)
                if one is not None:
                    items[sku] = one
                elif row is None:
                    self._known.note_missing(sku)
                elif isinstance(row, dict) and row.get("sku") == sku:
                    unreadable.add(sku)
                else:
                    raise AnswerUnreadable(f"{times[sku].call}: the answer is not about the listing {sku}")
        reads = [_read(key, items.get(key.key), times[key.key]) for key in keys]
        wrong = "Amazon's answer to it means nothing to us: see the log"
        return {one.key: replace(one, unreadable=wrong) if one.key.key in unreadable else one for one in reads}

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(self._writer.most(updates), len(updates))
        refuse_negative(updates)
        return await self._writer.push(updates) if updates else []

    async def _pages(
        self, page: wire.ItemsPage, created_after: datetime | None = None
    ) -> AsyncIterator[wire.ItemsPage]:
        """This page of a search for listings, and those that follow it; some listings twice.

        Nobody promises that a token names a row and not its number. So where the search finds fewer than before, what
        follows them may have moved up over the edge of a page that was read already: it is begun anew.
        """
        token: str | None = None
        anew = SEARCHES_ANEW
        while True:
            yield page
            token = next_of(page.pagination, token, f"{self._name}: the search for listings")
            if token is None:
                return
            before = page.number_of_results
            page = await self._client.items(token, created_after=created_after)
            if page.number_of_results < before and anew:
                page, token, anew = await self._client.items(created_after=created_after), None, anew - 1

    def _translated(self, items: Iterable[wire.Item]) -> list[Listing]:
        places, pools = self._settings.marketplaces, self._settings.fba_pools
        made = [translate_listings.listing_of(item, places, pools) for item in items]
        return [one for one in made if one is not None]

    async def _explained(self, listings: Sequence[Listing]) -> AsyncIterator[Listing]:
        """These listings with what reports say of them. Each report is asked for where it can tell something, once."""
        told = []
        if any(map(translate_listings.unexplained, listings)):
            told.append(translate_listings.suppressed(await self._besides(reports.SUPPRESSED)))
        if any(map(translate_listings.may_be_stranded, listings)):
            told.append(translate_listings.stranded(await self._besides(reports.STRANDED)))
        async for listing in self._by_name([one.listing for one in listings], told):
            yield listing

    async def _by_name(self, skus: Sequence[str], told: Sequence[translate_listings.Told]) -> AsyncIterator[Listing]:
        """Listings as they are now, some at a time, with what reports told of them besides."""
        for some in in_batches(skus, ITEMS_PER_SEARCH):
            for listing in self._translated((await self._looker.items(some)).values()):
                yield translate_listings.with_reasons(listing, *told)

    async def _reported(self) -> AsyncIterator[Listing]:
        """All listings, some at a time, with the reasons that other reports tell."""
        since = self._clock.now() - REPORT_AGE
        rows: list[translate_listings.Row] = []
        for marketplace in self._settings.marketplaces:
            rows += await self._reports.rows(reports.ALL_LISTINGS, marketplace)
        skus = dict.fromkeys(translate_listings.skus_of(rows))
        async for page in self._pages(await self._client.items(created_after=since), since):
            skus |= dict.fromkeys(item.sku for item in map(self._looker.item, page.items) if item is not None)
        told = [translate_listings.suppressed(await self._besides(reports.SUPPRESSED))]
        if any(map(translate_listings.row_by_amazon, rows)):
            told.append(translate_listings.stranded(await self._besides(reports.STRANDED)))
        async for listing in self._by_name(list(skus), told):
            yield listing

    async def _besides(self, report_type: str) -> list[translate_listings.Row]:
        """The rows of a report that only adds reasons, of all marketplaces."""
        return [
            row
            for marketplace in self._settings.marketplaces
            for row in await self._reports.rows_if_possible(report_type, marketplace)
        ]


def _read(key: QuantityKey, item: wire.Item | None, answer: Answer) -> KeyRead:
    """None for what Amazon fulfils too: it has no number of ours any more."""
    return KeyRead(
        key=key,
        value=None if item is None else translate_listings.number_of(item),
        asked=answer.asked_at,
        answered=answer.answered_at,
    )
