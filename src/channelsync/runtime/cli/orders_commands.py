"""`channelsync orders list|show|replay`, and the orders that we take ourselves: `orders import|book|ship|cancel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from channelsync.domain.orders import OrderStatus
from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.channels_commands import known_channels
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.orders_intake_commands import register_intake
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_agent, open_reading
from channelsync.store import items, orders_view
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync.orders_shown import KeptRow, OrderOnView, OrderRow, kept_row, order_row, view_order
from channelsync.sync.replay_orders import Replayed, replay_orders
from channelsync.sync.setup import BY_HAND

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="Placed then or later; 2026-03-01T09:00 is in the seller's zone.")
]

WAITING, UNREADABLE = "waiting", "unreadable"
_NOT_UNDERSTOOD = "its_latest_version_cannot_be_understood"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="See orders, book them again, and take orders of your own.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_orders)
    group.command("show")(show)
    group.command("replay")(replay)
    register_intake(group)
    app.add_typer(group, name="orders")


# Looking


def list_orders(
    context: typer.Context,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only of this channel.")] = "",
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="WHICH",
            help="pending, open, closed, cancelled; waiting: with a line that waits for an item; unreadable: those "
            "that could not be understood.",
        ),
    ] = "",
    sku: Annotated[str, typer.Option("--sku", help="Only those that took units of it.")] = "",
    since: Since = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Orders as booked, the newest first."""
    known = [*(status.value for status in OrderStatus), WAITING, UNREADABLE]
    if only and only not in known:
        raise CommandFailed(f"--only can be {', '.join(known)}, not {only!r}", ExitCode.USAGE)
    loaded = invocation(context).load()
    status = only if only not in (WAITING, UNREADABLE) else ""
    wanted = OrdersWanted(
        channel=channel,
        status=status,
        since=moment(since, loaded.config.seller.time_zone),
        only_unmapped=only == WAITING,
    )

    def unit(connection: Connection) -> Sequence[KeptRow | OrderRow]:
        if only == UNREADABLE:
            return [kept_row(one) for one in orders_view.kept_orders(connection, channel=channel)][:limit]
        return [order_row(one) for one in orders_view.find_orders(connection, _of_sku(connection, wanted, sku), limit)]

    columns = ("channel", "order", "status", "placed_at", "lines", "units", "to_ship", "waiting")
    kept = ("channel", "order", "reason", "seen_at")
    shown = kept if only == UNREADABLE else columns
    found = awaited(_read(loaded, unit))
    if not found:
        _known(loaded, channel)
    Output(as_json=as_json).rows(found, shown, title="Orders")


def _known(loaded: Loaded, channel: str) -> None:
    """Of a channel that has none of the orders: it may have been taken out of the configuration, or be a slip."""
    if channel not in ("", BY_HAND):
        known_channels(loaded, [channel])


def _of_sku(connection: Connection, wanted: OrdersWanted, sku: str) -> OrdersWanted:
    if not sku:
        return wanted
    known = items.items_by_sku(connection, [sku])
    if sku not in known:
        raise CommandFailed(f"no item has the SKU {sku!r}, and it is no alias")
    return replace(wanted, item=known[sku].id)


async def _read(loaded: Loaded, unit: Callable[[Connection], Any]) -> Any:
    async with open_reading(loaded) as database:
        return await database.query(unit)


def show(
    context: typer.Context,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The channel's id of the order, or your own.")],
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Of this channel.")] = "",
    as_json: AsJson = False,
) -> None:
    """One order: what was said of it, where each unit comes from, and the ledger entries it made."""
    loaded = invocation(context).load()
    found: list[OrderOnView] = awaited(_read(loaded, lambda c: view_order(c, order, channel)))
    if not found:
        raise CommandFailed(f"there is no order {order}{f' on {channel}' if channel else ''}")
    if len(found) > 1:
        names = ", ".join(one.channel for one in found)
        raise CommandFailed(f"order {order} is there on {names}: say --channel")
    (one,) = found
    output = Output(as_json=as_json)
    if as_json:
        output.document(one)
        return
    head = {field.name: getattr(one.head, field.name) for field in fields(one.head)}
    if head.get(_NOT_UNDERSTOOD) is None:
        head.pop(_NOT_UNDERSTOOD, None)
    output.document(head, title=f"Order {order}")
    output.rows(one.lines, title="Lines")
    output.rows(one.legs, title="Served")
    output.rows(one.entries, title="Ledger")


# Booking again


def replay(
    context: typer.Context,
    orders: Annotated[list[str] | None, typer.Argument(metavar="ORDER", help="Only these; none named: all.")] = None,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only of this channel.")] = "",
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """Book orders again from what was said of them. What is booked already stays as it is, so it never does harm."""
    loaded = invocation(context).load()
    wanted = OrdersWanted(
        channel=channel, orders=tuple(orders or ()), since=moment(since, loaded.config.seller.time_zone)
    )

    async def work() -> Replayed:
        async with open_agent(loaded, "orders replay", channels=()) as agent:
            return await replay_orders(agent, wanted)

    done = awaited(work())
    if not done.orders and not done.left_out:
        _known(loaded, channel)
    output = Output(as_json=as_json)
    if as_json:
        output.document(done)
    else:
        output.say(f"Looked at {done.orders} orders, booked {len(done.changed)} anew; {done.waiting} wait for an item.")
    for name, number in sorted(done.left_out.items()):
        output.say(f"{number} orders of {name} were left as they are: no such channel is configured.")
    if orders and not done.orders and not done.left_out:
        raise CommandFailed(f"there is no order {', '.join(orders)}")
