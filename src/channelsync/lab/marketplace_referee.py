"""The lab's referee: what was physically there, against what the marketplaces' own logs say they sold.

It never looks at our database. A unit is oversold at the moment in which it is sold although, over all
marketplaces together, none was left; a later cancel does not undo that. A unit is lost to a buyer when one is turned
away while units were left.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from channelsync.lab.marketplace_values import LogEntry, What

MOVES_LEFT: Mapping[What, int] = {"sold": -1, "cancelled": 1, "returned": 1}
"""How a unit moves what may still be sold. Shipping moves nothing: the unit was promised when it was sold."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Units of an item that physically came in, or (negative) went, beside all orders. at: the lab's true time."""

    at: datetime
    item: str
    units: int


class Referee:
    """Counts as it is told: give `tell` to every marketplace's `on_log`.

    physical: units of each item that are there at the start and may be sold. Items that it does not name have none.
    left: units that may still be sold, by item; below 0 while more are promised than there are.
    oversold: units, by item. turned_away: buyers' lines that got fewer units than wanted; missed_units: how many
    fewer. turned_away_while_left, missed_while_left: those of them that what was there could have served.
    """

    def __init__(self, physical: Mapping[str, int]) -> None:
        self.left: Counter[str] = Counter(physical)
        self.oversold: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self.turned_away = 0
        self.missed_units = 0
        self.turned_away_while_left = 0
        self.missed_while_left = 0

    @property
    def oversold_units(self) -> int:
        """Over all items."""
        return self.oversold.total()

    @property
    def unsold(self) -> dict[str, int]:
        """Units that may still be sold, by item; none below 0."""
        return {item: units for item, units in self.left.items() if units > 0}

    @property
    def short(self) -> dict[str, int]:
        """Units promised now that are not there, by item."""
        return {item: -units for item, units in self.left.items() if units < 0}

    def receive(self, item: str, units: int) -> None:
        """Units came in; negative: they went, beside all orders."""
        self.left[item] += units

    def tell(self, entry: LogEntry) -> None:
        """One thing happened at a marketplace."""
        if entry.what == "turned away":
            self._turned_away(entry)
            return
        sign = MOVES_LEFT.get(entry.what, 0)
        for item, each in entry.takes:
            units = each * entry.units
            if sign < 0:
                self.sold[item] += units
                over = units - max(0, self.left[item])
                if over > 0:
                    self.oversold[item] += over
            self.left[item] += sign * units

    def _turned_away(self, entry: LogEntry) -> None:
        self.turned_away += 1
        self.missed_units += entry.units
        could = min((self.left[item] // each for item, each in entry.takes), default=0)
        if could > 0:
            self.turned_away_while_left += 1
            self.missed_while_left += min(could, entry.units)


def judged(
    logs: Iterable[Sequence[LogEntry]], physical: Mapping[str, int], receipts: Iterable[Receipt] = ()
) -> Referee:
    """The referee after a whole story: the logs of all marketplaces, each in order of time, and what came in."""
    referee = Referee(physical)
    coming = sorted(receipts, key=lambda receipt: receipt.at)
    for entry in heapq.merge(*logs, key=lambda entry: entry.at):
        while coming and coming[0].at <= entry.at:
            first = coming.pop(0)
            referee.receive(first.item, first.units)
        referee.tell(entry)
    for receipt in coming:
        referee.receive(receipt.item, receipt.units)
    return referee


def oversold(
    logs: Iterable[Sequence[LogEntry]], physical: Mapping[str, int], receipts: Iterable[Receipt] = ()
) -> dict[str, int]:
    """Units sold over what was physically there, by item; items with none are left out."""
    return dict(judged(logs, physical, receipts).oversold)
