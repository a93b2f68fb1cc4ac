"""Writing numbers: what is sent, and what the answers say of each row.

The item's number and that of each live offer are written together, because either may be the one that counts. A row
counts as taken only when eBay took all of it; one of which it took a part is unknown, so that it is read.
What is sent is remembered, because a read may show that only a part of it was taken (`translate_listings.number_of`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.paging import in_batches
from channelsync.sdk.pushes import Written, push_in_groups
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.sdk.wire import read_part
from channelsync_ebay import translate_listings, wire
from channelsync_ebay.client import CONCURRENT, EbayClient, plausible, reason_of
from channelsync_ebay.settings import LEGACY_ROWS_MAX, PUSH_SECONDS, ROWS_MAX
from channelsync_ebay.trading import Trading
from channelsync_ebay.translate_listings import Legacy

_WAITS = (0.5, 1.5, 4.0)
"""Seconds, at most, before rows go again that something else had in hand (25025)."""

_IN_HAND = "25025: something else has the item in hand, again and again"
_SYSTEM = 500
_NOT_TOLD = "eBay's answer does not tell of it"
_OFFER_GONE = frozenset({25702, 25709, 25710, 25713})


class Shown:
    """The live offers of each SKU, as they were read last; and what we sent last."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}
        self._offers: dict[str, tuple[str, ...]] = {}

    def learn(self, sku: str, offers: Sequence[wire.Offer]) -> None:
        """What a read showed."""
        self._offers[sku] = tuple(one.offer_id for one in translate_listings.sold_here(offers))

    def forget(self, sku: str) -> None:
        """It is not so any more."""
        self._offers.pop(sku, None)

    def offers(self, sku: str) -> tuple[str, ...] | None:
        """The ids of its live offers; None: they were not read yet."""
        return self._offers.get(sku)

    def send(self, sku: str, number: int) -> None:
        """This number leaves for it."""
        self._sent[sku] = number

    def sent(self, sku: str) -> int | None:
        """The number that left for it last; None: none yet."""
        return self._sent.get(sku)


