"""Stories of section 6: which numbers are written, in which order, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.domain.publishing import Decision
from channelsync.domain.rules import Fixed, LastUnits
from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.values import Applies, PushResult
from channelsync.sync import decide_writes
from channelsync.sync.agent import Agent
from channelsync.sync.raise_waits import Waiting
from channelsync.sync.targets import Target

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""When every world opens; a story begins eleven minutes later."""

BEGINS = NOON + timedelta(minutes=11)
PLAIN = MarketplaceRules()
COMPARES = PRESETS["compare-and-set"]
NOW_OR_EARLIER = datetime.min.replace(tzinfo=UTC)
SLOW = MarketplaceRules(applies=Applies.IN_ORDER, apply_delay=(0.0, 90.0))


# 1: which first, and whether at all


@pytest.mark.fails_without("sync.decide_writes.by_urgency", lambda keys: sorted(keys, key=lambda one: int(one.key)))
async def test_zeroes_leave_first_then_lowerings_then_raises(open_world) -> None:
    one_by_one = {name: replace(PLAIN, updates_per_push=1) for name in ("shop", "market")}
    world = await open_world(one_by_one, {"ash": 10, "bay": 10, "cup": 10})
    await world.receives(5, "ash")
    world.sells("market", 4, "bay")
    world.sells("market", 10, "cup")
    await world.poll("market")
    await world.tick("shop")
    await world.lives(3)
    assert world.wires["shop"].values == [0, 6, 15]


def again(state: Any, reference: Any, wanted: int, _switches: Any) -> Decision:
    """What is shown already is sent all the same."""
    return Decision(action="lower", why="to be sure", value=wanted)


@pytest.mark.fails_without("domain.publishing._nothing_to_send", again)
async def test_a_number_that_sales_bring_about_by_themselves_is_not_sent(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.sells("shop", 4)
    await world.lives(15)
    assert world.shown() == [6, 6]
    assert (world.wires["shop"].values, world.wires["market"].values) == ([], [6])


def as_at_first(original: Any) -> Any:
    """What was found when the keys were surveyed is written, whatever happens meanwhile."""
    first: dict[int, Any] = {}

    def targets(connection: Any, setup: Any, measures: Any, wanted: Any, **named: Any) -> Any:
        found = original(connection, setup, measures, wanted, **named)
        return {key: first.setdefault(key, target) for key, target in found.items()}

    return targets


def whenever(connection: Connection, agent: Agent, wanted: Sequence[int]) -> dict[int, Target]:
    """By the set-up of when the locks were asked for."""
    return decide_writes.compute_targets(connection, agent.setup, agent.measures, wanted, lock=True)


@pytest.mark.fails_without("sync.decide_writes._locked_targets", whenever)
async def test_rules_that_change_while_keys_are_being_locked_are_not_missed(
    open_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world(["shop", "market"])
    computing = decide_writes.compute_targets

    def waiting(*arguments: Any, **named: Any) -> Any:
        """Others had the locks meanwhile; what they marked is due already, and is being decided about."""
        monkeypatch.setattr(decide_writes, "compute_targets", computing)
        found = computing(*arguments, **named)
        world.rule(channel="shop", buffer=Fixed(2))
        return found

    monkeypatch.setattr(decide_writes, "compute_targets", waiting)
    world.sells("shop", 3)
    await world.poll("shop")
    await world.tick("shop")
    assert world.shown() == [5, 10]


@pytest.mark.fails_without("sync.decide_writes.compute_targets", around=as_at_first)
async def test_a_write_is_decided_after_its_call_was_granted(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN})
    granting = world.channel("shop").limiter.acquire

    async def acquire(*arguments: Any, **named: Any) -> Any:
        world.channel("shop").limiter.acquire = granting
        world.sells("market", 3)  # while we wait for the budget
        await world.poll("market")
        return await granting(*arguments, **named)

    world.sells("market", 2)
    await world.poll("market")
    world.channel("shop").limiter.acquire = acquire
    await world.tick("shop")
    assert world.wires["shop"].values == [5]


# 2: raises


@pytest.mark.fails_without(
    "sync.send_writes.raises_waiting_for_reads", lambda *arguments: Waiting(frozenset(), frozenset())
)
async def test_a_raise_is_computed_from_fresh_reads_of_all_keys_of_the_position(open_world) -> None:
    world = await open_world(["shop", "market"], 4)
    world.passes(minutes=5)
    world.sells("market", 3)  # nobody has seen it
    await world.receives(2)
    await world.tick("shop")
    assert world.wires["shop"].values == []
    await world.lives(5)
    assert world.wires["shop"].values == [3]
    assert (world.shown(), world.oversold) == ([3, 3], 0)


def as_if_all_answered(original: Any) -> Any:
    """Nobody looks whether a channel can be read."""
    return lambda connection: {
        name: replace(state, unreadable_since=None) for name, state in original(connection).items()
    }


@pytest.mark.fails_without("store.channels.channel_states", around=as_if_all_answered)
async def test_a_channel_that_is_down_holds_no_raise_elsewhere_up(open_world) -> None:
    down = Fault(kind=FaultKind.OUTAGE, starts=BEGINS, ends=BEGINS + timedelta(hours=2))
    world = await open_world(["shop", "market"], faults={"shop": [down]})
    await world.receives(5)
    await world.lives(10)
    assert (world.shows("market"), world.shows("shop")) == (15, 10)


@pytest.mark.fails_without(
    "sync.send_writes.raises_waiting_for_reads", lambda *arguments: Waiting(frozenset(), frozenset())
)
async def test_a_raise_of_a_component_waits_for_the_bundles_that_take_it(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 4, "cup": 9}, recipes={"set": {"tea": 2, "cup": 1}})
    world.passes(minutes=5)
    world.sells("market", 2, "set")
    await world.receives(3)
    await world.tick("shop")
    assert world.wires["shop"].values == []
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([3, 3], [1, 1])


