"""What is at a place: the position of one item at one location."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class PositionKey(NamedTuple):
    """One item at one location. Sorts by item, then location: the order in which locks are taken."""

    item: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The sums of one item at one location, in base units.

    on_hand: units physically there. Below 0 only while a count is overdue: more was shipped than was known.
    reserved: promised to placed, unshipped orders and to provisional reservations. Never below 0.
    withheld: on hand, but not for sale (damaged, quality control, set aside). Never below 0.
    counted_up_to: shipments and returns up to this moment are already in `on_hand` (a count, an import or a
        feed said so). None: every shipment counts.
    entries: how many ledger entries made these sums; the next entry has this number plus one.
    head: hash of the last entry, the link that the next one carries. Empty before the first.
    stated_by: the run in which somebody first said how many units there are; empty: nobody has. Orders do not say it,
        nor does what is read of a channel. What was said stays said, whatever becomes of it.
    """

    key: PositionKey
    on_hand: int = 0
    reserved: int = 0
    withheld: int = 0
    counted_up_to: datetime | None = None
    entries: int = 0
    head: str = ""
    stated_by: str = ""

    @property
    def available(self) -> int:
        """Units that may still be promised. Negative means oversold; it is never clamped away."""
        return self.on_hand - self.reserved - self.withheld
