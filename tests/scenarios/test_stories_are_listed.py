"""docs/publishing-proofs.md tells the truth: what it names exists, and every story and marketplace is named there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from channelsync.lab.marketplace_rules import PRESETS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "publishing-proofs.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
NAMED = re.findall(r"`((?:[\w/]+/)?test_\w+\.py)::(test_\w+)`", PAGE)


def functions_of(path: Path) -> dict[str, ast.AsyncFunctionDef | ast.FunctionDef]:
    """The tests of a file by name."""
    found = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [one for one in found if isinstance(one, ast.AsyncFunctionDef | ast.FunctionDef)]
    return {one.name: one for one in functions if one.name.startswith("test_")}


STORIES = {
    f"{path.name}::{name}": test
    for path in sorted(HERE.glob("test_story_*.py"))
    for name, test in functions_of(path).items()
}


def taken_out(test: ast.AsyncFunctionDef | ast.FunctionDef) -> set[str]:
    """What the marks of a story take out: names, and what is declared otherwise."""
    marks = [
        one
        for one in test.decorator_list
        if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("fails_without")
    ]
    names = {ast.literal_eval(mark.args[0]) for mark in marks if mark.args}
    declared = [word.value for mark in marks for word in mark.keywords if word.arg == "declares"]
    return names | {ast.literal_eval(key) for one in declared if isinstance(one, ast.Dict) for key in one.keys if key}


@pytest.mark.parametrize(("file", "test"), NAMED, ids=str)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    path = ROOT / file if "/" in file else HERE / file
    assert test in functions_of(path)


@pytest.mark.parametrize("story", STORIES)
def test_every_story_is_named_with_what_takes_its_rule_out(story: str) -> None:
    (row,) = [row for row in ROWS if f"`{story}`" in row]
    missing = {name for name in taken_out(STORIES[story]) if f"`{name}`" not in row}
    assert missing == set()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_marketplace_is_named(preset: str) -> None:
    assert f"`{preset}`" in PAGE
