"""Stories of section 6, third part: marketplaces that let a listing be revised only so often a day."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.stage import StageOptions, open_stage
from channelsync.sdk.values import Applies
from channelsync.sync.pull_listings import identify
from channelsync.sync.reconcile import planned_now
from channelsync.sync.write_limits import Rations

PLAIN = MarketplaceRules()
THREE = PRESETS["three revisions a day"]
UNDECLARED: dict[str, object] = {"revisions_per_day": None}


def span_of(world: Any) -> timedelta:
    """How long a revision at the shop counts."""
    span: timedelta = world.channel("shop").setup.capabilities.writes_per_day.span
    return span


def refused(world: Any) -> list[str]:
    """Why the shop refused writes."""
    return [one.reason for batch in world.wires["shop"].results for one in batch if one.state == "refused"]


async def counted(world: Any, *units: int, sku: str = "tea") -> None:
    """So many units more or less are there, one count after another, and all channels publish after each."""
    for one in units:
        await world.receives(one, sku)
        world.passes(minutes=1)
        await world.tick()
        await world.tick()


@pytest.mark.on_both_databases
@pytest.mark.fails_without(declares=UNDECLARED)
async def test_the_last_revisions_of_a_day_are_kept_for_lowerings(open_world) -> None:
    world = await open_world({"shop": THREE, "market": PLAIN})
    await counted(world, 1, 1, 1)
    assert world.shown() == [12, 13]
    await counted(world, -5)
    assert world.shown() == [8, 8]
    assert (refused(world), await world.kinds()) == ([], [])
    for _ in range(26):
        world.passes(minutes=60)
        await world.tick()
    await counted(world, 2)
    assert (world.shown(), refused(world)) == ([10, 10], [])


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.decide_writes.tell_blocked", lambda *arguments: None)
async def test_a_lowering_that_no_revision_is_left_for_is_found_until_it_is_done(open_world) -> None:
    world = await open_world({"shop": THREE, "market": PLAIN})
    first = world.clock.now() + timedelta(minutes=1)
    await counted(world, -1, -1, -1, -1)
    assert (world.shown(), refused(world)) == ([7, 6], [])
    found = await world.found()
    assert [one.kind for one in found] == ["writes spent"]
    begins = f"{first + span_of(world):%Y-%m-%d %H:%M}"
    assert f"shop listing shop-tea cannot be lowered until {begins} UTC" in found[0].summary
    assert found[0].evidence["should"] == 6
    world.passes(minutes=60 * 23)
    await world.tick()
    assert (world.shown(), len(await world.found())) == ([7, 6], 1)
    world.passes(minutes=60)
    await world.tick()
    await world.tick()
    assert (world.shown(), await world.found()) == ([6, 6], [])


def soon_again(original: Any) -> Any:
    """Whoever waits is looked at with every tick."""

    def within(*arguments: Any) -> Any:
        decision = original(*arguments)
        return decision if decision.until is None else replace(decision, until=arguments[-1])

    return within


@pytest.mark.fails_without("sync.write_limits.within_limit", around=soon_again)
async def test_who_waits_for_revisions_is_looked_at_when_there_are_some_again_and_says_so(open_world) -> None:
    world = await open_world({"shop": THREE, "market": PLAIN})
    first = world.clock.now() + timedelta(minutes=1)
    await counted(world, 1, 1, 1)
    sent = len(world.wires["shop"].values)
    await world.lives(30)
    due_at = (await world.row("shop")).due_at
    assert due_at == first + span_of(world)
    (number,) = [one for one in (await world.explained()).numbers if one.channel == "shop"]
    assert (number.action, number.due_at, number.should, number.shown) == ("wait", due_at, 13, 12)
    (planned,) = await planned_now(world.agent, [(await world.row("shop")).id])
    assert (planned.action, planned.state) == ("wait", "not allowed")
    assert number.why.startswith(f"raise from 12 to 13 waits until {due_at:%Y-%m-%d %H:%M} UTC: the channel takes 3 ")
    assert len(world.wires["shop"].values) == sent
    world.clock.at = due_at
    await world.tick()
    await world.tick()
    assert world.shows("shop") == 13


@pytest.mark.on_both_databases
@pytest.mark.fails_without("store.sent_writes.sent_since", lambda *arguments: {})
async def test_revisions_are_counted_over_a_restart(open_world) -> None:
    world = await open_world({"shop": THREE, "market": PLAIN})
    await counted(world, 1, 1)
    agent, stage = world.agent, world.stage
    async with AsyncExitStack() as stack:
        world.stage = await stack.enter_async_context(
            open_stage(
                database=agent.database,
                clock=world.clock,
                sites=stage.sites,
                wares=stage.wares,
                channels=agent.setup.channels,
                options=StageOptions(setup=agent.setup, referee=stage.referee),
            )
        )
        for channel in world.agent.channels.values():
            await identify(world.agent, channel)
        await counted(world, 1)
        assert world.shown() == [12, 13]
        await counted(world, -5)
        assert world.shown() == [8, 8]


@pytest.mark.fails_without("sync.decide_writes._read_or_rest", lambda *arguments: None)
async def test_who_waits_for_revisions_still_looks_whether_the_last_one_is_visible(open_world) -> None:
    slow = replace(THREE, applies=Applies.IN_ORDER, apply_delay=(5.0, 60.0))
    world = await open_world({"shop": slow, "market": PLAIN})
    for _ in range(4):
        await world.receives(-1)
        world.passes(seconds=10)
        await world.tick()
    assert world.wires["shop"].values == [9, 8, 7]
    assert len((await world.row("shop")).state.writes) > 0
    await world.lives(5, poll=False)
    row = await world.row("shop")
    assert (row.state.writes, row.state.watermark.value, world.shows("shop")) == ((), 7, 7)
    assert row.due_at > world.clock.now() + timedelta(hours=23)


def pages_unseen(original: Any) -> Any:
    return lambda listing: replace(original(listing), page="")


async def variations(open_world: Any, skus: Iterable[str], **channel: Any) -> Any:
    """The shop's listings are variations of one page."""
    world = await open_world({"shop": THREE, "market": PLAIN}, dict.fromkeys(skus, 10), channel=channel)
    for offer in world.market("shop").offers.values():
        offer.page = "tableware"
    await world.pulls("shop")
    return world


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.pull_listings._seen", around=pages_unseen)
async def test_the_revisions_of_all_variations_of_a_page_count_together(open_world) -> None:
    world = await variations(open_world, ["tea", "cup"])
    await counted(world, 1)
    await counted(world, 1, sku="cup")
    await counted(world, 1)
    assert (world.shown("tea"), world.shown("cup")) == ([11, 12], [11, 11])
    await counted(world, -3, sku="cup")
    assert world.shown("cup") == [8, 8]
    await counted(world, -3)
    assert (world.shown("tea"), refused(world)) == ([11, 9], [])
    (found,) = await world.found()
    assert "shop listing tableware cannot be lowered" in found.summary


