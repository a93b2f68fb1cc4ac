"""`channelsync strategies`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from channelsync.lab.figures import write_figures
from channelsync.runtime import logging
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.lab_commands import AsJson, progress
from channelsync.runtime.cli.output import Output

if TYPE_CHECKING:
    from channelsync.lab.strategies_report import Row


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("strategies")(strategies)


def strategies(
    stories: Annotated[int, typer.Option("--stories", help="Of each strategy, at least 2.")] = 2_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the buyers.")] = 1,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    more: Annotated[
        bool, typer.Option("--more", help="Ours with compare-and-set too, and with an item nobody has sold before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the same buyers come to different strategies of keeping numbers right, and compare what comes of it.

    A story is one SKU with 30 units on three simulated marketplaces, half an order a minute until they are sold, or
    for 240 minutes. The watermark strategies are the agent as `channelsync run` runs it; absolute set, delta and
    fixed buffer count orders as often and write what they have. Oversold units are counted from the marketplaces'
    own logs; means come with their 95 % confidence interval. The figures go to build/figures/strategies.json.

    Ends with 0 when the watermark oversells at most 0.6 of what the absolute set does, with hot reads at most 0.2
    and nothing left unsold, over at least 2,000 stories; else with 1.
    """
    from channelsync.lab.strategies import MORE, STRATEGIES
    from channelsync.lab.strategies_report import Options, compare, failures, figures, rows

    logging.configure("error", "console", frozenset())
    chosen = (*STRATEGIES, *MORE) if more else STRATEGIES
    processes = workers if workers is not None else os.cpu_count() or 1
    try:
        options = Options(stories=stories, seed=seed, workers=processes, strategies=chosen)
    except ValueError as error:
        raise CommandFailed(f"{error}.", ExitCode.USAGE) from error
    with progress() as told:
        compared = compare(options, told)
    found = figures(compared)
    write_figures("strategies", found)
    output = Output(as_json=as_json)
    table = rows(compared)
    if as_json:
        output.rows(asdict(row) for row in table)
    else:
        output.rows(map(_shown, table), title=f"{stories:,} stories, seed {seed}: mean of a story, 95 % interval")
    missed = failures(found)
    if missed:
        raise CommandFailed(" ".join(missed), ExitCode.FOUND_WRONG)


def _shown(row: Row) -> dict[str, str]:
    return {
        "strategy": row.strategy.replace("_", " "),
        "oversold units": str(row.oversold),
        "of absolute set": "" if row.ratio is None else f"{row.ratio:.2f}",
        "units unsold": str(row.unsold),
        "turned away while units were left": str(row.turned_away),
        "key reads": str(row.key_reads),
    }
