"""`channelsync stock list|show|history|export`: positions looked at."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, cast

import orjson
import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import AsJson, Sku
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_reading
from channelsync.sdk.clock import SystemClock
from channelsync.store.positions_view import (
    EntryOnView,
    PositionOnView,
    PositionsWanted,
    find_positions,
    history_of,
)
from channelsync.sync.items import item_named
from channelsync.sync.stock_count import CountBasis
from channelsync.sync.stock_export import Exported, exported
from channelsync.sync.stock_shown import ItemOnView, view_item

Somewhere = Annotated[str, typer.Option("--location", metavar="NAME", help="Only at this location.")]

_COLUMNS = ("sku", "title", "location", "on_hand", "reserved", "withheld", "available", "oversold")


def register_views(group: typer.Typer) -> None:
    """Adds the commands to `channelsync stock`."""
    group.command("list")(list_positions)
    group.command("show")(show)
    group.command("history")(history)
    group.command("export")(export)


def list_positions(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    skus: Annotated[list[str] | None, typer.Argument(metavar="[SKU]...", help="Only these; default all.")] = None,
    location: Somewhere = "",
    search: Annotated[str, typer.Option("--search", help="A part of the SKU or of the title.")] = "",
    oversold: Annotated[bool, typer.Option("--oversold", help="Only where more is promised than is there.")] = False,
    below: Annotated[int | None, typer.Option("--below", metavar="UNITS", help="Only with less available.")] = None,
    withheld: Annotated[bool, typer.Option("--withheld", help="Only where units are set aside.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also places that never had a unit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Positions: on hand, reserved, withheld, and what is available. Negative available is shown as oversold."""
    loaded = invocation(context).load()
    _known_location(loaded, location)
    limit = 0 if oversold else below

    def work(connection: Connection) -> list[PositionOnView]:
        chosen = [item_named(connection, sku).id for sku in skus] if skus else None
        wanted = PositionsWanted(
            items=chosen,
            search=search,
            location=location,
            below=limit,
            only_withheld=withheld,
            everything=everything,
        )
        return list(find_positions(connection, wanted))

    async def read() -> list[PositionOnView]:
        async with open_reading(loaded) as database:
            return await database.query(work, snapshot=True)

    Output(as_json=as_json).rows(awaited(read()), _COLUMNS, title="Positions")


def show(context: typer.Context, sku: Sku, as_json: AsJson = False) -> None:
    """One item whole: where its units are, what holds them, and what is on its way."""
    loaded = invocation(context).load()

    async def read() -> ItemOnView:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: view_item(c, sku), snapshot=True)

    found = awaited(read())
    output = Output(as_json=as_json)
    if as_json:
        output.document(found)
        return
    lists = ("positions", "reservations", "incoming")
    output.document({one.name: getattr(found, one.name) for one in fields(found) if one.name not in lists})
    output.rows(found.positions, _COLUMNS[2:], title="Positions")
    output.rows(found.reservations, title="Reservations")
    output.rows(found.incoming, title="Incoming")


def history(
    context: typer.Context,
    sku: Sku,
    location: Somewhere = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Only what was written from then on.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The latest so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """The ledger entries of an item, the latest first: what changed, why, by whom and in which run."""
    loaded = invocation(context).load()
    _known_location(loaded, location)
    from_then = moment(since, loaded.config.seller.time_zone)

    def work(connection: Connection) -> Sequence[EntryOnView]:
        item = item_named(connection, sku)
        return history_of(connection, item.id, location=location, since=from_then, limit=limit)

    async def read() -> Sequence[EntryOnView]:
        async with open_reading(loaded) as database:
            return await database.query(work, snapshot=True)

    columns = ("at", "location", "kind", "on_hand", "reserved", "withheld", "reason", "actor", "order", "run")
    Output(as_json=as_json).rows(awaited(read()), columns, title=f"Ledger of {sku}")


def export(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; default the standard output.")
    ] = None,
    basis: Annotated[
        str, typer.Option("--basis", metavar="physical|available", help="What the numbers mean.")
    ] = "physical",
    location: Somewhere = "",
    as_form: Annotated[str, typer.Option("--format", metavar="csv|jsonl", help="How it is written.")] = "csv",
) -> None:
    """Write positions as a file that `stock import` reads: sku, location, units, as of when, and up to when orders
    are in it. Never overwrites.

    Items of which nobody has said how many units there are have no number, and are left out. So are numbers below 0,
    which nobody can count: each is named, and the command ends with 1.
    """
    kind = cast("CountBasis", _one_of("--basis", basis, ("physical", "available")))
    form = _one_of("--format", as_form, ("csv", "jsonl"))
    loaded = invocation(context).load()
    _known_location(loaded, location)
    if path is not None and path.exists():
        raise CommandFailed(f"{path} is there already; name another file, or take it away")

    async def read() -> list[Exported]:
        async with open_reading(loaded) as database:
            modes = {one.name: one.mode for one in loaded.config.channels}
            wanted, now = PositionsWanted(location=location), SystemClock().now()
            return await database.query(lambda c: exported(c, modes, wanted, kind, now), snapshot=True)

    found = awaited(read())
    rows = [
        asdict(one) | {name: getattr(one, name).isoformat() for name in ("as_of", "orders_counted_up_to")}
        for one in found
        if one.countable
    ]
    text = _as_csv(rows) if form == "csv" else _as_json_lines(rows)
    output = Output()
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8", newline="")
        output.say(f"Wrote {len(rows)} positions to {path}.")
    _end_left_out(output, [one for one in found if not one.countable], kind)


def _end_left_out(output: Output, left_out: Sequence[Exported], kind: CountBasis) -> None:
    """Names what the file does not say, and ends with 1; returns where there is nothing."""
    what = "on hand" if kind == "physical" else "not promised"
    for one in left_out:
        output.say(
            f"warning: {one.sku} at {one.location} is left out of the file: {one.units} units are {what} by the "
            "ledger, and `stock import` takes no number below 0. Count it with `channelsync stock count`, or receive "
            "units."
        )
    if left_out:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _as_csv(rows: Sequence[dict[str, object]]) -> str:
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, [field.name for field in fields(Exported)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _as_json_lines(rows: Iterable[dict[str, object]]) -> str:
    return "".join(f"{orjson.dumps(row).decode()}\n" for row in rows)


def _known_location(loaded: Loaded, location: str) -> None:
    names = [one.name for one in loaded.config.locations]
    if location and location not in names:
        raise CommandFailed(f"There is no location {location!r}; there is {', '.join(names)}.", ExitCode.USAGE)


def _one_of(option: str, said: str, known: tuple[str, ...]) -> str:
    if said not in known:
        raise CommandFailed(f"{option} can be {' or '.join(known)}, not {said!r}", ExitCode.USAGE)
    return said
