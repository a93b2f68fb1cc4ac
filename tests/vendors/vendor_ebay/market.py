"""The lab's state machine with eBay's order numbers, and without what eBay has no way to do to an order."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from channelsync.lab.marketplace import Marketplace, Sale, Wanted
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey, Offer, Order, Status
from channelsync.sdk.clock import Clock

_DIGITS = 100_000


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A wish to cancel an order. closed: None while the seller has not answered. Times are of eBay's clock."""

    id: str
    initiator: str
    reason: str
    requested: datetime
    closed: datetime | None = None
    rejected: bool = False

    def open_at(self, time: datetime) -> bool:
        """Whether it waited for an answer then."""
        return self.requested <= time and (self.closed is None or self.closed > time)


class EbayMarketplace(Marketplace):
    """A marketplace whose orders are numbered as eBay does: `12-34567-89012`, lines by fourteen digits.

    A listing without keys gets one of its own name. `cancel_requests`: by order, the oldest first. `on_open`: is told
    of every listing that is opened.
    """

    def __init__(self, name: str, rules: MarketplaceRules, clock: Clock, rng: random.Random) -> None:
        super().__init__(name, rules, clock, rng)
        self.on_open: list[Callable[[Offer], None]] = []
        self.cancel_requests: dict[str, list[CancelRequest]] = {}
        self._region = rng.randint(1, 27)
        self._tickets = rng.randint(10, 999) * _DIGITS

    def open_listing(self, offer: Offer, number: int | Mapping[NumberKey, int] | None = None) -> Offer:
        """See `Marketplace.open_listing`."""
        if not offer.keys and not offer.parts:
            offer.keys = (NumberKey(offer.listing),)
        opened = super().open_listing(offer, number)
        for tell in self.on_open:
            tell(opened)
        return opened

    def place(self, basket: Sequence[Wanted], *, order: str = "", partial: bool = True, paid: bool = True) -> Sale:
        """See `Marketplace.place`; without an id the order gets one of eBay's kind."""
        self._tickets += 1
        name = order or f"{self._region:02}-{self._tickets // _DIGITS:05}-{self._tickets % _DIGITS:05}"
        named = [
            wanted if wanted.line else replace(wanted, line=f"1{self._tickets:010}{number:03}")
            for number, wanted in enumerate(basket, 1)
        ]
        return super().place(named, order=name, partial=partial, paid=paid)

    def edit(self, order: str, line: str, ordered: int) -> Order:
        """Nothing: what was bought at eBay stays as it was bought, or is cancelled."""
        return self.orders[order]

    def cancel(self, order: str, lines: Mapping[str, int] | None = None) -> Order:
        """Cancels the whole order. Some units of it cannot be cancelled at eBay: then nothing happens."""
        before = self.orders[order]
        if lines is not None and any(lines.get(line.id, 0) < line.open for line in before.lines):
            return before
        after = super().cancel(order)
        if after.status is Status.CANCELLED and before.status is not Status.CANCELLED:
            self._complete(order, after.cancelled_at or after.updated_at)
        return after

    def request_cancel(self, order: str, *, initiator: str = "Buyer", reason: str = "ORDER_MISTAKE") -> Order:
        """The buyer asks to cancel; nothing moves before the seller agrees (`cancel`) or declines."""
        now = self.now()
        before = self.orders[order]
        if before.status in (Status.CANCELLED, Status.DONE) or self.open_request(order):
            return before
        stamp = self._stamp(now)
        asked = self.cancel_requests.setdefault(order, [])
        asked.append(CancelRequest(f"5{self._tickets:010}{len(asked):02}", initiator, reason, stamp))
        return self._touch(order, now)

    def decline_cancel(self, order: str) -> Order:
        """The seller declines to cancel."""
        now = self.now()
        asked = self.cancel_requests.get(order, [])
        if not self.open_request(order):
            return self.orders[order]
        asked[-1] = replace(asked[-1], closed=self._stamp(now), rejected=True)
        return self._touch(order, now)

    def open_request(self, order: str) -> bool:
        """Whether a wish to cancel waits for an answer."""
        asked = self.cancel_requests.get(order, [])
        return bool(asked) and asked[-1].closed is None

    def _complete(self, order: str, at: datetime) -> None:
        asked = self.cancel_requests.setdefault(order, [])
        if self.open_request(order):
            asked[-1] = replace(asked[-1], closed=at)
        else:
            asked.append(CancelRequest(f"5{self._tickets:010}{len(asked):02}", "Seller", "OUT_OF_STOCK", at, at))

    def _touch(self, order: str, now: datetime) -> Order:
        """A new version of an order in which nothing of the lab's own differs."""
        touched = replace(self.orders[order], updated_at=self._stamp(now))
        self._save(touched, now, "order.updated")
        return touched
