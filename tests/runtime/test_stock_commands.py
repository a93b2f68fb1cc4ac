"""`channelsync stock ...` from the command line: what it prints, how it ends, and what is there afterwards."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync_memory.shop import SHOPS, Shop

CONFIG = """\
[database]
url = "{url}"

[[location]]
name = "main"

[[location]]
name = "annex"

[[channel]]
name = "shop"
connector = "memory"
locations = ["main"]
settings = {{ shop = "stock-shop" }}

[[bundle]]
sku = "SET"
kind = "prebuilt"
parts = [{{ sku = "MUG", units = 2 }}]
"""
AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()  # noqa: TID251  # commands run by the real clock


Run = Callable[..., Any]
"""Runs a command; see `Ran` in conftest.py for how it ended."""


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, run_command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, as eve, on a seller who has the items MUG and SET and no units."""
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite_url))
    monkeypatch.chdir(tmp_path)
    return partial(run_command, USER="eve")


def position(run: Run, sku: str, location: str = "main") -> tuple[int, int, int, int]:
    """On hand, reserved, withheld, available."""
    for row in run("stock", "list", sku, "--json").rows:
        if row["location"] == location:
            return row["on_hand"], row["reserved"], row["withheld"], row["available"]
    return 0, 0, 0, 0


def received(run: Run, sku: str = "MUG", units: int = 10, location: str = "main") -> None:
    ran = run("stock", "receive", sku, str(units), "--location", location, "--create-item")
    assert ran.code == ExitCode.DONE, ran.err


# Changes


def test_received_units_are_told_with_the_run_that_can_be_taken_back(run: Run) -> None:
    ran = run("stock", "receive", "MUG", "5", "--location", "main", "--json")

    assert ran.code == ExitCode.DONE
    told = {"sku": "MUG", "location": "main", "on_hand": 5, "reserved": 0, "withheld": 0, "available": 5, "oversold": 0}
    assert ran.document == {"run": ran.document["run"], "repeated": None, "positions": [told]}

    undone = run("undo", ran.document["run"])
    assert undone.code == ExitCode.DONE
    assert position(run, "MUG") == (0, 0, 0, 0)


@pytest.fixture
def one_location(run: Run) -> None:
    """The seller counts units at main only."""
    config = Path("config.toml")
    config.write_text(config.read_text().replace('[[location]]\nname = "annex"\n', ""))


def test_where_there_is_one_location_none_needs_to_be_named(run: Run, one_location: None, tmp_path: Path) -> None:
    assert run("stock", "receive", "MUG", "5").code == ExitCode.DONE
    assert run("stock", "adjust", "MUG", "-1", "--reason", "broken").code == ExitCode.DONE
    assert run("stock", "count", "SET", "3").code == ExitCode.DONE
    (tmp_path / "more.csv").write_text("sku,units\nMUG,2\nSET,1\n")
    assert run("stock", "import", "more.csv", "--basis", "delta").code == ExitCode.DONE

    assert (position(run, "MUG"), position(run, "SET")) == ((6, 0, 0, 6), (4, 0, 0, 4))


def test_where_there_are_several_the_location_has_to_be_named(run: Run) -> None:
    ran = run("stock", "receive", "MUG", "5")

    assert ran.code == ExitCode.REFUSED
    assert "Say at which location (--location): there is main, annex." in ran.err
    assert run("stock", "adopt", "--from", "shop").err.count("Say at which location") == 1


def test_lot_cost_reason_and_who_said_so_are_in_the_history(run: Run) -> None:
    cost = ("--lot", "L7", "--unit-cost", "2.50", "--currency", "EUR")
    run("stock", "receive", "MUG", "5", "--location", "main", *cost, "--reason", "from Dresden", "--at", AN_HOUR_AGO)

    (row,) = run("stock", "history", "MUG", "--json").rows

    assert (row["kind"], row["on_hand"], row["reason"], row["actor"]) == ("receipt", 5, "from Dresden", "user:eve")
    assert (row["lot"], row["unit_cost"], row["currency"]) == ("L7", "2.50", "EUR")
    assert row["at"].replace("Z", "+00:00") == AN_HOUR_AGO


