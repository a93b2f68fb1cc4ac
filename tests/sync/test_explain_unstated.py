"""Of units of which nobody has said how many there are, no number is told that nobody has said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Fixed, LastUnits, Percent, Rule, RuleScope, RuleValues
from channelsync.store import items, listings_view
from channelsync.store.items import item_id
from channelsync.sync.explain import Explanation, NumberWhy, explain_now
from channelsync.sync.publish import publish_tick
from channelsync.sync.reconcile import Planned, planned_now
from channelsync.sync.take_orders import poll_orders


def fed_from(seller: Any, location: str) -> None:
    """The shop is fed from this location alone."""
    channels = seller.agent.setup.channels
    seller.agent.setup = replace(
        seller.agent.setup, channels={**channels, "shop": replace(channels["shop"], locations=(location,))}
    )


async def lists(seller: Any, sku: str, number: int, multiple: int = 1) -> None:
    """A listing of a SKU is pulled and mapped, and of the SKU nothing is said."""
    listing = await seller.lists(sku, number)
    await seller.pull()
    await seller.map(listing, sku, multiple)


async def tick(seller: Any) -> None:
    for _ in range(3):
        await seller.clock.sleep(60)
        await publish_tick(seller.agent, seller.channel())
        await poll_orders(seller.agent, seller.channel())


async def explained(seller: Any, sku: str = "MUG") -> Explanation:
    def unit(connection: Any) -> Explanation:
        item = items.items_by_sku(connection, [sku])[sku]
        return explain_now(connection, seller.agent.setup, seller.agent.measures, item, None, seller.clock.now())

    found: Explanation = await seller.database.query(unit, snapshot=True)
    return found


async def planned(seller: Any) -> list[Planned]:
    """What `reconcile` shows of every number."""

    def ids(connection: Any) -> list[int]:
        return [key.key for one in listings_view.view_listings(connection) for key in one.keys]

    found: list[Planned] = await planned_now(seller.agent, await seller.database.query(ids))
    return found


def told(value: Any) -> Iterator[str]:
    """Everything that is told in a value, as text."""
    if isinstance(value, dict):
        for held in value.values():
            yield from told(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from told(held)
    elif value is not None:
        yield str(value)


def plenty(value: Any) -> list[str]:
    """What of it has a number that no shop has units for."""
    return [text for text in told(asdict(value)) if re.search(r"(?<![\w-])\d{7,}(?![\w-])", text)]


def rule(**values: Any) -> Rule:
    return Rule("#1", RuleScope(channel="shop"), RuleValues(**values), "config.toml line 14")


@pytest.fixture
async def second_only(open_seller: Any) -> Any:
    """MUG is counted at main, and the shop, which shows 9 of it, is fed from second only."""
    seller = await open_seller("shop", locations=("main", "second"))
    fed_from(seller, "second")
    await seller.has("MUG", 4)
    await lists(seller, "MUG", 9)
    return seller


async def test_it_is_said_in_one_step_that_nobody_has_said_it_and_where(second_only: Any) -> None:
    await tick(second_only)
    (number,) = (await explained(second_only)).numbers

    assert (number.shown, number.should, number.action) == (9, None, "none")
    (step,) = number.steps
    assert (step.step, step.before, step.after, step.rule) == ("nobody said how many", None, None, "")
    assert step.why == "nobody has said how many there are at second, which feeds it: the number stays as it is"


@pytest.mark.parametrize("mode", ["live", "observe", "off"])
@pytest.mark.parametrize("read", [False, True], ids=["never read", "read"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"buffer": Percent(10)},
        {"buffer": Fixed(2)},
        {"share": 80},
        {"minimum_shown": 3},
        {"maximum_shown": 20},
        {"ring_fenced": 5},
    ],
    ids="".join,
)
async def test_no_number_that_nobody_has_said_is_told(
    second_only: Any, mode: str, values: dict[str, Any], *, read: bool
) -> None:
    shop = replace(second_only.agent.setup.channels["shop"], mode=mode)
    channels = {**second_only.agent.setup.channels, "shop": shop}
    rules = (rule(**values),) if values else ()
    second_only.agent.setup = replace(second_only.agent.setup, channels=channels, rules=rules)
    if read:
        await tick(second_only)
    found = await explained(second_only)

    (number,), (plan,) = found.numbers, await planned(second_only)
    assert (number.should, plan.should) == (None, None)
    assert plenty(found) == []
    assert plenty(plan) == []


async def test_nor_of_packs_nor_where_the_last_units_are_kept_for_others(second_only: Any) -> None:
    last = Rule("last", RuleScope(), RuleValues(last_units=LastUnits(2, ("shop",))), "config.toml line 3")
    second_only.agent.setup = replace(second_only.agent.setup, rules=(last,))
    await lists(second_only, "MUG", 3, multiple=6)
    found = await explained(second_only)

    assert [one.should for one in found.numbers] == [None, None]
    assert plenty(found) == []


async def test_a_rule_that_bounds_it_all_the_same_is_told_with_the_number_to_which_it_is_lowered(
    second_only: Any,
) -> None:
    second_only.agent.setup = replace(second_only.agent.setup, rules=(rule(buffer=Percent(10), maximum_shown=5),))
    await second_only.clock.sleep(60)
    await second_only.pull()
    found = await explained(second_only)

    (number,) = found.numbers
    assert (number.shown, number.should, number.action) == (9, 5, "lower")
    assert [(one.step, one.before, one.after) for one in number.steps] == [
        ("maximum shown", 5, 5),
        ("nobody said how many", 5, 5),
    ]
    assert number.steps[0].rule == "rule #1 for channel shop (config.toml line 14)"
    await tick(second_only)
    (write,) = (await explained(second_only)).numbers[0].writes
    assert [step[0] for step in write.steps] == ["maximum shown", "nobody said how many"]
    assert plenty(await explained(second_only)) == []


async def set_of(open_seller: Any, shown: int) -> NumberWhy:
    """Why a set of a mug and two teas shows what it does, of which only the mugs were counted: 3."""
    seller = await open_seller("shop", recipes={"SET": {"MUG": 1, "TEA": 2}})
    await seller.has("MUG", 3)
    await lists(seller, "SET", shown)
    await seller.clock.sleep(60)
    await seller.pull()
    found = await explained(seller, "SET")
    assert plenty(found) == []
    (number,) = found.numbers
    return number


@pytest.mark.parametrize(("shown", "should", "action"), [(6, 3, "lower"), (2, None, "none")])
async def test_a_bundle_says_how_many_its_counted_parts_make(
    open_seller: Any, shown: int, should: int | None, action: str
) -> None:
    number = await set_of(open_seller, shown)

    assert (number.should, number.action) == (should, action)
    assert [(one.step, one.after) for one in number.steps] == [("sum of locations", 3), ("nobody said how many", 3)]
    assert number.steps[-1].why == (
        "nobody has said how many there are of 1 of its 2 parts at main, which feeds it: "
        "it is lowered to this, and never raised"
    )


async def test_a_bundle_of_which_no_part_was_counted_says_so_of_all_locations_that_feed_it(open_seller: Any) -> None:
    seller = await open_seller("shop", locations=("main", "second"))
    box = Recipe(item_id("BOX"), "both", (Part(item_id("MUG"), 1), Part(item_id("TEA"), 1)))
    seller.agent.setup = replace(seller.agent.setup, recipes={item_id("BOX"): box})
    await seller.has("BOX", 0)
    await lists(seller, "BOX", 9)
    await tick(seller)
    found = await explained(seller, "BOX")

    (number,) = found.numbers
    assert (number.should, plenty(found)) == (None, [])
    assert [one.why for one in number.steps] == [
        "nobody has said how many there are of 2 of its 2 parts at main or second, which feed it: "
        "the number stays as it is"
    ]
