"""The command line's base: exit codes, errors as sentences, JSON or tables, init and db upgrade."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from channelsync.domain.errors import ShortOfUnits
from channelsync.runtime.cli import app as cli_app
from channelsync.runtime.cli import main
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import MEANING, CommandFailed, ExitCode
from channelsync.sdk.discovery import ConnectorProblem
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.store.database_errors import DatabaseDamaged, PublisherRunning


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_commands() -> Iterator[Sequence[str]]:
    """Every command and group, as it is typed."""

    def walk(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, command in getattr(group, "commands", {}).items():
            yield from walk(command, (*path, name))

    yield from walk(cli_app.all_commands(), ())


# Help and usage


@pytest.mark.parametrize("command", list(all_commands()), ids=" ".join)
def test_the_help_of_every_command_lists_the_exit_codes(
    command: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"], {}) == 0

    printed = capsys.readouterr().out
    for code, meaning in MEANING.items():
        assert f"{code.value:>5}  {meaning}\n" in printed


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANING) == set(ExitCode)


def test_every_command_module_that_is_named_can_be_added() -> None:
    assert cli_app.COMMAND_MODULES
    assert len(list(all_commands())) > len(cli_app.COMMAND_MODULES)


@pytest.mark.parametrize("arguments", [["nonsense"], ["config", "check", "--nope"], ["--set", "x", "config", "check"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, {}) == ExitCode.USAGE
    assert "Error:" in capsys.readouterr().err


def test_the_version_is_printed_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"], {}) == 0
    assert capsys.readouterr().out.startswith("channelsync ")


# Errors


def command_that_raises(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a command `fail` in the place of all others."""

    def fail() -> None:
        raise error

    def build() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(cli_app._global_options)
        app.command("fail")(fail)
        return app

    monkeypatch.setattr(cli_app, "all_commands", lambda: typer.main.get_group(build()))


ERRORS: list[tuple[Exception, ExitCode]] = [
    (CommandFailed("three rows are bad; correct them"), ExitCode.REFUSED),
    (CommandFailed("2 of 412 orders are missing", ExitCode.FOUND_WRONG), ExitCode.FOUND_WRONG),
    (ShortOfUnits("MUG", 3, 2), ExitCode.REFUSED),
    (ConnectorProblem("install channelsync[amazon]"), ExitCode.CONFIGURATION),
    (TryLater("shop-uk does not answer"), ExitCode.UNREACHABLE),
    (NeedsSeller("Log in again at shop-uk."), ExitCode.UNREACHABLE),
    (DatabaseDamaged("channelsync.db"), ExitCode.DATABASE),
    (PublisherRunning("channelsync.db"), ExitCode.LOCKED),
    (FileNotFoundError(2, "No such file or directory", "rows.csv"), ExitCode.REFUSED),
    (ExceptionGroup("tasks", [ExceptionGroup("inner", [TryLater("shop-uk does not answer")])]), ExitCode.UNREACHABLE),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_of_ours_is_one_sentence_and_its_exit_code(
    error: Exception, code: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that_raises(error, monkeypatch)

    assert main(["fail"], {}) == code

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    assert "Traceback" not in printed.err


def test_a_bug_is_told_without_a_traceback_and_with_one_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that_raises(KeyError("sku"), monkeypatch)

    assert main(["fail"], {}) == ExitCode.BUG
    told = capsys.readouterr().err
    assert main(["--debug", "fail"], {}) == ExitCode.BUG
    traced = capsys.readouterr().err

    assert "KeyError: 'sku'" in told
    assert "--debug" in told
    assert "Traceback" not in told
    assert "Traceback" in traced


def test_an_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    command_that_raises(KeyboardInterrupt(), monkeypatch)

    assert main(["fail"], {}) == ExitCode.INTERRUPTED


def test_a_secret_that_the_configuration_names_is_in_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.toml").write_text("[database]\nurl = 'postgresql://me:hush-hush@db/x'\n")

    def build() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(cli_app._global_options)

        def fail(context: typer.Context) -> None:
            loaded = invocation(context).load()
            raise CommandFailed(f"cannot reach {loaded.config.database.url}")

        app.command("fail")(fail)
        return app

    monkeypatch.setattr(cli_app, "all_commands", lambda: typer.main.get_group(build()))
    main(["--debug", "fail"], {})

    assert "hush-hush" not in capsys.readouterr().err


def test_a_command_outside_main_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="under main"):
        invocation(typer.Context(cli_app.all_commands()))


# Which configuration


def test_the_configuration_is_the_named_one_else_the_environments_else_the_folders(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config.toml", "environment.toml", "named.toml"):
        (folder / name).write_text(f"[seller]\nname = '{name}'\n")
    environ = {"CHANNELSYNC_CONFIG": "environment.toml"}

    def seller(*arguments: str, environ: dict[str, str]) -> str:
        assert main([*arguments, "config", "check", "--json"], environ) == 0
        settings = json.loads(capsys.readouterr().out)["settings"]
        return str(next(one["value"] for one in settings if one["key"] == "seller.name"))

    assert seller(environ={}) == "config.toml"
    assert seller(environ=environ) == "environment.toml"
    assert seller("--config", "named.toml", environ=environ) == "named.toml"
    assert seller("--set", "seller.name=Tea = Mugs", environ=environ) == "Tea = Mugs"


def test_without_a_configuration_a_command_says_how_to_make_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "upgrade"], {}) == ExitCode.CONFIGURATION
    assert "write one with `channelsync init`" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


# init and db upgrade


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return found


def test_init_writes_a_valid_file_makes_the_database_and_says_what_comes_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"], {}) == 0

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Wrote config.toml." in printed.err
    assert "channelsync config check" in printed.err
    assert stat.S_IMODE((folder / "config.toml").stat().st_mode) == 0o600
    assert len(tables(folder / "channelsync.db")) > 5
    assert main(["config", "check"], {}) == 0


def test_init_never_overwrites(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text("mine")

    assert main(["init"], {}) == ExitCode.REFUSED
    assert (folder / "config.toml").read_text() == "mine"
    assert "is there already and was not touched" in capsys.readouterr().err
    assert not (folder / "channelsync.db").exists()


def test_init_writes_where_it_is_told(folder: Path) -> None:
    (folder / "given").mkdir()

    assert main(["init", "--path", "given"], {}) == 0
    assert main(["init", "--path", "new/own.toml"], {}) == 0
    assert (folder / "given" / "config.toml").exists()
    assert (folder / "given" / "channelsync.db").exists()
    assert (folder / "new" / "own.toml").exists()


def test_an_init_that_fails_leaves_no_file_so_that_it_can_be_given_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"CHANNELSYNC_DATABASE__URL": "sqlite:////nowhere/at/all/x.db"}

    assert main(["init"], environ) == ExitCode.DATABASE
    assert not (folder / "config.toml").exists()
    assert main(["init"], {}) == 0


def test_db_upgrade_makes_the_tables_and_does_nothing_the_second_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.toml").write_text("")

    assert main(["db", "upgrade", "--json"], {}) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["db", "upgrade", "--json"], {}) == 0
    second = json.loads(capsys.readouterr().out)

    assert first["before"] is None
    assert first["after"] == second["before"] == second["after"]
    assert first["database"] == f"sqlite:///{folder / 'channelsync.db'}"
    assert main(["db", "upgrade"], {}) == 0
    assert "already" in capsys.readouterr().err


def test_config_example_prints_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "example"], {}) == 0
    assert "[[channel]]" in capsys.readouterr().out


def test_what_a_command_awaits_runs_to_its_end() -> None:
    async def work() -> int:
        return 7

    assert awaited(work()) == 7
