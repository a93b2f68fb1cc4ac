"""`channelsync channels check`: what is right and wrong with the channels' accounts, and mending it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import structlog
import typer
from pydantic import SecretStr

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import ChannelConfig
from channelsync.runtime.wiring import open_agent, opened_channel, receiver_of
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.redaction import redact_text
from channelsync.store import channels
from channelsync.sync.agent import Agent
from channelsync.sync.check_channels import check_channel
from channelsync.sync.switches import mode_now

log = structlog.get_logger(__name__)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
COLUMNS = ("channel", "what", "found", "advice")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointOnView:
    """One thing that was looked at. fine: nothing need be done. advice: what to do; empty when fine."""

    channel: str
    what: str
    found: str
    advice: str
    fine: bool


def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Channels; else all that are not off.")
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Register, switch on and clear up webhooks; mark orders that may have been missed to be read anew.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Test credentials, permissions, locations, webhooks, clock and rate budget, and say what to do.

    One channel that is down harms no other: its row says so. Where the credentials are good again after the seller
    had to act, a running daemon uses the channel again within seconds.

    With --repair, orders placed since the day before orders were last read completely (thirty days at most) and all
    that hold units still are read anew by id, with the next polls of the daemon or of `channelsync reconcile`. The
    place up to which orders were read is not moved. Ends with 1 when something is to be done.
    """
    from channelsync.runtime.cli.channels_commands import known_channels

    loaded = invocation(context).load()
    chosen = known_channels(loaded, names)
    rows = awaited(_checked(loaded, chosen, named=bool(names), repair=repair))
    print_points(rows, as_json=as_json)


def print_points(rows: Sequence[PointOnView], *, as_json: bool) -> None:
    """Prints what was found; ends the command with 1 when something is to be done."""
    output = Output(as_json=as_json)
    output.rows(rows, COLUMNS, title="Channels")
    wrong = [one for one in rows if not one.fine]
    if wrong:
        output.say(f"To be done: {len(wrong)}.")
        raise typer.Exit(ExitCode.FOUND_WRONG)


async def _checked(loaded: Loaded, names: Sequence[str], *, named: bool, repair: bool) -> list[PointOnView]:
    catalogue = installed()
    command = "channels check --repair" if repair else "channels check"
    async with open_agent(loaded, command, channels=(), catalogue=catalogue) as agent:
        states = await agent.database.query(channels.channel_states)
        found = []
        for one in loaded.config.channels:
            if one.name not in names:
                continue
            off = mode_now(agent.setup.channels[one.name], states.get(one.name)) == "off"
            found.append(_is_off() if off and not named else _points(agent, loaded, one, catalogue, repair=repair))
        wanted = [one.name for one in loaded.config.channels if one.name in names]
        each = await asyncio.gather(*found)
    return [row for name, points in zip(wanted, each, strict=True) for row in on_view(loaded, name, points)]


def on_view(loaded: Loaded, channel: str, points: Iterable[CheckPoint]) -> list[PointOnView]:
    """The points of a channel, to be printed; what a channel said may hold a secret, and is redacted."""
    secrets = tuple(SecretStr(one) for one in loaded.secrets)
    return [
        PointOnView(
            channel=channel,
            what=redact_text(one.what, secrets),
            found=redact_text(one.found, secrets),
            advice=redact_text(one.advice, secrets),
            fine=one.fine,
        )
        for one in points
    ]


async def _is_off() -> list[CheckPoint]:
    return [CheckPoint("mode", "off: not called; name the channel to check it")]


async def _points(
    agent: Agent, loaded: Loaded, config: ChannelConfig, catalogue: Catalogue, *, repair: bool
) -> list[CheckPoint]:
    """All points of one channel. Never raises for anything that the channel or its connector does."""
    budgets = catalogue.connector(config.connector).budgets(config.settings)
    address = receiver_of(loaded.config, config.name)
    try:
        async with opened_channel(agent, loaded, config, catalogue) as channel:
            return await check_channel(agent, channel, budgets, address, register=repair, read_anew=repair)
    except NeedsSeller as error:
        return [CheckPoint("credentials", "the channel cannot be opened", error.what_to_do)]
    except Exception as error:  # one connector that fails must not keep the other channels from being told
        log.debug("channel.check_failed", channel=config.name, exc_info=error)
        found = f"the connector failed in a way that is not known ({type(error).__name__}: {error})"
        return [CheckPoint("connector", found, "Run the command again with --debug and report it.")]
