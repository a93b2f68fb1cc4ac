"""Proof of the stock: everything that is cached is computed again from the ledger, and differences are named.

Checked: every chain of entries, every position, every reservation, the reserved units of every position, the booked
legs of every order, every provisional row, the order of the writes of every key, and that merged items hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.booked import BookedOrder
from channelsync.domain.errors import BrokenChain
from channelsync.domain.ledger import LedgerEntry, entry_id, replay
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.stories import reservation_id
from channelsync.store import proof
from channelsync.store.proof import OpenUnits, OrderAsBooked, StoredEntry

About = Literal["position", "reservation", "order", "provisional row", "quantity key", "item"]

# A ledger that was damaged in one place is damaged in few; more than this says nothing new.
PROBLEMS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that does not add up. subject: which position, reservation, order, row or key. what: one sentence."""

    about: About
    subject: str
    what: str


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was verified. entries and the like: how many were looked at.

    problems: at most PROBLEMS_MAX of them; not_shown: how many more there are.
    """

    entries: int = 0
    positions: int = 0
    reservations: int = 0
    orders: int = 0
    provisional_rows: int = 0
    writes: int = 0
    problems: list[Problem] = field(default_factory=list)
    not_shown: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything adds up."""
        return not self.problems


def verify(connection: Connection) -> Verification:
    """Verifies the whole database; changes nothing.

    Run it as `database.query(verify, snapshot=True)`: without a snapshot, what others write meanwhile looks wrong.
    """
    proof_of = _Proof(connection=connection, skus=proof.sku_by_item(connection))
    proof_of.positions()
    proof_of.reservations()
    proof_of.orders()
    proof_of.provisional_rows()
    proof_of.writes()
    proof_of.merged_items()
    return proof_of.done


