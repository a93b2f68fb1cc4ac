"""The schedule on real databases: run once, by whoever claims it; what dies runs again; what fails stops nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.demand import DemandRate
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.store import findings, schedule
from channelsync.store.database import Database, open_database
from channelsync.store.schedule import CLAIM_LASTS, ScheduledTask
from channelsync.sync.agent import Agent
from channelsync.sync.measures import Measures
from channelsync.sync.schedule import LOOK_EVERY, Schedule, Task
from channelsync.sync.setup import Setup
from channelsync.sync.when import FIRST_RETRY, Civil, Every, daily

HOUR = timedelta(hours=1)


class HandClock:
    """Stands still until it is moved; a sleep on it lasts until then. On PostgreSQL rows go by the server's time."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)  # noqa: TID251  # the server's own clock, which decides there, is near this
        self.went_by = 0.0
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.went_by

    async def sleep(self, seconds: float) -> None:
        until = self.went_by + seconds
        while self.went_by < until:
            await self._moved.wait()

    async def passes(self, span: timedelta) -> None:
        """Time passes, and whoever waits for it goes on."""
        self.at += span
        self.went_by += span.total_seconds()
        self._moved.set()
        self._moved.clear()
        await asyncio.sleep(0)


@dataclass(slots=True)
class Bench:
    """Workers that share one database, and the tasks that they have. ran: which worker ran what, in order."""

    database: Database
    clock: HandClock
    tasks: list[Task] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def worker(self, name: str = "one", *, holds: bool = True, database: Database | None = None) -> Schedule:
        setup = Setup(channels={}, locations=("main",))
        measures = Measures(at=self.clock.at, prior=DemandRate(0.5))
        agent = Agent(database=database or self.database, clock=self.clock, setup=setup, run=name, measures=measures)
        return Schedule(agent=agent, tasks=lambda: self.tasks, owner=name, held=lambda _: holds)

    def has(self, name: str = "task", work: Callable[[], Awaitable[str]] | None = None, **fields: Any) -> None:
        async def run() -> str:
            self.ran.append(name)
            return await work() if work else "done as asked"

        self.tasks.append(Task(**{"name": name, "when": Every(HOUR), "run": run} | fields))

    async def row(self, name: str = "task") -> ScheduledTask:
        _, rows = await self.database.query(lambda c: schedule.schedule_now(c, self.clock.at))
        return rows[name]

    async def kinds(self) -> list[str]:
        return [one.kind for one in await self.database.query(findings.list_findings)]

    async def put(self, name: str = "task", **values: Any) -> None:
        """Changes a row behind everybody's back; a span counts from now, by the schedule's time."""
        now, _ = await self.database.query(lambda c: schedule.schedule_now(c, self.clock.at))
        table = schedule.metadata.tables["schedule"]
        spans = {column: now + span if isinstance(span, timedelta) else span for column, span in values.items()}
        await self.database.transact(lambda c: c.execute(table.update().where(table.c.name == name).values(**spans)))


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database, HandClock())


async def test_a_new_task_runs_at_once_and_then_as_often_as_it_should(bench: Bench) -> None:
    bench.has()
    worker = bench.worker()
    for _ in range(3):
        await worker.run_due()
    row = await bench.row()
    assert bench.ran == ["task"]
    assert (row.outcome, row.told, row.owner, row.failures) == ("done", "done as asked", "", 0)
    assert row.ended_at is not None
    assert row.started_at is not None
    assert HOUR - timedelta(minutes=1) < row.next_run_at - row.started_at <= HOUR
    await bench.put(next_run_at=timedelta(seconds=-1))
    await bench.clock.passes(timedelta(seconds=LOOK_EVERY))
    await worker.run_due()
    assert bench.ran == ["task", "task"]


async def test_a_new_task_of_the_wall_clock_waits_for_its_time(bench: Bench) -> None:
    far = (bench.clock.at + timedelta(hours=5)).time()
    bench.has(when=daily(time(far.hour, far.minute), "UTC"))
    await bench.worker().run_due()
    assert bench.ran == []
    assert (await bench.row()).next_run_at > bench.clock.at + timedelta(hours=4)


@pytest.mark.fault(50, "of two workers that look at the same time one runs the task")
async def test_two_workers_never_run_one_task_at_once(bench: Bench, database_url: str) -> None:
    running = asyncio.Event()
    go_on = asyncio.Event()

    async def work() -> str:
        running.set()
        await go_on.wait()
        return ""

    bench.has(work=work)
    async with open_database(database_url) as other:
        workers = [bench.worker("one"), bench.worker("two", database=other)]
        await asyncio.gather(*(worker.look() for worker in workers))
        await running.wait()
        for worker in workers:
            await worker.look()
        assert bench.ran == ["task"]
        go_on.set()
        for worker in workers:
            await worker.run_due()
        assert bench.ran == ["task"]


