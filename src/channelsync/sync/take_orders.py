"""Taking orders in: polls since a cursor, and orders whose listing was mapped meanwhile.

The cursor is saved in the transaction of the rows that it covers, so a crash repeats a page and loses none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.errors import ChannelError, NeedsSeller
from channelsync.sdk.values import OrderPage
from channelsync.store import channels, findings
from channelsync.store.orders_view import StoredOrder, waiting_orders
from channelsync.sync import accounts
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.beats import WORK_SECONDS, orders_part
from channelsync.sync.book_orders import Arrival, Booked, book_orders
from channelsync.sync.book_read import book_read
from channelsync.sync.catch_up import after_poll
from channelsync.sync.explained import after_orders_read
from channelsync.sync.orders_by_id import as_ours, read_hinted
from channelsync.sync.setup import ChannelSetup

log = structlog.get_logger(__name__)

# Orders that wait for a mapping, looked at and booked in one go.
WAITING_AT_ONCE = 200


@dataclass(slots=True)
class Taken:
    """What one poll brought. failed: why it stopped early; empty: it did not."""

    pages: int = 0
    orders: int = 0
    booked: int = 0
    failed: str = ""


async def poll_orders(agent: Agent, channel: OpenChannel) -> Taken:
    """Books everything that changed at a channel since the last poll; what it could not do is said, not raised.

    After a complete poll the provisional reservations and rises that it explains, or shows to be unexplained, end.
    """
    taken = Taken()
    asked = agent.clock.now()
    state = await agent.database.transact(lambda c: channels.channel_state(c, channel.name))
    try:
        async for page in channel.channel.orders(cursor=state.cursor):
            arrivals = [
                Arrival(channel=channel.name, order=as_ours(agent, channel, order), absent_at=state.orders_asked_at)
                for order in page.orders
            ]
            ending = partial(_page_ends, agent=agent, channel=channel.name, page=page, asked=asked)
            taken.booked += await book_read(agent, channel, arrivals, page.unreadable, ending)
            taken.pages += 1
            taken.orders += len(page.orders)
            agent.beats.touch(orders_part(channel.name), WORK_SECONDS)
    except ChannelError as error:
        taken.failed = str(error)
        agent.counts.polls[channel.name, "failed"] += 1
        needs_seller = isinstance(error, NeedsSeller)
        await agent.database.transact(
            lambda c: _poll_failed(c, agent, channel, taken.failed, needs_seller=needs_seller)
        )
        log.warning("orders.poll_failed", channel=channel.name, reason=str(error))
        return taken
    # What an order list covers, it covers without the orders that are read by their ids: these come on top.
    taken.booked += await read_hinted(agent, channel)
    changed = await agent.database.transact(lambda c: after_orders_read(c, agent, channel))
    now = agent.clock.now()
    waited = await agent.database.transact(lambda c: after_poll(c, agent.setup, state, asked, now))
    if changed or waited:
        agent.wake_publishers()
    agent.counts.polls[channel.name, "done"] += 1
    agent.counts.orders[channel.name, "seen"] += taken.orders
    agent.counts.orders[channel.name, "booked"] += taken.booked
    return taken


async def book_unmapped(agent: Agent, channel: str) -> int:
    """Books lines whose listing was mapped, or whose SKU became an item's, since they arrived.

    channel: its name; it need not be open. Returns how many orders changed; asking again changes none.
    """
    if channel not in agent.setup.channels:
        return 0
    changed, after = 0, ""
    while page := await _waiting(agent, channel, after):
        after = page[-1].order
        changed += await _book_again(agent, channel, page)
    return changed


async def _waiting(agent: Agent, channel: str, after: str) -> list[StoredOrder]:
    return await agent.database.query(lambda c: waiting_orders(c, channel, after, WAITING_AT_ONCE))


async def _book_again(agent: Agent, channel: str, waiting: Sequence[StoredOrder]) -> int:
    """Books those of these orders that have a line which can be booked now; the others are not touched."""
    now = agent.clock.now()

    def unit(connection: Connection) -> Booked:
        ready = _bookable(connection, agent.setup.channels[channel], waiting)
        arrivals = [Arrival(channel=channel, order=order.said) for order in ready]
        return book_orders(connection, agent.setup, arrivals, now=now, run=agent.run)

    if not await agent.database.query(lambda c: _bookable(c, agent.setup.channels[channel], waiting)):
        return 0
    booked = await agent.database.transact(unit)
    if booked.marked:
        agent.wake_publishers()
    return sum(verdict == "booked" for verdict in booked.verdicts)


def _bookable(connection: Connection, channel: ChannelSetup, waiting: Sequence[StoredOrder]) -> list[StoredOrder]:
    """Those with a waiting line that means something now, the oldest first: they are served first."""
    lines = {(order.order, line.line): line for order in waiting for line in order.said.lines}
    undecided = [(order.order, line.line) for order in waiting for line in order.booked.lines if line.sold is None]
    account = accounts.channels_of(connection, channel)
    waits = [lines[name] for name in undecided if name in lines]
    by_listing, by_sku = accounts.meanings(connection, channel, account, waits)
    ready = {
        name
        for name in undecided
        if (line := lines.get(name))
        and (line.listing in by_listing if line.listing is not None else line.sku in by_sku)
    }
    orders_ready = {order for order, _ in ready}
    return sorted((o for o in waiting if o.order in orders_ready), key=lambda o: (o.said.placed_at, o.order))


def _page_ends(connection: Connection, *, agent: Agent, channel: str, page: OrderPage, asked: datetime) -> None:
    """A page's cursor, written with its orders. `covered_to` comes with the last page only.

    asked: when this read was asked.
    """
    fields: dict[str, object] = {"cursor": page.cursor}
    if page.covered_to is not None:
        fields |= {"covered_to": page.covered_to, "orders_asked_at": asked, "orders_failed": ""}
        now = agent.clock.now()
        findings.close_findings(connection, _failures(channel), "the channel's orders could be read", now)
    channels.save_channel(connection, channel, **fields)


def _poll_failed(
    connection: Connection, agent: Agent, channel: OpenChannel, reason: str, *, needs_seller: bool
) -> None:
    now = agent.clock.now()
    channels.save_channel(connection, channel.name, orders_failed=reason)
    findings.open_findings(
        connection,
        [
            Finding(
                kind=FindingKind.NEEDS_SELLER if needs_seller else FindingKind.CHANNEL_DOWN,
                subject=(channel.name, "orders"),
                channel=channel.name,
                summary=f"{channel.name}: orders cannot be read: {reason}",
            )
        ],
        now,
    )


def _failures(channel: str) -> list[str]:
    return [
        fingerprint(FindingKind.NEEDS_SELLER, channel, "orders"),
        fingerprint(FindingKind.CHANNEL_DOWN, channel, "orders"),
    ]
