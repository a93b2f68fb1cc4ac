"""Orders that are read by their ids: those that a webhook named, and those of which two snapshots differed.

What cannot be read by its id holds up nothing: it is told, and asked for again after a pause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.orders import OrderSnapshot
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, NeedsSeller
from channelsync.sdk.paging import in_batches
from channelsync.sdk.values import UnreadableOrder
from channelsync.store import findings, order_hints, orders
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.book_orders import Arrival, localised
from channelsync.sync.book_read import book_read, keep_unreadable

log = structlog.get_logger(__name__)

# Orders asked for by id in one call; every channel can take so many ids in an address.
IDS_PER_CALL = 50
# How often an order that was hinted at is asked for to which the channel answers what nobody understands.
HINT_ATTEMPTS = 5
# Into so many groups one is parted of which one order, or more, cannot be read.
_PARTS = 4
# After so many calls in a row that failed it is not an order's fault: the others are not asked for now.
_FAILED_IN_A_ROW = 4
# Until an order that could not be read is asked for again; twice as long each time, up to the longest.
_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
# What the finding is about, beside the channel.
_BY_ID = "orders by id"


async def take_by_id(agent: Agent, channel: OpenChannel, wanted: Sequence[str]) -> int:
    """Books these orders as the channel shows them now; returns how many changed. Raises what the channel raises."""
    found = await channel.channel.orders_by_id(wanted)
    arrivals = [
        Arrival(channel=channel.name, order=as_ours(agent, channel, order), settle=True)
        for order in found
        if isinstance(order, OrderSnapshot)
    ]
    return await book_read(agent, channel, arrivals, [one for one in found if isinstance(one, UnreadableOrder)])


def as_ours(agent: Agent, channel: OpenChannel, order: OrderSnapshot) -> OrderSnapshot:
    """The order with our names for the channel's locations."""
    return localised(order, channel.setup, agent.setup.locations)


async def read_hinted(agent: Agent, channel: OpenChannel) -> int:
    """Reads orders again by id that a webhook named, or whose two snapshots differed; returns how many changed.

    An order that cannot be read holds up no other: a group that failed is asked for in smaller ones, in the end each
    alone. What was not read stays noted, with a finding, and is asked for again after a pause; one to which the channel
    answers nonsense is given up in the end, as an order that cannot be understood.
    """
    booked = in_a_row = 0
    asked = agent.clock.now()
    tried: set[str] = set()
    groups: deque[_Group] = deque()
    trouble = ChannelError()
    were_read = partial(_were_read, agent=agent, channel=channel, asked=asked)
    not_read = partial(_not_read, agent=agent, channel=channel, asked=asked)
    while in_a_row < _FAILED_IN_A_ROW:
        group = groups.popleft() if groups else await _next_group(agent, channel, asked, tried)
        if group is None:
            break
        tried.update(group.orders)
        try:
            booked += await take_by_id(agent, channel, group.orders)
        except ChannelError as error:
            in_a_row, trouble = in_a_row + 1, error
            if group.alone:
                await agent.database.transact(partial(not_read, groups=[group], error=error))
            else:
                groups += group.parts()
        else:
            in_a_row = 0
            await agent.database.transact(partial(were_read, group=group))
    if groups:
        await agent.database.transact(partial(not_read, groups=list(groups), error=trouble))
    return booked


@dataclass(frozen=True, slots=True)
class _Group:
    """Orders that are asked for in one call, each of which could not be read so often before."""

    orders: Sequence[str]
    attempts: int

    @property
    def alone(self) -> bool:
        return len(self.orders) == 1

    def parts(self) -> list[_Group]:
        return [_Group(some, self.attempts) for some in in_batches(self.orders, ceil(len(self.orders) / _PARTS))]


async def _next_group(agent: Agent, channel: OpenChannel, asked: datetime, tried: Collection[str]) -> _Group | None:
    """Orders that are to be read and were not tried yet: the smaller, the oftener they could not be."""
    to_read = partial(order_hints.hints_to_read, channel=channel.name, asked=asked, limit=IDS_PER_CALL, but=tried)
    waiting = await agent.database.query(to_read)
    if not waiting:
        return None
    attempts = waiting[0][1]
    alike = [order for order, before in waiting if before == attempts]
    return _Group(alike[: max(1, IDS_PER_CALL // _PARTS**attempts)], attempts)


def _were_read(connection: Connection, *, agent: Agent, channel: OpenChannel, group: _Group, asked: datetime) -> None:
    orders.drop_hints(connection, channel.name, group.orders, asked)
    if group.attempts:
        _end_finding(connection, channel.name, agent.clock.now())


def _not_read(
    connection: Connection,
    *,
    agent: Agent,
    channel: OpenChannel,
    groups: Sequence[_Group],
    error: ChannelError,
    asked: datetime,
) -> None:
    """They stay noted and are asked for again after a pause. One to which nonsense was answered is given up at last."""
    now, misbehaved = agent.clock.now(), isinstance(error, ChannelMisbehaved)
    for group in groups:
        given_up = misbehaved and group.alone and group.attempts + 1 >= HINT_ATTEMPTS
        if given_up:
            unreadable = [UnreadableOrder(order=one, reason=str(error)) for one in group.orders]
            keep_unreadable(connection, agent, channel, unreadable)
            orders.drop_hints(connection, channel.name, group.orders, asked)
            _end_finding(connection, channel.name, now)
        else:
            pause = min(_PAUSE * 2 ** min(group.attempts, 10), _LONGEST_PAUSE)
            order_hints.hints_failed(connection, channel.name, group.orders, asked, now + pause)
        some = {"channel": channel.name, "orders": len(group.orders), "first": group.orders[0]}
        log.warning("orders.not_read", **some, given_up=given_up, reason=str(error))
    if not misbehaved:
        _begin_finding(connection, channel.name, groups[0].orders[0], error, now)


def _begin_finding(connection: Connection, channel: str, order: str, error: ChannelError, now: datetime) -> None:
    found = Finding(
        kind=FindingKind.NEEDS_SELLER if isinstance(error, NeedsSeller) else FindingKind.CHANNEL_DOWN,
        subject=(channel, _BY_ID),
        channel=channel,
        summary=f"{channel}: orders that it hinted at, {order} among them, cannot be read by their ids: {error}. They "
        "are asked for again, every hour at least, and booked meanwhile as far as its list of orders shows them.",
    )
    findings.open_findings(connection, [found], now)


def _end_finding(connection: Connection, channel: str, now: datetime) -> None:
    """Closes it once nothing is left that could not be read."""
    if order_hints.failed_hints(connection, [channel]) is None:
        kinds = (FindingKind.NEEDS_SELLER, FindingKind.CHANNEL_DOWN)
        over = [fingerprint(kind, channel, _BY_ID) for kind in kinds]
        findings.close_findings(connection, over, "no order that it hinted at is left unread", now)
