"""Positions as the lines of a file of counts: what `stock export` writes, and `stock import` takes for true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.quantities import PositionKey
from channelsync.store import channels
from channelsync.store.positions_view import PositionsWanted, find_positions
from channelsync.sync.stock_count import Count, CountBasis, number_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One position. units: what is there, or is not promised, by its basis, with the orders up to a moment in it."""

    sku: str
    location: str
    units: int
    as_of: datetime
    orders_counted_up_to: datetime

    @property
    def countable(self) -> bool:
        """Whether a file may say it: nobody can count fewer than no units, so `stock import` takes none below 0."""
        return self.units >= 0


def exported(
    connection: Connection, modes: Mapping[str, str], wanted: PositionsWanted, basis: CountBasis, now: datetime
) -> list[Exported]:
    """The positions, by SKU and location, in numbers that change nothing when they are imported at once.

    Those of items of which nobody has said how many units there are have no number: a file would say it.
    modes: of the configured channels. Orders are counted up to where those of every channel that is not off were
    read: what left the place since then, and was not heard of yet, must still be taken off such a number.
    """
    heard_to = min(now, _orders_read_to(connection, modes) or now)
    found = list(find_positions(connection, replace(wanted, only_stated=True)))
    asked = {
        PositionKey(one.item, one.location): Count(
            position=PositionKey(one.item, one.location),
            units=0,
            as_of=now,
            orders_up_to=min(now, max(heard_to, one.counted_up_to or heard_to)),
        )
        for one in found
    }
    numbers = number_now(
        connection,
        basis,
        asked.values(),
        {PositionKey(one.item, one.location): (one.on_hand, one.withheld) for one in found},
    )
    return [
        Exported(
            sku=one.sku,
            location=one.location,
            units=numbers[PositionKey(one.item, one.location)],
            as_of=now,
            orders_counted_up_to=asked[PositionKey(one.item, one.location)].orders_up_to,
        )
        for one in found
    ]


def _orders_read_to(connection: Connection, modes: Mapping[str, str]) -> datetime | None:
    """Up to when the orders of all channels were read that are not off; None: none ever read any."""
    states = channels.channel_states(connection).values()
    read = [one.covered_to for one in states if one.name in modes and (one.mode or modes[one.name]) != "off"]
    return min((one for one in read if one is not None), default=None)
