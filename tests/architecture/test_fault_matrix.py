"""The fault matrix: what can go wrong, what comes of it, and the test that proves it; docs/faults.md is made from here.

A test says `@pytest.mark.fault(NUMBER, "what comes of it")`. `python tests/architecture/test_fault_matrix.py` prints
the page; the tests below hold the page and the markers together.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"

GROUPS: dict[str, dict[int, str]] = {
    "Webhooks that come in": {
        1: "The same delivery twice, one after the other",
        2: "Fifty copies of a delivery at once",
        3: "The same event id with another body",
        4: "A cancel before the order it cancels",
        5: "An older state of an order after a newer one",
        6: "A delivery that never comes",
        7: "A delivery that comes a day late, with what was true then",
        8: "A wrong or missing signature, broken base64; a secret that is empty",
        9: "A genuine signature over a changed body",
        10: "A captured delivery sent again later",
        11: "A delivery signed for another of our accounts",
        12: "The old secret while a new one replaces it, and after",
        13: "Our clock ten minutes wrong",
        14: "A body of 50 MB, a wrong Content-Length, chunks without end",
        15: "A sender that drips headers or body",
        16: "Compressed bombs, deep nesting, NaN, endless digits, doubled keys, broken UTF-8",
        17: "A topic or version that nobody knows",
        18: "An order with an unknown SKU",
        19: "5,000 deliveries in ten seconds",
        20: "The database is away while deliveries come in",
        21: "Order lines with fractional, negative or enormous quantities, or none",
        22: "A subscription that the channel has silently removed",
    },
    "Calls that go out": {
        23: "Too many calls: Retry-After in seconds, as a date, absurd, or missing",
        24: "Server errors",
        25: "No connection: refused, no name, a certificate that is expired or another's",
        26: "The channel applied a write, and the answer was lost",
        27: "A kept connection that the server has closed",
        28: "An answer that drips",
        29: "An answer cut short",
        30: "A web page, nothing, or broken JSON with status 200",
        31: "Errors inside a successful answer",
        32: "Some rows of a batch refused",
        33: "A batch that is accepted and never applied",
        34: "A success that a later read contradicts",
        35: "An access token that expires in the middle",
        36: "Credentials that were revoked",
        37: "A permission that was taken away",
        38: "A redirect to another host",
        39: "Pages that shift while they are read",
        40: "A cursor that repeats itself or has expired",
        41: "A catalogue that is suddenly empty or nearly so",
        42: "Reads that lag behind writes",
        43: "A channel that caps or rounds a number",
        44: "Somebody else writes the same number",
        45: "A version of the interface that was removed",
        46: "Another program that uses up the rate budget",
    },
    "Process, machine, database": {
        47: "SIGKILL between any two steps",
        48: "SIGTERM under load",
        49: "A worker that is stopped for longer than its lease and goes on",
        50: "Two daemons on one database",
        51: "A one-shot reconcile beside the daemon",
        52: "PostgreSQL restarts, or ends our session in the middle of a transaction",
        53: "Serialization failures and deadlocks",
        54: "No free connection to the database",
        55: "A full disk",
        56: "SQLite busy for long, read-only, deleted, damaged",
        57: "No more memory or file descriptors",
        58: "A migration that was interrupted; a schema newer than the code",
        59: "Power loss",
        60: "A backup of yesterday is restored",
    },
    "Time and data": {
        61: "The clock leaps by a day",
        62: "Summer time begins and ends",
        63: "A configuration that contradicts itself",
        64: "A row that fails every time",
    },
}
FAULTS = {number: what for group in GROUPS.values() for number, what in group.items()}

NOT_TESTED: dict[int, str] = {}
"""Faults without a test, and why."""

HEAD = """# Faults

What can go wrong, what comes of it, and the test that proves it. Made by
`python tests/architecture/test_fault_matrix.py > docs/faults.md` from the marks of the tests.
`make test` runs all of them, on SQLite and PostgreSQL where the database matters.
"""


@dataclass(frozen=True, order=True)
class Proof:
    """One marked test."""

    fault: int
    outcome: str
    file: str
    test: str


@cache
def proofs() -> tuple[Proof, ...]:
    """Every marked test, by fault, in the order of the files."""
    found: list[Proof] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                file = path.relative_to(ROOT).as_posix()
                found += [Proof(*marked, file, node.name) for marked in _marks(node)]
    return tuple(sorted(found))


def _marks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[int, str]]:
    calls = [one for one in node.decorator_list if isinstance(one, ast.Call)]
    marks = [one for one in calls if ast.unparse(one.func) == "pytest.mark.fault"]
    return [tuple(ast.literal_eval(argument) for argument in one.args) for one in marks]  # type: ignore[misc]


def page() -> str:
    """docs/faults.md."""
    found = proofs()
    lines = [HEAD]
    for group, faults in GROUPS.items():
        lines += [f"## {group}", "", "| | fault | what comes of it | proof |", "|---|---|---|---|"]
        for number, what in faults.items():
            own = [one for one in found if one.fault == number]
            outcome = "; ".join(dict.fromkeys(one.outcome for one in own)) or NOT_TESTED.get(number, "")
            proof = "<br>".join(f"[{one.test}](../{one.file})" for one in own) or "none"
            lines.append(f"| {number} | {what} | {outcome} | {proof} |")
        lines.append("")
    return "\n".join(lines)


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "run: python tests/architecture/test_fault_matrix.py > docs/faults.md"


@pytest.mark.parametrize("number", FAULTS)
def test_every_fault_has_a_test_or_a_reason(number: int) -> None:
    tested = {one.fault for one in proofs()}
    assert (number in tested) != (number in NOT_TESTED), FAULTS[number]


def test_every_mark_names_a_fault_and_says_what_comes_of_it() -> None:
    for one in proofs():
        assert one.fault in FAULTS, one
        assert len(one.outcome) > 10, one


if __name__ == "__main__":
    sys.stdout.write(page())
