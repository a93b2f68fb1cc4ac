"""What a bundle is made of, how many can be made, and which bundles a component touches.

All numbers are base units of the item they stand beside. A recipe has one of three kinds:

| kind     | an order for it takes                    | how many there are                      |
|----------|------------------------------------------|-----------------------------------------|
| virtual  | its parts                                | as many as its parts make               |
| prebuilt | its own units (its parts are history)    | its own available                       |
| both     | its own units first, then its parts      | own available + as many as parts make   |

A part may be a bundle again. A component that is reached on several ways (nested, or listed twice) needs the
sum of its units: all functions add up first and compare afterwards. Bundles are computed for one location at a
time and then summed, because a bundle cannot be packed from parts that lie in two places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from channelsync.domain.errors import DomainError

RecipeKind = Literal["virtual", "prebuilt", "both"]


@dataclass(frozen=True, slots=True)
class Part:
    """So many base units of one item go into one bundle; units must be 1 or more (see `validate`)."""

    item: str
    units: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one bundle is made of, and whether it is packed ahead; checked by `validate` and on every use."""

    item: str
    kind: RecipeKind
    parts: tuple[Part, ...]


Recipes = Mapping[str, Recipe]
"""Recipes by the item they make; an item without one is a plain item."""


class BadRecipe(DomainError):
    """A recipe cannot be used: a part of less than one unit, no parts, or filed under another item."""


class CyclicBundle(BadRecipe):
    """A bundle contains itself, so that no number of it can be computed; the message names the way round."""


def validate(recipes: Recipes) -> None:
    """Refuses recipes that cannot be computed with, the whole set at once.

    Raises BadRecipe, or CyclicBundle with the way round ("A -> B -> A"). Cycles over pre-built bundles are refused
    as well, although no order is ever taken apart through one: such a bundle could never have been packed.
    """
    for name, recipe in recipes.items():
        _check(name, recipe, (name,))
    _parents_first({name: [part.item for part in recipe.parts] for name, recipe in recipes.items()})


def explode(item: str, units: int, recipes: Recipes) -> dict[str, int]:
    """The base units that `units` of the item demand of each component, as if no bundle of kind "both" were packed.

    A plain or pre-built item demands itself. 0 units demand nothing. Raises ValueError for negative units,
    BadRecipe and CyclicBundle.
    """
    return explode_all({item: units}, {}, recipes)


def explode_both(item: str, units: int, own_available: Mapping[str, int], recipes: Recipes) -> dict[str, int]:
    """Like `explode`, but a bundle of kind "both", also a nested one, gives its own packed units first.

    own_available: available of the bundles at the location that ships, by item; missing or negative gives none.
    """
    return explode_all({item: units}, own_available, recipes)


def explode_all(demand: Mapping[str, int], own_available: Mapping[str, int], recipes: Recipes) -> dict[str, int]:
    """The base units that several order lines together demand of each component.

    Exploding the lines of an order one by one would hand the same packed bundle to two of them; here every own unit
    of a bundle of kind "both" is given once. Order of the lines does not matter; the answer is sorted by item.
    Raises as `explode` does.
    """
    for item, units in demand.items():
        if units < 0:
            raise ValueError(f"{item}: demand must be 0 or more units, not {units}")
    if not any(item in recipes for item in demand):  # most order lines: plain items only
        return {item: demand[item] for item in sorted(demand) if demand[item]}
    order = _way_down(demand, recipes)
    pushed = _push_down(demand, order, recipes, lambda item, asked: asked - _own(item, asked, own_available))
    for item in pushed:
        if _is_both(item, recipes):
            pushed[item] = _own(item, pushed[item], own_available)
    return {item: pushed[item] for item in sorted(pushed) if pushed[item]}


def capacity(item: str, available: Mapping[str, int], recipes: Recipes) -> int:
    """How many of the item one location can give, from the available of its items; negative means short.

    Plain and pre-built: its own available. Virtual: the largest n for which no component is short after giving the
    parts of n bundles. Both: own available + that n. An item missing in `available` counts as 0 there.

    Inside the bundle, a nested bundle of kind "both" gives packed units first and is never taken apart; where its own
    available is negative, those units must be packed from its parts before any other.

    A negative number is never clamped: -k means that we are k bundles short. If k orders for one bundle were given
    back, each with all its parts, no component would be short any more; with k - 1 one still would. (Packed units
    of a "both" bundle count against that: they can stand in for bundles promised from parts.)
    Raises BadRecipe and CyclicBundle.
    """
    recipe = recipes.get(item)
    if recipe is None:
        return available.get(item, 0)
    below = _way_down((item,), recipes)[1:]
    if recipe.kind == "prebuilt":
        return available.get(item, 0)
    from_parts = _capacity_of_parts(recipe, below, available, recipes)
    return from_parts + (available.get(item, 0) if recipe.kind == "both" else 0)


def affected_by(item: str, recipes: Recipes) -> frozenset[str]:
    """The bundles whose capacity may change when this item's available changes, over any depth.

    A pre-built bundle does not depend on its parts, so it is not among them, nor is what reaches the item only
    through it. The item itself is not among them. Raises nothing, not even for a cycle. Reads all recipes: who asks
    for many items builds `affected_index` once.
    """
    return _climb(item, _direct_users(recipes))


