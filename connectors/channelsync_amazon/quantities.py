"""Writing numbers: which way each goes, what the answer says of it, and never two ways for one SKU at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from channelsync.sdk.errors import ChannelError
from channelsync.sdk.paging import in_batches
from channelsync.sdk.pushes import UNANSWERED, row_after
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.sdk.wire import readable_listing
from channelsync_amazon import wire
from channelsync_amazon.client import AmazonClient
from channelsync_amazon.feeds import Feeds, quantity_patch
from channelsync_amazon.known import MISSING, Known
from channelsync_amazon.settings import ITEMS_PER_SEARCH, AmazonSettings
from channelsync_amazon.translate_listings import said

_NO_TURN = "more raises than go one by one in one push, and no feed may be sent for them now"

_UNANSWERED_MAX = 2
"""Patches in a row without an answer, after which no more are sent."""


class Looker:
    """Asks for listings by SKU, and remembers what it saw."""

    def __init__(self, client: AmazonClient, known: Known, channel: str) -> None:
        self._client = client
        self._known = known
        self._channel = channel

    async def items(self, skus: Sequence[str]) -> dict[str, wire.Item]:
        """These listings by SKU; unknown ones are missing. What the search does not show is asked for by itself."""
        found: dict[str, wire.Item] = {}
        searched = [sku for sku in dict.fromkeys(skus) if "," not in sku]
        for some in in_batches(searched, ITEMS_PER_SEARCH):
            rows, _ = await self._client.items_by_sku(some)
            found |= {item.sku: item for item in map(self.item, rows) if item is not None}
        for sku in dict.fromkeys(skus):
            if sku not in found:
                row, _ = await self._client.item(sku)
                item = None if row is None else self.item(row)
                if item is None:
                    self._known.note_missing(sku)
                else:
                    found[sku] = item
        return found

    def item(self, row: Any) -> wire.Item | None:
        """A listing; None for one that cannot be read."""
        item = readable_listing(wire.Item, row, self._channel, "sku")
        if isinstance(item, str):
            return None
        self._known.note(item)
        return item


class Writer:
    """Pushes the numbers of one account.

    Many raises for one marketplace go as a feed, while it is a feed's turn. A lowering never does: a feed may stay in
    Amazon's queue for half an hour whatever its size, at times for twelve (amzn/selling-partner-api-models 5151,
    4823), and a lowering must not wait. Nor does a raise to a few units, which may have to be lowered meanwhile.
    """

    def __init__(
        self, client: AmazonClient, looker: Looker, known: Known, feeds: Feeds, settings: AmazonSettings
    ) -> None:
        self._client = client
        self._looker = looker
        self._known = known
        self._feeds = feeds
        self._settings = settings

    def most(self, updates: Sequence[QuantityUpdate]) -> int:
        """How many go in one push of such updates."""
        settings = self._settings
        only_raises = settings.feeds and not any(map(_urgent, updates))
        return max(settings.raises_per_push, settings.updates_per_push) if only_raises else settings.updates_per_push

    async def push(self, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        """One result an update, in their order.

        Raises what goes wrong before anything was answered. Once a number was answered nothing is raised any more:
        it may be in force, and whoever calls must hear of it. What is left open then is unknown, or was not sent.
        """
        least = self._settings.feed_least
        await self._feeds.settle(wanted={one.key.key for one in updates if _urgent(one) and one.value < least})
        results = await self._held_up(updates)
        left = {place: one for place, one in enumerate(updates) if place not in results}
        marketplace, together = self._for_a_feed(left)
        singly = sorted(left.keys() - set(together), key=lambda place: (*_rank(left[place]), place))
        now, later = singly[: self._settings.updates_per_push], singly[self._settings.updates_per_push :]
        answered = await self._patched({place: left[place] for place in now})
        results |= {place: PushResult.not_sent(left[place].key, _NO_TURN) for place in later}
        if together:
            rows = [(place, left[place]) for place in together]
            answered |= await self._fed(rows, marketplace, answered=bool(answered))
        results |= answered
        return [results[place] for place in range(len(updates))]

    async def _held_up(self, updates: Sequence[QuantityUpdate]) -> dict[int, PushResult]:
        """Results of those that must not be sent now."""
        results: dict[int, PushResult] = {}
        unseen = [one.key.key for one in updates if not one.key.location and self._known.seen(one.key.key) is None]
        if unseen:
            await self._looker.items(unseen)
        busy = self._feeds.busy()
        for place, update in enumerate(updates):
            sku, seen = update.key.key, self._known.seen(update.key.key)
            if update.key.location:
                results[place] = PushResult.refused(update.key, self._no_place(update.key.location))
            elif seen is None or seen.refusal:
                results[place] = PushResult.refused(update.key, MISSING if seen is None else seen.refusal)
            elif sku in busy:
                reason = f"feed {busy[sku]} still holds it; sent beside it, the older number could come last"
                results[place] = PushResult.not_sent(update.key, reason)
            elif (late := self._feeds.refusal_of(update)) is not None:
                results[place] = PushResult.refused(update.key, late)
        return results

    def _no_place(self, location: str) -> str:
        """Why nothing is written there."""
        if location in self._settings.fba_pools:
            return "Amazon keeps these units and counts them itself: their number is not ours to write"
        return f"Amazon keeps one number of a SKU; there is no {location!r}"

    def _for_a_feed(self, left: dict[int, QuantityUpdate]) -> tuple[str, list[int]]:
        """The marketplace with the most raises, and those; none where they are few, or it is no feed's turn."""
        named = Counter(one.key.key for one in left.values())
        raises: dict[str, list[int]] = {}
        for place, one in left.items():
            seen = self._known.seen(one.key.key)
            may = not _urgent(one) and one.value >= self._settings.feed_least
            if may and named[one.key.key] == 1 and seen is not None:
                raises.setdefault(seen.marketplace, []).append(place)
        marketplace, most = max(raises.items(), key=lambda one: len(one[1]), default=("", []))
        return marketplace, most if len(most) >= self._settings.feed_from and self._feeds.ready else []

    async def _patched(self, left: dict[int, QuantityUpdate]) -> dict[int, PushResult]:
        """One call each. A call without an answer leaves its own number open and holds up nobody but for a failure of
        several in a row."""
        results: dict[int, PushResult] = {}
        lost: list[ChannelError] = []
        answers = 0
        for place, update in left.items():
            if len(lost) >= _UNANSWERED_MAX:
                results[place] = PushResult.not_sent(update.key, f"not sent after this: {lost[-1]}")
                continue
            try:
                results[place] = await self._patch(update)
                answers += 1
                lost.clear()
            except UNANSWERED as error:
                lost.append(error)
                results[place] = PushResult.unknown(update.key, str(error))
            except ChannelError as error:
                if answers == 0 and not lost:
                    raise
                rest = [one for one in left if one not in results]
                reason = f"a part of the push failed: {error}"
                return results | {one: PushResult.not_sent(left[one].key, reason) for one in rest}
        if lost and answers == 0:
            raise lost[0]
        return results

    async def _patch(self, update: QuantityUpdate) -> PushResult:
        seen = self._known.seen(update.key.key)
        if seen is None:  # its sight ended while others were sent
            return PushResult.refused(update.key, MISSING)
        submission = await self._client.patch(update.key.key, seen.marketplace, [quantity_patch(update.value)])
        return result_of(update, submission)

    async def _fed(
        self, updates: Sequence[tuple[int, QuantityUpdate]], marketplace: str, *, answered: bool
    ) -> dict[int, PushResult]:
        places = [place for place, _ in updates]
        rows = [update for _, update in updates]
        try:
            results = await self._feeds.push(rows, marketplace)
        except ChannelError as error:
            if not answered:
                raise
            results = [row_after(error, update.key) for update in rows]
        return dict(zip(places, results, strict=True))


def _urgent(update: QuantityUpdate) -> bool:
    """Whether it must not wait in a queue of Amazon's."""
    return update.lowering or update.value == 0


def _rank(update: QuantityUpdate) -> tuple[bool, bool]:
    """Zeroes first, then other lowerings."""
    return update.value > 0, not update.lowering


def result_of(update: QuantityUpdate, submission: wire.Submission) -> PushResult:
    """What the answer to a patch says. ACCEPTED is taken, not live; INVALID was refused, with HTTP 200 too."""
    if submission.status == "ACCEPTED":
        return PushResult.accepted(update.key)
    if submission.status == "INVALID":
        errors = [said(one) for one in submission.issues if one.severity == "ERROR"]
        reasons = errors or [said(one) for one in submission.issues]
        return PushResult.refused(update.key, "; ".join(dict.fromkeys(reasons)) or "Amazon gives no reason")
    return PushResult.unknown(update.key, f"the answer says {submission.status!r}, which means nothing to us")
