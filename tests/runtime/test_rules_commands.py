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
    assert "buffer=2" in shopkeeper.runs("rules", "list").out


@pytest.mark.parametrize(
    "typed", ["buffer=2", "buffer=10%", "share=40", 'last_units={ at_or_below = 2, preferred = ["shop"] }']
)
def test_a_rule_is_listed_as_it_is_typed(shopkeeper: Shopkeeper, typed: str) -> None:
    assert shopkeeper.runs("rules", "set", typed).code == 0
    assert typed.rsplit(maxsplit=1)[-1] in shopkeeper.runs("rules", "list").out


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


@pytest.mark.parametrize(
    "typed",
    [
        "buffer=2",
        "buffer=10%",
        "buffer={ p = 0.05, at_most = 9 }",
        "do_not_touch=true",
        "may_raise=false",
        "preorder_from_incoming=true",
        "preorder_from_incoming=5",
        "preorder_from_incoming=false",
        'locations=["main"]',
    ],
)
def test_a_rule_that_is_set_is_told_as_it_is_typed(shopkeeper: Shopkeeper, typed: str) -> None:
    first = shopkeeper.runs("rules", "set", "--channel", "shop", typed)
    assert f": {typed}. Take it away" in first.err
    assert f"would say: {typed}." in shopkeeper.runs("rules", "set", "--channel", "shop", typed, "--dry-run").err


