"""Which numbers are hot: units that a key can be sold from are fewer than may be sold before we hear of it.

What counts is what the channels can take: a unit at a location that feeds none of them, or where a channel keeps it
for itself, is sold by none. The locations that feed one key are a pool. A pool is scarce when it has less than all
channels that take from any of its locations may sell; and a key is hot when a scarce pool has a location of its own,
for its sales may take what another one shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from channelsync.domain.bundles import explode
from channelsync.store.sharing import ShownKey
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup

Pool = tuple[str, ...]
"""The locations that feed a key, in the order in which they ship."""

Takers = Mapping[Pool, tuple[str, ...]]
"""Of an item: the pools that it is sold from, each with the channels that take units from any location of it."""

UnitsAt = Mapping[str, Mapping[str, int]]
"""Available base units: location, then item."""


def takers_of(
    items: Iterable[str],
    by_item: Mapping[str, Sequence[ShownKey]],
    setup: Setup,
    fed_by: Callable[[ShownKey, str], Pool],
) -> dict[str, Takers]:
    """Who takes units of these items: the keys that show one of them, or a bundle of it. fed_by: what feeds a key."""
    found: dict[str, Takers] = {}
    for item in items:
        pools: dict[Pool, set[str]] = {}
        for name in setup.shown_by(item):
            for key in by_item.get(name, ()):
                pools.setdefault(fed_by(key, name), set()).add(key.channel)
        found[item] = {pool: tuple(sorted(_from_any(pool, pools))) for pool in pools}
    return found


def _from_any(pool: Pool, pools: Mapping[Pool, set[str]]) -> set[str]:
    if len(pools) == 1:
        return pools[pool]
    return {channel for other, channels in pools.items() if _meet(pool, other) for channel in channels}


def _meet(one: Pool, other: Pool) -> bool:
    return one == other or not set(one).isdisjoint(other)


def hot(parts: Collection[str], feeding: Pool, takers: Mapping[str, Takers], at: UnitsAt, measures: Measures) -> bool:
    """Whether a key that takes units of these items from these locations is hot."""
    return any(
        measures.hot(part, sum(at[name].get(part, 0) for name in pool if name in at), channels)
        for part in parts
        for pool, channels in takers[part].items()
        if _meet(pool, feeding)
    )


def hot_bundle(
    item: str,
    capacities: Mapping[str, int],
    setup: Setup,
    takers: Mapping[str, Takers],
    at: UnitsAt,
    measures: Measures,
) -> bool:
    """Whether so many of a bundle are scarce, of which the parts lie at several locations: here one, there another.

    A bundle cannot be packed from two locations. So at each that makes any, some part is scarce, even with as many
    units more as the others make bundles of. capacities: how many the locations that feed the key make.
    """
    made = {name: units for name, units in capacities.items() if units > 0}
    feeding, together = tuple(capacities), sum(made.values())
    takes = explode(item, 1, setup.recipes)
    return all(
        any(
            measures.hot(part, at[name].get(part, 0) + each * (together - units), takers[part][feeding])
            for part, each in takes.items()
        )
        for name, units in made.items()
    )
