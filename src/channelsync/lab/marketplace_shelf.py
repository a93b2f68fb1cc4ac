"""What a marketplace offers: its listings, whether they can be bought, and the numbers behind them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from channelsync.lab.marketplace_numbers import Numbers, Reading, Result, Update, drawn
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import (
    ENDED,
    OUT_OF_QUANTITY,
    RECREATED,
    SWITCHED_OFF,
    Move,
    NumberChange,
    NumberKey,
    Offer,
    State,
    Takes,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing can be bought. moves: what one unit moves. units: that can be had now; None for no limit."""

    location: str
    moves: tuple[Move, ...]
    units: int | None


class Shelf:
    """All listings of a marketplace by id. `changes` is the log of all numbers; `told` hears of each that differs.

    Times are the lab's true ones.
    """

    def __init__(
        self, name: str, rules: MarketplaceRules, rng: random.Random, told: Callable[[NumberChange], None]
    ) -> None:
        self.offers: dict[str, Offer] = {}
        self.numbers = Numbers(rules, rng, self.number_changed)
        self.changes: list[NumberChange] = []
        self._name = name
        self._rules = rules
        self._rng = rng
        self._told = told
        self._by_key: dict[NumberKey, list[str]] = {}

    # Listings

    def open(self, offer: Offer, number: int | Mapping[NumberKey, int] | None, now: datetime) -> Offer:
        """See `Marketplace.open_listing`."""
        if self._rules.unique_skus and offer.sku is not None and self._live(offer.sku, offer.site):
            raise ValueError(f"{self._name} has a listing of {offer.sku} already; SKUs are unique here.")
        if missing := [part for part, _ in offer.parts if part not in self.offers]:
            raise ValueError(f"{self._name}: the parts {missing} of {offer.listing} are not listed.")
        if not offer.keys and (not offer.parts or self._rules.moves != "components"):
            offer.keys = (NumberKey(f"K-{offer.listing}"),)
        if not offer.takes:
            offer.takes = self._parts_take(offer) or ((offer.sku or offer.listing, 1),)
        self.offers[offer.listing] = offer
        for key in offer.keys:
            opening = number.get(key, 0) if isinstance(number, Mapping) else number or 0
            self._open_key(offer, key, opening, now)
        return offer

    def use_keys(self, offer: Offer, keys: Sequence[NumberKey], now: datetime) -> None:
        """See `Marketplace.use_keys`."""
        new = [key for key in keys if key not in offer.keys]
        offer.keys = tuple(keys)
        for key in new:
            self._open_key(offer, key, 0, now)

    def _open_key(self, offer: Offer, key: NumberKey, number: int, now: datetime) -> None:
        listed = self._by_key.setdefault(key, [])
        if offer.listing not in listed:
            listed.append(offer.listing)
        self.numbers.open(key, number, now, below_zero=offer.sells_below_zero)

    def _live(self, sku: str, site: str) -> bool:
        return any(o.sku == sku and o.site == site and o.state is not State.ENDED for o in self.offers.values())

    def _parts_take(self, offer: Offer) -> Takes:
        takes: dict[str, int] = {}
        for part, each in offer.parts:
            for item, many in self.offers[part].takes:
                takes[item] = takes.get(item, 0) + many * each
        return tuple(takes.items())

    def recreate(self, listing: str, new: str, now: datetime, *, new_key: bool) -> Offer:
        """See `Marketplace.recreate`."""
        old = self.offers[listing]
        keys = tuple(NumberKey(f"K-{new}", key.location) if new_key else key for key in old.keys)
        opening = {fresh: self.numbers.value(key) for fresh, key in zip(keys, old.keys, strict=True)}
        old.state, old.reasons = State.ENDED, [RECREATED]
        return self.open(replace(old, listing=new, keys=keys, state=State.ACTIVE, reasons=[]), opening, now)

    def switch(self, listing: str, *, on: bool) -> None:
        """See `Marketplace.switch`."""
        offer = self.offers[listing]
        self._reason(offer, SWITCHED_OFF, there=not on)

    def set_policy(self, listing: str, *, tracked: bool | None, sells_below_zero: bool | None) -> None:
        """See `Marketplace.set_policy`."""
        offer = self.offers[listing]
        if sells_below_zero and not self._rules.backorders:
            raise ValueError(f"{self._name} knows no backorders: {listing} cannot sell below zero.")
        offer.tracked = offer.tracked if tracked is None else tracked
        if sells_below_zero is not None:
            offer.sells_below_zero = sells_below_zero
            for key in offer.keys:
                self.numbers.allow_below_zero(key, allowed=sells_below_zero)

    def _reason(self, offer: Offer, reason: str, *, there: bool) -> None:
        """Adds or takes away a reason why a listing cannot be bought; an ended one stays ended."""
        if offer.state is not State.ENDED:
            others = [each for each in offer.reasons if each != reason]
            offer.reasons = [*others, reason] if there else others
            offer.state = State.INACTIVE if offer.reasons else State.ACTIVE

    # What the numbers do to the listings

    def number_changed(self, change: NumberChange) -> None:
        """A number is another now: the log has it, and the listings that show it follow."""
        self.changes.append(change)
        if change.why == "dropped write":
            return
        if self._rules.zero != "shows 0" and change.why != "opened":
            for listing in self._by_key.get(change.key, ()):
                self._mind_zero(self.offers[listing])
        if change.after != change.before:
            self._told(change)

    def _mind_zero(self, offer: Offer) -> None:
        if offer.state is State.ENDED or not offer.tracked or offer.sells_below_zero:
            return
        out = all(self.numbers.value(key) <= 0 for key in offer.keys)
        if out and self._rules.zero == "ends":
            offer.state, offer.reasons = State.ENDED, [ENDED]
        else:
            self._reason(offer, OUT_OF_QUANTITY, there=out)

    # Numbers over the API

    def read(self, keys: Sequence[NumberKey], now: datetime) -> list[Reading | None]:
        """See `Marketplace.read`."""
        as_of = now - drawn(self._rng, self._rules.read_lag)
        return [self.numbers.read(key, as_of) if self._counted(key) else None for key in keys]

    def _counted(self, key: NumberKey) -> bool:
        offers = [self.offers[listing] for listing in self._by_key.get(key, ())]
        return any(o.state is not State.ENDED and o.tracked and o.own for o in offers)

    def push(self, update: Update, now: datetime, today: date) -> Result:
        """Takes one write. today: by the marketplace's clock."""
        key = update.key
        offers = [self.offers[listing] for listing in self._by_key.get(key, ())]
        if not offers:
            return Result.refused(key, "unknown_key", f"There is no key {key.key!r} at {key.location or 'this place'}.")
        if not any(offer.own for offer in offers):
            return Result.refused(key, "not_yours", "We fulfil this listing: the units are counted by us.")
        if all(offer.state is State.ENDED for offer in offers):
            return Result.refused(key, ENDED, "The listing has ended.")
        if not any(offer.tracked for offer in offers):
            return Result.refused(key, "not_tracked", "Units are not counted for this listing.")
        return self.numbers.accept(update, now, today, next((offer.page for offer in offers if offer.page), ""))

    # What can be bought

    def places(self, listing: str) -> list[Place]:
        """Where a listing can be bought now; none while it is not active."""
        offer = self.offers[listing]
        if offer.state is not State.ACTIVE:
            return []
        if not offer.tracked or not offer.own:
            return [Place("", (), None)]
        moves: list[tuple[Move, ...]] = [(Move(key),) for key in offer.keys]
        if offer.parts and self._rules.moves != "own":
            parts = tuple(Move(self.offers[part].keys[0], each) for part, each in offer.parts)
            moves = [(*own, *parts) for own in moves] or [parts]
        return [Place(each[0].key.location, each, self.limit(each)) for each in moves]

    def limit(self, moves: Sequence[Move]) -> int | None:
        """Units that the numbers of these keys leave; None for no limit."""
        limits = [(self.numbers.sellable(move.key), move.units) for move in moves]
        return min((there // each for there, each in limits if there is not None), default=None)
