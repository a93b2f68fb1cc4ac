"""The pieces that booking is made of: what happens to units of a leg, the movements it makes, and the leg after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from channelsync.domain.booked import BookedLine, Leg
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey

Gone = Literal["shipped", "lost"]
Ended = Literal["shipped", "lost", "released"]
Counted = Literal["shipped", "lost", "returned", "withheld"]


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to units, and the signs with which it changes on hand, reserved and withheld.

    happened: the moment that decides whether a count has seen it; None: `at`. For what is taken back it is the last
    moment at which it can have happened.
    """

    kind: EntryKind
    at: datetime
    reason: str
    on_hand: int = 0
    reserved: int = 0
    withheld: int = 0
    happened: datetime | None = None


def reservation_id(channel: str, order: str, line: str, leg: int, item: str) -> str:
    """The name of the reservation that one leg holds on one item."""
    return entry_id("reservation", channel, order, line, leg, item)


def cause_of(channel: str, order: str, line: str, run: str, reason: str) -> Cause:
    """The cause of what a channel's order line does."""
    return Cause(actor=f"order:{channel}", run=run, reason=reason, channel=channel, order=order, line=line)


def movements_of(
    leg: Leg, units: int, story: Story, cause: Cause, tag: str, counted_up_to: Mapping[PositionKey, datetime]
) -> list[Movement]:
    """One movement per item that the leg takes; none for 0 units. tag: unique for all else that makes the id."""
    if not units:
        return []
    made = []
    for item, each in leg.takes:
        position = PositionKey(item, leg.location)
        counted = counted_up_to.get(position)
        seen = counted is not None and (story.happened or story.at) <= counted
        made.append(
            Movement(
                id=entry_id(cause.channel, cause.order, cause.line, leg.number, item, leg.location, tag, story.kind),
                position=position,
                kind=story.kind,
                on_hand=0 if seen else story.on_hand * units * each,
                reserved=story.reserved * units * each,
                withheld=story.withheld * units * each,
                at=story.at,
                cause=cause,
                reservation=reservation_id(cause.channel, cause.order, cause.line, leg.number, item),
            )
        )
    return made


def changed(leg: Leg, name: Ended | Counted, units: int) -> Leg:
    """The leg with more (or, below 0, fewer) units of one kind."""
    match name:
        case "shipped":
            return replace(leg, shipped=leg.shipped + units)
        case "lost":
            return replace(leg, lost=leg.lost + units)
        case "released":
            return replace(leg, released=leg.released + units)
        case "returned":
            return replace(leg, returned=leg.returned + units)
        case "withheld":
            return replace(leg, withheld=leg.withheld + units)


def at_location(state: BookedLine, name: Counted, where: str) -> int:
    """Units of one kind over all legs of a line at one location."""
    return sum(getattr(leg, name) for leg in state.legs if leg.location == where)
