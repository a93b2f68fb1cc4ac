"""`channelsync channels ...`, and the two that matter in a hurry: `channelsync stop` and `channelsync start`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.channels_check import check
from channelsync.runtime.cli.channels_connect import connect
from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.wiring import open_reading, open_run, setup_of
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


def stop(
    context: typer.Context,
    all_writes: Annotated[
        bool, typer.Option("--all-writes", help="Lowerings too: sold units may then be sold again elsewhere.")
    ] = False,
    channel: Only = None,
) -> None:
    """Raise no quantity any more; lowerings go on, so that stopping never oversells.

    Holds at once for a running daemon, and survives a restart. `channelsync start` takes it back.
    """
    said = "nothing is written any more" if all_writes else "nothing is raised any more, lowerings go on"
    changed = _switch(invocation(context), "stop", channel, {"stop": "all" if all_writes else "raises"})
    _tell(changed, f"{{}}: {said}.", "{}: writing was stopped already.")


def start(context: typer.Context, channel: Only = None) -> None:
    """Write quantities again, after `channelsync stop` or `channelsync channels pause`."""
    started = invocation(context)
    changed = _switch(started, "start", channel, {"stop": ""})
    _tell(changed, "{}: quantities are written again.", "{}: writing was not stopped.")
    paused = [one.name for one in started.load().config.channels if one.paused and one.name in changed]
    if paused:
        Output().say(f"{', '.join(paused)}: nothing is raised still, for the configuration says paused = true.")


def pause(context: typer.Context, name: Name) -> None:
    """Raise no quantity on one channel; lowerings go on. The same as `channelsync stop --channel NAME`."""
    changed = _switch(invocation(context), "channels pause", [name], {"stop": "raises"})
    _tell(changed, "{}: nothing is raised any more, lowerings go on.", "{}: paused already.")


def resume(context: typer.Context, name: Name) -> None:
    """Take `channels pause` back. The same as `channelsync start --channel NAME`."""
    start(context, [name])


def zero(context: typer.Context, name: Name) -> None:
    """Holiday: show 0 for everything on one channel, whatever is available. Its orders are taken in as ever."""
    changed = _switch(invocation(context), "channels zero", [name], {"zeroed": True})
    _tell(changed, "{}: shows 0 for everything from now on.", "{}: on holiday already.")


def unzero(context: typer.Context, name: Name) -> None:
    """End the holiday: show what is available again."""
    changed = _switch(invocation(context), "channels unzero", [name], {"zeroed": False})
    _tell(changed, "{}: shows what is available again.", "{}: was not on holiday.")


def mode(
    context: typer.Context,
    name: Name,
    mode: Annotated[ModeSaid, typer.Argument(help="configured: whatever the configuration says.")],
) -> None:
    """Cut over channel by channel: live, observe or off; it overrides the configuration.

    live: quantities are written. observe: orders are booked and pushes predicted, nothing is written. off: the
    channel is not called. A running daemon follows within seconds. A channel that goes live is read first: its first
    numbers are taken as they are, for another tool has written them.
    """
    changed = _switch(invocation(context), "channels mode", [name], {"mode": "" if mode == "configured" else mode})
    said = "{}: used as configured from now on." if mode == "configured" else f"{{}}: {mode} from now on."
    _tell(changed, said, f"{{}}: {mode} already.")
    if mode != "off":
        for one in awaited(_left_alone(invocation(context).load(), name)):
            Output().say(f"{one.channel}: {one}")


async def _left_alone(loaded: Loaded, channel: str) -> list[LeftAlone]:
    def work(connection: Connection) -> list[LeftAlone]:
        setup = setup_of(connection, loaded, installed())
        return left_alone(connection, setup, measure(connection, setup, SystemClock().now()), [channel])

    async with open_reading(loaded) as database:
        return await database.query(work)


def _switch(
    started: Invocation, command: str, names: Sequence[str] | None, switches: Mapping[str, object]
) -> dict[str, bool]:
    """Switches these channels, None: all; returns for each whether anything changed."""
    loaded = started.load()
    chosen = known_channels(loaded, names)

    async def work() -> dict[str, bool]:
        async with open_run(loaded, command, arguments={"channels": chosen, **switches}) as run:
            now = run.clock.now()
            return await run.database.transact(lambda c: _change(c, chosen, switches, run.run, now))

    return awaited(work())


def _change(
    connection: Connection, chosen: Sequence[str], switches: Mapping[str, object], run: str, now: datetime
) -> dict[str, bool]:
    stopped = [name for name, state in channels.channel_states(connection).items() if state.stop == "all"]
    changed = {}
    for name in chosen:
        loosens = switches.get("stop") == "raises" and name in stopped  # what is called stop begins no writing
        changed[name] = not loosens and change_channel(connection, name, switches, run=run, now=now)
    return changed


def _tell(changed: Mapping[str, bool], done: str, already: str) -> None:
    for text, wanted in ((done, True), (already, False)):
        names = [name for name, was in changed.items() if was is wanted]
        if names:
            Output().say(text.format(", ".join(names)))


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
    Output(as_json=as_json).rows(awaited(_views(loaded)), columns, title="Channels")


def show(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One channel: whose account it is, its switches, how far its orders were read, what waits."""
    loaded = invocation(context).load()
    known_channels(loaded, [name])
    (found,) = [one for one in awaited(_views(loaded)) if one.name == name]
    Output(as_json=as_json).document(found, title=f"Channel {name}")


async def _views(loaded: Loaded) -> list[ChannelOnView]:
    async with open_reading(loaded) as database:
        return await database.query(lambda c: view_channels(c, setup_of(c, loaded, installed())))
