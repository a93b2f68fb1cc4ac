"""`channelsync verify` and `channelsync undo` from the command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
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
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder."""
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite_url))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments), {})
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def receive(run: Run, units: int) -> str:
    """Receives mugs; returns the run."""
    code, out, _ = run("stock", "receive", "MUG", str(units), "--location", "main", "--create-item", "--json")
    assert code == ExitCode.DONE
    name: str = json.loads(out)["run"]
    return name


def shown(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("stock", "show", "MUG", "--json")[1])
    return found


def test_a_database_that_adds_up_is_said_to_and_the_command_ends_with_0(run: Run) -> None:
    receive(run, 5)

    code, out, err = run("verify")
    assert code == ExitCode.DONE
    assert "Everything adds up." in err
    assert "entries" in out

    code, out, _ = run("verify", "--json")
    document = json.loads(out)
    assert (document["clean"], document["entries"], document["problems"]) == (True, 1, [])


def test_what_does_not_add_up_is_named_and_the_command_ends_with_1(run: Run, tmp_path: Path) -> None:
    receive(run, 5)
    with closing(sqlite3.connect(tmp_path / "channelsync.db")) as file:
        file.execute("UPDATE position SET on_hand = 7")
        file.commit()

    code, _, err = run("verify")
    assert code == ExitCode.FOUND_WRONG
    assert "error: position MUG at main: its row says on hand 7; its entries make on hand 5." in err

    code, out, _ = run("verify", "--json")
    assert code == ExitCode.FOUND_WRONG
    (problem,) = json.loads(out)["problems"]
    assert problem == {
        "about": "position",
        "subject": "MUG at main",
        "what": "its row says on hand 7; its entries make on hand 5.",
    }


def test_a_run_is_taken_back_and_had_back(run: Run) -> None:
    receive(run, 5)
    name = receive(run, 3)

    code, out, _ = run("undo", name, "--json")
    assert code == ExitCode.DONE
    document = json.loads(out)
    assert (document["undone"]["run"], document["undone"]["entries"], document["undone"]["left"]) == (name, 1, [])
    assert shown(run)["on_hand"] == 5

    code, _, err = run("undo", document["run"])
    assert code == ExitCode.DONE
    assert "Undid undo" in err
    assert shown(run)["on_hand"] == 8


def test_what_stays_and_what_went_below_0_is_said(run: Run) -> None:
    name = receive(run, 5)
    run("orders", "book", "P-1", "MUG=5")
    run("orders", "ship", "P-1")

    code, _, err = run("undo", name)

    assert code == ExitCode.DONE
    assert "left: items are never deleted, so these stay: MUG." in err
    assert "warning: MUG at main has -5 on hand and -5 available now: the units were sold or moved meanwhile." in err
    assert shown(run)["on_hand"] == -5


def test_a_run_that_cannot_be_taken_back_is_one_sentence(run: Run) -> None:
    name = receive(run, 5)
    run("undo", name)

    for what, said in (("r-0", "There is no run 'r-0'"), (name, "was undone by")):
        code, _, err = run("undo", what)
        assert code == ExitCode.REFUSED
        (line,) = err.splitlines()
        assert said in line
