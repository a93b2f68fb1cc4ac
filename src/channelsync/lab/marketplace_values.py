"""What a marketplace of the lab keeps: listings, orders, and the log of what truly happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple


class NumberKey(NamedTuple):
    """What one number is kept for. location is empty where there is one number for all."""

    key: str
    location: str = ""


class State(StrEnum):
    """Of a listing, in the marketplace's words."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ENDED = "ended"


OUT_OF_QUANTITY = "out of quantity"
SWITCHED_OFF = "switched off by the seller"
RECREATED = "ended, listed anew"
ENDED = "ended"

Takes = tuple[tuple[str, int], ...]
"""The lab's items in one unit of a listing: what a sale really takes. The marketplace's API never tells it."""


@dataclass(slots=True, kw_only=True)
class Offer:
    """A listing. Its numbers are in the marketplace's book, by key; `keys` is empty where its parts' keys count.

    parts: (listing id, units) of a bundle that the marketplace knows. takes: see `Takes`; empty where the SKU is the
    item. reasons: why it cannot be bought. page: the page that several listings are variations of, whose revisions are
    counted together; empty: there is none. own: False where the channel fulfils it with units that are not ours.
    """

    listing: str
    sku: str | None
    title: str = ""
    barcode: str | None = None
    site: str = ""
    price: Decimal = Decimal("9.99")
    keys: tuple[NumberKey, ...] = ()
    page: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    takes: Takes = ()
    state: State = State.ACTIVE
    reasons: list[str] = field(default_factory=list)
    tracked: bool = True
    sells_below_zero: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Happened:
    """Units of a line that something happened to, by the marketplace's clock."""

    units: int
    at: datetime
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A key that a line moves, and by how many of its units per unit of the line."""

    key: NumberKey
    units: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an order; units of the listing.

    location: where it ships from, told or not. moves: the keys behind it.
    deducted, given_back: how far it has lowered and raised its keys.
    """

    id: str
    listing: str
    sku: str | None
    title: str
    price: Decimal
    ordered: int
    location: str
    moves: tuple[Move, ...]
    cancelled: tuple[Happened, ...] = ()
    written_off: tuple[Happened, ...] = ()
    shipped: tuple[Happened, ...] = ()
    returned: tuple[Happened, ...] = ()
    quarantined: tuple[Happened, ...] = ()
    deducted: int = 0
    given_back: int = 0

    @property
    def open(self) -> int:
        """Units still to be shipped."""
        return self.ordered - units(self.cancelled) - units(self.written_off) - units(self.shipped)

    @property
    def away(self) -> int:
        """Units with the buyer."""
        return units(self.shipped) - units(self.returned) - units(self.quarantined)


class Status(StrEnum):
    """Of an order, in the marketplace's words."""

    AWAITING_PAYMENT = "awaiting_payment"
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it was after one change. updated_at is its version; all times are of the marketplace's clock."""

    id: str
    number: int
    site: str
    placed_at: datetime
    updated_at: datetime
    lines: tuple[Line, ...]
    status: Status = Status.OPEN
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None
    refunded: Decimal = Decimal("0.00")

    def line(self, line: str) -> Line:
        """The line of this id. KeyError when there is none."""
        for each in self.lines:
            if each.id == line:
                return each
        raise KeyError(f"order {self.id} has no line {line}")


def units(happened: Iterable[Happened]) -> int:
    """The units of all of them."""
    return sum(each.units for each in happened)


What = Literal[
    "sold", "cancelled", "written off", "shipped", "shipment taken back", "returned", "quarantined", "turned away"
]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that truly happened to units of an order line, or to a buyer. at: the lab's true time.

    takes: the items in one unit. order, line: empty for a buyer who was turned away before ordering.
    """

    at: datetime
    marketplace: str
    what: What
    units: int
    listing: str
    takes: Takes
    order: str = ""
    line: str = ""


Why = Literal["opened", "sold", "given back", "write", "human edit", "hold", "hold released", "dropped write"]


@dataclass(frozen=True, slots=True)
class NumberChange:
    """One change of a number, with its cause. at: the lab's true time; accepted: when a write came in."""

    at: datetime
    key: NumberKey
    before: int
    after: int
    why: Why
    accepted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """A call over the budget. at: the lab's true time. left: what the bucket, or the day, still held."""

    at: datetime
    account: str
    endpoint: str
    cost: float
    left: float
    budget: Literal["second", "day"]


Topic = Literal["order.created", "order.updated", "order.cancelled", "number.changed"]


@dataclass(frozen=True, slots=True)
class News:
    """Something that a webhook may tell. order: as it was then. number: of a key, as it was then."""

    topic: Topic
    at: datetime
    order: Order | None = None
    key: NumberKey | None = None
    number: int | None = None
