"""`channelsync orders`: orders of our own from the command line, files of them, and a look at what is booked."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channelsync.runtime.cli.context import awaited
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.store.database import open_database
from channelsync.store.orders import keep_unreadable

CONFIG = """\
[database]
url = "{url}"

[[location]]
name = "main"

[[location]]
name = "outlet"

[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "orders-shop" }}

[[bundle]]
sku = "SET"
parts = [{{ sku = "MUG", units = 2 }}]
"""


Run = Callable[..., Any]
"""Runs a command; see `Ran` in conftest.py for how it ended."""


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, run_command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, on a seller who has the items MUG and SET and no units."""
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite_url))
    monkeypatch.chdir(tmp_path)
    return run_command


def write(name: str, text: str | bytes) -> str:
    """Writes a file of orders into the folder that commands run in."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def line_of(ran: Any) -> dict[str, Any]:
    (document,) = ran.rows
    (line,) = document["lines"]
    return {name: line[name] for name in ("ordered", "shipped", "cancelled", "open")}


# Book, ship, cancel


def test_an_order_is_booked_even_when_units_are_short_and_the_command_says_so(run: Run) -> None:
    ran = run("orders", "book", "P-1", "MUG=2", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    (document,) = ran.rows
    assert (document["channel"], document["order"], document["status"], document["changed"]) == (
        "manual",
        "P-1",
        "open",
        True,
    )
    assert run("undo", document["run"]).code == ExitCode.REFUSED, "orders stay, so nothing says that undo takes it back"
    assert document["oversold"] == [{"sku": "MUG", "location": "main", "available": -2}]
    assert "MUG at main is oversold: 2 units more are promised than are there." in ran.err


def test_the_same_order_again_changes_nothing(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=2")

    again = run("orders", "book", "P-1", "MUG=2", "--json")

    assert again.rows[0]["changed"] is False
    assert again.code == ExitCode.FOUND_WRONG, "it is short still"
    assert len(run("orders", "list", "--json").rows) == 1


def test_the_same_key_with_other_lines_is_refused_unless_a_change_is_asked_for(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=2")

    refused = run("orders", "book", "P-1", "MUG=3")
    changed = run("orders", "book", "P-1", "MUG=3", "--change", "--json")

    assert refused.code == ExitCode.REFUSED
    assert refused.err.startswith("error: Order P-1 is booked already with other lines (MUG=2)")
    assert line_of(changed) == {"ordered": 3, "shipped": 0, "cancelled": 0, "open": 3}


def test_refuse_short_books_nothing(run: Run) -> None:
    ran = run("orders", "book", "P-1", "SET=1", "--refuse-short")

    assert ran.code == ExitCode.REFUSED
    assert ran.err == (
        "error: MUG at main: 2 units wanted, 0 available; nothing was reserved. Ask for less, or receive units first.\n"
    )
    assert run("orders", "list", "--json").rows == []
    assert run("findings", "list", "--json").rows == []


def test_an_order_of_an_unknown_sku_is_kept_and_found(run: Run) -> None:
    ran = run("orders", "book", "P-1", "LAMP=1")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "No item has the SKU LAMP" in ran.err
    (found,) = run("findings", "list", "--json").rows
    assert (found["kind"], found["channel"]) == ("unmapped line", "manual")
    assert found["summary"].startswith("Order P-1 (manual) sells LAMP, which is the SKU of no item")
    (order,) = run("orders", "list", "--only", "waiting", "--json").rows
    assert (order["order"], order["waiting"]) == ("P-1", 1)


def test_ship_and_cancel_take_sums_so_far_so_they_may_be_repeated(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=5")

    for _ in range(2):
        shipped = run("orders", "ship", "P-1", "MUG=2", "--json")
        assert line_of(shipped) == {"ordered": 5, "shipped": 2, "cancelled": 0, "open": 3}
    for _ in range(2):
        cancelled = run("orders", "cancel", "P-1", "MUG=1", "--json")
        assert line_of(cancelled) == {"ordered": 5, "shipped": 2, "cancelled": 1, "open": 2}
    assert [ran.rows[0]["changed"] for ran in (shipped, cancelled)] == [False, False]

    whole = run("orders", "ship", "P-1", "--json")
    assert line_of(whole) == {"ordered": 5, "shipped": 4, "cancelled": 1, "open": 0}
    assert whole.rows[0]["status"] == "closed"


def test_a_part_shipment_says_what_is_open_and_a_change_that_it_was_changed(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=5")

    assert "Still open: 3 of MUG." in run("orders", "ship", "P-1", "MUG=2").err
    assert "Still open" not in run("orders", "ship", "P-1").err
    run("orders", "book", "P-2", "MUG=1")
    assert "Order P-2 was changed." in run("orders", "book", "P-2", "MUG=2", "--change").err


def test_shipping_what_is_not_there_ends_as_booking_does(run: Run) -> None:
    run("stock", "receive", "MUG", "1", "--location", "main")
    assert run("orders", "book", "P-1", "MUG=1", "--location", "main").code == ExitCode.DONE

    shipped = run("orders", "ship", "P-1", "--location", "outlet")

    assert shipped.code == ExitCode.FOUND_WRONG
    assert "MUG at outlet is oversold: 1 unit more is promised than is there." in shipped.err
    run("stock", "receive", "MUG", "1", "--location", "outlet")
    assert run("orders", "ship", "P-1").code == ExitCode.DONE


def test_a_whole_order_is_cancelled_once(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=5")

    assert run("orders", "cancel", "P-1").err.startswith("Order P-1 was cancelled.\nRun ")
    again = run("orders", "cancel", "P-1")
    assert (again.code, again.err) == (0, "Order P-1: nothing was changed.\n")
    assert run("orders", "ship", "P-1").code == ExitCode.REFUSED
    assert run("orders", "cancel", "P-1", "MUG=99").code == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ship", "P-9"), "There is no order P-9 that was booked by hand"),
        (("cancel", "P-9"), "There is no order P-9 that was booked by hand"),
        (("ship", "P-1", "CUP=1"), "Order P-1 has no line of CUP; it has MUG."),
        (("ship", "P-1", "MUG=3"), "MUG: 3 cannot be shipped: 2 were ordered"),
        (("ship", "P-1", "--location", "moon"), "There is no location moon; there is main, outlet."),
        (("book", "P-2", "MUG=1", "--location", "moon"), "There is no location moon; there is main, outlet."),
        (("book", "P-2", "MUG=1", "--placed-at", "2936-01-01T00:00:00Z"), "Order P-2: placed_at 2936-01-01T00:00:00"),
        (("book", " P-1", "MUG=2"), "Order  P-1: order ' P-1' has blanks at its ends"),
        (("book", "P-2", "MUG=0"), "Order P-2: 0 is no number of units to order of MUG; name 1 or more"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_changes_nothing(run: Run, arguments: tuple[str, ...], told: str) -> None:
    run("orders", "book", "P-1", "MUG=2")

    ran = run("orders", *arguments)

    assert ran.code == ExitCode.REFUSED
    assert ran.err.startswith(f"error: {told}")
    assert [(row["order"], row["to_ship"]) for row in run("orders", "list", "--json").rows] == [("P-1", 2)]


@pytest.mark.parametrize("text", ["MUG", "MUG=", "MUG=1.5", "MUG=-1", "=2", "MUG=two", "MUG=²"])
def test_units_that_are_no_whole_number_are_a_wrong_command_line(run: Run, text: str) -> None:
    ran = run("orders", "book", "P-1", text)

    assert ran.code == ExitCode.USAGE
    assert f"{text!r} is not SKU=UNITS" in ran.err


def test_a_sku_may_contain_an_equals_sign(run: Run) -> None:
    run("orders", "book", "P-1", "A=B=2")

    assert run("orders", "list", "--json").rows[0]["units"] == 2


def test_an_order_may_be_placed_earlier_than_it_is_told(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=1", "--placed-at", "2026-03-01T09:00:00+01:00")

    (row,) = run("orders", "list", "--json").rows
    assert row["placed_at"] == "2026-03-01T08:00:00Z"
    assert run("orders", "book", "P-2", "MUG=1", "--placed-at", "2026-03-01T09:00:00").code == ExitCode.USAGE
    assert run("orders", "list", "--since", "yesterday").code == ExitCode.USAGE


# Looking


def test_show_tells_where_units_come_from_and_what_the_ledger_says(run: Run) -> None:
    run("orders", "book", "P-1", "SET=1", "--location", "outlet")
    run("orders", "ship", "P-1")

    (document,) = run("orders", "show", "P-1", "--json").rows

    (line,) = document["lines"]
    assert (line["sku"], line["sells"], line["ordered"], line["shipped"]) == ("SET", "SET", 1, 1)
    (leg,) = document["legs"]
    assert (leg["location"], leg["takes"], leg["open"], leg["shipped"]) == ("outlet", {"MUG": 2}, 0, 1)
    assert [(entry["kind"], entry["sku"], entry["on_hand"], entry["reserved"]) for entry in document["entries"]] == [
        ("reserve", "MUG", 0, 2),
        ("ship", "MUG", -2, -2),
    ]
    shown = run("orders", "show", "P-1")
    assert shown.code == 0
    assert "Ledger" in shown.out
    assert "cannot be understood" not in shown.out


def test_show_of_an_unknown_order_says_so(run: Run) -> None:
    ran = run("orders", "show", "P-9", "--channel", "shop")

    assert (ran.code, ran.err) == (ExitCode.REFUSED, "error: there is no order P-9 on shop\n")


def test_list_filters_by_status_and_by_sku(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=1")
    run("orders", "book", "P-2", "SET=1")
    run("orders", "book", "P-3", "LAMP=1")
    run("orders", "cancel", "P-2")

    def ids(*arguments: str) -> set[str]:
        return {row["order"] for row in run("orders", "list", *arguments, "--json").rows}

    assert ids() == {"P-1", "P-2", "P-3"}
    assert ids("--only", "open") == {"P-1", "P-3"}
    assert ids("--only", "cancelled") == {"P-2"}
    assert ids("--sku", "MUG") == {"P-1", "P-2"}, "a set takes mugs"
    assert ids("--channel", "shop") == set()
    assert ids("--only", "unreadable") == set()
    assert len(run("orders", "list", "--limit", "2", "--json").rows) == 2
    assert run("orders", "list", "--only", "odd").code == ExitCode.USAGE
    assert run("orders", "list", "--sku", "CUP").code == ExitCode.REFUSED


def test_replay_books_what_waited_and_leaves_the_rest(run: Run) -> None:
    run("orders", "book", "P-1", "MUG=1")
    run("orders", "book", "P-2", "LAMP=1")

    assert "Looked at 2 orders, booked 0 anew; 1 wait for an item." in run("orders", "replay").err
    text = Path("config.toml").read_text()
    Path("config.toml").write_text(text.replace('"MUG", units = 2', '"LAMP", units = 2'))
    (done,) = run("orders", "replay", "--json").rows
    assert done == {"orders": 2, "changed": [["manual", "P-2"]], "waiting": 0, "left_out": {}}
    assert run("orders", "replay", "P-9").code == ExitCode.REFUSED


# Files


def test_a_file_is_taken_in_once(run: Run) -> None:
    path = write("till.csv", "order,sku,units\n1,MUG,2\n1,SET,1\n2,MUG,1\n")

    first, second = run("orders", "import", path, "--json"), run("orders", "import", path, "--json")

    assert first.code == ExitCode.FOUND_WRONG, "there are no mugs"
    assert (first.rows[0]["taken_in"], first.rows[0]["new"]) == (True, 2)
    assert first.rows[0]["oversold"] == [{"sku": "MUG", "location": "main", "available": -5}]
    assert second.code == 0
    assert (second.rows[0]["taken_in"], second.rows[0]["new"]) == (False, 0)
    assert second.rows[0]["taken_in_before_by"].startswith("r-")
    assert len(run("orders", "list", "--json").rows) == 2


def test_a_file_with_bad_rows_is_refused_whole_and_every_bad_row_is_named(run: Run) -> None:
    path = write("till.csv", "order,sku,units\n1,MUG,2\n2,MUG,1.5\n3,MUG,-1\n")

    ran = run("orders", "import", path)

    assert ran.code == ExitCode.REFUSED
    assert ran.err.splitlines() == [
        "error: till.csv row 3: units '1.5' is not a whole number from 0 on; give base units",
        "error: till.csv row 4: units '-1' is not a whole number from 0 on; give base units",
        "error: 2 rows of till.csv are bad, so nothing was taken in. Correct them, or say --skip-bad-rows REFUSED.",
    ]
    assert run("orders", "list", "--json").rows == []


def test_bad_rows_can_be_skipped_mended_and_taken_in_later(run: Run) -> None:
    path = write("till.csv", "order,sku,units\n1,MUG,0\n2,MUG,x\n2,SET,1\n")

    ran = run("orders", "import", path, "--skip-bad-rows", "refused.csv", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    assert [bad["row"] for bad in ran.rows[0]["bad"]] == [3, 4]
    refused = Path("refused.csv").read_text()
    assert refused.splitlines()[0] == "order,sku,units,refused_row,refused_because"
    Path("refused.csv").write_text(refused.replace("2,MUG,x", "2,MUG,1"))
    assert run("orders", "import", "refused.csv", "--json").rows[0]["new"] == 1
    assert {row["order"]: row["units"] for row in run("orders", "list", "--json").rows} == {"1": 0, "2": 2}
    again = run("orders", "import", path, "--skip-bad-rows", "refused.csv")
    assert again.code == ExitCode.REFUSED
    assert "refused.csv is there already" in again.err


def test_where_refused_rows_cannot_be_kept_nothing_is_taken_in(run: Run) -> None:
    path = write("till.csv", "order,sku,units\n1,MUG,2\n2,MUG,x\n")

    ran = run("orders", "import", path, "--skip-bad-rows", "nowhere/refused.csv")

    assert ran.code == ExitCode.REFUSED
    assert "nowhere/refused.csv" in ran.err
    assert run("orders", "list", "--json").rows == []
    assert run("orders", "import", path, "--skip-bad-rows", "refused.csv", "--json").rows[0]["new"] == 1


def test_json_lines_are_known_by_the_name_of_the_file(run: Run) -> None:
    path = write("till.jsonl", '{"order": "1", "status": "closed", "lines": [{"sku": "MUG", "units": 2}]}\n')

    run("orders", "import", path)

    (row,) = run("orders", "list", "--json").rows
    assert (row["status"], row["to_ship"]) == ("closed", 0)


def test_the_input_can_be_imported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"order,sku,units\n1,MUG,2\n")))

    assert run("orders", "import", "-", "--json").rows[0]["new"] == 1


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.csv", b"", "empty.csv: it is empty. Nothing was taken in"),
        ("wrong.csv", b"id,article,qty\n1,MUG,1\n", "its first row lacks order, sku, units"),
        ("windows.csv", "order,sku,units\n1,TASSE-GRÜN,1\n".encode("cp1252"), "row 2 is not utf-8 (byte 0xdc)"),
        ("half.csv", b'order,sku,units\n1,"MUG', "row 2: cannot be read"),
        ("half.jsonl", b'{"order": "1", "lines": [{"sku"', "row 1: is no JSON"),
        ("moon.csv", b"order,sku,units,location\n1,MUG,1,moon\n", "there is no location 'moon'; there is main, outlet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(run: Run, name: str, data: bytes, told: str) -> None:
    ran = run("orders", "import", write(name, data))

    assert ran.code == ExitCode.REFUSED
    assert told in ran.err
    assert run("orders", "list", "--json").rows == []


def test_a_file_of_another_encoding_is_read_when_it_is_named(run: Run) -> None:
    path = write("windows.csv", "order;sku;units\r\n1;TASSE-GRÜN;1\r\n".encode("cp1252"))

    ran = run("orders", "import", path, "--encoding", "windows-1252", "--json")

    assert ran.rows[0]["waiting_skus"] == ["TASSE-GRÜN"]


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    ran = run("orders", "import", "nowhere.csv")

    assert ran.code == ExitCode.REFUSED
    assert ran.err.startswith("error: There is no file nowhere.csv.")
    assert run("orders", "import", "x.csv", "--format", "xml").code == ExitCode.USAGE


# The name of our own channel


def test_no_channel_can_be_called_as_our_own(run: Run) -> None:
    text = Path("config.toml").read_text()
    Path("config.toml").write_text(text.replace('name = "shop"', 'name = "Manual"'))

    ran = run("orders", "list")

    assert ran.code == ExitCode.CONFIGURATION
    assert "a channel cannot be called 'Manual'" in ran.err


def test_an_order_that_cannot_be_understood_is_shown_with_what_the_channel_sent(run: Run, sqlite_url: str) -> None:
    async def keep() -> None:
        async with open_database(sqlite_url) as database:
            kept = [("S-1", "Order S-1 has no lines.", "<nothing>")]
            await database.transact(lambda c: keep_unreadable(c, "shop", kept, datetime(2026, 3, 1, tzinfo=UTC)))

    awaited(keep())

    (row,) = run("orders", "list", "--only", "unreadable", "--json").rows
    (document,) = run("orders", "show", "S-1", "--json").rows

    assert row == {
        "channel": "shop",
        "order": "S-1",
        "reason": "Order S-1 has no lines.",
        "raw": "<nothing>",
        "seen_at": "2026-03-01T00:00:00Z",
    }
    assert (document["head"], document["lines"]) == (row, [])
    assert run("orders", "list", "--only", "unreadable").code == 0


@pytest.mark.parametrize("command", ["list", "replay"])
def test_a_channel_that_there_is_not_is_named(run: Run, command: str) -> None:
    slip = run("orders", command, "--channel", "shpo")

    assert slip.code == ExitCode.REFUSED
    assert "there is no channel 'shpo'" in slip.err
    assert "did you mean 'shop'?" in slip.err
    assert [run("orders", command, "--channel", name).code for name in ("shop", "manual")] == [0, 0]
