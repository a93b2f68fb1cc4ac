import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.bundles import (
    BadRecipe,
    CyclicBundle,
    Part,
    Recipe,
    RecipeKind,
    affected_by,
    affected_index,
    capacity,
    explode,
    explode_all,
    explode_both,
    validate,
)


def recipes(*made: tuple[str, RecipeKind, dict[str, int]]) -> dict[str, Recipe]:
    return {
        item: Recipe(item, kind, tuple(Part(part, units) for part, units in parts.items()))
        for item, kind, parts in made
    }


PLAIN = ("nut", "bolt", "washer")
BUNDLES = ("b0", "b1", "b2", "b3")


@st.composite
def any_recipes(draw: st.DrawFn) -> dict[str, Recipe]:
    """Acyclic: a bundle's parts are plain items and bundles before it."""
    made = {}
    for place, name in enumerate(BUNDLES):
        kind: RecipeKind = draw(st.sampled_from(["virtual", "prebuilt", "both"]))
        parts = draw(
            st.lists(
                st.builds(Part, st.sampled_from(PLAIN + BUNDLES[:place]), st.integers(1, 3)), min_size=1, max_size=3
            )
        )
        made[name] = Recipe(name, kind, tuple(parts))
    return made


def availables(low: int = -12, high: int = 30) -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(st.sampled_from(PLAIN + BUNDLES), st.integers(low, high))


def fits(demand: dict[str, int], available: dict[str, int]) -> bool:
    return all(units <= available.get(item, 0) for item, units in demand.items())


def test_a_plain_item_demands_itself() -> None:
    assert explode("nut", 3, {}) == {"nut": 3}


def test_nothing_demands_nothing() -> None:
    made = recipes(("set", "virtual", {"nut": 2}))
    assert explode("set", 0, made) == {}
    assert explode("nut", 0, made) == {}


def test_a_component_reached_on_two_ways_is_demanded_in_sum() -> None:
    made = recipes(("pair", "virtual", {"nut": 2}), ("box", "virtual", {"pair": 3, "nut": 1, "bolt": 1}))
    assert explode("box", 2, made) == {"bolt": 2, "nut": 14}


def test_a_part_listed_twice_is_demanded_in_sum() -> None:
    made = {"set": Recipe("set", "virtual", (Part("nut", 1), Part("nut", 2)))}
    assert explode("set", 1, made) == {"nut": 3}
    assert capacity("set", {"nut": 8}, made) == 2


def test_a_prebuilt_bundle_demands_itself_also_inside_another() -> None:
    made = recipes(("gift", "prebuilt", {"nut": 9}), ("box", "virtual", {"gift": 2, "nut": 1}))
    assert explode("gift", 4, made) == {"gift": 4}
    assert explode("box", 4, made) == {"gift": 8, "nut": 4}


def test_a_bundle_of_kind_both_gives_packed_units_first_and_then_its_parts() -> None:
    made = recipes(("set", "both", {"nut": 2}))
    assert explode_both("set", 5, {"set": 3}, made) == {"nut": 4, "set": 3}
    assert explode_both("set", 2, {"set": 3}, made) == {"set": 2}
    assert explode_both("set", 2, {"set": -3}, made) == {"nut": 4}
    assert explode("set", 5, made) == {"nut": 10}


def test_a_nested_bundle_of_kind_both_gives_packed_units_first() -> None:
    made = recipes(("pair", "both", {"nut": 2}), ("box", "virtual", {"pair": 2, "bolt": 1}))
    assert explode_both("box", 2, {"pair": 3}, made) == {"bolt": 2, "nut": 2, "pair": 3}


def test_two_lines_of_an_order_are_not_given_the_same_packed_bundle() -> None:
    made = recipes(("pair", "both", {"nut": 2}), ("box", "virtual", {"pair": 1, "bolt": 1}))
    assert explode_all({"pair": 1, "box": 1}, {"pair": 1}, made) == {"bolt": 1, "nut": 2, "pair": 1}


def test_demand_is_sorted_by_item_so_that_entries_come_in_one_order_everywhere() -> None:
    made = recipes(("set", "virtual", {"washer": 1, "bolt": 1, "nut": 1}))
    assert list(explode("set", 1, made)) == ["bolt", "nut", "washer"]
    assert list(explode_all({"washer": 1, "bolt": 2}, {}, {})) == ["bolt", "washer"]


@pytest.mark.parametrize("item", ["nut", "set"])
def test_negative_demand_is_refused(item: str) -> None:
    with pytest.raises(ValueError, match=rf"{item}: demand must be 0 or more units, not -1"):
        explode(item, -1, recipes(("set", "virtual", {"nut": 1})))