def test_a_key_given_again_changes_nothing_and_the_first_run_is_named(run: Run) -> None:
    again = ("stock", "receive", "MUG", "5", "--location", "main", "--key", "delivery 7")
    first = run(*again, "--json").document["run"]

    ran = run(*again)

    assert ran.code == ExitCode.DONE
    assert f"Run {first} had done this under the same key; nothing was changed." in ran.err
    assert position(run, "MUG") == (5, 0, 0, 5)


def test_on_hand_is_adjusted_down_by_a_number_below_zero(run: Run) -> None:
    received(run)

    assert run("stock", "adjust", "MUG", "-3", "--location", "main", "--reason", "broken").code == ExitCode.DONE
    assert position(run, "MUG") == (7, 0, 0, 7)


def test_an_option_that_adjust_does_not_know_is_an_error_all_the_same(run: Run) -> None:
    received(run)

    assert run("stock", "adjust", "MUG", "-3", "--place", "main", "--reason", "x").code == ExitCode.USAGE


def test_counting_moving_setting_aside_and_writing_off(run: Run) -> None:
    received(run)
    for command in (
        ("count", "MUG", "12", "--location", "main"),
        ("transfer", "MUG", "4", "--from", "main", "--to", "annex"),
        ("withhold", "MUG", "3", "--location", "main", "--reason", "scratched"),
        ("unwithhold", "MUG", "1", "--location", "main"),
        ("write-off", "MUG", "1", "--location", "main", "--from-withheld"),
        ("produce", "SET", "2", "--location", "main"),
    ):
        ran = run("stock", *command)
        assert ran.code == ExitCode.DONE, ran.err

    assert position(run, "MUG") == (3, 0, 1, 2)
    assert position(run, "MUG", "annex") == (4, 0, 0, 4)
    assert position(run, "SET") == (2, 0, 0, 2)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("receive", "MUGG", "5", "--location", "main"), "There is no item with the SKU 'MUGG'"),
        (("receive", "MUG", "5", "--location", "mian"), "There is no location 'mian'; there is main, annex."),
        (("receive", "MUG", "0", "--location", "main"), "MUG at main receives: 0 is no number of units"),
        (
            ("withhold", "MUG", "11", "--location", "main"),
            "MUG at main: 11 units cannot be set aside, 10 are available",
        ),
        (("unwithhold", "MUG", "1", "--location", "main"), "1 units are named, but 0 are set aside"),
        (("write-off", "MUG", "11", "--location", "main"), "11 units cannot be written off, 10 are on hand"),
        (("transfer", "MUG", "11", "--from", "main", "--to", "annex"), "11 units cannot leave, 10 are available"),
        (("produce", "SET", "6", "--location", "main"), "12 units are needed to make 6 of SET, 10 are available"),
        (("receive", "MUG", "1", "--location", "main", "--reference", "PO-9"), "nothing is on its way under PO-9"),
        (("count", "MUG", "1", "--location", "main", "--at", "2999-01-01T00:00:00Z"), "is in the future"),
        (("receive", "MUG", "-5", "--location", "main"), "receives: -5 is no number of units from 1 to"),
        (("count", "--location", "main", "MUG", "-4"), "-4 is no number of units from 0 to"),
        (("transfer", "MUG", "-1", "--from", "main", "--to", "annex"), "-1 is no number of units from 1 to"),
        (("withhold", "MUG", "-1", "--location", "main"), "-1 is no number of units from 1 to"),
        (("unwithhold", "MUG", "-1", "--location", "main"), "-1 is no number of units from 1 to"),
        (("write-off", "MUG", "-1", "--location", "main"), "-1 is no number of units from 1 to"),
        (("produce", "SET", "-1", "--location", "main"), "-1 is no number of units from 1 to"),
        (("expect", "MUG", "-1", "--location", "main", "--reference", "PO"), "-1 is no number of units from 0 to"),
    ],
)
def test_what_is_refused_is_one_sentence_and_changes_nothing(run: Run, command: tuple[str, ...], said: str) -> None:
    received(run)

    ran = run("stock", *command)

    assert ran.code == ExitCode.REFUSED
    (line,) = ran.err.splitlines()
    assert said in line
    assert position(run, "MUG") == (10, 0, 0, 10)