def reshare(world: Any, shop: int, market: int) -> None:
    """From now on so many percent may be shown by each."""
    world.rule(channel="shop", share=shop)
    world.rule(channel="market", share=market)


def fence(world: Any, shop: int, market: int) -> None:
    """From now on so many units are for one of them alone."""
    world.rule(channel="shop", ring_fenced=shop)
    world.rule(channel="market", ring_fenced=market)


def keep(world: Any, shop: bool, market: bool) -> None:
    """From now on one of them alone keeps the last units."""
    world.rule(last_units=LastUnits(10, ("shop",) if shop else ("market",)))


TIED = [
    pytest.param(reshare, (50, 50), (80, 20), [5, 5], [8, 2], id="share"),
    pytest.param(fence, (0, 4), (4, 0), [6, 10], [10, 6], id="ring fence"),
    pytest.param(keep, (False, True), (True, False), [0, 10], [10, 0], id="last units"),
]


@pytest.mark.on_both_databases
@pytest.mark.parametrize(("tie", "then", "now", "before", "after"), TIED)
@pytest.mark.fails_without("sync.raise_waits._to_be_lowered", lambda *arguments: {})
async def test_a_raise_waits_for_a_lowering_elsewhere_that_has_not_left_yet(
    open_world, tie: Any, then: tuple[Any, Any], now: tuple[Any, Any], before: list[int], after: list[int]
) -> None:
    world = await open_world(["shop", "market"])
    tie(world, *then)
    await world.receives(0)
    await world.lives(5)
    world.passes(seconds=40)
    await world.sweeps()
    assert world.shown() == before
    tie(world, *now)
    await world.receives(0)
    await world.tick("shop")
    assert world.shown() == before
    await world.tick("market", "shop")
    await world.lives(5)
    assert world.shown() == after


@pytest.mark.fails_without("sync.raise_waits._is_being_lowered", lambda *arguments: False)
async def test_a_raise_waits_until_the_lowering_elsewhere_is_visible(open_world) -> None:
    world = await open_world({"shop": PLAIN, "market": SLOW})
    reshare(world, 50, 50)
    await world.receives(0)
    await world.lives(5)
    assert world.shown() == [5, 5]
    world.delays("market", 75.0)
    reshare(world, 80, 20)
    await world.receives(0)
    most = 0
    for _ in range(6):
        await world.tick("market", "shop")
        most = max(most, sum(world.shown()))
        world.passes(seconds=30)
    assert most <= 10
    await world.lives(5)
    assert world.shown() == [8, 2]


@pytest.mark.fails_without("sync.raise_waits._WHENEVER", NOW_OR_EARLIER)
async def test_a_raise_wakes_nobody_again_whose_lowering_waits_to_be_seen(open_world) -> None:
    """Two that waked one another would go round without a pause, and no time would pass for what they wait for."""
    world = await open_world({"shop": PLAIN, "market": SLOW})
    reshare(world, 50, 50)
    await world.receives(0)
    await world.lives(5)
    world.delays("market", 75.0)
    reshare(world, 100, 0)
    await world.receives(0)
    await world.tick("market", "shop")
    reshare(world, 80, 20)  # a raise of the market now, to less than it still shows
    await world.receives(0)
    woken = []
    for _ in range(5):
        for name in ("market", "shop"):
            world.channel(name).wake_publisher.clear()
        await world.tick("market", "shop")
        woken.append(world.channel("market").wake_publisher.is_set())
    assert world.shown() == [5, 5], "this is about a raise that waits"
    assert woken[-1] is False
    await world.lives(10)
    assert world.shown() == [8, 2]


