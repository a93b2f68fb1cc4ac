"""What the documents tell people to type can be typed: every command and every option is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from channelsync.runtime.cli.app import build_app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "connectors").glob("*/README.md"))
    if page.name != "commands.md"  # which is written from the commands
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHELL = {"", "sh", "console", "bash"}
COMMAND = re.compile(r"(?<![\w/:.-])(?<!--name )channelsync +((?:[^|;&<>`#\n]|(?<=\S)#)+)")
GLOBAL_WITH_VALUE = {"--config", "--set"}


def typed(page: Path) -> Iterator[str]:
    """What stands behind `channelsync` wherever a page shows something to type."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for kind, block in FENCED.findall(text):
        if kind in SHELL:
            yield from (found for line in block.splitlines() for found in of_line(line))
    prose = FENCED.sub("", text)
    for line in re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE):
        yield from of_line(line)
    for span in re.findall(r"`([^`]+)`", re.sub(r"\s*\n\s*", " ", prose)):
        if span.startswith("channelsync "):
            yield from COMMAND.findall(span)


def of_line(line: str) -> Iterator[str]:
    """The commands of a line that is typed: it begins with one, or has one behind a prompt, a variable or an engine."""
    said = line.strip().removeprefix("$ ")
    if re.match(r"(\.venv/bin/)?channelsync ", said) or "&& channelsync " in said or "docker run" in said:
        yield from COMMAND.findall(re.sub(r"\S+/channelsync ", "channelsync ", said))


@cache
def commands() -> Any:
    return typer.main.get_command(build_app())


def wrong_with(words: list[str]) -> str:
    """What is wrong with the words of a command; empty: nothing."""
    command = commands()
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in GLOBAL_WITH_VALUE else words[1:]
    while hasattr(command, "commands"):
        if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            return ""  # a whole group is meant
        command = command.commands.get(words[0].split("|")[0])
        if command is None:
            return f"there is no command {words[0]!r}"
        words = words[1:]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    unknown = [word for word in words if re.match(r"--[a-z]", word) and word.split("=")[0].strip("[]") not in options]
    return f"it has no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_there_with_its_options(page: Path) -> None:
    complaints = {}
    for said in typed(page):
        words = [word.strip("[](),.") for word in shlex.split(said.replace("'", "").replace('"', ""))]
        if found := wrong_with([word for word in words if word]):
            complaints[said] = found
    assert complaints == {}


def test_commands_are_found_on_the_pages_and_wrong_ones_are_told() -> None:
    assert sum(len(list(typed(page))) for page in PAGES) > 120
    assert wrong_with(["backup", "restore", "FILE", "--replace"]) == ""
    assert wrong_with(["backup", "restor"]) == "there is no command 'restor'"
    assert wrong_with(["--config", "x.toml", "status", "--jsn"]) == "it has no option --jsn"
