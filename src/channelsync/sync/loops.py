"""The loops of a running agent: per channel one that takes orders, one that publishes, one that sweeps, and the rest.

Timers, webhooks and commands differ only in who puts a key on the agenda or wakes a loop. A channel whose calls
fail goes on trying at its own pace; it never stops another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from channelsync.sdk.budgets import Lane, in_lane, spending
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.tasks import set_or_after
from channelsync.store import agenda, channels, key_reads, keys
from channelsync.store.database_errors import DatabaseError
from channelsync.store.former import former_channels, left_behind
from channelsync.store.leases import LeaseLost
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.beats import WORK_SECONDS, orders_part, publish_part
from channelsync.sync.hints import fetch_hints, read_hints
from channelsync.sync.housekeeping import watch_clock
from channelsync.sync.kept_units import count_kept
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import save_budgets
from channelsync.sync.poll_pace import Pace, affordable_pause, pause_for
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.read_numbers import Published
from channelsync.sync.take_orders import poll_orders

log = structlog.get_logger(__name__)

MEASURE_EVERY = timedelta(hours=1)
SWEEP_AT_ONCE = 500
# Nobody waits for what a channel keeps itself; where it cannot be read now, it is not asked every minute.
COUNTED_AGAIN_AFTER = timedelta(minutes=10)
# A woken order poll comes this long after the last one at the earliest; webhooks may wake it a thousand times.
POLL_AT_MOST_EVERY = timedelta(seconds=15)
# A timer may ring this many seconds before its time; whoever then waited for the rest would poll twice, or for ever.
_EARLY = 0.001
# A tick that is under way when the agent stops; those who stop processes usually wait ten seconds.
FINISH_WITHIN = timedelta(seconds=8)
# The longest pause before listings are pulled again, where numbers of a former name wait for them.
_PULLED_AGAIN = timedelta(hours=1)


async def run_channel(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Runs one channel until it is cancelled. Its account is identified first; until that works nothing is written."""
    while not channel.identity:
        try:
            await identify(agent, channel)
        except ChannelError as error:
            log.warning("channel.not_ready", channel=channel.name, reason=str(error))
            await agent.clock.sleep(channel.setup.tick.total_seconds())
    await leases.take(channel.identity)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_take_orders(agent, channel, leases), name=f"{channel.name}: orders")
            tasks.create_task(_go_on(agent, channel), name=f"{channel.name}: numbers of its former name")
            tasks.create_task(_publish(agent, channel, leases), name=f"{channel.name}: publish")
            tasks.create_task(_sweep(agent, channel, leases), name=f"{channel.name}: sweep")
            tasks.create_task(_count_kept(agent, channel, leases), name=f"{channel.name}: units that it keeps")
            tasks.create_task(read_hints(agent, channel, leases), name=f"{channel.name}: hinted orders")
            tasks.create_task(fetch_hints(agent, channel, leases), name=f"{channel.name}: hints")
    except Exception:
        await _cannot_be_read(agent, channel)
        raise


async def _go_on(agent: Agent, channel: OpenChannel) -> None:
    """What stands under a channel of the account that is not configured any more is this one's, once it has listed it.

    Until then nobody writes those numbers; so its listings are pulled at once, and not first tonight.
    """
    pause = channel.setup.tick
    while await agent.database.query(lambda c: left_behind(c, former_channels(c, channel.name, agent.setup.channels))):
        try:
            pulled = await pull_listings(agent, channel)
        except ChannelError as error:
            log.warning("channel.not_pulled", channel=channel.name, reason=str(error))
            await agent.clock.sleep(pause.total_seconds())
            pause = min(pause * 2, _PULLED_AGAIN)  # it is a whole catalogue
        else:
            log.warning("channel.goes_on", channel=channel.name, numbers=pulled.went_on)
            return


async def _cannot_be_read(agent: Agent, channel: OpenChannel) -> None:
    """Its loops have ended by a bug: raises elsewhere must not wait for its numbers until somebody has mended it."""
    now = agent.clock.now()
    with suppress(DatabaseError):
        said = {"unreadable_since": now, "unreadable_why": "an error of channelsync itself; see its log"}
        await agent.database.transact(lambda c: channels.save_channel(c, channel.name, **said))


def forget_beats(agent: Agent, channel: OpenChannel) -> None:
    """The channel's loops have ended as they should: nobody waits to hear of them."""
    for part in (orders_part(channel.name), publish_part(channel.name)):
        agent.beats.forget(part)


async def keep_measures(agent: Agent) -> None:
    """What every process keeps for itself: it measures demand and delays, stores the budgets, watches its clock."""
    await watch_clock(agent)
    while True:
        await agent.clock.sleep(60)
        await watch_clock(agent)
        now = agent.clock.now()
        if abs(now - agent.measures.at) >= MEASURE_EVERY:
            agent.measures = await agent.database.query(lambda c, now=now: measure(c, agent.setup, now))  # type: ignore[misc]
        await save_budgets(agent.database, *agent.channels.values())


