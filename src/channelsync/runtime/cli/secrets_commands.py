"""`channelsync secrets ...`: the vault's keys, and what is kept there. No command shows a secret."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import SecretStr

from channelsync.runtime.cli.asking import asked_or_read
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.vault_owners import owner_of, with_these
from channelsync.runtime.wiring import open_reading, open_run, safe_of
from channelsync.store.vault import forget_sealed
from channelsync.sync.vault import NO_KEY, Seals, SecretOnView, list_secrets, new_key, reseal

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="Look after the vault, where secrets of channels are kept.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("key")(key)
    group.command("list")(list_kept)
    group.command("put")(put)
    group.command("forget")(forget)
    group.command("reseal")(reseal_all)
    app.add_typer(group, name="secrets")


def key() -> None:
    """Print a fresh key for [secrets] keys: channelsync secrets key > channelsync.key."""
    sys.stdout.write(f"{new_key()}\n")


def list_kept(context: typer.Context, as_json: AsJson = False) -> None:
    """Name the secrets that are kept, never their values, and which key sealed each."""
    rows = awaited(_listed(invocation(context).load()))
    Output(as_json=as_json).rows(rows, ("channel", "name", "saved_at", "sealed_with"), title="Secrets")


async def _listed(loaded: Loaded) -> list[SecretOnView]:
    seals = Seals(loaded.config.secrets.keys)
    async with open_reading(loaded) as database:
        return await database.query(lambda c: list_secrets(c, seals))


def put(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(metavar="OWNER", help='Such as "hook wms" or "feed erp", in quotes.')],
    name: Annotated[str, typer.Argument(metavar="NAME", help='As the configuration has it: { stored = "NAME" }.')],
) -> None:
    """Keep a secret of a hook or a feed, in the place of what has its name. It is asked for at the terminal; without
    one it is read from standard input. A running daemon knows it a few seconds later.

    Secrets of channels are kept by `channels connect`, which tries them.
    """
    loaded = invocation(context).load()
    owners: list[HookConfig | FeedConfig] = [*loaded.config.hooks, *loaded.config.feeds]
    known = {owner_of(one): one for one in owners}
    wanted = [(one, kept) for one, places in loaded.wanted.items() for kept in dict.fromkeys(places.values())]
    if (owner, name) not in wanted:
        told = ", ".join(f'"{one}" {kept}' for one, kept in wanted) or "none"
        raise CommandFailed(
            f"no hook or feed {owner!r} takes a secret {name!r} from the vault; the configuration names: {told}",
            ExitCode.USAGE,
        )
    if not loaded.config.secrets.keys:
        raise CommandFailed(NO_KEY, ExitCode.CONFIGURATION)
    secret = asked_or_read(f"{owner}: {name}")
    loaded.secrets.add(owner, name, secret.get_secret_value())
    with_these(loaded, known[owner], {name: secret})
    awaited(_kept(loaded, owner, name, secret))
    Output().say(f"{owner}: {name} is kept.")


async def _kept(loaded: Loaded, owner: str, name: str, secret: SecretStr) -> None:
    async with open_run(loaded, "secrets put", arguments={"owner": owner, "name": name}) as run:
        await safe_of(loaded, run.database, run.clock).vault(owner).put(name, secret)


def forget(
    context: typer.Context,
    channel: Annotated[
        str,
        typer.Argument(
            metavar="OWNER", help='A channel, "hook NAME" or "feed NAME", also one that is not configured any more.'
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `secrets list` names it.")],
) -> None:
    """Forget a secret. A channel, hook or feed whose settings take it from the vault cannot be opened any more."""
    loaded = invocation(context).load()
    if not awaited(_forgotten(loaded, channel, name)):
        raise CommandFailed(
            f"{channel} keeps no secret {name!r}; `channelsync secrets list` names those that it keeps."
        )
    Output().say(f"{channel}: {name} is forgotten. End it at the channel too, should somebody else have it.")


async def _forgotten(loaded: Loaded, channel: str, name: str) -> bool:
    async with open_run(loaded, "secrets forget", arguments={"channel": channel, "name": name}) as run:
        return await run.database.transact(lambda c: forget_sealed(c, channel, name))


def reseal_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Seal every secret with the first key of [secrets] keys, so that the older keys can be taken away.

    Ends with 1 where a secret is left that no key unseals.
    """
    loaded = invocation(context).load()
    if not loaded.config.secrets.keys:
        raise CommandFailed(NO_KEY, ExitCode.CONFIGURATION)
    changed, left = awaited(_resealed(loaded))
    output = Output(as_json=as_json)
    if as_json:
        output.document({"resealed": changed, "left": [{"channel": one, "name": name} for one, name in left]})
    else:
        output.say(f"Sealed anew: {changed}.")
    for one, name in left:
        output.say(f"{one}: no key unseals {name}; connect the channel anew, or put back the key that sealed it.")
    if left:
        raise typer.Exit(ExitCode.FOUND_WRONG)


async def _resealed(loaded: Loaded) -> tuple[int, list[tuple[str, str]]]:
    seals = Seals(loaded.config.secrets.keys)
    async with open_run(loaded, "secrets reseal") as run:
        return await run.database.transact(lambda c: reseal(c, seals))
