"""Many numbers at once: a JSON_LISTINGS_FEED, from its document to what became of each of its messages.

The pure part builds the document and reads the processing report; `Feeds` sends the one and waits for the other.
Sources: feeds_2021-06-30, listings-feed-schema-v2, listings-feed-processing-report-schema-v2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from channelsync.sdk.errors import AnswerUnreadable, ChannelError, ChannelMisbehaved
from channelsync.sdk.jobs import Patience, until_over
from channelsync.sdk.memory import CONTENT_MAX
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync.sdk.wire import read_value
from channelsync_amazon import wire_documents as documents
from channelsync_amazon.client import FEED_CONTENT, ISSUE_LOCALE, PRODUCT_TYPE, AmazonClient
from channelsync_amazon.files import Files
from channelsync_amazon.settings import FEED_GRACE, AmazonSettings
from channelsync_amazon.translate_listings import MERCHANT

log = structlog.get_logger(__name__)

MEMORY = "open feeds"
"""What they are remembered as."""

LOST_AFTER = timedelta(hours=6)
"""After so long a feed that is still not worked off counts as dead: its SKUs are written again."""

_PATIENCE = Patience(first=2.0, longest=20.0)
_QUEUED = "IN_QUEUE"
_UNDER_WAY = (_QUEUED, "IN_PROGRESS")

FATAL = "Amazon gave the feed up: some, all or none of its numbers may be in force"
CANCELLED = "the feed was cancelled before Amazon worked on it"
NO_RESULT = "Amazon worked the feed off and tells no result"
UNNAMED = "the feed has errors that name no message"


def quantity_patch(value: int) -> dict[str, Any]:
    """Sets the number of the seller's own units and leaves the rest of the offer as it is.

    `replace` would drop the handling time and all else beside it (amzn/selling-partner-api-models 4406).
    """
    return {
        "op": "merge",
        "path": "/attributes/fulfillment_availability",
        "value": [{"fulfillment_channel_code": MERCHANT, "quantity": value}],
    }


def document_of(seller: str, updates: Sequence[QuantityUpdate]) -> bytes:
    """The feed's document; a message's id is its update's place, from 1."""
    messages = [
        {
            "messageId": number,
            "sku": update.key.key,
            "operationType": "PATCH",
            "productType": PRODUCT_TYPE,
            "patches": [quantity_patch(update.value)],
        }
        for number, update in enumerate(updates, 1)
    ]
    header = {"sellerId": seller, "version": "2.0", "issueLocale": ISSUE_LOCALE}
    return orjson.dumps({"header": header, "messages": messages})


def results_of(updates: Sequence[QuantityUpdate], report: documents.ProcessingReport) -> list[PushResult]:
    """What became of each message, in their order. Warnings refuse nothing.

    Errors that name no message leave open what became of those that no other error names, unless all were taken.
    """
    refused: dict[int, list[str]] = {}
    unnamed = ""
    for issue in report.issues:
        if issue.severity != "ERROR":
            continue
        text = ": ".join(part for part in (issue.code, issue.message) if part)
        if issue.message_id is None:
            unnamed = unnamed or text
        else:
            refused.setdefault(issue.message_id, []).append(text)
    summary = report.summary
    open_left = bool(unnamed) and summary.messages_accepted + len(refused) < len(updates)
    none_taken = open_left and summary.messages_accepted == 0
    results = []
    for number, update in enumerate(updates, 1):
        if number in refused:
            results.append(PushResult.refused(update.key, "; ".join(dict.fromkeys(refused[number]))))
        elif none_taken:
            results.append(PushResult.refused(update.key, unnamed))
        elif open_left:
            results.append(PushResult.unknown(update.key, f"{UNNAMED}: {unnamed}"))
        else:
            results.append(PushResult.accepted(update.key))
    return results


@dataclass(frozen=True, slots=True)
class OpenFeed:
    """A feed that Amazon has not worked off as far as we know. until: when it counts as dead."""

    feed: str
    updates: tuple[QuantityUpdate, ...]
    until: datetime

    @property
    def skus(self) -> frozenset[str]:
        """The SKUs that it holds."""
        return frozenset(update.key.key for update in self.updates)


class _KeptFeed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: str
    until: AwareDatetime
    rows: tuple[tuple[str, int], ...]


