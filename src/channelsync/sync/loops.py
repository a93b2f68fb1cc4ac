"""The loops of a running agent: per channel one that takes orders and one that publishes, and one for the rest.

Timers, webhooks and commands differ only in who puts a key on the agenda or wakes a loop. A channel whose calls
fail goes on trying at its own pace; it never stops another.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from channelsync.sdk.errors import ChannelError
from channelsync.store import keys
from channelsync.store.leases import LeaseLost
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.audit import audit_day
from channelsync.sync.book_orders import expire_orders
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import save_budgets
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.take_orders import poll_orders

log = structlog.get_logger(__name__)

MEASURE_EVERY = timedelta(hours=1)
SWEEP_AT_ONCE = 500
# A woken order poll comes this long after the last one at the earliest; webhooks may wake it a thousand times.
POLL_AT_MOST_EVERY = timedelta(seconds=15)


async def run_channel(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Runs one channel until it is cancelled. Its account is identified first; until that works nothing is written."""
    while not channel.identity:
        try:
            await identify(agent, channel)
        except ChannelError as error:
            log.warning("channel.not_ready", channel=channel.name, reason=str(error))
            await agent.clock.sleep(channel.setup.tick.total_seconds())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_take_orders(agent, channel, leases), name=f"{channel.name}: orders")
        tasks.create_task(_publish(agent, channel, leases), name=f"{channel.name}: publish")
        tasks.create_task(_look_after(agent, channel, leases), name=f"{channel.name}: listings")


async def keep_house(agent: Agent) -> None:
    """Measures demand and delays, ends pending orders whose time limit passed, and stores the budgets."""
    while True:
        await agent.clock.sleep(60)
        await _keep_house_once(agent, agent.clock.now())


async def _keep_house_once(agent: Agent, now: datetime) -> None:
    if now - agent.measures.at >= MEASURE_EVERY:
        agent.measures = await agent.database.query(lambda c: measure(c, agent.setup, now))
    expired = await agent.database.transact(lambda c: expire_orders(c, agent.setup, now=now, run=agent.run))
    if expired.items:
        agent.wake_publishers()
    for channel in agent.channels.values():
        await save_budgets(agent.database, channel)


async def _take_orders(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    while True:
        if leases.held(channel.identity):
            channel.wake_orders.clear()
            await poll_orders(agent, channel)
        await agent.clock.sleep(POLL_AT_MOST_EVERY.total_seconds())
        await _woken(channel.wake_orders, channel.setup.poll - POLL_AT_MOST_EVERY)


async def _publish(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Looks at every tick, and at once when something changed; a burst of changes becomes one look."""
    while True:
        lease = leases.held(channel.identity)
        if lease:
            channel.wake_publisher.clear()
            try:
                await publish_tick(agent, channel, lease.lease)
            except LeaseLost as error:
                log.warning("publish.lease_lost", channel=channel.name, reason=str(error))
        await _woken(channel.wake_publisher, channel.setup.tick)


async def _look_after(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Pulls listings, sweeps numbers that were not read for long, and audits yesterday's orders once a day."""
    pulled_at: datetime | None = None
    audited: datetime | None = None
    while True:
        if leases.held(channel.identity):
            now = agent.clock.now()
            try:
                if pulled_at is None or now - pulled_at >= channel.setup.listings:
                    await pull_listings(agent, channel)
                    pulled_at = now
                await _sweep(agent, channel, now)
                if audited is None or now.date() > audited.date():
                    await audit_day(agent, channel, now.date() - timedelta(days=1))
                    audited = now
            except ChannelError as error:
                log.warning("listings.failed", channel=channel.name, reason=str(error))
        await agent.clock.sleep(channel.setup.tick.total_seconds())


async def _sweep(agent: Agent, channel: OpenChannel, now: datetime) -> None:
    """Puts the longest unread keys on the list of reads; the publisher reads them from its share of the budget."""
    since = now - channel.setup.sweep
    overdue = await agent.database.query(lambda c: keys.unread_since(c, channel.identity, since, SWEEP_AT_ONCE))
    if overdue:
        await agent.database.transact(lambda c: keys.want_reads(c, overdue))


async def _woken(event: asyncio.Event, after: timedelta) -> None:
    """Returns when the event is set, or after this long."""
    try:
        async with asyncio.timeout(max(0.0, after.total_seconds())):
            await event.wait()
    except TimeoutError:
        return
