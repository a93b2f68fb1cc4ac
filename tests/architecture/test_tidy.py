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

# How the ledger's tables are named in code, and what writes a table that it is given.
LEDGERS_TABLES = {"position": "PositionRow", "ledger_entry": "LedgerEntryRow"}
WRITERS = {"Into", "insert", "insert_ignoring", "upsert", "update", "update_rows", "delete"}


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


def written_by(tree: ast.AST) -> set[str]:
    """Which of the ledger's tables a module writes, under whatever name it has them."""
    named = {
        ast.unparse(target): table
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (table := ledgers_table(node.value))
        for target in node.targets
    }
    found = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        writer = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        given = [*call.args, *(one.value for one in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        if writer in WRITERS:
            found |= {table for one in given if (table := ledgers_table(one) or named.get(ast.unparse(one)))}
    return found


def ledgers_table(node: ast.AST) -> str | None:
    """Which of the ledger's tables an expression is, if one."""
    said = ast.unparse(node)
    for table, row in LEDGERS_TABLES.items():
        if said.endswith((f"tables['{table}']", row, f"{row}.__table__")):
            return table
    return None


@pytest.mark.parametrize(
    "line",
    ["Into(_PLACE, keys=('item',))", "Into(table=_PLACE)", "together.Into(_PLACE)", "insert(_PLACE)",
     "insert_ignoring(_PLACE, dialect)", "upsert(_PLACE, dialect, keys=())", "update(_PLACE).values(on_hand=1)",
     "delete(_PLACE)", "update_rows(\n    connection,\n    _PLACE,\n    ('item',), changes)", "_PLACE.update()",
     "_PLACE.insert()"],
)  # fmt: skip
@pytest.mark.parametrize("table", ['metadata.tables["position"]', "units.PositionRow.__table__", "PositionRow"])
def test_every_way_of_writing_positions_is_seen_under_any_name(line: str, table: str) -> None:
    assert written_by(ast.parse(f"_PLACE = {table}\n{line}")) == {"position"}
    assert written_by(ast.parse(line.replace("_PLACE", table))) == {"position"}
    assert written_by(ast.parse(f'_PLACE = metadata.tables["item"]\n{line}')) == set()


def test_reading_positions_is_not_writing_them() -> None:
    read = "select(_PLACE).with_for_update(of=_PLACE)\nupdate(_KEY).where(_KEY.c.item == _PLACE.c.item)"
    assert written_by(ast.parse(f'_PLACE = metadata.tables["position"]\n{read}')) == set()


def test_only_the_ledger_writes_positions_and_entries() -> None:
    found = {path.relative_to(ROOT).as_posix(): written_by(ast.parse(path.read_text())) for path in sources()}
    assert found.pop("src/channelsync/store/ledger.py") == {"position", "ledger_entry"}
    assert [name for name, tables in found.items() if tables] == []


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    found = [path.relative_to(ROOT).as_posix() for path in sources() if words.search(path.read_text())]
    assert found == []