# 3: compare-and-set


@pytest.mark.fails_without(declares={"compare_and_set": False})
async def test_with_compare_and_set_a_write_never_puts_back_what_was_sold_meanwhile(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, 5)
    world.sells("market", 3)
    await world.poll("market")
    world.wires["shop"].before_push = lambda: world.sells("shop", 2)
    await world.tick("shop")
    assert world.market("shop").can_buy("shop-tea") == 0
    await world.lives(5)
    assert (world.shown(), world.oversold) == ([0, 0], 0)


@pytest.mark.fails_without("sync.publish.ROUNDS_MAX", 50)
async def test_a_number_that_changes_under_every_write_goes_back_to_the_agenda(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, 100)
    wire = world.wires["shop"]
    buyers = iter(range(20))

    def buys() -> None:
        if next(buyers, None) is not None:
            world.sells("shop", 1)
            wire.before_push = buys

    world.sells("market", 30)
    await world.poll("market")
    wire.before_push = buys
    await world.tick("shop")
    assert 1 < len(wire.pushed) <= 4
    wire.before_push = None
    await world.lives(5)
    assert world.shown()[0] == world.shown()[1] == await world.available()


def unread(agent: Any, channel: Any, wanted: Any, done: Any) -> Any:
    """Nothing is read before a write."""

    async def none() -> None:
        return None

    return none()


@pytest.mark.fails_without("sync.send_writes._read_before_write", unread)
async def test_without_compare_and_set_numbers_are_read_just_before_they_are_written(open_world) -> None:
    world = await open_world(["shop", "market"], 5)
    world.sells("market", 3)
    await world.poll("market")
    world.sells("shop", 2)  # our next write says 2
    await world.tick("shop")
    assert world.market("shop").can_buy("shop-tea") == 0
    assert (world.wires["shop"].values, world.oversold) == ([0], 0)


def never_where_stale(original: Any) -> Any:
    """Where reads are stale nothing is read before a write."""

    async def read(agent: Any, channel: Any, wanted: Any, done: Any) -> None:
        if not channel.setup.capabilities.timing.staleness:
            await original(agent, channel, wanted, done)

    return read


@pytest.mark.fails_without("sync.send_writes._read_before_write", around=never_where_stale)
async def test_where_reads_are_stale_too_a_write_swallows_no_sale_that_a_read_can_show(open_world) -> None:
    world = await open_world({"shop": replace(PLAIN, read_lag=(5.0, 5.0)), "market": PLAIN}, 40)
    world.sells("shop", 4)
    world.passes(minutes=5)  # no webhook told of it
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    assert (world.wires["shop"].values, await world.held()) == ([33], [4])
    await world.lives(15)
    assert (world.shown(), await world.held(), world.oversold) == ([33, 33], [], 0)


@pytest.mark.fails_without("store.key_reads.untouched_since", lambda connection, ids, since: list(ids))
async def test_where_reads_are_stale_a_number_that_was_just_read_is_not_read_again_before_it_is_written(
    open_world,
) -> None:
    world = await open_world({"shop": replace(PLAIN, read_lag=(60.0, 60.0)), "market": PLAIN}, 40)
    await world.sweeps("shop")
    asked = len(world.wires["shop"].asked)
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    assert (world.wires["shop"].values, len(world.wires["shop"].asked)) == ([37], asked)


def silent(cls: type[PushResult], key: Any, shown: int | None = None) -> PushResult:
    """An answer that tells no number."""
    return cls(key=key, state="accepted")


@pytest.mark.fails_without("sdk.values.PushResult.accepted", classmethod(silent))
async def test_an_answer_that_tells_the_number_is_a_read(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN})
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    row = await world.row("shop")
    assert (row.state.watermark.value, row.state.writes, world.wires["shop"].asked) == (7, (), [])


# 4: unknown outcomes


@pytest.mark.fault(26, "the number is read before it is sent again")
@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.send_writes.OutcomeUnknown", AnswerUnreadable)
async def test_a_write_whose_answer_was_lost_is_read_before_it_is_sent_again(open_world) -> None:
    lost = Fault(
        kind=FaultKind.NO_ANSWER_AFTER, starts=BEGINS, ends=BEGINS + timedelta(seconds=1), endpoints=frozenset({"push"})
    )
    world = await open_world(["shop", "market"], faults={"shop": [lost]})
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    assert world.shows("shop") == 7  # it was applied, and nobody told us
    world.sells("shop", 1)
    await world.lives(1, poll=False)
    assert (await world.held(), world.wires["shop"].values[:1]) == ([1], [7])
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([6, 6], [])