async def _take_orders(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Polls at the pace that `pause_for` says, and in between when it is woken.

    A poll in between moves no later one: channels that wake one another would else fall into step, and for the rest
    of the interval nothing would be learned of any of them.
    """
    due = ordered = agent.clock.monotonic()
    affordable = timedelta()
    while True:
        agent.beats.touch(orders_part(channel.name), WORK_SECONDS)
        pace = Pace(channel.setup.poll, channel.setup.poll_quiet)  # asked anew: a reload may change it
        least = min(POLL_AT_MOST_EVERY, pace.busy).total_seconds()
        channel.wake_orders.clear()  # even where another worker has the account, or this would go round without a pause
        if leases.held(channel.identity):
            lane, channel.orders_urgent = Lane.URGENT if channel.orders_urgent else Lane.NORMAL, False
            with spending() as spent, in_lane(lane):
                taken = await poll_orders(agent, channel)
            affordable = _affordable(channel, spent, agent.clock.now())
            if taken.booked:
                ordered = agent.clock.monotonic()
                log.info("orders.taken", channel=channel.name, seen=taken.orders, booked=taken.booked)
        now = agent.clock.monotonic()
        pause = pause_for(pace, timedelta(seconds=now - ordered), affordable).total_seconds()
        if now >= due - _EARLY:
            due += pause * (1 + max(0.0, now - due) // pause)
        due = min(due, now + pause)
        agent.beats.touch(orders_part(channel.name), pause + WORK_SECONDS)
        await agent.clock.sleep(min(least, due - now))
        await set_or_after(channel.wake_orders, due - agent.clock.monotonic())


def _affordable(channel: OpenChannel, spent: Mapping[str, float], now: datetime) -> timedelta:
    """The shortest pause between polls that cost as much as the last one."""
    budgets, states = channel.limiter.budgets(), channel.limiter.state()
    pauses = [affordable_pause(cost, budgets[name], states[name], now) for name, cost in spent.items()]
    return max(pauses, default=timedelta())


async def _publish(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Looks at every tick, and at once when something changed; a burst of changes becomes one look.

    Whenever it has just got the right to write, it first asks again about writes whose answer nobody has heard.
    """
    asked_for: int | None = None
    while True:
        agent.beats.touch(publish_part(channel.name), channel.setup.tick.total_seconds() + WORK_SECONDS)
        channel.wake_publisher.clear()
        held = leases.held(channel.identity)
        if held:
            token = held.lease.token if held.lease else 0
            if token != asked_for:
                await ask_again(agent, channel)
                asked_for = token
            try:
                with leases.writing(channel.identity, held):
                    await _finished(agent, channel, publish_tick(agent, channel, held.lease))
            except LeaseLost as error:
                log.warning("publish.lease_lost", channel=channel.name, reason=str(error))
        await set_or_after(channel.wake_publisher, channel.setup.tick.total_seconds())


async def ask_again(agent: Agent, channel: OpenChannel) -> None:
    """Before the first write: those of an earlier process without an answer are unknown, and their keys read first."""
    now = agent.clock.now()
    unknown = await agent.database.transact(lambda c: agenda.ask_again(c, channel.identity, now))
    if unknown:
        log.warning("publish.answers_unknown", channel=channel.name, keys=len(unknown))


async def _finished(agent: Agent, channel: OpenChannel, tick: Coroutine[Any, Any, Published]) -> None:
    """One tick. When the agent stops or the channel is closed, it may end: a torn push has no known outcome."""
    task = asyncio.create_task(tick, name=f"{channel.name}: tick")
    try:
        done = await asyncio.shield(task)
    except asyncio.CancelledError:
        if agent.stopping or channel.closing:
            await asyncio.wait([task], timeout=FINISH_WITHIN.total_seconds())
        task.cancel()
        await asyncio.wait([task])
        raise
    if done.writes:
        log.info("quantities.pushed", channel=channel.name, pushed=done.writes, calls=done.write_calls, read=done.reads)


async def _sweep(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Puts the longest unread keys on the list of reads; the publisher reads them from its share of the budget."""
    while True:
        if leases.held(channel.identity):
            since = agent.clock.now() - channel.setup.sweep
            unread = partial(key_reads.unread_since, identity=channel.identity, since=since, limit=SWEEP_AT_ONCE)
            if overdue := await agent.database.query(unread):
                await agent.database.transact(lambda c, overdue=overdue: keys.want_reads(c, overdue))  # type: ignore[misc]
        await agent.clock.sleep(channel.setup.tick.total_seconds())


async def _count_kept(agent: Agent, channel: OpenChannel, leases: Leases) -> None:
    """Counts what the channel keeps itself: as often as the sweep reads, and soon after a listing was mapped."""
    while True:
        pause = channel.setup.tick
        if channel.setup.kept and leases.held(channel.identity):
            try:
                counted = await count_kept(agent, channel, agent.clock.now() - channel.setup.sweep)
            except ChannelError as error:
                log.warning("kept_units.not_counted", channel=channel.name, reason=str(error))
                pause = max(pause, COUNTED_AGAIN_AFTER)
            else:
                if counted:
                    log.info("kept_units.counted", channel=channel.name, numbers=counted)
        await agent.clock.sleep(pause.total_seconds())
