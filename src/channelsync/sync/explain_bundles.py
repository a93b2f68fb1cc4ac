"""What a bundle's parts make of it at each location, and which of them decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from channelsync.domain.bundles import Recipes, capacity, explode
from channelsync.domain.quantities import Position
from channelsync.sync.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWhy:
    """One part of a bundle at a location. units: of it in one bundle, bundles inside taken apart.

    available: base units there; 0 without any position. makes: as many bundles as these would suffice for; below 0:
    it is short. decides: no part makes fewer. stated: somebody said how many units of it there are there.
    """

    sku: str
    units: int
    available: int
    makes: int
    decides: bool
    stated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleWhy:
    """What there is of a bundle at a location. makes: all in all, from_parts: of that put together from its parts.

    The others are packed already, or bundles inside it are; below 0: more packed ones are promised than there are.
    """

    location: str
    makes: int
    from_parts: int
    parts: tuple[PartWhy, ...]


def bundle_at(item: str, setup: Setup, positions: Iterable[Position], skus: Mapping[str, str]) -> tuple[BundleWhy, ...]:
    """What the parts of an item make of it at each of our locations, and wherever there is any; empty: it has no parts.

    positions: of the item and all that it is made of. A bundle that is always packed ahead counts as having no parts.
    """
    recipe = setup.recipes.get(item)
    if recipe is None or recipe.kind == "prebuilt":
        return ()
    needs: dict[str, int] = {}
    for part in recipe.parts:
        for name, units in explode(part.item, part.units, setup.recipes).items():
            needs[name] = needs.get(name, 0) + units
    at: dict[str, dict[str, Position]] = {location: {} for location in setup.locations}
    for one in positions:
        at.setdefault(one.key.location, {})[one.key.item] = one
    return tuple(_at(item, location, needs, here, setup.recipes, skus) for location, here in at.items())


def _at(
    item: str,
    location: str,
    needs: Mapping[str, int],
    here: Mapping[str, Position],
    recipes: Recipes,
    skus: Mapping[str, str],
) -> BundleWhy:
    available = {name: one.available for name, one in here.items()}
    made = {name: available.get(name, 0) // units for name, units in needs.items()}
    fewest = min(made.values())
    parts = [
        PartWhy(
            sku=skus.get(name, name),
            units=units,
            available=available.get(name, 0),
            makes=made[name],
            decides=made[name] == fewest,
            stated=name in here and bool(here[name].stated_by),
        )
        for name, units in needs.items()
    ]
    return BundleWhy(
        location=location,
        makes=capacity(item, available, recipes),
        from_parts=fewest,
        parts=tuple(sorted(parts, key=lambda one: one.sku)),
    )
