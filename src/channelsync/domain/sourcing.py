"""Which location, and which units there, serve an order line.

A choice, not a promise: it never refuses. Where units are short, the first location takes what is missing and its
available goes negative, because the channel has already sold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channelsync.domain.bundles import Recipes, capacity, explode_both
from channelsync.domain.errors import BadListing

AvailableAt = dict[str, dict[str, int]]
"""Available base units: location, then item. A missing item has none."""

Composition = tuple[tuple[str, int], ...]
"""What one unit of a line takes: (item, base units), sorted by item."""


@dataclass(frozen=True, slots=True)
class SoldAs:
    """What a channel's listing means to us: `multiple` base units of an item. Raises BadListing below 1."""

    item: str
    multiple: int = 1

    def __post_init__(self) -> None:
        if self.multiple < 1:
            raise BadListing(f"{self.item}: a listing stands for 1 unit or more of it, not {self.multiple}.")


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
    Raises BadRecipe and CyclicBundle.
    """
    whole = next((name for name in locations if _can_serve(sold, name, available, recipes) >= units), None)
    chosen: list[Pick] = []
    left = units
    for name in locations if whole is None else (whole,):
        here = min(left, max(0, _can_serve(sold, name, available, recipes)))
        chosen += _take(sold, here, name, available, recipes)
        left -= here
    chosen += _take(sold, left, locations[0], available, recipes)
    return _merged(chosen)


def _can_serve(sold: SoldAs, location: str, available: AvailableAt, recipes: Recipes) -> int:
    return capacity(sold.item, available.get(location, {}), recipes) // sold.multiple


def _take(sold: SoldAs, units: int, location: str, available: AvailableAt, recipes: Recipes) -> list[Pick]:
    """Takes units at one location, in runs of one composition: packed bundles of kind "both" first, then parts."""
    here = available.setdefault(location, {})
    picks = []
    while units > 0:
        takes = explode_both(sold.item, sold.multiple, here, recipes)
        # The composition changes when the packed units of any bundle in it no longer suffice for one more.
        packed = [here[item] // each for item, each in takes.items() if _is_both(item, recipes)]
        run = min([units, *packed])
        for item, each in takes.items():
            here[item] = here.get(item, 0) - each * run
        picks.append(Pick(location, tuple(takes.items()), run))
        units -= run
    return picks


def _is_both(item: str, recipes: Recipes) -> bool:
    recipe = recipes.get(item)
    return recipe is not None and recipe.kind == "both"


def _merged(picks: list[Pick]) -> tuple[Pick, ...]:
    sums: dict[tuple[str, Composition], int] = {}
    for one in picks:
        sums[one.location, one.takes] = sums.get((one.location, one.takes), 0) + one.units
    return tuple(Pick(location, takes, units) for (location, takes), units in sums.items())


def reachable(item: str, recipes: Recipes) -> frozenset[str]:
    """The items whose units an order for this one may take: itself, its parts, their parts."""
    found: set[str] = set()
    waiting = [item]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            recipe = recipes.get(one)
            waiting += [part.item for part in recipe.parts] if recipe and recipe.kind != "prebuilt" else []
    return frozenset(found)
