"""`channelsync channels connect NAME`: the steps at the channel, its secrets, its webhooks, and a check."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import typer
from pydantic import SecretStr
from sqlalchemy import Connection

from channelsync.runtime.cli import asking
from channelsync.runtime.cli.channels_check import PointOnView, on_view, print_points
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import ChannelConfig
from channelsync.runtime.wiring import (
    filled_settings,
    open_agent,
    open_reading,
    opened_channel,
    receiver_of,
    safe_of,
)
from channelsync.sdk.channel import Connector
from channelsync.sdk.connecting import Consent
from channelsync.sdk.discovery import Catalogue, installed
from channelsync.sdk.errors import ChannelError, NeedsSeller
from channelsync.sdk.resources import unused
from channelsync.store import vault as sealed_rows
from channelsync.sync.agent import Agent
from channelsync.sync.check_channels import check_channel
from channelsync.sync.open_channels import account_connected
from channelsync.sync.vault import NO_KEY, TriedVault, forget_lost

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is connected. names: the secrets that the vault keeps for it; kept: those of them that are there already."""

    loaded: Loaded
    config: ChannelConfig
    connector: Connector
    catalogue: Catalogue
    names: Sequence[str]
    kept: frozenset[str]

    @property
    def name(self) -> str:
        """The channel's."""
        return self.config.name


