"""Counts: what is there, as of a moment, with the orders up to a moment in it already.

- A *physical* number says which units were there. On hand becomes the number, and what has changed on hand since.
- An *available* number says which units were not promised yet. On hand becomes the number, what is withheld, what is
  still promised to orders placed up to that moment, and what has changed since.

"Since" is meant twice: of orders, what was shipped and came back after the moment they were counted up to; of all
else, what happened after the moment that the count speaks of. What is booked late but happened before is in the
count: it changes on hand no more (`counted_up_to`). A number that is available leaves out units that are still
promised; they are put back on hand, so a shipment of theirs must lower it, however early it turns out to have been.
That is why `counted_up_to` ends there before the first order that is still open.

Provisional reservations are taken for newer than any count: they stay on top, which is the safe side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.ledger import EntryKind
from channelsync.domain.quantities import PositionKey
from channelsync.store import counts
from channelsync.store.counts import CountOf, Promised
from channelsync.sync.setup import Setup
from channelsync.sync.stock import (
    By,
    Moves,
    Place,
    Refused,
    StockChanged,
    Worth,
    change_positions,
    happened,
    once,
    whole_units,
)

CountBasis = Literal["physical", "available"]

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Units at a position, as of a moment. orders_up_to: orders up to then are in it; never after `as_of`."""

    position: PositionKey
    units: int
    as_of: datetime
    orders_up_to: datetime
    reason: str = ""
    worth: Worth = field(default_factory=Worth)


def count(
    connection: Connection,
    setup: Setup,
    by: By,
    place: Place,
    units: int,
    *,
    as_of: datetime | None = None,
    orders_up_to: datetime | None = None,
) -> StockChanged:
    """Somebody counted what is physically there. as_of: when; None: now. orders_up_to: what left the place by then is
    not among the units; None: the same moment.

    Always leaves an entry, also where the count was as expected. Raises Refused: no number of units, a time to come,
    orders later than the count, a newer count.
    """
    whole_units(units, f"{place} is counted", least=0)
    one = count_of(by, place.key, units, as_of, orders_up_to)
    said = f"count {units} of {place}" + (f" as of {as_of.isoformat()}" if as_of else "")
    repeated = once(connection, by, said, [place.key])
    if repeated is not None:
        return repeated

    def decide(moves: Moves) -> None:
        refuse_if_counted_later(connection, [place], one.as_of)
        add_counts(connection, moves, [one], "physical", even_if_right=True)

    return change_positions(connection, setup, by, [place.key], decide)


def count_of(by: By, position: PositionKey, units: int, as_of: datetime | None, orders_up_to: datetime | None) -> Count:
    """A count with its times made plain. Raises Refused where they cannot be."""
    moment = happened(as_of, by)
    up_to = moment if orders_up_to is None else happened(orders_up_to, by)
    if up_to > moment:
        raise Refused(
            f"Orders cannot be counted up to {up_to.isoformat()}, later than the count itself, as of "
            f"{moment.isoformat()}."
        )
    return Count(position=position, units=units, as_of=moment, orders_up_to=up_to)


def counted_later(connection: Connection, moments: Sequence[tuple[PositionKey, datetime]]) -> list[str]:
    """What to say of each of these moments, in their order, where its position was counted as of a later one; else
    nothing."""
    if not moments:
        return []
    known = counts.counts_recorded_since(connection, min(moment for _, moment in moments))
    return [
        f"it was counted as of {known[position].isoformat()}, later than {moment.isoformat()}, and the count holds"
        if position in known and known[position] > moment
        else ""
        for position, moment in moments
    ]


def refuse_if_counted_later(connection: Connection, places: Sequence[Place], at: datetime) -> None:
    """What happened before a count is in the count. Raises Refused."""
    for place, later in zip(places, counted_later(connection, [(place.key, at) for place in places]), strict=True):
        if later:
            raise Refused(f"{place}: {later}; nothing was changed.")


