"""What the tests of booking share: a small store in memory that refuses what the real one must never see."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.domain.booked import BookedOrder
from channelsync.domain.booking import Booking, Terms, book, expire
from channelsync.domain.bundles import Recipes
from channelsync.domain.effects import Effect, KeyMove, NumberBehaviour
from channelsync.domain.ledger import LedgerEntry, Movement, append, replay
from channelsync.domain.orders import OrderSnapshot
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import SoldAs

DAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


@dataclass
class Books:
    """Positions, ledger and booked orders of one channel, kept by `book` alone.

    sold: what every line means, by line id; a line that is missing means one unit of the item of its own name.
    """

    sold: dict[str, SoldAs] = field(default_factory=dict)
    unmapped: set[str] = field(default_factory=set)
    locations: Sequence[str] = ("here",)
    recipes: Recipes = field(default_factory=dict)
    behaviour: NumberBehaviour = field(default_factory=NumberBehaviour)
    key_of: Mapping[str, int] = field(default_factory=dict)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    entries: dict[PositionKey, list[LedgerEntry]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[str, BookedOrder] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    effects: list[Effect] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def hold(self, on_hand: int, item: str = "mug", location: str = "here", withheld: int = 0) -> None:
        """Says what is at a place before the story begins."""
        key = PositionKey(item, location)
        self.positions[key] = Position(key=key, on_hand=on_hand, withheld=withheld)

    def count(self, at: datetime, item: str = "mug", location: str = "here") -> None:
        """Says that on hand was counted at a moment."""
        key = PositionKey(item, location)
        self.positions[key] = replace(self.at(item, location), counted_up_to=at)

    def at(self, item: str = "mug", location: str = "here") -> Position:
        return self.positions.get(PositionKey(item, location)) or Position(key=PositionKey(item, location))

    def sums(self, item: str = "mug", location: str = "here") -> tuple[int, int, int]:
        """On hand, reserved and withheld."""
        position = self.at(item, location)
        return position.on_hand, position.reserved, position.withheld

    def take(self, snapshot: OrderSnapshot, *, settle: bool = False) -> Booking:
        """Books a snapshot as the store does: under a lock, in one transaction."""
        names = {line.line for line in snapshot.lines}
        booking = book(self.orders.get(snapshot.order), snapshot, self.terms(names, settle=settle))
        self.keep(booking)
        return booking

    def terms(self, lines: set[str], *, settle: bool = False) -> Terms:
        available: dict[str, dict[str, int]] = defaultdict(dict)
        for key, position in self.positions.items():
            available[key.location][key.item] = position.available
        mapped = lines - self.unmapped
        return Terms(
            channel="shop",
            sold={line: self.sold.get(line, SoldAs(line)) for line in mapped},
            locations=self.locations,
            available=available,
            recipes=self.recipes,
            counted_up_to={k: p.counted_up_to for k, p in self.positions.items() if p.counted_up_to},
            run="run-1",
            behaviour=self.behaviour,
            moves={line: [KeyMove(self.key_of[line])] for line in mapped & set(self.key_of)},
            settle=settle,
            withheld={key: position.withheld for key, position in self.positions.items()},
        )

    def lapse(self, order: str, at: datetime) -> Booking:
        booking = expire(self.orders[order], at=at, run="run-1", reason="pending too long")
        self.keep(booking)
        return booking

    def keep(self, booking: Booking) -> None:
        if booking.verdict != "booked" or booking.order is None:
            assert booking.movements == ()
            assert booking.effects == ()
            return
        self.orders[booking.order.order] = booking.order
        for movement in booking.movements:
            self.write(movement)
        names = [effect.id for effect in booking.effects]
        assert len(set(names)) == len(names)
        assert self.ids.isdisjoint(names), "an effect's id was used before: the store would drop it"
        self.ids.update(names)
        self.effects += booking.effects

    def write(self, movement: Movement) -> None:
        assert movement.id not in self.ids, "an entry's id was used before: the store would drop it"
        self.ids.add(movement.id)
        before = self.at(*movement.position)
        self.positions[movement.position], entry = append(before, movement, DAY + timedelta(days=1))
        self.entries[movement.position].append(entry)
        self.open[movement.reservation] += movement.reserved
        assert self.open[movement.reservation] >= 0, "a reservation ended twice"

    def check(self) -> None:
        """What holds after every booking: the ledger adds up, and reserved is what the orders' legs hold open."""
        held: dict[PositionKey, int] = defaultdict(int)
        for order in self.orders.values():
            for line in order.lines:
                for leg in line.legs:
                    assert min(leg.open, leg.shipped, leg.released, leg.expired, leg.lost, leg.returned) >= 0
                    for item, each in leg.takes:
                        held[PositionKey(item, leg.location)] += leg.open * each
                assert line.sum("returned") <= line.sum("shipped")
                assert all(0 <= leg.withheld <= leg.returned for leg in line.legs)
        for key in {*self.positions, *held}:
            assert self.at(*key).reserved == held[key], f"{key}: reserved is not what open legs hold"
        assert sum(self.open.values()) == sum(position.reserved for position in self.positions.values())

    def replayed(self, key: PositionKey) -> Position:
        """What the ledger alone says of a position that began empty."""
        return replay(key, self.entries[key])


@pytest.fixture
def make_books() -> Callable[..., Books]:
    """Builds books; for properties, which need fresh ones for every example."""
    return Books


@pytest.fixture
def books() -> Books:
    return Books()
