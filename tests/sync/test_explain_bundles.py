"""Of a bundle it is told what its parts make of it at each location, and which part decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.quantities import Position, PositionKey
from channelsync.store import items
from channelsync.sync.explain import Explanation, explain_now, explain_then
from channelsync.sync.explain_bundles import BundleWhy, bundle_at
from channelsync.sync.setup import Setup

SET = Recipe("SET", "virtual", (Part("MUG", 2), Part("TEA", 1)))
BOX = Recipe("BOX", "virtual", (Part("SET", 2), Part("MUG", 1)))


def told(
    item: str, recipes: tuple[Recipe, ...], units: Mapping[str, Mapping[str, int]], *locations: str
) -> tuple[BundleWhy, ...]:
    """units: on hand by location and item."""
    setup = Setup(channels={}, locations=locations or ("main",), recipes={one.item: one for one in recipes})
    positions = [
        Position(key=PositionKey(name, place), on_hand=number, stated_by="r-1")
        for place, here in units.items()
        for name, number in here.items()
    ]
    return bundle_at(item, setup, positions, {})


def parts(bundle: BundleWhy) -> list[tuple[str, int, int, int, bool]]:
    return [(one.sku, one.units, one.available, one.makes, one.decides) for one in bundle.parts]


def test_at_each_location_every_part_says_how_many_it_makes_and_the_fewest_decide() -> None:
    main, second = told("SET", (SET,), {"main": {"MUG": 9, "TEA": 3}, "second": {"MUG": 5, "TEA": 8}}, "main", "second")

    assert (main.location, main.makes, main.from_parts) == ("main", 3, 3)
    assert parts(main) == [("MUG", 2, 9, 4, False), ("TEA", 1, 3, 3, True)]
    assert (second.location, second.makes, second.from_parts) == ("second", 2, 2)
    assert parts(second) == [("MUG", 2, 5, 2, True), ("TEA", 1, 8, 8, False)]


def test_a_part_without_any_position_is_told_and_decides() -> None:
    (main,) = told("SET", (SET,), {"main": {"MUG": 9}})

    assert main.makes == 0
    assert parts(main) == [("MUG", 2, 9, 4, False), ("TEA", 1, 0, 0, True)]
    assert [one.stated for one in main.parts] == [True, False]


def test_a_bundle_inside_a_bundle_is_taken_apart() -> None:
    (main,) = told("BOX", (BOX, SET), {"main": {"MUG": 11, "TEA": 9}})

    assert parts(main) == [("MUG", 5, 11, 2, True), ("TEA", 2, 9, 4, False)]
    assert main.makes == 2


def test_parts_that_tie_decide_together_and_a_shortage_stays_below_0() -> None:
    (main,) = told("SET", (SET,), {"main": {"MUG": -1, "TEA": -1}})

    assert parts(main) == [("MUG", 2, -1, -1, True), ("TEA", 1, -1, -1, True)]
    assert main.makes == -1


def test_what_is_packed_already_comes_on_top_of_what_the_parts_make() -> None:
    both = Recipe("SET", "both", SET.parts)
    there = {"main": {"MUG": 4, "TEA": 9, "SET": 3}}
    (main,) = told("SET", (both,), there)
    (outer,) = told("BOX", (Recipe("BOX", "virtual", (Part("SET", 1),)), both), there)

    assert (main.makes, main.from_parts) == (5, 2)
    assert (outer.makes, outer.from_parts) == (5, 2)
    assert [one.sku for one in outer.parts] == ["MUG", "TEA"]


def test_a_location_that_is_not_ours_to_sell_from_is_told_where_there_is_any() -> None:
    assert [one.location for one in told("SET", (SET,), {"theirs": {"MUG": 2}})] == ["main", "theirs"]


@pytest.mark.parametrize("recipes", [(), (Recipe("SET", "prebuilt", SET.parts),)], ids=["plain", "packed ahead"])
def test_what_is_not_made_of_parts_has_none(recipes: tuple[Recipe, ...]) -> None:
    assert told("SET", recipes, {"main": {"SET": 3}}) == ()


async def test_it_is_part_of_the_explanation_now_and_at_a_past_time(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2, "TEA": 1}})
    await seller.has("MUG", 5)
    then = seller.clock.now()
    await seller.clock.sleep(60)
    await seller.has("TEA", 1)

    def now(connection: Any) -> Explanation:
        item = items.items_by_sku(connection, ["SET"])["SET"]
        return explain_now(connection, seller.agent.setup, seller.agent.measures, item, None, seller.clock.now())

    def past(connection: Any) -> Explanation:
        return explain_then(connection, seller.agent.setup, items.items_by_sku(connection, ["SET"])["SET"], None, then)

    (main,) = (await seller.database.query(now)).bundle
    assert parts(main) == [("MUG", 2, 5, 2, False), ("TEA", 1, 1, 1, True)]
    (main,) = (await seller.database.query(past)).bundle
    assert parts(main) == [("MUG", 2, 5, 2, False), ("TEA", 1, 0, 0, True)]
