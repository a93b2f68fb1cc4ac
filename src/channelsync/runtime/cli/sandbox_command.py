"""`channelsync sandbox`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from channelsync.lab.sandbox_options import NAMES, SandboxOptions
from channelsync.runtime import logging
from channelsync.runtime.cli.context import awaited
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.signals import on_signals

if TYPE_CHECKING:
    from channelsync.lab.sandbox import Sandbox

_STARTS = SandboxOptions()


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("sandbox")(sandbox)


def sandbox(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of the marketplaces. Default: {' '.join(NAMES)}.")] = None,
    port: Annotated[int, typer.Option("--port", help="Of the first; the others follow.")] = _STARTS.port,
    items: Annotated[int, typer.Option("--items", help="How many are sold.")] = _STARTS.items,
    units: Annotated[int, typer.Option("--units", help="Of each item.")] = _STARTS.units,
    orders: Annotated[
        float, typer.Option("--orders", help="A minute, over all of them; 0: no buyers.")
    ] = _STARTS.orders,
    seed: Annotated[int, typer.Option("--seed", help="Of the buyers.")] = _STARTS.seed,
    config: Annotated[
        bool, typer.Option("--config-only", help="Print the channels for a config.toml, and end.")
    ] = False,
) -> None:
    """Run simulated marketplaces to try channelsync on: HTTP servers on this machine, with buyers, in real time.

    Prints the [[channel]] tables for them, to be added to a config.toml, and then every sale, until it is
    interrupted; then what was sold and oversold, by their own logs. They keep nothing: started again they begin anew,
    so begin with a new database too. Each shows the same units of the same SKUs at first.
    """
    from channelsync.lab.sandbox import Sandbox

    logging.configure("error", "console", frozenset())
    try:
        options = SandboxOptions(
            names=tuple(names or NAMES), port=port, items=items, units=units, orders=orders, seed=seed
        )
        opened = Sandbox(options)
    except ValueError as error:
        raise CommandFailed(f"{error}.", ExitCode.USAGE) from error
    typer.echo(toml_of(opened))
    if not config:
        awaited(_run(opened))


async def _run(opened: Sandbox) -> None:
    stopped = asyncio.Event()
    serving = asyncio.create_task(opened.run(typer.echo))
    with on_signals({signal.SIGTERM: stopped.set, signal.SIGINT: stopped.set}):
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                _ended(serving, opened.options)
        finally:
            for task in (serving, waiting):
                task.cancel()
            await asyncio.wait([serving, waiting])
    sold, over = opened.referee.sold.total(), opened.referee.oversold_units
    typer.echo(f"Sold {sold} units, {over} of them oversold.")


def _ended(serving: asyncio.Task[None], options: SandboxOptions) -> None:
    """Raises CommandFailed where a port is taken, and whatever else ended it."""
    try:
        serving.result()
    except OSError as error:
        where = ", ".join(options.addresses.values())
        reason = error.strerror or str(error)
        raise CommandFailed(
            f"Cannot listen on {where}: {reason}. Choose others with --port.", ExitCode.USAGE
        ) from error


def toml_of(opened: Sandbox) -> str:
    """The [[channel]] tables of a config.toml for these marketplaces."""
    return "\n".join(_table(name, settings) for name, settings in opened.settings().items())


def _table(name: str, settings: Mapping[str, object]) -> str:
    lines = ["[[channel]]", f'name = "{name}"', 'connector = "sandbox"', "", "  [channel.settings]"]
    lines += [f"  {key} = {orjson.dumps(value).decode()}" for key, value in settings.items()]
    return "\n".join([*lines, ""])