@dataclass(slots=True, kw_only=True)
class _Proof:
    """One verification on its way. skus: the SKU of every item, to name things by."""

    connection: Connection
    skus: Mapping[str, str]
    done: Verification = field(default_factory=Verification)

    def positions(self) -> None:
        """Every chain is replayed, and gives the position that is cached."""
        cached = proof.all_positions(self.connection)
        self.done.positions = len(cached)
        for key, stored in groupby(proof.entries_in_order(self.connection), key=lambda entry: entry.position):
            replayed = self._replay(key, _Chain(stored))
            position = cached.pop(key, None)
            if position is None:
                self._wrong("position", self._place(key), "has entries in the ledger, but no row.")
            elif replayed is not None:
                self._compare(position, replayed)
        for key, position in cached.items():
            self._compare(position, Position(key=key))

    def _replay(self, key: PositionKey, chain: _Chain) -> Position | None:
        """The position that a chain makes; None where it is broken, which is taken down."""
        replayed = None
        try:
            replayed = replay(key, chain)
        except BrokenChain as error:
            self._wrong("position", self._place(key), str(error).removeprefix(f"{key.item} at {key.location}: "))
        if chain.wrong:
            self._wrong("position", self._place(key), chain.wrong)
        self.done.entries += chain.count()
        return None if chain.wrong else replayed

    def _compare(self, position: Position, replayed: Position) -> None:
        names = ("on_hand", "reserved", "withheld", "entries", "head")
        wrong = [name for name in names if getattr(position, name) != getattr(replayed, name)]
        if wrong:
            says = ", ".join(f"{name.replace('_', ' ')} {getattr(position, name) or 'none'}" for name in wrong)
            make = ", ".join(f"{name.replace('_', ' ')} {getattr(replayed, name) or 'none'}" for name in wrong)
            self._wrong("position", self._place(position.key), f"its row says {says}; its entries make {make}.")

    def reservations(self) -> None:
        """Every reservation is the sum of its entries, and every position's reserved that of its reservations."""
        self.done.reservations = proof.count_of(self.connection, "reservation")
        for units in proof.reservations_that_differ(self.connection):
            row = "there is no row of it" if units.row is None else f"its row says {units.row} units are open"
            self._wrong("reservation", self._named(units), f"{row}, its entries make {units.entries}.")
        for one in proof.positions_that_differ(self.connection):
            row = "there is no row of it" if one.row is None else f"its row says {one.row} units are reserved"
            self._wrong("position", self._place(one.position), f"{row}, its reservations hold {one.reservations}.")

    def orders(self) -> None:
        """Every open unit of an order is reserved, and every unit reserved for an order is open in it."""
        for page in proof.booked_orders_by_page(self.connection):
            self.done.orders += len(page)
            for channel, orders in groupby(page, key=lambda order: order.channel):
                self._orders_of(channel, list(orders))
        for units in proof.open_without_order(self.connection):
            self._wrong(
                "reservation", self._named(units), f"it holds {units.row} units for an order that is not there."
            )

    def _orders_of(self, channel: str, orders: list[OrderAsBooked]) -> None:
        held = proof.open_by_order(self.connection, channel, [order.order for order in orders])
        unread = set()
        for order in orders:
            if order.booked is None:
                unread.add(order.order)
                what = f"what was booked of it cannot be read: {order.wrong}"
                self._wrong("order", f"{order.order} on {channel}", what)
            else:
                self._legs(order.booked, held)
        for units in held.values():
            if units.row and units.order not in unread:
                what = f"{units.row} units are reserved in {self._named(units)}, which are not open in it."
                self._wrong("order", f"{units.order} on {channel}", what)

    def _legs(self, order: BookedOrder, held: dict[str, OpenUnits]) -> None:
        """Compares an order's legs with its reservations, and takes those off `held`."""
        subject = f"{order.order} on {order.channel}"
        for name, (position, wanted) in _expected(order).items():
            units = held.pop(name, None)
            has = units.row if units else 0
            place = self._place(position)
            if has != wanted:
                self._wrong("order", subject, f"{wanted} units of it are open at {place}, {has} are reserved.")
            elif units and units.position != position:
                self._wrong("order", subject, f"is served from {place}, but reserved in {self._named(units)}.")

    def provisional_rows(self) -> None:
        """Every open unit of a provisional row is reserved, and the other way round."""
        self.done.provisional_rows = proof.count_of(self.connection, "provisional")
        held = proof.open_provisional_reservations(self.connection)
        for row in proof.open_provisional_rows(self.connection):
            for item, each in row.takes:
                units = held.pop(entry_id(row.id, item), None)
                has = units.row if units else 0
                if has != row.open * each:
                    where = self._place(PositionKey(item, row.location))
                    what = f"it holds {row.open * each} units at {where}, {has} are reserved."
                    self._wrong("provisional row", f"{row.id} of key {row.key}", what)
        for units in held.values():
            what = f"it holds {units.row} units for a provisional row that is not open."
            self._wrong("reservation", self._named(units), what)

    def writes(self) -> None:
        """No write of an older generation left after a newer one."""
        self.done.writes = proof.count_of(self.connection, "quantity_write")
        for write in proof.writes_out_of_order(self.connection):
            what = (
                f"generation {write.generation} was written, but its row does not know of it."
                if write.newer is None
                else f"generation {write.generation} left at {write.sent}, after generation {write.newer} at "
                f"{write.newer_sent}; or the clocks of two machines differ."
            )
            self._wrong("quantity key", f"{write.key} ({write.channel} listing {write.listing})", what)

    def merged_items(self) -> None:
        """What was merged into another item has no units of its own any more."""
        for sku, became, position in proof.merged_items_with_units(self.connection):
            what = (
                f"was merged into {became}, but {position.key.location} still has {position.on_hand} on hand, "
                f"{position.reserved} reserved and {position.withheld} withheld of it; run "
                f"`channelsync items merge {sku} {became}` again."
            )
            self._wrong("item", sku, what)

    def _wrong(self, about: About, subject: str, what: str) -> None:
        if len(self.done.problems) < PROBLEMS_MAX:
            self.done.problems.append(Problem(about=about, subject=subject, what=what))
        else:
            self.done.not_shown += 1

    def _named(self, units: OpenUnits) -> str:
        told = f"{units.id} ({self._place(units.position)}"
        return f"{told}, order {units.order} on {units.channel})" if units.order else f"{told})"

    def _place(self, key: PositionKey) -> str:
        return f"{self.skus.get(key.item, key.item)} at {key.location}"


class _Chain:
    """The entries of one position, counted, up to the first that cannot be one."""

    def __init__(self, stored: Iterator[StoredEntry]) -> None:
        self._stored = stored
        self._seen = 0
        self.wrong = ""

    def __iter__(self) -> Iterator[LedgerEntry]:
        for one in self._stored:
            self._seen += 1
            if one.entry is None:
                self.wrong = f"entry {one.number} cannot be an entry: {one.wrong}"
                return
            yield one.entry

    def count(self) -> int:
        """How many entries there are, those behind a broken one included."""
        return self._seen + sum(1 for _ in self._stored)


def _expected(order: BookedOrder) -> dict[str, tuple[PositionKey, int]]:
    """What an order's legs should have reserved: reservation id -> (where, base units)."""
    return {
        reservation_id(order.channel, order.order, line.line, leg.number, item): (
            PositionKey(item, leg.location),
            leg.open * each,
        )
        for line in order.lines
        for leg in line.legs
        for item, each in leg.takes
    }
