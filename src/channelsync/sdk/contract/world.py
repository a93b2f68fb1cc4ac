"""The other side of a channel, as the contract tests need it: something that sells, breaks and tells the truth.

A connector's test gives a `World`: a simulated marketplace, a fake server, or an object in the same process. What a
world cannot do it says by `pytest.skip("the reason")` in that method, so that nothing is skipped without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from channelsync.sdk.values import QuantityKey

START = datetime(2017, 6, 1, 9, 0, tzinfo=UTC)
"""When the contract's clock starts: long ago, so that a time that was not taken from the clock shows."""


class ContractClock:
    """A clock that stands still until somebody sleeps on it or moves it, so that no test waits."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        """Aware UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Seconds since the start, and never 0, which some code takes for `never`."""
        return 1_000.0 + self._seconds

    async def sleep(self, seconds: float) -> None:
        """Moves on by so much and returns at once."""
        self._seconds += max(0.0, seconds)
        await asyncio.sleep(0)


CANARY = ("Canary Birdwhistle", "canary@birdwhistle.example", "+44 7700 900461", "7 Birdwhistle Lane")
"""A buyer's name, e-mail, phone and street: what no value, error or log line of a connector may hold."""


class Fault(StrEnum):
    """How every call fails from now on."""

    THROTTLED = "HTTP 429 or its like"
    UNAUTHORISED = "HTTP 401: the credentials are not valid any more"
    FORBIDDEN = "HTTP 403: a permission is missing"
    SERVER_ERROR = "HTTP 5xx"
    NO_ANSWER = "nothing was done and no answer comes"
    NO_ANSWER_AFTER = "all was done but no answer comes"
    HTML = "HTTP 200 with a page for people"
    EMPTY = "HTTP 200 with nothing in it"
    CUT = "HTTP 200 with half of what was to come, the buyer's data in it"
    WRONG_SHAPE = "HTTP 200 with JSON that means something else, the buyer's data in it"


class Nonsense(StrEnum):
    """What is wrong with an order that nobody can ship."""

    NO_LINES = "no lines"
    FRACTION = "half a unit"
    NEGATIVE = "a negative number of units"


@dataclass(frozen=True, slots=True)
class Offered:
    """A listing that buyers can buy, with the one key that its number is kept under."""

    listing: str
    sku: str
    key: QuantityKey


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook delivery as it comes in. event: the channel's id of it; None: it gives none that others do not have."""

    headers: Mapping[str, str]
    body: bytes
    event: str | None


@runtime_checkable
class Garbles(Protocol):
    """A world whose channel can tell a number that is none."""

    async def garble(self, offered: Offered) -> None:
        """From now on the channel tells half a unit, or a word, where the number of this listing stands."""
        ...


@runtime_checkable
class Keeps(Protocol):
    """A world whose channel keeps units of the seller's at places of its own, and ships from there."""

    async def keep(self, sku: str, units: int) -> Offered:
        """A new listing that buyers can buy, of which so many units lie at such a place; all of them can be sold.

        Its key is that of these units (one of `Listing.kept`).
        """
        ...


class World(Protocol):
    """The other side. Each test gets a new one with no listings and no orders.

    orders_per_page: how many orders the channel puts on a page; at most 5, so that tests stay small.
    listings_per_page: how many listings, likewise; more only where the channel cannot be asked for fewer.
    canaries: what this world writes into every order about its buyer, e.g. `CANARY`.
    secrets: texts beside those in the settings that no line may show, e.g. tokens issued.
    """

    @property
    def orders_per_page(self) -> int: ...

    @property
    def listings_per_page(self) -> int: ...

    @property
    def canaries(self) -> Collection[str]: ...

    @property
    def secrets(self) -> Collection[str]: ...

    async def offer(self, sku: str, number: int) -> Offered:
        """A new active listing that shows this number."""
        ...

    async def remove(self, offered: Offered) -> None:
        """The seller deletes the listing: it is in no list any more."""
        ...

    async def stop_counting(self, offered: Offered) -> None:
        """The channel counts no units of this listing any more, and what is written to it is ignored.

        By whatever the channel has for it: a switch of the seller's, or that the channel ships it from now on.
        """
        ...

    async def number(self, key: QuantityKey) -> int | None:
        """The number in force now: the truth, not what a lagging read says. None: there is no such key."""
        ...

    async def set_number(self, key: QuantityKey, number: int) -> None:
        """Somebody types another number on the channel's own page."""
        ...

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        """A buyer orders these units, and has not paid yet where the channel tells that. Gives the order's id."""
        ...

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        """The channel lists an order that cannot be understood. Gives its id."""
        ...

    async def pay(self, order: str) -> None:
        """The order is paid; does nothing where it was at once."""
        ...

    async def edit(self, order: str, units: int) -> None:
        """The order's first line now asks for so many units in all."""
        ...

    async def cancel(self, order: str) -> None:
        """The whole order is cancelled."""
        ...

    async def ship(self, order: str, units: int) -> None:
        """So many units of the order's first line leave."""
        ...

    async def take_back(self, order: str, units: int) -> None:
        """So many shipped units of its first line come back and may be sold again."""
        ...

    async def keep_back(self, order: str, units: int) -> None:
        """So many shipped units of its first line come back and may not be sold again: they are damaged."""
        ...

    async def refuse(self, offered: Offered, reason: str) -> None:
        """Every write to this listing is refused from now on, its neighbours' are not."""
        ...

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """Every call fails so from now on. retry_after: seconds that a throttled answer tells; None: it tells none."""
        ...

    async def heal(self) -> None:
        """Calls succeed again."""
        ...

    async def advance(self, by: timedelta) -> None:
        """Time passes, and what the channel does meanwhile is done."""
        ...

    async def delivery(self, order: str) -> Delivery:
        """A webhook delivery that tells of this order, signed as the channel signs, sent now."""
        ...
