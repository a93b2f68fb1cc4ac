"""Housekeeping: what ran out ends, but never because of a clock that leapt; what is old goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.store import agenda, channels, keys
from channelsync.store.database import open_database
from channelsync.store.items import item_id
from channelsync.store.tables import metadata
from channelsync.sync.clock_watch import LEAP_GUARD, ClockWatch
from channelsync.sync.housekeeping import keep_house, usual_tasks, watch_clock
from channelsync.sync.pruning import Keep, care_for_file, prune_old
from channelsync.sync.publish import publish_tick
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.verify import verify

MINUTE = timedelta(minutes=1)
_SALES, _CHANNEL = metadata.tables["sales_order"], metadata.tables["channel"]


async def steady(seller: Any, minutes: int) -> None:
    """Time passes, by both clocks."""
    for _ in range(minutes):
        seller.clock.at += MINUTE
        await watch_clock(seller.agent)


@pytest.fixture
async def pending(seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two of MUG are held by an order whose time limit ends in an hour, and which was read long after that."""
    mug = await seller.sells("MUG", 5)
    seller.shop().buy((seller.shop().items[mug], 2))
    await poll_orders(seller.agent, seller.channel())
    until = seller.clock.now() + timedelta(hours=1)
    orders = seller.database
    await orders.transact(lambda c: c.execute(_SALES.update().values(expires_at=until)))
    await orders.transact(lambda c: c.execute(_CHANNEL.update().values(covered_to=until + timedelta(days=9))))
    leapt = [timedelta()]
    monkeypatch.setattr(seller.clock, "monotonic", lambda: seller.clock.at.timestamp() - leapt[0].total_seconds())

    def leap(by: timedelta) -> None:
        seller.clock.at += by
        leapt[0] += by

    seller.clock.leap = leap
    return seller


async def reserved(seller: Any) -> int:
    return int((await seller.position("MUG")).reserved)


async def test_a_pending_order_ends_when_its_time_has_passed(pending: Any) -> None:
    await steady(pending, 30)
    await keep_house(pending.agent)
    assert await reserved(pending) == 2
    await steady(pending, 40)
    assert "pending orders ended" in await keep_house(pending.agent)
    assert await reserved(pending) == 0


@pytest.mark.fault(61, "a clock that leaps a day ahead ends no reservation before it is believed again")
async def test_a_clock_that_leaps_ahead_ends_no_reservation(pending: Any) -> None:
    await steady(pending, 30)
    pending.clock.leap(timedelta(days=1))
    await steady(pending, 1)
    assert "leapt" in await keep_house(pending.agent)
    assert await reserved(pending) == 2
    pending.clock.leap(-timedelta(days=1))
    await steady(pending, int(LEAP_GUARD / MINUTE) + 1)
    await keep_house(pending.agent)
    assert await reserved(pending) == 2, "it is right again, and the hour is not over"


async def goes_round(seller: Any) -> None:
    for channel in seller.agent.channels.values():
        await poll_orders(seller.agent, channel)
        await publish_tick(seller.agent, channel)


