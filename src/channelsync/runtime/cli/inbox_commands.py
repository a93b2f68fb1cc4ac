"""`channelsync webhooks` and `channelsync inbox ...`: take webhooks in, and look at what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_values import parse_duration
from channelsync.runtime.garbage import collect_rarely
from channelsync.runtime.wiring import open_reading, open_run
from channelsync.web.addresses import Listen

if TYPE_CHECKING:
    from channelsync.store.inbox import Delivery

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="As `inbox list` shows it.")]
State = Literal["new", "done", "quarantined", "parked"]

_COLUMNS = ("id", "received_at", "channel", "topic", "event", "state", "orders", "keys", "copies", "why")
_REPLAY_MAX = 10_000


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("webhooks")(webhooks)
    group = typer.Typer(help="Look at webhooks that came in.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_inbox)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("prune")(prune)
    app.add_typer(group, name="inbox")


def webhooks(
    context: typer.Context,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="ADDRESS:PORT", help="Listen here and not as [web] says."),
    ] = None,
) -> None:
    """Take webhooks in, and do nothing else: beside the daemon, or on a machine that the outside reaches.

    It verifies deliveries, makes them durable in the database and answers them; the daemon follows them. It runs until
    SIGTERM or SIGINT, finishes what is under way and ends with 0. SIGHUP, or `channelsync config reload`, makes it read
    its configuration anew. A daemon with `listen` set takes webhooks by itself.
    """
    from channelsync.runtime.webhooks_only import run_webhooks

    started = invocation(context)
    if listen is not None:
        try:
            started.overrides["web.listen"] = str(Listen.parse(listen))
        except ValueError as error:
            raise CommandFailed(f"{listen!r} {error}.", ExitCode.USAGE) from error
    loaded = started.load()
    if not loaded.config.web.listen:
        what = "There is no address to listen on: set `listen` below [web], or give --listen 127.0.0.1:8080."
        raise CommandFailed(what, ExitCode.CONFIGURATION)
    collect_rarely()
    awaited(run_webhooks(loaded, reread=started.reread, keeps_level=started.debug))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOnView:
    """A delivery as it is shown. body: whether its sealed body is kept."""

    id: int
    received_at: datetime
    sent_at: datetime
    channel: str
    topic: str
    event: str
    state: str
    orders: tuple[str, ...]
    keys: tuple[str, ...]
    copies: int
    attempts: int
    why: str
    handled_at: datetime | None
    digest: str
    body: bool


def list_inbox(
    context: typer.Context,
    state: Annotated[State | None, typer.Option("--state", help="Only those in this state.")] = None,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only those of this channel.")] = "",
    topic: Annotated[str, typer.Option("--topic", help="Only those of this topic.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Webhooks that came, newest first.

    new: nobody has followed it yet. done: what it names was read. quarantined: the same event came with another body;
    it is kept and not followed. parked: it could not be followed five times.
    """
    from channelsync.store.inbox import list_deliveries

    loaded = invocation(context).load()

    async def work() -> list[Delivery]:
        async with open_reading(loaded) as database:
            return await database.query(
                lambda c: list_deliveries(c, channel=channel, state=state or "", topic=topic, limit=limit)
            )

    Output(as_json=as_json).rows([_viewed(one) for one in awaited(work())], _COLUMNS, title="Inbox")


