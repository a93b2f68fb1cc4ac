"""`channelsync channels ...`, and the two that matter in a hurry: `channelsync stop` and `channelsync start`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.channels_check import check
from channelsync.runtime.cli.channels_connect import connect
from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output, with_cause
from channelsync.runtime.cli.stock_shared import say_run
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.wiring import open_reading, open_run, setup_in_use
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.store import channels
from channelsync.sync.channels_shown import ChannelOnView, view_channels
from channelsync.sync.measures import measure
from channelsync.sync.switches import change_channel
from channelsync.sync.unstated import LeftAlone, left_alone

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A channel, by its name in the configuration.")]
Only = Annotated[
    list[str] | None, typer.Option("--channel", metavar="NAME", help="Only this channel; may be given again.")
]

ModeSaid = Literal["live", "observe", "off", "configured"]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("stop")(stop)
    app.command("start")(start)
    group = typer.Typer(help="See, connect, check and switch channels.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_channels)
    group.command("show")(show)
    group.command("connect")(connect)
    group.command("check")(check)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("zero")(zero)
    group.command("unzero")(unzero)
    group.command("mode")(mode)
    app.add_typer(group, name="channels")


# Switches


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """What a command did to channels. same: those that were so already."""

    run: str
    changed: list[str]
    same: list[str]


def stop(
    context: typer.Context,
    all_writes: Annotated[
        bool, typer.Option("--all-writes", help="Lowerings too: sold units may then be sold again elsewhere.")
    ] = False,
    channel: Only = None,
    as_json: AsJson = False,
) -> None:
    """Raise no quantity any more; lowerings go on, so that stopping never oversells.

    Holds at once for a running daemon, and survives a restart. `channelsync start` takes it back.
    """
    said = "nothing is written any more" if all_writes else "nothing is raised any more, lowerings go on"
    done = _switch(invocation(context), "stop", channel, {"stop": "all" if all_writes else "raises"})
    _tell(Output(as_json=as_json), done, f"{{}}: {said}.", "{}: writing was stopped already.")


def start(context: typer.Context, channel: Only = None, as_json: AsJson = False) -> None:
    """Write quantities again, after `channelsync stop` or `channelsync channels pause`."""
    started, output = invocation(context), Output(as_json=as_json)
    done = _switch(started, "start", channel, {"stop": ""})
    _tell(output, done, "{}: quantities are written again.", "{}: writing was not stopped.")
    paused = [one.name for one in started.load().config.channels if one.paused and one.name in _named(done)]
    if paused:
        output.say(f"{', '.join(paused)}: nothing is raised still, for the configuration says paused = true.")


def pause(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Raise no quantity on one channel; lowerings go on. The same as `channelsync stop --channel NAME`."""
    done = _switch(invocation(context), "channels pause", [name], {"stop": "raises"})
    _tell(Output(as_json=as_json), done, "{}: nothing is raised any more, lowerings go on.", "{}: paused already.")


