"""Stories of channels in trouble: short of budget, left alone, refusing or not answering; what leaves all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.demand import DemandRate
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, NotSent, OutcomeUnknown, TryLater
from channelsync.store import agenda, keys
from channelsync.sync import publish

PLAIN = MarketplaceRules()
COMPARES = PRESETS["compare-and-set"]
TELLS_NO_NUMBER = replace(COMPARES, answers_with_number=False)
A_CALL_IN_TEN_SECONDS: Mapping[str, Any] = {"budget_capacity": 50.0, "budget_per_second": 0.1}
SLOW = replace(COMPARES, updates_per_push=1, **A_CALL_IN_TEN_SECONDS)
OFTEN_SOLD = DemandRate(30.0)


def numbered(many: int, units: int = 10) -> dict[str, int]:
    return {f"sku-{number:02}": units for number in range(many)}


async def wants_reads(world: Any, *skus: str) -> None:
    """A sweep, or a raise elsewhere, asks for the shop's numbers."""
    ids = [(await world.row("shop", sku)).id for sku in skus]
    await world.agent.database.transact(lambda c: keys.want_reads(c, ids))


# A read that fails


def taken_for_all(original: Any) -> Any:
    """A read that fails shows that nothing can be read."""

    async def read_wanted(agent: Any, channel: Any, done: Any, **how: Any) -> None:
        try:
            await original(agent, channel, done, **how)
        except ChannelError as error:
            done.unread = error
            raise

    return read_wanted


@pytest.mark.fails_without("sync.publish.read_wanted", around=taken_for_all)
async def test_a_read_of_another_number_that_fails_takes_no_protection_from_a_lowering(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 8, "cup": 8}, prior_demand=OFTEN_SOLD)
    await world.sweeps()
    world.passes(minutes=10)
    await wants_reads(world, "cup")
    world.trouble("shop", read=lambda wanted: down() if any("cup" in one.key for one in wanted) else None)
    world.sells("shop", 5)  # nobody has heard of it
    world.sells("market", 1)
    await world.poll("market")
    await world.tick("shop")
    assert world.shows("shop") <= 3


def down() -> ChannelError:
    return TryLater("shop: HTTP 500")


@pytest.mark.fails_without("sync.read_numbers.REFUSED_IN_A_ROW", 0)
async def test_a_number_whose_read_is_refused_is_found_and_its_neighbours_are_read_and_written(open_world) -> None:
    skus = numbered(10, 100)
    world = await open_world(["shop", "market"], skus)
    await world.sweeps()
    refused = ChannelMisbehaved("shop: POST /numbers: HTTP 400")
    world.trouble("shop", read=lambda wanted: refused if any("sku-03" in one.key for one in wanted) else None)
    for sku in skus:
        world.sells("market", 1, sku)
    await world.poll("market")
    await world.lives(10)
    assert [sku for sku in skus if world.shows("shop", sku) != 99] in ([], ["sku-03"])
    assert await world.kinds() == ["unreadable number"]


# Short of budget


def patient(original: Any) -> Any:
    """What is wanted is read first, however long that waits for budget."""

    async def read_wanted(agent: Any, channel: Any, done: Any, **how: Any) -> None:
        await original(agent, channel, done, **how | {"waits": "always"})

    return read_wanted


@pytest.mark.fails_without("sync.publish.read_wanted", around=patient)
async def test_reads_that_would_wait_for_budget_come_after_lowerings(open_world) -> None:
    skus = numbered(6, 100)
    world = await open_world({"shop": replace(SLOW, reads_per_call=1), "market": PLAIN}, skus | {"tea": 10})
    await world.sweeps()
    world.passes(minutes=10)
    await wants_reads(world, *skus)
    world.sells("market", 10)
    await world.poll("market")
    troubled = world.trouble("shop")
    world.has_left("shop", 10)  # what is kept for urgent calls
    began = world.clock.now()
    await world.tick("shop")
    assert troubled.sent_at("shop-tea", 0) == began
    assert troubled.read_at, "they are read all the same"


def stubborn(original: Any) -> Any:
    """What was begun to be read is read, whatever becomes due meanwhile."""

    async def read_keys(agent: Any, channel: Any, wanted: Any, done: Any, **_: Any) -> None:
        await original(agent, channel, wanted, done)

    return read_keys


