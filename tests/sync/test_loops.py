"""The loops of a running agent, on simulated time: their pace, what they do first, and how they end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import pytest
from sqlalchemy import text

from channelsync.domain.findings import FindingKind
from channelsync.domain.ledger import Cause, EntryKind, Movement
from channelsync.domain.quantities import PositionKey
from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.channel import Identity
from channelsync.sdk.errors import NotSent, TryLater
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey, QuantityUpdate
from channelsync.store import findings, items, ledger, runs
from channelsync.store.agenda import INTERRUPTED
from channelsync.store.database import open_database
from channelsync.store.items import Item, item_id
from channelsync.sync import loops
from channelsync.sync.agent import Agent
from channelsync.sync.housekeeping import usual_tasks
from channelsync.sync.leasing import Leases
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.loops import FINISH_WITHIN, keep_measures, run_channel
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.schedule import Schedule, held_by
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync_memory import CONNECTOR, MemoryChannel
from channelsync_memory.shop import SHOPS, Shop
from channelsync_memory.world import memory_connector

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
MUG = PositionKey(item_id("MUG"), "main")


@dataclass(slots=True)
class Called:
    """What was asked of the shop, in order: (what, minutes since the start)."""

    calls: list[tuple[str, float]] = field(default_factory=list)
    push_takes: float = 0.0
    broken_until: float = 0.0
    half_done: int = 0
    not_sent: bool = False
    pushing: asyncio.Event = field(default_factory=asyncio.Event)

    def times(self, what: str) -> list[float]:
        return [minute for name, minute in self.calls if name == what]

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


CALLED = Called()


class NotingChannel(MemoryChannel):
    """Notes every call, and does what the test has set in CALLED."""

    def _note(self, what: str) -> None:
        minute = (self._clock.now() - START).total_seconds() / 60
        CALLED.calls.append((what, minute))

    async def check(self) -> Identity:
        self._note("check")
        if (self._clock.now() - START).total_seconds() / 60 < CALLED.broken_until:
            raise TryLater("the shop is shut")
        return await super().check()

    async def orders(self, *, cursor: str | None) -> Any:
        self._note("orders")
        async for page in super().orders(cursor=cursor):
            yield page

    async def order_ids(self, day: date) -> Any:
        self._note(f"ids of {day}")
        async for one in super().order_ids(day):
            yield one

    async def listings(self) -> Any:
        self._note("listings")
        async for one in super().listings():
            yield one

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        if keys:
            self._note("read")
        return await super().read(keys)

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        self._note("push")
        if CALLED.not_sent:
            raise NotSent("the budget is short")
        CALLED.half_done += 1
        CALLED.pushing.set()
        await self._clock.sleep(CALLED.push_takes)
        results = await super().push(updates)
        CALLED.half_done -= 1
        return results


class OthersHoldAll(Leases):
    """The leases of a worker whose accounts another one has."""

    def held(self, identity: str) -> None:
        return None

    async def take(self, identity: str) -> None:
        return None


class EagerEvent(asyncio.Event):
    """Raises when it is waited for again and again although it is set: such a wait gives nobody else a turn."""

    waits = 0

    async def wait(self) -> Literal[True]:
        self.waits = self.waits + 1 if self.is_set() else 0
        if self.waits > 10:
            raise AssertionError("the loop goes round without a pause")
        return await super().wait()


@dataclass(slots=True)
class Stand:
    """An agent with one shop that lists MUG, and its loops."""

    agent: Agent
    shop: Shop
    listing: str

    @property
    def number(self) -> int:
        return self.shop.items[self.listing].number

    async def set_available(self, units: int) -> None:
        """A delivery, or a loss, of so many units."""

        def unit(connection: Any) -> None:
            positions = ledger.lock_positions(connection, [MUG.item])
            movement = Movement(
                id=f"adjust-{positions[MUG].entries}",
                position=MUG,
                kind=EntryKind.ADJUST,
                on_hand=units - positions[MUG].available,
                at=self.agent.clock.now(),
                cause=Cause(actor="test", run="test", reason="counted"),
            )
            ledger.write(connection, [movement], positions, self.agent.clock.now())
            connection.execute(text("UPDATE quantity_key SET due_at = :now"), {"now": self.agent.clock.now()})

        await self.agent.database.transact(unit)
        self.agent.wake_publishers()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """The channel's loops and those around it, cancelled at the end of the block."""
        leases = Leases(self.agent, "test")
        schedule = Schedule(
            agent=self.agent,
            tasks=lambda: usual_tasks(self.agent),
            owner="test",
            held=held_by(self.agent, leases),
            raising=True,
        )
        task = asyncio.create_task(run_channel(self.agent, self.agent.channels["shop"], leases))
        around = [asyncio.create_task(work) for work in (schedule.keep(10), keep_measures(self.agent))]
        try:
            yield task
        finally:
            for one in (task, *around):
                one.cancel()
                with suppress(asyncio.CancelledError):
                    await one

    async def rows(self, table: str) -> list[Any]:
        return await self.agent.database.query(lambda c: c.execute(text(f"SELECT * FROM {table}")).all())


