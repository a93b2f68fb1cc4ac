"""`channelsync runs list`: what was done, by whom, and what undoing would take back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock

Shopkeeper = Any


def listed(shopkeeper: Shopkeeper, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shopkeeper.runs("runs", "list", *options, "--json").rows
    return found


def receives(shopkeeper: Shopkeeper, units: int, *options: str) -> str:
    """Receives mugs; returns the run."""
    command = ("stock", "receive", "MUG", str(units), "--location", "main", "--create-item", *options, "--json")
    run: str = shopkeeper.runs(*command).document["run"]
    return run


def test_runs_are_listed_the_newest_first_with_what_undoing_takes_back(shopkeeper: Shopkeeper) -> None:
    received = receives(shopkeeper, 5, "--reason", "spring delivery")
    stopped = shopkeeper.runs("stop", "--json").document["run"]

    newest, oldest = listed(shopkeeper)
    assert (newest["run"], newest["command"], newest["undo"]) == (stopped, "stop", "takes back 2 changes")
    assert (oldest["run"], oldest["command"], oldest["reason"]) == (received, "stock receive", "spring delivery")
    assert oldest["undo"] == "takes back 1 ledger entry"
    assert oldest["actor"].startswith("user")
    printed = shopkeeper.runs("runs", "list").out
    assert received in printed
    assert "spring delivery" in printed


def test_a_run_that_was_undone_names_the_run_that_did_it(shopkeeper: Shopkeeper) -> None:
    receives(shopkeeper, 5)
    received = receives(shopkeeper, 7)
    undone = shopkeeper.runs("undo", received, "--json").document["run"]

    undoing, was, _ = listed(shopkeeper)
    assert (undoing["run"], undoing["command"]) == (undone, "undo")
    assert (was["undo"], was["undone_by"]) == (f"undone by {undone}", undone)
    assert shopkeeper.runs("undo", undone).code == 0
    assert [one["undone_by"] for one in listed(shopkeeper, "--command", "stock")] == ["", ""]


def test_what_cannot_be_taken_back_is_said_to_be_nothing(shopkeeper: Shopkeeper) -> None:
    receives(shopkeeper, 5)
    booked = shopkeeper.runs("orders", "book", "P-1", "MUG=2", "--json").document["run"]

    newest = listed(shopkeeper)[0]
    assert (newest["run"], newest["undo"]) == (booked, "nothing to take back")
    assert shopkeeper.runs("undo", booked).code == ExitCode.REFUSED


def test_items_that_were_made_and_findings_that_were_closed_stay_and_are_not_counted(shopkeeper: Shopkeeper) -> None:
    assert shopkeeper.runs("stock", "receive", "CUP", "2", "--location", "main", "--create-item").code == 0
    shopkeeper.runs("orders", "book", "P-1", "LAMP=1")
    (finding,) = [one for one in shopkeeper.runs("findings", "list", "--json").rows if one["kind"] == "unmapped line"]
    assert shopkeeper.runs("findings", "close", str(finding["id"])).code == 0

    assert {one["command"]: one["undo"] for one in listed(shopkeeper)} == {
        "stock receive": "takes back 1 ledger entry",
        "orders book": "nothing to take back",
        "findings close": "nothing to take back",
    }


def test_only_runs_of_a_command_and_of_a_time_are_listed(shopkeeper: Shopkeeper) -> None:
    receives(shopkeeper, 5)
    shopkeeper.runs("stop")
    shopkeeper.runs("start")

    assert [one["command"] for one in listed(shopkeeper, "--limit", "1")] == ["start"]
    assert [one["command"] for one in listed(shopkeeper, "--command", "stock")] == ["stock receive"]
    assert [one["command"] for one in listed(shopkeeper, "--command", "stock receive")] == ["stock receive"]
    assert [one["command"] for one in listed(shopkeeper, "--command", "sto")] == []
    assert [one["command"] for one in listed(shopkeeper, "--command", "stop")] == ["stop"]
    tomorrow = SystemClock().now() + timedelta(days=1)
    assert listed(shopkeeper, "--since", tomorrow.isoformat()) == []
    assert len(listed(shopkeeper, "--since", "2020-01-01T00:00")) == 3, "a time without a zone is in the seller's"


def test_an_unknown_run_is_refused_with_the_command_that_lists_them(shopkeeper: Shopkeeper) -> None:
    assert "`channelsync runs list` shows them all." in shopkeeper.runs("undo", "r-1").err