@pytest.mark.parametrize(
    "command",
    [
        ("receive", "MUG", "many", "--location", "main"),
        ("receive", "MUG", "5", "--location", "main", "--at", "yesterday"),
        ("receive", "MUG", "5", "--location", "main", "--at", "2026-03-01T09:00:00"),
        ("receive", "MUG", "5", "--location", "main", "--unit-cost", "2,50", "--currency", "EUR"),
        ("receive", "MUG", "5", "--location", "main", "--unit-cost", "2.50"),
        ("receive", "MUG", "5", "--lokation", "main"),
        ("adjust", "MUG", "1", "--location", "main"),
        ("expect", "MUG", "5", "--location", "main", "--reference", "PO-1", "--due", "soon"),
        ("list", "--location", "mian"),
        ("export", "--basis", "delta"),
        ("import", "stock.csv", "--basis", "number"),
    ],
)
def test_a_command_line_that_is_wrong_ends_with_the_code_of_usage(run: Run, command: tuple[str, ...]) -> None:
    Path("stock.csv").write_text("sku,units\nMUG,1\n")

    assert run("stock", *command).code == ExitCode.USAGE


def test_expected_units_are_shown_until_they_are_received(run: Run) -> None:
    ran = run(
        "stock", "expect", "MUG", "20", "--location", "main", "--reference", "PO-1", "--due", "2026-04-01", "--json"
    )
    assert ran.document["incoming"] == [{"location": "main", "reference": "PO-1", "units": 20, "due": "2026-04-01"}]

    run("stock", "receive", "MUG", "15", "--location", "main", "--reference", "PO-1")

    shown = run("stock", "show", "MUG", "--json").document
    assert (shown["on_hand"], [one["units"] for one in shown["incoming"]]) == (15, [5])


def test_units_set_aside_by_force_are_warned_of(run: Run) -> None:
    received(run)
    assert run("orders", "book", "P-1", "MUG=8").code == ExitCode.DONE

    ran = run("stock", "withhold", "MUG", "3", "--location", "main", "--force")

    assert ran.code == ExitCode.DONE
    assert "warning: MUG at main is oversold by 1: every channel is lowered to 0." in ran.err


def test_a_dry_run_says_what_would_be_oversold_and_not_that_anything_is_lowered(run: Run) -> None:
    received(run)
    run("orders", "book", "P-1", "MUG=8")
    Path("stock.csv").write_text("sku,location,units\nMUG,main,7\n")

    now = SystemClock().now().isoformat()
    ran = run("stock", "import", "stock.csv", "--basis", "physical", "--as-of", now, "--dry-run")

    assert "warning: MUG at main would be oversold by" in ran.err, ran.err
    assert "lowered" not in ran.err


def test_an_unknown_sku_is_told_with_an_option_that_the_command_has(run: Run) -> None:
    for command in (("stock", "show", "MUGG"), ("stock", "history", "MUGG"), ("items", "rename", "MUGG", "CUP")):
        said = run(*command).err
        assert "There is no item with the SKU 'MUGG'" in said
        assert "--create" not in said
    assert "(--create-item)" in run("stock", "receive", "MUGG", "1", "--location", "main").err


@pytest.mark.parametrize("cost", ["-1", "1e9", "0.0000001", "NaN", "abc"])
def test_a_cost_that_cannot_be_is_a_wrong_command_line(run: Run, cost: str) -> None:
    command = ("stock", "receive", "MUG", "1", "--location", "main", "--unit-cost", cost, "--currency", "EUR")

    ran = run(*command)

    assert ran.code == ExitCode.USAGE
    assert ran.err.startswith(f"error: --unit-cost is '{cost}', not a number")


def test_a_file_that_is_not_there_is_named_and_a_folder_too(run: Run) -> None:
    Path("folder").mkdir()
    options = ("--basis", "delta")

    assert run("stock", "import", "nope.csv", *options).err.startswith("error: There is no file nope.csv.")
    assert run("stock", "import", "folder", *options).err == "error: folder is a folder. Name a file in it.\n"


def test_the_history_since_a_time_without_a_zone_is_in_the_sellers_zone(run: Run) -> None:
    received(run)

    assert run("stock", "history", "MUG", "--since", "2026-01-01T00:00", "--json").rows
    assert run("stock", "history", "MUG", "--since", "2999-01-01T00:00", "--json").rows == []


