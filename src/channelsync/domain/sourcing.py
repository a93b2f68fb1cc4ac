"""Which location, and which units there, serve an order line.

A choice, not a promise: it never refuses. Where units are short, the first location takes what is missing and its
available goes negative, because the channel has already sold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channelsync.domain.bundles import Recipes, capacity

AvailableAt = dict[str, dict[str, int]]
"""Available base units: location, then item. A missing item has none."""

Composition = tuple[tuple[str, int], ...]
"""What one unit of a line takes: (item, base units), sorted by item."""


@dataclass(frozen=True, slots=True)
class SoldAs:
    """What a channel's listing means to us: `multiple` base units of an item."""

    item: str
    multiple: int = 1


@dataclass(frozen=True, slots=True)
class Pick:
    """Units of a line that one location serves, all of one composition."""

    location: str
    takes: Composition
    units: int


def pick(
    sold: SoldAs,
    units: int,
    locations: Sequence[str],
    available: AvailableAt,
    recipes: Recipes,
) -> tuple[Pick, ...]:
    """Chooses where `units` of a listing come from, and takes them off `available`.

    locations: in the order of preference, at least one. The first that can serve all of them does; else they are
    taken in order, as many as each can serve, and the first location takes the rest.
    available: changed in place, so that the lines of one order add up their demand.
    """
    chosen: list[Pick] = []
    whole = [name for name in locations if _can_serve(sold, name, available, recipes) >= units]
    left = units
    for name in whole[:1] or locations:
        here = min(left, max(0, _can_serve(sold, name, available, recipes)))
        chosen.extend(_take(sold, here, name, available, recipes))
        left -= here
    if left:
        chosen.extend(_take(sold, left, locations[0], available, recipes))
    return _merged(chosen)


def _can_serve(sold: SoldAs, location: str, available: AvailableAt, recipes: Recipes) -> int:
    return capacity(sold.item, available.get(location, {}), recipes) // sold.multiple


def _take(
    sold: SoldAs,
    units: int,
    location: str,
    available: AvailableAt,
    recipes: Recipes,
) -> list[Pick]:
    """Takes units at one location. Bundles of kind "both" are taken one by one: pre-built ones first, then parts."""
    if not units:
        return []
    here = available.setdefault(location, {})
    runs = [units] if not _has_both(sold.item, recipes) else [1] * units
    picks = []
    for run in runs:
        takes: dict[str, int] = {}
        _draw(sold.item, sold.multiple, dict(here), recipes, takes)
        for part, each in takes.items():
            here[part] = here.get(part, 0) - each * run
        picks.append(Pick(location, tuple(sorted(takes.items())), run))
    return picks


def _draw(item: str, units: int, here: dict[str, int], recipes: Recipes, takes: dict[str, int]) -> None:
    """Adds to `takes` what `units` of an item use at one location, lowering `here` as it goes."""
    recipe = recipes.get(item)
    own = units
    if recipe is not None and recipe.kind == "virtual":
        own = 0
    elif recipe is not None and recipe.kind == "both":
        own = min(units, max(0, here.get(item, 0)))
    if own:
        takes[item] = takes.get(item, 0) + own
        here[item] = here.get(item, 0) - own
    if recipe is not None and units > own:
        for part in recipe.parts:
            _draw(part.item, part.units * (units - own), here, recipes, takes)


def _has_both(item: str, recipes: Recipes) -> bool:
    recipe = recipes.get(item)
    if recipe is None or recipe.kind == "prebuilt":
        return False
    return recipe.kind == "both" or any(_has_both(part.item, recipes) for part in recipe.parts)


def _merged(picks: list[Pick]) -> tuple[Pick, ...]:
    sums: dict[tuple[str, Composition], int] = {}
    for one in picks:
        sums[one.location, one.takes] = sums.get((one.location, one.takes), 0) + one.units
    return tuple(Pick(location, takes, units) for (location, takes), units in sums.items())
