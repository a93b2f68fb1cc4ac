"""/orders: orders of all channels to look at, and orders of our own to book, ship and cancel."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from channelsync.store import orders_view
from channelsync.store.orders_view import OrdersWanted
from channelsync.sync.api_runs import Answered
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand, cancel_by_hand, ship_by_hand
from channelsync.sync.orders_shown import (
    ByHandOnView,
    KeptRow,
    OrderOnView,
    OrderRow,
    by_hand_shown,
    kept_row,
    order_row,
    view_order,
)
from channelsync.sync.stock import By
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import item_of, known_channels
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.problems import REFUSED, Problem, not_found
from channelsync.web.api.values import LINES_MAX, Listed, Moment, Said, Text, Units, UnitsOrNone

TOPIC = "Orders"


class OrdersSaid(Listed):
    """Which orders. only: of this status; waiting: with a line that waits for an item. sku: those that took units of
    it. since: placed at this time or later."""

    channel: Text | None = None
    only: Literal["pending", "open", "closed", "cancelled", "waiting"] | None = None
    sku: Text | None = None
    since: Moment | None = None


class UnreadableSaid(Listed):
    """Which of the orders that could not be understood."""

    channel: Text | None = None


class OrderSaid(Said):
    """Which order, where several channels have one of this id."""

    channel: Text | None = None


class LineSaid(Said):
    """Base units of a SKU. location: where they ship from; left out: we choose."""

    sku: Text
    units: Units
    location: Text | None = None


class SoFarSaid(Said):
    """Units of a SKU so far, all together."""

    sku: Text
    units: UnitsOrNone


class BookSaid(Said):
    """An order of your own. order: your own id of it. change: it may be there with other lines, which these replace.
    refuse_short: book nothing where units are short, instead of overselling."""

    order: Text
    lines: Annotated[tuple[LineSaid, ...], Field(min_length=1, max_length=LINES_MAX)]
    placed_at: Moment | None = None
    change: bool = False
    refuse_short: bool = False


class ShipSaid(Said):
    """What was shipped so far, by SKU; no lines: all of the order. location: where what is new left."""

    lines: Annotated[tuple[SoFarSaid, ...], Field(max_length=LINES_MAX)] = ()
    location: Text | None = None


class CancelSaid(Said):
    """What was cancelled so far, by SKU; no lines: all that is not shipped."""

    lines: Annotated[tuple[SoFarSaid, ...], Field(max_length=LINES_MAX)] = ()


async def list_orders(call: Call, said: OrdersSaid) -> Answer:
    """Orders of all channels, the newest first.

    Orders of your own are those of the channel `manual`. Nothing about a buyer is kept.
    """
    (channel,) = known_channels(call.agent.setup, [said.channel], by_hand=True) if said.channel else ("",)
    after = key_after(call.endpoint.path, said, datetime, str, str)

    def work(connection: Connection) -> list[orders_view.StoredOrder]:
        wanted = OrdersWanted(
            channel=channel,
            status=said.only if said.only and said.only != "waiting" else "",
            item=item_of(connection, said.sku).id if said.sku else "",
            since=said.since,
            only_unmapped=said.only == "waiting",
        )
        behind = after  # as `key_after` was asked for
        return orders_view.find_orders(connection, wanted, said.limit + 1, after=behind)  # type: ignore[arg-type]

    found = await call.look(work)
    return Answer(
        page_of(call.endpoint.path, said, found, lambda one: (one.said.placed_at, one.channel, one.order), order_row)
    )


async def list_unreadable_orders(call: Call, said: UnreadableSaid) -> Answer:
    """Orders that could not be understood, the latest first.

    Each is kept with the reason and what the channel sent, less everything about the buyer.
    """
    (channel,) = known_channels(call.agent.setup, [said.channel]) if said.channel else ("",)
    after = key_after(call.endpoint.path, said, datetime, str, str)
    found = await call.look(
        lambda c: orders_view.kept_orders(c, channel=channel, after=after, limit=said.limit + 1)  # type: ignore[arg-type]
    )
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.seen_at, one.channel, one.order), kept_row))


async def show_order(call: Call, said: OrderSaid) -> Answer:
    """One order, whole.

    What was said of it, where each unit comes from, and the ledger entries that it made. Where several channels have
    an order of this id, say which channel is meant.
    """
    order = call.names["order"]
    found = await call.look(lambda c: view_order(c, order, said.channel or ""))
    if not found:
        raise not_found(f"There is no order {order!r}{f' on {said.channel}' if said.channel else ''}.")
    if len(found) > 1:
        names = ", ".join(one.channel for one in found)
        raise Problem(REFUSED, f"Order {order} is there on {names}: say which with the parameter channel.")
    return Answer(found[0])


async def book_order(call: Call, said: BookSaid) -> Answered:
    """Book an order of your own.

    It reserves its units, and every channel is lowered. It is never refused for want of units, as a channel's order
    is not, unless refuse_short is said. The same order again changes nothing (`changed` is false, the status 200), so
    it may always be repeated; the same id with other lines is refused, unless change is said.
    """
    return await call.change("orders book", lambda c, by: book(c, call, by, said))


def book(connection: Connection, call: Call, by: By, said: BookSaid) -> Answer:
    """Books an order in a transaction: 201 where it is new or changed, 200 where it was so already."""
    wanted = BookByHand(
        order=said.order,
        lines=tuple(LineByHand(line.sku, line.units, line.location) for line in said.lines),
        placed_at=said.placed_at,
        change=said.change,
        refuse_short=said.refuse_short,
    )
    done = book_by_hand(connection, call.agent.setup, wanted, now=by.now, run=by.run)
    return Answer(by_hand_shown(done), 201 if done.changed else 200)


async def ship_order(call: Call, said: ShipSaid) -> Answered:
    """Say what of an order of your own was shipped.

    Units are all that were shipped so far, never more of them, so it may always be repeated. Shipped units leave on
    hand where they were reserved, or at the location that is named.
    """

    def work(connection: Connection, by: By) -> Answer:
        done = ship_by_hand(
            connection,
            call.agent.setup,
            call.names["order"],
            so_far(said.lines),
            location=said.location,
            now=by.now,
            run=by.run,
        )
        return Answer(by_hand_shown(done))

    return await call.change("orders ship", work)


async def cancel_order(call: Call, said: CancelSaid) -> Answered:
    """Cancel an order of your own, or units of it.

    Units are all that were cancelled so far, so it may always be repeated. They are free again at once, and every
    channel may show them.
    """
    return await call.change("orders cancel", lambda c, by: cancel(c, call, by, said))


def cancel(connection: Connection, call: Call, by: By, said: CancelSaid) -> Answer:
    """Cancels in a transaction."""
    units = so_far(said.lines)
    done = cancel_by_hand(connection, call.agent.setup, call.names["order"], units, now=by.now, run=by.run)
    return Answer(by_hand_shown(done))


def so_far(lines: tuple[SoFarSaid, ...]) -> dict[str, int]:
    """Units by SKU. Raises Problem: a SKU is named twice."""
    units: dict[str, int] = {}
    for line in lines:
        if line.sku in units:
            raise Problem(REFUSED, f"{line.sku} is named twice; say in one line how many there are so far.")
        units[line.sku] = line.units
    return units


_LINES = [{"sku": "MUG-BLUE", "units": 2}]

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/orders",
        scope="read",
        topic=TOPIC,
        run=list_orders,
        said=OrdersSaid,
        gives=Page[OrderRow],
        misses=True,
    ),
    Endpoint(
        method="POST",
        path="/orders",
        scope="operate",
        topic=TOPIC,
        run=book_order,
        said=BookSaid,
        gives=ByHandOnView,
        creates=True,
        refuses=True,
        example={"order": "phone-1017", "lines": _LINES},
    ),
    Endpoint(
        method="GET",
        path="/orders/{order}",
        scope="read",
        topic=TOPIC,
        run=show_order,
        said=OrderSaid,
        gives=OrderOnView,
        misses=True,
        refuses=True,
    ),
    Endpoint(
        method="POST",
        path="/orders/{order}/ship",
        scope="operate",
        topic=TOPIC,
        run=ship_order,
        said=ShipSaid,
        gives=ByHandOnView,
        misses=True,
        refuses=True,
        example={"lines": _LINES},
    ),
    Endpoint(
        method="POST",
        path="/orders/{order}/cancel",
        scope="operate",
        topic=TOPIC,
        run=cancel_order,
        said=CancelSaid,
        gives=ByHandOnView,
        misses=True,
        refuses=True,
        example={"lines": [{"sku": "MUG-BLUE", "units": 1}]},
    ),
    Endpoint(
        method="GET",
        path="/unreadable-orders",
        scope="read",
        topic=TOPIC,
        run=list_unreadable_orders,
        said=UnreadableSaid,
        gives=Page[KeptRow],
        misses=True,
    ),
)