def test_an_order_that_waited_for_a_sku_is_booked_when_units_of_it_are_received(run: Run) -> None:
    run("orders", "book", "P-1", "PLATE=2")

    received(run, "PLATE", 5)

    assert position(run, "PLATE") == (5, 2, 0, 3)


# Looking


def test_positions_are_listed_by_what_is_asked_for(run: Run) -> None:
    received(run, "MUG", 10)
    received(run, "MUG", 2, "annex")
    received(run, "CUP", 1)
    run("stock", "withhold", "CUP", "1", "--location", "main")
    run("orders", "book", "P-1", "CUP=2")

    def listed(*arguments: str) -> list[tuple[str, str]]:
        return [(row["sku"], row["location"]) for row in run("stock", "list", *arguments, "--json").rows]

    assert listed() == [("CUP", "main"), ("MUG", "annex"), ("MUG", "main")]
    assert listed("MUG") == [("MUG", "annex"), ("MUG", "main")]
    assert listed("--location", "annex") == [("MUG", "annex")]
    assert listed("--search", "cu") == [("CUP", "main")]
    assert listed("--oversold") == [("CUP", "main")]
    assert listed("--below", "3") == [("CUP", "main"), ("MUG", "annex")]
    assert listed("--withheld") == [("CUP", "main")]
    (oversold,) = run("stock", "list", "--oversold", "--json").rows
    assert (oversold["available"], oversold["oversold"]) == (-2, 2)


def test_a_table_shows_how_many_units_are_oversold(run: Run) -> None:
    received(run)
    run("orders", "book", "P-1", "MUG=12")

    ran = run("stock", "list")

    cells = [part.strip() for part in ran.out.splitlines()[4].strip("│").split("│")]
    assert cells == ["MUG", "", "main", "10", "12", "0", "-2", "2"]


def test_one_item_is_shown_with_what_holds_its_units(run: Run) -> None:
    received(run)
    run("orders", "book", "P-1", "MUG=3")

    shown = run("stock", "show", "MUG", "--json").document

    assert (shown["on_hand"], shown["reserved"], shown["available"]) == (10, 3, 7)
    (held,) = shown["reservations"]
    assert (held["channel"], held["order"], held["open"], held["location"]) == ("manual", "P-1", 3, "main")
    assert run("stock", "show", "MUG").code == ExitCode.DONE


def test_the_history_is_the_latest_first_and_as_long_as_is_asked_for(run: Run) -> None:
    for units in ("1", "2", "3"):
        run("stock", "receive", "MUG", units, "--location", "main")

    assert [row["on_hand"] for row in run("stock", "history", "MUG", "--limit", "2", "--json").rows] == [3, 2]
    assert run("stock", "history", "MUG", "--since", "2999-01-01T00:00:00Z", "--json").rows == []


# Export and import


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_was_exported_can_be_imported_and_changes_nothing(run: Run, form: str) -> None:
    received(run, "MUG", 10)
    received(run, "CUP", 3, "annex")
    run("orders", "book", "P-1", "MUG=4")
    run("orders", "ship", "P-1", "MUG=1")

    for basis in ("physical", "available"):
        ran = run("stock", "export", f"{basis}.{form}", "--basis", basis, "--format", form)
        assert ran.code == ExitCode.DONE
        done = run("stock", "import", f"{basis}.{form}", "--basis", basis, "--json").document["done"]
        assert (done["rows"], done["entries"], done["unchanged"]) == (2, 0, 2)

    assert position(run, "MUG") == (9, 3, 0, 6)
    assert "is there already" in run("stock", "export", f"physical.{form}").err


@pytest.mark.parametrize("basis", ["physical", "available"])
def test_a_number_below_0_is_left_out_of_an_export_and_named(run: Run, basis: str) -> None:
    received(run, "MUG", 2)
    received(run, "CUP", 3)
    run("orders", "book", "P-1", "MUG=1")
    run("orders", "ship", "P-1", "--location", "annex")

    ran = run("stock", "export", "stock.csv", "--basis", basis)

    assert ran.code == ExitCode.FOUND_WRONG
    assert "Wrote 2 positions to stock.csv." in ran.err
    what = "on hand" if basis == "physical" else "not promised"
    assert f"warning: MUG at annex is left out of the file: -1 units are {what} by the ledger" in ran.err
    done = run("stock", "import", "stock.csv", "--basis", basis, "--json").document["done"]
    assert (done["rows"], done["entries"], done["unchanged"]) == (2, 0, 2)
    assert run("stock", "export", "--basis", basis).code == ExitCode.FOUND_WRONG
    assert run("stock", "export", "--basis", basis, "--location", "main").code == ExitCode.DONE


