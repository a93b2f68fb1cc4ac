"""Stands between the agent and its connectors, and notes every number that is asked for and every write that leaves.

It is the proof's own witness: what the invariants say of writes is checked against this, not against our database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from channelsync.sdk.channel import Channel, Identity
from channelsync.sdk.clock import Clock
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


class Name(NamedTuple):
    """A quantity key of a marketplace. location: empty where there is one number for all."""

    marketplace: str
    key: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A write that left us. number: as sent. expected: the number it replaces; None: whatever is there.

    generation: of the key, as its idempotency key says. lowering: as the publisher meant it.
    """

    at: datetime
    key: Name
    generation: int
    number: int
    expected: int | None
    lowering: bool


@dataclass(slots=True)
class Witness:
    """All that left, and when numbers were read, by key, in order of time.

    reads: (asked, answered) of the reads that brought a number. failed: by marketplace, when calls for numbers failed,
    so that nobody waits for its reads. uncertain: when a write left whose outcome we were not told. refused: keys whose
    last write the channel refused, with its reason. keys_read, read_calls, write_calls: how many keys were asked for,
    and the calls of reading and of writing.
    """

    sent: list[Sent] = field(default_factory=list)
    reads: dict[Name, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    failed: dict[str, list[datetime]] = field(default_factory=dict)
    uncertain: dict[Name, list[datetime]] = field(default_factory=dict)
    refused: dict[Name, str] = field(default_factory=dict)
    keys_read: int = 0
    read_calls: int = 0
    write_calls: int = 0

    def saw(self, marketplace: str, key: QuantityKey, asked: datetime, answered: datetime) -> None:
        """A number came back."""
        self.reads.setdefault(Name(marketplace, key.key, key.location), []).append((asked, answered))

    def leaves(self, marketplace: str, update: QuantityUpdate, at: datetime) -> None:
        """A write is about to leave."""
        name = Name(marketplace, update.key.key, update.key.location)
        generation = int(update.idempotency.rpartition("-")[2] or 0)
        self.sent.append(Sent(at, name, generation, update.value, update.expected, update.lowering))

    def fails(self, marketplace: str, at: datetime) -> None:
        """A call for numbers, of reading or of writing, came to nothing."""
        self.failed.setdefault(marketplace, []).append(at)

    def doubts(self, marketplace: str, key: QuantityKey, at: datetime) -> None:
        """Nobody told what became of a write."""
        self.uncertain.setdefault(Name(marketplace, key.key, key.location), []).append(at)


class WatchedChannel:
    """A channel whose reads and writes are noted. A `Channel` itself."""

    def __init__(self, name: str, inner: Channel, witness: Witness, clock: Clock) -> None:
        self._name = name
        self._inner = inner
        self._witness = witness
        self._clock = clock

    async def check(self) -> Identity:
        return await self._inner.check()

    def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        return self._inner.orders(cursor=cursor)

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        return await self._inner.orders_by_id(orders)

    def order_ids(self, day: date) -> AsyncIterator[str]:
        return self._inner.order_ids(day)

    async def listings(self) -> AsyncIterator[Listing]:
        """Its numbers count as reads that were asked when the pull began."""
        asked = self._clock.now()
        async for listing in self._inner.listings():
            for key in listing.shown:
                self._witness.saw(self._name, key, asked, self._clock.now())
            yield listing

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        return await self._inner.listings_by_id(listings)

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        self._witness.read_calls += 1
        self._witness.keys_read += len(keys)
        try:
            found = await self._inner.read(keys)
        except BaseException:
            self._witness.fails(self._name, self._clock.now())
            raise
        for one in found:
            if one.value is not None:
                self._witness.saw(self._name, one.key, one.asked, one.answered)
        return found

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """An answer that states the number is a read, too."""
        asked = self._clock.now()
        self._witness.write_calls += 1
        for update in updates:
            self._witness.leaves(self._name, update, asked)
        try:
            results = await self._inner.push(updates)
        except BaseException:
            self._witness.fails(self._name, self._clock.now())
            for update in updates:
                self._witness.doubts(self._name, update.key, asked)
            raise
        for result in results:
            self._note(result, asked)
        return results

    def _note(self, result: PushResult, asked: datetime) -> None:
        name = Name(self._name, result.key.key, result.key.location)
        self._witness.refused.pop(name, None)
        if result.state == "refused":
            self._witness.refused[name] = result.reason
        elif result.state == "unknown":
            self._witness.doubts(self._name, result.key, asked)
        if result.shown is not None:
            self._witness.saw(self._name, result.key, asked, self._clock.now())
