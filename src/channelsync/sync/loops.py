"""The loops of a running agent: per channel one that takes orders and one that publishes, and one for the rest.

Timers, webhooks and commands differ only in who puts a key on the agenda or wakes a loop. A channel whose calls
fail goes on trying at its own pace; it never stops another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog

from channelsync.sdk.errors import ChannelError
from channelsync.store import agenda, key_reads, keys
from channelsync.store.leases import LeaseLost
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.audit import audit_day
from channelsync.sync.book_orders import expire_orders
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import save_budgets
from channelsync.sync.publish import Published, publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.take_orders import book_unmapped, poll_orders

log = structlog.get_logger(__name__)

MEASURE_EVERY = timedelta(hours=1)
SWEEP_AT_ONCE = 500
# A woken order poll comes this long after the last one at the earliest; webhooks may wake it a thousand times.
POLL_AT_MOST_EVERY = timedelta(seconds=15)
# A timer may ring this many seconds before its time; whoever then waited for the rest would poll twice, or for ever.
_EARLY = 0.001
# A tick that is under way when the agent stops; those who stop processes usually wait ten seconds.
FINISH_WITHIN = timedelta(seconds=8)


async def run_channel(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Runs one channel until it is cancelled. Its account is identified first; until that works nothing is written."""
    while not channel.identity:
        try:
            await identify(agent, channel)
        except ChannelError as error:
            log.warning("channel.not_ready", channel=channel.name, reason=str(error))
            await agent.clock.sleep(channel.setup.tick.total_seconds())
    await leases.take(channel.identity)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_take_orders(agent, channel, leases), name=f"{channel.name}: orders")
        tasks.create_task(_publish(agent, channel, leases), name=f"{channel.name}: publish")
        tasks.create_task(_look_after(agent, channel, leases), name=f"{channel.name}: listings")


async def keep_house(agent: Agent) -> None:
    """Measures demand and delays, ends pending orders whose time limit passed, and stores the budgets.

    Whoever maps a listing books the orders that waited for it; those that it did not come to are booked here.
    """
    expired_at = agent.clock.now()
    while True:
        await agent.clock.sleep(60)
        now = agent.clock.now()
        if now - agent.measures.at >= MEASURE_EVERY:
            agent.measures = await agent.database.query(lambda c, now=now: measure(c, agent.setup, now))  # type: ignore[misc]
        if now - expired_at >= agent.setup.housekeeping:
            await _expire(agent, now)
            for name in agent.setup.channels:
                await book_unmapped(agent, name)
            expired_at = now
        await save_budgets(agent.database, *agent.channels.values())


async def _expire(agent: Agent, now: datetime) -> None:
    expired = await agent.database.transact(lambda c: expire_orders(c, agent.setup, now=now, run=agent.run))
    if expired.items:
        log.info("orders.expired", items=len(expired.items))
        agent.wake_publishers()


async def _take_orders(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Polls at fixed intervals, and in between when it is woken.

    A poll in between moves no later one: channels that wake one another would else fall into step, and for the rest
    of the interval nothing would be learned of any of them.
    """
    poll = channel.setup.poll.total_seconds()
    least = min(POLL_AT_MOST_EVERY.total_seconds(), poll)
    due = agent.clock.monotonic()
    while True:
        channel.wake_orders.clear()  # even where another worker has the account, or this would go round without a pause
        if leases.held(channel.identity):
            taken = await poll_orders(agent, channel)
            if taken.booked:
                log.info("orders.taken", channel=channel.name, seen=taken.orders, booked=taken.booked)
        now = agent.clock.monotonic()
        if now >= due - _EARLY:
            due += poll * (1 + max(0.0, now - due) // poll)
        await agent.clock.sleep(min(least, due - now))
        await _woken(channel.wake_orders, timedelta(seconds=due - agent.clock.monotonic()))


async def _publish(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Looks at every tick, and at once when something changed; a burst of changes becomes one look.

    Whenever it has just got the right to write, it first asks again about writes whose answer nobody has heard.
    """
    asked_for: int | None = None
    while True:
        channel.wake_publisher.clear()
        held = leases.held(channel.identity)
        if held:
            token = held.lease.token if held.lease else 0
            if token != asked_for:
                await ask_again(agent, channel)
                asked_for = token
            try:
                with leases.writing(channel.identity, held):
                    await _finished(agent, publish_tick(agent, channel, held.lease), channel.name)
            except LeaseLost as error:
                log.warning("publish.lease_lost", channel=channel.name, reason=str(error))
        await _woken(channel.wake_publisher, channel.setup.tick)


async def ask_again(agent: Agent, channel: OpenChannel) -> None:
    """Before the first write: those of an earlier process without an answer are unknown, and their keys read first."""
    now = agent.clock.now()
    unknown = await agent.database.transact(lambda c: agenda.ask_again(c, channel.identity, now))
    if unknown:
        log.warning("publish.answers_unknown", channel=channel.name, keys=len(unknown))


async def _finished(agent: Agent, tick: Coroutine[Any, Any, Published], name: str) -> None:
    """One tick. When the agent stops, a tick under way may end, for a push that is torn apart has no known outcome."""
    task = asyncio.create_task(tick, name=f"{name}: tick")
    try:
        done = await asyncio.shield(task)
    except asyncio.CancelledError:
        if agent.stopping:
            await asyncio.wait([task], timeout=FINISH_WITHIN.total_seconds())
        task.cancel()
        await asyncio.wait([task])
        raise
    if done.writes:
        log.info("quantities.pushed", channel=name, pushed=done.writes, calls=done.write_calls, read=done.reads)


async def _look_after(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Pulls listings, sweeps numbers that were not read for long, and audits yesterday's orders."""
    pulled_at: datetime | None = None
    audited: datetime | None = None
    while True:
        if leases.held(channel.identity):
            now = agent.clock.now()
            try:
                if pulled_at is None or now - pulled_at >= channel.setup.listings:
                    pulled = await pull_listings(agent, channel)
                    log.info("listings.pulled", channel=channel.name, listings=pulled.listings, gone=pulled.gone)
                    pulled_at = now
                await _sweep(agent, channel, now)
                if audited is None or now - audited >= channel.setup.audit:
                    audit = await audit_day(agent, channel, now.date() - timedelta(days=1))
                    log.info("orders.audited", channel=channel.name, result=str(audit))
                    audited = now
            except ChannelError as error:
                log.warning("listings.failed", channel=channel.name, reason=str(error))
        await agent.clock.sleep(channel.setup.tick.total_seconds())


async def _sweep(agent: Agent, channel: OpenChannel, now: datetime) -> None:
    """Puts the longest unread keys on the list of reads; the publisher reads them from its share of the budget."""
    since = now - channel.setup.sweep
    overdue = await agent.database.query(lambda c: key_reads.unread_since(c, channel.identity, since, SWEEP_AT_ONCE))
    if overdue:
        await agent.database.transact(lambda c: keys.want_reads(c, overdue))


async def _woken(event: asyncio.Event, after: timedelta) -> None:
    """Returns when the event is set, or after this long."""
    try:
        async with asyncio.timeout(max(0.0, after.total_seconds())):
            await event.wait()
    except TimeoutError:
        return
