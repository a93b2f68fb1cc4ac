"""`channelsync stock import` and `stock adopt`: positions from files, and from what a channel shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.arguments import file_bytes, moment
from channelsync.runtime.cli.channels_commands import known_channels
from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import AsJson, Key, Location, Ran, Reason, lowered_to_0, say_run, user_of
from channelsync.runtime.wiring import open_agent
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.items import item_named
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.stock import By, happened
from channelsync.sync.stock_adopt import Adopted, HowToAdopt
from channelsync.sync.stock_adopt import adopt as adopt_numbers
from channelsync.sync.stock_adopt_plan import MEANING
from channelsync.sync.stock_import import BadRows, How, Imported, import_rows
from channelsync.sync.stock_import_file import FileOfRows, Form, read_file
from channelsync.sync.stock_import_rows import BadRow, Basis, Declared, refused_rows

Choice = TypeVar("Choice", bound=str)

_BASES: tuple[Basis, ...] = ("physical", "available", "delta", "receipt")
BasisSaid = Annotated[
    str,
    typer.Option(
        "--basis",
        metavar="physical|available|delta|receipt",
        help="What the numbers are: units that are there, units that are not promised, changes, or units that came.",
    ),
]
OrdersUpTo = Annotated[
    str,
    typer.Option(
        "--orders-counted-up-to", metavar="TIME", help="Orders up to then are in the numbers; default: --as-of."
    ),
]

_FORMS: tuple[Form, ...] = ("csv", "jsonl", "json")
_UNSURE = ("listings disagree", "shows its cap", "no number")


def register_imports(group: typer.Typer) -> None:
    """Adds the commands to `channelsync stock`."""
    group.command("import")(import_file)
    group.command("adopt")(adopt)


class _OnlyLooked(Exception):
    """What a dry run would have done; raised so that nothing of it is kept."""

    def __init__(self, done: Imported, held: Sequence[HeldPlan]) -> None:
        self.done = done
        self.held = tuple(held)
        super().__init__()


def import_file(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON lines or a JSON list; - reads the input.")],
    basis: BasisSaid,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="TIME", help="The moment the numbers speak of; a row may have its own.")
    ] = "",
    orders_up_to: OrdersUpTo = "",
    location: Annotated[
        str, typer.Option("--location", metavar="NAME", help="Where a row names none; default the only one.")
    ] = "",
    currency: Annotated[str, typer.Option("--currency", metavar="CODE", help="Of costs, where a row names none.")] = "",
    create_items: Annotated[bool, typer.Option("--create-items", help="Unknown SKUs become items.")] = False,
    skip_bad_rows: Annotated[
        Path | None,
        typer.Option("--skip-bad-rows", metavar="REFUSED", help="Import the rest; refused rows go to this file."),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", help="How the file is written, where not UTF-8: windows-1252.")
    ] = "",
    as_form: Annotated[
        str, typer.Option("--format", metavar="csv|jsonl|json", help="Else by how the file begins.")
    ] = "",
    ignore_column: Annotated[
        list[str] | None,
        typer.Option("--ignore-column", metavar="NAME", help="A column to leave out; may be repeated."),
    ] = None,
    expect_rows: Annotated[
        int | None, typer.Option("--expect-rows", min=1, help="Refuse a file of more or fewer rows: it was cut off.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Import positions: all rows or none, every bad one named. A second import of the same file changes nothing.

    Columns: sku, units; may be: location, lot, unit_cost, currency, reference, reason, as_of, orders_counted_up_to.
    Commas, semicolons, tabs and bars part them. Physical and available numbers need a moment (--as-of): what was
    shipped, received or sold after it stays on top. Orders that an available number leaves out are those placed up to
    --orders-counted-up-to; what left or came back by then is in a physical one. Where another system counts, import
    its numbers so, again and again: what it has not heard of yet stays on top. What arrives under the reference of
    units on their way is taken off those.

    A file is known by its content, what is declared of it, and --key; undoing the run lets it be imported again. Ends
    with 8 where it would change too much of a channel, which waits there for `channelsync approvals`; else with 1 when
    rows were skipped.
    """
    started = invocation(context)
    started.load()
    form: Form | None = None if not as_form else _one_of("--format", as_form, _FORMS)
    file = read_file(path.name, file_bytes(path), encoding=encoding, form=form, ignore=ignore_column or ())
    _refuse_at_once(file, skip_bad_rows, expect_rows)
    declared = Declared(
        basis=_one_of("--basis", basis, _BASES),
        as_of=moment(as_of),
        orders_up_to=moment(orders_up_to),
        location=location,
        currency=currency,
    )
    how = How(declared=declared, create_items=create_items, skip_bad_rows=skip_bad_rows is not None)
    output = Output(as_json=as_json)
    try:
        ran = awaited(_import(started, file, how, skip_bad_rows, reason=reason, key=key, dry_run=dry_run))
    except BadRows as refused:
        _tell_bad(output, file, refused.bad)
        raise typer.Exit(ExitCode.REFUSED) from refused
    _tell_imported(output, file, ran, skip_bad_rows, dry_run=dry_run)