@pytest.mark.fails_without("sync.write_limits.Rations.count", lambda *arguments: None)
async def test_one_call_takes_no_more_revisions_of_a_page_than_are_left(open_world) -> None:
    skus = [f"sku-{number}" for number in range(6)]
    world = await variations(open_world, skus)
    for sku in skus:
        await world.receives(-1 if sku == "sku-5" else 1, sku)
    world.passes(minutes=1)
    for _ in range(4):
        await world.tick()
    assert refused(world) == []
    assert world.shows("shop", "sku-5") == 9
    assert sorted(world.shows("shop", sku) for sku in skus[:5]) == [10, 10, 10, 10, 11]


@pytest.mark.fails_without("sync.write_limits.Rations.count", lambda *arguments: None)
async def test_while_observing_what_is_predicted_at_once_counts_together(open_world) -> None:
    skus = [f"sku-{number}" for number in range(6)]
    world = await variations(open_world, skus, mode="observe")
    since = world.clock.now()
    for sku in skus:
        await world.receives(1, sku)
    for _ in range(4):
        world.passes(minutes=1)
        await world.tick()
    targets = "SELECT target FROM prediction WHERE channel = 'shop' AND at > :since"
    assert [row.target for row in await world.sql(targets, since=f"{since:%Y-%m-%d %H:%M:%S}")] == [11, 11]


def all_that_is_wanted(original: Any) -> Any:
    """Whatever should be shown is predicted."""
    return lambda connection, setup, records, now: Rations(setup, {}, now)


@pytest.mark.on_both_databases
@pytest.mark.fails_without("sync.decide_writes.observed_rations", around=all_that_is_wanted)
async def test_while_observing_no_more_is_predicted_than_could_be_written(open_world) -> None:
    world = await open_world({"shop": THREE}, channel={"mode": "observe"})
    begun = len(await world.sql("SELECT target FROM prediction"))

    async def predicted() -> list[int]:
        rows = await world.sql("SELECT target FROM prediction ORDER BY at")
        return [row.target for row in rows][begun:]

    await counted(world, 1, 1, 1)
    assert await predicted() == [11, 12]
    await counted(world, -5)
    assert await predicted() == [11, 12, 8]
    await counted(world, -1)
    assert await predicted() == [11, 12, 8]
    for _ in range(26):
        world.passes(minutes=60)
        await world.tick()
        await world.tick()
    assert await predicted() == [11, 12, 8, 7]
    assert (world.wires["shop"].values, await world.kinds()) == ([], [])


def lowered_anyway(original: Any) -> Any:
    """Only raises wait."""
    return lambda decision, *more: decision if decision.action == "lower" else original(decision, *more)


@pytest.mark.fails_without("sync.write_limits.within_limit", around=lowered_anyway)
async def test_a_lowering_that_waits_for_revisions_holds_no_raise_elsewhere_up(open_world) -> None:
    world = await open_world({"shop": THREE, "market": PLAIN})
    for shop, market in ((50, 50), (40, 60), (30, 70), (10, 90)):
        world.rule(channel="shop", share=shop)
        world.rule(channel="market", share=market)
        await world.receives(0)
        await world.lives(5)
    assert (world.shown(), refused(world)) == ([3, 9], [])
    due_at = (await world.row("shop")).due_at
    await world.lives(5)
    assert (await world.row("shop")).due_at == due_at
