"""`channelsync listings`: from a pull to mappings, on a shop in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync_memory.shop import SHOPS, Shop, ShopSilent

CONFIG = """\
[database]
url = "{url}"

[[location]]
name = "main"

[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "cli-shop" }}

[[channel]]
name = "market"
connector = "memory"
settings = {{ shop = "cli-market" }}
"""


Run = Callable[..., Any]
"""Runs a command; see `Ran` in conftest.py for how it ended."""


@pytest.fixture
def shops() -> Iterator[dict[str, Shop]]:
    SHOPS["cli-shop"], SHOPS["cli-market"] = Shop(SystemClock()), Shop(SystemClock())
    yield {"shop": SHOPS["cli-shop"], "market": SHOPS["cli-market"]}
    del SHOPS["cli-shop"], SHOPS["cli-market"]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, shops: dict[str, Shop], run_command: Run) -> Run:
    """Runs a command on a seller with two shops."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(url=sqlite_url))
    return partial(run_command, "--config", str(config))


@pytest.fixture
def mugs(run: Run, shops: dict[str, Shop]) -> Run:
    """Both shops list MUG; the shop also lists LAMP. All is pulled."""
    shops["shop"].list_item("MUG", 5)
    shops["shop"].list_item("LAMP", 3)
    shops["market"].list_item("MUG", 5)
    assert run("listings", "pull").code == 0
    return run


# Pulling and looking


def test_pull_says_what_it_brought_of_each_channel(run: Run, shops: dict[str, Shop]) -> None:
    shops["shop"].list_item("MUG", 5)

    ran = run("listings", "pull", "--json")

    assert ran.code == 0
    rest = {"gone": 0, "missing": 0, "plan": "", "went_on": 0, "kept": 0, "failed": ""}
    assert ran.rows == [
        {"channel": "shop", "listings": 1, "states": {"active": 1}, **rest},
        {"channel": "market", "listings": 0, "states": {}, **rest},
    ]


def test_a_pull_that_brings_far_too_few_ends_listings_only_when_told_so(mugs: Run, shops: dict[str, Shop]) -> None:
    shops["shop"].items.clear()

    (kept,) = mugs("listings", "pull", "--channel", "shop", "--json").rows
    (ended,) = mugs("listings", "pull", "--channel", "shop", "--accept-fewer", "--json").rows

    assert [(row["gone"], row["missing"]) for row in (kept, ended)] == [(0, 2), (2, 0)]


def test_a_channel_that_cannot_be_pulled_keeps_no_other_from_it(run: Run, shops: dict[str, Shop]) -> None:
    shops["market"].list_item("MUG", 5)
    shops["shop"].trouble = ShopSilent("no answer came")

    ran = run("listings", "pull", "--json")

    assert ran.code == ExitCode.UNREACHABLE
    assert [(row["channel"], row["listings"]) for row in ran.rows] == [("shop", 0), ("market", 1)]
    assert ran.err.startswith("error: shop: cli-shop: no answer came")


def test_an_unknown_channel_is_named_with_the_nearest_one(run: Run) -> None:
    ran = run("listings", "pull", "--channel", "shpo")

    assert ran.code == ExitCode.REFUSED
    assert "there is no channel 'shpo'" in ran.err
    assert "did you mean 'shop'?" in ran.err


def test_list_shows_what_listings_are_mapped_to_and_their_numbers(mugs: Run) -> None:
    mugs("listings", "map", "shop", "item-1", "MUG", "--multiple", "2", "--create-item")

    rows = mugs("listings", "list", "--json").rows
    of_mug = mugs("listings", "list", "--sku", "MUG", "--json").rows
    waiting = mugs("listings", "list", "--channel", "shop", "--unmapped", "--json").rows

    assert [(row["channel"], row["listing"], row["mapped_to"]) for row in rows] == [
        ("market", "item-1", None),
        ("shop", "item-1", "MUG"),
        ("shop", "item-2", None),
    ]
    assert [(row["multiple"], row["mapped_by"], row["shows"]) for row in of_mug] == [(2, "map", [None])]
    assert [row["listing"] for row in waiting] == ["item-2"]
    assert rows[0]["shows"] == [5]
    header = " ".join(mugs("listings", "list").out.split()[:40])
    assert "shows" not in header


