"""Orders that we take ourselves: `channelsync orders import|book|ship|cancel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.arguments import file_bytes, moment, units_by_sku
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import Ran
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import locations_by_priority
from channelsync.runtime.wiring import open_agent
from channelsync.sync.agent import Agent
from channelsync.sync.orders_by_hand import (
    BookByHand,
    LineByHand,
    OrderNow,
    book_by_hand,
    cancel_by_hand,
    ship_by_hand,
)
from channelsync.sync.orders_file import BadRow, FileRefused, OrdersFile, read_orders, refused_rows
from channelsync.sync.orders_import import Imported, RowsRefused, digest_of, import_orders
from channelsync.sync.orders_shown import by_hand_shown, oversold_shown
from channelsync.sync.oversold import short_by

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Key = Annotated[str, typer.Argument(metavar="ORDER", help="Your own id of the order; the same id is the same order.")]
Lines = Annotated[
    list[str], typer.Argument(metavar="SKU=UNITS", help='What is ordered, in base units: MUG=2 "TEA SET"=1.')
]
SoFar = Annotated[
    list[str] | None,
    typer.Argument(metavar="SKU=UNITS", help="So many of it so far, all together; none named: all of the order."),
]
Location = Annotated[str, typer.Option("--location", metavar="NAME", help="Where the units leave from.")]

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


def register_intake(group: typer.Typer) -> None:
    """Adds the commands to `channelsync orders`."""
    group.command("import")(import_file)
    group.command("book")(book)
    group.command("ship")(ship)
    group.command("cancel")(cancel)


def import_file(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON lines of whole orders; - reads the input.")],
    as_form: Annotated[
        str, typer.Option("--format", metavar="csv|jsonl", help="Else by the file's name; the input is CSV.")
    ] = "",
    encoding: Annotated[str, typer.Option("--encoding", help="How the file is written.")] = "utf-8",
    skip_bad_rows: Annotated[
        Path | None,
        typer.Option(
            "--skip-bad-rows", metavar="REFUSED", help="Take the rest in, and write refused rows to this file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take orders in from a till, a phone or a wholesale system. A second import of the same file changes nothing.

    Columns: order, sku, units; may be: line, location, status (pending, open, closed, cancelled), shipped, cancelled,
    placed_at, changed_at. Units are base units, shipped and cancelled are sums so far. JSON lines hold one order each:
    {"order": "1", "status": "open", "lines": [{"sku": "MUG", "units": 2}]}. An order that is there already is changed
    to what the file says. All is taken in or nothing, with every bad row named. An unknown SKU is no fault: the order
    is kept, and books itself once an item has it.
    """
    if as_form not in ("", "csv", "jsonl"):
        raise CommandFailed(f"--format can be csv or jsonl, not {as_form!r}", ExitCode.USAGE)
    loaded = invocation(context).load()
    data = file_bytes(path)
    json_lines = as_form == "jsonl" or (not as_form and path.suffix.lower() in JSON_SUFFIXES)
    locations = locations_by_priority(loaded.config)
    try:
        file = read_orders(data, json_lines=json_lines, locations=locations, encoding=encoding)
    except FileRefused as error:
        raise CommandFailed(f"{path}: {error}. Nothing was taken in") from error
    if skip_bad_rows is not None and skip_bad_rows.exists():
        raise CommandFailed(f"{skip_bad_rows} is there already; name another file for refused rows")
    output = Output(as_json=as_json)
    try:
        done = awaited(_import(loaded, file, path, data, skip_bad_rows))
    except RowsRefused as refused:
        _tell_refused(output, path, refused.bad)
        raise typer.Exit(ExitCode.REFUSED) from refused
    _tell_imported(output, path, done, skip_bad_rows)


async def _import(loaded: Loaded, file: OrdersFile, path: Path, data: bytes, refused: Path | None) -> Imported:
    async with open_agent(loaded, "orders import", actor=f"import:{path.name}", channels=()) as agent:
        now = agent.clock.now()

        def unit(connection: Connection) -> Imported:
            done = import_orders(
                connection,
                agent.setup,
                file,
                name=str(path),
                digest=digest_of(data),
                skip_bad_rows=refused is not None,
                now=now,
                run=agent.run,
            )
            if refused is not None and done.bad:  # before the commit: a refused row is never only in our memory
                refused.write_text(refused_rows(file, done.bad), encoding="utf-8")
            return done

        done = await agent.database.transact(unit)
        agent.wake_publishers()
        return done


def _tell_refused(output: Output, path: Path, bad: Sequence[BadRow]) -> None:
    if output.as_json:
        output.document({"file": path, "taken_in": False, "bad": bad})
    for one in bad:
        output.fail(f"{path} row {one.row}: {one.why}")
    output.fail(
        f"{len(bad)} rows of {path} are bad, so nothing was taken in. Correct them, or say --skip-bad-rows REFUSED."
    )