def _refuse_at_once(file: FileOfRows, refused: Path | None, expect_rows: int | None) -> None:
    """What needs no look into the database."""
    if refused is not None and refused.exists():
        raise CommandFailed(f"{refused} is there already; name another file for refused rows")
    if expect_rows is not None and len(file.rows) != expect_rows:
        raise CommandFailed(f"{file.name} has {len(file.rows)} rows, {expect_rows} were expected; nothing was imported")


async def _import(
    started: Invocation,
    file: FileOfRows,
    how: How,
    refused: Path | None,
    *,
    reason: str,
    key: str,
    dry_run: bool,
) -> Ran[Imported]:
    async with open_agent(started.load(), "stock import", actor=user_of(started), channels=()) as agent:
        by = By(actor=f"import:{file.name}", run=agent.run, now=agent.clock.now(), reason=reason, key=key)
        for told in (how.declared.as_of, how.declared.orders_up_to):
            happened(told, by)

        def unit(connection: Connection) -> Ran[Imported]:
            touched: set[str] = set()
            done = import_rows(connection, agent.setup, by, file, how, touched)
            relative = how.declared.basis not in {"physical", "available"}
            guarded = Guarded(run=by.run, now=by.now, items=touched, relative=relative)
            held = guard_run(connection, agent.setup, agent.measures, guarded)
            if dry_run:
                raise _OnlyLooked(done, held)
            if refused is not None and done.bad:  # before the commit: a refused row is never only in our memory
                refused.write_text(refused_rows(file, done.bad), encoding="utf-8", newline="")
            return Ran(by.run, done, tuple(held))

        try:
            ran = await agent.database.transact(unit)
        except _OnlyLooked as looked:
            return Ran(agent.run, looked.done, looked.held)
        if ran.result.new_items:
            await book_waiting(agent, (), new_items=True)
        return ran


def _tell_bad(output: Output, file: FileOfRows, bad: Sequence[BadRow]) -> None:
    if output.as_json:
        output.document({"file": file.name, "imported": False, "bad": bad})
    for one in bad:
        output.fail(f"{file.name} row {one.row} (SKU {one.sku or 'blank'}): {one.reason}")
    output.fail(
        f"{len(bad)} of {len(file.rows)} rows of {file.name} cannot be imported, so nothing was. Mend them, or say "
        "--skip-bad-rows REFUSED."
    )