def test_an_export_goes_to_the_standard_output(run: Run) -> None:
    received(run)

    lines = run("stock", "export").out.splitlines()

    assert lines[0] == "sku,location,units,as_of,orders_counted_up_to"
    assert lines[1].startswith("MUG,main,10,20")


def test_a_file_is_imported_once(run: Run) -> None:
    Path("stock.csv").write_text("sku,location,units\nMUG,main,7\nPLATE,annex,3\n")
    command = ("stock", "import", "stock.csv", "--basis", "physical", "--as-of", AN_HOUR_AGO, "--create-items")

    ran = run(*command)
    assert ran.code == ExitCode.DONE
    assert "stock.csv: 2 rows imported, 2 entries, 0 were so already, 1 new items." in ran.err
    first = run("stock", "history", "MUG", "--json").rows[0]
    assert (first["actor"], first["reason"]) == ("import:stock.csv", "counted 7 physical")

    again = run(*command)
    assert again.code == ExitCode.DONE
    assert f"stock.csv was imported already, by run {first['run']}; nothing was changed." in again.err

    run("undo", first["run"])
    assert position(run, "MUG") == (0, 0, 0, 0)
    run(*command)
    assert position(run, "MUG") == (7, 0, 0, 7)


def test_bad_rows_are_named_one_a_line_and_nothing_is_imported(run: Run) -> None:
    Path("stock.csv").write_text("sku,location,units\nMUG,main,x\nMUGG,main,1\nSET,main,2\n")
    command = ("stock", "import", "stock.csv", "--basis", "delta")

    ran = run(*command)

    assert ran.code == ExitCode.REFUSED
    lines = ran.err.splitlines()
    assert lines[0] == "error: stock.csv row 2 (SKU MUG): units is 'x', not a whole number"
    assert lines[1].startswith("error: stock.csv row 3 (SKU MUGG): There is no item with the SKU 'MUGG'")
    assert ".." not in ran.err
    assert lines[2].startswith("error: 2 of 3 rows of stock.csv cannot be imported, so nothing was.")
    assert position(run, "SET") == (0, 0, 0, 0)

    document = run(*command, "--json").document
    assert (document["imported"], [one["row"] for one in document["bad"]]) == (False, [2, 3])


def test_skipped_rows_are_in_a_file_of_their_own_and_the_command_ends_with_1(run: Run) -> None:
    Path("stock.csv").write_text("sku,location,units\nMUG,main,x\nSET,main,2\n")
    command = ("stock", "import", "stock.csv", "--basis", "delta", "--skip-bad-rows", "refused.csv")

    ran = run(*command)

    assert ran.code == ExitCode.FOUND_WRONG
    assert "1 refused rows are in refused.csv." in ran.err
    assert position(run, "SET") == (2, 0, 0, 2)
    assert Path("refused.csv").read_text().splitlines()[1].startswith("MUG,main,x,2,")
    again = run(*command)
    assert again.code == ExitCode.REFUSED
    assert "refused.csv is there already" in again.err


def test_a_dry_run_of_an_import_says_what_would_be_and_changes_nothing(run: Run) -> None:
    Path("stock.csv").write_text("sku,location,units\nMUG,main,7\nPLATE,main,3\nSET,main,x\n")
    command = ("stock", "import", "stock.csv", "--basis", "delta", "--create-items", "--skip-bad-rows", "refused.csv")

    ran = run(*command, "--dry-run")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "2 rows would be imported, 2 entries" in ran.err
    assert position(run, "MUG") == (0, 0, 0, 0)
    assert not Path("refused.csv").exists()
    assert run("items", "show", "PLATE").code == ExitCode.REFUSED

    run(*command)
    assert position(run, "MUG") == (7, 0, 0, 7)


