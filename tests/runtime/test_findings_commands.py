"""`channelsync findings`: what is open, what it is about, and closing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
skus = ["MUG"]
"""

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a seller with two findings: order P-1 oversold MUG by 2, and sells LAMP, which is no item."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(url=sqlite_url))

    def command(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main(["--config", str(config), *arguments], {})
        printed = capsys.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines() if line.startswith("{")], printed.err

    command("stock", "receive", "MUG", "1", "--location", "main")
    command("orders", "book", "P-1", "MUG=3", "LAMP=1")
    return command


def test_list_shows_open_findings_with_skus_instead_of_ids(run: Run) -> None:
    code, rows, _ = run("findings", "list", "--json")

    assert code == 0
    assert {(row["kind"], row["sku"]) for row in rows} == {("oversold", "MUG"), ("unmapped line", "")}
    oversold = next(row for row in rows if row["kind"] == "oversold")
    assert oversold["summary"].startswith("MUG at main: 2 units more are promised")
    assert oversold["evidence"] == {"location": "main", "available": -2}


def test_an_open_finding_follows_the_sku_of_its_item_and_back(run: Run) -> None:
    def told() -> str:
        (row,) = run("findings", "list", "--kind", "oversold", "--json")[1]
        return str(row["summary"])

    (renamed,) = run("items", "rename", "MUG", "BECHER", "--json")[1]
    assert told().startswith("BECHER at main: 2 units more are promised")
    assert run("undo", renamed["run"])[0] == 0
    assert told().startswith("MUG at main: 2 units more are promised")


@pytest.mark.parametrize("kind", ["unmapped line", "unmapped-line", "Unmapped_Line"])
def test_list_takes_a_kind_however_it_is_spelt(run: Run, kind: str) -> None:
    _, rows, _ = run("findings", "list", "--kind", kind, "--json")

    assert [row["kind"] for row in rows] == ["unmapped line"]


def test_an_unknown_kind_is_named_with_the_nearest(run: Run) -> None:
    code, _, told = run("findings", "list", "--kind", "oversolt")

    assert code == ExitCode.REFUSED
    assert "did you mean 'oversold'?" in told


def test_list_of_a_channel_and_at_most_so_many(run: Run) -> None:
    assert [row["kind"] for row in run("findings", "list", "--channel", "manual", "--json")[1]] == ["unmapped line"]
    assert len(run("findings", "list", "--limit", "1", "--json")[1]) == 1


def test_show_prints_one_finding(run: Run) -> None:
    _, rows, _ = run("findings", "list", "--json")

    code, (shown,), _ = run("findings", "show", str(rows[0]["id"]), "--json")

    assert (code, shown) == (0, rows[0])
    missing, _, told = run("findings", "show", "99")
    assert missing == ExitCode.REFUSED
    assert "there is no finding 99" in told


def test_close_ends_findings_once_with_the_reason(run: Run) -> None:
    _, rows, _ = run("findings", "list", "--json")
    ids = [str(row["id"]) for row in rows]

    code, _, told = run("findings", "close", *ids, "--why", "counted again")

    assert code == 0
    assert told.count("Closed finding") == 2
    assert run("findings", "list", "--json")[1] == []
    assert {row["closed_why"] for row in run("findings", "list", "--all", "--json")[1]} == {"counted again"}
    assert "was closed already" in run("findings", "close", ids[0])[2]


def test_closing_says_as_json_what_was_closed(run: Run) -> None:
    _, rows, _ = run("findings", "list", "--json")
    ids = sorted(row["id"] for row in rows)
    run("findings", "close", str(ids[0]))
    _, (done,), _ = run("findings", "close", *map(str, ids), "--json")

    assert (done["closed"], done["closed_before"]) == (ids[1:], ids[:1])
    refused, _, told = run("undo", done["run"])
    assert refused == ExitCode.REFUSED
    assert "stays closed" in told


def test_close_of_an_unknown_finding_closes_none(run: Run) -> None:
    _, rows, _ = run("findings", "list", "--json")

    code, _, told = run("findings", "close", str(rows[0]["id"]), "99")

    assert code == ExitCode.REFUSED
    assert "there is no finding 99; nothing was closed" in told
    assert len(run("findings", "list", "--json")[1]) == 2


def test_what_is_still_wrong_is_found_anew(run: Run) -> None:
    _, rows, _ = run("findings", "list", "--kind", "unmapped line", "--json")
    run("findings", "close", str(rows[0]["id"]))

    run("orders", "book", "P-1", "MUG=2", "LAMP=2", "--change")

    assert len(run("findings", "list", "--kind", "unmapped line", "--json")[1]) == 1
