"""`channelsync stock receive|adjust|count|transfer|withhold|unwithhold|write-off|produce|expect`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.domain.ledger import COST_DECIMALS, COST_MAX
from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import (
    AsJson,
    At,
    Force,
    Key,
    Location,
    Ran,
    Reason,
    Sku,
    Units,
    UnitsCommand,
    Work,
    run_command,
    say_run,
    warn_oversold,
)
from channelsync.store import items
from channelsync.store.positions_view import IncomingOnView, incoming_of
from channelsync.sync.items_new import add_new_items
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By, Refused, StockChanged, Worth, place, unknown_sku
from channelsync.sync.stock_count import count as count_units
from channelsync.sync.stock_incoming import expect as expect_units
from channelsync.sync.stock_moves import Receipt, Transfer
from channelsync.sync.stock_moves import adjust as adjust_units
from channelsync.sync.stock_moves import produce as produce_units
from channelsync.sync.stock_moves import receive as receive_units
from channelsync.sync.stock_moves import transfer as transfer_units
from channelsync.sync.stock_moves import unwithhold as unwithhold_units
from channelsync.sync.stock_moves import withhold as withhold_units
from channelsync.sync.stock_moves import write_off as write_off_units
from channelsync.sync.stock_shown import Told, told

Changed = tuple[list[Told], str]
"""Positions afterwards, and the run that had done it before under the same key; empty: it was done now."""


def register_changes(group: typer.Typer) -> None:
    """Adds the commands to `channelsync stock`."""
    group.command("receive", cls=UnitsCommand)(receive)
    group.command("adjust", cls=UnitsCommand)(adjust)
    group.command("count", cls=UnitsCommand)(count)
    group.command("transfer", cls=UnitsCommand)(transfer)
    group.command("withhold", cls=UnitsCommand)(withhold)
    group.command("unwithhold", cls=UnitsCommand)(unwithhold)
    group.command("write-off", cls=UnitsCommand)(write_off)
    group.command("produce", cls=UnitsCommand)(produce)
    group.command("expect", cls=UnitsCommand)(expect)


def receive(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    sku: Sku,
    units: Units,
    location: Location = "",
    lot: Annotated[str, typer.Option("--lot", help="The lot that they are of.")] = "",
    unit_cost: Annotated[str, typer.Option("--unit-cost", metavar="MONEY", help="What a base unit cost: 2.50.")] = "",
    currency: Annotated[str, typer.Option("--currency", metavar="CODE", help="Of the cost: EUR.")] = "",
    withheld: Annotated[bool, typer.Option("--withheld", help="They are not for sale (yet).")] = False,
    reference: Annotated[str, typer.Option("--reference", help="Under which they were expected.")] = "",
    complete: Annotated[bool, typer.Option("--complete", help="Nothing more comes under the reference.")] = False,
    create_item: Annotated[bool, typer.Option("--create-item", help="Make an item of an unknown SKU.")] = False,
    at: At = "",
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Units that arrived are on hand, and for sale unless they are withheld."""
    when = moment(at)
    worth = Worth(lot=lot, unit_cost=_cost(unit_cost, currency), currency=currency if unit_cost else "")

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        if sku not in items.items_by_sku(connection, [sku]):
            if not create_item:
                raise Refused(unknown_sku(sku, "--create-item"))
            add_new_items(connection, by, [sku])
        receipt = Receipt(
            place=place(connection, setup, sku, location),
            units=units,
            at=when,
            withheld=withheld,
            worth=worth,
            reference=reference,
            complete=complete,
        )
        return receive_units(connection, setup, by, receipt)

    ran = run_command(context, "stock receive", _and_tell(work), reason=reason, key=key, new_skus=create_item)
    _tell(Output(as_json=as_json), ran)