def test_list_of_an_unknown_sku_says_so(mugs: Run) -> None:
    ran = mugs("listings", "list", "--sku", "CUP")

    assert ran.code == ExitCode.REFUSED
    assert "no item has the SKU 'CUP'" in ran.err


# Mapping


def test_map_says_what_follows_and_the_second_time_that_it_was_so_already(mugs: Run) -> None:
    ran = mugs("listings", "map", "shop", "item-1", "MUG", "--multiple", "6", "--create-item")
    again = mugs("listings", "map", "shop", "item-1", "MUG", "--multiple", "6")

    assert (ran.code, again.code) == (0, 0)
    said, left, run_said = ran.err.splitlines()
    assert said == "shop listing item-1 is 6 of MUG from now on. 1 numbers behind it start anew."
    assert left.startswith("shop: nobody has said yet how many units there are of MUG, so")
    assert run_said.startswith("Run ")
    assert again.err == "shop listing item-1 was mapped to 6 of MUG already.\n"


def test_an_order_that_waited_for_an_item_is_booked_when_a_mapping_makes_it(mugs: Run) -> None:
    assert mugs("orders", "book", "P-1", "LAMP=2").code == ExitCode.FOUND_WRONG
    assert [row["kind"] for row in mugs("findings", "list", "--json").rows] == ["unmapped line"]

    ran = mugs("listings", "map", "shop", "item-2", "LAMP", "--create-item")

    assert "1 orders that had waited were booked" in ran.err
    assert "shop: nobody has said yet how many units there are of LAMP, so" in ran.err
    assert mugs("orders", "list", "--only", "waiting", "--json").rows == []
    assert mugs("findings", "list", "--json").rows == []
    mugs("stock", "count", "LAMP", "0", "--location", "main")
    assert [row["kind"] for row in mugs("findings", "list", "--json").rows] == ["oversold"]


def test_map_to_an_unknown_sku_changes_nothing_and_says_how_to_make_the_item(mugs: Run) -> None:
    ran = mugs("listings", "map", "shop", "item-1", "MUG")

    assert ran.code == ExitCode.REFUSED
    assert "no item has the SKU 'MUG'" in ran.err
    assert "--create-item" in ran.err
    assert all(row["mapped_to"] is None for row in mugs("listings", "list", "--json").rows)


def test_map_of_an_unknown_listing_says_to_pull(mugs: Run) -> None:
    ran = mugs("listings", "map", "shop", "item-9", "MUG", "--create-item")

    assert ran.code == ExitCode.REFUSED
    assert "shop has no listing item-9 that we know of" in ran.err
    assert "listings pull" in ran.err


def test_unmap_takes_a_mapping_back(mugs: Run) -> None:
    mugs("listings", "map", "shop", "item-1", "MUG", "--create-item")

    (unmapped,) = mugs("listings", "unmap", "shop", "item-1", "--json").rows

    assert mugs("undo", unmapped.pop("run")).code == 0
    assert [row["mapped_to"] for row in mugs("listings", "list", "--sku", "MUG", "--json").rows] == ["MUG"]
    assert mugs("listings", "unmap", "shop", "item-1").code == 0
    assert [unmapped] == [
        {
            "changed": True,
            "keys_started_anew": 1,
            "units_released": 0,
            "orders_booked": 0,
            "share_its_number_unmapped": [],
            "held": [],
        }
    ]
    assert "was not mapped" in mugs("listings", "unmap", "shop", "item-1").err


# Matching


