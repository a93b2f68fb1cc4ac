"""Lint names what is wrong with listings, mappings, bundles and rules, and says nothing of what is right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync.store import items
from channelsync.store.items import Item, item_id
from channelsync.sync.listings_lint import LintKind, Problem, lint
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

GTIN = "4006381333931"


class Shown(MemoryChannel):
    """A channel that shows its listings as the test says."""

    change: Callable[[Listing], Listing | None] = staticmethod(lambda listing: listing)

    async def listings(self) -> AsyncIterator[Listing]:
        async for listing in super().listings():
            changed = Shown.change(listing)
            if changed is not None:
                yield changed

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        changed = map(Shown.change, await super().listings_by_id(listings))
        return [one for one in changed if one is not None]


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Listing], Listing | None]], None]:
    """Says how the channel shows its listings from now on."""
    return lambda change: monkeypatch.setattr(Shown, "change", staticmethod(change))


@pytest.fixture
def open_shop(open_seller: Any) -> Any:
    async def opened(**fields: Any) -> Any:
        return await open_seller("shop", connectors={"shop": memory_connector(Shown)}, **fields)

    return opened


@pytest.fixture
async def seller(open_shop: Any, shows: Any) -> Any:
    return await open_shop()


async def problems(seller: Any, **setup: Any) -> list[Problem]:
    looked = replace(seller.agent.setup, **setup)
    found: list[Problem] = await seller.database.query(lambda c: lint(c, looked, seller.clock.now()))
    return found


async def kinds(seller: Any, **setup: Any) -> list[tuple[LintKind, str]]:
    """Kind and listing of everything that is wrong."""
    return [(one.kind, one.listing) for one in await problems(seller, **setup)]


async def test_what_is_right_is_not_mentioned(seller: Any) -> None:
    await seller.sells("MUG", 5)

    assert await problems(seller) == []


async def test_blank_skus_and_unmapped_listings_are_named(seller: Any, shows: Any) -> None:
    mug = await seller.lists("MUG", 5)
    shows(lambda one: replace(one, sku=None))
    await seller.pull()

    assert await kinds(seller) == [(LintKind.BLANK_SKU, mug), (LintKind.NOT_MAPPED, mug)]


async def test_two_listings_of_one_sku_are_named_once_unless_they_are_one_number(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    other = await seller.lists("MUG", 5)
    await seller.pull()
    await seller.map(other, "MUG")

    (found,) = await problems(seller)
    assert (found.kind, found.listing) == (LintKind.DUPLICATE_SKU, mug)
    assert f"{mug}, {other}" in found.text


def declaring(seller: Any, **capabilities: Any) -> dict[str, Any]:
    """The seller's channels, with "shop" declaring this."""
    shop = seller.agent.setup.channels["shop"]
    changed = replace(shop, capabilities=replace(shop.capabilities, **capabilities))
    return {"channels": dict(seller.agent.setup.channels) | {"shop": changed}}