def connect(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A channel, by its name in the configuration.")],
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="NAME=@FILE",
            help="Do not ask for this one: read it from a file, or with NAME=- from standard input.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a channel's account: what to do there, its secrets, its webhooks, and a check.

    The secrets are those that [channel.settings] takes from the vault: token = { stored = "token" }. They are asked
    for without echo, tried out, and sealed in the database. Secrets of another account than before are refused.
    Secrets that the channel refuses never replace those that are there. A running daemon uses the new ones within
    seconds. Give the command again to replace them.
    """
    from channelsync.runtime.cli.channels_commands import known_channels

    loaded = invocation(context).load()
    known_channels(loaded, [name])
    (config,) = (one for one in loaded.config.channels if one.name == name)
    catalogue = installed()
    connector = catalogue.connector(config.connector)
    stored = loaded.stored.get(name)
    names = stored.names if stored is not None else ()
    if (names or connector.guide.consent) and not loaded.config.secrets.keys:
        raise CommandFailed(NO_KEY, ExitCode.CONFIGURATION)
    kept = awaited(_kept(loaded, name))
    work = _Work(loaded=loaded, config=config, connector=connector, catalogue=catalogue, names=names, kept=kept)
    _tell_steps(work)
    given = asking.secrets_given(secret or (), names)
    given |= asking.asked_for({one: one in kept for one in _to_ask(work) if one not in given})
    print_points(awaited(_connected(work, given)), as_json=as_json)


async def _kept(loaded: Loaded, name: str) -> frozenset[str]:
    """The names of the secrets that are there already."""
    async with open_reading(loaded) as database:
        rows = await database.query(sealed_rows.sealed_secrets)
    return frozenset(one.name for one in rows if one.channel == name)


def _tell_steps(work: _Work) -> None:
    """The connector's guide, numbered."""
    output = Output()
    receiver = receiver_of(work.loaded.config, work.name)
    shown = receiver or "(no address yet: set public_url below [web] in the configuration)"
    output.say(f"{work.name}: an account of {work.connector.title}.")
    for number, step in enumerate(work.connector.guide.steps, start=1):
        output.say(f"  {number}. {step.replace('{receiver}', shown)}")
    if not work.names and work.connector.guide.consent is None:
        output.say(
            "Its settings take no secret from the vault, so none is asked for. To keep one there, write for example "
            'token = { stored = "token" } below [channel.settings].'
        )


def _to_ask(work: _Work) -> list[str]:
    """The secrets that are asked for; those that the consent brings are not."""
    consent, stored = work.connector.guide.consent, work.loaded.stored.get(work.name)
    if consent is None or stored is None:
        return list(work.names)
    brought = {name for place, name in stored.wanted.items() if _is_of(place, consent.gives)}
    return [name for name in work.names if name not in brought]


def _is_of(place: Sequence[str | int], names: Sequence[str]) -> bool:
    return str(place[0]) in names or ".".join(map(str, place)) in names


async def _connected(work: _Work, given: Mapping[str, SecretStr]) -> list[PointOnView]:
    """Tries the secrets out, keeps them, registers webhooks and checks. Raises CommandFailed where nothing was kept."""
    async with open_agent(work.loaded, "channels connect", channels=(), catalogue=work.catalogue) as agent:
        for name, secret in given.items():
            work.loaded.secrets.add(work.name, name, secret.get_secret_value())
        safe = safe_of(work.loaded, agent.database, agent.clock)
        tried = TriedVault(safe.vault(work.name), given)
        if work.connector.guide.consent is not None:
            await _agreed(agent, work, work.connector.guide.consent, tried)
        await _try_out(agent, work, tried)
        sealed = safe.sealed(work.name, tried.held)
        now = agent.clock.now()

        def keep(connection: Connection) -> list[str]:
            sealed_rows.keep_sealed(connection, work.name, sealed, now)
            account_connected(connection, work.name, now)
            return forget_lost(connection, safe.seals, work.name)

        lost = await agent.database.transact(keep)
        if sealed:
            Output().say(f"Kept, sealed: {', '.join(sorted(sealed))}.")
        if lost:
            Output().say(f"Forgotten, for no key unseals them: {', '.join(lost)}.")
        budgets = work.connector.budgets(work.config.settings)
        address = receiver_of(work.loaded.config, work.name)
        async with opened_channel(agent, work.loaded, work.config, work.catalogue) as channel:
            points = await check_channel(agent, channel, budgets, address, register=True)
        return on_view(work.loaded, work.name, points)


async def _agreed(agent: Agent, work: _Work, consent: Consent, tried: TriedVault) -> None:
    """The seller agrees in a browser, and what comes back is put among the secrets that are tried out."""
    if not asking.can_ask():
        raise CommandFailed(
            f"{work.name} is connected in a browser, and there is no terminal to paste the address at: run the command "
            "by hand.",
            ExitCode.USAGE,
        )
    settings = await filled_settings(work.loaded, work.config, tried, partly=True)
    state = secrets.token_urlsafe(32)
    output = Output()
    output.say("Open this address, agree, and copy the address that your browser is sent to afterwards:")
    output.say(f"  {consent.address(settings, state)}")
    pasted = asking.asked_text("The address afterwards")
    query = dict(parse_qsl(urlsplit(pasted).query))
    for name, text in query.items():
        if "code" in name.lower() or "token" in name.lower():
            work.loaded.secrets.add(work.name, f"consent {name}", text)
    if not secrets.compare_digest(query.get("state", state).encode(), state.encode()):
        raise CommandFailed("That address belongs to another attempt. Nothing was kept; begin again.")
    budgets = work.connector.budgets(settings)
    resources = unused(work.name, budgets, agent.clock, seed=state, vault=tried)
    try:
        found = await consent.redeem(settings, resources, pasted, state)
    except ChannelError as error:
        raise CommandFailed(f"{error} Nothing was kept.", ExitCode.UNREACHABLE) from None
    stored = work.loaded.stored.get(work.name)
    names = {".".join(map(str, place)): name for place, name in stored.wanted.items()} if stored else {}
    for setting, secret in found.items():
        name = names.get(setting, setting)
        work.loaded.secrets.add(work.name, name, secret.get_secret_value())
        tried.held[name] = secret


async def _try_out(agent: Agent, work: _Work, tried: TriedVault) -> None:
    """Asks whose account it is. Raises CommandFailed where the secrets must not be kept.

    These are secrets of another account than before, and secrets that are refused where others are there already. A
    channel that cannot be asked now keeps nobody from keeping them.
    """
    try:
        async with opened_channel(agent, work.loaded, work.config, work.catalogue, vault=tried) as channel:
            channel.breaker.reset()
            before = channel.identity
            identity = await channel.channel.check()
    except NeedsSeller as error:
        if work.kept & tried.held.keys():
            said = f"{error.what_to_do} Nothing was kept; what was there before is there still."
            raise CommandFailed(said, ExitCode.UNREACHABLE) from None
    except ChannelError as error:
        Output().say(f"The account could not be asked for now: {error}")
    else:
        if before and before != identity.name:
            raise CommandFailed(
                f"These secrets are of {identity.name}, and {work.name} was {before} until now: its listings, numbers "
                "and orders are of that account. Nothing was kept. For another account, configure another channel."
            )
