"""docs/commands.md: every command with its help, arguments, options and exit codes, written from the commands.

`python -m channelsync.runtime.cli.reference > docs/commands.md` writes the page anew; a test says when it is old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from channelsync.runtime.cli.app import all_commands
from channelsync.runtime.cli.exit_codes import MEANING

NAME = "channelsync"

_HEAD = """\
# Commands

Every command of `channelsync`, as `channelsync COMMAND --help` tells it. This page is written from the commands
themselves, by `python -m channelsync.runtime.cli.reference > docs/commands.md`.

Data goes to standard output, as a table or, with `--json`, for programs: one document, or one object a line where it
is a list. What is said about it goes to standard error. Quantities are base units.
"""

_GLOBAL = """\
## Options of all commands

They stand before the command: `channelsync --config shop.toml stock list`.
"""

_CODES = """\
## Exit codes

The same for every command; a meaning never changes once it is released.

| Code | Meaning |
|---:|---|
"""


def reference() -> str:
    """The page, in Markdown."""
    root = all_commands()
    commands = list(_commands(root, (NAME,)))
    parts = [
        _HEAD,
        "\n".join(f"- [`{_typed(path)}`](#{_anchor(path)}): {_first(command)}" for path, command in commands),
    ]
    parts += [_GLOBAL + "\n" + _parameters(root)]
    parts += [_CODES + "\n".join(f"| {code.value} | {text} |" for code, text in MEANING.items())]
    parts += [_section(path, command) for path, command in commands]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be run, with the words that are typed, in the order of the help."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _typed(path: Sequence[str]) -> str:
    return " ".join(path)


def _anchor(path: Sequence[str]) -> str:
    return "-".join(path)


def _first(command: Any) -> str:
    first: str = command.help.strip().split("\n\n")[0].replace("\n", " ").split(". ")[0]
    return first.rstrip(".") + "."


def _section(path: Sequence[str], command: Any) -> str:
    usage = " ".join((*path, *command.collect_usage_pieces(typer.Context(command))))
    return f"## {_typed(path)}\n\n```\n{usage}\n```\n\n{command.help.strip()}\n\n{_parameters(command)}".rstrip()


def _parameters(command: Any) -> str:
    """A table of arguments and options; empty where there are none."""
    context = typer.Context(command)
    rows = [_row(one, context) for one in command.params if not getattr(one, "hidden", False)]
    rows = [row for row in rows if row]
    return "| Argument, option | Meaning |\n|---|---|\n" + "\n".join(rows) if rows else ""


def _row(parameter: Any, context: typer.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    name, told = record
    return f"| `{_cell(name)}` | {_cell(' '.join(told.split()))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
