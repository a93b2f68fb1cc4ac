"""The schedule: tasks that run once each time they are due, whichever of many workers runs them.

A task's row says when it runs next; a worker claims it by changing the row, says while it runs that it is alive, and
ends it with its claim. A claim whose worker died runs out, and the task runs again. So a task must be one that may be
done twice, or half and then anew. A task of a channel runs only where the channel is open and its account is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.errors import ChannelError, TryLater
from channelsync.store import findings, schedule
from channelsync.store.database_errors import DatabaseError
from channelsync.store.leases import database_now
from channelsync.store.schedule import CLAIM_LASTS, Claim, Ending, Plan, ScheduledTask
from channelsync.sync.agent import Agent
from channelsync.sync.leasing import Leases
from channelsync.sync.when import When, first_run, replanned, retry_after, run_after

log = structlog.get_logger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at what is due, where nobody says otherwise."""

FAILURES_TOLD_FROM = 3
"""A channel that cannot be asked for a moment is no finding; one that cannot so often in a row is."""

_TOLD_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is done again and again.

    name: unique and lasting: its row is found by it. run: does it once and says in a sentence what it did; empty:
    nothing worth telling. What it raises is how it failed. channel: it calls this configured channel; empty: none.
    of: what else it follows from; when that changes it is planned anew, as when its time is changed. beside_loops: it
    leaves work to the loops of the channels, and waits for it.
    """

    name: str
    when: When
    run: Callable[[], Awaitable[str]]
    channel: str = ""
    of: str = ""
    beside_loops: bool = False

    @property
    def rule(self) -> str:
        """When it runs, in words; another text means that it must be planned anew."""
        return f"{self.when}, {self.of}" if self.of else str(self.when)


def held_by(agent: Agent, leases: Leases) -> Callable[[str], bool]:
    """Whether this worker may run the tasks of a channel: it is open, known, and its account is held."""

    def held(channel: str) -> bool:
        found = agent.channels.get(channel)
        return found is not None and leases.held(found.identity) is not None

    return held


def plain_reason(error: BaseException) -> str:
    """An error in words."""
    return str(error) if isinstance(error, ChannelError | DatabaseError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the last look has shown: the tasks that were free, and that none of them is due before `until`."""

    rules: dict[str, str]
    until: datetime
    looked: float


