"""What is done for the whole seller now and then: what ran out is released, what waited for a mapping is booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.store import findings, restoring
from channelsync.sync.agent import Agent
from channelsync.sync.audit import audit_day
from channelsync.sync.book_orders import expire_orders
from channelsync.sync.clock_watch import STEP
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.schedule import Task
from channelsync.sync.take_orders import book_unmapped
from channelsync.sync.when import Every

log = structlog.get_logger(__name__)

HOUSEKEEPING = "housekeeping"
"""The name of the task."""

_TOLD_LATELY = timedelta(minutes=10)


def usual_tasks(agent: Agent) -> list[Task]:
    """The tasks of every running agent, the lab's as well: listings, completeness audits, housekeeping."""
    tasks = [Task(name=HOUSEKEEPING, when=Every(agent.setup.housekeeping), run=partial(keep_house, agent))]
    for name, channel in agent.setup.channels.items():
        if not channel.by_sku:
            pull, audit = partial(_pull, agent, name), partial(_audit, agent, name)
            mode = "observing" if channel.only_observe or channel.mode == "observe" else ""
            every = Every(channel.listings)
            # When observing ends every number is read anew, so that those become due that are to be written now.
            tasks.append(Task(name=f"listings:{name}", when=every, run=pull, channel=name, of=mode))
            tasks.append(Task(name=f"audit:{name}", when=Every(channel.audit), run=audit, channel=name))
    return tasks


async def keep_house(agent: Agent) -> str:
    """Ends pending orders whose time limit passed, and books lines that whoever mapped a listing did not come to.

    While the wall clock is not believed no order ends because of the time.
    """
    told = [await _expire(agent)]
    booked = sum([await book_unmapped(agent, name) for name in agent.setup.channels])
    if booked:
        told.append(f"{booked} orders that waited for a mapping were booked")
    return "; ".join(one for one in told if one)


async def watch_clock(agent: Agent) -> None:
    """Lets the agent's watch look at its clock, beside what the channels told lately of theirs.

    When the clock went back, what was read, sent and put off at times that are yet to come would stand still until
    then: it is taken back. A process that has just begun looks whether there is any.
    """
    now = agent.clock.now()
    told = ((name, one.breaker.server_time) for name, one in agent.channels.items())
    fresh = [(name, time) for name, time in told if time is not None and abs(now - time.answered) <= _TOLD_LATELY]
    watch = agent.clock_watch
    watch.look(now, agent.clock.monotonic(), [(name, time.ahead) for name, time in fresh])
    if watch.went_back is not False:
        ahead = await agent.database.query(lambda c: restoring.of_the_future(c, now + STEP))
        if watch.went_back or ahead:
            await _begin_again(agent, now)
        watch.went_back = False


async def _begin_again(agent: Agent, now: datetime) -> None:
    await agent.database.transact(lambda c: restoring.forget_the_future(c, now))
    since = agent.setup.orders_since
    if since is not None and since > now:
        agent.setup = replace(agent.setup, orders_since=now)
    log.warning("clock.went_back", reason="what was read and sent later than now is read anew")
    agent.wake_publishers()


async def _expire(agent: Agent) -> str:
    now, watch = agent.clock.now(), agent.clock_watch
    opened: Sequence[Finding] = ()
    if watch.wrong:
        summary = (
            f"The clock of this machine is wrong: {watch.wrong}. No order ends because of the time until it is right; "
            "let NTP set it, then it is believed again by itself."
        )
        opened = [Finding(kind=FindingKind.CLOCK_WRONG, subject=("clock",), summary=summary)]
        await agent.database.transact(lambda c: findings.open_findings(c, opened, now))
        return summary
    if not watch.believed(agent.clock.monotonic()):
        return "no order ended: the clock has leapt, or this process has just begun"
    closed = [fingerprint(FindingKind.CLOCK_WRONG, "clock")]
    await agent.database.transact(lambda c: findings.close_findings(c, closed, "the clock is right again", now))
    expired = await agent.database.transact(lambda c: expire_orders(c, agent.setup, now=now, run=agent.run))
    if not expired.items:
        return ""
    agent.wake_publishers()
    return f"pending orders ended that held units of {len(expired.items)} items"


async def _pull(agent: Agent, name: str) -> str:
    pulled = await pull_listings(agent, agent.channels[name])
    return f"{pulled.listings} listings, {pulled.gone} gone" + (f", {pulled.missing} missing" if pulled.missing else "")


async def _audit(agent: Agent, name: str) -> str:
    """Yesterday's orders, by UTC days as channels list them."""
    return str(await audit_day(agent, agent.channels[name], agent.clock.now().date() - timedelta(days=1)))
