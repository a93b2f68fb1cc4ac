"""`channelsync tokens create|list|revoke`: who may use the JSON API."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import user_of
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_values import format_duration, parse_duration
from channelsync.runtime.wiring import open_reading, open_run
from channelsync.sdk.clock import SystemClock
from channelsync.sync.tokens import Scope, TokenOnView, create_token, revoke_token, view_tokens

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who uses it; runs and the ledger name it as token:NAME.")]

_COLUMNS = ("name", "scope", "state", "created_at", "expires_at", "last_used_at")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Say who may use the JSON API.", no_args_is_help=True, rich_markup_mode=None)
    group.command("create")(create)
    group.command("list")(list_all)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens")


def create(
    context: typer.Context,
    name: Name,
    scope: Annotated[
        Scope,
        typer.Option(
            "--scope",
            help="read: look. operate: also orders, reservations, receipts. admin: also undo runs, decide approvals.",
        ),
    ],
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="Valid for so long, such as 90d; default: no end.")
    ] = "",
) -> None:
    """Make a token and print it: this once, for only its hash is kept. A name is used once and never again."""
    valid_for = _duration(expires)
    started = invocation(context)
    loaded, actor = started.load(), user_of(started)
    token = awaited(_create(loaded, actor, name, scope, valid_for))
    sys.stdout.write(f"{token}\n")
    until = f"for {format_duration(valid_for)}" if valid_for else "until it is revoked"
    Output().say(f"Token {name} may {scope}, {until}. It is shown this once: keep it where only its user can read it.")


async def _create(loaded: Loaded, actor: str, name: str, scope: Scope, valid_for: timedelta | None) -> str:
    said = {"name": name, "scope": scope, "expires": format_duration(valid_for) if valid_for else ""}
    async with open_run(loaded, "tokens create", actor=actor, arguments=said) as run:
        now = run.clock.now()
        return await run.database.transact(lambda c: create_token(c, name, scope, now, valid_for))


def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Name the tokens, with what each may do and when it was used last; the tokens themselves are not kept."""
    Output(as_json=as_json).rows(awaited(_listed(invocation(context).load())), _COLUMNS, title="Tokens")


async def _listed(loaded: Loaded) -> list[TokenOnView]:
    now = SystemClock().now()
    async with open_reading(loaded) as database:
        return await database.query(lambda c: view_tokens(c, now))


def revoke(context: typer.Context, name: Name) -> None:
    """Take a token back: its next request is refused. What was done with it stays, and so does its name."""
    started = invocation(context)
    done = awaited(_revoke(started.load(), user_of(started), name))
    Output().say(f"Token {name} is revoked." if done else f"Token {name} was revoked already.")


async def _revoke(loaded: Loaded, actor: str, name: str) -> bool:
    async with open_run(loaded, "tokens revoke", actor=actor, arguments={"name": name}) as run:
        now = run.clock.now()
        return await run.database.transact(lambda c: revoke_token(c, name, now))


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandFailed(f"--expires {error}", ExitCode.USAGE) from error
