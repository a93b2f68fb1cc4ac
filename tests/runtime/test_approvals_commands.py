"""`channelsync approvals`, and what guarded commands say and end with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from channelsync.runtime.cli.context import awaited
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.store.codec import dump
from channelsync.store.database import open_database
from channelsync.store.tables import metadata

STRICT = "guard = { least = 1, listings = 0.1 }"
Shopkeeper = Any


@pytest.fixture
def guarded(open_shops: Any) -> Shopkeeper:
    """Two shops of which one holds whatever changes more than a tenth of its listings."""
    return open_shops(STRICT)


def counted(shopkeeper: Shopkeeper, units: int, *more: str) -> Any:
    return shopkeeper.runs("stock", "count", "MUG", str(units), "--location", "main", *more)


def plan_of(ran: Any) -> str:
    found = re.search(r"approvals show (p-\w+)", ran.err)
    assert found, ran.err
    return found[1]


def test_a_count_that_moves_too_much_is_done_and_says_what_is_held(guarded: Shopkeeper) -> None:
    listing = guarded.sells("MUG", 5)
    ran = counted(guarded, 90)
    assert ran.code == ExitCode.HELD
    assert "held: shop: held for approval (1 listings would change, 100% of 1" in ran.err
    assert guarded.runs("reconcile").code == 0
    assert guarded.number(listing) == 5
    (row,) = guarded.runs("approvals", "list", "--json").rows
    assert (row["channel"], row["state"], row["held"], row["command"]) == ("shop", "open", 1, "stock count")
    shown = guarded.runs("approvals", "show", row["id"], "--json").document
    (number,) = shown["numbers"]
    assert (number["before"], number["planned"], number["shows"], number["now"]) == (5, 90, 5, 90)
    assert "approve" in guarded.runs("approvals", "show", row["id"]).err
    dry = guarded.runs("reconcile", "--dry-run", "MUG")
    assert "held by plan" in dry.out


def test_a_plan_of_a_channel_of_which_no_number_was_known_says_so_instead_of_0(
    guarded: Shopkeeper, sqlite_url: str
) -> None:
    guarded.sells("MUG", 5)
    plan = plan_of(counted(guarded, 90))
    table = metadata.tables["guard_plan"]

    async def forget() -> None:
        async with open_database(sqlite_url) as database:
            unknown = dump({"units": 85, "of_units": 0})
            await database.transact(lambda c: c.execute(table.update().values(counts=unknown)))

    awaited(forget())

    assert "of_units=none known" in " ".join(guarded.runs("approvals", "show", plan).out.split())


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["for people", "for programs"])
@pytest.mark.parametrize(
    "command",
    [
        ("stock", "count", "MUG", "90", "--location", "main"),
        ("listings", "map", "shop", "item-1", "MUG", "--multiple", "5"),
        ("items", "merge", "CUP", "MUG"),
        ("items", "split", "MUG", "JUG", "--units", "main=5"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_whoever_asks_for_json_is_told_by_the_same_number_that_something_is_held(
    guarded: Shopkeeper, command: tuple[str, ...], as_json: tuple[str, ...]
) -> None:
    guarded.sells("MUG", 5)
    assert guarded.runs("reconcile").code == 0
    assert guarded.runs("stock", "receive", "CUP", "90", "--location", "main", "--create-item").code == 0
    ran = guarded.runs(*command, *as_json)
    assert (ran.code, "held: shop" in ran.err) == (ExitCode.HELD, True)


def test_what_is_approved_is_written(guarded: Shopkeeper) -> None:
    listing = guarded.sells("MUG", 5)
    plan = plan_of(counted(guarded, 90))
    ran = guarded.runs("approvals", "approve", plan, "--reason", "looked at it")
    assert (ran.code, f"Plan {plan} is approved: 1 numbers go out as planned." in ran.err) == (0, True)
    assert guarded.runs("reconcile").code == 0
    assert guarded.number(listing) == 90
    assert guarded.runs("approvals", "list", "--json").rows == []
    (row,) = guarded.runs("approvals", "list", "--all", "--json").rows
    assert (row["state"], row["note"]) == ("approved", "looked at it")
    assert guarded.runs("approvals", "approve", plan).code == ExitCode.REFUSED


def test_what_is_rejected_can_be_undone_at_once(guarded: Shopkeeper) -> None:
    listing = guarded.sells("MUG", 5)
    plan = plan_of(counted(guarded, 90))
    ran = guarded.runs("approvals", "reject", plan)
    assert ran.code == 0
    assert "channelsync undo r-" in ran.err
    (row,) = guarded.runs("approvals", "list", "--json").rows
    assert row["state"] == "rejected"
    ran = guarded.runs("approvals", "reject", plan, "--undo")
    assert (ran.code, "undone" in ran.err) == (0, True)
    assert guarded.runs("reconcile").code == 0
    (position,) = guarded.runs("stock", "list", "--json").rows
    assert (guarded.number(listing), position["on_hand"]) == (5, 5)


def test_an_import_says_beforehand_what_would_be_held(guarded: Shopkeeper, tmp_path: Path) -> None:
    guarded.sells("MUG", 5)
    file = tmp_path / "stock.csv"
    file.write_text("sku,units\nMUG,-5\n")
    said = ("stock", "import", str(file), "--basis", "delta", "--location", "main")
    ran = guarded.runs(*said, "--dry-run")
    assert (ran.code, "would be held for approval" in ran.err) == (ExitCode.HELD, True)
    assert guarded.runs("approvals", "list", "--json").rows == []
    ran = guarded.runs(*said, "--json")
    assert (ran.code, [one["channel"] for one in ran.document["held"]]) == (ExitCode.HELD, ["shop"])


def test_a_rule_that_hides_everything_is_held_and_removing_it_lets_the_numbers_go(guarded: Shopkeeper) -> None:
    listing = guarded.sells("MUG", 5)
    assert guarded.runs("reconcile").code == 0
    ran = guarded.runs("rules", "set", "buffer=5")
    assert ran.code == ExitCode.HELD
    assert guarded.runs("reconcile").code == 0
    assert guarded.number(listing) == 5
    (rule,) = [row for row in guarded.runs("rules", "list", "--json").rows if row["id"].startswith("r-")]
    assert guarded.runs("rules", "remove", rule["id"]).code == 0
    assert guarded.runs("approvals", "list", "--json").rows == []


def test_an_undo_is_judged_as_any_other_run(guarded: Shopkeeper) -> None:
    listing = guarded.sells("MUG", 5)
    plan = plan_of(counted(guarded, 90))
    assert guarded.runs("approvals", "approve", plan).code == 0
    assert guarded.runs("reconcile").code == 0
    run = guarded.runs("approvals", "list", "--all", "--json").rows[0]["run"]
    ran = guarded.runs("undo", run)
    assert ran.code == ExitCode.HELD
    assert guarded.runs("reconcile").code == 0
    assert guarded.number(listing) == 90


def test_a_catalogue_that_was_not_brought_ends_the_pull_and_waits(guarded: Shopkeeper) -> None:
    guarded.sells("MUG", 5)
    guarded.shops["shop"].items.clear()
    ran = guarded.runs("listings", "pull", "--channel", "shop")
    assert ran.code == ExitCode.HELD
    (row,) = guarded.runs("approvals", "list", "--json").rows
    assert (row["kind"], row["counts"]["missing"]) == ("catalogue", 1)
    ran = guarded.runs("approvals", "approve", row["id"])
    assert (ran.code, "1 listings are taken as gone" in ran.err) == (0, True)


def test_a_plan_that_is_not_there_is_refused(guarded: Shopkeeper) -> None:
    ran = guarded.runs("approvals", "show", "p-nothing")
    assert (ran.code, "no plan 'p-nothing'" in ran.err) == (ExitCode.REFUSED, True)
