"""`channelsync run` and `channelsync observe report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.garbage import collect_rarely
from channelsync.sdk.clock import SystemClock

if TYPE_CHECKING:
    from channelsync.sync.observe import ObservedChannel, ObserveReport

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_PUSHES_SHOWN = 30
"""Would-be pushes that a table shows; JSON has them all."""

_HOW = (
    "A push is counted when the number that should be shown, or the one that is, changed and the two differ. An "
    "oversell is counted while nothing was available and the channel showed more than 0 for longer than a tick; its "
    "orders are those placed after that tick. What a channel showed is known from reads only."
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("run")(run)
    observe = typer.Typer(help="See what observing has found.", no_args_is_help=True, rich_markup_mode=None)
    observe.command("report")(report)
    app.add_typer(observe, name="observe")


def run(
    context: typer.Context,
    observe: Annotated[
        bool, typer.Option("--observe", help="Read, book and predict on every channel; write to none.")
    ] = False,
) -> None:
    """Run the daemon: take orders, publish quantities, reconcile, on the schedule of the configuration.

    It runs until SIGTERM or SIGINT, finishes what is under way and ends with 0. SIGHUP, or `channelsync config reload`,
    makes it read its configuration anew. On SQLite one daemon runs on a
    database: a second one refuses to start. On PostgreSQL any number of them share the channels.

    With --observe it works beside your present tool: orders are booked, numbers are read, what would be pushed is
    recorded, and nothing is written to any channel. `channelsync observe report` shows a day of it. Without --observe
    every channel is written to whose mode is live, and that is the mode of all of which nobody says otherwise. To cut
    over channel by channel, give `channelsync channels mode --all observe`, start without --observe, then give
    `channelsync channels mode NAME live` for one at a time.
    """
    from channelsync.runtime.daemon import run_daemon

    started = invocation(context)
    loaded = started.load()
    collect_rarely()
    awaited(run_daemon(loaded, only_observe=observe, reread=started.reread, keeps_level=started.debug))


def report(
    context: typer.Context,
    day: Annotated[
        str | None,
        typer.Option("--day", metavar="YYYY-MM-DD", help="Which day, in the seller's time zone. Default: today."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What observing would have pushed on a day, and which oversells it would have prevented.

    A push is counted when the number that should be shown, or the one that is shown, changed and the two differ;
    changes within one tick are one push. An oversell is counted while an item had nothing available for a channel and
    the channel went on showing more than 0 for longer than a tick; its orders are those that were placed there after
    that tick. What a channel showed is known from reads only, and what was available from when we knew it.
    """
    loaded = invocation(context).load()
    now = SystemClock().now()
    asked = _day(day) if day is not None else now.astimezone(ZoneInfo(loaded.config.seller.time_zone)).date()
    begin, end = bounds(asked, loaded.config.seller.time_zone)
    if begin > now:
        raise CommandFailed(f"{asked} has not begun yet.", ExitCode.USAGE)
    found = awaited(_reported(loaded, asked, begin, min(end, now)))
    output = Output(as_json=as_json)
    if as_json:
        output.document(found)
        return
    if not found.channels:
        output.say(f"Nothing was observed on {asked}. Start `channelsync run --observe`, or set a channel's mode.")
        return
    output.rows(map(_observed, found.channels), title=f"Observed on {asked} ({loaded.config.seller.time_zone})")
    columns: Sequence[str] = ("at", "channel", "sku", "listing", "shown", "should", "why")
    output.rows(found.pushes[:_PUSHES_SHOWN], columns, title="It would have pushed")
    if len(found.pushes) > _PUSHES_SHOWN:
        output.say(f"... and {len(found.pushes) - _PUSHES_SHOWN} more; --json has them all.")
    columns = ("since", "until", "channel", "sku", "listing", "shown", "orders", "units")
    output.rows(found.oversells, columns, title="Oversells that it would have prevented")
    for one in found.channels:
        if one.written:
            output.say(
                f"{one.channel}: of {one.written} of its {one.numbers} numbers it is not known, for we wrote them "
                "ourselves on that day."
            )
    output.say(_HOW)


def _observed(one: ObservedChannel) -> dict[str, object]:
    """A row of the report; blank is what is not known."""
    told: dict[str, object] = {field.name: getattr(one, field.name) for field in fields(one)}
    unknown = one.written == one.numbers
    return {name: None if unknown and name not in _ALWAYS_KNOWN else value for name, value in told.items()}


_ALWAYS_KNOWN = frozenset({"channel", "numbers", "written"})


async def _reported(loaded: Loaded, day: date, begin: datetime, end: datetime) -> ObserveReport:
    from channelsync.runtime.wiring import open_reading, setup_of
    from channelsync.sdk.discovery import installed
    from channelsync.sync.observe import observe_report

    async with open_reading(loaded) as database:
        setup = await database.query(lambda c: setup_of(c, loaded, installed()))
        return await database.query(lambda c: observe_report(c, setup, day, begin, end), snapshot=True)


def bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """When a day of a time zone begins and ends, in UTC."""
    zone = ZoneInfo(time_zone)
    begin, end = (datetime.combine(one, datetime.min.time(), tzinfo=zone) for one in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandFailed(f"{text!r} is no day; write it as 2026-03-31.", ExitCode.USAGE) from error