async def test_of_many_claims_at_the_same_moment_one_is_granted(bench: Bench, database_url: str) -> None:
    bench.has()
    await bench.database.transact(
        lambda c: schedule.save_plans(c, [schedule.Plan(name="task", rule="", next_run_at=bench.clock.at - HOUR)])
    )
    async with open_database(database_url) as other:
        databases = [bench.database, other] * 8
        claims = await asyncio.gather(
            *(
                one.transact(lambda c, n=number: schedule.claim_task(c, "task", f"worker {n}", bench.clock.at))  # type: ignore[misc]
                for number, one in enumerate(databases)
            )
        )
    assert len([claim for claim in claims if claim is not None]) == 1


@pytest.mark.fault(47, "a task whose worker was killed while it ran runs again once the claim has run out")
async def test_a_task_whose_worker_died_runs_again_when_its_claim_has_run_out(bench: Bench) -> None:
    bench.has()
    await bench.database.transact(
        lambda c: schedule.save_plans(
            c, [schedule.Plan(name="task", rule="every 1h", next_run_at=bench.clock.at - HOUR)]
        )
    )
    assert await bench.database.transact(lambda c: schedule.claim_task(c, "task", "dead", bench.clock.at)) is not None
    await bench.worker("alive").run_due()
    assert bench.ran == []
    await bench.put(lease_until=timedelta(seconds=-1))
    await bench.worker("alive").run_due()
    assert bench.ran == ["task"]
    assert (await bench.row()).outcome == "done"


@pytest.mark.fault(49, "a worker that slept past its claim records nothing, and stops what it was doing")
async def test_a_worker_that_lost_its_claim_stops_and_records_nothing(bench: Bench) -> None:
    stopped = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()
        return "never"

    bench.has(work=work)
    asleep = bench.worker("asleep")
    await asleep.look()
    (_, running), *_ = asleep.running.values()
    await asyncio.sleep(0)
    await bench.put(lease_until=timedelta(seconds=-1))
    other = await bench.database.transact(lambda c: schedule.claim_task(c, "task", "other", bench.clock.at))
    assert other is not None
    while not running.done():
        await bench.clock.passes(CLAIM_LASTS / 4)
        await asyncio.wait([running], timeout=0.05)
    assert stopped.is_set()
    row = await bench.row()
    assert (row.owner, row.token, row.outcome) == ("other", other.token, "")


async def test_a_claim_that_was_granted_again_to_the_same_worker_is_ended_by_the_newer_one_only(bench: Bench) -> None:
    plan = schedule.Plan(name="task", rule="", next_run_at=bench.clock.at - HOUR)
    await bench.database.transact(lambda c: schedule.save_plans(c, [plan]))
    claims = []
    for _ in range(2):
        claim = await bench.database.transact(lambda c: schedule.claim_task(c, "task", "one", bench.clock.at))
        assert claim is not None
        claims.append(claim)
        await bench.put(lease_until=timedelta(seconds=-1))
    ending = schedule.Ending(outcome="done", told="", seconds=0, failures=0, next_run_at=bench.clock.at + HOUR)
    ended = [
        await bench.database.transact(lambda c, claim=claim: schedule.end_claim(c, claim, ending, bench.clock.at))  # type: ignore[misc]
        for claim in claims
    ]
    assert ended == [False, True]


