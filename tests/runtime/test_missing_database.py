"""Commands whose SQLite file is not there: they say so, and make none."""

from __future__ import annotations

from pathlib import Path

import pytest

from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode

CONFIG = """\
[database]
url = "sqlite:///mistyped.db"
[[location]]
name = "main"
"""


@pytest.mark.parametrize("command", ["status", "verify", "run", "stock list", "reconcile --dry-run", "findings list"])
def test_without_the_file_a_command_says_so_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    assert main(["--config", str(config), *command.split()]) == ExitCode.DATABASE
    assert f"there is no file {tmp_path}/mistyped.db; `channelsync db upgrade` makes one" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]

    assert main(["--config", str(config), "db", "upgrade"]) == ExitCode.DONE
    assert (tmp_path / "mistyped.db").is_file()
