"""Stories of section 6, second part: refusals, partial failures and budgets that run short."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from sqlalchemy import Connection

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import State
from channelsync.sdk.budgets import Lane
from channelsync.sdk.values import PushResult
from channelsync.store import keys

BEGINS = datetime(2026, 3, 2, 12, 11, tzinfo=UTC)
"""When every story begins."""

PLAIN = MarketplaceRules()
COMPARES = PRESETS["compare-and-set"]
REFUSES = replace(COMPARES, cap=12, clamps="refuses", understates={"cap": None})
"""Takes no number above 12, and does not say so."""


@pytest.mark.fails_without("sync.push_results.due_again", lambda now, failures: now + timedelta(minutes=1))
@pytest.mark.fails_without("sync.push_results.REFUSALS_MAX", 99)
async def test_a_refused_number_backs_off_alone_and_is_found(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, {"tea": 10, "cup": 10})
    world.market("shop").offers["shop-cup"].state = State.ENDED
    world.sells("market", 3, "tea")
    world.sells("market", 3, "cup")
    await world.poll("market")
    await world.tick("shop")
    assert [update.key.key for update in world.wires["shop"].pushed[0]] == ["shop-tea", "shop-cup"]
    assert world.shows("shop", "tea") == 7
    await world.lives(20)
    tries = sum(update.key.key == "shop-cup" for batch in world.wires["shop"].pushed for update in batch)
    assert 3 <= tries <= 5
    assert await world.kinds() == ["push refused"]


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.NO_ANSWER])
async def test_an_urgent_lowering_whose_push_fails_waits_for_no_earlier_refusal(open_world, kind: FaultKind) -> None:
    fails = Fault(kind=kind, starts=BEGINS, ends=BEGINS + timedelta(seconds=90), endpoints=frozenset({"push"}))
    late = MarketplaceRules(visibility=(600.0, 600.0))
    world = await open_world({"shop": COMPARES, "market": late}, faults={"shop": [fails]})
    row, again = await world.row("shop"), world.clock.now() + timedelta(hours=6)
    await world.agent.database.transact(lambda c: keys.save_key(c, row.id, failures=9, not_before=again))
    world.sells("market", 1)
    await world.sweeps("market")  # a drop that no order explains yet: what it is due for is urgent
    await world.tick("shop")
    assert world.shows("shop") == 10
    await world.lives(5)
    assert world.shows("shop") == 9


def all_wait(original: Any) -> Any:
    """Whatever is due waits for the end of the pause, lowerings as well."""

    def due(connection: Connection, identity: str, now: datetime, limit: int) -> dict[int, int]:
        found = original(connection, identity, now, limit)
        pauses = {key: record.not_before for key, record in keys.load_keys(connection, found).items()}
        return {key: urgency for key, urgency in found.items() if (pauses[key] or now) <= now}

    return due


@pytest.mark.parametrize("taken", ["by an order", "by a count"])
@pytest.mark.fails_without("store.keys.due_keys", around=all_wait)
async def test_a_lowering_waits_for_no_refused_raise(open_world, taken: str) -> None:
    world = await open_world({"shop": REFUSES, "market": PLAIN})
    await world.receives(10)
    await world.lives(40)
    row = await world.row("shop")
    assert (world.shown(), row.not_before > world.clock.now() + timedelta(minutes=20)) == ([10, 20], True)
    if taken == "by a count":
        await world.receives(-14)
    else:
        world.sells("market", 14)
        await world.poll("market")
    await world.lives(2)
    assert world.shown() == [6, 6]


@pytest.mark.parametrize("taken", ["by an order", "by a drop that no order explains yet"])
@pytest.mark.fails_without("sync.push_results.UNSEEN", ANY)
async def test_a_lowering_that_comes_up_while_a_push_is_refused_waits_for_no_pause(open_world, taken: str) -> None:
    known = taken == "by an order"
    late = replace(PLAIN, visibility=(0.0, 0.0) if known else (600.0, 600.0))
    world = await open_world({"shop": REFUSES, "market": late})
    shop, row = world.wires["shop"].inner, await world.row("shop")
    await world.agent.database.transact(lambda c: keys.save_key(c, row.id, failures=8))

    async def push(updates: Any) -> Any:
        results = await shop.push(updates)
        world.wires["shop"].inner = shop
        world.sells("market", 14)
        await (world.poll if known else world.sweeps)("market")
        return results

    await world.receives(10)
    await world.tick("market")
    world.wires["shop"].inner = SimpleNamespace(push=push, read=shop.read)
    await world.lives(5, poll=False)
    assert world.wires["shop"].values[0] == 20, "this is about a raise that is refused"
    assert world.shown() == [6, 6]


@pytest.mark.fails_without("sync.decide_writes.rested", lambda decision, record, now: decision)
async def test_a_refused_raise_is_not_tried_again_for_every_order_elsewhere(open_world) -> None:
    world = await open_world({"shop": REFUSES, "market": PLAIN})
    await world.receives(30)
    await world.lives(2)
    for _ in range(13):
        world.sells("market", 1)
        await world.poll("market")
        await world.lives(1)
    tried = world.wires["shop"].values
    assert (world.shown(), len(tried) <= 4) == ([10, 27], True)
    await world.receives(-15)
    await world.lives(20)
    assert (world.shown(), world.wires["shop"].values[len(tried) :]) == ([12, 12], [12])


def all_or_nothing(original: Any) -> Any:
    """One refused row is taken for the refusal of all."""

    def record(connection: Any, agent: Any, channel: Any, prepared: Any, results: Any, answered: Any) -> None:
        refused = [one for one in results if one.state == "refused"]
        results = [PushResult.refused(one.key, "the batch failed") for one in results] if refused else results
        original(connection, agent, channel, prepared, results, answered)

    return record


@pytest.mark.fault(32, "the refused row waits alone, the rest is sent again")
@pytest.mark.fails_without("sync.send_writes.record_results", around=all_or_nothing)
async def test_the_rest_of_a_batch_is_sent_again_after_a_partial_failure(open_world) -> None:
    half = Fault(
        kind=FaultKind.PARTIAL, starts=BEGINS, ends=BEGINS + timedelta(seconds=1), endpoints=frozenset({"push"})
    )
    units = {f"sku-{number}": 10 for number in range(8)}
    world = await open_world(["shop", "market"], units, faults={"shop": [half]})
    for sku in units:
        world.sells("market", 3, sku)
    await world.poll("market")
    await world.tick("shop")
    states = [result.state for result in world.wires["shop"].results[0]]
    assert "accepted" in states
    assert set(states) != {"accepted"}
    await world.lives(5)
    assert [world.shows("shop", sku) for sku in units] == [7] * 8
    assert len(world.wires["shop"].values) == 8 + states.count("refused")
    assert await world.kinds() == []


class OneLane:
    """All calls are alike."""

    URGENT = Lane.NORMAL
    NORMAL = Lane.NORMAL


@pytest.mark.fault(46, "lowerings keep their part of the budget")
@pytest.mark.fails_without("sync.send_writes.Lane", OneLane)
async def test_short_of_budget_lowerings_go_and_raises_wait(open_world) -> None:
    small = replace(COMPARES, budget_capacity=50.0, budget_per_second=0.1)
    world = await open_world({"shop": small}, {"tea": 10, "cup": 10})
    world.has_left("shop", 8)  # a fifth of the bucket, 10, is left to what is urgent
    began = world.clock.now()
    await world.receives(-2, "tea")
    await world.tick("shop")
    assert (world.shows("shop", "tea"), world.clock.now() - began) == (8, timedelta())
    await world.receives(5, "cup")
    for _ in range(3):  # it waits for a read, which waits for budget
        await world.tick("shop")
    assert world.clock.now() - began > timedelta(seconds=10)
    assert world.shows("shop", "cup") == 15


def given_up(original: Any) -> Any:
    """What was refused is not tried again."""

    def follow(connection: Any, channel: Any, record: Any, one: Any, result: Any, now: Any) -> Any:
        changed = original(connection, channel, record, one, result, now)
        return changed | {"due_at": now + timedelta(days=9)} if result.state == "refused" else changed

    return follow


@pytest.mark.fails_without("sync.push_results._follow", around=given_up)
async def test_a_number_that_may_be_revised_no_more_today_is_right_tomorrow(open_world) -> None:
    untold = replace(PRESETS["three revisions a day"], understates={"revisions_per_day": None})
    world = await open_world({"shop": untold, "market": PLAIN})
    for _ in range(5):
        world.sells("market", 1)
        await world.poll("market")
        await world.lives(2)
    assert world.shown() == [7, 5]
    await world.lives(20)
    assert len(world.wires["shop"].values) < 14
    assert await world.kinds() == ["push refused"]
    for _ in range(20):
        world.passes(minutes=60)
        await world.tick()
    assert (world.shown(), await world.found()) == ([5, 5], [])
