"""docs/commands.md says what the commands say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from channelsync.runtime.cli.app import build_app
from channelsync.runtime.cli.exit_codes import MEANING
from channelsync.runtime.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be run, as it is typed."""

    def walk(group: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, f"{words} {name}")
            else:
                yield f"{words} {name}", command

    yield from walk(typer.main.get_command(build_app()), "channelsync")


def test_the_page_of_the_commands_is_up_to_date() -> None:
    # Not compared by assert: the difference of two long pages says less than the command that mends it.
    up_to_date = PAGE.read_text(encoding="utf-8") == reference()
    assert up_to_date, "write it anew: .venv/bin/python -m channelsync.runtime.cli.reference > docs/commands.md"


def test_the_page_has_every_command_with_its_help_and_every_option() -> None:
    page = reference()
    for typed, command in commands():
        section = page.partition(f"\n## {typed}\n")[2].partition("\n## ")[0]
        assert command.help.strip() in section, typed
        for parameter in command.params:
            if parameter.name != "help":
                assert all(name in section for name in parameter.opts if name.startswith("-")), typed


def test_the_page_has_every_exit_code() -> None:
    page = reference()
    assert all(f"| {code.value} | {meaning} |" in page for code, meaning in MEANING.items())
