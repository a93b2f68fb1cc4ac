"""Rules that speak of no number of ours are found, with the reason; others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.store.items import item_id
from channelsync.sync.rule_reach import IdleRule, idle_rules

MUG, SET = item_id("MUG"), item_id("SET")


async def idle(seller: Any, scope: RuleScope, values: RuleValues, **setup: Any) -> list[IdleRule]:
    rule = Rule("#1", scope, values, "config")
    used = replace(seller.agent.setup, **setup, rules=(rule,))
    found: list[IdleRule] = await seller.database.query(lambda c: idle_rules(c, used, [rule]))
    return found


def fed_by(seller: Any, *locations: str) -> dict[str, Any]:
    """The seller's set-up with "shop" fed by these locations."""
    shop = replace(seller.agent.setup.channels["shop"], locations=locations)
    return {"channels": dict(seller.agent.setup.channels) | {"shop": shop}, "locations": locations}


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"channel": "shop"},
        {"item": MUG},
        {"item": MUG, "channel": "shop"},
        {"item": MUG, "location": "main"},
        {"location": "main"},
        {"sku_class": "fragile"},
    ],
)
async def test_a_rule_that_speaks_of_a_number_is_none(seller: Any, scope: Mapping[str, str]) -> None:
    listing = await seller.sells("MUG", 5)
    fed = fed_by(seller, "main")

    assert await idle(seller, RuleScope(**scope), RuleValues(maximum_shown=1), classes={MUG: "fragile"}, **fed) == []
    assert await idle(seller, RuleScope(listing=listing), RuleValues(maximum_shown=1), **fed) == []


@pytest.mark.parametrize(
    ("scope", "what"),
    [
        ({"listing": "nope"}, "no listing nope is mapped"),
        ({"item": item_id("CUP")}, "no listing is mapped to SKU CUP"),
        ({"item": MUG, "location": "main"}, "a rule for the location main holds for numbers that this location alone"),
        ({"location": "second"}, "a rule for the location second holds for numbers that this location alone feeds"),
        ({"sku_class": "loud"}, "no listing is mapped to an item of the class loud"),
        ({"channel": "gone"}, "the configuration has no channel gone"),
        ({"item": MUG, "location": "gone"}, "the configuration has no location gone"),
        ({"sku_class": "gone"}, "the configuration has no class gone"),
    ],
)
async def test_a_rule_that_speaks_of_none_is_found_with_the_reason(
    seller: Any, scope: Mapping[str, str], what: str
) -> None:
    await seller.sells("MUG", 5)
    await seller.has("CUP", 5)
    setup = fed_by(seller, "main", "second") | {"classes": {item_id("CUP"): "loud"}}

    (found,) = await idle(seller, RuleScope(**scope), RuleValues(backorder=10), **setup)
    assert f"it reaches no listing: {what}" in found.what
    assert found.remedy == "change it where it stands (config)"


async def test_a_rule_for_a_location_holds_where_another_rule_leaves_it_alone(seller: Any) -> None:
    await seller.sells("MUG", 5)
    alone = Rule("#1", RuleScope(item=MUG), RuleValues(locations=("main",)), "config")
    one = Rule("#2", RuleScope(location="main"), RuleValues(backorder=10), "config")
    used = replace(seller.agent.setup, **fed_by(seller, "main", "second"), rules=(alone, one))

    assert await seller.database.query(lambda c: idle_rules(c, used, used.rules)) == []


async def test_a_rule_for_a_part_reaches_the_listings_of_its_bundle(seller: Any) -> None:
    await seller.has("MUG", 5)
    await seller.sells("SET", 5)
    recipes = {SET: Recipe(SET, "virtual", (Part(MUG, 2),))}
    rule = (RuleScope(item=MUG), RuleValues(maximum_shown=1))

    assert await idle(seller, *rule, recipes=recipes) == []
    assert len(await idle(seller, *rule)) == 1


async def test_a_rule_for_all_waits_for_what_will_be_listed(seller: Any) -> None:
    assert await idle(seller, RuleScope(), RuleValues(maximum_shown=1)) == []
    assert await idle(seller, RuleScope(channel="shop"), RuleValues(maximum_shown=1)) == []