def test_match_proposes_and_changes_nothing(mugs: Run) -> None:
    mugs("listings", "map", "shop", "item-1", "MUG", "--create-item")

    ran = mugs("listings", "match", "--json")

    assert [(row["channel"], row["listing_sku"], row["sku"], row["confidence"]) for row in ran.rows] == [
        ("market", "MUG", "MUG", "certain"),
        ("shop", "LAMP", None, "none"),
    ]
    assert "1 are certain" in ran.err
    assert "Nothing was changed" in ran.err
    assert len(mugs("listings", "list", "--unmapped", "--json").rows) == 2


def test_match_apply_maps_what_is_certain_and_leaves_guesses(mugs: Run, shops: dict[str, Shop]) -> None:
    mugs("listings", "map", "shop", "item-1", "MUG", "--create-item")
    shops["market"].list_item("mug x6", 2)
    mugs("listings", "pull")

    ran = mugs("listings", "match", "--apply")

    assert ran.code == 0
    assert "Mapped 1 listings, made 0 items" in ran.err
    assert [row["sku"] for row in mugs("listings", "list", "--unmapped", "--json").rows] == ["mug x6", "LAMP"]

    assert "Mapped 1 listings" in mugs("listings", "match", "--apply", "--guesses").err
    (pack,) = [row for row in mugs("listings", "list", "--json").rows if row["sku"] == "mug x6"]
    assert (pack["mapped_to"], pack["multiple"]) == ("MUG", 6)


def test_match_create_items_makes_one_item_for_one_sku_of_many_channels(mugs: Run) -> None:
    looked = mugs("listings", "match", "--create-items", "--json")
    assert [(row["sku"], row["new_item"]) for row in looked.rows] == [("MUG", True), ("MUG", True), ("LAMP", True)]

    ran = mugs("listings", "match", "--create-items", "--apply")

    assert "Mapped 3 listings, made 2 items" in ran.err
    assert {row["mapped_to"] for row in mugs("listings", "list", "--json").rows} == {"MUG", "LAMP"}


def test_the_run_that_match_names_takes_all_of_its_mappings_back(mugs: Run) -> None:
    ran = mugs("listings", "match", "--create-items", "--apply", "--json")
    (named,) = [line.split()[1].rstrip(";") for line in ran.err.splitlines() if line.startswith("Run ")]

    assert mugs("undo", named).code == 0

    assert all(row["mapped_to"] is None for row in mugs("listings", "list", "--json").rows)


def test_a_match_of_skus_that_no_item_has_names_the_way_for_all_of_them_at_once(mugs: Run) -> None:
    assert "--create-items" in mugs("listings", "match").err
    assert "no item has the SKU" not in mugs("listings", "match", "--create-items").err


def test_guesses_without_apply_are_a_mistake(run: Run) -> None:
    assert run("listings", "match", "--guesses").code == ExitCode.USAGE


# Lint


def test_lint_ends_with_1_when_something_is_wrong_and_with_0_when_nothing_is(mugs: Run) -> None:
    found = mugs("listings", "lint", "--json")
    assert found.code == ExitCode.FOUND_WRONG
    assert {row["kind"] for row in found.rows} == {"not mapped"}

    applied = mugs("listings", "match", "--create-items", "--apply")
    assert "shop: nobody has said yet how many units there are of LAMP, MUG, so" in applied.err
    unstated = mugs("listings", "lint", "--json").rows
    assert {(row["kind"], row["channel"]) for row in unstated} == {
        ("nobody said how many", "market"),
        ("nobody said how many", "shop"),
    }
    for sku in ("MUG", "LAMP"):
        mugs("stock", "count", sku, "2", "--location", "main")
    clean = mugs("listings", "lint", "--json")
    assert (clean.code, clean.rows) == (0, [])


def test_lint_of_one_channel_leaves_the_others_out(mugs: Run) -> None:
    rows = mugs("listings", "lint", "--channel", "market", "--json").rows

    assert [(row["channel"], row["listing"]) for row in rows] == [("market", "item-1")]
