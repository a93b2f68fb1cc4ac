"""Units at places that the configuration does not name: nothing shows them, and no command moves them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from channelsync.store.tables import metadata

_POSITION = metadata.tables["position"]


@dataclass(frozen=True, slots=True)
class Stranded:
    """What stands at one place: how many items, and their base units on hand and reserved, over all of them."""

    location: str
    items: int
    on_hand: int
    reserved: int

    @property
    def found(self) -> str:
        """What there is, in words."""
        return (
            f"{self.items} items have units at {self.location} ({self.on_hand} on hand, {self.reserved} reserved), and "
            "no [[location]] of the configuration has that name: no channel shows them"
        )

    @property
    def advice(self) -> str:
        """What to do."""
        return f"Name {self.location} again; to give it up, move its units first with `channelsync stock transfer`."


def stranded_units(connection: Connection, configured: Collection[str]) -> list[Stranded]:
    """All places that have units and are not among these locations, by name."""
    some = or_(*(_POSITION.c[name] != 0 for name in ("on_hand", "reserved", "withheld")))
    sums = [func.sum(_POSITION.c[name]).label(name) for name in ("on_hand", "reserved")]
    found = connection.execute(
        select(_POSITION.c.location, func.count().label("items"), *sums)
        .where(some, _POSITION.c.location.not_in(sorted(configured)))
        .group_by(_POSITION.c.location)
        .order_by(_POSITION.c.location)
    )
    return [Stranded(row.location, row.items, int(row.on_hand), int(row.reserved)) for row in found]