def show(
    context: typer.Context,
    number: Number,
    body: Annotated[
        bool, typer.Option("--body", help="Print its body as it came, and nothing else. It tells of the buyer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """One webhook with all that is known of it; with --body what the channel sent, where it is kept."""
    loaded = invocation(context).load()
    found, sealed = awaited(_found(loaded, number))
    if found is None:
        raise CommandFailed(f"There is no delivery {number}; `channelsync inbox list` shows them.")
    output = Output(as_json=as_json)
    if not body:
        output.document(_viewed(found), title=f"Delivery {number}")
        return
    _print_body(loaded, found, sealed)


def _print_body(loaded: Loaded, found: Delivery, sealed: bytes | None) -> None:
    from channelsync.sync.inbox import unsealed_body
    from channelsync.sync.vault import Seals

    if sealed is None:
        raise CommandFailed(
            f"The body of delivery {found.id} is not kept: there was no key below [secrets] when it came, or it was "
            "pruned."
        )
    text = unsealed_body(Seals(loaded.config.secrets.keys), found, sealed)
    if text is None:
        raise CommandFailed(f"None of the keys of [secrets] unseals the body of delivery {found.id}.")
    typer.echo(text)


async def _found(loaded: Loaded, number: int) -> tuple[Delivery | None, bytes | None]:
    from channelsync.store import inbox

    async with open_reading(loaded) as database:
        found = await database.query(lambda c: inbox.get_deliveries(c, [number]))
        return (found[0] if found else None), await database.query(lambda c: inbox.sealed_body(c, number))


def replay(
    context: typer.Context,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER...", help="As `inbox list` shows them.")
    ] = None,
    state: Annotated[State | None, typer.Option("--state", help="All that are in this state.")] = None,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only those of this channel.")] = "",
    as_json: AsJson = False,
) -> None:
    """Follow webhooks once more: what they name is read again. It does no harm to one that was followed already."""
    if bool(numbers) == (state is not None):
        raise CommandFailed("Give the numbers of deliveries, or --state.", ExitCode.USAGE)
    loaded = invocation(context).load()
    replayed = awaited(_replayed(loaded, numbers or [], state or "", channel))
    missing = sorted(set(numbers or []) - {one.id for one in replayed})
    output = Output(as_json=as_json)
    output.rows([_viewed(one) for one in replayed], _COLUMNS, title="To be followed")
    if missing:
        raise CommandFailed(f"There is no delivery {', '.join(map(str, missing))}.")


async def _replayed(loaded: Loaded, numbers: Sequence[int], state: str, channel: str) -> list[Delivery]:
    from channelsync.store import inbox
    from channelsync.sync.inbox import ARRIVED
    from channelsync.sync.inbox import replay as put_back

    given = {"deliveries": list(numbers), "state": state, "channel": channel}
    async with open_run(loaded, "inbox replay", arguments=given) as run:
        ids = list(numbers)
        if state:
            chosen = await run.database.query(
                lambda c: inbox.list_deliveries(c, channel=channel, state=state, limit=_REPLAY_MAX)
            )
            ids = [one.id for one in chosen]
        now = run.clock.now()
        replayed = await run.database.transact(lambda c: put_back(c, ids, now))
        await run.database.notify(ARRIVED)
        return replayed


def prune(
    context: typer.Context,
    bodies: Annotated[
        str | None, typer.Option("--bodies", metavar="AGE", help="E.g. 7d. Default: keep_bodies below [web].")
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="AGE", help="E.g. 30d. Default: keep_deliveries below [web].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Drop bodies and rows that are older than this. The daemon does it every day by itself."""
    loaded = invocation(context).load()
    web = loaded.config.web
    dropped = awaited(_pruned(loaded, _age(bodies, web.keep_bodies), _age(rows, web.keep_deliveries)))
    Output(as_json=as_json).document({"bodies": dropped[0], "deliveries": dropped[1]}, title="Dropped")


async def _pruned(loaded: Loaded, bodies: timedelta, rows: timedelta) -> tuple[int, int]:
    from channelsync.sync.inbox import prune_inbox

    given = {"bodies": str(bodies), "rows": str(rows)}
    async with open_run(loaded, "inbox prune", arguments=given) as run:
        return await prune_inbox(run.database, run.clock, bodies, rows)


def _age(text: str | None, default: timedelta) -> timedelta:
    if text is None:
        return default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandFailed(f"{text!r} {error}.", ExitCode.USAGE) from error


def _viewed(one: Delivery) -> DeliveryOnView:
    return DeliveryOnView(
        id=one.id,
        received_at=one.received_at,
        sent_at=one.sent_at,
        channel=one.channel,
        topic=one.topic,
        event=one.event,
        state=one.state,
        orders=one.orders,
        keys=tuple(f"{key} at {location}" if location else key for key, location in one.keys),
        copies=one.copies,
        attempts=one.attempts,
        why=one.why,
        handled_at=one.handled_at,
        digest=one.digest,
        body=one.has_body,
    )