def test_capacity_is_that_of_the_scarcest_component() -> None:
    made = recipes(("set", "virtual", {"nut": 2, "bolt": 1}))
    assert capacity("set", {"nut": 9, "bolt": 7}, made) == 4
    assert capacity("set", {"nut": 9}, made) == 0


def test_capacity_of_a_plain_and_of_a_prebuilt_item_is_its_own_available() -> None:
    made = recipes(("gift", "prebuilt", {"nut": 1}))
    assert capacity("nut", {"nut": -4}, made) == -4
    assert capacity("gift", {"gift": 3, "nut": 99}, made) == 3
    assert capacity("gift", {}, made) == 0
    assert capacity("nut", {}, made) == 0


def test_capacity_counts_a_component_shared_by_nesting_once() -> None:
    made = recipes(("pair", "virtual", {"nut": 2}), ("box", "virtual", {"pair": 1, "nut": 1}))
    assert capacity("box", {"nut": 8}, made) == 2


def test_capacity_of_both_is_own_plus_what_the_parts_make() -> None:
    made = recipes(("set", "both", {"nut": 2}))
    assert capacity("set", {"set": 3, "nut": 5}, made) == 5
    assert capacity("set", {"set": -2, "nut": 10}, made) == 3


def test_packed_units_inside_a_bundle_are_used_but_never_taken_apart() -> None:
    made = recipes(("pair", "both", {"nut": 1}), ("box", "virtual", {"pair": 1, "nut": 1}))
    assert capacity("box", {"pair": 10, "nut": 1}, made) == 1
    assert capacity("box", {"pair": 10, "nut": 12}, made) == 11
    assert capacity("box", {"nut": 9}, made) == 4
    assert capacity("box", {"pair": 10}, made) == 0


def test_a_nested_shortage_of_packed_units_is_packed_before_anything_else() -> None:
    made = recipes(("pair", "both", {"nut": 1}), ("box", "virtual", {"pair": 1}))
    assert capacity("box", {"pair": -3, "nut": 10}, made) == 7
    assert capacity("box", {"pair": -3, "nut": 1}, made) == -2


def test_negative_capacity_is_how_many_bundles_we_are_short() -> None:
    made = recipes(("set", "virtual", {"nut": 2, "bolt": 1}))
    assert capacity("set", {"nut": -1, "bolt": 50}, made) == -1
    assert capacity("set", {"nut": -4, "bolt": 50}, made) == -2
    assert capacity("set", {"nut": -5, "bolt": 50}, made) == -3