def test_a_rule_that_reaches_no_listing_is_warned_of_at_once_and_named_by_lint(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    warning = "warning: it reaches no listing: no listing nope is mapped to an item"
    looked = shopkeeper.runs("rules", "set", "maximum_shown=1", "--listing", "nope", "--dry-run")
    ran = shopkeeper.runs("rules", "set", "maximum_shown=1", "--listing", "nope")
    assert warning in looked.err
    assert (ran.code, warning in ran.err) == (0, True)
    assert "no listing" not in shopkeeper.runs("rules", "set", "maximum_shown=1", "--sku", "MUG").err

    (rule,) = [one for one in stored(shopkeeper) if one["applies_to"].startswith("listing")]
    found = shopkeeper.runs("listings", "lint", "--json")
    assert found.code == ExitCode.FOUND_WRONG
    (problem,) = [one for one in found.rows if one["kind"] == "rule reaches nothing"]
    assert f"rule {rule['id']}: it reaches no listing" in problem["text"]
    assert f"`channelsync rules remove {rule['id']}` takes it away" in problem["text"]


def test_a_rule_that_was_left_behind_by_a_new_name_is_named_by_lint(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    shopkeeper.runs("rules", "set", "maximum_shown=3", "--channel", "market")
    shopkeeper.runs("rules", "set", 'last_units={ at_or_below = 2, preferred = ["market"] }')
    assert shopkeeper.runs("listings", "lint").code == 0
    config = shopkeeper.config.read_text()
    shopkeeper.config.write_text(config.replace('name = "market"', 'name = "bazaar"'))

    idle = [one["text"] for one in shopkeeper.runs("listings", "lint", "--json").rows]
    assert len(idle) == 2
    assert any("it reaches no listing: the configuration has no channel market" in one for one in idle)
    assert any("`channelsync rules set maximum_shown=3` with other options" in one for one in idle)
    assert any("it names channel market, which the configuration does not have" in one for one in idle)


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
    assert ran.err.splitlines()[0] == "The rule says nothing any more and was removed."
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
        (('locations=["mian"]',), "there is no location 'mian'"),
        (('last_units={ at_or_below = 2, preferred = ["shpo"] }',), "there is no channel 'shpo'"),
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


def test_the_run_that_a_change_names_takes_it_back(shopkeeper: Shopkeeper) -> None:
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2")
    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=3")
    (run,) = [line.split()[1].rstrip(";") for line in ran.err.splitlines() if line.startswith("Run ")]

    assert shopkeeper.runs("undo", run).code == 0

    assert [rule["says"] for rule in stored(shopkeeper)] == [{"buffer": {"fixed": 2}}]


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


# Only looked at


def test_what_a_rule_would_show_is_told_before_it_holds(shopkeeper: Shopkeeper) -> None:
    mug = shopkeeper.sells("MUG", 12)
    cup = shopkeeper.sells("CUP", 3)
    shopkeeper.sells("MUG", 0, units=0, channel="market")
    assert shopkeeper.runs("reconcile").code == 0

    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=4", "--dry-run", "--json")

    assert (ran.code, ran.document["dry_run"], ran.document["run"]) == (0, True, None)
    assert ran.document["says"] == {"buffer": {"fixed": 4}}
    assert ran.document["moved"] == [
        {"channel": "shop", "listing": mug, "remote": "", "sku": "MUG", "now": 12, "then": 8},
        {"channel": "shop", "listing": cup, "remote": "", "sku": "CUP", "now": 3, "then": 0},
    ]
    assert shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=4").code == 0
    assert shopkeeper.runs("reconcile").code == 0
    assert [shopkeeper.number(listing) for listing in (mug, cup)] == [8, 0]


def test_what_is_shown_without_a_rule_is_told_before_it_is_removed(shopkeeper: Shopkeeper) -> None:
    mug = shopkeeper.sells("MUG", 12)
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=4")
    (rule,) = stored(shopkeeper)

    ran = shopkeeper.runs("rules", "remove", rule["id"], "--dry-run", "--json")

    assert ran.document["moved"] == [
        {"channel": "shop", "listing": mug, "remote": "", "sku": "MUG", "now": 8, "then": 12}
    ]
    assert (ran.document["rule"], ran.document["says"]) == (rule["id"], None)
    assert stored(shopkeeper) == [rule]


@pytest.mark.parametrize("arguments", [("set", "buffer=2"), ("set", "--channel", "shop", "share=", "buffer=2")])
def test_a_rule_that_is_only_looked_at_leaves_nothing_behind(
    shopkeeper: Shopkeeper, arguments: tuple[str, ...]
) -> None:
    shopkeeper.sells("MUG", 5)
    shopkeeper.runs("rules", "set", "--channel", "shop", "share=40")
    query(shopkeeper, "UPDATE quantity_key SET due_at = NULL")
    tables = ["run", "change", "rule", "guard_plan", "guard_key", "finding"]
    before = [query(shopkeeper, f'SELECT * FROM "{name}"') for name in tables]
    ran = shopkeeper.runs("rules", *arguments, "--dry-run")

    assert ran.code == 0
    assert [query(shopkeeper, f'SELECT * FROM "{name}"') for name in tables] == before
    assert query(shopkeeper, "SELECT count(*) FROM quantity_key WHERE due_at IS NOT NULL") == [(0,)]
    assert "Nothing was changed." in ran.err
    assert not [line for line in ran.err.splitlines() if line.startswith("Run ")]


def test_of_a_rule_on_what_may_be_written_it_is_said_that_it_makes_no_number_another(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "may_raise=false", "--dry-run")

    assert "What would be shown: none" in ran.out
    assert "may_raise: says which numbers may be written" in ran.err


def test_a_rule_that_would_wait_for_approval_is_told_as_such_and_holds_nothing(open_shops: Any) -> None:
    shopkeeper = open_shops("guard = { least = 1, listings = 0.1 }")
    for sku in ("MUG", "CUP", "TIN"):
        shopkeeper.sells(sku, 9)
    assert shopkeeper.runs("reconcile").code == 0

    ran = shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=8", "--dry-run")

    assert ran.code == ExitCode.HELD
    assert "shop: would be held for approval" in ran.err
    assert query(shopkeeper, "SELECT count(*) FROM guard_plan") == [(0,)]


def test_a_change_of_rules_is_told_as_one_document(shopkeeper: Shopkeeper) -> None:
    done = shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2", "--json").document
    gone = shopkeeper.runs("rules", "remove", done["rule"], "--json").document

    assert (done["says"], done["dry_run"], done["moved"]) == ({"buffer": {"fixed": 2}}, False, None)
    assert (gone["rule"], gone["says"], gone["held"]) == (done["rule"], None, [])
    assert shopkeeper.runs("undo", gone["run"]).code == 0
    assert [rule["id"] for rule in stored(shopkeeper)] == [done["rule"]]
