"""Figures: what a command measured, written to build/figures/NAME.json, and the tables that documents show of them.

A figure holds or not by its own aim; nobody writes that by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

FOLDER = Path("build/figures")
"""Where figures are, below the folder that the command runs in."""

PAGES = (Path("docs/performance.md"), Path("docs/reliability.md"), Path("docs/simulation.md"))
"""The documents whose tables are rendered."""

_AIM = re.compile(r"^(>=|<=|=)\s*(-?[0-9.]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. Fields stand in the file under these names, with `holds`.

    value, unit: what was measured. against: what it is compared with; empty where nothing. ratio: value over that;
    None where nothing. aim: what it should be, as ">= 0.5", "<= 2" or "= 0", for the ratio where there is one, else
    for the value; empty where nothing is aimed at.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    aim: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether it is what it should be; None where nothing is aimed at. ValueError for an aim that is no aim."""
        if not self.aim:
            return None
        found = _AIM.match(self.aim)
        if found is None:
            raise ValueError(f"{self.name}: {self.aim!r} is no aim; write >=, <= or =, and a number")
        measured, wanted = self.value if self.ratio is None else self.ratio, float(found[2])
        return {">=": measured >= wanted, "<=": measured <= wanted, "=": measured == wanted}[found[1]]


def write_figures(name: str, figures: Iterable[Figure], folder: Path = FOLDER) -> Path:
    """Writes the figures of one command, over those of an earlier run; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(figure) | {"holds": figure.holds} for figure in figures]
    path = folder / f"{name}.json"
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def read_figures(folder: Path = FOLDER) -> dict[str, list[Figure]]:
    """All figures that are there, by the name of their file."""
    found: dict[str, list[Figure]] = {}
    for path in sorted(folder.glob("*.json")):
        rows = orjson.loads(path.read_bytes())
        found[path.stem] = [Figure(**{key: value for key, value in row.items() if key != "holds"}) for row in rows]
    return found


def render_tables(figures: dict[str, list[Figure]], pages: Sequence[Path] = PAGES) -> list[Path]:
    """Renders the tables between `<!-- figures:NAME -->` and `<!-- /figures -->`; returns the pages that changed.

    A table of figures that are not there stays as it is.
    """
    changed = []
    for page in pages:
        if not page.is_file():
            continue
        before = page.read_text()
        after = re.sub(
            r"(<!-- figures:([a-z_]+) -->\n).*?(<!-- /figures -->)",
            lambda found: found[1] + _table(figures[found[2]]) + found[3] if found[2] in figures else found[0],
            before,
            flags=re.S,
        )
        if after != before:
            page.write_text(after)
            changed.append(page)
    return changed


def _table(figures: Iterable[Figure]) -> str:
    lines = ["", "| What | Figure | Against | Ratio | Aim | Holds |", "|---|---:|---|---:|---|---|"]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        holds = {None: "", True: "yes", False: "**no**"}[figure.holds]
        name = figure.name.replace("_", " ")
        shown = f"{number(figure.value)} {figure.unit}".strip()
        lines.append(f"| {name} | {shown} | {figure.against} | {ratio} | {figure.aim} | {holds} |")
    return "\n".join([*lines, "", ""])


def number(value: float) -> str:
    """A figure as people read it: whole numbers with separators, others with three digits that count."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
