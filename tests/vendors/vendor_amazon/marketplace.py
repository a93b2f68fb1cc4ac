"""The lab's marketplace with Amazon's names: SKUs name listings, and orders have ids of 3, 7 and 7 digits."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from channelsync.lab.marketplace import Marketplace, Sale, Wanted
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.sdk.clock import Clock


class _Rewindable(Clock):
    """A clock that shows another time while something is caught up with. at: that time; None: the present."""

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self.at: datetime | None = None

    def now(self) -> datetime:
        """Aware UTC."""
        return self.at or self._inner.now()

    def monotonic(self) -> float:
        """The inner clock's."""
        return self._inner.monotonic()

    async def sleep(self, seconds: float) -> None:
        """The inner clock's."""
        await self._inner.sleep(seconds)


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    at: datetime
    turn: int
    action: Callable[[datetime], None] = field(compare=False)


class AmazonMarketplace(Marketplace):
    """A `Marketplace` whose listings, quantity keys and SKUs have one name, and whose orders are of one kind each.

    placed_in: the marketplace id of every order; an order that is not in it was placed in its listing's own.
    by_amazon: the orders that Amazon ships, whoever ships the listing by now.
    """

    def __init__(self, name: str, rules: MarketplaceRules, clock: Clock, rng: random.Random) -> None:
        self._due: list[_Due] = []
        self._turns = 0
        self._rewindable = _Rewindable(clock)
        super().__init__(name, rules, self._rewindable, rng)
        self.placed_in: dict[str, str] = {}
        self.by_amazon: set[str] = set()
        self._ids = random.Random(f"{name} {rng.random()} order ids")
        self._line_ids = 10_000_000_000_000

    def schedule(self, at: datetime, action: Callable[[datetime], None]) -> None:
        """Does something at a time, and tells it that. Who comes later finds it done, and what followed from it."""
        self._turns += 1
        heapq.heappush(self._due, _Due(at, self._turns, action))

    def soon(self, action: Callable[[], None]) -> None:
        """Does something after all that is being done now."""
        self.schedule(self._rewindable.now(), lambda _: action())

    def now(self) -> datetime:
        """As the lab's; what was scheduled is done too, each at its time."""
        clock = self._rewindable
        until, before = clock.now(), clock.at
        while self._due and self._due[0].at <= until:
            due = heapq.heappop(self._due)
            clock.at = due.at
            try:
                super().now()
                due.action(due.at)
            finally:
                clock.at = before
        return super().now()

    def open_listing(self, offer: Offer, number: int | Mapping[NumberKey, int] | None = None) -> Offer:
        """As the lab's. Raises ValueError where a listing is not named by its SKU."""
        if not offer.sku or offer.listing != offer.sku:
            raise ValueError(f"Amazon names a listing by its seller SKU: {offer.listing!r} is not {offer.sku!r}.")
        if not offer.keys:
            offer.keys = (NumberKey(offer.sku),)
        return super().open_listing(offer, number)

    def place(
        self,
        basket: Sequence[Wanted],
        *,
        order: str = "",
        partial: bool = True,
        paid: bool = True,
        marketplace_id: str = "",
    ) -> Sale:
        """As the lab's, in one marketplace; empty: that of the first listing.

        Raises ValueError for a basket of units of ours and of Amazon's: Amazon makes that two orders.
        """
        ours = {self.offers[wanted.listing].own for wanted in basket}
        if len(ours) > 1:
            raise ValueError("Amazon makes two orders of units that it fulfils and units that it does not: place two.")
        name = order or self._new_id()
        lines = [wanted if wanted.line else replace(wanted, line=self._new_line()) for wanted in basket]
        if False in ours:
            self.by_amazon.add(name)
        if marketplace_id:
            self.placed_in[name] = marketplace_id
        return super().place(lines, order=name, partial=partial, paid=paid)

    def touch(self, order: str) -> datetime:
        """Something of an order changed that moves no units: it has a new version. Gives its time."""
        now = self.now()
        at = self._stamp(now)
        self._save(replace(self.orders[order], updated_at=at), now, "order.updated")
        return at

    def _new_id(self) -> str:
        while True:
            digits = f"{self._ids.randrange(10**16):016}"
            name = f"2{digits[:2]}-{digits[2:9]}-{digits[9:16]}"
            if name not in self.orders:
                return name

    def _new_line(self) -> str:
        self._line_ids += self._ids.randint(1, 1_000_000)
        return str(self._line_ids)
