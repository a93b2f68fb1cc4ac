"""Stories of section 6, third part: what holds up no lowering, and what a raise is judged by when it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from channelsync.domain.quantities import PositionKey
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.stage import LOCATION
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, OutcomeUnknown, TryLater
from channelsync.store import keys
from channelsync.store.items import item_id
from channelsync.sync import publish
from channelsync.sync.stock import Place
from channelsync.sync.stock_moves import adjust

PLAIN = MarketplaceRules()
COMPARES = PRESETS["compare-and-set"]
ONE_BY_ONE = replace(PLAIN, updates_per_push=1)
SLOW = replace(COMPARES, updates_per_push=1, budget_capacity=50.0, budget_per_second=0.1)
"""A number in a call, and a call in ten seconds once the bucket is empty."""


def unreadable(_: object) -> ChannelError:
    return TryLater("shop: POST /numbers: HTTP 500")


def reads_before(original: Any) -> Any:
    """What is to be read is read before anything is sent."""

    async def send(agent: Any, channel: Any, wanted: Any, found: Any, lease: Any, done: Any) -> None:
        if found.reads:
            await publish.read_keys(agent, channel, found.reads, done)
        await original(agent, channel, wanted, found, lease, done)

    return send


@pytest.mark.parametrize(
    ("rules", "plenty"),
    [(replace(COMPARES, answers_with_number=False), 6), (ONE_BY_ONE, 10)],
    ids=["compares", "one by one"],
)
@pytest.mark.fails_without("sync.publish.send_writes", around=reads_before)
async def test_a_number_that_cannot_be_read_holds_up_no_lowering(
    open_world, rules: MarketplaceRules, plenty: int
) -> None:
    world = await open_world({"shop": rules, "market": PLAIN}, {"tea": 10, "cup": 10, "pot": 10})
    await world.sweeps()
    world.trouble("shop", read=unreadable)
    world.sells("market", 4, "cup")
    world.sells("market", 10, "tea")
    await world.poll("market")
    await world.sweeps("shop")
    await world.lives(3)
    world.sells("market", 10, "pot")
    await world.poll("market")
    await world.lives(3)
    assert [world.shows("shop", sku) for sku in ("tea", "cup", "pot")] == [0, plenty, 0]
    world.sells("market", 5, "cup")
    await world.poll("market")
    await world.lives(3)
    assert world.shows("shop", "cup") == 1


@pytest.mark.fails_without("sync.send_writes._while_readable", around=lambda original: lowered)
async def test_units_of_which_there_is_plenty_are_not_put_back_on_sale_by_a_lowering_of_a_number_that_nobody_read(
    open_world,
) -> None:
    world = await open_world({"shop": PLAIN, "market": PLAIN}, {"tea": 30})
    await world.sweeps()
    world.trouble("shop", read=unreadable)
    world.sells("shop", 8)
    world.sells("market", 1)
    await world.poll("market")
    await world.lives(3, poll=False)
    assert world.shows("shop", "tea") == 22


def lowered(channel: Any, wanted: Sequence[int], found: Any, done: Any) -> Sequence[int]:
    """Whatever is a lowering leaves."""
    return wanted if done.unread is None else [key for key in wanted if key in found.lowerings]


def resent(original: Any) -> Any:
    """What the channel refused because it shows another number is sent again as it was."""

    async def publish_keys(agent: Any, channel: Any, wanted: Any, lease: Any, done: Any, **how: Any) -> Any:
        done.conflicted.clear()
        return await original(agent, channel, wanted, lease, done, **how)

    return publish_keys


@pytest.mark.parametrize("stale", [0, 180])
@pytest.mark.fails_without("sync.publish.publish_keys", around=resent)
async def test_a_number_that_is_another_than_expected_is_read_before_it_is_written_again(
    open_world, stale: int
) -> None:
    shop = replace(COMPARES, answers_with_number=False, read_lag=(stale, stale), updates_per_push=50)
    world = await open_world({"shop": shop, "market": PLAIN}, {"tea": 30})
    world.passes(minutes=10)
    await world.sweeps()
    noting = world.trouble("shop")
    world.passes(minutes=10)
    world.sells("shop", 8)
    world.sells("market", 1)
    await world.poll("market")
    await world.tick("shop")
    # Where reads are stale, the first shows the number before the sale, and the second comes too soon to tell more.
    assert (len(noting.tries), len(noting.read_at)) == ((2, 2) if stale else (2, 1))
    assert world.shows("shop", "tea") == (22 if stale else 21)


@pytest.mark.fails_without("sync.send_writes._paused", around=lambda original: lambda channel, done: False)
async def test_for_a_channel_that_is_left_alone_no_write_is_recorded(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, {"tea": 30})
    await world.sweeps()
    breaker = world.channel("shop").breaker
    for _ in range(5):
        with suppress(TryLater), breaker.guard(cheap_read=False):
            raise TryLater("shop: HTTP 500")
    world.sells("market", 1)
    await world.poll("market")
    done = await world.tick("shop")
    written = await world.sql("SELECT outcome FROM quantity_write")
    assert (done.held_back, written) == ("shop: paused after 5 failures in a row", [])
    world.passes(minutes=1)
    await world.sweeps("shop")
    assert world.shows("shop", "tea") == 29


@pytest.mark.fails_without("sync.send_writes._protected", around=lambda original: unprotected)
async def test_a_raise_does_not_leave_where_nothing_could_be_read_before_it(open_world) -> None:
    world = await open_world(["shop", "market"])
    await world.sweeps()
    world.trouble("shop", read=unreadable)
    world.sells("shop", 3)
    await world.receives(5)
    await world.lives(5, poll=False)
    assert world.wires["shop"].values == []


async def unprotected(agent: Any, channel: Any, wanted: Any, found: Any, done: Any, judged: float) -> Any:
    return wanted


def at_once(original: Any) -> Any:
    """Whatever the channel refuses as a whole is sent again as a whole."""

    async def push(agent: Any, channel: Any, prepared: Any, done: Any) -> bool:
        await original(agent, channel, prepared, done)
        return False

    return push


@pytest.mark.fails_without("sync.send_writes._push", around=at_once)
@pytest.mark.parametrize("many", [3, 40])
async def test_a_row_for_which_a_whole_call_is_refused_is_found_and_its_neighbours_leave(open_world, many: int) -> None:
    def refused(updates: Sequence[Any]) -> ChannelError | None:
        bad = any(one.listing == "shop-sku-1" for one in updates)
        return ChannelMisbehaved("shop: POST /quantities: HTTP 400") if bad else None

    skus = {f"sku-{number}": 10 for number in range(many)}
    world = await open_world(["shop", "market"], skus)
    for sku in skus:
        world.sells("market", 3, sku)
    await world.poll("market")
    failing = world.trouble("shop", push=refused)
    await world.tick("shop")
    assert [sku for sku in skus if world.shows("shop", sku) != 7] == ["sku-1"]
    calls = len(failing.tries)
    await world.lives(60)
    assert await world.kinds() == ["push refused"]
    assert 8 <= len(failing.tries) - calls <= 14, "every five minutes, for it is to be lowered"


@pytest.mark.fails_without("sync.send_writes._next_call", around=lambda original: full_call)
async def test_a_row_for_which_whole_calls_get_no_answer_keeps_no_neighbour_from_leaving(open_world) -> None:
    def unanswered(updates: Sequence[Any]) -> ChannelError | None:
        bad = any(one.listing == "shop-sku-1" for one in updates)
        return OutcomeUnknown("shop: POST /quantities: HTTP 500") if bad else None

    skus = {f"sku-{number}": 10 for number in range(20)}
    world = await open_world(["shop", "market"], skus)
    for sku in skus:
        world.sells("market", 10, sku)
    await world.poll("market")
    world.trouble("shop", push=unanswered)
    await world.lives(10)
    assert [sku for sku in skus if world.shows("shop", sku)] == ["sku-1"]


def full_call(channel: Any, left: Sequence[int], found: Any) -> Mapping[int, None]:
    return dict.fromkeys(left)


async def test_a_channel_that_refuses_every_call_is_not_asked_row_by_row(open_world) -> None:
    skus = {f"sku-{number:02}": 10 for number in range(60)}
    world = await open_world(["shop", "market"], skus)
    for sku in skus:
        world.sells("market", 1, sku)
    await world.poll("market")
    gone = ChannelMisbehaved("shop: POST /quantities: HTTP 410")
    failing = world.trouble("shop", push=lambda _: gone)
    done = await world.tick("shop")
    assert (done.failed, len(failing.tries) <= 13) == ("shop: POST /quantities: HTTP 410", True)


def lost(connection: Any, world: Any) -> None:
    """All ten of the tea are not there."""
    where = Place("tea", PositionKey(item_id("tea"), LOCATION))
    adjust(connection, world.agent.setup, world.by("count"), where, -10)


def by_age(original: Any) -> Any:
    """What has waited longest is looked at first, whatever it waits for."""

    def due(connection: Any, identity: str, now: datetime, limit: int) -> dict[int, int]:
        found = original(connection, identity, now, 10_000)
        ages = {key: record.due_at for key, record in keys.load_keys(connection, found).items()}
        return {key: found[key] for key in sorted(found, key=lambda key: (ages[key], key))[:limit]}

    return due


@pytest.mark.fails_without("store.keys.due_keys", around=by_age)
@pytest.mark.parametrize("taken", ["by an order", "by a count"])
async def test_what_may_have_to_be_lowered_is_looked_at_before_all_that_rises(
    open_world, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    monkeypatch.setattr(publish, "SURVEYED_AT_ONCE", 5)
    rising = {f"sku-{number}": 10 for number in range(20)}
    world = await open_world({"shop": SLOW, "market": COMPARES}, rising | {"tea": 10})
    for sku in rising:
        await world.receives(5, sku)
    world.passes(seconds=5)
    if taken == "by an order":
        world.sells("market", 10)
        await world.poll("market")
    else:
        await world.as_run("count", lambda c: lost(c, world))
    await world.sweeps("market")
    await world.tick("shop")
    assert world.wires["shop"].values[0] == 0


@pytest.mark.fails_without("sync.send_writes.JUDGED_AGAIN_AFTER", 9e9)
async def test_a_raise_that_waited_for_budget_until_the_reads_were_old_is_not_sent(open_world) -> None:
    rising = {f"sku-{number:02}": 10 for number in range(30)}
    world = await open_world({"shop": SLOW, "market": PLAIN}, rising)
    for sku in rising:
        await world.receives(10, sku)
    await world.sweeps("market")
    read = world.clock.now()
    world.has_left("shop", 14)
    troubled = world.trouble("shop")
    await world.tick("shop")
    left = [at for at, _ in troubled.sent]
    assert 3 < len(left) < 30
    assert max(left) - read <= 1.5 * world.channel("shop").setup.tick


@pytest.mark.fails_without("sync.send_writes.unpaid", nullcontext)
async def test_the_read_that_protects_a_write_comes_after_the_wait_for_its_budget(open_world) -> None:
    small = replace(PLAIN, budget_capacity=50.0, budget_per_second=0.1)
    world = await open_world({"shop": small, "market": PLAIN})
    await world.receives(5)
    await world.sweeps("market")
    noting = world.trouble("shop")
    world.has_left("shop", 11)  # one call of the two; the other waits for its part of the bucket
    await world.tick("shop")
    assert noting.sent[0][0] in noting.read_at
