"""Small and plain, measured: the length of files and functions, and the words that we do not use."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
MADE_BY_A_TOOL = ("migrations/versions",)

# Identifiers that say too little; each is named with what to say instead. See docs/glossary.md.
BANNED = {
    "qty": "units or quantity",
    "inventory": "position, item or listing",
    "stock": "units, position or on hand (as a number)",
    "product": "item, SKU or listing",
    "manager": "the noun of what it does",
    "helper": "the noun of what it does",
    "helpers": "the noun of what it does",
    "utils": "the subject of the module",
}


def sources() -> list[Path]:
    found = [*(ROOT / "src").rglob("*.py"), *(ROOT / "connectors").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    return sorted(path for path in found if not any(part in path.as_posix() for part in MADE_BY_A_TOOL))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_short_and_so_are_its_functions(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX, f"{path.name} has {text.count(chr(10))} lines: give it one subject"
    for function in functions(ast.parse(text)):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{path.name}: {function.name} has {lines} lines"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_vague_words_name_nothing(path: Path) -> None:
    names = {node.name for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "name") and node.name}
    names |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.arg)}
    for name in sorted(names):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        assert words not in BANNED, f"{path.name}: {name}: say {BANNED[words]}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_class_and_public_function_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_only_the_ledger_writes_positions_and_entries() -> None:
    writing = re.compile(r"(_POSITION|_ENTRY)\.(insert|update|delete)\(|(update|upsert|delete)\((_POSITION|_ENTRY)\b")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if path.name != "ledger.py" and "migrations" not in path.parts and writing.search(path.read_text())
    ]
    naming = re.compile(
        r'(update|insert|upsert|insert_ignoring|delete)\(\s*metadata\.tables\["(position|ledger_entry)"\]'
    )
    named = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if path.parent.name == "store" and path.name != "ledger.py" and naming.search(path.read_text())
    ]
    assert found + named == []


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    found = [path.relative_to(ROOT).as_posix() for path in sources() if words.search(path.read_text())]
    assert found == []