class _Kept(BaseModel):
    """The open feeds as they are remembered over a restart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: tuple[_KeptFeed, ...] = ()


class Feeds:
    """The feeds of one account. What is open is remembered over restarts: Amazon does not tell which SKUs a feed holds,
    and sent beside it, the older number could come last."""

    def __init__(self, client: AmazonClient, files: Files, resources: Resources, settings: AmazonSettings) -> None:
        self._client = client
        self._files = files
        self._limiter = resources.limiter
        self._clock = resources.clock
        self._memory = resources.memory
        self._recalled = False
        self._seller = settings.seller_id
        self._grace = max(settings.grace, FEED_GRACE)
        self._wait = settings.feed_wait_s
        self._open: list[OpenFeed] = []
        self._late: dict[str, tuple[int, str]] = {}

    @property
    def ready(self) -> bool:
        """Whether it is a feed's turn."""
        return self._limiter.would_wait(bucket="createFeed") == 0

    async def push(self, updates: Sequence[QuantityUpdate], marketplace: str) -> list[PushResult]:
        """Sends one feed and waits a while for it. Raises what goes wrong before Amazon has taken it."""
        document = await self._client.feed_document()
        await self._files.upload(document.url, document_of(self._seller, updates), FEED_CONTENT)
        feed = await self._client.create_feed(document.feed_document_id, marketplace)
        opened = OpenFeed(feed, tuple(updates), self._clock.now() + LOST_AFTER)
        self._open.append(opened)
        await self._remember()
        try:
            results = await self._results(feed, updates)
        except ChannelError as error:
            log.warning("amazon.feed_unobserved", feed=feed, why=str(error))
            results = None
        if results is None:
            return [PushResult.accepted(update.key, within=self._grace) for update in updates]
        self._open.remove(opened)
        await self._remember()
        return results

    async def settle(self, wanted: Collection[str] = ()) -> None:
        """Looks after the feeds that were not worked off. What was refused meanwhile is told by `refusal_of`.

        wanted: SKUs that must not wait: a feed that holds one is taken back, if Amazon has not begun with it. Its other
        numbers are lost by that, as the next reads show.
        """
        await self._recall()
        for one in list(self._open):
            try:
                state = await self._client.feed(one.feed)
                queued = state.processing_status == _QUEUED and not one.skus.isdisjoint(wanted)
                taken_back = queued and await self._client.cancel_feed(one.feed)
                if not taken_back and state.processing_status in _UNDER_WAY and self._clock.now() < one.until:
                    continue
                results = [] if taken_back else await self._ended(state, one.updates)
            except ChannelMisbehaved as error:
                log.warning("amazon.feed_unreadable", feed=one.feed, why=str(error))
                results = []
            for update, result in zip(one.updates, results, strict=False):
                if result.state == "refused":
                    self._late[update.key.key] = update.value, result.reason
            self._open = [other for other in self._open if other is not one]
            await self._remember()

    async def _recall(self) -> None:
        """What an earlier process left open; what cannot be read is as good as nothing."""
        if self._recalled:
            return
        kept = await self._memory.get(MEMORY)
        self._recalled = True
        if kept is None:
            return
        try:
            told = _Kept.model_validate_json(kept)
        except ValidationError:
            log.warning("amazon.feeds_forgotten", why="what was remembered of open feeds cannot be read")
            return
        for one in told.open:
            updates = tuple(QuantityUpdate(key=QuantityKey(sku), value=units, listing=sku) for sku, units in one.rows)
            self._open.append(OpenFeed(one.feed, updates, one.until))

    async def _remember(self) -> None:
        """So many feeds that they are too much to keep are forgotten at a restart, as they were before."""
        kept = _Kept(
            open=tuple(
                _KeptFeed(feed=one.feed, until=one.until, rows=tuple((row.key.key, row.value) for row in one.updates))
                for one in self._open
            )
        )
        content = kept.model_dump_json().encode() if self._open else b""
        if len(content) <= CONTENT_MAX:
            await self._memory.put(MEMORY, content)

    def busy(self) -> dict[str, str]:
        """SKUs that a feed still holds, and which: nothing else is sent for them."""
        return {update.key.key: one.feed for one in self._open for update in one.updates}

    def refusal_of(self, update: QuantityUpdate) -> str | None:
        """Why a feed refused this very number after we had stopped waiting; told once."""
        value, reason = self._late.pop(update.key.key, (None, ""))
        return reason if value == update.value else None

    async def _results(self, feed: str, updates: Sequence[QuantityUpdate]) -> list[PushResult] | None:
        """What became of a feed; None: it is still under way when the wait is over."""
        state = await until_over(
            self._clock,
            await self._client.feed(feed),
            lambda: self._client.feed(feed),
            under_way=lambda one: one.processing_status in _UNDER_WAY,
            patience=_PATIENCE,
            within=self._wait,
        )
        return None if state.processing_status in _UNDER_WAY else await self._ended(state, updates)

    async def _ended(self, state: documents.Feed, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        """What became of a feed that is over, one way or another."""
        why = {"FATAL": FATAL, "CANCELLED": CANCELLED}.get(state.processing_status, NO_RESULT)
        if state.processing_status != "DONE" or state.result_feed_document_id is None:
            return [PushResult.unknown(update.key, f"{why} (feed {state.feed_id})") for update in updates]
        text = await self._files.download(await self._client.feed_result(state.result_feed_document_id))
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise AnswerUnreadable(f"the result of feed {state.feed_id} is not JSON") from None
        report = read_value(documents.ProcessingReport, told, f"the result of feed {state.feed_id}")
        return results_of(updates, report)
