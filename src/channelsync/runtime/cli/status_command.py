"""`channelsync status`: how everything stands, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.output import Output, with_cause
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_reading, setup_in_use
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sync.status import ChannelStatus, ProcessStatus, Status, status

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_MEGABYTE = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(show)


def show(
    context: typer.Context,
    as_json: AsJson = False,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="SECONDS", min=1.0, help="Print it again and again.")
    ] = None,
) -> None:
    """How everything stands: the daemons and receivers, each channel, what is oversold, what waits for you.

    Mode is how a channel is used now: "observe (run --observe)" is a live one to which nothing is written, for the
    running daemon was started with --observe. Lag is how long ago a channel's orders were read completely last. Due are
    numbers that the publisher is to look at; drift are those that show something else than they should, which no sale
    and no write since the last read explains. Budgets are what the running daemon said last. It only reads, and ends
    with 1 when no daemon runs.
    """
    loaded = invocation(context).load()
    found = awaited(_printed(loaded, Output(as_json=as_json), watch))
    if not found.alive:
        raise typer.Exit(ExitCode.FOUND_WRONG)


async def _printed(loaded: Loaded, output: Output, watch: float | None) -> Status:
    """Prints the status once, or again and again until it is interrupted."""
    clock = SystemClock()
    async with open_reading(loaded) as database:
        while True:
            now = clock.now()
            found = await database.query(lambda c: status(c, setup_in_use(c, loaded, installed(), now), now))  # noqa: B023
            _print(output, found)
            if watch is None:
                return found
            await clock.sleep(watch)


def _print(output: Output, found: Status) -> None:
    if output.as_json:
        output.document({**{name: getattr(found, name) for name in Status.__slots__}, "alive": found.alive})
        return
    output.rows([_process(one, found.at) for one in found.processes], title="Processes")
    output.rows([_channel(one, found.at) for one in found.channels], title="Channels")
    for title, told in (
        ("Waiting", {one.channel: _waits(one) for one in found.channels}),
        ("Budgets", {one.channel: _budget(one) for one in found.channels}),
        ("Trouble", {one.channel: one.trouble for one in found.channels}),
    ):
        rows = [{"channel": name, title.lower(): text} for name, text in told.items() if text]
        if rows:
            output.rows(rows, title=title)
    output.document(_rest(found), title=f"At {found.at:%Y-%m-%d %H:%M:%S} UTC")
    if not found.alive:
        output.say("No daemon runs: start `channelsync run`.")


def _process(one: ProcessStatus, now: datetime) -> Mapping[str, object]:
    state = "alive" if one.alive else f"silent for {_age(timedelta(seconds=one.silent_seconds))}"
    return {
        "command": one.command,
        "host": f"{one.host} {one.pid}",
        "version": one.version,
        "up": _age(now - one.since),
        "state": state if not one.late else f"{state}; late: {', '.join(one.late)}",
        "memory": "" if one.memory is None else f"{one.memory / _MEGABYTE:.0f} MB",
    }


def _channel(one: ChannelStatus, now: datetime) -> Mapping[str, object]:
    mode = with_cause(one.mode, one.mode_by)
    return {
        "channel": one.channel,
        "mode": mode if not one.stopped else f"{mode}, no {one.stopped}",
        "lag": "never read" if one.orders_lag_seconds is None else _age(timedelta(seconds=one.orders_lag_seconds)),
        "numbers": one.numbers,
        "due": one.due,
        "drift": one.drift,
        "pushed": one.pushed_today,
    }


def _waits(one: ChannelStatus) -> str:
    """What of a channel waits for something, and how much of it."""
    facts = {
        "units held without an order": one.provisional,
        "webhooks to be followed": one.inbox,
        "webhooks that could not be followed": one.parked,
        "plans to be approved": one.plans_held,
        "numbers left as they are until somebody says how many units there are": one.unstated,
    }
    return ", ".join(f"{name} {many}" for name, many in facts.items() if many)


def _budget(one: ChannelStatus) -> str:
    return ", ".join(f"{name} {left:g}" for name, left in one.budget.items())


def _rest(found: Status) -> Mapping[str, object]:
    return {
        "oversold": f"{found.oversold_units} units at {found.oversold_positions} positions",
        "plans that wait for approval": found.plans_held,
        "open findings": ", ".join(f"{kind} {many}" for kind, many in found.findings.items()) or "none",
        "messages to be sent": found.outgoing,
        "failing tasks": ", ".join(found.failing_tasks) or "none",
    }


def _age(span: timedelta) -> str:
    """A span in its largest two units: 3d 4h, 5m 10s."""
    seconds = max(0, int(span.total_seconds()))
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    told = [f"{number}{unit}" for number, unit in parts if number]
    return " ".join(told[:2]) or "0s"