Story = Callable[[Stand], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(sqlite_url: str) -> Play:
    """Plays a story on simulated time: play(story, number=.., units=.., known=False, **fields of ChannelSetup)."""

    async def staged(story: Story, number: int, units: int, known: bool, channel: dict[str, Any]) -> None:
        clock = LabClock()
        connector = memory_connector(NotingChannel)
        settings = CONNECTOR.settings(shop="shop")
        shop = SHOPS["shop"] = Shop(clock)
        listing = shop.list_item("MUG", number).id
        capabilities = connector.capabilities(settings)
        setup = Setup(
            channels={
                "shop": replace(ChannelSetup(name="shop", capabilities=capabilities, locations=("main",)), **channel)
            },
            locations=("main",),
        )
        async with open_database(sqlite_url, inline=True) as database, AsyncExitStack() as stack:
            await database.transact(lambda c: _open(c, units, clock.now()))
            measures = await database.query(lambda c: measure(c, setup, clock.now()))
            agent = Agent(database=database, clock=clock, setup=setup, run="test", measures=measures)
            agent.channels["shop"] = await stack.enter_async_context(
                open_channel(
                    setup.channels["shop"], connector, settings, database=database, clock=clock, rng=random.Random(1)
                )
            )
            if known:
                await identify(agent, agent.channels["shop"])
                await pull_listings(agent, agent.channels["shop"])
                wanted, now = [Wanted("shop", listing, MUG.item)], clock.now()
                await database.transact(lambda c: map_listings(c, setup, wanted, by="test", run="test", now=now))
                agent.channels["shop"].identity = ""
                CALLED.calls.clear()
            await story(Stand(agent, shop, listing))
        del SHOPS["shop"]

    def played(story: Story, *, number: int = 5, units: int = 5, known: bool = True, **channel: Any) -> None:
        CALLED.__init__()  # type: ignore[misc]
        run_virtual(staged(story, number, units, known, channel), start=START)

    return played


def _open(connection: Any, units: int, now: datetime) -> None:
    runs.begin_run(connection, "test", "test", "test", {}, now)
    items.add_items(connection, [Item(id=MUG.item, sku="MUG")], now)
    ledger.open_positions(connection, [MUG])
    positions = ledger.lock_positions(connection, [MUG.item])
    cause = Cause(actor="test", run="test", reason="opening")
    receipt = Movement(id="opening", position=MUG, kind=EntryKind.RECEIPT, on_hand=units, at=now, cause=cause)
    ledger.write(connection, [receipt], positions, now)


def test_nothing_is_asked_but_whose_account_it_is_until_that_is_known(play: Play) -> None:
    async def story(stand: Stand) -> None:
        CALLED.broken_until = 5
        async with stand.running():
            await stand.agent.clock.sleep(4.5 * 60)
            assert set(CALLED.names()) == {"check"}
            await stand.agent.clock.sleep(60)
            assert {"orders", "listings"} <= set(CALLED.names())

    play(story)


def test_orders_are_polled_at_their_pace_and_at_once_when_woken_but_not_more_than_every_15_seconds(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(1201)
            assert CALLED.times("orders") == pytest.approx([0, 10, 20])
            for _ in range(100):
                stand.agent.channels["shop"].wake_orders.set()
                await stand.agent.clock.sleep(0.6)
            assert 4 <= len(CALLED.times("orders")) - 3 <= 5

    play(story, poll=timedelta(minutes=10))


def test_a_poll_in_between_moves_no_later_one(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(4 * 60)
            stand.agent.channels["shop"].wake_orders.set()
            await stand.agent.clock.sleep(17 * 60)
            assert CALLED.times("orders") == pytest.approx([0, 4, 10, 20])

    play(story, poll=timedelta(minutes=10))


def test_a_poll_that_is_wanted_oftener_than_every_15_seconds_is_made_so_often(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(10.5)
            assert len(CALLED.times("orders")) == 11

    play(story, poll=timedelta(seconds=1))


def test_the_quieter_a_channel_is_the_less_often_it_is_asked_and_often_again_after_an_order(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(6 * 3600)
            asked = CALLED.times("orders")
            first_hour = [at for at in asked if at < 60]
            last_hour = [at for at in asked if at >= 300]
            assert 20 <= len(first_hour) <= 40
            assert [round(b - a) for a, b in pairwise(last_hour)] == [10] * 5
            stand.shop.buy((stand.shop.items[stand.listing], 1))
            await stand.agent.clock.sleep(20 * 60)
            seen = CALLED.times("orders")[len(asked) :]
            assert [round(b - a) for a, b in pairwise(seen)][:8] == [1] * 8

    play(story, poll=timedelta(minutes=1), poll_quiet=timedelta(minutes=10), tick=timedelta(minutes=30))


def test_what_the_channel_keeps_itself_is_counted_by_the_sweep_and_left_alone_for_a_while_when_it_cannot_be_read(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, timedelta]] = []

    async def counted(agent: Agent, _channel: object, since: datetime) -> int:
        now = agent.clock.now()
        asked.append(((now - START).total_seconds() / 60, now - since))
        if len(asked) == 3:
            raise TryLater("not now")
        return 0

    async def story(stand: Stand) -> None:
        monkeypatch.setattr(loops, "count_kept", counted)
        async with stand.running():
            await stand.agent.clock.sleep(14.5 * 60)
        assert [at for at, _ in asked] == pytest.approx([0, 1, 2, 12, 13, 14])
        assert {since for _, since in asked} == {timedelta(hours=3)}

    play(story, kept={"N": "theirs"}, tick=timedelta(minutes=1), sweep=timedelta(hours=3))


def test_nothing_is_counted_of_a_channel_that_keeps_nothing_or_that_another_worker_runs(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(*_: object) -> int:
        raise AssertionError("it was asked")

    async def story(stand: Stand) -> None:
        monkeypatch.setattr(loops, "count_kept", counted)
        async with stand.running():
            await stand.agent.clock.sleep(120)
        channel = stand.agent.channels["shop"]
        channel.setup = replace(channel.setup, kept={"N": "theirs"})
        leases = OthersHoldAll(stand.agent, "test")
        task = asyncio.create_task(run_channel(stand.agent, channel, leases))
        await stand.agent.clock.sleep(120)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    play(story)


def test_a_channel_whose_loops_end_by_a_bug_holds_up_no_raise_elsewhere(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("a bug")

    async def story(stand: Stand) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(loops, "poll_orders", broken)
            with pytest.raises(ExceptionGroup):
                async with stand.running() as task:
                    await task
        (row,) = await stand.rows("channel")
        assert row.unreadable_since is not None
        assert row.unreadable_why == "an error of channelsync itself; see its log"
        stand.agent.channels["shop"].unreadable = True  # as it is opened again
        async with stand.running():
            await stand.agent.clock.sleep(60)
        (row,) = await stand.rows("channel")
        assert (row.unreadable_since, row.unreadable_why) == (None, "")

    play(story)


def test_what_changed_is_published_at_once_and_not_at_the_next_tick(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(600)
            await stand.set_available(2)
            await stand.agent.clock.sleep(1)
            assert stand.number == 2

    play(story, tick=timedelta(minutes=10))


def test_a_wake_up_while_another_worker_has_the_account_is_waited_out_and_not_looked_at_without_end(play: Play) -> None:
    async def story(stand: Stand) -> None:
        channel = stand.agent.channels["shop"]
        channel.wake_publisher, channel.wake_orders = EagerEvent(), EagerEvent()
        task = asyncio.create_task(run_channel(stand.agent, channel, OthersHoldAll(stand.agent, "test")))
        for _ in range(3):
            await stand.agent.clock.sleep(60)
            channel.wake_publisher.set()
            channel.wake_orders.set()
        await stand.agent.clock.sleep(60)
        assert not task.done(), task.exception()
        assert CALLED.names() == ["check"]
        task.cancel()
        await asyncio.wait([task])

    play(story)


def test_a_write_that_could_not_leave_is_not_tried_again_in_the_same_tick(play: Play) -> None:
    async def story(stand: Stand) -> None:
        CALLED.not_sent = True
        async with stand.running():
            await stand.agent.clock.sleep(30 * 60 + 1)
            assert 3 <= CALLED.names().count("push") <= 4
            CALLED.not_sent = False
            await stand.agent.clock.sleep(10 * 60)
            assert stand.number == 9

    play(story, units=9, tick=timedelta(minutes=10))


def test_an_order_is_taken_and_the_number_stays_right(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(120)
            stand.shop.buy((stand.shop.items[stand.listing], 2))
            await stand.agent.clock.sleep(1200)
            position = (await stand.rows("position"))[0]
            assert (position.on_hand, position.reserved) == (5, 2)
            assert stand.number == 3
            assert CALLED.names().count("push") == 0

    play(story)


@pytest.mark.parametrize(("audit", "days"), [(24, 2), (6, 5)])
def test_yesterdays_orders_are_audited_as_often_as_the_schedule_says(play: Play, audit: int, days: int) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(25 * 3600)
            asked = [name for name in CALLED.names() if name.startswith("ids of")]
            assert len(asked) == days
            assert asked[0] == "ids of 2026-02-28"

    hour = timedelta(hours=1)  # a day is long: nothing else need happen in it
    play(story, audit=timedelta(hours=audit), tick=hour, poll=hour, poll_quiet=hour)


def test_writes_without_an_answer_are_unknown_and_read_before_anything_is_written(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(300)
        await stand.agent.database.transact(
            lambda c: c.execute(
                text(
                    "INSERT INTO quantity_write (key, generation, value, run, sent_at, outcome, reason, why) "
                    "VALUES (1, 1, 9, 'killed', :now, '', 'raise', x'')"
                ),
                {"now": "2026-03-01 09:05:00.000000"},
            )
        )
        await stand.agent.database.transact(lambda c: c.execute(text("UPDATE quantity_key SET generation = 1")))
        stand.shop.items[stand.listing].number = 9  # it was applied
        CALLED.calls.clear()
        async with stand.running():
            await stand.agent.clock.sleep(300)
        asked = [name for name in CALLED.names() if name in ("read", "listings", "push")]
        assert asked[0] in ("read", "listings")  # both bring the number
        killed = next(one for one in await stand.rows("quantity_write") if one.run == "killed")
        assert killed.outcome == "unknown"
        assert killed.reason == INTERRUPTED
        assert killed.closed_at is not None
        assert stand.number == 5
        open_now = await stand.agent.database.query(findings.list_findings)
        assert open_now == []

    play(story)


def test_writes_without_an_answer_are_asked_about_once(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(600)
        assert CALLED.names().count("push") == 1
        assert {one.outcome for one in await stand.rows("quantity_write")} == {"accepted"}

    play(story, units=9)


def test_a_push_that_is_under_way_when_the_agent_stops_gets_its_answer(play: Play) -> None:
    async def story(stand: Stand) -> None:
        CALLED.push_takes = FINISH_WITHIN.total_seconds() / 2
        async with stand.running() as task:
            await CALLED.pushing.wait()
            stand.agent.stopping = True
            task.cancel()
            await asyncio.wait([task])
        (write,) = await stand.rows("quantity_write")
        assert (write.outcome, CALLED.half_done, stand.number) == ("accepted", 0, 9)

    play(story, units=9)


def test_a_push_that_takes_too_long_is_given_up_when_the_agent_stops(play: Play) -> None:
    async def story(stand: Stand) -> None:
        CALLED.push_takes = 600
        async with stand.running() as task:
            await CALLED.pushing.wait()
            stand.agent.stopping = True
            began = stand.agent.clock.monotonic()
            task.cancel()
            await asyncio.wait([task])
            assert stand.agent.clock.monotonic() - began == pytest.approx(FINISH_WITHIN.total_seconds())
        (write,) = await stand.rows("quantity_write")
        assert write.outcome == ""

    play(story, units=9)


def test_no_push_is_begun_once_the_agent_stops(play: Play) -> None:
    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(300)
            stand.agent.stopping = True
            await stand.set_available(1)
            await stand.agent.clock.sleep(300)
        assert CALLED.names().count("push") == 0

    play(story)


@pytest.mark.parametrize(("every", "by_then"), [(1, True), (60, False)])
def test_what_ran_out_is_released_as_often_as_the_schedule_says(play: Play, every: int, by_then: bool) -> None:
    async def story(stand: Stand) -> None:
        stand.agent.setup = replace(stand.agent.setup, housekeeping=timedelta(minutes=every))
        async with stand.running():
            await stand.agent.clock.sleep(60)
            stand.shop.buy((stand.shop.items[stand.listing], 2))
            await stand.agent.clock.sleep(900)
            await stand.agent.database.transact(
                lambda c: c.execute(text("UPDATE sales_order SET expires_at = placed_at"))
            )
            await stand.agent.clock.sleep(300)
            position = (await stand.rows("position"))[0]
            assert (position.reserved == 0) is by_then

    play(story)


def test_a_finding_kind_exists_for_parts_that_fail() -> None:
    assert FindingKind.TASK_FAILED.value == "task failed"


def test_numbers_of_a_channel_that_was_taken_out_are_the_other_ones_of_its_account_at_once(play: Play) -> None:
    def of_the_other(connection: Any) -> None:
        columns = "identity, orders_failed, unreadable_why, stop, zeroed, mode, reviewed, budgets, breaker"
        connection.execute(text(f"INSERT INTO channel (name, {columns}) SELECT 'other', {columns} FROM channel"))
        connection.execute(text("UPDATE quantity_key SET channel = 'other'"))

    async def story(stand: Stand) -> None:
        async with stand.running():
            await stand.agent.clock.sleep(60)  # its listings are pulled, and not again for hours
        await stand.agent.database.transact(of_the_other)
        async with stand.running():
            await stand.set_available(3)
            await stand.agent.clock.sleep(120)
        assert stand.number == 3
        (key,) = await stand.rows("quantity_key")
        assert key.channel == "shop"

    play(story)


def test_a_lowering_that_comes_up_while_a_raise_waits_for_budget_leaves_at_once(play: Play) -> None:
    async def story(stand: Stand) -> None:
        clock = stand.agent.clock
        async with stand.running():
            await clock.sleep(60)
            stand.agent.channels["shop"].limiter.observe(150, 0.5)  # of 1,000, of which 200 are kept for what is urgent
            await stand.set_available(9)
            await clock.sleep(5)
            assert stand.number == 5, "this is about a raise that waits"
            await stand.set_available(2)
            await clock.sleep(1)
            assert stand.number == 2

    play(story)
