"""`channelsync schedule list|run`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.wiring import open_agent, open_reading, open_run, setup_of, worker_name
from channelsync.sdk.clock import Clock, SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sdk.redaction import redact_text
from channelsync.sdk.tasks import first_of
from channelsync.store import channels
from channelsync.store.database import Database
from channelsync.store.database_errors import PublisherRunning
from channelsync.store.schedule import ScheduledTask, schedule_now
from channelsync.sync.agent import Agent
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import Measures
from channelsync.sync.switches import mode_now

if TYPE_CHECKING:
    from channelsync.sync.schedule import Task
    from channelsync.sync.schedule_shown import TaskShown

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_COLUMNS = ("name", "runs", "next_run_at", "state", "last", "ended_at", "seconds", "told")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="See what is done again and again, and run a task now.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_tasks)
    group.command("run")(run_task)
    app.add_typer(group, name="schedule")


def list_tasks(context: typer.Context, as_json: AsJson = False) -> None:
    """Every task of the schedule: when it runs next, how its last run ended, and what that did.

    Times are UTC; what runs by the wall clock says in which time zone. A task that failed is tried again by itself.
    """
    output = Output(as_json=as_json)
    output.rows(awaited(_listed(invocation(context).load())), _COLUMNS, title="Schedule")


async def _listed(loaded: Loaded) -> list[TaskShown]:
    from channelsync.sync.schedule_shown import shown

    clock = SystemClock()
    async with open_reading(loaded) as database:
        tasks = await _tasks(loaded, database, clock)
        now, rows = await database.query(lambda c: schedule_now(c, clock.now()))
        return shown(tasks, rows, now)


def run_task(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task; `channelsync schedule list` names them all.")],
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for a daemon to run it.")
    ] = 180,
    as_json: AsJson = False,
) -> None:
    """Run a task now, out of its turn.

    While a daemon runs that may run it, the daemon is asked to, and this command waits and prints how it came out.
    Without one the task is run here. When it runs next by itself does not change, but an interval begins anew.

    Ends with 0 when the task ran well, 1 when it failed or nobody has run it within --wait.
    """
    loaded = invocation(context).load()
    row = awaited(_Asked(loaded, name, timedelta(seconds=wait)).run())
    output = Output(as_json=as_json)
    if row is None:
        output.say(f"{name} is asked for and has not been run within {wait:g} s; `channelsync schedule list` shows it.")
        raise typer.Exit(ExitCode.FOUND_WRONG)
    done = {"name": name, "outcome": row.outcome, "told": row.told, "seconds": row.seconds}
    output.document({**done, "started_at": row.started_at, "ended_at": row.ended_at, "next_run_at": row.next_run_at})
    if row.outcome != "done":
        raise typer.Exit(ExitCode.FOUND_WRONG)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A task that somebody wants now, and how that is done. None everywhere: nobody has run it in time."""

    loaded: Loaded
    name: str
    within: timedelta

    async def run(self) -> ScheduledTask | None:
        """By this process if it gets the right to publish, else by the daemon that has it."""
        async with open_reading(self.loaded) as database:
            task = _found(await _tasks(self.loaded, database, SystemClock()), self.name)
            await self._refuse_off(database, task)
        try:
            row = await self._here(task)
        except PublisherRunning:
            row = None
        return row or await self._beside()

    async def _refuse_off(self, database: Database, task: Task) -> None:
        if task.channel:
            states = await database.query(channels.channel_states)
            setup = await database.query(lambda c: setup_of(c, self.loaded, installed()))
            if mode_now(setup.channels[task.channel], states.get(task.channel)) == "off":
                raise CommandFailed(f"{task.channel} is off: `channelsync channels mode {task.channel} live` first.")

    async def _here(self, task: Task) -> ScheduledTask | None:
        """None: another process publishes to the account, or runs the task already."""
        from channelsync.runtime.tasks import tasks_of
        from channelsync.sync.loops import run_channel
        from channelsync.sync.schedule import Schedule, held_by, plain_reason
        from channelsync.sync.schedule_shown import ask_now, wait_for_run

        wanted = None if task.beside_loops else (task.channel,) if task.channel else ()
        async with (
            open_agent(self.loaded, f"schedule run {self.name}", channels=wanted, publisher=True) as agent,
            self._leased(agent, task) as leases,
        ):
            if leases is None:
                return None
            since = await agent.database.transact(lambda c: ask_now(c, task, agent.clock.now()))
            schedule = Schedule(
                agent=agent,
                tasks=lambda: tasks_of(agent, self.loaded),
                owner=worker_name(agent.run),
                held=held_by(agent, leases),
                reason=lambda error: redact_text(plain_reason(error), [SecretStr(one) for one in self.loaded.secrets]),
            )
            loops = agent.channels.values() if task.beside_loops else ()
            try:
                # Loops never end by themselves: where one does, a bug of theirs is told instead of waited out.
                await first_of(
                    schedule.run_due([self.name]), *(run_channel(agent, channel, leases) for channel in loops)
                )
            finally:
                await schedule.end()
            return await wait_for_run(agent.database, agent.clock, self.name, since, timedelta())

    @asynccontextmanager
    async def _leased(self, agent: Agent, task: Task) -> AsyncIterator[Leases | None]:
        """The leases of this process; None: the account is another's."""
        from channelsync.sync.pull_listings import identify

        leases = Leases(agent, worker_name(agent.run), self.loaded.config.limits.lease)
        async with leases.kept():
            if task.channel:
                channel = agent.channels[task.channel]
                if not channel.identity:
                    await identify(agent, channel)
                if not await leases.take(channel.identity):
                    yield None
                    return
            yield leases

    async def _beside(self) -> ScheduledTask | None:
        """Asks whoever may run it, and waits."""
        from channelsync.sync.schedule_shown import ask_now, wait_for_run

        async with open_run(self.loaded, f"schedule run {self.name}") as run:
            task = _found(await _tasks(self.loaded, run.database, run.clock), self.name)
            since = await run.database.transact(lambda c: ask_now(c, task, run.clock.now()))
            await run.wake_others()
            return await wait_for_run(run.database, run.clock, self.name, since, self.within)


async def _tasks(loaded: Loaded, database: Database, clock: Clock) -> list[Task]:
    """What is configured; none of these tasks can be run, for no channel is open."""
    from channelsync.runtime.tasks import tasks_of

    setup = await database.query(lambda c: setup_of(c, loaded, installed()))
    measures = Measures(at=clock.now(), prior=setup.prior_demand)
    return tasks_of(Agent(database=database, clock=clock, setup=setup, run="", measures=measures), loaded)


def _found(tasks: list[Task], name: str) -> Task:
    for task in tasks:
        if task.name == name:
            return task
    like = suggestion(name, [task.name for task in tasks])
    raise CommandFailed(
        f"There is no task {name!r}: {like}; `channelsync schedule list` names them all.", ExitCode.USAGE
    )