async def test_where_skus_are_unique_an_ended_listing_is_no_duplicate(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    other = await seller.lists("MUG", 5)
    shows(lambda one: replace(one, state=ListingState.ENDED) if one.listing == mug else one)
    await seller.pull()
    await seller.map(other, "MUG")

    assert await kinds(seller) == [(LintKind.DUPLICATE_SKU, mug)]
    assert await kinds(seller, **declaring(seller, unique_skus=True)) == []
    shows(lambda one: one)
    await seller.pull()
    assert await kinds(seller, **declaring(seller, unique_skus=True)) == [(LintKind.DUPLICATE_SKU, mug)]


async def test_a_channel_whose_listings_0_ends_is_named(seller: Any) -> None:
    ends = declaring(seller, zero="ends")
    assert await problems(seller, **ends) == []
    await seller.sells("MUG", 5)

    (found,) = await problems(seller, **ends)

    assert (found.kind, found.channel, found.listing) == (LintKind.ZERO_ENDS, "shop", "")
    assert "(1 are mapped)" in found.text
    assert await problems(seller, **declaring(seller, zero="deactivates")) == []


async def test_two_items_of_one_barcode_are_named(seller: Any) -> None:
    two = [Item(id=item_id(sku), sku=sku, barcode=GTIN) for sku in ("MUG", "CUP")]
    await seller.database.transact(lambda c: items.add_items(c, two, seller.clock.now()))

    (found,) = await problems(seller)

    assert found.kind is LintKind.DUPLICATE_BARCODE
    assert found.text.startswith("the items CUP, MUG have one barcode")


async def test_listings_of_one_barcode_that_are_not_one_item_are_named(seller: Any, shows: Any) -> None:
    shows(lambda one: replace(one, barcode=GTIN))
    mug, cup = await seller.sells("MUG", 5), await seller.sells("CUP", 5)
    assert await kinds(seller) == [(LintKind.DUPLICATE_BARCODE, mug)]

    await seller.map(cup, "MUG", 6)
    assert (LintKind.DUPLICATE_BARCODE, mug) not in await kinds(seller), "a pack of the same item may have it"


async def test_two_locations_behind_one_number_are_named_unless_somebody_chose_them(open_shop: Any) -> None:
    seller = await open_shop(locations=("main", "outlet"))
    await seller.sells("MUG", 5)

    (found,) = await problems(seller)
    assert (found.kind, found.channel) == (LintKind.LOCATIONS, "shop")
    assert "main and outlet together" in found.text or "main and outlet" in found.text

    both = RuleValues(locations=("main", "outlet"))
    everywhere = Rule("all", RuleScope(), both, "test")
    chosen = Rule("shop", RuleScope(channel="shop"), both, "test")
    assert len(await problems(seller, rules=(everywhere,))) == 1, "the fall-back is nobody's choice"
    assert await problems(seller, rules=(everywhere, chosen)) == []


async def test_one_location_behind_two_numbers_is_named(seller: Any) -> None:
    channel = replace(seller.channel().setup, remotes={"7": "main", "8": "main"})

    (found,) = await problems(seller, channels={"shop": channel})

    assert found.text == "its locations 7 and 8 are all fed by main: the same units are shown twice"


async def test_a_bundle_with_a_part_that_was_never_counted_is_named(open_shop: Any, shows: Any) -> None:
    seller = await open_shop(recipes={"SET": {"MUG": 2, "TEA": 1}, "BOX": {"SET": 1, "MUG": 1}})
    await seller.has("MUG", 5)

    (found,) = await problems(seller)

    assert found.kind is LintKind.MISSING_PART
    assert found.text.startswith("no unit of TEA, a part of the bundle SET, was ever counted")
    await seller.has("TEA", 1)
    assert await problems(seller) == []


async def test_a_bundle_and_a_part_that_are_no_items_yet_are_named_as_the_configuration_has_them(seller: Any) -> None:
    recipe = Recipe(item_id("SET"), "virtual", (Part(item_id("TEA"), 1),))
    named = {item_id(sku): sku for sku in ("SET", "TEA")}

    (found,) = await problems(seller, recipes={recipe.item: recipe}, named=named)

    assert found.text.startswith("no unit of TEA, a part of the bundle SET, was ever counted")


async def test_a_bundle_of_the_channel_whose_part_is_missing_or_not_mapped_is_named(seller: Any, shows: Any) -> None:
    await seller.has("SET", 3)
    part, bundle = await seller.lists("MUG", 5), await seller.lists("SET", 2)
    shows(lambda one: replace(one, parts=((part, 2), ("item-9", 1))) if one.sku == "SET" else one)
    await seller.pull()
    await seller.map(bundle, "SET")

    found = [one for one in await problems(seller) if one.kind is LintKind.MISSING_PART]

    assert [(one.listing, one.text.partition(";")[0]) for one in found] == [
        (bundle, f"the channel makes it of listing {part}, which it lists, but which is not mapped"),
        (bundle, "the channel makes it of listing item-9, which it does not list"),
    ]


async def test_a_number_at_a_location_of_the_channel_that_none_of_ours_feeds_is_named(
    open_shop: Any, shows: Any
) -> None:
    seller = await open_shop(channel={"remotes": {"R1": "main"}})
    first, second = QuantityKey("k", "R1"), QuantityKey("k", "R2")
    shows(lambda one: replace(one, keys=(first, second), shown={first: 5, second: 5}))
    mug = await seller.sells("MUG", 5)

    (found,) = await problems(seller)

    assert (found.kind, found.listing) == (LintKind.NOT_REACHED, mug)
    assert found.text == "no location of yours feeds its location R2 alone; name it in `remotes` of the channel"


async def test_a_listing_that_is_fed_by_no_location_or_has_no_number_is_named(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    nowhere = replace(seller.channel().setup, locations=())
    assert await kinds(seller, channels={"shop": nowhere}) == [(LintKind.NOT_REACHED, mug)]
    assert await kinds(seller, locations=("elsewhere",)) == [(LintKind.NOT_REACHED, mug)]

    bare = await seller.lists("CUP", 1)
    await seller.has("CUP", 1)
    shows(lambda one: replace(one, keys=(), shown={}) if one.sku == "CUP" else one)
    await seller.pull()
    await seller.map(bare, "CUP")
    assert await kinds(seller) == [(LintKind.NOT_REACHED, bare)]


async def test_listings_of_a_channel_that_is_not_configured_any_more_are_named_together(seller: Any) -> None:
    await seller.sells("MUG", 5)

    (found,) = await problems(seller, channels={})

    assert (found.kind, found.channel, found.listing) == (LintKind.NOT_REACHED, "shop", "")
    assert found.text.startswith("1 listings belong to it")


async def test_listings_that_mean_different_things_on_one_number_are_named_once(seller: Any, shows: Any) -> None:
    shows(lambda one: replace(one, keys=(QuantityKey("k"),), shown={QuantityKey("k"): 5}))
    mug = await seller.sells("MUG", 5)
    other = await seller.lists("MUG-2", 5)
    await seller.pull()

    found = [one for one in await problems(seller) if one.kind is LintKind.ONE_NUMBER]

    assert [one.listing for one in found] == [mug]
    assert f"shop listing {mug}: 1 of MUG; shop listing {other}: not mapped" in found[0].text


async def test_an_untracked_listing_is_named_and_one_that_the_channel_ships_is_not(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shows(lambda one: replace(one, tracked=False, shown={}))
    await seller.pull()
    assert await kinds(seller) == [(LintKind.UNTRACKED, mug)]

    shows(lambda one: replace(one, tracked=False, shown={}, fulfilled_by_channel=True))
    await seller.pull()
    assert await kinds(seller) == []


async def test_a_gone_listing_that_is_mapped_is_named(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    await seller.sells("CUP", 5)
    await seller.clock.sleep(60)
    shows(lambda one: None if one.listing == mug else one)
    await seller.pull()

    assert await kinds(seller) == [(LintKind.GONE, mug)]


async def test_rules_that_contradict_one_another_are_named_by_sku(seller: Any) -> None:
    mug = await seller.has("MUG", 5)
    twice = tuple(
        Rule(name, RuleScope(item=mug), RuleValues(share=share), "config") for name, share in (("#1", 30), ("#2", 40))
    )

    found, *_ = await problems(seller, rules=twice)

    assert found.kind is LintKind.RULES
    assert "for SKU MUG: " in found.text
    assert mug not in found.text


async def test_a_mapped_listing_whose_sku_changed_is_named_until_it_is_mapped_again(seller: Any, shows: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shows(lambda one: replace(one, sku="MUG-NEW"))
    await seller.pull()

    (found,) = await problems(seller)
    assert (found.kind, found.listing) == (LintKind.SKU_CHANGED, mug)
    assert "was MUG when it was mapped to MUG, and is MUG-NEW now" in found.text


async def test_a_listing_with_the_sku_of_another_item_than_it_is_mapped_to_is_named(seller: Any) -> None:
    await seller.has("CUP", 1)
    mug = await seller.sells("MUG", 5)
    await seller.map(mug, "CUP")

    (found,) = await problems(seller)

    assert found.text == "it is mapped to CUP, but its SKU MUG is that of MUG"
