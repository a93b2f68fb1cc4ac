"""`channelsync rules`: set, seen, removed, recorded; the keys they speak of are looked at again."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode

Shopkeeper = Any


def stored(shopkeeper: Shopkeeper) -> list[dict[str, Any]]:
    return [row for row in shopkeeper.runs("rules", "list", "--json").rows if row["id"].startswith("r-")]


def query(shopkeeper: Shopkeeper, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(shopkeeper.config.parent / "channelsync.db") as connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


def test_the_rules_of_the_configuration_are_listed_with_their_source(open_shops: Any) -> None:
    shopkeeper = open_shops("rules = { buffer = 2 }")
    found = shopkeeper.runs("rules", "list", "--json").rows

    rule = next(row for row in found if row["id"] == "shop")
    assert (rule["rank"], rule["applies_to"], rule["says"]) == (3, "channel shop", {"buffer": {"fixed": 2}})
    assert "two-shops.toml line" in rule["source"]
    assert "buffer" in shopkeeper.runs("rules", "list").out


@pytest.mark.parametrize(
    ("scope", "applies_to", "rank"),
    [
        ((), "everything", 1),
        (("--channel", "shop"), "channel shop", 3),
        (("--class", "fragile"), "class fragile", 4),
        (("--sku", "MUG"), "SKU MUG", 6),
        (("--sku", "MUG", "--channel", "shop"), "SKU MUG on channel shop", 8),
        (("--listing", "item-1"), "listing item-1", 9),
    ],
)
def test_a_rule_is_set_for_a_scope_and_removed(
    shopkeeper: Shopkeeper, scope: tuple[str, ...], applies_to: str, rank: int
) -> None:
    shopkeeper.sells("MUG", 5)
    assert shopkeeper.runs("rules", "set", *scope, "buffer=2").code == 0
    (rule,) = stored(shopkeeper)

    assert (rule["applies_to"], rule["rank"], rule["says"]) == (applies_to, rank, {"buffer": {"fixed": 2}})
    assert rule["source"].startswith("`channelsync rules set`, run r-")
    assert shopkeeper.runs("rules", "remove", rule["id"]).code == 0
    assert stored(shopkeeper) == []


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("buffer=10%", {"buffer": {"percent": 10}}),
        ('buffer="10%"', {"buffer": {"percent": 10}}),
        ("buffer=computed", {"buffer": {"p": 0.01, "at_most": None}}),
        ("buffer={ p = 0.05, at_most = 9 }", {"buffer": {"p": 0.05, "at_most": 9}}),
        ("share=40", {"share": 40}),
        ("may_raise=false", {"may_raise": False}),
        ("do_not_touch=true", {"do_not_touch": True}),
        ("preorder_from_incoming=true", {"preorder_from_incoming": {"at_most": None}}),
        ('locations=["main"]', {"locations": ["main"]}),
        ("ring_fenced=5", {"ring_fenced": 5}),
    ],
)
def test_values_are_written_as_in_the_configuration(
    shopkeeper: Shopkeeper, written: str, says: dict[str, object]
) -> None:
    assert shopkeeper.runs("rules", "set", "--channel", "shop", written).code == 0
    assert stored(shopkeeper)[0]["says"] == says


def test_last_units_are_set_for_everything(shopkeeper: Shopkeeper) -> None:
    ran = shopkeeper.runs("rules", "set", 'last_units={ at_or_below = 2, preferred = ["market"] }')

    assert ran.code == 0
    assert stored(shopkeeper)[0]["says"] == {"last_units": {"at_or_below": 2, "preferred": ["market"]}}


def test_setting_again_adds_to_the_rule_of_the_scope_and_an_empty_value_takes_out(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2", "share=40")
    shopkeeper.runs("rules", "set", "--channel", "shop", "maximum_shown=9", "share=")
    (rule,) = stored(shopkeeper)
    assert rule["says"] == {"buffer": {"fixed": 2}, "maximum_shown": 9}

    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=", "maximum_shown=")
    assert ran.err == "The rule says nothing any more and was removed.\n"
    assert stored(shopkeeper) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bufer=2",), "there is no key 'bufer': did you mean 'buffer'?"),
        (("buffer",), "'buffer' is not KEY=VALUE"),
        (("buffer=lots",), "buffer: should be units (2), a percentage"),
        (("share=140",), "share: Input should be less than or equal to 100"),
        (("buffer=",), "the rule would say nothing"),
        (("ring_fenced=5",), "ring_fenced must say for which channel"),
        (("buffer=computed",), "no channel is named whose oversell_target holds"),
        (("--channel", "shpo", "buffer=2"), "did you mean 'shop'?"),
        (("--class", "fragil", "buffer=2"), "there is no class 'fragil'"),
        (("--location", "attic", "buffer=2"), "there is no location 'attic'"),
        (("--sku", "NIX", "buffer=2"), "There is no item with the SKU NIX"),
        (("--class", "fragile", "--listing", "x", "buffer=2"), "cannot be combined"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_in_one_sentence_and_changes_nothing(
    shopkeeper: Shopkeeper, arguments: tuple[str, ...], said: str
) -> None:
    ran = shopkeeper.runs("rules", "set", *arguments)

    assert ran.code in (ExitCode.REFUSED, ExitCode.USAGE)
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert stored(shopkeeper) == []


def test_a_rule_of_the_configuration_is_removed_in_its_file(open_shops: Any) -> None:
    shopkeeper = open_shops("rules = { buffer = 2 }")
    ran = shopkeeper.runs("rules", "remove", "shop")

    assert ran.code == ExitCode.REFUSED
    assert "stands in the configuration (two-shops.toml line" in ran.err
    assert shopkeeper.runs("rules", "remove", "r-nix").code == ExitCode.REFUSED


def test_a_rule_set_here_wins_over_one_of_the_same_rank_and_the_tie_is_told(open_shops: Any) -> None:
    shopkeeper = open_shops("rules = { maximum_shown = 3 }")
    listing = shopkeeper.sells("MUG", 5)
    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "maximum_shown=4")

    assert "warning: maximum_shown is said twice for channel shop" in ran.err
    assert shopkeeper.runs("reconcile").code == 0
    assert shopkeeper.number(listing) == 4


def test_a_change_is_recorded_with_what_was_there_before(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2")
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=3")
    shopkeeper.runs("rules", "remove", stored(shopkeeper)[0]["id"])
    changes = query(shopkeeper, 'SELECT kind, "before", "after" FROM change ORDER BY id')

    said = [(json.loads(before), json.loads(after)) for _, before, after in changes]
    assert {kind for kind, _, _ in changes} == {"rule"}
    buffers = [tuple(one and one["says"]["buffer"]["fixed"] for one in pair) for pair in said]
    assert buffers == [(None, 2), (2, 3), (3, None)]
    assert said[0][1]["scope"] == {"channel": "shop"}


@pytest.mark.parametrize(
    ("arguments", "due"),
    [
        (("--sku", "MUG", "buffer=1"), {"MUG": 2, "CUP": 0}),
        (("--class", "fragile", "buffer=1"), {"MUG": 2, "CUP": 0}),
        (("--channel", "market", "buffer=1"), {"MUG": 1, "CUP": 0}),
        (("--channel", "market", "ring_fenced=1"), {"MUG": 2, "CUP": 1}),
        (("buffer=1",), {"MUG": 2, "CUP": 1}),
    ],
)
def test_the_numbers_that_a_rule_speaks_of_are_looked_at_again(
    shopkeeper: Shopkeeper, arguments: tuple[str, ...], due: dict[str, int]
) -> None:
    shopkeeper.sells("MUG", 5)
    shopkeeper.sells("MUG", 5, units=0, channel="market")
    shopkeeper.sells("CUP", 5)
    query(shopkeeper, "UPDATE quantity_key SET due_at = NULL")
    assert shopkeeper.runs("rules", "set", *arguments).code == 0

    statement = "SELECT sku, sum(due_at IS NOT NULL) FROM quantity_key JOIN item ON item.id = item GROUP BY sku"
    assert dict(query(shopkeeper, statement)) == due


def test_a_rule_can_be_undone(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2")
    ((run,),) = query(shopkeeper, "SELECT id FROM run WHERE command = 'rules set'")

    assert shopkeeper.runs("undo", run).code == 0
    assert stored(shopkeeper) == []