class Writer:
    """Pushes the numbers of one account. trading: None where only migrated listings are kept."""

    def __init__(
        self,
        client: EbayClient,
        trading: Trading | None,
        shown: Shown,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._trading = trading
        self._shown = shown
        self._clock = clock
        self._rng = rng

    async def push(self, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        """One result an update, in their order. Raises as `push_in_groups` does.

        What something else has in hand goes again after a wait, a few times.
        """
        begun = self._clock.monotonic()
        results = {place: nay for place, one in enumerate(updates) if (nay := self._nameless(one)) is not None}
        await self._learn([one.key.key for place, one in enumerate(updates) if place not in results])
        waits = iter(_WAITS)

        async def write(some: Sequence[int]) -> Written:
            written, busy = await self._write(updates, some)
            if not busy:
                return written
            wait = next(waits, None)
            if wait is None:
                held = {place: PushResult.refused(updates[place].key, _IN_HAND) for place in busy}
                return Written({**written.done, **held}, written.again)
            await self._clock.sleep(self._rng.uniform(wait / 2, wait))
            return Written(written.done, [*written.again, busy])

        groups = self._groups(updates, results)
        results |= await push_in_groups(updates, groups, write, clock=self._clock, seconds=PUSH_SECONDS, begun=begun)
        return [results[place] for place in range(len(updates))]

    def _groups(self, updates: Sequence[QuantityUpdate], results: Mapping[int, PushResult]) -> list[list[int]]:
        """Rows that go in one request: 25 SKUs with up to 25 offers; those that are not migrated four at a time."""
        left = [place for place in range(len(updates)) if place not in results]
        new = [place for place in left if self._legacy(updates[place]) is None]
        old = [place for place in left if self._legacy(updates[place]) is not None]
        groups: list[list[int]] = []
        offers = 0
        for place in new:
            more = len(self._shown.offers(updates[place].key.key) or ())
            if not groups or len(groups[-1]) == ROWS_MAX or offers + more > ROWS_MAX:
                groups.append([])
                offers = 0
            groups[-1].append(place)
            offers += more
        return groups + [[*some] for some in in_batches(old, LEGACY_ROWS_MAX)]

    def _legacy(self, update: QuantityUpdate) -> Legacy | None:
        return None if self._trading is None else translate_listings.legacy_of(update.key.key)

    def _nameless(self, update: QuantityUpdate) -> PushResult | None:
        """A refusal of what cannot be a key here: it would spoil the whole request."""
        if update.key.location or (self._legacy(update) is None and not plausible(update.key.key)):
            return PushResult.refused(update.key, f"{update.key.key!r} is no SKU of eBay's, or names a location")
        return None

    async def _learn(self, keys: Iterable[str]) -> None:
        """Reads the offers of SKUs that were not read yet: their numbers are written too."""
        unknown = [
            key
            for key in dict.fromkeys(keys)
            if self._shown.offers(key) is None and (self._trading is None or translate_listings.legacy_of(key) is None)
        ]
        for sku, found in zip(unknown, await self._client.offers_of(unknown), strict=True):
            self._shown.learn(sku, [read_part(wire.Offer, raw, found.answer) for raw in found.rows])

    async def _write(self, updates: Sequence[QuantityUpdate], places: Sequence[int]) -> tuple[Written, list[int]]:
        """One request: (what it came to, rows that something else has in hand)."""
        if self._trading is not None and self._legacy(updates[places[0]]) is not None:
            return await self._revise(self._trading, updates, places), []
        rows = [self._row(updates[place]) for place in places]
        for place in places:
            self._shown.send(updates[place].key.key, updates[place].value)
        errors, answer = await self._client.write(rows)
        if answer is None:
            if CONCURRENT in wire.ids_of(errors):
                return Written(), [*places]
            if len(places) > 1:
                half = len(places) // 2
                return Written(again=[places[:half], places[half:]]), []
            return Written({places[0]: self._refused(updates[places[0]], errors)}), []
        found = told_of(answer, {offer: row["sku"] for row in rows for offer in _offer_ids(row)})
        done, busy = {}, []
        for place in places:
            update = updates[place]
            parts = found.get(update.key.key, [])
            if any(CONCURRENT in wire.ids_of(part.errors) for part in parts):
                busy.append(place)
            else:
                done[place] = self._result(update, parts)
        return Written(done), busy

    async def _revise(self, trading: Trading, updates: Sequence[QuantityUpdate], places: Sequence[int]) -> Written:
        named = {place: name for place in places if (name := self._legacy(updates[place])) is not None}
        taken, reason = await trading.revise([(name, updates[place].value) for place, name in named.items()])
        done = {place: PushResult.accepted(updates[place].key) for place, name in named.items() if name in taken}
        rest = [place for place in places if place not in done]
        if len(places) == 1:
            return Written(done | {place: self._untaken(updates[place], reason) for place in rest})
        return Written(done, [[place] for place in rest])

    def _untaken(self, update: QuantityUpdate, reason: str) -> PushResult:
        if not reason:
            return PushResult.unknown(update.key, _NOT_TOLD)
        return PushResult.refused(update.key, _with_advice(reason))

    def _row(self, update: QuantityUpdate) -> dict[str, Any]:
        row: dict[str, Any] = {
            "sku": update.key.key,
            "shipToLocationAvailability": {"quantity": update.value},
        }
        offers = self._shown.offers(update.key.key)
        if offers:
            row["offers"] = [{"offerId": offer, "availableQuantity": update.value} for offer in offers]
        return row

    def _result(self, update: QuantityUpdate, parts: Sequence[wire.Written]) -> PushResult:
        """What the parts of a row's answer, the item's and the offers', mean together."""
        if not parts:
            return PushResult.unknown(update.key, _NOT_TOLD)
        wrong = [part for part in parts if part.errors or not 200 <= part.status_code < 300]
        if not wrong:
            return PushResult.accepted(update.key)
        errors = tuple(error for part in wrong for error in part.errors)
        if len(wrong) < len(parts) or any(part.status_code >= _SYSTEM for part in wrong):
            return PushResult.unknown(update.key, reason_of(errors))
        return self._refused(update, errors)

    def _refused(self, update: QuantityUpdate, errors: tuple[wire.Error, ...]) -> PushResult:
        if wire.ids_of(errors) & _OFFER_GONE:
            self._shown.forget(update.key.key)
        return PushResult.refused(update.key, reason_of(errors))


def told_of(answer: wire.Writes, offers: Mapping[str, str]) -> dict[str, list[wire.Written]]:
    """What an answer says, by SKU; of a part that names an offer alone, by that offer's."""
    found: dict[str, list[wire.Written]] = {}
    for raw in answer.responses:
        try:
            one = wire.Written.model_validate(raw)
        except ValidationError:
            continue
        sku = one.sku or offers.get(one.offer_id, "")
        if sku:
            found.setdefault(sku, []).append(one)
    return found


def _offer_ids(row: Mapping[str, Any]) -> list[str]:
    return [one["offerId"] for one in row.get("offers", ())]


def _with_advice(reason: str) -> str:
    if re.search(r"\b(quantity|stock)\b", reason, re.IGNORECASE) and "0" in reason:
        return f"{reason} (for 0, switch on out-of-stock control in eBay's selling preferences)"
    return reason
