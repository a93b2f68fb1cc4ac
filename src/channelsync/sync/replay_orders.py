"""Booking orders again from what was said of them, at any time: what is booked already stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from channelsync.store.orders_view import OrdersWanted, StoredOrder, find_orders, orders_after
from channelsync.sync.agent import Agent
from channelsync.sync.book_orders import Arrival, Booked, book_orders

REPLAYED_AT_ONCE = 200


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What became of it. orders: looked at; changed: booked anew; waiting: with lines that still wait for an item.

    left_out: by channel, how many orders belong to a channel that is not configured any more; they stay as they are.
    """

    orders: int = 0
    changed: list[tuple[str, str]] = field(default_factory=list)
    waiting: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


async def replay_orders(agent: Agent, wanted: OrdersWanted) -> Replayed:
    """Books these orders again, page by page, each page in one transaction."""
    done = Replayed()
    after = ("", "")
    while page := await _page(agent, wanted, after):
        after = (page[-1].channel, page[-1].order)
        await _book(agent, page, done)
    left = replace(wanted, only_unmapped=True)
    done.waiting = len(await agent.database.query(lambda c: find_orders(c, left)))
    return done


async def _page(agent: Agent, wanted: OrdersWanted, after: tuple[str, str]) -> list[StoredOrder]:
    return await agent.database.query(lambda c: orders_after(c, wanted, after, REPLAYED_AT_ONCE))


async def _book(agent: Agent, page: list[StoredOrder], done: Replayed) -> None:
    known = [order for order in page if order.channel in agent.setup.channels]
    arrivals = [Arrival(channel=order.channel, order=order.said) for order in known]
    now = agent.clock.now()

    def unit(connection: Connection) -> Booked:
        return book_orders(connection, agent.setup, arrivals, now=now, run=agent.run)

    booked = await agent.database.transact(unit)
    if booked.marked:
        agent.wake_publishers()
    changed = [order for order, verdict in zip(known, booked.verdicts, strict=True) if verdict == "booked"]
    done.orders += len(known)
    done.changed += [(order.channel, order.order) for order in changed]
    for order in page:
        if order.channel not in agent.setup.channels:
            done.left_out[order.channel] = done.left_out.get(order.channel, 0) + 1
