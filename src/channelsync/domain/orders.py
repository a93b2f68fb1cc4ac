"""An order as a channel tells it: a snapshot of the whole, never an event.

Webhook, poll, replay and audit all hand over the channel's whole present order, so duplicates, disorder, loss and
lateness need no special case. Nothing about the buyer is in here: connectors drop it in translation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from channelsync.domain.errors import BadOrder
from channelsync.domain.ledger import joined

# More units than any order line can mean; a larger number is a broken field, not a customer.
UNITS_MAX = 1_000_000_000
_LATEST = datetime.max.replace(tzinfo=UTC)


class OrderStatus(StrEnum):
    """What the order is to us; each channel's own words are translated into these.

    PENDING reserves as OPEN does (any order seen reserves, whatever its payment status), but has a time limit.
    CLOSED: everything was shipped, cancelled or written off. CANCELLED: nothing more will be shipped.
    """

    PENDING = "pending"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Units of an order line that something happened to.

    units: of the listing (packs, bundles). at: the channel's time; None where the channel does not say.
    location: our location, where the channel names the one that it happened at; None: where the units were reserved.
    """

    units: int
    at: datetime | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One line of an order, with all that has happened to it so far. Units are those of the listing.

    line: the channel's id of the line, unique within the order.
    listing: the channel's id of the listing that was bought; None where the channel gives only a SKU.
    sku: as the channel shows it; None when blank.
    ordered: units wanted now, edits included.
    cancelled: will not be shipped and are free again. lost: will not be shipped and do not come back for sale
        (a refund without restock of unshipped units).
    returned: came back and may be sold again. withheld: came back, but not for sale.
    location: our location that the channel has assigned; None: we choose.
    """

    line: str
    ordered: int
    listing: str | None = None
    sku: str | None = None
    cancelled: tuple[Moved, ...] = ()
    lost: tuple[Moved, ...] = ()
    shipped: tuple[Moved, ...] = ()
    returned: tuple[Moved, ...] = ()
    withheld: tuple[Moved, ...] = ()
    location: str | None = None

    def __post_init__(self) -> None:
        if not self.line:
            raise BadOrder(f"A line of {self.sku or self.listing} has no id.")
        moved = (*self.cancelled, *self.lost, *self.shipped, *self.returned, *self.withheld)
        for units in (self.ordered, *(m.units for m in moved)):
            if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= UNITS_MAX:
                raise BadOrder(f"Line {self.line} ({self.sku or self.listing}): {units!r} is no number of units.")
        if "" in (self.location, *(m.location for m in moved)):
            raise BadOrder(f"Line {self.line} ({self.sku or self.listing}): a location without a name; say None.")
        for at in (m.at for m in moved):
            if at is not None and at.tzinfo is None:
                raise BadOrder(f"Line {self.line} ({self.sku or self.listing}): the time {at} has no time zone.")

    @property
    def to_ship(self) -> int:
        """Units still to be shipped, never below 0."""
        return max(0, self.ordered - total(self.cancelled) - total(self.lost) - total(self.shipped))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSnapshot:
    """A channel's whole order at one moment.

    order: the channel's id. version: the channel's own time of the last change; an older snapshot than the one
    booked is ignored. placed_at, cancelled_at: the channel's times; None: not (yet), or not told.
    deducted_at: when the channel took the order's units off its number, where it does so neither with the order nor at
    shipment (`Deducts.AS_TOLD`); None: not (yet), or it is no channel of that kind.
    """

    order: str
    version: datetime
    placed_at: datetime
    status: OrderStatus
    lines: tuple[OrderLine, ...]
    deducted_at: datetime | None = None
    cancelled_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.order:
            raise BadOrder("An order without an id.")
        if not self.lines:
            raise BadOrder(f"Order {self.order} has no lines.")
        names = [line.line for line in self.lines]
        if len(set(names)) != len(names):
            raise BadOrder(f"Order {self.order} has two lines of one id: {sorted(names)}.")
        for at in (self.version, self.placed_at, self.deducted_at, self.cancelled_at):
            if at is not None and at.tzinfo is None:
                raise BadOrder(f"Order {self.order}: the time {at} has no time zone.")

    def to_ship(self, line: OrderLine) -> int:
        """Units of one of its lines still to be shipped: none once the order is cancelled."""
        return 0 if self.status is OrderStatus.CANCELLED else line.to_ship

    def cancelled(self, line: OrderLine) -> int:
        """Units of one of its lines that are cancelled: once the order is, also all that were to be shipped."""
        return total(line.cancelled) + line.to_ship - self.to_ship(line)

    @property
    def content(self) -> str:
        """A digest of everything it says: two snapshots of one version with other content are told apart by it.

        The order in which the channel lists lines and their moves, and the time zone it writes, say nothing.
        """
        fields = [self.order, self.status.value]
        fields += [_instant(at) for at in (self.version, self.placed_at, self.deducted_at, self.cancelled_at)]
        for line in sorted(self.lines, key=lambda each: each.line):
            fields += ["line", line.line, _text(line.listing), _text(line.sku), _text(line.location), str(line.ordered)]
            for moved in (line.cancelled, line.lost, line.shipped, line.returned, line.withheld):
                fields.append(str(len(moved)))
                if moved:
                    fields += sorted(f"{m.units} {_instant(m.at)} {_text(m.location)}" for m in moved)
        return hashlib.sha256(joined(fields)).hexdigest()[:32]


def total(moved: tuple[Moved, ...]) -> int:
    """The units of all of them."""
    return sum(m.units for m in moved)


def units_at(moved: Iterable[Moved]) -> dict[str | None, int]:
    """Their units by location; None: where the channel does not tell."""
    units: dict[str | None, int] = {}
    for one in moved:
        units[one.location] = units.get(one.location, 0) + one.units
    return units


def oldest(moved: Iterable[Moved], units: int) -> tuple[Moved, ...]:
    """The first of them in time, up to so many units; those without a time come last."""
    return _first(sorted(moved, key=_age), units)


def newest(moved: Iterable[Moved], units: int, location: str | None = None) -> tuple[Moved, ...]:
    """The last of them in time at a location (None: at no location that is told), up to so many units."""
    there = (one for one in moved if one.location == location)
    return _first(sorted(there, key=_age, reverse=True), units)[::-1]


def last_time(moved: tuple[Moved, ...]) -> datetime | None:
    """The latest of their times; None where none is told."""
    return max((m.at for m in moved if m.at is not None), default=None)


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def _text(text: str | None) -> str:
    """None and an empty text say different things."""
    return "none" if text is None else f"={text}"


def _age(moved: Moved) -> tuple[bool, datetime, str]:
    return moved.at is None, moved.at or _LATEST, moved.location or ""


def _first(moved: Iterable[Moved], units: int) -> tuple[Moved, ...]:
    taken = []
    for one in moved:
        n = min(one.units, units)
        if n > 0:
            taken.append(one if n == one.units else replace(one, units=n))
            units -= n
    return tuple(taken)
