"""`channelsync demo` and `channelsync figures`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from channelsync.lab.baskets import DEFAULT_DAY, BasketsMissing, NoBaskets
from channelsync.lab.figures import number, read_figures, render_tables, write_figures
from channelsync.runtime import logging
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output

if TYPE_CHECKING:
    from channelsync.lab.demo import Told

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

COMPUTED_BY = {
    "demo": ("-c", "from channelsync.runtime.cli import main; raise SystemExit(main(['demo']))"),
    "simulation": ("-c", "from channelsync.runtime.cli import main; raise SystemExit(main(['simulate']))"),
    "soak": (
        "-c",
        "from channelsync.runtime.cli import main; "
        "raise SystemExit(main(['simulate', '--seeds', '10000', '--figures', 'soak']))",
    ),
    "strategies": ("-c", "from channelsync.runtime.cli import main; raise SystemExit(main(['strategies', '--more']))"),
    "bench": ("-m", "benchmarks"),
    "operations": ("-m", "benchmarks.operations"),
    "channels": ("-m", "benchmarks.channels"),
}
"""What computes the figures of a name: arguments for Python."""


class DatabaseKind(StrEnum):
    """Our database in the demo."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("demo")(demo)
    app.command("figures")(figures)


def demo(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help=f"A day of 2017; default {DEFAULT_DAY}.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of buyers' fates, faults and human slips.")] = 1,
    scale: Annotated[float, typer.Option("--scale", help="0.1 is a tenth of the day's baskets.")] = 1.0,
    database: Annotated[DatabaseKind, typer.Option("--database", help="Ours.")] = DatabaseKind.SQLITE,
    as_json: AsJson = False,
) -> None:
    """Replay one trading day against three simulated marketplaces, with faults, beside a plain absolute set.

    The marketplaces run as HTTP servers on loopback and sell by themselves; the agent's loops are those of
    `channelsync run`. The same day with the same buyers is kept by a plain seller too, which writes what is available
    whenever it changed. What is counted comes from the marketplaces' own logs. Needs the extra `demo` (and
    `embedded-pg` for PostgreSQL). The figures go to build/figures/demo.json.

    Ends with 0 when no number drifts, no order is missing, the ledger adds up, no budget was exceeded and not more
    was oversold than plainly; else with 1.
    """
    from channelsync.lab.demo import DemoOptions, run_demo
    from channelsync.lab.demo_report import FOOTNOTE, Report

    logging.configure("error", "console", frozenset())
    options = DemoOptions(day=day.date() if day else DEFAULT_DAY, seed=seed, scale=scale, engine=database.value)
    began = perf_counter()
    try:
        with progress() as told:
            ours, plain = run_demo(options, told)
    except (BasketsMissing, NoBaskets, ValueError) as error:
        raise CommandFailed(str(error), ExitCode.USAGE) from error
    report = Report(options=options, ours=ours, plain=plain, seconds=perf_counter() - began)
    write_figures("demo", report.figures())
    output = Output(as_json=as_json)
    if as_json:
        output.document({figure.name: figure.value for figure in report.figures()})
    else:
        output.rows(report.rows(), ("what", "ours", "plain"), title=f"{options.day}, on {options.engine}")
    output.say(FOOTNOTE)
    failures = report.failures()
    if failures:
        raise CommandFailed(" ".join(failures), ExitCode.FOUND_WRONG)
    output.say(
        "All is as it must be: no number drifts, no order is missing, the ledger adds up, no budget was exceeded, "
        "and no more was oversold than plainly."
    )


@contextmanager
def progress() -> Iterator[Told]:
    """A bar on a terminal, plain lines elsewhere; on standard error, beside the data."""
    console = Console(stderr=True)
    if not console.is_terminal:
        last = -1

        def tell(part: float, what: str) -> None:
            nonlocal last
            if int(part * 10) != last or part >= 1.0:
                last = int(part * 10)
                console.print(f"{part:4.0%}  {what}", highlight=False)

        yield tell
        return
    columns = (TextColumn("{task.percentage:>3.0f} %"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda part, what: bar.update(task, completed=part, description=what)


def figures(
    name: Annotated[str | None, typer.Argument(help=f"Compute these anew: {', '.join(COMPUTED_BY)}.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print all figures that were computed, and render the tables of the documents from them.

    Figures are in build/figures, below the folder this runs in. Ends with 1 when one of them is not what it should
    be.
    """
    if name is not None:
        if name not in COMPUTED_BY:
            raise CommandFailed(f"Nothing computes {name}; there are {', '.join(COMPUTED_BY)}.", ExitCode.USAGE)
        ended = subprocess.run([sys.executable, *COMPUTED_BY[name]], check=False)  # noqa: S603 - our own commands
        if ended.returncode not in (ExitCode.DONE, ExitCode.FOUND_WRONG):
            raise CommandFailed(
                f"What computes {name} ended with {ended.returncode} and computed nothing; its figures are older.",
                ExitCode.FOUND_WRONG,
            )
    found = read_figures()
    rows = [
        {
            "of": source,
            "figure": figure.name,
            "value": figure.value if as_json else number(figure.value),
            "unit": figure.unit,
            "against": figure.against,
            "ratio": None if figure.ratio is None else round(figure.ratio, 3),
            "aim": figure.aim,
            "holds": figure.holds,
        }
        for source, of_source in found.items()
        for figure in of_source
    ]
    output = Output(as_json=as_json)
    output.rows(rows, title="Figures")
    for page in render_tables(found):
        output.say(f"{page} was rendered.")
    if any(row["holds"] is False for row in rows):
        raise typer.Exit(ExitCode.FOUND_WRONG)
