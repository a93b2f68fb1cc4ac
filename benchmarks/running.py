"""Running a group of benchmarks from the command line: measures, prints a table, writes the group's figures."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import QUICK, Effort
from channelsync.lab.figures import Figure, number, read_figures, write_figures

WIDTH = 160
"""Characters that a line of the table takes at least: where less are seen, the terminal folds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Benchmarks whose figures stand in one file, build/figures/NAME.json.

    program: how it is called. benchmarks: by name; the names of a benchmark's figures begin with it. missing: why one
    cannot be measured here; empty where it can.
    """

    name: str
    program: str
    description: str
    benchmarks: Mapping[str, Callable[[Effort], AsyncIterator[Figure]]]
    missing: Callable[[Sequence[str]], str] = lambda names: ""

    def main(self, arguments: Sequence[str]) -> int:
        """Runs what the arguments ask for; returns the exit code.

        With names, only these are measured, and their figures take the place of the former ones. 1 when a figure is
        not what it should be; never for a quick look, whose figures mean little and are not written.
        """
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        parser = argparse.ArgumentParser(prog=self.program, description=self.description)
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(self.benchmarks)}; none: all")
        parser.add_argument("--quick", action="store_true", help="see whether all of it runs, in a minute")
        told = parser.parse_args(arguments)
        unknown = set(told.names) - self.benchmarks.keys()
        if unknown:
            parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(self.benchmarks)}")
        names = told.names or list(self.benchmarks)
        if missing := self.missing(names):
            parser.error(missing)
        measured = asyncio.run(self.measure(names, QUICK if told.quick else Effort()))
        Console(width=max(WIDTH, Console().width)).print(table(measured))
        if told.quick:
            return 0
        others = [one for one in read_figures().get(self.name, []) if _benchmark(one) in self.benchmarks.keys() - names]
        order = list(self.benchmarks)
        write_figures(self.name, sorted([*others, *measured], key=lambda figure: order.index(_benchmark(figure))))
        return int(any(figure.holds is False for figure in measured))

    async def measure(self, names: Sequence[str], effort: Effort) -> list[Figure]:
        """The figures of these benchmarks, one after another; each is told on standard error when it is there."""
        progress = Console(stderr=True)
        measured = []
        for name in names:
            async for figure in self.benchmarks[name](effort):
                progress.print(f"{figure.name}: {number(figure.value)} {figure.unit}", highlight=False)
                measured.append(figure)
        return measured


def _benchmark(figure: Figure) -> str:
    return figure.name.partition("_")[0]


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
