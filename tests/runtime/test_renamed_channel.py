"""A channel that was given another name, or left to another channel of its account, goes on where it was."""

from __future__ import annotations

from typing import Any

import pytest

Shopkeeper = Any


@pytest.fixture
def renamed(shopkeeper: Shopkeeper) -> Shopkeeper:
    """MUG stands on "shop" and "market" with 9 units, 2 of them in an open order of "shop", which is "store" now."""
    listing = shopkeeper.sells("MUG", 9)
    shopkeeper.sells("MUG", 9, units=0, channel="market")
    shop = shopkeeper.shops["shop"]
    shopkeeper.order = shop.buy((shop.items[listing], 2))
    assert shopkeeper.runs("reconcile").code == 0
    shopkeeper.listing = listing
    rename(shopkeeper, "shop", "store")
    return shopkeeper


def rename(keeper: Shopkeeper, old: str, new: str) -> None:
    text = keeper.config.read_text()
    assert f'name = "{old}"' in text
    keeper.config.write_text(text.replace(f'name = "{old}"', f'name = "{new}"'))


def numbers(keeper: Shopkeeper) -> set[int]:
    return {one.number for shop in keeper.shops.values() for one in shop.items.values()}


def test_numbers_of_a_renamed_channel_are_written_and_its_listings_mean_what_they_meant(renamed: Shopkeeper) -> None:
    assert renamed.runs("stock", "write-off", "MUG", "3", "--location", "main", "--reason", "lost").code == 0
    pulled = renamed.runs("listings", "pull", "--channel", "store")
    assert "store: numbers that stood under a channel of this account which is not configured any more" in pulled.err

    assert renamed.runs("reconcile").code == 0

    assert numbers(renamed) == {4}
    rows = renamed.runs("listings", "list", "--json").rows
    assert {(row["channel"], row["mapped_to"]) for row in rows} == {("store", "MUG"), ("market", "MUG")}
    assert "that stood under" not in renamed.runs("listings", "pull", "--channel", "store").err


def test_an_order_booked_under_the_former_name_is_shipped_once(renamed: Shopkeeper) -> None:
    shop = renamed.shops["shop"]
    shop.ship(renamed.order, 2)

    assert renamed.runs("reconcile").code == 0

    (row,) = renamed.runs("stock", "list", "MUG", "--json").rows
    assert (row["on_hand"], row["reserved"]) == (7, 0)
    assert numbers(renamed) == {7}
    assert renamed.runs("verify").code == 0


def test_a_channel_that_is_named_back_goes_on_once_more(renamed: Shopkeeper) -> None:
    assert renamed.runs("reconcile").code == 0
    rename(renamed, "store", "shop")
    assert renamed.runs("stock", "write-off", "MUG", "1", "--location", "main", "--reason", "lost").code == 0

    assert renamed.runs("reconcile").code == 0

    assert numbers(renamed) == {6}


@pytest.mark.parametrize("switch", [("channels", "zero", "shop"), ("channels", "mode", "shop", "observe"), ("stop",)])
def test_what_was_switched_under_the_former_name_still_holds(shopkeeper: Shopkeeper, switch: tuple[str, ...]) -> None:
    shopkeeper.sells("MUG", 9)
    assert shopkeeper.runs("reconcile").code == 0
    assert shopkeeper.runs(*switch).code == 0
    (before,) = [row for row in shopkeeper.runs("channels", "list", "--json").rows if row["name"] == "shop"]

    rename(shopkeeper, "shop", "store")
    assert shopkeeper.runs("listings", "pull").code == 0

    (after,) = [row for row in shopkeeper.runs("channels", "list", "--json").rows if row["name"] == "store"]
    said = ("mode", "stopped", "on_holiday")
    assert [after[name] for name in said] == [before[name] for name in said]
