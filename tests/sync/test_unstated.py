"""How to say how many there are of what is left alone: where, and by a command that takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.store.items import item_id
from channelsync.sync.unstated import LeftAlone, left_alone


async def left(seller: Any) -> list[LeftAlone]:
    found: list[LeftAlone] = await seller.database.query(
        lambda c: left_alone(c, seller.agent.setup, seller.agent.measures)
    )
    return found


async def lists(seller: Any, sku: str, number: int = 9) -> None:
    """A listing of a SKU is pulled and mapped, and of the SKU nothing is said."""
    listing = await seller.lists(sku, number)
    await seller.pull()
    await seller.map(listing, sku)


def changed(seller: Any, **fields: Any) -> None:
    """The shop is set up in another way."""
    channels = seller.agent.setup.channels
    channels = {**channels, "shop": replace(channels["shop"], **fields)}
    seller.agent.setup = replace(seller.agent.setup, channels=channels)


@pytest.fixture
async def seller(open_seller: Any) -> Any:
    """The shop is fed from second; there is main, too."""
    seller = await open_seller("shop", locations=("main", "second"), recipes={"SET": {"MUG": 1, "TEA": 2}})
    changed(seller, locations=("second",))
    return seller


async def test_what_was_never_counted_is_adopted_at_a_location_that_feeds_the_channel(seller: Any) -> None:
    await lists(seller, "MUG")

    (found,) = await left(seller)
    assert found == LeftAlone(channel="shop", skus=("MUG",), location="second")
    assert "`channelsync stock adopt --from shop --location second`" in str(found)


async def test_what_was_counted_elsewhere_is_counted_there_for_adopting_leaves_it_alone(seller: Any) -> None:
    await seller.has("MUG", 4, "main")
    await lists(seller, "MUG")

    (found,) = await left(seller)
    assert found == LeftAlone(channel="shop", skus=("MUG",), location="second", count=("MUG",))
    assert "`channelsync stock count MUG UNITS --location second`" in str(found)
    assert "stock adopt --from" not in str(found)


async def test_of_a_bundle_its_parts_that_nobody_counted_there_are_named(seller: Any) -> None:
    await seller.has("MUG", 4, "second")
    await seller.has("TEA", 4, "main")
    await lists(seller, "SET")

    (found,) = await left(seller)
    assert found == LeftAlone(channel="shop", skus=("SET",), location="second", count=("TEA",))
    assert "at second of TEA, which SET is made of, so" in str(found)
    assert "`channelsync stock count TEA UNITS --location second` says it;" in str(found)


async def test_each_way_to_say_it_is_told_by_itself(seller: Any) -> None:
    await seller.has("MUG", 4, "main")
    for sku in ("MUG", "TEA"):
        await lists(seller, sku)

    assert [(one.skus, one.count) for one in await left(seller)] == [(("TEA",), ()), (("MUG",), ("MUG",))]


async def test_a_location_that_only_a_rule_names_takes_a_count_for_adopting_is_refused_there(seller: Any) -> None:
    mug = item_id("MUG")
    rule = Rule("#1", RuleScope(channel="shop", item=mug), RuleValues(locations=("main",)), "config.toml line 14")
    seller.agent.setup = replace(seller.agent.setup, rules=(rule,))
    await lists(seller, "MUG")

    assert await left(seller) == [LeftAlone(channel="shop", skus=("MUG",), location="main", count=("MUG",))]


async def test_the_first_location_that_feeds_it_and_that_we_count_is_named(seller: Any) -> None:
    changed(seller, locations=("theirs", "second", "main"))
    await lists(seller, "MUG")

    assert [one.location for one in await left(seller)] == ["second"]