def resume(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Take `channels pause` back. The same as `channelsync start --channel NAME`."""
    start(context, [name], as_json)


def zero(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Holiday: show 0 for everything on one channel, whatever is available. Its orders are taken in as ever."""
    done = _switch(invocation(context), "channels zero", [name], {"zeroed": True})
    _tell(Output(as_json=as_json), done, "{}: shows 0 for everything from now on.", "{}: on holiday already.")


def unzero(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """End the holiday: show what is available again."""
    done = _switch(invocation(context), "channels unzero", [name], {"zeroed": False})
    _tell(Output(as_json=as_json), done, "{}: shows what is available again.", "{}: was not on holiday.")


def mode(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Channels, by their names in the configuration.")
    ] = None,
    *,
    mode: Annotated[ModeSaid, typer.Argument(help="configured: whatever the configuration says.")],
    every: Annotated[bool, typer.Option("--all", help="All channels of the configuration.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cut over channel by channel: live, observe or off; it overrides the configuration.

    live: quantities are written. observe: orders are booked and pushes predicted, nothing is written. off: the
    channel is not called. A running daemon follows within seconds. A channel that goes live is read first: its first
    numbers are taken as they are, for another tool has written them.

    A channel is live unless the configuration or this command says otherwise. To cut over: `channelsync channels mode
    --all observe`, start `channelsync run`, then `channelsync channels mode NAME live` for one channel at a time.
    """
    if bool(names) == every:
        raise CommandFailed("Name channels, or say --all: one of the two.", ExitCode.USAGE)
    started, output = invocation(context), Output(as_json=as_json)
    done = _switch(started, "channels mode", names, {"mode": "" if mode == "configured" else mode})
    said = "{}: used as configured from now on." if mode == "configured" else f"{{}}: {mode} from now on."
    _tell(output, done, said, f"{{}}: {mode} already.")
    unwritten, left = awaited(_follows(started.load(), _named(done)))
    if unwritten:
        output.say(
            f"warning: nothing is written to {', '.join(unwritten)}: the daemon that runs was started with --observe. "
            "End it and start `channelsync run`; then every channel that is live is written to."
        )
    if mode != "off":
        for one in left:
            output.say(f"{one.channel}: {one}")


async def _follows(loaded: Loaded, chosen: Sequence[str]) -> tuple[list[str], list[LeftAlone]]:
    """Of these channels those that are live while the daemon only observes, and what of them is left alone."""

    def work(connection: Connection) -> tuple[list[str], list[LeftAlone]]:
        now = SystemClock().now()
        setup = setup_in_use(connection, loaded, installed(), now)
        left = left_alone(connection, setup, measure(connection, setup, now), chosen)
        return [one.name for one in view_channels(connection, setup) if one.mode_by and one.name in chosen], left

    async with open_reading(loaded) as database:
        return await database.query(work)


def _switch(started: Invocation, command: str, names: Sequence[str] | None, switches: Mapping[str, object]) -> Switched:
    """Switches these channels, None: all."""
    loaded = started.load()
    chosen = known_channels(loaded, names)

    async def work() -> Switched:
        async with open_run(loaded, command, arguments={"channels": chosen, **switches}) as run:
            now = run.clock.now()
            changed = await run.database.transact(lambda c: _change(c, chosen, switches, run.run, now))
            return Switched(run=run.run, changed=changed, same=[one for one in chosen if one not in changed])

    return awaited(work())


def _change(
    connection: Connection, chosen: Sequence[str], switches: Mapping[str, object], run: str, now: datetime
) -> list[str]:
    """Switches them; returns those that were otherwise before."""
    stopped = [name for name, state in channels.channel_states(connection).items() if state.stop == "all"]
    changed = []
    for name in chosen:
        loosens = switches.get("stop") == "raises" and name in stopped  # what is called stop begins no writing
        if not loosens and change_channel(connection, name, switches, run=run, now=now):
            changed.append(name)
    return changed


def _named(done: Switched) -> list[str]:
    return [*done.changed, *done.same]


def _tell(output: Output, done: Switched, changed: str, same: str) -> None:
    if output.as_json:
        output.document(done)
        return
    for text, names in ((changed, done.changed), (same, done.same)):
        if names:
            output.say(text.format(", ".join(names)))
    if done.changed:
        say_run(output, done.run)


def known_channels(loaded: Loaded, names: Sequence[str] | None) -> list[str]:
    """These channels, or all of the configuration. Raises CommandFailed for a name that is none of them."""
    known = [one.name for one in loaded.config.channels]
    for name in names or ():
        if name not in known:
            raise CommandFailed(f"there is no channel {name!r} in {loaded.path}: {suggestion(name, known)}")
    return list(dict.fromkeys(names)) if names else known


# Looking


def list_channels(context: typer.Context, as_json: AsJson = False) -> None:
    """Every channel with its mode, its switches and how far its orders were read."""
    loaded = invocation(context).load()
    columns = ("name", "connector", "mode", "stopped", "on_holiday", "covered_to", "numbers", "waiting", "questions")
    found = awaited(_views(loaded))
    shown = found if as_json else [replace(one, mode=with_cause(one.mode, one.mode_by)) for one in found]
    Output(as_json=as_json).rows(shown, columns, title="Channels")


def show(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One channel: whose account it is, its switches, how far its orders were read, what waits."""
    loaded = invocation(context).load()
    known_channels(loaded, [name])
    (found,) = [one for one in awaited(_views(loaded)) if one.name == name]
    Output(as_json=as_json).document(found, title=f"Channel {name}")


async def _views(loaded: Loaded) -> list[ChannelOnView]:
    async with open_reading(loaded) as database:
        now = SystemClock().now()
        return await database.query(lambda c: view_channels(c, setup_in_use(c, loaded, installed(), now)))
