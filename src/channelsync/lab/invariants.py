"""What must always hold, as pure checks of plain facts: each returns what it found wrong, nothing when all is well.

The numbers are those of the publishing rules, section 8. What raises may exceed (the fourth) is in
`invariants_raises`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channelsync.domain.booked import BookedOrder
from channelsync.domain.provisional import Provisional
from channelsync.domain.quantities import PositionKey
from channelsync.lab.marketplace_values import Violation
from channelsync.lab.simulation_watch import Name, Sent

_ROUNDED = 0.0005
"""Units by which a marketplace that tells its budget in thousandths may overstate it."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that must never be. invariant: its number, or "budget". what: one sentence with the facts."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"invariant {self.invariant}: {self.what}"


def reserved_is_explained(
    reserved: Mapping[PositionKey, int], orders: Iterable[BookedOrder], rows: Iterable[Provisional]
) -> list[Breach]:
    """Invariant 1: the reserved units of every position are those of open order lines and open provisional rows."""
    explained: dict[PositionKey, int] = {}

    def hold(item: str, location: str, units: int) -> None:
        key = PositionKey(item, location)
        explained[key] = explained.get(key, 0) + units

    for order in orders:
        for leg in (leg for line in order.lines for leg in line.legs):
            for item, each in leg.takes:
                hold(item, leg.location, leg.open * each)
    for row in rows:
        for item, each in row.takes:
            hold(item, row.location, row.open * each)
    return [
        Breach(
            "1",
            f"{key.item} at {key.location} has {reserved.get(key, 0)} units reserved; open orders and provisional "
            f"rows explain {explained.get(key, 0)}",
        )
        for key in sorted({*reserved, *explained})
        if reserved.get(key, 0) != explained.get(key, 0)
    ]


def generations_in_order(sent: Iterable[Sent]) -> list[Breach]:
    """Invariant 2: no write of an older generation leaves after a newer one; sent again, a write says the same."""
    last: dict[Name, Sent] = {}
    breaches = []
    for write in sent:
        before = last.get(write.key)
        if before is not None and write.generation < before.generation:
            breaches.append(
                Breach(
                    "2",
                    f"{write.key}: generation {write.generation} left at {write.at}, after generation "
                    f"{before.generation} at {before.at}",
                )
            )
        if before is not None and write.generation == before.generation and write.number != before.number:
            breaches.append(
                Breach("2", f"{write.key}: generation {write.generation} said {before.number}, then {write.number}")
            )
        last[write.key] = write
    return breaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a marketplace shows in truth, and what it should. excused: why we may not write it; empty: we may."""

    key: Name
    shown: int
    should: int
    excused: str = ""


def shows_what_it_should(shown: Iterable[Shown]) -> list[Breach]:
    """Invariant 3: in the end every key that policy lets us write shows its target."""
    return [
        Breach("3", f"{one.key} shows {one.shown} in the end, and should show {one.should}")
        for one in shown
        if one.shown != one.should and not one.excused
    ]


def units_are_true(ours: Mapping[str, int], truth: Mapping[str, int]) -> list[Breach]:
    """Invariant 3: in the end what we take to be available of every SKU is what the referee says is left."""
    return [
        Breach("3", f"we say {ours.get(sku, 0)} units of {sku} are available, and {truth.get(sku, 0)} are")
        for sku in sorted({*ours, *truth})
        if ours.get(sku, 0) != truth.get(sku, 0)
    ]


def rows_within_limit(rows: Iterable[Provisional], now: datetime, limits: Mapping[int, timedelta]) -> list[Breach]:
    """Invariant 3: no provisional row is older than its limit. limits: by key, from the end of a row's window on."""
    return [
        Breach("3", f"a provisional row of key {row.key} still holds {row.open} units, found at {row.found_at}")
        for row in rows
        if row.open and now > row.window_to + limits[row.key]
    ]


def budget_is_kept(violations: Mapping[str, Sequence[Violation]]) -> list[Breach]:
    """Never more calls than a channel's budget: the marketplaces' own log of what they could not pay for.

    A marketplace tells what is left in thousandths: what it overstated by rounding is its own affair.
    """
    return [
        Breach("budget", f"{name}: {one.endpoint} at {one.at} cost {one.cost:g}, {one.left:g} were left ({one.budget})")
        for name, found in sorted(violations.items())
        for one in found
        if one.cost - one.left > _ROUNDED
    ]
