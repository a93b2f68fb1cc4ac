"""Stories of section 6: a push is done when it was seen, and what is put on the agenda meanwhile is not forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from channelsync.domain.watermark import Timing, Understood
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.sdk.values import Applies
from channelsync.store.key_writes import UNSEEN
from channelsync.store.keys import KeyRecord
from channelsync.sync.setup import ChannelSetup

Rests = Callable[[KeyRecord, Understood, Timing], bool]
PLAIN = MarketplaceRules()


def never(channel: ChannelSetup, record: KeyRecord, now: datetime, **named: Any) -> datetime:
    """No read tells more."""
    return now + timedelta(days=365)


@pytest.mark.fails_without("sync.unseen.tells_more_from", never)
async def test_a_push_is_done_when_it_was_seen(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    pushed = "SELECT outcome, visible_at FROM quantity_write ORDER BY sent_at"
    assert [(row.outcome, row.visible_at) for row in await world.sql(pushed)] == [("accepted", None)]
    await world.lives(3)
    assert all(row.visible_at is not None for row in await world.sql(pushed))


def whatever_came_since(rests: Rests) -> Rests:
    """Looks at the read alone."""
    return lambda record, meant, timing: rests(replace(record, urgency=UNSEEN), meant, timing)


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.understand_reads.rests", around=whatever_came_since)
async def test_a_sale_elsewhere_before_a_push_is_seen_is_not_forgotten_when_it_is(open_world) -> None:
    world = await open_world(["shop", "market"])
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    world.passes(minutes=2)
    world.sells("market", 2)
    await world.poll("market")
    await world.pulls("shop")  # it shows 7, as was written; what was sold since is not on its way yet
    assert (world.shows("shop"), (await world.row("shop")).state.writes) == (7, ())
    await world.tick("shop")
    assert world.shows("shop") == 5


@pytest.mark.fails_without("sync.push_results.UNSEEN", ANY)
async def test_a_lowering_that_comes_up_while_a_push_is_under_way_leaves_as_soon_as_it_is_answered(open_world) -> None:
    world = await open_world(["shop", "market"])
    shop = world.wires["shop"].inner

    async def push(updates: Any) -> Any:
        results = await shop.push(updates)
        world.wires["shop"].inner = shop
        world.sells("market", 4)
        await world.poll("market")
        return results

    world.sells("market", 3)
    await world.poll("market")
    world.wires["shop"].inner = SimpleNamespace(push=push, read=shop.read)
    await world.tick("shop")
    world.passes(seconds=1)
    await world.tick("shop")
    assert world.wires["shop"].values == [7, 3]


async def test_a_read_that_shows_a_push_and_explains_a_drop_of_a_blind_number_lets_it_be_raised(open_world) -> None:
    blind = replace(PRESETS["physical, blind"], understates={"staleness_s": 180.0})
    world = await open_world({"shop": blind, "market": PLAIN})
    shipped = world.sells("shop", 1)
    world.sells("shop", 2)
    await world.poll()
    await world.lives(10)
    world.market("shop").ship(shipped)
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert (world.shows("shop"), await world.held()) == (9, [1])
    world.passes(seconds=10)
    world.sells("market", 1)
    await world.poll()
    await world.tick("shop")
    await world.lives(20)
    assert (await world.available(), world.shown(), await world.held()) == (6, [8, 6], [])


ANY_ORDER = MarketplaceRules(applies=Applies.ANY_ORDER, apply_delay=(0.0, 60.0))


@pytest.mark.fails_without(declares={"applies": "in order"})
async def test_a_write_that_overtakes_another_is_not_trusted_until_the_other_cannot_come_any_more(open_world) -> None:
    world = await open_world({"shop": ANY_ORDER, "market": PLAIN})
    world.delays("shop", 58.0, 1.0)
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    world.passes(seconds=10)
    world.sells("market", 2)
    await world.poll("market")
    await world.tick("shop")
    world.passes(seconds=10)
    await world.sweeps("shop")
    assert (world.shows("shop"), (await world.row("shop")).state.verified) == (5, False)
    world.passes(seconds=45)
    assert world.shows("shop") == 7  # the older write, applied late
    await world.lives(5)
    assert (world.shown(), (await world.row("shop")).state.verified) == ([5, 5], True)
    assert await world.kinds() == []


@pytest.mark.fault(33, "the number is sent again until a read shows it")
@pytest.mark.fails_without("domain.watermark.overdue", lambda write, at, timing: False)
async def test_a_lost_write_is_sent_again_until_it_is_seen(open_world) -> None:
    world = await open_world({"shop": PRESETS["loses accepted writes"], "market": PLAIN})
    for _ in range(4):
        world.sells("market", 1)
        await world.lives(25)
        assert world.shows("shop") == world.shows("market")
