"""`channelsync config reload`: asks every running daemon and receiver to read its configuration anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import OpenRun, open_run
from channelsync.store import daemons
from channelsync.store.daemons import ServingProcess
from channelsync.sync.status import ALIVE_WITHIN

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_LOOK_EVERY = 0.5
_COLUMNS = ("command", "host", "pid", "outcome", "changed", "waiting", "held", "problems")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOnView:
    """What one process answered. command: run or webhooks. outcome: reloaded, unchanged, refused, or "no answer".
    waiting: needs a restart. held: what it moved too much of, and waits for approval.
    """

    command: str
    host: str
    pid: int
    outcome: str
    changed: tuple[str, ...]
    waiting: tuple[str, ...]
    held: tuple[str, ...]
    problems: tuple[str, ...]


def reload(
    context: typer.Context,
    within: Annotated[
        float, typer.Option("--within", metavar="SECONDS", min=1.0, help="How long to wait for the answers.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Let every running daemon and receiver read its configuration anew, without a restart; the same as SIGHUP.

    A configuration that is wrong is refused as a whole, and the one in use holds on. What changes without a restart:
    rules, classes, bundles, channels, the schedule, limits and the log level. What needs one is named: the database,
    the server's addresses, the vault's keys. Each process reads its own file; the wish goes through the database, so
    this works from another container too. Ends with 1 when one refused or did not answer.
    """
    loaded = invocation(context).load()
    rows = awaited(_asked(loaded, within))
    if not rows:
        raise CommandFailed("no daemon runs on this database: the next one that starts reads the file anyway.")
    Output(as_json=as_json).rows(rows, _COLUMNS, title="Reload")
    if any(one.outcome not in ("reloaded", "unchanged") for one in rows):
        raise typer.Exit(ExitCode.FOUND_WRONG)


async def _asked(loaded: Loaded, within: float) -> list[ReloadOnView]:
    async with open_run(loaded, "config reload") as run:
        now = run.clock.now()
        asked = await run.database.transact(lambda c: daemons.ask_to_reload(c, run.run, now, ALIVE_WITHIN))
        until = run.clock.monotonic() + within
        found = await _those(run, asked)
        while run.clock.monotonic() < until and any(one.reload_done != run.run for one in found):
            await run.clock.sleep(_LOOK_EVERY)
            found = await _those(run, asked)
        return [_row(one, run.run) for one in found]


async def _those(run: OpenRun, asked: Sequence[str]) -> list[ServingProcess]:
    """The processes that were asked; one that has ended meanwhile has no row any more."""
    now = run.clock.now()
    return [one for one in await run.database.query(lambda c: daemons.serving(c, now)) if one.run in asked]


def _row(one: ServingProcess, wish: str) -> ReloadOnView:
    said = one.reload_said if one.reload_done == wish else {"outcome": "no answer"}
    return ReloadOnView(
        command=one.command,
        host=one.host,
        pid=one.pid,
        outcome=str(said["outcome"]),
        changed=tuple(said.get("changed", ())),
        waiting=tuple(said.get("waiting", ())),
        held=tuple(said.get("held", ())),
        problems=tuple(said.get("problems", ())),
    )
