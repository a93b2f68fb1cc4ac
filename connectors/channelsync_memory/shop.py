"""A shop in this process: what the memory connector talks to. It sells by itself and keeps its own numbers.

Tests and trials drive it: `list_item` and `buy`, `ship`, `cancel`, and `trouble` for days on which nothing works.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channelsync.sdk.clock import Clock


class ShopBusy(Exception):
    """The shop takes no calls for now. wait: seconds that it asks for; None: it does not say."""

    def __init__(self, wait: float | None = None) -> None:
        super().__init__("the shop takes no calls for now")
        self.wait = wait


class ShopShut(Exception):
    """The shop does not let us in."""


class ShopSilent(Exception):
    """No answer came."""


class SoldOut(Exception):
    """A buyer wanted more units than the shop shows."""


@dataclass(slots=True)
class Item:
    """Something on the shelf. under_review: why its number cannot be changed; empty when it can.

    counted: whether the shop counts its units; one that it does not count it sells without end.
    """

    id: str
    sku: str
    number: int
    under_review: str = ""
    counted: bool = True


Happened = list[tuple[int, datetime]]
"""Units, and when."""


@dataclass(slots=True)
class SoldLine:
    """Units of one item in a sale."""

    id: str
    item: Item
    units: int
    shipped: Happened = field(default_factory=list)
    returned: Happened = field(default_factory=list)
    kept_back: Happened = field(default_factory=list)

    @property
    def open(self) -> int:
        """Units still to be shipped."""
        return self.units - sum(units for units, _ in self.shipped)


@dataclass(slots=True)
class Sale:
    """An order, as the shop keeps it. change: the number of its last change, counted over the whole shop."""

    id: str
    buyer: str
    lines: list[SoldLine]
    placed_at: datetime
    changed_at: datetime
    change: int
    cancelled_at: datetime | None = None


class Shop:
    """The shelf and the sales of one shop.

    trouble: raised by every call while it is set; with `does_it_first` only after the call was carried out.
    """

    def __init__(self, clock: Clock) -> None:
        self.items: dict[str, Item] = {}
        self.sales: dict[str, Sale] = {}
        self.trouble: Exception | None = None
        self.does_it_first = False
        self._clock = clock
        self._listed = 0
        self._changes = 0
        self._changed_at = clock.now()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around everything that is asked of the shop from outside."""
        if self.trouble is not None and not self.does_it_first:
            raise self.trouble
        yield
        if self.trouble is not None:
            raise self.trouble

    def changed_after(self, change: int) -> list[Sale]:
        """The sales that changed after this change, oldest change first."""
        return sorted((sale for sale in self.sales.values() if sale.change > change), key=lambda sale: sale.change)

    # What people do

    def list_item(self, sku: str, number: int) -> Item:
        """A new item on the shelf."""
        self._listed += 1
        item = Item(f"item-{self._listed}", sku, number)
        self.items[item.id] = item
        return item

    def remove(self, item: Item) -> None:
        """The item is taken off the shelf for good."""
        del self.items[item.id]

    def buy(self, *wanted: tuple[Item, int], buyer: str = "") -> Sale:
        """A buyer orders. Raises SoldOut, and sells nothing, when an item shows fewer units than wanted."""
        short = [item.sku for item, units in wanted if item.number < units]
        if short:
            raise SoldOut(f"fewer units are shown than wanted: {', '.join(short)}")
        name = f"sale-{len(self.sales) + 1}"
        lines = [SoldLine(f"{name}-{place}", item, units) for place, (item, units) in enumerate(wanted, 1)]
        for item, units in wanted:
            item.number -= units
        at = self._next_moment()
        self.sales[name] = Sale(name, buyer, lines, placed_at=at, changed_at=at, change=self._changes)
        return self.sales[name]

    def cancel(self, sale: Sale) -> None:
        """What was not shipped goes back on the shelf."""
        for line in sale.lines:
            line.item.number += line.open
        sale.cancelled_at = self._changed(sale)

    def edit(self, sale: Sale, units: int) -> None:
        """The first line asks for so many units now."""
        line = sale.lines[0]
        line.item.number += line.units - units
        line.units = units
        self._changed(sale)

    def ship(self, sale: Sale, units: int) -> None:
        """Units of the first line leave."""
        sale.lines[0].shipped.append((units, self._changed(sale)))

    def take_back(self, sale: Sale, units: int) -> None:
        """Shipped units of the first line come back and go on the shelf."""
        sale.lines[0].item.number += units
        sale.lines[0].returned.append((units, self._changed(sale)))

    def keep_back(self, sale: Sale, units: int) -> None:
        """Shipped units of the first line come back damaged, and stay off the shelf."""
        sale.lines[0].kept_back.append((units, self._changed(sale)))

    def _changed(self, sale: Sale) -> datetime:
        at = sale.changed_at = self._next_moment()
        sale.change = self._changes
        return at

    def _next_moment(self) -> datetime:
        """Now, but later than every change before."""
        self._changes += 1
        self._changed_at = max(self._clock.now(), self._changed_at + timedelta(microseconds=1))
        return self._changed_at


SHOPS: dict[str, Shop] = {}
"""The shops of this process, by name. A test puts its own here before it opens a channel."""