def _tell_imported(output: Output, path: Path, done: Imported, refused: Path | None) -> None:
    if output.as_json:
        output.document({"file": path, "taken_in": not done.before, **_plain(done), "bad": done.bad})
    elif done.before:
        output.say(f"{path} was taken in already, by run {done.before}; nothing was changed.")
    else:
        output.say(
            f"{path}: {done.new} new orders, {done.changed} changed, {done.same} as they were, {done.stale} older."
        )
    for one in done.bad:
        output.fail(f"{path} row {one.row}: {one.why}")
    if done.bad:
        output.say(f"{len(done.bad)} refused rows are in {refused}.")
    _warn(output, done.waiting, done.oversold)
    if done.waiting or done.oversold or done.bad:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _plain(done: Imported) -> dict[str, object]:
    return {
        "taken_in_before_by": done.before or None,
        "new": done.new,
        "changed": done.changed,
        "same": done.same,
        "older": done.stale,
        "waiting_skus": done.waiting,
        "oversold": oversold_shown(done.oversold),
    }


def book(
    context: typer.Context,
    order: Key,
    lines: Lines,
    location: Location = "",
    placed_at: Annotated[str, typer.Option("--placed-at", metavar="TIME", help="When it was ordered; else now.")] = "",
    change: Annotated[bool, typer.Option("--change", help="These lines replace those of the order.")] = False,
    refuse_short: Annotated[
        bool, typer.Option("--refuse-short", help="Book nothing when units are short, instead of overselling.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Book an order of your own: it reserves its units, and every channel is lowered. The same again changes nothing.

    It is never refused, as a channel's order is not, unless --refuse-short is said. Ends with 1 when it is booked and
    units are short, or a SKU is that of no item yet.
    """
    wanted = BookByHand(
        order=order,
        lines=tuple(LineByHand(sku, units, location or None) for sku, units in units_by_sku(lines).items()),
        placed_at=moment(placed_at),
        change=change,
        refuse_short=refuse_short,
    )
    ran = _by_hand(
        context,
        "orders book",
        lambda c, agent, now: book_by_hand(c, agent.setup, wanted, now=now, run=agent.run),
    )
    output = Output(as_json=as_json)
    _tell(output, ran, "changed" if change else "booked")
    _end_short(output, ran.result)


def ship(
    context: typer.Context, order: Key, lines: SoFar = None, location: Location = "", as_json: AsJson = False
) -> None:
    """Say what of an order of your own was shipped. UNITS are all that were shipped so far, so it may be repeated.

    Ends with 1 as `orders book` does: also where fewer than no units are on hand now at a place that it shipped from.
    """
    units = units_by_sku(lines or ())
    ran = _by_hand(
        context,
        "orders ship",
        lambda c, agent, now: ship_by_hand(
            c, agent.setup, order, units, location=location or None, now=now, run=agent.run
        ),
    )
    output = Output(as_json=as_json)
    _tell(output, ran, "shipped")
    _end_short(output, ran.result)


def cancel(context: typer.Context, order: Key, lines: SoFar = None, as_json: AsJson = False) -> None:
    """Cancel an order of your own, or units of it. UNITS are all that were cancelled so far, so it may be repeated."""
    units = units_by_sku(lines or ())
    ran = _by_hand(
        context,
        "orders cancel",
        lambda c, agent, now: cancel_by_hand(c, agent.setup, order, units, now=now, run=agent.run),
    )
    _tell(Output(as_json=as_json), ran, "cancelled")


def _by_hand(
    context: typer.Context, command: str, unit: Callable[[Connection, Agent, datetime], OrderNow]
) -> Ran[OrderNow]:
    loaded = invocation(context).load()

    async def work() -> Ran[OrderNow]:
        async with open_agent(loaded, command, channels=()) as agent:
            now = agent.clock.now()
            done = await agent.database.transact(lambda c: unit(c, agent, now))
            agent.wake_publishers()
            return Ran(agent.run, done)

    return awaited(work())


def _tell(output: Output, ran: Ran[OrderNow], what: str) -> None:
    """Says how an order of our own stands now. `undo` leaves orders as they are, so no run is said to take it back."""
    done = ran.result
    if output.as_json:
        output.document({"run": ran.run, **asdict(by_hand_shown(done))})
        return
    output.rows(
        done.lines, ("sku", "ordered", "shipped", "cancelled", "open"), title=f"Order {done.order}: {done.status}"
    )
    output.say(f"Order {done.order} was {what}." if done.changed else f"Order {done.order}: nothing was changed.")
    still = {line.sku or line.line: line.open for line in done.lines if line.open}
    if still and what != "booked":
        output.say(f"Still open: {', '.join(f'{units} of {sku}' for sku, units in still.items())}.")
    if done.changed:
        cancel_it = f"; `channelsync orders cancel {done.order}` takes the order back" if what == "booked" else ""
        output.say(f"Run {ran.run}{cancel_it}. `channelsync undo` leaves orders as they are.")


def _end_short(output: Output, done: OrderNow) -> None:
    """Ends with 1 where units are short, or cannot be counted because a SKU is that of no item."""
    waiting = sorted({line.sku or line.line for line in done.lines if line.waits and line.open})
    _warn(output, waiting, done.oversold)
    if waiting or done.oversold:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _warn(output: Output, waiting: Sequence[str], oversold: Sequence[tuple[str, str, int]]) -> None:
    if waiting:
        output.say(
            f"No item has the SKU {', '.join(waiting)}: what is ordered of it is kept, and books itself once there is "
            "one."
        )
    for sku, where, available in oversold:
        output.say(f"{sku} at {where} is oversold: {short_by(-available)}.")
