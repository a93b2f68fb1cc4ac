"""Bad input at the command line: it is named by row, SKU or key, changes nothing and loses nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode

CONFIG = """\
[database]
url = "{url}"
[[location]]
name = "main"
[[sku_class]]
name = "all"
skus = ["MUG", "TEA"]
"""
STOCK = ("stock", "import", "--basis", "physical", "--as-of", "2026-01-01T00:00:00Z", "--location", "main")
ORDERS = ("orders", "import")
TOO_MANY = 10**18


class Ended(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
Dump = Callable[[], dict[str, list[Any]]]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command for a seller of five mugs, of whom one order has two."""
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(CONFIG.format(url=sqlite_url))

    def command(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments, {})
        return Ended(code, *capsys.readouterr())

    Path("mugs.csv").write_text("sku,units\nMUG,5\n")
    assert command(*STOCK, "mugs.csv").code == ExitCode.DONE
    assert command("orders", "book", "P-1", "MUG=2").code == ExitCode.DONE
    return command


@pytest.fixture
def dump(sqlite_url: str) -> Dump:
    """All rows of all tables; without the runs, for a command that is refused was given all the same."""

    def rows() -> dict[str, list[Any]]:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                name: sorted(database.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
                for name in names
                if name != "run"
            }

    return rows


BAD_STOCK = {
    "a wrong header": (b"sku,number\nMUG,9\n", ["no column units", "the unknown column number"]),
    "no whole number": (b"sku,units\nTEA,9\nMUG,1.5\n", ["row 3 (SKU MUG)", "'1.5', not a whole number"]),
    "a word": (b"sku,units\nMUG,many\n", ["row 2 (SKU MUG)", "'many', not a whole number"]),
    "a negative number": (b"sku,units\nMUG,-1\n", ["row 2 (SKU MUG)", "units is -1"]),
    "10^18 units": (f"sku,units\nMUG,{TOO_MANY}\n".encode(), ["row 2 (SKU MUG)", f"{TOO_MANY} units are more than"]),
    "an empty file": (b"", ["file.csv is empty"]),
    "half a file": (b"sku,location,units\nMUG,main,9\nTEA,ma", ["line 3", "cut off"]),
    "half a quoted cell": (b'sku,units\nMUG,9\n"TEA,9\n', ["cut off", "line 3"]),
    "Windows encoding": ("sku,units\nTASSE GRÜN,9\n".encode("windows-1252"), ["Line 2", "not UTF-8", "windows-1252"]),
    "an unknown SKU": (b"sku,units\nMUG,9\nJUG,9\n", ["row 3 (SKU JUG)", "no item with the SKU 'JUG'"]),
    "an unknown location": (b"sku,units,location\nMUG,9,moon\n", ["row 2 (SKU MUG)", "no location 'moon'"]),
    "a duplicated row": (b"sku,units\nMUG,9\nTEA,1\nMUG,9\n", ["row 2 (SKU MUG)", "row 4 (SKU MUG)", "same item"]),
}

BAD_ORDERS = {
    "a wrong header": (b"order,item,units\n1,MUG,1\n", ["lacks sku"]),
    "no whole number": (b"order,sku,units\n1,MUG,1\n2,MUG,1.5\n", ["row 3", "units '1.5'"]),
    "a word": (b"order,sku,units\n1,MUG,many\n", ["row 2", "units 'many'"]),
    "a negative number": (b"order,sku,units\n1,MUG,-1\n", ["row 2", "units '-1'"]),
    "10^18 units": (f"order,sku,units\n1,MUG,{TOO_MANY}\n".encode(), ["row 2", str(TOO_MANY)]),
    "an empty file": (b"", ["file.csv: it is empty"]),
    "half a file": (b"order,sku,units\n1,MUG,1\n2,MU", ["row 3", "cut off"]),
    "Windows encoding": ("order,sku,units\n1,TASSE GRÜN,1\n".encode("windows-1252"), ["row 2", "windows-1252"]),
    "an unknown location": (b"order,sku,units,location\n1,MUG,1,moon\n", ["row 2", "no location 'moon'"]),
    "a duplicated row": (b"order,sku,units\n1,MUG,1\n1,MUG,1\n", ["row 3", "order 1 has MUG in row 2 already"]),
}

BAD_JSON_ORDERS = {
    "zero lines": ('{"order": "1", "lines": []}', ["row 1", "has no lines"]),
    "fractional units": ('{"order": "1", "lines": [{"sku": "MUG", "units": 1.5}]}', ["row 1", "units 1.5"]),
    "negative units": ('{"order": "1", "lines": [{"sku": "MUG", "units": -2}]}', ["row 1", "units -2"]),
    "units as a text of a fraction": ('{"order": "1", "lines": [{"sku": "MUG", "units": "0.5"}]}', ["row 1", "'0.5'"]),
    "no order at all": ('["MUG"]', ["row 1"]),
    "half a row": ('{"order": "1", "lines": [{"sku": "MU', ["row 1"]),
}


def refused(run: Run, dump: Dump, command: tuple[str, ...], name: str, content: bytes, told: list[str]) -> None:
    """The command refuses the file, says so in these words, and leaves every row of the database as it was."""
    Path(name).write_bytes(content)
    before = dump()

    ended = run(*command, name)

    assert ended.code == ExitCode.REFUSED
    assert all(words in ended.err for words in told), ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert dump() == before


@pytest.mark.parametrize(("content", "told"), BAD_STOCK.values(), ids=BAD_STOCK)
def test_a_bad_file_of_positions_is_refused_by_name_and_changes_nothing(
    run: Run, dump: Dump, content: bytes, told: list[str]
) -> None:
    refused(run, dump, STOCK, "file.csv", content, told)


