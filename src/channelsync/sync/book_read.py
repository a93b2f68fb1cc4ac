"""Booking what a channel told of its orders: an answer in one transaction, or order by order where one is in the way.

An order that cannot be booked, whatever is wrong with it, is kept as one that cannot be understood: it holds up neither
its neighbours nor what comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.orders import OrderSnapshot
from channelsync.sdk.values import UnreadableOrder
from channelsync.store import findings, orders
from channelsync.store.database_errors import DatabaseError, is_everybodys
from channelsync.store.texts import storable, told_briefly
from channelsync.sync import accounts
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.book_orders import Arrival, Booked, book_orders

log = structlog.get_logger(__name__)

Ending = Callable[[Connection], None]


def _nothing(connection: Connection) -> None:
    """An answer that ends without more."""


async def book_read(
    agent: Agent,
    channel: OpenChannel,
    arrivals: Sequence[Arrival],
    unreadable: Sequence[UnreadableOrder],
    ending: Ending = _nothing,
) -> int:
    """Books the orders of one answer and keeps those that cannot be understood; returns how many changed.

    ending: what belongs to the answer as a whole; it is written in the same transaction. Where an order is in the way,
    each is booked in a transaction of its own, and the last one keeps those that cannot be booked and holds the ending.
    Raises what the database as a whole raises, and what the ending does.
    """
    try:
        return await _booked(agent, channel, arrivals, unreadable, ending)
    except Exception as error:
        if is_everybodys(error) or not arrivals:
            raise
        log.warning("orders.not_booked_at_once", channel=channel.name, orders=len(arrivals), reason=told_briefly(error))
    changed, kept = 0, list(unreadable)
    for one in arrivals:
        try:
            changed += await _booked(agent, channel, [one], [], _nothing)
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("orders.not_booked", channel=channel.name, order=one.order.order)
            kept.append(_not_booked(one.order, error))
    return changed + await _booked(agent, channel, [], kept, ending)


def keep_unreadable(
    connection: Connection,
    agent: Agent,
    opened: OpenChannel,
    unreadable: Sequence[UnreadableOrder],
    understood: Sequence[str] = (),
) -> None:
    """Keeps orders that cannot be understood, each with a finding; those that are understood by now are let go."""
    now = agent.clock.now()
    channel = accounts.books_as(agent.setup, accounts.channels_of(connection, opened.setup), opened.name)
    kept = [(storable(one.order), storable(one.reason), storable(one.raw, len(one.raw))) for one in unreadable]
    orders.keep_unreadable(connection, channel, kept, now)
    findings.open_findings(
        connection,
        [
            Finding(
                kind=FindingKind.UNREADABLE_ORDER,
                subject=(channel, order),
                channel=channel,
                summary=f"Order {order} on {channel} cannot be understood: {reason}. It is kept and was "
                "not booked; look at it at the channel, and ship it by hand if it is right. Units that were gone by "
                "then are held until it can be booked, or this finding is closed.",
            )
            for order, reason, _ in kept
        ],
        now,
    )
    cleared = orders.forget_unreadable(connection, channel, understood)
    findings.close_findings(
        connection,
        [fingerprint(FindingKind.UNREADABLE_ORDER, channel, order) for order in cleared],
        "the order could be understood",
        now,
    )


async def _booked(
    agent: Agent,
    channel: OpenChannel,
    arrivals: Sequence[Arrival],
    unreadable: Sequence[UnreadableOrder],
    ending: Ending,
) -> int:
    """One transaction; whoever publishes is woken by it."""
    unit = partial(_unit, agent=agent, channel=channel, arrivals=arrivals, unreadable=unreadable, ending=ending)
    booked = await agent.database.transact(unit)
    if booked.marked:
        agent.wake_publishers()
    return sum(verdict == "booked" for verdict in booked.verdicts)


def _unit(
    connection: Connection,
    *,
    agent: Agent,
    channel: OpenChannel,
    arrivals: Sequence[Arrival],
    unreadable: Sequence[UnreadableOrder],
    ending: Ending,
) -> Booked:
    now = agent.clock.now()
    booked = book_orders(connection, agent.setup, arrivals, now=now, run=agent.run)
    keep_unreadable(connection, agent, channel, unreadable, [one.order.order for one in arrivals])
    again = {order: "two snapshots of one version differ" for _, order in booked.ask_again}
    orders.hint_orders(connection, channel.name, again, now)
    ending(connection)
    return booked


def _not_booked(order: OrderSnapshot, error: Exception) -> UnreadableOrder:
    return UnreadableOrder.of(order.order, f"booking it failed with {told_briefly(error)}", asdict(order))