async def test_a_task_that_takes_long_keeps_its_claim(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def work() -> str:
        await go_on.wait()
        return "at last"

    bench.has(work=work)
    worker = bench.worker()
    await worker.look()
    await bench.put(lease_until=timedelta(seconds=20))
    before = (await bench.row()).lease_until
    while (await bench.row()).lease_until == before:
        await bench.clock.passes(CLAIM_LASTS / 4)
    go_on.set()
    await worker.run_due()
    assert (await bench.row()).told == "at last"


async def test_a_task_that_fails_stops_no_other_and_is_found_until_it_runs_well_again(bench: Bench) -> None:
    broken = [True]

    async def work() -> str:
        if broken[0]:
            raise ValueError("a bug")
        return ""

    bench.has("broken", work)
    bench.has("sound")
    worker = bench.worker()
    await worker.run_due()
    row = await bench.row("broken")
    assert (await bench.row("sound")).outcome == "done"
    assert (row.outcome, row.told, row.failures) == ("failed", "ValueError: a bug", 1)
    assert row.ended_at is not None
    assert abs(row.next_run_at - row.ended_at - FIRST_RETRY) < timedelta(seconds=1)
    assert await bench.kinds() == ["task failed"]
    broken[0] = False
    await bench.put("broken", next_run_at=timedelta())
    await bench.worker("two").run_due()
    assert (await bench.row("broken")).failures == 0
    assert await bench.kinds() == []


@pytest.mark.parametrize(
    ("error", "found"), [(TryLater("busy"), [0, 0, 1, 1]), (NeedsSeller("connect it anew"), [1, 1, 1, 1])]
)
async def test_a_channel_that_is_busy_for_a_moment_is_no_finding(
    bench: Bench, error: Exception, found: Sequence[int]
) -> None:
    async def work() -> str:
        raise error

    bench.has(work=work)
    told = []
    for _ in found:
        await bench.worker().run_due()
        told.append(len(await bench.kinds()))
        await bench.put(next_run_at=timedelta())
    assert told == found


async def test_a_task_of_a_channel_runs_only_where_its_account_is_held(bench: Bench) -> None:
    bench.has(channel="shop")
    await bench.worker(holds=False).run_due()
    assert bench.ran == []
    await bench.worker(holds=True).run_due()
    assert bench.ran == ["task"]


async def test_what_is_stopped_is_due_as_before_and_can_be_claimed_at_once(bench: Bench) -> None:
    async def work() -> str:
        await asyncio.get_running_loop().create_future()
        return ""

    bench.has(work=work, channel="shop")
    bench.has("other", work, channel="market")
    worker = bench.worker()
    await worker.look()
    await asyncio.sleep(0)
    await worker.end("shop")
    row = await bench.row()
    assert (row.owner, row.outcome) == ("", "")
    assert (await bench.row("other")).owner == "one"
    await worker.end()
    await bench.worker("two").look()
    assert (await bench.row("other")).owner == "two"
    bench.tasks.clear()


async def test_nothing_begins_when_the_agent_stops(bench: Bench) -> None:
    bench.has()
    worker = bench.worker()
    worker.agent.stopping = True
    await worker.run_due()
    assert bench.ran == []


async def test_a_run_that_is_asked_for_comes_at_once_and_a_wish_during_a_run_is_one_for_another(bench: Bench) -> None:
    async def work() -> str:
        if len(bench.ran) == 2:
            await bench.clock.passes(timedelta(seconds=1))
            await bench.database.transact(lambda c: schedule.ask_for_run(c, "task", bench.clock.at))
        return ""

    bench.has(work=work)
    worker = bench.worker()
    await worker.run_due()
    await bench.database.transact(lambda c: schedule.ask_for_run(c, "task", bench.clock.at))
    worker.agent.wake_schedule.set()
    await worker.run_due()
    assert len(bench.ran) == 2
    assert (await bench.row()).asked_at is not None
    await bench.worker("two").run_due()
    assert len(bench.ran) == 3
    assert (await bench.row()).asked_at is None


async def test_a_changed_rule_plans_the_task_anew(bench: Bench) -> None:
    bench.has()
    worker = bench.worker()
    await worker.run_due()
    later = (bench.clock.at + timedelta(hours=3)).time()
    bench.tasks[0] = replace(bench.tasks[0], when=daily(time(later.hour, later.minute), "UTC"))
    await worker.run_due()
    row = await bench.row()
    assert bench.ran == ["task"]
    assert row.rule.startswith("daily at ")
    assert row.next_run_at.time().hour == later.hour
    bench.tasks[0] = replace(bench.tasks[0], when=Every(HOUR), of="observing")
    await worker.run_due()
    assert bench.ran == ["task", "task"]
    assert (await bench.row()).rule == "every 1h, observing"


async def test_a_claim_of_before_a_clock_went_back_keeps_nobody_away(bench: Bench) -> None:
    bench.has()
    worker = bench.worker()
    await worker.run_due()
    await bench.put(owner="gone", lease_until=timedelta(days=1), next_run_at=timedelta(seconds=-1))
    await bench.worker("two").run_due()
    assert bench.ran == ["task", "task"]


async def test_a_look_that_can_show_nothing_new_asks_the_database_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.has()
    worker = bench.worker()
    await worker.run_due()
    await worker.look()
    asked = []
    query = Schedule._rows

    async def counted(self: Schedule) -> Any:
        asked.append(1)
        return await query(self)

    monkeypatch.setattr(Schedule, "_rows", counted)
    for _ in range(10):
        await worker.look()
    assert asked == []
    worker.agent.wake_schedule.set()
    await worker.look()
    await bench.clock.passes(timedelta(seconds=LOOK_EVERY))
    await worker.look()
    assert len(asked) == 2


async def test_in_the_lab_a_bug_in_a_task_ends_the_run(bench: Bench) -> None:
    async def work() -> str:
        raise ValueError("a bug")

    bench.has(work=work)
    worker = bench.worker()
    worker.raising = True
    with pytest.raises(ValueError, match="a bug"):
        await worker.run_due()


async def test_the_table_keeps_one_row_a_task(bench: Bench) -> None:
    bench.has()
    for name in ("one", "two"):
        await bench.worker(name).run_due()
    rows = await bench.database.query(lambda c: c.execute(text("SELECT name FROM schedule")).all())
    assert len(rows) == 1


# Days of it, on simulated time


Story = Callable[[Schedule, LabClock, list[str]], Awaitable[None]]


def days(url: str, when: Every | Civil, story: Story) -> list[str]:
    """Plays a story with a task that notes when it runs, by the clock on the wall."""
    ran: list[str] = []

    async def staged() -> None:
        clock = LabClock()

        async def run() -> str:
            ran.append(f"{clock.now() - clock.skew:%d %H:%M}")
            return ""

        async with open_database(url, inline=True) as database:
            measures = Measures(at=clock.now(), prior=DemandRate(0.5))
            setup = Setup(channels={}, locations=("main",))
            agent = Agent(database=database, clock=clock, setup=setup, run="lab", measures=measures)
            tasks = [Task(name="task", when=when, run=run)]
            await story(
                Schedule(agent=agent, tasks=lambda: tasks, owner="lab", held=lambda _: True, raising=True), clock, ran
            )

    run_virtual(staged(), start=datetime(2026, 3, 26, 9, tzinfo=UTC))
    return ran


async def kept(worker: Schedule, clock: LabClock, hours: float) -> None:
    """A process that goes on for so long and is ended then."""
    task = asyncio.create_task(worker.keep(60))
    await clock.sleep(hours * 3600)
    task.cancel()
    await asyncio.wait([task])


NIGHTLY = daily(time(3, 30), "Europe/London")


def test_over_days_restarts_and_a_change_of_the_clock_a_nightly_task_runs_once_a_night(sqlite_url: str) -> None:
    async def story(worker: Schedule, clock: LabClock, _: list[str]) -> None:
        for hours in (10, 9, 1, 40, 12, 24):
            await kept(worker, clock, hours)

    assert days(sqlite_url, NIGHTLY, story) == ["27 03:30", "28 03:30", "29 02:30", "30 02:30"]


def test_a_night_without_a_process_is_made_up_for_once(sqlite_url: str) -> None:
    async def story(worker: Schedule, clock: LabClock, _: list[str]) -> None:
        await kept(worker, clock, 1)
        await clock.sleep(50 * 3600)
        await kept(worker, clock, 24)

    assert days(sqlite_url, NIGHTLY, story) == ["28 12:00", "29 02:30"]


@pytest.mark.fault(61, "with the wall clock a day ahead for a while, and a day behind, each night's task runs once")
@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(1, ["26 21:00", "28 03:30", "29 02:30"]), (-1, ["27 03:30", "28 03:30", "29 02:30"])],
)
def test_a_wall_clock_that_leaps_runs_each_nights_task_once(sqlite_url: str, ahead: int, expected: list[str]) -> None:
    """A day ahead, the night's run comes early; it does not come again when the clock is put right."""

    async def story(worker: Schedule, clock: LabClock, _: list[str]) -> None:
        task = asyncio.create_task(worker.keep(60))
        await clock.sleep(12 * 3600 - 30)
        clock.skew = timedelta(days=ahead)
        await clock.sleep(2 * 3600)
        clock.skew = timedelta()
        await clock.sleep(56 * 3600)
        task.cancel()
        await asyncio.wait([task])

    assert days(sqlite_url, NIGHTLY, story) == expected


@pytest.mark.parametrize("ahead", [1, -1, 3650])
def test_a_wall_clock_that_leaps_keeps_no_interval_waiting(sqlite_url: str, ahead: int) -> None:
    async def story(worker: Schedule, clock: LabClock, ran: list[str]) -> None:
        task = asyncio.create_task(worker.keep(60))
        await clock.sleep(5.5 * 3600)
        for skew in (timedelta(days=ahead), timedelta()):
            before = len(ran)
            clock.skew = skew
            await clock.sleep(6 * 3600)
            assert len(ran) - before in (5, 6, 7)
        task.cancel()
        await asyncio.wait([task])

    days(sqlite_url, Every(HOUR), story)