@pytest.mark.parametrize(("content", "told"), BAD_ORDERS.values(), ids=BAD_ORDERS)
def test_a_bad_file_of_orders_is_refused_by_name_and_changes_nothing(
    run: Run, dump: Dump, content: bytes, told: list[str]
) -> None:
    refused(run, dump, ORDERS, "file.csv", content, told)


@pytest.mark.parametrize(("content", "told"), BAD_JSON_ORDERS.values(), ids=BAD_JSON_ORDERS)
def test_a_bad_order_is_refused_by_name_and_changes_nothing(
    run: Run, dump: Dump, content: str, told: list[str]
) -> None:
    refused(run, dump, ORDERS, "file.jsonl", f"{content}\n".encode(), told)


@pytest.mark.parametrize("units", ["1.5", "-1", "many", str(TOO_MANY)])
def test_an_order_by_hand_of_what_are_no_units_is_refused_by_name_and_changes_nothing(
    run: Run, dump: Dump, units: str
) -> None:
    before = dump()

    ended = run("orders", "book", "P-2", f"MUG={units}")

    assert ended.code in (ExitCode.USAGE, ExitCode.REFUSED)
    assert "MUG" in ended.err
    assert units in ended.err
    assert dump() == before


def test_an_order_by_hand_without_lines_is_refused_and_changes_nothing(run: Run, dump: Dump) -> None:
    before = dump()

    ended = run("orders", "book", "P-2")

    assert ended.code == ExitCode.USAGE
    assert "SKU=UNITS" in ended.err
    assert dump() == before


@pytest.mark.parametrize(
    ("command", "name", "content"),
    [
        (STOCK, "file.csv", "sku,units\nTEA,7\nJUG,9\n"),
        (ORDERS, "file.csv", "order,sku,units\n1,TEA,1\n2,TEA,half\n"),
    ],
    ids=["positions", "orders"],
)
def test_refused_rows_are_lost_no_more_than_the_good_ones(
    run: Run, command: tuple[str, ...], name: str, content: str
) -> None:
    Path(name).write_text(content)

    assert run(*command, name, "--skip-bad-rows", "refused.csv").code == ExitCode.FOUND_WRONG

    bad = content.splitlines()[2]
    header, row = Path("refused.csv").read_text().splitlines()
    assert header.startswith(content.splitlines()[0])
    assert row.startswith(bad)


def test_an_order_of_an_unknown_sku_is_kept_and_found_and_booked_when_the_sku_appears(run: Run) -> None:
    Path("orders.csv").write_text("order,sku,units\nP-9,JUG,3\n")

    assert run(*ORDERS, "orders.csv").code == ExitCode.FOUND_WRONG

    (waiting,) = [json.loads(one) for one in run("orders", "list", "--only", "waiting", "--json").out.splitlines()]
    assert waiting["order"] == "P-9"
    found = [json.loads(one) for one in run("findings", "list", "--json").out.splitlines()]
    assert [one["kind"] for one in found if "JUG" in one["summary"]] == ["unmapped line"]

    Path("jugs.csv").write_text("sku,units\nJUG,8\n")
    assert run(*STOCK, "jugs.csv", "--create-items").code == ExitCode.DONE

    assert run("orders", "list", "--only", "waiting", "--json").out == ""
    (jugs,) = [json.loads(one) for one in run("stock", "list", "JUG", "--json").out.splitlines()]
    assert (jugs["on_hand"], jugs["reserved"], jugs["available"]) == (8, 3, 5)
    assert "JUG" not in run("findings", "list", "--json").out


LOCATION = '[[location]]\nname = "main"\n'
CHANNEL = '[[channel]]\nname = "shop"\nconnector = "{}"\n'
SANDBOX = CHANNEL.format("sandbox") + '[channel.settings]\nbase_url = "http://127.0.0.1:1"\n'
BAD_CONFIGS = {
    "a typo in a key": (
        LOCATION + "[schedule]\norder_pol = '1m'\n",
        "unknown key 'order_pol' in [schedule], config.toml line 4: did you mean 'order_poll'?",
    ),
    "a typo in a table": (LOCATION + "[[chanel]]\nname = 'x'\n", "'chanel', config.toml line 3: did you mean"),
    "two channels of one name": (
        LOCATION + CHANNEL.format("memory") * 2,
        "two channels are called 'shop', config.toml line 7",
    ),
    "a cyclic bundle": (
        LOCATION
        + '[[bundle]]\nsku = "A"\nparts = [{ sku = "B", units = 1 }]\n'
        + '[[bundle]]\nsku = "B"\nparts = [{ sku = "A", units = 1 }]\n',
        "the bundle 'A' contains itself (A -> B -> A), config.toml line 3",
    ),
    "a secret that is not said": (LOCATION + SANDBOX, "[channel.settings] of 'shop' has no key 'refresh_token'"),
    "a secret that is not in the environment": (
        LOCATION + SANDBOX + 'refresh_token = { env = "SHOP_TOKEN" }\n',
        "the environment variable SHOP_TOKEN is not set (refresh_token in [channel.settings] of 'shop')",
    ),
    "a secret whose file is not there": (
        LOCATION + SANDBOX + 'refresh_token = { file = "token.txt" }\n',
        "token.txt",
    ),
    "no TOML": (LOCATION + "[schedule\n", "config.toml line 3"),
}


@pytest.mark.parametrize("command", [("db", "upgrade"), ("run",), ("orders", "book", "P-1", "MUG=1")], ids=" ".join)
@pytest.mark.parametrize(("text", "told"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_configuration_is_refused_by_key_and_line_before_anything_is_touched(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    told: str,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(text)

    assert main(command, {}) == ExitCode.CONFIGURATION

    printed = capsys.readouterr()
    assert told in printed.err
    assert "Traceback" not in printed.err
    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]