@pytest.mark.parametrize(
    ("raw", "arguments", "said"),
    [
        (b"", (), "stock.csv is empty."),
        (b"name,units\nMUG,1\n", (), "stock.csv has no column sku, the unknown column name."),
        (b"sku,location,units\nMUG,main,1\nMUG,ma", (), "ends in the middle of line 3"),
        ("sku,location,units\nKRÜGE,main,1\n".encode("cp1252"), (), "say --encoding windows-1252"),
        (b"sku,location,units\nMUG,main,1\n", ("--expect-rows", "2"), "has 1 rows, 2 were expected"),
        (b"sku,location,units\nMUG,main,1\n", ("--as-of", "2999-01-01T00:00:00Z"), "is in the future"),
    ],
)
def test_a_file_that_cannot_be_imported_ends_with_one_sentence(
    run: Run, raw: bytes, arguments: tuple[str, ...], said: str
) -> None:
    Path("stock.csv").write_bytes(raw)

    ran = run("stock", "import", "stock.csv", "--basis", "delta", *arguments)

    assert ran.code == ExitCode.REFUSED
    (line,) = ran.err.splitlines()
    assert said in line


def test_a_file_that_is_not_there_is_said(run: Run) -> None:
    ran = run("stock", "import", "nowhere.csv", "--basis", "delta")

    assert ran.code == ExitCode.REFUSED
    assert "nowhere.csv" in ran.err


def test_a_file_without_a_last_line_end_is_imported_with_a_warning(run: Run) -> None:
    Path("stock.csv").write_text("sku,location,units\nMUG,main,12")

    ran = run("stock", "import", "stock.csv", "--basis", "delta")

    assert ran.code == ExitCode.DONE
    assert "warning: the last line of stock.csv does not end." in ran.err
    assert "(MUG, main, 12)" in ran.err
    assert "say how many rows the file has (--expect-rows)" in ran.err


def test_the_standard_input_is_imported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleNamespace(buffer=io.BytesIO(b'{"sku": "MUG", "units": 4}\n'))
    monkeypatch.setattr(sys, "stdin", told)

    ran = run("stock", "import", "-", "--basis", "delta", "--location", "main")

    assert ran.code == ExitCode.DONE
    assert position(run, "MUG") == (4, 0, 0, 4)


# Adopting


@pytest.fixture
def shop() -> Any:
    """The shop of the channel, which lists ten mugs."""
    SHOPS["stock-shop"] = Shop(SystemClock())
    SHOPS["stock-shop"].list_item("MUG", 10)
    yield SHOPS["stock-shop"]
    del SHOPS["stock-shop"]


def test_a_channel_s_numbers_are_adopted_after_a_look_at_them(run: Run, shop: Shop) -> None:
    run("listings", "pull")
    run("listings", "map", "shop", "item-1", "MUG")
    shop.buy((shop.items["item-1"], 3))

    looked = run("stock", "adopt", "--from", "shop", "--location", "main", "--dry-run", "--json").document
    assert [(row["sku"], row["units"], row["status"]) for row in looked["done"]["rows"]] == [("MUG", 7, "adopt")]
    assert position(run, "MUG") == (0, 0, 0, 0)

    ran = run("stock", "adopt", "--from", "shop", "--location", "main")
    assert ran.code == ExitCode.DONE
    assert position(run, "MUG") == (10, 3, 0, 7)

    again = run("stock", "adopt", "--from", "shop", "--location", "main")
    assert "has entries: it was received, counted or moved already" in again.err


def test_listings_that_disagree_end_the_command_with_1(run: Run, shop: Shop) -> None:
    shop.list_item("MUG", 4)
    run("listings", "pull")
    for listing in ("item-1", "item-2"):
        run("listings", "map", "shop", listing, "MUG")

    ran = run("stock", "adopt", "--from", "shop", "--location", "main")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "item-1: 10, item-2: 4" in ran.out
    assert "listings disagree: its listings on the channel say different things" in ran.err
    assert position(run, "MUG") == (0, 0, 0, 0)


def test_an_unknown_channel_and_a_location_that_it_does_not_sell_from_are_refused(run: Run, shop: Shop) -> None:
    assert run("stock", "adopt", "--from", "shopp", "--location", "main").code == ExitCode.REFUSED
    ran = run("stock", "adopt", "--from", "shop", "--location", "annex")
    assert ran.code == ExitCode.REFUSED
    assert "shop does not sell from annex, but from main" in ran.err
