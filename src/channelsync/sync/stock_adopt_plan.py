"""What would be on hand if a channel's numbers were believed; pure.

A channel's number is what its buyers may still buy. The units of its own open orders are off that number and still on
the shelf, so they are put back: on hand = number x multiple + withheld + units of the channel's open orders that
lowered the number. Open orders of other channels did not lower it, and stay on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from channelsync.domain.booked import BookedLine

Status = Literal["adopt", "as it is", "listings disagree", "shows its cap", "has entries", "no number", "bundle"]

MEANING: dict[Status, str] = {
    "adopt": "on hand becomes what the channel says",
    "as it is": "on hand is what the channel says already",
    "listings disagree": "its listings on the channel say different things; --lowest takes the lowest",
    "shows its cap": "the channel shows no more than its cap, so there may be more; count it",
    "has entries": "it was received, counted or moved already; --overwrite counts it anew",
    "no number": "the channel tells no number that can be understood",
    "bundle": "a virtual bundle, whose number follows from its parts",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What one listing shows: `number` of packs of `multiple` base units. number None: it cannot be told.

    capped: the channel may mean more.
    """

    channel: str
    listing: str
    number: int | None
    multiple: int
    capped: bool = False

    def __str__(self) -> str:
        number = "?" if self.number is None else f"{self.number}{'+' if self.capped else ''}"
        return f"{self.listing}: {number}" + (f" x {self.multiple}" if self.multiple > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What we know of an item at the location. promised: units of open orders that are off the number already."""

    sku: str
    item: str
    on_hand: int
    withheld: int
    promised: int
    changed: int
    has_entries: bool
    virtual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRow:
    """What becomes of one item. units: what the channel says, in base units; None: it says nothing certain.

    promised: of open orders, put back. becomes: on hand afterwards; None: it stays. others: what other channels show
    that is not the same.
    """

    sku: str
    item: str
    shown: tuple[str, ...]
    units: int | None
    promised: int
    on_hand: int
    becomes: int | None
    others: tuple[str, ...]
    status: Status


def planned(
    known: Known, shown: Sequence[Shown], others: Sequence[Shown], *, overwrite: bool, lowest: bool
) -> AdoptRow:
    """What becomes of one item. shown: its listings on the channel, at least one; others: those on other channels."""
    told = [one for one in shown if one.number is not None]
    units = _agreed(told)
    if units is None and lowest and told:
        units = min(_low(one) for one in told)
    status: Status
    if known.virtual:
        status = "bundle"
    elif not told:
        status = "no number"
    elif units is None:
        status = "listings disagree"
    elif all(one.capped for one in told):
        status = "shows its cap"
    elif known.has_entries and not overwrite:
        status = "has entries"
    else:
        status = "adopt"
    becomes = None
    if status == "adopt" and units is not None:
        becomes = units + known.withheld + known.promised + known.changed
        status = "as it is" if becomes == known.on_hand else status
    return AdoptRow(
        sku=known.sku,
        item=known.item,
        shown=tuple(map(str, shown)),
        units=units,
        promised=known.promised,
        on_hand=known.on_hand,
        becomes=becomes,
        others=tuple(f"{one.channel} {one}" for one in others if units is None or not _may_mean(one, units)),
        status=status,
    )


def _agreed(told: Sequence[Shown]) -> int | None:
    """The units on which listings agree: one that shows 1 pack of 6 may mean 6 to 11 of them."""
    low = max((_low(one) for one in told), default=None)
    return low if low is not None and all(_may_mean(one, low) for one in told) else None


def _may_mean(one: Shown, units: int) -> bool:
    return one.number is not None and _low(one) <= units and (one.capped or units <= _low(one) + one.multiple - 1)


def _low(one: Shown) -> int:
    return (one.number or 0) * one.multiple


def off_the_number(line: BookedLine) -> int:
    """Of a line's open units those that the channel has taken off its number: a channel that deducts later, or never,
    shows them still."""
    gone = line.sum("shipped") + line.sum("lost")
    return max(0, min(line.sum("open"), line.deducted - gone))
