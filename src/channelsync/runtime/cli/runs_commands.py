"""`channelsync runs list`: what was done here, by whom, and what can be taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.output import Output
from channelsync.runtime.wiring import open_reading
from channelsync.sync.runs_shown import RunRow, view_runs

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="See what was done, and by whom.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_runs)
    app.add_typer(group, name="runs")


def list_runs(
    context: typer.Context,
    command: Annotated[
        str, typer.Option("--command", help='Only of this command: "stock receive", or all that begin with "stock".')
    ] = "",
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="Begun then or later; 2026-03-01T09:00 is in the seller's zone."),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Runs, the newest first: a run is one command, import, change through the API, or session of a daemon.

    undo says what `channelsync undo RUN` would take back, or which run has done so. Orders, reads of channels and what
    the daemon made of them stay, whatever is undone.
    """
    loaded = invocation(context).load()
    output = Output(as_json=as_json)
    wanted = moment(since, loaded.config.seller.time_zone)

    async def work() -> list[RunRow]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: view_runs(c, limit, since=wanted, command=command))

    output.rows(awaited(work()), ("run", "at", "command", "actor", "reason", "undo"), title="Runs")
