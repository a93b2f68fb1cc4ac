"""`channelsync items ...` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync_memory.shop import SHOPS, Shop

CONFIG = """\
[database]
url = "{url}"

[[location]]
name = "main"

[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "items-shop" }}

[[bundle]]
sku = "SET"
parts = [{{ sku = "PLATE", units = 2 }}]
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in an empty folder; MUG (ten on hand) and CUP (three) are listed on the shop and mapped."""
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite_url))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments), {})
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    shop = SHOPS["items-shop"] = Shop(SystemClock())
    for sku, units in (("MUG", 10), ("CUP", 3)):
        shop.list_item(sku, units)
        assert command("stock", "receive", sku, str(units), "--location", "main", "--create-item")[0] == ExitCode.DONE
    command("listings", "pull")
    command("listings", "match", "--apply")
    yield command
    del SHOPS["items-shop"]


def rows(ran: tuple[int, str, str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran[1].splitlines()]


def on_hand(run: Run, sku: str) -> int:
    code, out, _ = run("stock", "show", sku, "--json")
    assert code == ExitCode.DONE
    return int(json.loads(out)["on_hand"])


def test_items_are_listed_with_their_sums_and_listings(run: Run) -> None:
    found = {row["sku"]: row for row in rows(run("items", "list", "--json"))}

    assert (found["MUG"]["on_hand"], found["MUG"]["listings"], found["MUG"]["aliases"]) == (10, 1, [])
    assert [row["sku"] for row in rows(run("items", "list", "--search", "cu", "--json"))] == ["CUP"]


def test_a_renamed_item_is_found_by_both_skus(run: Run) -> None:
    code, _, err = run("items", "rename", "MUG", "BECHER")

    assert code == ExitCode.DONE
    assert "MUG is BECHER now; MUG still leads to it." in err
    assert on_hand(run, "MUG") == on_hand(run, "BECHER") == 10
    shown = json.loads(run("items", "show", "MUG", "--json")[1])
    assert (shown["item"]["sku"], shown["item"]["aliases"]) == ("BECHER", ["MUG"])
    assert [one["listing"] for one in shown["listings"]] == ["item-1"]


def test_a_name_that_an_item_has_already_changes_nothing(run: Run) -> None:
    code, _, err = run("items", "rename", "MUG", "MUG")

    assert (code, err) == (ExitCode.DONE, "MUG is the item's SKU already; nothing was changed.\n")
    shown = json.loads(run("items", "show", "MUG", "--json")[1])
    assert (shown["item"]["sku"], shown["item"]["aliases"]) == ("MUG", [])
    assert json.loads(run("items", "rename", "MUG", "MUG", "--json")[1])["changed"] is False
    assert json.loads(run("items", "rename", "MUG", "BECHER", "--json")[1])["changed"] is True


def test_two_items_become_one_and_the_first_still_tells_what_it_was(run: Run) -> None:
    code, out, _ = run("items", "merge", "CUP", "MUG", "--json")

    assert code == ExitCode.DONE
    assert json.loads(out)["done"] == {"units": 3, "entries": 2, "listings": 1, "orders": 0, "rules": []}
    assert on_hand(run, "MUG") == on_hand(run, "CUP") == 13
    shown = json.loads(run("items", "show", "CUP", "--json")[1])
    assert (shown["item"]["sku"], shown["item"]["merged_into"]) == ("CUP", "MUG")
    assert [row["sku"] for row in rows(run("items", "list", "--json"))] == ["MUG", "PLATE", "SET"]
    assert "CUP" in [row["sku"] for row in rows(run("items", "list", "--merged", "--json"))]
    assert run("verify")[0] == ExitCode.DONE


def test_one_item_becomes_two(run: Run) -> None:
    code, out, _ = run("items", "split", "MUG", "MUG-RED", "--listing", "shop/item-1", "--units", "main=4", "--json")

    assert code == ExitCode.DONE
    assert json.loads(out)["listings"] == 1
    assert (on_hand(run, "MUG"), on_hand(run, "MUG-RED")) == (6, 4)


def test_a_further_sku_books_the_orders_that_waited_for_it(run: Run) -> None:
    run("orders", "book", "P-1", "BECHER=2")

    code, _, err = run("items", "alias", "add", "MUG", "BECHER")

    assert code == ExitCode.DONE
    assert "BECHER leads to MUG now." in err
    assert json.loads(run("stock", "show", "MUG", "--json")[1])["reserved"] == 2
    assert "led to MUG already; nothing was changed" in run("items", "alias", "add", "MUG", "BECHER")[2]

    assert run("items", "alias", "remove", "MUG", "BECHER")[0] == ExitCode.DONE
    assert run("stock", "show", "BECHER")[0] == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("show", "MUGG"), ExitCode.REFUSED, "There is no item with the SKU 'MUGG'"),
        (("rename", "MUG", "CUP"), ExitCode.REFUSED, "CUP is a SKU of an item already"),
        (("merge", "MUG", "MUG"), ExitCode.REFUSED, "MUG is that item already"),
        (("merge", "PLATE", "MUG"), ExitCode.REFUSED, "PLATE is a part of SET"),
        (("split", "MUG", "MUG-RED"), ExitCode.REFUSED, "Name listings or units"),
        (("split", "MUG", "MUG-RED", "--units", "main"), ExitCode.USAGE, "is not LOCATION=UNITS"),
        (("split", "MUG", "MUG-RED", "--units", "main=1", "--units", "main=2"), ExitCode.USAGE, "names main twice"),
        (("split", "MUG", "MUG-RED", "--listing", "item-1"), ExitCode.USAGE, "is not CHANNEL/LISTING"),
        (("alias", "remove", "MUG", "POT"), ExitCode.REFUSED, "POT is no further SKU of MUG"),
        (("alias", "add", "MUG", "CUP"), ExitCode.REFUSED, "CUP is a SKU of an item already"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, command: tuple[str, ...], code: ExitCode, said: str) -> None:
    ended, _, err = run("items", *command)

    assert ended == code
    (line,) = err.splitlines()
    assert said in line
