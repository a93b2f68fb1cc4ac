"""Stories of what a complete read of the orders concludes: from what it covers, and from nothing that came later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.errors import NotPermitted, TryLater
from channelsync.sdk.values import KeyRead, OrderPage, QuantityKey, UnreadableOrder
from channelsync.store import orders
from channelsync.sync.catch_up import mark_restored
from channelsync.sync.close_findings import close_by_hand


@dataclass
class OddOrders:
    """A channel that cannot tell of orders by their ids, or of which something happens while its orders are listed.

    hidden: an order that its list does not show. unreadable: one there that nobody understands.
    """

    inner: Any
    poison: Exception | None = None
    while_listed: Callable[[], Awaitable[object]] | None = None
    hidden: str = ""
    unreadable: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def orders_by_id(self, wanted: Sequence[str]) -> Any:
        if self.poison and not {"poison", self.hidden}.isdisjoint(wanted):
            raise self.poison
        return await self.inner.orders_by_id(wanted)

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in self.inner.orders(cursor=cursor):
            happens, self.while_listed = self.while_listed, None
            if happens:
                await happens()
            known = [one for one in page.orders if one.order not in (self.hidden, self.unreadable)]
            odd = [UnreadableOrder(order=self.unreadable, reason="no line of it has units")] if self.unreadable else []
            yield replace(page, orders=known, unreadable=odd)


# Orders that cannot be read by their ids


async def hints_at_poison(world: Any, error: Exception) -> None:
    """A webhook names an order that cannot be read by its id."""
    world.channel("shop").channel = OddOrders(world.channel("shop").channel, error)
    now = world.clock.now()
    await world.agent.database.transact(lambda c: orders.hint_orders(c, "shop", {"poison": "webhook"}, now))


def ends_the_poll(original: Any) -> Any:
    """An order that cannot be read by its id ends the poll."""

    async def read_hinted(agent: Any, channel: Any) -> int:
        await channel.channel.orders_by_id(["poison"])
        return int(await original(agent, channel))

    return read_hinted


UNREADABLE = pytest.mark.parametrize("error", [TryLater("HTTP 500"), NotPermitted("not yours")], ids=["500", "403"])


@UNREADABLE
@pytest.mark.fails_without("sync.take_orders.read_hinted", around=ends_the_poll)
async def test_an_order_that_cannot_be_read_by_its_id_locks_no_units(open_world, error: Exception) -> None:
    world = await open_world(["shop", "market"], 10)
    await hints_at_poison(world, error)
    world.passes(minutes=1)
    await world.sweeps("shop")
    world.edits("shop", 8)  # a slip, and no order
    await world.sweeps("shop")
    assert await world.held() == [2]
    await stopped(world.lives(30), error)
    assert (await world.held(), world.shown()) == ([], [10, 10])
    told = [one.summary for one in await world.found() if "poison" in one.summary]
    assert len(told) == 1


@UNREADABLE
@pytest.mark.fails_without("sync.explained._Explaining._not_taken_in", lambda work: None)
async def test_units_that_were_gone_before_an_order_became_known_that_cannot_be_read_are_held_until_it_is(
    open_world, error: Exception
) -> None:
    world, odd, order = await sells_unseen(open_world)
    odd.poison = error
    now = world.clock.now()
    await world.agent.database.transact(lambda c: orders.hint_orders(c, "shop", {order: "webhook"}, now))
    await world.lives(60)
    assert (await world.held(), world.shown()) == ([3], [7, 7])
    odd.hidden, odd.poison = "", None
    await world.lives(90)
    assert (await world.held(), world.shown()) == ([], [7, 7])


@pytest.mark.fails_without("sync.explained._Explaining._not_taken_in", lambda work: None)
async def test_units_that_were_gone_before_an_order_came_that_nobody_understands_are_held_until_its_finding_is_closed(
    open_world,
) -> None:
    world, odd, order = await sells_unseen(open_world)
    odd.unreadable = order
    await world.lives(60)
    assert (await world.held(), world.shown()) == ([3], [7, 7])
    odd.unreadable = ""
    (found,) = [one for one in await world.found() if one.kind == FindingKind.UNREADABLE_ORDER]
    await world.as_run("closes", lambda c: close_by_hand(c, world.by("closes"), [found.id], "not one of ours"))
    await world.lives(30)
    assert (await world.held(), world.shown()) == ([], [10, 10])


async def sells_unseen(open_world: Any) -> tuple[Any, OddOrders, str]:
    """The shop sold three of ten, in an order that its list does not show; a read has shown that they are gone."""
    world = await open_world(["shop", "market"], 10)
    await world.sweeps()
    world.passes(minutes=5)
    order = world.sells("shop", 3)
    odd = world.channel("shop").channel = OddOrders(world.channel("shop").channel, hidden=order)
    await world.sweeps("shop")
    assert await world.held() == [3]
    return world, odd, order


@UNREADABLE
@pytest.mark.fails_without("sync.take_orders.read_hinted", around=ends_the_poll)
async def test_an_order_that_cannot_be_read_by_its_id_keeps_no_channel_from_catching_up(
    open_world, error: Exception
) -> None:
    world = await open_world(["shop", "market"], 10)
    await world.agent.database.transact(lambda c: mark_restored(c, world.clock.now()))
    await hints_at_poison(world, error)
    await stopped(world.lives(60), error)
    world.sells("market", 10)
    await stopped(world.lives(20), error)
    assert world.shown() == [0, 0]


async def stopped(living: Awaitable[None], error: Exception) -> None:
    """What ends a poll ends a story: it is told as what it is, a failure of the story."""
    try:
        await living
    except type(error) as raised:
        raise AssertionError from raised


# What happens while a poll is under way


async def cancelled_while_listed(open_world: Any) -> tuple[Any, datetime]:
    """A cancel while the orders, which lack it, are listed. A read that was asked before the poll shows it.

    Returns the world after that poll, and when the read was answered.
    """
    rules = {"shop": MarketplaceRules(skew=5.0), "market": MarketplaceRules()}
    world = await open_world(rules)
    order = world.sells("shop", 3)
    await world.lives(60)
    assert world.shown() == [7, 7]
    answered: list[datetime] = []
    wire = world.wires["shop"]

    class AskedEarly(OddOrders):
        """Its reads were asked a minute and a half before they were answered."""

        async def read(self, wanted: Sequence[QuantityKey]) -> Sequence[KeyRead]:
            found = await self.inner.read(wanted)
            answered.extend(one.answered for one in found)
            return [replace(one, asked=one.answered - timedelta(seconds=90)) for one in found]

    async def cancel() -> None:
        world.passes(seconds=30)
        world.market("shop").cancel(order)
        world.passes(seconds=30)
        wire.inner, before = AskedEarly(wire.inner), wire.inner
        await world.sweeps("shop")
        wire.inner = before
        world.passes(seconds=30)

    wire.pushed.clear()
    world.channel("shop").channel = OddOrders(world.channel("shop").channel, while_listed=cancel)
    world.passes(minutes=1)
    assert (await world.poll("shop")).failed == ""
    return world, answered[0]


def by_whatever_was_read(original: Any) -> Any:
    """A rise is judged by orders that were read before it."""

    def resolve(self: Any, record: Any, rows: Any) -> None:
        self.asked = self.asked and self.asked + timedelta(hours=1)
        original(self, record, rows)

    return resolve


def from_when_it_was_asked(original: Any) -> Any:
    """A rise was there when the read was asked that showed it."""
    return lambda self, record, seen, units: original(self, record, replace(seen, answered=seen.asked), units)


@pytest.mark.fails_without("sync.explained._Explaining._resolve_rises", around=by_whatever_was_read)
@pytest.mark.fails_without("sync.understand_reads._Reading._rise", around=from_when_it_was_asked)
async def test_a_poll_that_began_before_a_rise_was_answered_does_not_judge_it(open_world) -> None:
    world, answered = await cancelled_while_listed(open_world)
    record = await world.row("shop")
    assert (record.rise, record.rise_to) == (3, answered + world.channel("shop").setup.capabilities.timing.skew)
    await world.tick()
    await world.lives(30)
    assert (world.shown(), await world.available(), await world.kinds()) == ([10, 10], 10, [])
    assert world.wires["shop"].values == [], "its own number was right all the time"


def the_last_alone(original: Any) -> Any:
    """A rise on top of another that waits is taken for the whole."""
    return lambda self, record, seen, units: original(self, replace(record, rise=0), seen, units)


@pytest.mark.parametrize(("policy", "available"), [("adopt", 15), ("ask", 10)])
@pytest.mark.fails_without("sync.understand_reads._Reading._rise", around=the_last_alone)
async def test_a_second_rise_before_the_orders_are_read_is_added_to_the_first(open_world, policy, available) -> None:
    world = await open_world(["shop", "market"], channel={"drift": policy})
    for number in (12, 15):
        world.edits("shop", number)
        world.passes(minutes=1)
        await world.sweeps("shop")
    assert (await world.row("shop")).rise == 5
    await world.lives(30)
    (found,) = await world.found()
    assert (found.evidence["units"], await world.available()) == (5, available)
