"""What to do when a channel hints that something changed: note it, so that it is read whatever happens next, and read.

Webhooks are delivered (the inbox hands them over), hints in a queue are fetched here; from `note_hints` on they go the
same way. A hint that is doubled, late or overtaken does no harm: what is read is what is so now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from channelsync.sdk.errors import ChannelError, NeedsSeller
from channelsync.sdk.polled_hints import PollsHints
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.store import keys, orders
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.leasing import Leases
from channelsync.sync.needs_seller import waits_for_seller, works_again
from channelsync.sync.orders_by_id import read_hinted

log = structlog.get_logger(__name__)

READ_AT_MOST_EVERY = 5.0
"""Seconds between two looks at hinted orders: a burst of hints becomes one call."""

_NAME_MAX = 500
_EMPTY_PAUSE, _FAILED_PAUSE, _SELLER_PAUSE = 1.0, 30.0, 300.0
"""Seconds until a queue is asked again: when it was empty, could not be asked, or needs the seller."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What hints were about. anything: one of them does not tell, so whatever is new is to be read."""

    orders: bool = False
    keys: bool = False
    anything: bool = False


def note_hints(
    connection: Connection, channel: str, identity: str, hints: Iterable[WebhookHint], now: datetime
) -> Noted:
    """Notes what is to be read, in the caller's transaction: once it is committed, no hint is lost any more.

    identity: the account of the channel. A key that is not known yet is passed over: its listing is pulled first.
    """
    some = list(hints)
    named = {order: hint.topic for hint in some for order in hint.orders}
    orders.hint_orders(connection, channel, named, now)
    names = {(key.key, key.location) for hint in some for key in hint.keys}
    known = keys.ids_of(connection, identity, names) if names else {}
    keys.want_reads(connection, known.values())
    return Noted(bool(named), bool(known), any(not hint.orders and not hint.keys for hint in some))


def follow(channel: OpenChannel, noted: Noted) -> None:
    """Wakes the loops that read what was noted."""
    if noted.orders:
        channel.wake_hinted.set()
    if noted.keys:
        channel.wake_publisher.set()
    if noted.anything:
        channel.wake_orders.set()


async def read_hints(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Reads the orders that were hinted at, as soon as somebody says that there are some; until it is cancelled."""
    while True:
        await channel.wake_hinted.wait()
        channel.wake_hinted.clear()
        if leases.held(channel.identity):
            booked = await read_hinted(agent, channel)
            log.debug("hints.read", channel=channel.name, booked=booked)
        await agent.clock.sleep(READ_AT_MOST_EVERY)


async def fetch_hints(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Empties the account's queue of hints, until it is cancelled; returns at once where it has none."""
    source = channel.channel
    if not isinstance(source, PollsHints) or not source.polls_hints:
        return
    fine: bool | None = None
    while True:
        if not leases.held(channel.identity):
            await agent.clock.sleep(channel.setup.tick.total_seconds())
            continue
        try:
            while leases.held(channel.identity) and await take_hints(agent, channel, source):
                pass
        except ChannelError as error:
            fine = False
            needs_seller = isinstance(error, NeedsSeller)
            log.warning("hints.not_fetched", channel=channel.name, reason=str(error))
            if needs_seller:
                await agent.database.transact(lambda c, error=error: _tell(c, agent, channel, str(error)))  # type: ignore[misc]
            await agent.clock.sleep(_SELLER_PAUSE if needs_seller else _FAILED_PAUSE)
            continue
        if not fine:
            fine = True
            await agent.database.transact(lambda c: _tell(c, agent, channel, ""))
        await agent.clock.sleep(_EMPTY_PAUSE)


async def take_hints(agent: Agent, channel: OpenChannel, source: PollsHints) -> int:
    """Fetches some hints, notes them, and only then acknowledges them; returns how many messages there were.

    Raises what the channel raises; what was noted by then stays noted.
    """
    messages = await source.hints()
    if not messages:
        return 0
    hints = [one.hint for one in messages if isinstance(one.hint, WebhookHint) and _can_be_noted(one.hint)]
    harmless = sum(isinstance(one.hint, Harmless) for one in messages)
    malformed = len(messages) - len(hints) - harmless
    now = agent.clock.now()
    if hints:
        noted = await agent.database.transact(lambda c: note_hints(c, channel.name, channel.identity, hints, now))
        follow(channel, noted)
    channel.hints.taken += len(hints)
    channel.hints.harmless += harmless
    channel.hints.malformed += malformed
    if malformed:
        log.warning("hints.malformed", channel=channel.name, messages=malformed, so_far=channel.hints.malformed)
    await source.acknowledge(messages)
    return len(messages)


def _can_be_noted(hint: WebhookHint) -> bool:
    """Whether a database takes all that it names: of a message that comes again until it is noted, nothing else may be
    noted before."""
    names = (*hint.orders, *(name for key in hint.keys for name in (key.key, key.location)))
    return all(len(name) <= _NAME_MAX and name.isprintable() for name in names)


def _tell(connection: Connection, agent: Agent, channel: OpenChannel, reason: str) -> None:
    """Opens the finding that hints cannot be fetched; with no reason, closes it."""
    name, now = channel.name, agent.clock.now()
    if not reason:
        works_again(connection, name, "hints", "hints could be fetched", now)
        return
    summary = f"{name}: its queue of hints cannot be read, so changes are seen by polling only: {reason}"
    waits_for_seller(connection, name, "hints", summary, now)