def adjust(
    context: typer.Context,
    sku: Sku,
    units: Annotated[int, typer.Argument(metavar="UNITS", help="By how many, up or down: 2 or -2.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence; stands in the ledger.")],
    location: Location = "",
    at: At = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Correct on hand by so many units, up or down. To say how many there are, use `stock count`."""
    when = moment(at)

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        return adjust_units(connection, setup, by, place(connection, setup, sku, location), units, at=when)

    _tell(Output(as_json=as_json), run_command(context, "stock adjust", _and_tell(work), reason=reason, key=key))


def count(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    sku: Sku,
    units: Units,
    location: Location = "",
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="When they were counted; default now.")] = "",
    orders_up_to: Annotated[
        str,
        typer.Option(
            "--orders-counted-up-to", metavar="TIME", help="What left by then is not among them; default: when counted."
        ),
    ] = "",
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """So many units were physically there. What was shipped or received after that moment is added on top.

    Shipments and returns up to the moment that are told only later change nothing any more: they are in the count.
    """
    as_of, up_to = moment(at), moment(orders_up_to)

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        where = place(connection, setup, sku, location)
        return count_units(connection, setup, by, where, units, as_of=as_of, orders_up_to=up_to)

    _tell(Output(as_json=as_json), run_command(context, "stock count", _and_tell(work), reason=reason, key=key))


def transfer(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    sku: Sku,
    units: Units,
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="The location that they leave.")],
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="The location where they arrive.")],
    lot: Annotated[str, typer.Option("--lot", help="The lot that they are of.")] = "",
    at: At = "",
    force: Force = False,
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Move units from one location to another."""
    when = moment(at)

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        wanted = Transfer(
            source=place(connection, setup, sku, source),
            target=place(connection, setup, sku, target),
            units=units,
            at=when,
            lot=lot,
            force=force,
        )
        return transfer_units(connection, setup, by, wanted)

    _tell(Output(as_json=as_json), run_command(context, "stock transfer", _and_tell(work), reason=reason, key=key))


def withhold(
    context: typer.Context,
    sku: Sku,
    units: Units,
    location: Location = "",
    force: Force = False,
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Set units aside: they stay on hand and are not for sale (damaged, quality control)."""

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        return withhold_units(connection, setup, by, place(connection, setup, sku, location), units, force=force)

    _tell(Output(as_json=as_json), run_command(context, "stock withhold", _and_tell(work), reason=reason, key=key))


def unwithhold(
    context: typer.Context,
    sku: Sku,
    units: Units,
    location: Location = "",
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Put units that were set aside on sale again."""

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        return unwithhold_units(connection, setup, by, place(connection, setup, sku, location), units)

    _tell(Output(as_json=as_json), run_command(context, "stock unwithhold", _and_tell(work), reason=reason, key=key))


def write_off(
    context: typer.Context,
    sku: Sku,
    units: Units,
    location: Location = "",
    from_withheld: Annotated[bool, typer.Option("--from-withheld", help="Of those that were set aside.")] = False,
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Units that are gone for good: lost, broken, expired."""

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        where = place(connection, setup, sku, location)
        return write_off_units(connection, setup, by, where, units, from_withheld=from_withheld)

    _tell(Output(as_json=as_json), run_command(context, "stock write-off", _and_tell(work), reason=reason, key=key))


def produce(
    context: typer.Context,
    sku: Sku,
    units: Annotated[int, typer.Argument(metavar="UNITS", help="Bundles that were packed.")],
    location: Location = "",
    force: Force = False,
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Pack bundles ahead: their parts are used up, the bundles are on hand. The bundle is of kind prebuilt or both."""

    def work(connection: Connection, setup: Setup, by: By) -> StockChanged:
        return produce_units(connection, setup, by, place(connection, setup, sku, location), units, force=force)

    _tell(Output(as_json=as_json), run_command(context, "stock produce", _and_tell(work), reason=reason, key=key))


def expect(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    sku: Sku,
    units: Annotated[
        int, typer.Argument(metavar="UNITS", help="Base units on their way, all in all; 0: none any more.")
    ],
    reference: Annotated[str, typer.Option("--reference", help="Under which they come: the purchase order.")],
    location: Location = "",
    due: Annotated[str, typer.Option("--due", metavar="DATE", help="When they are due: 2026-03-31.")] = "",
    reason: Reason = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Units on their way. Pre-orders may count them; `stock receive --reference` closes them."""
    day = _day(due)

    def work(connection: Connection, setup: Setup, by: By) -> tuple[list[IncomingOnView], str]:
        where = place(connection, setup, sku, location)
        changed = expect_units(connection, setup, by, where, units, reference=reference, due=day)
        return incoming_of(connection, where.key.item), changed.repeated

    ran = run_command(context, "stock expect", work, reason=reason, key=key)
    expected, repeated = ran.result
    output = Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "repeated": repeated or None, "sku": sku, "incoming": expected})
    else:
        output.rows(expected, title=f"On the way of {sku}")
        _say(output, ran.run, repeated)
    end_held(output, ran.held)


def _and_tell(work: Work[StockChanged]) -> Work[Changed]:
    """The use case, with the positions as they are told afterwards."""

    def both(connection: Connection, setup: Setup, by: By) -> Changed:
        changed = work(connection, setup, by)
        return told(connection, changed.positions), changed.repeated

    return both


def _tell(output: Output, ran: Ran[Changed]) -> None:
    positions, repeated = ran.result
    if output.as_json:
        output.document({"run": ran.run, "repeated": repeated or None, "positions": positions})
    else:
        output.rows(positions, title="Positions")
        _say(output, ran.run, repeated)
    warn_oversold(output, positions, ran.held)
    end_held(output, ran.held)


def _say(output: Output, run: str, repeated: str) -> None:
    if repeated:
        output.say(f"Run {repeated} had done this under the same key; nothing was changed.")
    else:
        say_run(output, run)


def _cost(told_cost: str, currency: str) -> Decimal | None:
    if not told_cost:
        return None
    try:
        cost = Decimal(told_cost)
    except InvalidOperation as error:
        raise CommandFailed(f"--unit-cost is {told_cost!r}, not a number such as 2.50", ExitCode.USAGE) from error
    if not (cost.is_finite() and 0 <= cost < COST_MAX and cost == round(cost, COST_DECIMALS)):
        most = f"from 0 to below {COST_MAX}, with at most {COST_DECIMALS} decimals"
        raise CommandFailed(f"--unit-cost is {told_cost!r}, not a number {most}", ExitCode.USAGE)
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise CommandFailed("--unit-cost needs a --currency, a code such as EUR", ExitCode.USAGE)
    return cost


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandFailed(f"--due is {text!r}, not a date such as 2026-03-31", ExitCode.USAGE) from error
