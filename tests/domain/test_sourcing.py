"""Where the units of an order line come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.bundles import Part, Recipe, Recipes
from channelsync.domain.errors import BadListing
from channelsync.domain.sourcing import AvailableAt, Pick, SoldAs, pick, reachable

MUG = (("mug", 1),)
PLAIN: Recipes = {}
SET = Recipe("set", "virtual", (Part("mug", 2), Part("tray", 1)))
BOXED = Recipe("boxed", "both", (Part("mug", 1),))
PACKED = Recipe("packed", "prebuilt", (Part("mug", 1),))
GIFT = Recipe("gift", "virtual", (Part("boxed", 2), Part("mug", 1)))
ALL = {recipe.item: recipe for recipe in (SET, BOXED, PACKED, GIFT)}


def chosen(item: str, units: int, available: AvailableAt, multiple: int = 1, *places: str) -> tuple[Pick, ...]:
    return pick(SoldAs(item, multiple), units, places or ("a", "b"), available, ALL)


def test_the_first_location_that_can_serve_all_of_it_does() -> None:
    assert chosen("mug", 2, {"a": {"mug": 1}, "b": {"mug": 2}}) == (Pick("b", MUG, 2),)
    assert chosen("mug", 2, {"a": {"mug": 2}, "b": {"mug": 2}}) == (Pick("a", MUG, 2),)


def test_else_each_gives_what_it_has_and_the_first_is_oversold_by_the_rest() -> None:
    available = {"a": {"mug": 1}, "b": {"mug": 2}}
    assert chosen("mug", 5, available) == (Pick("a", MUG, 3), Pick("b", MUG, 2))
    assert available == {"a": {"mug": -2}, "b": {"mug": 0}}


def test_a_location_that_is_oversold_gives_nothing_more_than_the_rest() -> None:
    available = {"a": {"mug": -3}, "b": {"mug": 1}}
    assert chosen("mug", 2, available) == (Pick("b", MUG, 1), Pick("a", MUG, 1))


def test_lines_of_one_order_add_up_their_demand_on_a_component() -> None:
    available = {"a": {"mug": 3, "tray": 5}, "b": {"mug": 9, "tray": 9}}
    assert chosen("set", 1, available) == (Pick("a", (("mug", 2), ("tray", 1)), 1),)
    assert chosen("mug", 2, available) == (Pick("b", MUG, 2),)
    assert available == {"a": {"mug": 1, "tray": 4}, "b": {"mug": 7, "tray": 9}}


def test_a_pack_takes_its_multiple_and_is_not_broken_up_between_locations() -> None:
    available = {"a": {"mug": 11}, "b": {"mug": 6}}
    assert chosen("mug", 2, available, 6) == (Pick("a", (("mug", 6),), 1), Pick("b", (("mug", 6),), 1))


def test_packed_bundles_go_first_and_then_parts() -> None:
    available = {"a": {"boxed": 2, "mug": 9}}
    assert chosen("boxed", 5, available, 1, "a") == (Pick("a", (("boxed", 1),), 2), Pick("a", MUG, 3))
    assert available["a"] == {"boxed": 0, "mug": 6}


def test_a_pack_may_be_half_packed_and_half_from_parts() -> None:
    taken = chosen("boxed", 3, {"a": {"boxed": 4, "mug": 9}}, 3, "a")
    assert taken == (
        Pick("a", (("boxed", 3),), 1),
        Pick("a", (("boxed", 1), ("mug", 2)), 1),
        Pick("a", (("mug", 3),), 1),
    )


def test_a_prebuilt_bundle_never_takes_its_parts() -> None:
    available = {"a": {"packed": 0, "mug": 9}}
    assert chosen("packed", 1, available, 1, "a") == (Pick("a", (("packed", 1),), 1),)
    assert available["a"] == {"packed": -1, "mug": 9}


def test_a_nested_bundle_adds_up_what_its_parts_share() -> None:
    taken = chosen("gift", 2, {"a": {"boxed": 3, "mug": 9}}, 1, "a")
    assert taken == (Pick("a", (("boxed", 2), ("mug", 1)), 1), Pick("a", (("boxed", 1), ("mug", 2)), 1))


def test_an_absurd_number_of_bundles_costs_no_more_than_a_few() -> None:
    taken = chosen("boxed", 1_000_000_000, {"a": {"boxed": 7}}, 1, "a")
    assert [one.units for one in taken] == [7, 999_999_993]


def test_nothing_is_picked_for_nothing() -> None:
    assert chosen("mug", 0, {}) == ()


def test_a_listing_stands_for_at_least_one_unit() -> None:
    with pytest.raises(BadListing, match="mug"):
        SoldAs("mug", 0)


def test_what_an_order_may_take_is_reached_over_any_depth_but_not_through_a_prebuilt_bundle() -> None:
    assert reachable("gift", ALL) == {"gift", "boxed", "mug"}
    assert reachable("packed", ALL) == {"packed"}
    assert reachable("mug", ALL) == {"mug"}


UNITS = st.integers(-3, 12)
SHELF = st.fixed_dictionaries({"mug": UNITS, "tray": UNITS, "boxed": UNITS, "packed": UNITS})


@given(
    item=st.sampled_from(["mug", "set", "boxed", "packed", "gift"]),
    units=st.integers(0, 15),
    multiple=st.integers(1, 3),
    a=SHELF,
    b=SHELF,
)
def test_every_unit_is_picked_once_and_taken_off_what_is_available(
    item: str, units: int, multiple: int, a: dict[str, int], b: dict[str, int]
) -> None:
    available: AvailableAt = {"a": dict(a), "b": dict(b)}
    picks = pick(SoldAs(item, multiple), units, ("a", "b"), available, ALL)
    assert sum(one.units for one in picks) == units
    assert len({(one.location, one.takes) for one in picks}) == len(picks)
    for place, before in (("a", a), ("b", b)):
        for part in before:
            taken = sum(dict(one.takes).get(part, 0) * one.units for one in picks if one.location == place)
            assert available[place].get(part, 0) == before[part] - taken
    one_by_one: AvailableAt = {"a": dict(a), "b": dict(b)}
    for _ in range(units):
        pick(SoldAs(item, multiple), 1, ("a",), one_by_one, ALL)
    together: AvailableAt = {"a": dict(a), "b": dict(b)}
    pick(SoldAs(item, multiple), units, ("a",), together, ALL)
    assert together == one_by_one