def _tell_imported(
    output: Output, file: FileOfRows, ran: Ran[Imported], refused: Path | None, *, dry_run: bool
) -> None:
    done = ran.result
    if output.as_json:
        output.document(
            {
                "file": file.name,
                "imported": not dry_run and not done.repeated,
                "run": ran.run,
                "done": done,
                "held": ran.held,
            }
        )
    elif done.repeated:
        output.say(f"{file.name} was imported already, by run {done.repeated}; nothing was changed.")
    else:
        would = "would be " if dry_run else ""
        output.say(
            f"{file.name}: {done.rows} rows {would}imported, {done.entries} entries, {done.unchanged} were so already"
            f"{f', {len(done.new_items)} new items' if done.new_items else ''}."
        )
    for sku, location, available in done.oversold:
        what = f"is oversold by {-available}: {lowered_to_0(ran.held)}"
        if dry_run:
            what = f"would be oversold by {-available}"
        output.say(f"warning: {sku} at {location} {what}.")
    if file.no_line_end:
        last = file.rows[-1]
        output.say(
            f"warning: the last line of {file.name} does not end. If the file was cut off, its last row "
            f"({', '.join(last.cells)}) is wrong: compare it with where the file comes from. To be sure that none is "
            "missing behind it, say how many rows the file has (--expect-rows)."
        )
    for one in done.bad:
        output.fail(f"{file.name} row {one.row} (SKU {one.sku or 'blank'}): {one.reason}")
    if not dry_run and not done.repeated:
        say_run(output, ran.run)
    if done.bad:
        output.say(f"{len(done.bad)} refused rows {'would go to' if dry_run else 'are in'} {refused}.")
    end_held(output, ran.held, dry_run=dry_run)
    if done.bad:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def adopt(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", metavar="CHANNEL", help="The channel whose numbers hold.")],
    skus: Annotated[list[str] | None, typer.Argument(metavar="[SKU]...", help="Only these; default all.")] = None,
    location: Location = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table; change no position.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Count items anew that were received or counted already.")
    ] = False,
    lowest: Annotated[
        bool, typer.Option("--lowest", help="Where listings of an item disagree, the lowest number holds.")
    ] = False,
    all_orders: Annotated[
        bool,
        typer.Option(
            "--all-orders",
            help="Another tool kept all channels alike: the number leaves out the open orders of every channel.",
        ),
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Set opening positions from what a channel shows, and from its open orders, which are off its number.

    The listings are read now, and orders taken in. Several listings of one item that disagree, and other channels
    that show something else, are in the table; the first are left alone. Items that were received, counted or moved
    already are left alone too, unless --overwrite is said. With --dry-run orders are not taken in.

    Ends with 1 when a number was not adopted because it is not certain.
    """
    started = invocation(context)
    loaded = started.load()
    known_channels(loaded, [source])

    async def work() -> Ran[Adopted]:
        async with open_agent(loaded, "stock adopt", actor=user_of(started), channels=[source]) as agent:
            by = By(actor=user_of(started), run=agent.run, now=agent.clock.now(), reason=reason)

            def chosen(connection: Connection) -> list[str] | None:
                return [item_named(connection, sku).id for sku in skus] if skus else None

            how = HowToAdopt(
                dry_run=dry_run,
                overwrite=overwrite,
                lowest=lowest,
                all_orders=all_orders,
                items=await agent.database.query(chosen),
            )
            return Ran(agent.run, await adopt_numbers(agent, agent.channels[source], location, by, how))

    ran = awaited(work())
    _tell_adopted(Output(as_json=as_json), ran, source, dry_run=dry_run)


def _tell_adopted(output: Output, ran: Ran[Adopted], source: str, *, dry_run: bool) -> None:
    done = ran.result
    if output.as_json:
        output.document({"run": ran.run, "channel": source, "adopted": not dry_run, "done": done})
    else:
        columns = ("sku", "shown", "units", "promised", "on_hand", "becomes", "status", "others")
        output.rows(done.rows, columns, title=f"What {source} shows")
        for status in sorted({row.status for row in done.rows} - {"adopt", "as it is"}):
            output.say(f"{status}: {MEANING[status]}.")
    for note in done.notes:
        output.say(f"warning: {note}")
    if done.not_mapped:
        output.say(f"{done.not_mapped} listings are not mapped; `channelsync listings match` proposes what they are.")
    if not dry_run and done.entries:
        say_run(output, ran.run)
    end_held(output, done.held)
    if any(row.status in _UNSURE for row in done.rows):
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _one_of(option: str, said: str, known: tuple[Choice, ...]) -> Choice:
    for one in known:
        if one == said:
            return one
    raise CommandFailed(f"{option} can be {', '.join(known)}, not {said!r}", ExitCode.USAGE)
