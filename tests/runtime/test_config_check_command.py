"""`channelsync config check`: all faults, or all settings with their origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from channelsync.runtime.cli import main
from channelsync.sdk.discovery import installed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def run(file: Path, *arguments: str) -> int:
    return main(["--config", str(file), "config", "check", *arguments], {})


def test_config_check_prints_every_fault_and_ends_with_the_code_of_configuration_faults(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[log]\nlevle = 1\n[seller]\nnme = 1\n")

    assert run(file) == 3

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "error: unknown key 'levle' in [log], config.toml line 2: did you mean 'level'?",
        "error: unknown key 'nme' in [seller], config.toml line 4: did you mean 'name'?",
    ]


def test_config_check_as_json_has_one_shape_for_good_and_bad_files(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[log]\nlevle = 1\n")
    assert run(file, "--json") == 3
    bad = json.loads(capsys.readouterr().out)
    file.write_text("[log]\nlevel = 'error'\n")
    assert run(file, "--json") == 0
    good = json.loads(capsys.readouterr().out)

    assert list(bad) == list(good) == ["file", "valid", "problems", "warnings", "settings"]
    assert bad["problems"] == [
        {
            "what": "unknown key 'levle' in [log]",
            "where": "config.toml line 2",
            "todo": "did you mean 'level'?",
            "key": "log.levle",
            "line": 2,
        }
    ]
    assert {"key": "log.level", "value": "error", "origin": "config.toml line 2"} in good["settings"]


def test_config_check_shows_values_with_their_origin_and_warns_of_rules_that_contradict(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[[rule]]\nbuffer = 1\n[[rule]]\nbuffer = 2\n")

    assert run(file) == 0

    printed = capsys.readouterr()
    assert [part.strip() for part in printed.out.splitlines()[4].strip("│").split("│")] == [
        "seller.name",
        "My shop",
        "default",
    ]
    assert "warning: buffer is said twice for everything" in printed.err
    assert f"{file} is valid. Connectors: {', '.join(installed().names)}." in printed.err