@pytest.mark.fails_without("sync.publish.read_keys", around=stubborn)
async def test_reads_that_wait_for_budget_give_way_to_a_lowering(open_world) -> None:
    skus = numbered(30, 100)
    shop = replace(TELLS_NO_NUMBER, reads_per_call=1, **A_CALL_IN_TEN_SECONDS)
    world = await open_world({"shop": shop, "market": PLAIN}, skus | {"tea": 10})
    await world.sweeps()
    world.passes(minutes=10)
    for sku in skus:
        world.sells("market", 1, sku)
    await world.poll("market")
    await world.tick("shop")  # one call; the next tick reads number by number whether it was applied
    world.passes(minutes=1)
    world.has_left("shop", 12)
    began = world.clock.now()

    async def sells_out() -> None:
        world.sells("market", 10)
        await world.poll("market")

    troubled = world.trouble("shop")
    troubled.inner = Meanwhile(troubled.inner, sells_out)
    for _ in range(2):
        await world.tick("shop")
    assert troubled.sent_at("shop-tea", 0) - began < timedelta(seconds=60)


class Meanwhile:
    """A channel of which something happens while it is read first."""

    def __init__(self, inner: Any, happens: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._happens = inner, [happens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, wanted: Sequence[Any]) -> Any:
        if self._happens:
            await self._happens.pop()()
        return await self._inner.read(wanted)


@pytest.mark.fails_without("sync.send_writes.JUDGED_AGAIN_AFTER", 9e9)
async def test_a_raise_whose_protecting_read_waited_for_budget_is_judged_again(open_world) -> None:
    small = replace(PLAIN, budget_capacity=50.0, budget_per_second=0.02)  # a call in 50 seconds
    world = await open_world({"shop": small, "market": PLAIN}, channel={"hot_reads": False})
    await world.receives(5)
    await world.sweeps("market")
    read = world.clock.now()
    world.passes(seconds=80)
    world.has_left("shop", 12)  # enough for the write; the read before it waits
    world.sells("market", 4)
    troubled = world.trouble("shop")
    await world.tick("shop")
    assert all(at - read <= world.channel("shop").setup.tick * 1.5 for at, _ in troubled.sent)


@pytest.mark.fails_without("sync.publish.SHORT_FOR", -1)
async def test_raises_elsewhere_wait_for_a_channel_that_is_short_of_budget_for_a_while(open_world) -> None:
    small = replace(PLAIN, budget_capacity=50.0, budget_per_second=0.005)
    world = await open_world({"shop": small, "market": PLAIN, "third": PLAIN})
    await world.sweeps()
    world.passes(minutes=10)
    await world.receives(5)
    await world.tick("market")
    world.sells("shop", 4)  # which only a read of the shop would show
    world.has_left("shop", 10.5)
    await world.tick("third")
    done = await world.tick("shop")
    assert "the budget is short" in done.failed
    await world.tick("third", "market")
    assert max(world.shows("market"), world.shows("third")) <= 11


def not_behind(original: Any) -> Any:
    """What cannot leave stays before all that became due later."""

    async def publish_keys(agent: Any, channel: Any, wanted: Any, lease: Any, done: Any, **how: Any) -> Any:
        return await original(agent, channel, wanted, lease, done, **how | {"crowded": False})

    return publish_keys


@pytest.mark.fails_without("sync.publish.publish_keys", around=not_behind)
async def test_a_lowering_does_not_stand_behind_urgent_raises_that_wait_for_budget(
    open_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "SURVEYED_AT_ONCE", 5)
    rising = numbered(40)
    world = await open_world({"shop": replace(SLOW, reads_per_call=50), "market": COMPARES}, rising | {"tea": 10})
    for sku in rising:
        await world.receives(5, sku)
    await world.sweeps("market")
    now = world.clock.now()
    ids = await world.agent.database.query(lambda c: agenda.chosen_keys(c, channels=["shop"]))
    await world.agent.database.transact(lambda c: agenda.ask_for(c, ids, now))  # as when a channel goes live
    troubled = world.trouble("shop")
    world.has_left("shop", 11)
    world.passes(seconds=5)
    await world.tick("shop")
    world.sells("market", 10)
    await world.poll("market")
    sold = world.clock.now()
    for _ in range(5):
        world.agent.wake_publishers()
        await world.tick("market", "shop")
        world.passes(seconds=20)
    assert troubled.sent_at("shop-tea", 0) - sold < timedelta(seconds=60)


# Calls that come to nothing


@pytest.mark.fails_without("sync.push_results._urgency", lambda one: 1)
@pytest.mark.parametrize("error", [NotSent("reset"), TryLater("HTTP 503")], ids=["not sent", "try later"])
async def test_a_lowering_whose_call_came_to_nothing_stays_before_all_raises(
    open_world, monkeypatch: pytest.MonkeyPatch, error: ChannelError
) -> None:
    monkeypatch.setattr(publish, "SURVEYED_AT_ONCE", 5)
    rising = numbered(20)
    shop = replace(SLOW, reads_per_call=50, answers_with_number=False)
    world = await open_world({"shop": shop, "market": COMPARES}, rising | {"tea": 10})
    for sku in rising:
        await world.receives(5, sku)
    world.passes(seconds=5)
    world.sells("market", 10)
    await world.poll("market")
    await world.sweeps("market")
    errors = [error]
    troubled = world.trouble("shop", push=lambda _: errors.pop() if errors else None)
    world.has_left("shop", 15)
    began = world.clock.now()
    for _ in range(12):
        await world.tick("market", "shop")
        world.passes(seconds=20)
    assert troubled.sent_at("shop-tea", 0) - began < timedelta(seconds=60)


def smallest_last(original: Any) -> Any:
    """Full calls leave first, whatever is in them."""

    def next_call(channel: Any, left: Sequence[int], found: Any) -> Any:
        limits = {key: channel.rows_at_most.get(key, 99) for key in left}
        most = max(limits.values())
        return original(channel, [key for key in left if limits[key] == most], found)

    return next_call


@pytest.mark.fails_without("sync.send_writes._next_call", around=smallest_last)
async def test_a_lowering_whose_last_answer_was_lost_leaves_before_all_raises(open_world) -> None:
    rising = numbered(12)
    shop = replace(COMPARES, updates_per_push=2, **A_CALL_IN_TEN_SECONDS)
    world = await open_world({"shop": shop, "market": COMPARES}, rising | {"tea": 10, "cup": 10})
    await world.sweeps()
    for key in (await world.row("shop", "tea"), await world.row("shop", "cup")):
        world.channel("shop").rows_at_most[key.id] = 1
    for sku in rising:
        await world.receives(5, sku)
    await world.sweeps("market")
    world.sells("market", 8, "tea")
    await world.poll("market")
    troubled = world.trouble("shop")
    world.has_left("shop", 11)
    await world.tick("shop")
    assert "shop-tea" in troubled.sent[0][1]


async def row_by_row(agent: Any, channel: Any, prepared: Any) -> None:
    """An answered call tells of its own rows only."""
    for one in prepared:
        channel.rows_at_most.pop(one.key, None)


@pytest.mark.fails_without("sync.send_writes._taken", around=lambda original: row_by_row)
async def test_after_an_hour_without_answers_numbers_leave_in_full_calls_soon(open_world) -> None:
    skus = numbered(40)
    world = await open_world({"shop": replace(PLAIN, **A_CALL_IN_TEN_SECONDS), "market": PLAIN}, skus)
    await world.sweeps()
    world.trouble("shop", push=lambda _: OutcomeUnknown("shop: POST: HTTP 504"))
    for sku in skus:
        world.sells("market", 10, sku)
    await world.poll("market")
    await world.lives(60)
    world.trouble("shop")
    world.has_left("shop", 12)
    began = world.clock.now()
    await world.lives(3)
    assert not any(world.shows("shop", sku) for sku in skus)
    assert world.clock.now() - began < timedelta(minutes=5)


# Channels that refuse everything, or are left alone


@pytest.mark.fails_without("sync.push_results.LOWERED_AGAIN", timedelta(days=1))
async def test_a_lowering_that_a_channel_refused_for_hours_leaves_within_minutes_once_it_is_well(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, {"tea": 100})
    await world.sweeps()
    world.trouble("shop", push=lambda _: ChannelMisbehaved("shop: POST /quantities: HTTP 410"))
    world.sells("market", 95)
    await world.poll("market")
    await world.lives(130)
    world.trouble("shop")
    await world.lives(6)
    assert world.shows("shop") == 5


@pytest.mark.fails_without("sync.send_writes.no_pause", lambda connection, wanted, now: None)
async def test_numbers_that_were_blamed_for_a_channel_that_refused_everything_leave_at_once_when_it_is_well(
    open_world,
) -> None:
    skus = numbered(60, 100)
    world = await open_world({"shop": COMPARES, "market": PLAIN}, skus)
    await world.sweeps()
    world.trouble("shop", push=lambda _: ChannelMisbehaved("shop: POST /quantities: HTTP 410"))
    for sku in skus:
        world.sells("market", 95, sku)
    await world.poll("market")
    await world.lives(120)
    world.trouble("shop")
    await world.lives(2)
    assert [sku for sku in skus if world.shows("shop", sku) != 5] == []


@pytest.mark.fails_without("sdk.breaker.Breaker.half_open", property(lambda breaker: False))
async def test_a_channel_that_was_left_alone_is_tried_by_a_read_when_a_number_is_to_be_written(open_world) -> None:
    world = await open_world({"shop": COMPARES, "market": PLAIN}, {"tea": 100}, channel={"hot_reads": False})
    await world.sweeps()
    breaker = world.channel("shop").breaker
    for _ in range(5):
        with suppress(TryLater), breaker.guard(cheap_read=False):
            raise TryLater("shop: HTTP 500")
    world.passes(minutes=1)
    world.sells("market", 90)
    await world.poll("market")
    await world.tick("shop")
    assert world.shows("shop") == 10
