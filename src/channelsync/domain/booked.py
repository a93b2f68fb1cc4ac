"""What we have booked of an order: its lines, where their units come from, and how far each unit has got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from channelsync.domain.orders import OrderStatus
from channelsync.domain.sourcing import Composition, SoldAs


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The part of an order line that one location serves in one composition. Units are those of the line.

    Its reservations are one per item in `takes`: units x base units each. A unit ends once: shipped, released,
    expired or lost; open = reserved and not ended. returned: came back to this location, set aside or not; those
    that were shipped from another one are counted where they came back to. withheld: of the returned ones, those that
    are not for sale.
    """

    number: int
    location: str
    takes: Composition
    open: int = 0
    shipped: int = 0
    released: int = 0
    expired: int = 0
    lost: int = 0
    returned: int = 0
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedLine:
    """What we have booked of one line so far.

    sold: None until the listing is mapped; until then the line has no legs and waits.
    deducted, given_back: how far the line has moved the channel's own number (see `effects`), units of the line.
    """

    line: str
    sold: SoldAs | None = None
    legs: tuple[Leg, ...] = ()
    deducted: int = 0
    given_back: int = 0

    def sum(self, what: Literal["open", "shipped", "lost", "returned", "withheld"]) -> int:
        """Units over all legs; returned ones include those that were set aside."""
        return sum(getattr(leg, what) for leg in self.legs)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedOrder:
    """What we have booked of one order. A tombstone (order seen first as cancelled) has lines without legs.

    bookings: how many snapshots made it. Entry ids carry it, so that a content which comes back (two snapshots of one
    version that keep replacing one another) is a change of its own.
    """

    channel: str
    order: str
    version: datetime
    content: str
    status: OrderStatus
    lines: tuple[BookedLine, ...] = ()
    bookings: int = 0