@pytest.fixture
async def selling(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Eight of MUG are shown at two shops; a clock that went ahead by a day was that of the last rounds."""
    seller = await open_seller("shop", "market")
    await seller.sells("MUG", 8)
    listing = await seller.lists("MUG", 8, channel="market")
    await seller.pull("market")
    await seller.map(listing, "MUG", channel="market")
    began = seller.clock.at
    monkeypatch.setattr(seller.clock, "monotonic", lambda: (seller.clock.at - began).total_seconds() % 86_400)
    await watch_clock(seller.agent)
    seller.clock.at += timedelta(days=1)
    await watch_clock(seller.agent)
    await goes_round(seller)
    await seller.clock.sleep(60)
    await goes_round(seller)
    return seller


def shown(seller: Any) -> list[int]:
    return [item.number for shop in seller.shops.values() for item in shop.items.values()]


@pytest.mark.parametrize("anew", [False, True], ids=["the same process", "a new process"])
async def test_a_clock_that_went_back_holds_up_no_number(selling: Any, anew: bool) -> None:
    item = next(iter(selling.shop().items.values()))
    selling.clock.at -= timedelta(days=1)
    selling.shop().buy((item, 2))  # by the shop's own clock, which is right
    selling.clock.at += timedelta(days=1)
    await poll_orders(selling.agent, selling.channel("shop"))
    selling.clock.at -= timedelta(days=1)
    if anew:
        selling.agent.clock_watch = ClockWatch()
    await watch_clock(selling.agent)
    for _ in range(3):
        await goes_round(selling)
        await selling.clock.sleep(60)
    assert shown(selling) == [6, 6]
    await selling.has("MUG", 4)
    now = selling.clock.now()
    await selling.database.transact(lambda c: keys.mark_due(c, [item_id("MUG")], now))
    for _ in range(3):
        await goes_round(selling)
        await selling.clock.sleep(60)
    assert shown(selling) == [10, 10]
    item.number -= 1  # an order that the shop does not list yet
    await selling.database.transact(lambda c: keys.want_reads(c, agenda.chosen_keys(c)))
    for _ in range(3):
        await goes_round(selling)
        await selling.clock.sleep(60)
    assert shown(selling) == [9, 9], "a drop is seen again"


async def test_a_clock_that_channels_contradict_is_a_finding_while_they_do(pending: Any) -> None:
    await steady(pending, 30)
    pending.agent.clock_watch.wrong = "shop is -86400 s ahead of it"
    assert "is wrong" in await keep_house(pending.agent)
    assert await pending.kinds() == ["clock wrong"]
    await steady(pending, 1)
    await keep_house(pending.agent)
    assert await pending.kinds() == []


async def test_the_usual_tasks_are_those_of_every_channel_and_the_house(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    names = [task.name for task in usual_tasks(seller.agent)]
    assert names == ["housekeeping", "listings:shop", "audit:shop", "listings:market", "audit:market"]


async def test_after_pruning_the_proof_is_the_same_and_what_is_open_stays(pending: Any) -> None:
    before = await pending.database.query(verify, snapshot=True)
    reads = await pending.database.query(lambda c: c.execute(text("SELECT count(*) FROM quantity_read")).scalar_one())
    pending.clock.at += timedelta(days=400)
    told = await prune_old(pending.agent, Keep(history=timedelta(days=1)))
    after = await pending.database.query(verify, snapshot=True)
    assert told.startswith("older than 2027-04-")
    assert (after.problems, after.entries) == (before.problems, before.entries)
    left = await pending.database.query(lambda c: c.execute(text("SELECT count(*) FROM quantity_read")).scalar_one())
    assert 1 <= left <= reads
    assert await reserved(pending) == 2


async def test_what_is_younger_than_two_days_stays_whatever_is_configured(pending: Any) -> None:
    pending.clock.at += timedelta(days=1)
    assert (await prune_old(pending.agent, Keep(history=timedelta(seconds=1)))).endswith("taken away: nothing")


async def test_sqlites_file_is_looked_after(open_seller: Any, sqlite_url: str) -> None:
    seller = await open_seller("shop")
    async with open_database(sqlite_url) as database:
        seller.agent.database = database
        assert await care_for_file(seller.agent) == "statistics renewed, log emptied"


async def rounds(seller: Any, many: int) -> None:
    """Of the first shop alone."""
    for _ in range(many):
        await poll_orders(seller.agent, seller.channel("shop"))
        await publish_tick(seller.agent, seller.channel("shop"))
        await seller.clock.sleep(60)


async def look_at_all(seller: Any) -> None:
    await seller.database.transact(lambda c: keys.want_reads(c, agenda.chosen_keys(c)))


async def test_units_that_were_held_at_a_time_yet_to_come_are_freed_as_any_others(selling: Any) -> None:
    item = next(iter(selling.shop().items.values()))
    item.number -= 1  # a drop that no order will explain
    await look_at_all(selling)
    await rounds(selling, 1)
    assert await reserved(selling) == 1
    selling.clock.at -= timedelta(days=1)
    await watch_clock(selling.agent)
    await rounds(selling, 1)
    assert await reserved(selling) == 1, "an order may still come"
    await rounds(selling, 30)
    assert await reserved(selling) == 0


async def test_orders_that_were_read_at_a_time_yet_to_come_count_as_unread_until_they_are_read_again(
    selling: Any,
) -> None:
    selling.clock.at -= timedelta(days=1)
    await watch_clock(selling.agent)
    states = await selling.database.query(channels.channel_states)
    assert [(one.covered_to, one.orders_asked_at) for one in states.values()] == [(None, None)] * 2
    await goes_round(selling)
    states = await selling.database.query(channels.channel_states)
    assert all(one.orders_asked_at == selling.clock.now() for one in states.values())
