"""The schedule of a daemon: which tasks there are. The one place where they come together.

A part of channelsync that has something to do again and again adds its tasks here. A task's name lasts, for its row in
the database is found by it: `what:channel` for a channel's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from channelsync.runtime.backups import backup_tasks
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import ChannelConfig
from channelsync.runtime.feeds import Looks, feed_tasks
from channelsync.runtime.ping import ping_tasks
from channelsync.runtime.wiring import receiver_of
from channelsync.sync.agent import Agent
from channelsync.sync.api_runs import forget_answers
from channelsync.sync.channel_care import check_account, check_webhooks
from channelsync.sync.comparison import compare_channel
from channelsync.sync.housekeeping import usual_tasks
from channelsync.sync.inbox import prune_inbox
from channelsync.sync.pruning import Keep, care_for_file, prune_old
from channelsync.sync.review import hold_drift
from channelsync.sync.schedule import Task
from channelsync.sync.webhook_watch import watch_silence
from channelsync.sync.when import Every, civil_from


def tasks_of(agent: Agent, loaded: Loaded, looks: Looks | None = None) -> list[Task]:
    """Every task that the configuration asks for, whether or not its channel is open here now.

    looks: what this process has seen of its feeds so far; None: nothing.
    """
    tasks = usual_tasks(agent)
    for one in loaded.config.channels:
        tasks += _tasks_of_channel(agent, loaded, one)
    tasks += [*_maintenance(agent, loaded), *_inbox(agent, loaded), _api_answers(agent, loaded)]
    tasks += [*backup_tasks(agent, loaded), *ping_tasks(agent, loaded)]
    return [*tasks, *feed_tasks(agent, loaded, looks or Looks())]


def tasks_kept(agent: Agent, loaded: Callable[[], Loaded]) -> Callable[[], Sequence[Task]]:
    """The tasks of a process that goes on: it remembers what its feeds looked like, and follows the configuration."""
    looks = Looks()
    return lambda: tasks_of(agent, loaded(), looks)


def _tasks_of_channel(agent: Agent, loaded: Loaded, channel: ChannelConfig) -> Sequence[Task]:
    name, schedule = channel.name, loaded.config.schedule
    zone = channel.time_zone or loaded.config.seller.time_zone
    tasks = [
        Task(
            name=f"account:{name}",
            when=Every(schedule.account_check),
            run=partial(check_account, agent, name),
            channel=name,
        )
    ]
    if schedule.comparison:
        when = civil_from(schedule.comparison, zone)
        run = partial(compare_channel, agent, name, review=hold_drift)
        tasks.append(Task(name=f"comparison:{name}", when=when, run=run, channel=name, beside_loops=True))
    address = receiver_of(loaded.config, name)
    if address is not None:
        tasks.append(
            Task(
                name=f"webhooks:{name}",
                when=Every(schedule.webhook_check),
                run=partial(check_webhooks, agent, name, address),
                channel=name,
                of=address,
            )
        )
    return tasks


def _maintenance(agent: Agent, loaded: Loaded) -> Sequence[Task]:
    config = loaded.config
    if not config.schedule.maintenance:
        return ()
    when = civil_from(config.schedule.maintenance, config.seller.time_zone)
    keep = Keep(history=config.schedule.keep, bodies=config.web.keep_bodies)
    tasks = [Task(name="pruning", when=when, run=partial(prune_old, agent, keep))]
    if agent.database.dialect == "sqlite":
        tasks.append(Task(name="database", when=when, run=partial(care_for_file, agent)))
    return tasks


def _api_answers(agent: Agent, loaded: Loaded) -> Task:
    """What was answered to callers of the API is kept for a day, so that a repeat is recognised."""
    return Task(name="answers", when=Every(loaded.config.schedule.housekeeping), run=partial(forget_answers, agent))


def _inbox(agent: Agent, loaded: Loaded) -> Sequence[Task]:
    """Deliveries of webhooks: old ones are taken away, and topics that have fallen silent are noticed."""
    web = loaded.config.web

    async def pruned() -> str:
        bodies, deliveries = await prune_inbox(agent.database, agent.clock, web.keep_bodies, web.keep_deliveries)
        return f"{bodies} bodies and {deliveries} deliveries taken away"

    async def listened() -> str:
        silent = await watch_silence(agent)
        return f"fallen silent: {', '.join(silent)}" if silent else ""

    hourly = Every(loaded.config.schedule.housekeeping)
    return [Task(name="inbox", when=hourly, run=pruned), Task(name="silence", when=hourly, run=listened)]
