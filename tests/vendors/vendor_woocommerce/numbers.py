"""The shop's numbers: orders and writes take them below zero, whatever buyers are allowed to do."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from channelsync.lab.marketplace_numbers import Numbers
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberChange, NumberKey


class WooNumbers(Numbers):
    """A book of numbers without a floor.

    A REST order for 50 of 8 units leaves -42, a PUT of -3 shows -3; only what a buyer may put into a cart stops at 0,
    and not even that with backorders. reserved: units of a key that unpaid checkouts hold, which no number shows.
    """

    def __init__(
        self,
        rules: MarketplaceRules,
        rng: random.Random,
        changed: Callable[[NumberChange], None],
        reserved: Callable[[NumberKey], int],
    ) -> None:
        super().__init__(rules, rng, changed)
        self._backorders: set[NumberKey] = set()
        self._reserved = reserved

    def open(self, key: NumberKey, number: int, now: datetime, *, below_zero: bool = False) -> None:
        """Begins a key, or lets a second listing share it: then the number stays as it is."""
        super().open(key, number, now, below_zero=True)
        if below_zero:
            self._backorders.add(key)

    def allow_below_zero(self, key: NumberKey, *, allowed: bool) -> None:
        """Whether buyers may go on below zero."""
        if allowed:
            self._backorders.add(key)
        else:
            self._backorders.discard(key)

    def sellable(self, key: NumberKey) -> int | None:
        """Units that a buyer may buy now; None for no limit."""
        return None if key in self._backorders else max(0, self.value(key) - self._reserved(key))