@dataclass(slots=True, kw_only=True, repr=False)
class Schedule:
    """The schedule as one worker sees it.

    tasks: all that are configured, asked for at every look. owner: the worker's name. held: see `held_by`. reason:
    an error in words that may be stored and logged. raising: an error that is no channel's also ends `keep`; for the
    lab, where a bug must not pass for a finding.
    """

    agent: Agent
    tasks: Callable[[], Sequence[Task]]
    owner: str
    held: Callable[[str], bool]
    reason: Callable[[BaseException], str] = plain_reason
    raising: bool = False
    running: dict[str, tuple[Task, asyncio.Task[None]]] = field(default_factory=dict)
    _known: _Known | None = None

    async def keep(self, every: float = LOOK_EVERY) -> None:
        """Looks again and again, every so many seconds, until it is cancelled; then ends what runs."""
        try:
            while True:
                await self.look()
                await self.agent.clock.sleep(every)
        finally:
            await self.end()

    async def run_due(self, names: Sequence[str] | None = None) -> None:
        """Claims what is due and may run here, runs it, and returns when all of it has ended. names: only these."""
        await self.look(names)
        while self.running:
            await asyncio.wait([work for _, work in self.running.values()])
            self._forget_ended()

    async def look(self, names: Sequence[str] | None = None) -> None:
        """Claims what is due and may run here, and begins it; does not wait for its end. names: only these."""
        self._forget_ended()
        if self.agent.stopping:
            return
        wanted = [task for task in self.tasks() if names is None or task.name in names]
        idle = [task for task in wanted if task.name not in self.running]
        free = [task for task in idle if not task.channel or self.held(task.channel)]
        if not free:
            return
        if names is None and self._nothing_new(free):
            return
        now, rows = await self._rows()
        if plans := plans_of(free, rows, now):
            await self.agent.database.transact(lambda c: schedule.save_plans(c, plans))
            now, rows = await self._rows()
        self._known = _Known(
            rules=_rules(free),
            until=min((rows[task.name].next_run_at for task in free if task.name in rows), default=now),
            looked=self.agent.clock.monotonic(),
        )
        for task in free:
            row = rows.get(task.name)
            if row is not None and row.due(now) and not row.running(now):
                await self._begin(task)

    def _nothing_new(self, free: Sequence[Task]) -> bool:
        """Whether the last look tells that nothing is due yet: so a look every second costs nothing."""
        known, clock = self._known, self.agent.clock
        woken = self.agent.wake_schedule.is_set()
        self.agent.wake_schedule.clear()
        if known is None or woken or known.rules != _rules(free):
            return False
        return clock.now() < known.until and clock.monotonic() - known.looked < LOOK_EVERY

    async def end(self, channel: str = "") -> None:
        """Stops what runs, of one channel or all; what is stopped is due as before."""
        stopped = [work for task, work in self.running.values() if not channel or task.channel == channel]
        for work in stopped:
            work.cancel()
        if stopped:
            await asyncio.wait(stopped)

    async def _rows(self) -> tuple[datetime, dict[str, ScheduledTask]]:
        local = self.agent.clock.now()
        return await self.agent.database.query(lambda c: schedule.schedule_now(c, local))

    async def _begin(self, task: Task) -> None:
        local = self.agent.clock.now()
        claim = await self.agent.database.transact(lambda c: schedule.claim_task(c, task.name, self.owner, local))
        if claim is not None:
            work = asyncio.create_task(self._run(task, claim), name=f"task {task.name}")
            self.running[task.name] = (task, work)

    def _forget_ended(self) -> None:
        """Drops what has ended; raises what a bug has raised, where that is wanted."""
        ended = [name for name, (_, work) in self.running.items() if work.done()]
        for work in [self.running.pop(name)[1] for name in ended]:
            if not work.cancelled() and (error := work.exception()) is not None:
                raise error

    async def _run(self, task: Task, claim: Claim) -> None:
        """One run of a claimed task, and its end. What it raises is told; nothing but being stopped leaves here."""
        clock = self.agent.clock
        began = clock.monotonic()
        work = asyncio.ensure_future(task.run())
        alive = asyncio.create_task(self._stay_alive(claim, work), name=f"alive {task.name}")
        error: Exception | None = None
        told = ""
        try:
            told = await work
        except asyncio.CancelledError:
            if alive.done():
                log.warning("task.lost", task=task.name, reason="another worker has taken it over")
                return
            await self._give_up(claim)
            raise
        except Exception as raised:  # noqa: BLE001 - a task that fails must not stop the others
            error = raised
        finally:
            work.cancel()
            alive.cancel()
        seconds = round(clock.monotonic() - began, 3)
        try:
            await self._ended(task, claim, told, error, seconds)
        except DatabaseError as failure:
            log.warning("task.not_recorded", task=task.name, reason=str(failure))
        if self.raising and error is not None and not isinstance(error, ChannelError):
            raise error

    async def _stay_alive(self, claim: Claim, work: asyncio.Future[str]) -> None:
        """Renews a claim while its task runs; stops the task, and ends, when another worker has it."""
        while True:
            await self.agent.clock.sleep(CLAIM_LASTS.total_seconds() / 4)
            local = self.agent.clock.now()
            try:
                mine = await self.agent.database.transact(lambda c, local=local: schedule.renew_claim(c, claim, local))  # type: ignore[misc]
            except DatabaseError as error:
                log.warning("task.not_renewed", task=claim.name, reason=str(error))
                continue
            if not mine:
                work.cancel()
                return

    async def _give_up(self, claim: Claim) -> None:
        try:
            await self.agent.database.transact(lambda c: schedule.give_up_claim(c, claim))
        except DatabaseError as error:
            log.warning("task.not_given_up", task=claim.name, reason=str(error))

    async def _ended(self, task: Task, claim: Claim, told: str, error: Exception | None, seconds: float) -> None:
        failures = claim.failures + 1 if error is not None else 0
        words = self.reason(error) if error is not None else told
        local = self.agent.clock.now()

        def unit(connection: Connection) -> bool:
            now = database_now(connection, local)
            next_run_at = run_after(task.when, claim.slot, now, asked=claim.asked)
            if failures:
                next_run_at = retry_after(failures, next_run_at, now)
            ending = Ending(
                outcome="failed" if failures else "done",
                told=words[:_TOLD_MAX],
                seconds=seconds,
                failures=failures,
                next_run_at=next_run_at,
            )
            mine = schedule.end_claim(connection, claim, ending, local)
            if mine:
                _find(connection, task, words, failures, local, lasting=not isinstance(error, TryLater))
            return mine

        mine = await self.agent.database.transact(unit)
        if error is None:
            log.info("task.done", task=task.name, told=told, seconds=seconds)
        else:
            known = isinstance(error, ChannelError)
            log.warning("task.failed", task=task.name, reason=words, again=failures, exc_info=None if known else error)
        if not mine:
            log.warning("task.lost", task=task.name, reason="another worker has taken it over")


def _rules(tasks: Sequence[Task]) -> dict[str, str]:
    return {task.name: task.rule for task in tasks}


def plans_of(tasks: Sequence[Task], rows: Mapping[str, ScheduledTask], now: datetime) -> list[Plan]:
    """What must be written before it can be told what is due: new tasks, and those to be planned anew."""
    plans = []
    for task in tasks:
        row = rows.get(task.name)
        at = (
            first_run(task.when, now)
            if row is None
            else replanned(
                task.when, now, changed=row.rule != task.rule, planned=row.next_run_at, failures=row.failures
            )
        )
        if at is not None:
            plans.append(Plan(name=task.name, rule=task.rule, next_run_at=at, seen=row))
    return plans


def _find(connection: Connection, task: Task, words: str, failures: int, now: datetime, *, lasting: bool) -> None:
    """Opens the finding of a task that failed, closes that of one that ran well. lasting: it mends not by itself."""
    if not failures:
        findings.close_findings(
            connection, [fingerprint(FindingKind.TASK_FAILED, "task", task.name)], "it ran well again", now
        )
    elif lasting or failures >= FAILURES_TOLD_FROM:
        found = Finding(
            kind=FindingKind.TASK_FAILED,
            subject=("task", task.name),
            channel=task.channel,
            summary=f"The task {task.name} of the schedule failed: {words} It is tried again by itself; "
            f"`channelsync schedule run {task.name}` runs it now.",
        )
        findings.open_findings(connection, [found], now)