def add_counts(
    connection: Connection,
    moves: Moves,
    wanted: Sequence[Count],
    basis: CountBasis,
    *,
    even_if_right: bool = False,
    promised: Mapping[PositionKey, Promised] | None = None,
) -> list[Count]:
    """Adds the adjustments that counts ask for, each position once at most, and says what is counted up to when.

    even_if_right: an entry also where nothing is to be adjusted. promised: what numbers that are available leave out;
    None: all that is promised to orders placed up to the moment. Returns the counts that were right already.
    """
    right: list[Count] = []
    taken: list[CountOf] = []
    for (as_of, up_to), alike in _by_moments(wanted).items():
        since = _Since.read(connection, alike, as_of, up_to, basis, promised)
        for one in alike:
            before = moves.at(one.position)
            missing = since.on_hand(one, before.withheld) - before.on_hand
            if missing or even_if_right:
                reason = one.reason or moves.by.reason
                told = f"counted {one.units} {basis}{': ' if reason else ''}{reason}"
                cause = replace(moves.by, reason=told).cause()
                moves.add(one.position, EntryKind.ADJUST, at=one.as_of, worth=one.worth, on_hand=missing, cause=cause)
            if not missing:
                right.append(one)
                moves.stated.add(one.position)
            taken.append(CountOf(one.position, as_of, before.counted_up_to, since.counted_up_to(one)))
    counts.set_counted_up_to(connection, {one.position: one.up_to for one in taken if one.up_to != one.was})
    counts.record_counts(connection, moves.by.run, taken, moves.by.now)
    return right


def number_now(
    connection: Connection,
    basis: CountBasis,
    asked: Iterable[Count],
    booked: Mapping[PositionKey, tuple[int, int]],
) -> dict[PositionKey, int]:
    """The number that a count of each of these positions must say to find everything as it is booked.

    asked: at which moments; their units say nothing. booked: on hand and withheld.
    """
    numbers: dict[PositionKey, int] = {}
    for (as_of, up_to), alike in _by_moments([replace(one, units=0) for one in asked]).items():
        since = _Since.read(connection, alike, as_of, up_to, basis, None)
        for one in alike:
            on_hand, withheld = booked[one.position]
            numbers[one.position] = on_hand - since.on_hand(one, withheld)
    return numbers


@dataclass(frozen=True, slots=True)
class _Since:
    """What has changed since counts of one moment. promised: only where the numbers leave promised units out."""

    changed: Mapping[PositionKey, int]
    promised: Mapping[PositionKey, Promised]
    basis: CountBasis

    @classmethod
    def read(
        cls,
        connection: Connection,
        alike: Sequence[Count],
        as_of: datetime,
        up_to: datetime,
        basis: CountBasis,
        promised: Mapping[PositionKey, Promised] | None,
    ) -> _Since:
        items = {one.position.item for one in alike}
        if basis == "physical":
            return cls(counts.on_hand_since(connection, items, as_of, up_to), {}, basis)
        held = counts.promised_to_orders(connection, items, up_to) if promised is None else promised
        return cls(counts.for_sale_since(connection, items, as_of, up_to), held, basis)

    def on_hand(self, one: Count, withheld: int) -> int:
        """What is on hand now, if the count was right."""
        units = one.units + self.changed.get(one.position, 0)
        if self.basis == "physical":
            return units
        promised = self.promised.get(one.position)
        return units + withheld + (promised.units if promised else 0)

    def counted_up_to(self, one: Count) -> datetime:
        """Shipments and returns up to this moment are in on hand; see the module's first lines."""
        promised = self.promised.get(one.position)
        return min(one.orders_up_to, promised.since - _JUST_BEFORE) if promised else one.orders_up_to


def _by_moments(wanted: Iterable[Count]) -> dict[tuple[datetime, datetime], list[Count]]:
    alike: dict[tuple[datetime, datetime], list[Count]] = {}
    for one in wanted:
        alike.setdefault((one.as_of, one.orders_up_to), []).append(one)
    return alike
