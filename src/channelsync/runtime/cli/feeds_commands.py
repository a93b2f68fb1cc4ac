"""`channelsync feeds list|run` and `hooks list|test|replay|secret`: files that come in, messages that go out."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import user_of
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.feeds import look_at
from channelsync.runtime.vault_owners import owner_of, with_secrets
from channelsync.runtime.wiring import open_agent, open_reading, open_run
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.outbound import Posted
from channelsync.store import feed_files, outgoing
from channelsync.store.feed_files import REFUSED
from channelsync.sync.feeds import Looked
from channelsync.sync.outgoing import replay as replay_hook
from channelsync.sync.outgoing import send_test
from channelsync.sync.outgoing_plan import verdict_of

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Feed = Annotated[str, typer.Argument(metavar="NAME", help="A [[feed]] of the configuration.")]
Hook = Annotated[str, typer.Argument(metavar="NAME", help="A [[hook]] of the configuration.")]

Configured = TypeVar("Configured", FeedConfig, HookConfig)

_SECRET_BYTES = 32


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    feeds = typer.Typer(help="Look at files of other systems.", no_args_is_help=True, rich_markup_mode=None)
    feeds.command("list")(list_feeds)
    feeds.command("run")(run_feed)
    app.add_typer(feeds, name="feeds")
    hooks = typer.Typer(help="Look at what other systems are told.", no_args_is_help=True, rich_markup_mode=None)
    hooks.command("list")(list_hooks)
    hooks.command("test")(try_hook)
    hooks.command("replay")(replay)
    hooks.command("secret")(secret)
    app.add_typer(hooks, name="hooks")


def list_feeds(context: typer.Context, as_json: AsJson = False) -> None:
    """Name the feeds, each with the file that came last, and what became of it."""
    loaded = invocation(context).load()

    async def listed() -> list[dict[str, Any]]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: [_feed_row(c, one) for one in loaded.config.feeds])

    columns = ("name", "kind", "what", "last_file", "outcome", "at", "run", "last_good_at")
    Output(as_json=as_json).rows(awaited(listed()), columns, title="Feeds")


def _feed_row(connection: Connection, feed: FeedConfig) -> dict[str, Any]:
    last = feed_files.latest_file(connection, feed.name)
    return {
        "name": feed.name,
        "kind": feed.kind,
        "what": feed.what if feed.basis is None else f"{feed.what}, {feed.basis}",
        "last_file": last.name if last else None,
        "outcome": last.outcome if last else None,
        "at": last.at if last else None,
        "run": last.run if last else None,
        "last_good_at": feed_files.last_good_at(connection, feed.name),
    }


def run_feed(context: typer.Context, name: Feed, as_json: AsJson = False) -> None:
    """Take the files that are whole now, as the daemon does. With complete = "stable" a file is taken by the daemon
    only, which sees it twice.

    Ends with 1 when a file was refused.
    """
    started = invocation(context)
    loaded = started.load()
    feed = _configured(loaded.config.feeds, name, "feed")
    if feed.kind == "http":
        raise CommandFailed(f"{name} takes files over HTTP only: send them to POST /feeds/{name}", ExitCode.USAGE)

    async def looked() -> Looked:
        async with open_agent(loaded, "feeds run", actor=user_of(started), channels=()) as agent:
            return await look_at(agent, loaded, feed)

    done = awaited(looked())
    output = Output(as_json=as_json)
    if as_json:
        output.document({"feed": name, "taken": [one.report for one in done.taken], "not_whole": done.waiting})
    for one in done.taken:
        said = one.report.get("message") or f"{one.rows} rows, {one.report.get('refused', 0)} left out (run {one.run})"
        (output.fail if one.outcome == REFUSED else output.say)(f"{one.name}: {one.outcome}: {said}")
    if not done.taken and not as_json:
        output.say(f"No file to take{f'; {done.waiting} are not whole yet' if done.waiting else ''}.")
    if any(one.outcome == REFUSED for one in done.taken):
        raise typer.Exit(ExitCode.FOUND_WRONG)


def list_hooks(context: typer.Context, as_json: AsJson = False) -> None:
    """Name the hooks: how each is doing, and how many messages wait."""
    loaded = invocation(context).load()

    async def listed() -> list[dict[str, Any]]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: [_hook_row(c, one) for one in loaded.config.hooks])

    columns = ("name", "state", "waiting", "delivered_at", "failures", "not_before", "problem", "events")
    Output(as_json=as_json).rows(awaited(listed()), columns, title="Hooks")


def _hook_row(connection: Connection, hook: HookConfig) -> dict[str, Any]:
    stored = outgoing.find_hook(connection, hook.name)
    state = "new" if stored is None else "stopped" if stored.stopped else "failing" if stored.failures else "well"
    return {
        "name": hook.name,
        "state": state,
        "waiting": outgoing.count_waiting(connection, hook.name),
        "delivered_at": stored.delivered_at if stored else None,
        "failures": stored.failures if stored else 0,
        "not_before": stored.not_before if stored and stored.failures else None,
        "problem": stored.problem if stored else "",
        "events": ", ".join(hook.events),
    }


def try_hook(context: typer.Context, name: Hook, as_json: AsJson = False) -> None:
    """Send a signed message that says nothing (hook.test), whatever else waits. Ends with 1 when it is not accepted."""
    loaded = invocation(context).load()
    hook = _configured(loaded.config.hooks, name, "hook")

    async def posting() -> Posted:
        setup, clock = hook.setup, SystemClock()
        if owner_of(hook) in loaded.wanted:
            async with open_reading(loaded) as database:
                setup = (await with_secrets(loaded, hook, database, clock)).setup
        return await send_test(setup, f"msg_test_{secrets.token_hex(8)}", clock.now())

    posted = awaited(posting())
    accepted = verdict_of(posted.status) == "delivered"
    output = Output(as_json=as_json)
    if as_json:
        output.document({"hook": name, "accepted": accepted, "status": posted.status, "problem": posted.problem})
    else:
        said = f"HTTP {posted.status}" if posted.status else posted.problem
        (output.say if accepted else output.fail)(f"{name}: {'accepted' if accepted else 'not accepted'}: {said}.")
    if not accepted:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def replay(
    context: typer.Context,
    name: Hook,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Such as 2026-03-01T09:00:00Z; default: what it missed.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Tell a hook again what changed, as it is now, and serve it again where it was stopped. The daemon sends it."""
    started = invocation(context)
    loaded = started.load()
    at = moment(since, loaded.config.seller.time_zone)
    _configured(loaded.config.hooks, name, "hook")
    begin = awaited(_replayed(loaded, user_of(started), name, at))
    output = Output(as_json=as_json)
    if as_json:
        output.document({"hook": name, "since": begin})
    else:
        output.say(f"{name} is told again what changed since {begin:%Y-%m-%d %H:%M:%S} UTC.")


async def _replayed(loaded: Loaded, actor: str, name: str, since: datetime | None) -> datetime:
    async with open_run(loaded, "hooks replay", actor=actor, arguments={"hook": name}) as run:
        now = run.clock.now()
        return await run.database.transact(lambda c: replay_hook(c, name, since, now))


def secret() -> None:
    """Make a secret for a hook and print it: for the receiver, and by a file or a variable for the configuration."""
    sys.stdout.write(f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}\n")


def _configured(known: Sequence[Configured], name: str, noun: str) -> Configured:
    for one in known:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in known) or "none"
    raise CommandFailed(f"there is no {noun} {name!r} in the configuration; there is {names}", ExitCode.USAGE)
