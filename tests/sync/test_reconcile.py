"""A full comparison now: the plan, carrying it out, asking a daemon to, and answers to open questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.domain.rules import Rule, RuleScope, RuleValues
from channelsync.sdk.channel import CallCost
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store import agenda, keys
from channelsync.sync.leasing import Leases
from channelsync.sync.publish import publish_tick
from channelsync.sync.questions import Answered, answer_questions
from channelsync.sync.reconcile import (
    Chosen,
    Looked,
    Planned,
    ask_publisher,
    chosen_ids,
    look,
    planned_now,
    publish_until_settled,
    wait_for_publisher,
)
from channelsync.sync.switches import change_channel
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import ShopBusy
from channelsync_memory.world import memory_connector

Seller = Any
MINUTE = timedelta(minutes=1)


def everything(seller: Seller) -> Chosen:
    return Chosen(tuple(seller.agent.channels))


async def ids(seller: Seller, chosen: Chosen | None = None) -> list[int]:
    wanted = chosen or everything(seller)
    return await seller.database.query(lambda c: chosen_ids(c, wanted))


async def looked_at(seller: Seller, chosen: Chosen | None = None) -> tuple[Looked, list[Planned]]:
    """A minute later the channels are looked at, and the plan is made."""
    await seller.clock.sleep(60)
    looked = await look(seller.agent, chosen or everything(seller))
    return looked, await planned_now(seller.agent, await ids(seller, chosen))


async def reconciled(seller: Seller, chosen: Chosen | None = None, within: timedelta = 5 * MINUTE) -> list[Planned]:
    looked, _ = await looked_at(seller, chosen)
    leases = Leases(seller.agent, "test")
    for channel in seller.agent.channels.values():
        await leases.take(channel.identity)
    return await publish_until_settled(seller.agent, leases, await ids(seller, chosen), looked, within)


async def test_what_is_right_needs_nothing(seller: Seller) -> None:
    await seller.sells("MUG", 5)
    _, (row,) = await looked_at(seller)

    assert (row.sku, row.shown, row.should, row.state, row.action) == ("MUG", 5, 5, "right", "none")
    assert row.why == "it shows 5; sum of locations 5 (main 5)"


@pytest.mark.parametrize(("units", "action"), [(9, "raise"), (2, "lower")])
async def test_the_plan_says_what_is_shown_what_should_be_and_why(seller: Seller, units: int, action: str) -> None:
    await seller.sells("MUG", 5, units=units)
    _, (row,) = await looked_at(seller)

    assert (row.shown, row.should, row.state, row.action) == (5, units, "to do", action)
    assert f"{action} from 5 to {units}" in row.why


async def test_a_plan_changes_nothing_at_the_channel(seller: Seller) -> None:
    listing = await seller.sells("MUG", 5, units=9)
    await looked_at(seller)

    assert seller.shop().items[listing].number == 5


async def test_orders_are_taken_in_before_the_comparison(seller: Seller) -> None:
    listing = await seller.sells("MUG", 5)
    seller.shop().buy((seller.shop().items[listing], 2))
    looked, (row,) = await looked_at(seller)

    assert looked.orders == 1
    assert (row.shown, row.should, row.state) == (3, 3, "right")


async def test_a_channel_that_cannot_be_asked_is_named_and_holds_up_no_other(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    await seller.sells("MUG", 5, units=9)
    await seller.sells("CUP", 5, units=9, channel="market")
    seller.shop("market").trouble = ShopBusy()

    rows = await reconciled(seller)
    looked, _ = await looked_at(seller)
    assert list(looked.failures) == ["market"]
    assert {row.channel: row.state for row in rows} == {"shop": "right", "market": "to do"}


async def test_what_is_planned_is_carried_out_until_it_was_seen(seller: Seller) -> None:
    up = await seller.sells("MUG", 5, units=9)
    down = await seller.sells("CUP", 5, units=2)
    rows = await reconciled(seller)

    assert [row.state for row in rows] == ["right", "right"]
    assert (seller.shop().items[up].number, seller.shop().items[down].number) == (9, 2)


async def test_only_the_chosen_numbers_are_written(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 5, units=9)
    cup = await seller.sells("CUP", 5, units=9)
    other = await seller.sells("JUG", 5, units=9, channel="market")
    item = (await seller.position("MUG")).key.item
    (row,) = await reconciled(seller, Chosen(("shop",), frozenset({item})))

    assert row.sku == "MUG"
    numbers = seller.shop().items
    assert (numbers[mug].number, numbers[cup].number) == (9, 5)
    assert seller.shop("market").items[other].number == 5


async def test_a_raise_reads_the_other_channels_of_the_item_first(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 5, units=9)
    other = await seller.lists("MUG", 9, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")
    await seller.clock.sleep(600)
    await publish_tick(seller.agent, seller.channel("market"))
    market = seller.shop("market")
    market.items[other].number = 3
    await reconciled(seller, Chosen(("shop",), frozenset({(await seller.position("MUG")).key.item})))

    assert seller.shop().items[mug].number == 3  # six units are gone there, and no order says why yet


async def test_what_a_raise_waits_for_is_read_though_one_call_takes_more_than_the_share_of_hot_reads(
    open_seller: Any,
) -> None:
    """Else it waits for a sweep: a bucket that is full never holds more than it holds."""
    seller = await open_seller("shop", "market")
    mug = await seller.sells("MUG", 5, units=9)
    other = await seller.lists("MUG", 9, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")
    market = seller.channel("market")
    capacity = market.limiter.available()
    dear = replace(market.setup.capabilities, read_cost=CallCost(capacity * 0.75))
    seller.agent.channels["market"] = market = replace(market, setup=replace(market.setup, capabilities=dear))
    await seller.clock.sleep(600)
    await publish_tick(seller.agent, seller.channel())
    assert seller.shop().items[mug].number == 5, "it waits for a read of the market"
    await publish_tick(seller.agent, market)
    await publish_tick(seller.agent, seller.channel())
    assert seller.shop().items[mug].number == 9


async def test_a_rule_that_forbids_a_raise_leaves_nothing_to_do(open_seller: Any) -> None:
    rule = Rule("no", RuleScope(channel="shop"), RuleValues(may_raise=False), "test")
    seller = await open_seller("shop", rules=(rule,))
    listing = await seller.sells("MUG", 5, units=9)
    (row,) = await reconciled(seller)

    assert (row.state, row.shown, row.should) == ("not allowed", 5, 9)
    assert "rule no for channel shop (test)" in row.why
    assert seller.shop().items[listing].number == 5


@pytest.mark.parametrize("how", [{"stop": "all"}, {"mode": "observe"}])
async def test_what_is_switched_off_is_shown_and_left_alone(seller: Seller, how: dict[str, object]) -> None:
    await seller.sells("MUG", 5, units=9)
    now = seller.clock.now()
    await seller.database.transact(lambda c: change_channel(c, "shop", how, run="test", now=now))
    (row,) = await reconciled(seller)

    assert (row.state, row.shown, row.should) == ("not allowed", 5, 9)


async def test_a_listing_that_is_refused_is_left_after_the_time_has_passed(seller: Seller) -> None:
    refused = await seller.sells("MUG", 5, units=9)
    await seller.sells("CUP", 5, units=9)
    seller.shop().items[refused].under_review = "under review"
    began = seller.clock.now()
    rows = await reconciled(seller)

    assert {row.sku: row.state for row in rows} == {"MUG": "to do", "CUP": "right"}
    assert seller.clock.now() - began < timedelta(minutes=8)


class LateChannel(MemoryChannel):
    """Takes pushes without a word about the number in force."""

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        return [PushResult(key=one.key, state=one.state) for one in await super().push(updates)]


async def test_a_write_that_the_channel_only_accepted_is_read_until_it_is_seen(open_seller: Any) -> None:
    late = memory_connector(LateChannel, answers_with_number=False)
    seller = await open_seller("shop", connectors={"shop": late})
    await seller.sells("MUG", 5, units=9)
    (row,) = await reconciled(seller)

    assert row.state == "right"
    (write,) = (await seller.database.query(lambda c: keys.load_keys(c, [row.key]))).values()
    assert write.state.writes == ()


class BrokenChannel(MemoryChannel):
    """Never takes a push."""

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        raise TryLater("shop: out of order")


async def test_a_channel_that_takes_no_push_is_given_up_and_named(open_seller: Any) -> None:
    seller = await open_seller("shop", connectors={"shop": memory_connector(BrokenChannel)})
    await seller.sells("MUG", 5, units=9)
    await seller.clock.sleep(60)
    looked = await look(seller.agent, everything(seller))
    leases = Leases(seller.agent, "test")
    await leases.take(seller.channel().identity)
    (row,) = await publish_until_settled(seller.agent, leases, await ids(seller), looked, MINUTE)

    assert row.state == "to do"
    assert "out of order" in looked.failures["shop"]


# Beside a daemon


class DaemonsClock:
    """Whenever somebody waits, the daemon has a tick. arriving: SKUs of which a unit arrives then, one SKU a time."""

    def __init__(self, seller: Seller, arriving: Sequence[str] = ()) -> None:
        self._seller = seller
        self._arriving = cycle(arriving)

    def now(self) -> datetime:
        return self._seller.clock.now()

    def monotonic(self) -> float:
        return self._seller.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._seller.clock.sleep(60)
        await publish_tick(self._seller.agent, self._seller.channel())
        for sku in islice(self._arriving, 1):
            await self._seller.has(sku, 1)


async def waited_for(seller: Seller, clock: Clock) -> list[Planned]:
    agent, wanted = seller.agent, await ids(seller)
    return await wait_for_publisher(seller.database, clock, agent.setup, agent.measures, wanted, timedelta(hours=1))


async def test_a_daemon_is_asked_to_look_and_waited_for(seller: Seller) -> None:
    listing = await seller.sells("MUG", 5, units=9)
    await seller.clock.sleep(60)
    wanted, now = await ids(seller), seller.clock.now()
    await seller.database.transact(lambda c: ask_publisher(c, wanted, now))
    numbers = await seller.database.query(lambda c: agenda.key_numbers(c, wanted))
    assert [one.waiting for one in numbers.values()] == [True]
    (row,) = await waited_for(seller, DaemonsClock(seller))
    assert (row.state, row.shown) == ("right", 9)
    assert seller.shop().items[listing].number == 9


async def test_a_number_that_was_right_once_holds_nobody_up_though_sales_move_it_again(seller: Seller) -> None:
    for sku in ("MUG", "CUP"):
        await seller.sells(sku, 5)
    rows = await waited_for(seller, DaemonsClock(seller, arriving=("MUG", "CUP")))

    assert [row.state for row in rows] == ["right", "right"]


async def test_waiting_for_a_daemon_ends_when_the_time_has_passed(seller: Seller) -> None:
    await seller.sells("MUG", 5, units=9)
    agent, wanted = seller.agent, await ids(seller)
    rows = await wait_for_publisher(seller.database, seller.clock, agent.setup, agent.measures, wanted, MINUTE)

    assert [row.state for row in rows] == ["to do"]


# Questions


async def asking(open_seller: Any, change: int, **more: Any) -> tuple[Seller, str]:
    """A number changed at the channel by this much, no order explains it, and the policy is to ask."""
    seller = await open_seller("shop", channel={"drift": "ask"}, **more)
    listing = await seller.sells("MUG", 10)
    await seller.clock.sleep(60)
    await publish_tick(seller.agent, seller.channel())
    await seller.clock.sleep(60)
    seller.shop().items[listing].number += change
    await seller.pull()
    await orders_are_read(seller)
    return seller, listing


async def orders_are_read(seller: Seller) -> None:
    """Until every order that could explain a number must have been listed."""
    for _ in range(20):
        await seller.clock.sleep(60)
        await poll_orders(seller.agent, seller.channel())


async def answered(seller: Seller, answer: Any) -> list[Answered]:
    wanted, now = await ids(seller), seller.clock.now()
    return await seller.database.transact(
        lambda c: answer_questions(c, seller.agent.setup, wanted, answer, run="test", actor="user", now=now)
    )


@pytest.mark.parametrize("change", [-3, 4])
async def test_an_open_question_is_left_and_nothing_is_written(open_seller: Any, change: int) -> None:
    seller, listing = await asking(open_seller, change)
    (row,) = await reconciled(seller)

    assert row.state == "question"
    assert seller.shop().items[listing].number == 10 + change


@pytest.mark.parametrize("change", [-3, 4])
async def test_repairing_writes_our_number(open_seller: Any, change: int) -> None:
    seller, listing = await asking(open_seller, change)
    (one,) = await answered(seller, "repair")
    (row,) = await reconciled(seller)

    assert (one.units, one.refused) == (0, "")
    assert row.state == "right"
    assert seller.shop().items[listing].number == 10
    assert await seller.kinds() == []


@pytest.mark.parametrize("change", [-3, 4])
async def test_adopting_adjusts_on_hand_by_what_no_order_explained(open_seller: Any, change: int) -> None:
    seller, listing = await asking(open_seller, change)
    await seller.has("MUG", 5)
    (one,) = await answered(seller, "adopt")
    (row,) = await reconciled(seller)

    assert one.units == change
    assert (await seller.position("MUG")).on_hand == 15 + change
    assert row.state == "right"
    assert seller.shop().items[listing].number == 15 + change
    assert await seller.kinds() == []


async def test_adopting_counts_in_base_units(open_seller: Any) -> None:
    seller = await open_seller("shop", channel={"drift": "ask"})
    await seller.has("MUG", 12)
    listing = await seller.lists("MUG", 4)
    await seller.pull()
    await seller.map(listing, "MUG", 3)
    await seller.clock.sleep(60)
    await publish_tick(seller.agent, seller.channel())
    await seller.clock.sleep(60)
    seller.shop().items[listing].number = 5
    await seller.pull()
    await orders_are_read(seller)
    await answered(seller, "adopt")

    assert (await seller.position("MUG")).on_hand == 15


async def test_a_bundle_has_no_units_to_adopt(open_seller: Any) -> None:
    seller = await open_seller("shop", channel={"drift": "ask"}, recipes={"SET": {"MUG": 2}})
    await seller.has("MUG", 12)
    listing = await seller.lists("SET", 6)
    await seller.pull()
    await seller.map(listing, "SET")
    await seller.clock.sleep(60)
    await publish_tick(seller.agent, seller.channel())
    await seller.clock.sleep(60)
    seller.shop().items[listing].number = 7
    await seller.pull()
    await orders_are_read(seller)
    (one,) = await answered(seller, "adopt")

    assert "no units of its own" in one.refused
    assert (await seller.position("MUG")).on_hand == 12
    assert await seller.kinds() == [FindingKind.DRIFT.value]
    assert (await answered(seller, "repair"))[0].refused == ""


async def test_without_a_question_there_is_nothing_to_answer(seller: Seller) -> None:
    await seller.sells("MUG", 5)
    assert await answered(seller, "adopt") == []
