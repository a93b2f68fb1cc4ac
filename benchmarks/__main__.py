"""`python -m benchmarks [NAME ...] [--quick]`: measures, prints a table, writes build/figures/bench.json.

With names, only these are measured, and their figures take the place of the former ones. Ends with 1 when a figure
is not what it should be; a quick look never does, for its figures mean little, and it writes none.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.util import find_spec

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks import calls, intake, latency, reconcile_plan
from benchmarks.measuring import QUICK, Effort
from channelsync.lab.figures import Figure, number, read_figures, write_figures

BENCHMARKS: dict[str, Callable[[Effort], AsyncIterator[Figure]]] = {
    "intake": intake.figures,
    "reconcile": reconcile_plan.figures,
    "calls": calls.figures,
    "latency": latency.figures,
}
"""By name; the names of a benchmark's figures begin with it."""

WIDTH = 160
"""Characters that a line of the table takes at least: where less are seen, the terminal folds them."""


def main(arguments: Sequence[str]) -> int:
    """Runs what the arguments ask for; returns the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what is promised of speed.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="see whether all of it runs, in a minute")
    told = parser.parse_args(arguments)
    unknown = set(told.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    names = told.names or list(BENCHMARKS)
    if "intake" in names and find_spec("oscar") is None:
        parser.error("intake is compared with django-oscar, which is not installed: `make bench` installs it")
    measured = asyncio.run(measure(names, QUICK if told.quick else Effort()))
    Console(width=max(WIDTH, Console().width)).print(table(measured))
    if told.quick:
        return 0
    others = [figure for figure in read_figures().get("bench", []) if _benchmark(figure) in BENCHMARKS.keys() - names]
    write_figures("bench", sorted([*others, *measured], key=lambda figure: list(BENCHMARKS).index(_benchmark(figure))))
    return int(any(figure.holds is False for figure in measured))


def _benchmark(figure: Figure) -> str:
    return figure.name.partition("_")[0]


async def measure(names: Sequence[str], effort: Effort) -> list[Figure]:
    """The figures of these benchmarks, one after another; each is told on standard error when it is there."""
    progress = Console(stderr=True)
    measured = []
    for name in names:
        async for figure in BENCHMARKS[name](effort):
            progress.print(f"{figure.name}: {number(figure.value)} {figure.unit}", highlight=False)
            measured.append(figure)
    return measured


def table(figures: Sequence[Figure]) -> Table:
    """Figures as people read them."""
    shown = Table(title="Benchmarks")
    for column in ("figure", "value", "against", "ratio", "aim", "holds"):
        shown.add_column(column, justify="right" if column in ("value", "ratio") else "left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        holds = {None: "", True: "yes", False: "[red]no[/red]"}[figure.holds]
        value = f"{number(figure.value)} {figure.unit}"
        shown.add_row(figure.name, value, figure.against, ratio, figure.aim, holds)
    return shown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