def test_large_numbers_are_found_quickly_and_exactly() -> None:
    made = recipes(("pair", "both", {"nut": 3}), ("box", "virtual", {"pair": 2, "nut": 1}))
    # 2n pairs, 10^12 of them packed, the rest 3 nuts each: 3 (2n - 10^12) + n <= 10^18.
    assert capacity("box", {"pair": 10**12, "nut": 10**18}, made) == (10**18 + 3 * 10**12) // 7
    assert capacity("box", {"pair": -(10**12), "nut": 0}, made) == -(3 * 10**12 // 7) - 1


@given(any_recipes(), st.sampled_from(BUNDLES), availables(0))
def test_where_nothing_is_short_capacity_is_exactly_what_can_be_shipped(
    made: dict[str, Recipe], item: str, available: dict[str, int]
) -> None:
    number = capacity(item, available, made)
    assert number >= 0
    assert fits(explode_both(item, number, available, made), available)
    assert not fits(explode_both(item, number + 1, available, made), available)


@given(any_recipes(), st.sampled_from(BUNDLES), availables(), st.sampled_from(PLAIN + BUNDLES), st.integers(1, 5))
def test_more_available_never_lowers_capacity(
    made: dict[str, Recipe], item: str, available: dict[str, int], richer: str, more: int
) -> None:
    raised = {**available, richer: available.get(richer, 0) + more}
    assert capacity(item, raised, made) >= capacity(item, available, made)


@given(any_recipes(), st.sampled_from(BUNDLES), availables(), st.integers(0, 4))
def test_selling_bundles_lowers_capacity_by_as_many(
    made: dict[str, Recipe], item: str, available: dict[str, int], units: int
) -> None:
    """Exact for bundles without packed ones inside; there a sale may use up a packed unit that parts cannot replace."""
    inside = {name: Recipe(name, "virtual", recipe.parts) for name, recipe in made.items()}
    inside[item] = made[item]
    left = dict(available)
    for part, taken in explode_both(item, units, available, inside).items():
        left[part] = left.get(part, 0) - taken
    assert capacity(item, left, inside) == capacity(item, available, inside) - units


@given(any_recipes(), st.sampled_from(BUNDLES), availables(-40, 5))
def test_a_negative_capacity_given_back_ends_every_shortage(
    made: dict[str, Recipe], item: str, available: dict[str, int]
) -> None:
    virtual = {name: Recipe(name, "virtual", recipe.parts) for name, recipe in made.items()}
    needs = explode(item, 1, virtual)

    def short_after(bundles: int) -> bool:
        return any(available.get(part, 0) + bundles * units < 0 for part, units in needs.items())

    number = capacity(item, available, virtual)
    if number < 0:
        assert not short_after(-number)
        assert short_after(-number - 1)
    else:
        assert not short_after(0)


@given(any_recipes(), st.dictionaries(st.sampled_from(PLAIN + BUNDLES), st.integers(0, 5)))
def test_lines_exploded_together_demand_what_they_demand_apart_when_nothing_is_packed(
    made: dict[str, Recipe], demand: dict[str, int]
) -> None:
    apart: dict[str, int] = {}
    for item, units in demand.items():
        for part, taken in explode(item, units, made).items():
            apart[part] = apart.get(part, 0) + taken
    assert explode_all(demand, {}, made) == apart


@given(any_recipes(), st.sampled_from(BUNDLES), availables(), st.sampled_from(PLAIN + BUNDLES), st.integers(1, 40))
def test_only_affected_bundles_change_their_capacity(
    made: dict[str, Recipe], item: str, available: dict[str, int], changed: str, more: int
) -> None:
    raised = {**available, changed: available.get(changed, 0) + more}
    if item not in affected_by(changed, made) | {changed}:
        assert capacity(item, raised, made) == capacity(item, available, made)


def test_a_component_affects_bundles_over_any_depth_but_not_through_a_prebuilt_one() -> None:
    made = recipes(
        ("pair", "virtual", {"nut": 2}),
        ("box", "both", {"pair": 1}),
        ("gift", "prebuilt", {"pair": 1}),
        ("crate", "virtual", {"gift": 1}),
    )
    assert affected_by("nut", made) == {"pair", "box"}
    assert affected_by("gift", made) == {"crate"}
    assert affected_by("box", made) == frozenset()


@given(any_recipes())
def test_the_index_says_of_every_item_what_affected_by_says(made: dict[str, Recipe]) -> None:
    index = affected_index(made)
    assert all(index.get(item, frozenset()) == affected_by(item, made) for item in PLAIN + BUNDLES)


CYCLE = recipes(("a", "virtual", {"b": 1}), ("b", "both", {"nut": 1, "c": 1}), ("c", "virtual", {"a": 1}))


def test_a_cycle_is_refused_with_the_way_round() -> None:
    way_round = r"(a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c): a bundle cannot contain itself"
    with pytest.raises(CyclicBundle, match=way_round):
        validate(CYCLE)
    with pytest.raises(CyclicBundle, match=way_round):
        explode("a", 1, CYCLE)
    with pytest.raises(CyclicBundle, match=way_round):
        capacity("b", {"nut": 1}, CYCLE)


def test_a_cycle_does_not_hang_the_search_for_affected_bundles() -> None:
    assert affected_by("a", CYCLE) == {"b", "c"}
    assert affected_index(CYCLE)["nut"] == {"a", "b", "c"}


def test_a_cycle_over_a_prebuilt_bundle_is_refused_by_validate() -> None:
    made = recipes(("a", "virtual", {"b": 1}), ("b", "prebuilt", {"a": 1}))
    assert explode("a", 1, made) == {"b": 1}
    with pytest.raises(CyclicBundle):
        validate(made)


@pytest.mark.parametrize("units", [0, -2])
def test_a_part_of_less_than_one_unit_is_refused_with_the_way_to_it(units: int) -> None:
    made = recipes(("box", "virtual", {"set": 1}), ("set", "virtual", {"nut": units}))
    said = f"box -> set -> nut: a part must be 1 unit or more, not {units}"
    with pytest.raises(BadRecipe, match=said):
        explode("box", 1, made)
    with pytest.raises(BadRecipe, match=said):
        capacity("box", {"nut": 1}, made)
    with pytest.raises(BadRecipe, match=f"^set -> nut: a part must be 1 unit or more, not {units}"):
        validate(made)


@pytest.mark.parametrize("kind", ["virtual", "both"])
def test_a_bundle_without_parts_is_refused(kind: RecipeKind) -> None:
    made = recipes(("box", kind, {}))
    for use in (lambda: validate(made), lambda: explode("box", 1, made), lambda: capacity("box", {}, made)):
        with pytest.raises(BadRecipe, match=f"box: a {kind} bundle needs at least one part"):
            use()


def test_a_recipe_filed_under_another_item_is_refused() -> None:
    with pytest.raises(BadRecipe, match="the recipe filed under box makes set"):
        validate({"box": Recipe("set", "virtual", (Part("nut", 1),))})


def test_good_recipes_pass() -> None:
    validate(
        recipes(("gift", "prebuilt", {}), ("pair", "both", {"nut": 2}), ("box", "virtual", {"pair": 1, "gift": 1}))
    )
