"""Taking orders in: polls since a cursor, orders named by webhooks, orders whose listing was mapped meanwhile.

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
from channelsync.domain.orders import OrderSnapshot
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, NeedsSeller
from channelsync.sdk.values import OrderPage, UnreadableOrder
from channelsync.store import channels, findings, order_hints, orders
from channelsync.store.orders_view import StoredOrder, waiting_orders
from channelsync.sync import accounts
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.beats import WORK_SECONDS, orders_part
from channelsync.sync.book_orders import Arrival, Booked, book_orders, localised
from channelsync.sync.catch_up import after_poll
from channelsync.sync.explained import after_orders_read
from channelsync.sync.setup import ChannelSetup

log = structlog.get_logger(__name__)

# Orders asked for by id in one call; every channel can take so many ids in an address.
IDS_PER_CALL = 50
# How often an order that was hinted at is asked for which cannot be read.
HINT_ATTEMPTS = 5
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
    book_page = partial(_book_page, agent=agent, channel=channel, asked=asked, before=state.orders_asked_at)
    try:
        async for page in channel.channel.orders(cursor=state.cursor):
            booked = await agent.database.transact(partial(book_page, page=page))
            taken.pages += 1
            taken.orders += len(page.orders)
            taken.booked += sum(verdict == "booked" for verdict in booked.verdicts)
            agent.beats.touch(orders_part(channel.name), WORK_SECONDS)
            if booked.marked:
                agent.wake_publishers()
        taken.booked += await read_hinted(agent, channel)
    except ChannelError as error:
        taken.failed = str(error)
        agent.counts.polls[channel.name, "failed"] += 1
        needs_seller = isinstance(error, NeedsSeller)
        await agent.database.transact(
            lambda c: _poll_failed(c, agent, channel, taken.failed, needs_seller=needs_seller)
        )
        log.warning("orders.poll_failed", channel=channel.name, reason=str(error))
        return taken
    changed = await agent.database.transact(lambda c: after_orders_read(c, agent, channel))
    now = agent.clock.now()
    waited = await agent.database.transact(lambda c: after_poll(c, agent.setup, state, asked, now))
    if changed or waited:
        agent.wake_publishers()
    agent.counts.polls[channel.name, "done"] += 1
    agent.counts.orders[channel.name, "seen"] += taken.orders
    agent.counts.orders[channel.name, "booked"] += taken.booked
    return taken


async def read_hinted(agent: Agent, channel: OpenChannel) -> int:
    """Reads orders again by id that a webhook named, or whose two snapshots differed; returns how many changed.

    An order that cannot be read holds up no other: those that failed are asked for again in ever smaller groups, in the
    end alone, and then given up with a finding. Raises what else the channel raises; what was not read stays noted.
    """
    booked = 0
    failed: set[str] = set()
    asked = agent.clock.now()
    to_read = partial(order_hints.hints_to_read, channel=channel.name, asked=asked, limit=IDS_PER_CALL, but=failed)
    while waiting := await agent.database.query(to_read):
        attempts = waiting[0][1]
        some = [order for order, tried in waiting if tried == attempts][: max(1, IDS_PER_CALL >> (2 * attempts))]
        try:
            booked += await take_by_id(agent, channel, some)
        except ChannelMisbehaved as error:
            failed.update(some)
            given_up = attempts + 1 >= HINT_ATTEMPTS
            await agent.database.transact(
                partial(_not_read, agent=agent, channel=channel, wanted=some, why=str(error), given_up=given_up)
            )
            log.warning("orders.not_read", channel=channel.name, orders=len(some), given_up=given_up, reason=str(error))
        else:
            await agent.database.transact(partial(orders.drop_hints, channel=channel.name, orders=some, asked=asked))
    return booked


def _not_read(
    connection: Connection, *, agent: Agent, channel: OpenChannel, wanted: Sequence[str], why: str, given_up: bool
) -> None:
    order_hints.hints_failed(connection, channel.name, wanted)
    if given_up:
        now = agent.clock.now()
        _keep_unreadable(
            connection, agent, channel, [UnreadableOrder(order=one, reason=why) for one in wanted], [], now
        )
        orders.drop_hints(connection, channel.name, wanted, now)


async def take_by_id(agent: Agent, channel: OpenChannel, wanted: Sequence[str]) -> int:
    """Books these orders as the channel shows them now; returns how many changed. Raises what the channel raises."""
    found = await channel.channel.orders_by_id(wanted)
    snapshots = [order for order in found if isinstance(order, OrderSnapshot)]
    unreadable = [order for order in found if isinstance(order, UnreadableOrder)]
    now = agent.clock.now()

    def unit(connection: Connection) -> Booked:
        arrivals = [Arrival(channel=channel.name, order=_localised(agent, channel, o), settle=True) for o in snapshots]
        booked = book_orders(connection, agent.setup, arrivals, now=now, run=agent.run)
        _keep_unreadable(connection, agent, channel, unreadable, [o.order for o in snapshots], now)
        return booked

    booked = await agent.database.transact(unit)
    if booked.marked:
        agent.wake_publishers()
    return sum(verdict == "booked" for verdict in booked.verdicts)


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


def _book_page(
    connection: Connection,
    *,
    agent: Agent,
    channel: OpenChannel,
    page: OrderPage,
    asked: datetime,
    before: datetime | None,
) -> Booked:
    """A page and its cursor in one transaction. `covered_to` comes with the last page only.

    asked: when this read was asked. before: when the last complete one was; None: there was none.
    """
    now = agent.clock.now()
    arrivals = [
        Arrival(channel=channel.name, order=_localised(agent, channel, order), absent_at=before)
        for order in page.orders
    ]
    booked = book_orders(connection, agent.setup, arrivals, now=now, run=agent.run)
    _keep_unreadable(connection, agent, channel, page.unreadable, [order.order for order in page.orders], now)
    orders.hint_orders(
        connection, channel.name, {order: "two snapshots of one version differ" for _, order in booked.ask_again}, now
    )
    fields: dict[str, object] = {"cursor": page.cursor}
    if page.covered_to is not None:
        fields |= {"covered_to": page.covered_to, "orders_asked_at": asked, "orders_failed": ""}
        findings.close_findings(connection, _failures(channel.name), "the channel's orders could be read", now)
    channels.save_channel(connection, channel.name, **fields)
    return booked


def _localised(agent: Agent, channel: OpenChannel, order: OrderSnapshot) -> OrderSnapshot:
    return localised(order, channel.setup, agent.setup.locations)


def _keep_unreadable(
    connection: Connection,
    agent: Agent,
    opened: OpenChannel,
    unreadable: Sequence[UnreadableOrder],
    understood: Sequence[str],
    now: datetime,
) -> None:
    channel = accounts.books_as(agent.setup, accounts.channels_of(connection, opened.setup), opened.name)
    orders.keep_unreadable(connection, channel, [(o.order, o.reason, o.raw) for o in unreadable], now)
    findings.open_findings(
        connection,
        [
            Finding(
                kind=FindingKind.UNREADABLE_ORDER,
                subject=(channel, order.order),
                channel=channel,
                summary=f"Order {order.order} on {channel} cannot be understood: {order.reason}. It is kept and was "
                "not booked; look at it at the channel, and ship it by hand if it is right.",
            )
            for order in unreadable
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