def affected_index(recipes: Recipes) -> dict[str, frozenset[str]]:
    """`affected_by` of every item that is a part of something; an item that is missing affects no bundle."""
    users = _direct_users(recipes)
    return {item: _climb(item, users) for item in users}


def _direct_users(recipes: Recipes) -> dict[str, set[str]]:
    users: dict[str, set[str]] = {}
    for name, recipe in recipes.items():
        if recipe.kind != "prebuilt":
            for part in recipe.parts:
                users.setdefault(part.item, set()).add(name)
    return users


def _climb(item: str, users: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [item]
    while waiting:
        fresh = users.get(waiting.pop(), set()) - found
        found |= fresh
        waiting.extend(fresh)
    return frozenset(found - {item})


def _capacity_of_parts(recipe: Recipe, below: Sequence[str], available: Mapping[str, int], recipes: Recipes) -> int:
    """The largest n such that n times the parts leaves no component short. below: all items inside, parents first."""
    parts: dict[str, int] = {}
    for part in recipe.parts:
        parts[part.item] = parts.get(part.item, 0) + part.units
    needs = _push_down(parts, below, recipes, lambda _, asked: asked)
    # Without packed bundles inside, the need of every component is proportional to n, and this is the answer.
    guess = min(available.get(item, 0) // units for item, units in needs.items() if not _is_both(item, recipes))
    if not any(_is_both(item, recipes) for item in needs):
        return guess

    def to_pack(item: str, asked: int) -> int:
        own = available.get(item, 0)
        # Given back (asked < 0) goes back to the parts; a shortage of own units is packed whatever was asked.
        return min(asked, 0) + max(0, max(asked, 0) - own)

    def enough(bundles: int) -> bool:
        pushed = _push_down({item: units * bundles for item, units in parts.items()}, below, recipes, to_pack)
        return all(units <= available.get(item, 0) for item, units in pushed.items() if not _is_both(item, recipes))

    return _largest(enough, guess)


def _largest(enough: Callable[[int], bool], guess: int) -> int:
    """The largest integer for which `enough` holds; it must hold below some number and fail above it."""
    reach = 1
    low, high = guess, guess + 1
    while not enough(low):
        low, high, reach = low - reach, low, reach * 2
    while enough(high):
        low, high, reach = high, high + reach, reach * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


def _push_down(
    demand: Mapping[str, int], order: Sequence[str], recipes: Recipes, from_parts: Callable[[str, int], int]
) -> dict[str, int]:
    """Units asked of every item after demand went down all recipes, in the order of `_way_down`.

    Virtual bundles hand on all and do not appear; of a bundle of kind "both", `from_parts` says how many are made
    from parts, and it appears with all that was asked of it.
    """
    asked = dict(demand)
    for item in order:
        recipe = recipes.get(item)
        if recipe is None or recipe.kind == "prebuilt":
            continue
        units = asked[item] if recipe.kind == "both" else asked.pop(item)
        made = units if recipe.kind == "virtual" else from_parts(item, units)
        for part in recipe.parts:
            asked[part.item] = asked.get(part.item, 0) + made * part.units
    return asked


def _way_down(items: Iterable[str], recipes: Recipes) -> list[str]:
    """Every item that these are made of and they themselves, parents first; the recipes on the way are checked."""
    graph: dict[str, list[str]] = {}
    waiting: list[tuple[str, ...]] = [(item,) for item in items]
    while waiting:
        path = waiting.pop()
        item = path[-1]
        if item in graph:
            continue
        recipe = recipes.get(item)
        graph[item] = []
        if recipe is None:
            continue
        _check(item, recipe, path)
        if recipe.kind != "prebuilt":
            graph[item] = [part.item for part in recipe.parts]
            waiting.extend((*path, part) for part in graph[item])
    return _parents_first(graph)


def _parents_first(parts_of: Mapping[str, list[str]]) -> list[str]:
    try:
        parts_first = list(TopologicalSorter(parts_of).static_order())
    except CycleError as error:
        way_round = " -> ".join(reversed(error.args[1]))
        raise CyclicBundle(f"{way_round}: a bundle cannot contain itself; take one of these parts out") from error
    return parts_first[::-1]


def _check(name: str, recipe: Recipe, path: tuple[str, ...]) -> None:
    way = " -> ".join(path)
    if recipe.item != name:
        raise BadRecipe(f"{way}: the recipe filed under {name} makes {recipe.item}; file it under its own item")
    if not recipe.parts and recipe.kind != "prebuilt":
        raise BadRecipe(f"{way}: a {recipe.kind} bundle needs at least one part")
    for part in recipe.parts:
        if part.units < 1:
            raise BadRecipe(f"{way} -> {part.item}: a part must be 1 unit or more, not {part.units}")


def _own(item: str, asked: int, own_available: Mapping[str, int]) -> int:
    """How many of `asked` the packed units cover."""
    return min(asked, max(0, own_available.get(item, 0)))


def _is_both(item: str, recipes: Recipes) -> bool:
    recipe = recipes.get(item)
    return recipe is not None and recipe.kind == "both"
