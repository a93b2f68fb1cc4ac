"""Orders and provisional rows that take units of one item, made to take those of another; pure.

A booked order names items: what its lines are, and what their legs take. When an item becomes another one, both must
follow, or a later shipment would lower a position that holds nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.sourcing import Composition
from channelsync.domain.stories import reservation_id


@dataclass(frozen=True, slots=True)
class HeldUnits:
    """Base units that one leg of an order holds, and the names of its reservations before and after."""

    channel: str
    order: str
    line: str
    location: str
    units: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class OldLine:
    """What a line was before: sold, whether it was sold as the item; legs: number -> what the leg took."""

    sold: bool
    legs: Mapping[int, Composition]


@dataclass(frozen=True, slots=True)
class Redirected:
    """An order after it was made to take another item. held: units that move between reservations.

    was: by line id, of the lines that changed. doubled: lines of which two legs are alike now, so that they could not
    be told apart any more.
    """

    order: BookedOrder
    held: tuple[HeldUnits, ...]
    was: Mapping[str, OldLine]
    doubled: tuple[str, ...] = ()


def redirected(order: BookedOrder, source: str, target: str) -> Redirected:
    """The order with everything that named one item naming another."""
    held: list[HeldUnits] = []
    was: dict[str, OldLine] = {}
    doubled: list[str] = []
    lines: list[BookedLine] = []
    for line in order.lines:
        sold = line.sold is not None and line.sold.item == source
        changed = {leg.number: leg.takes for leg in line.legs if source in dict(leg.takes)}
        if not sold and not changed:
            lines.append(line)
            continue
        was[line.line] = OldLine(sold, changed)
        held += [_held(order, line, leg, source, target) for leg in line.legs if leg.number in changed and leg.open]
        legs = tuple(replace(leg, takes=taking(leg.takes, source, target)) for leg in line.legs)
        if len({(leg.location, leg.takes) for leg in legs}) < len(legs):
            doubled.append(line.line)
        lines.append(
            replace(line, legs=legs, sold=replace(line.sold, item=target) if sold and line.sold else line.sold)
        )
    return Redirected(replace(order, lines=tuple(lines)), tuple(held), was, tuple(doubled))


def taken_back(order: BookedOrder, was: Mapping[str, OldLine], source: str, target: str) -> Redirected:
    """Undoes `redirected` on an order that may have gone on since: legs that still are as it left them take what they
    took before; legs that are new since keep what they take."""
    held: list[HeldUnits] = []
    lines: list[BookedLine] = []
    for line in order.lines:
        old = was.get(line.line)
        if old is None:
            lines.append(line)
            continue
        legs = []
        for leg in line.legs:
            before = old.legs.get(leg.number)
            if before is None or taking(before, source, target) != leg.takes:
                legs.append(leg)
                continue
            restored = replace(leg, takes=before)
            if leg.open:
                held.append(_held(order, line, restored, source, target))
            legs.append(restored)
        sold = line.sold
        if old.sold and sold is not None and sold.item == target:
            sold = replace(sold, item=source)
        lines.append(replace(line, legs=tuple(legs), sold=sold))
    return Redirected(replace(order, lines=tuple(lines)), tuple(held), {})


def taking(takes: Composition, source: str, target: str) -> Composition:
    """The composition with one item's units counted as another's."""
    units: dict[str, int] = {}
    for item, each in takes:
        name = target if item == source else item
        units[name] = units.get(name, 0) + each
    return tuple(sorted(units.items()))


def _held(order: BookedOrder, line: BookedLine, leg: Leg, source: str, target: str) -> HeldUnits:
    """The units of `source` that a leg holds, which takes it still."""
    channel, name = order.channel, order.order
    return HeldUnits(
        channel=channel,
        order=name,
        line=line.line,
        location=leg.location,
        units=leg.open * dict(leg.takes)[source],
        source=reservation_id(channel, name, line.line, leg.number, source),
        target=reservation_id(channel, name, line.line, leg.number, target),
    )
