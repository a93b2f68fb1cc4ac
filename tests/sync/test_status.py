"""Status, doctor, readiness and metrics' numbers tell what a shop's day left in the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.findings import Finding, FindingKind
from channelsync.domain.watermark import KeyState, Read, Write
from channelsync.sdk.breaker import ServerTime
from channelsync.sdk.errors import NeedsSeller
from channelsync.store import channels, daemons, findings
from channelsync.store.daemons import ServingProcess
from channelsync.store.database_errors import DatabaseFull, DatabaseUnavailable
from channelsync.store.drifting import drifts
from channelsync.store.standing import standing
from channelsync.store.tables import metadata
from channelsync.sync.publish import publish_tick
from channelsync.sync.readiness import readiness, receiver_readiness
from channelsync.sync.status import status
from channelsync.sync.take_orders import poll_orders


async def test_status_tells_numbers_lag_pushes_and_what_is_oversold(seller: Any) -> None:
    agent, channel = seller.agent, seller.channel()
    await seller.sells("MUG", 5, units=3)
    seller.clock.at += timedelta(minutes=2)
    await poll_orders(agent, channel)
    await publish_tick(agent, channel)
    seller.clock.at += timedelta(minutes=3)
    found = await seller.database.query(lambda c: status(c, agent.setup, seller.clock.now()))
    (shop,) = found.channels
    assert (shop.numbers, shop.pushed_today, shop.mode, shop.trouble) == (1, 1, "live", "")
    assert 180 <= (shop.orders_lag_seconds or 0) < 300
    assert (found.oversold_units, found.alive, found.processes) == (0, False, ())


async def test_oversold_units_open_findings_and_drift_are_counted(seller: Any) -> None:
    agent, channel = seller.agent, seller.channel()
    listing = await seller.sells("MUG", 5, units=3)
    seller.shop().buy((seller.shop().items[listing], 5))
    await poll_orders(agent, channel)
    stand = await seller.database.query(
        lambda c: standing(c, agent.setup.timings, seller.clock.now() - timedelta(hours=1))
    )
    assert (stand.oversold, stand.oversold_positions) == (2, 1)
    assert stand.findings == {"oversold": 1}
    assert stand.newest_order.keys() == {"shop"}
    assert stand.numbers["shop"].numbers == 1
    assert stand.pushed_today == {}


async def test_a_sale_on_the_channel_is_no_drift_before_its_number_is_read_again(seller: Any) -> None:
    agent, channel = seller.agent, seller.channel()
    listing = await seller.sells("MUG", 5)
    seller.clock.at += timedelta(minutes=2)
    await poll_orders(agent, channel)
    await publish_tick(agent, channel)
    seller.clock.at += timedelta(hours=1)
    seller.shop().buy((seller.shop().items[listing], 2))
    seller.clock.at += timedelta(minutes=2)
    await poll_orders(agent, channel)
    await publish_tick(agent, channel)
    found = await seller.database.query(lambda c: status(c, agent.setup, seller.clock.now()))
    assert (found.channels[0].numbers, found.channels[0].drift) == (1, 0)


async def test_a_number_that_a_write_on_its_way_makes_right_is_no_drift_and_a_lost_one_is(seller: Any) -> None:
    await seller.sells("MUG", 5, units=3)

    def judged(value: int, target: int, *, below_zero: bool = False) -> list[bool]:
        timing = seller.agent.setup.timings["shop"]
        read = Read(value, seller.clock.now(), seller.clock.now())
        write = Write(generation=1, value=3, sent=seller.clock.now() + timedelta(seconds=1))
        sides = [KeyState(watermark=read), KeyState(watermark=read, writes=(write,))]
        return [drifts(one, target, timing, below_zero=below_zero) for one in sides]

    assert judged(5, 3) == [True, False]
    assert judged(5, 4) == [True, True]
    assert judged(0, -2) == [False, True]
    assert judged(-1, 0, below_zero=True) == [False, True]


async def test_a_number_that_differs_with_no_sale_to_explain_it_is_drift(seller: Any) -> None:
    agent, channel = seller.agent, seller.channel()
    await seller.sells("MUG", 5)
    seller.clock.at += timedelta(minutes=2)
    await poll_orders(agent, channel)
    await publish_tick(agent, channel)
    key = metadata.tables["quantity_key"]
    await seller.database.transact(lambda c: c.execute(key.update().values(value=7)))
    found = await seller.database.query(lambda c: status(c, agent.setup, seller.clock.now()))
    assert found.channels[0].drift == 1


async def test_status_names_the_processes_and_what_they_say_of_channels(seller: Any) -> None:
    now = seller.clock.now()
    told = {"late": ["shop: orders"], "resident_bytes": 5, "channels": {"shop": {"budget": {"calls": 7.0}}}}
    one = ServingProcess(run="r", command="run", host="h", pid=3, version="1", started_at=now, beat_at=now, told=told)
    await seller.database.transact(lambda c: daemons.begin_serving(c, one, now))
    found = await seller.database.query(lambda c: status(c, seller.agent.setup, now))
    assert found.alive
    assert found.processes[0].late == ("shop: orders",)
    assert found.channels[0].budget == {"calls": 7.0}


async def test_a_channel_that_fails_is_trouble_and_the_seller_comes_first(seller: Any) -> None:
    now = seller.clock.now()
    await seller.database.transact(lambda c: channels.save_channel(c, "shop", orders_failed="no answer"))
    found = await seller.database.query(lambda c: status(c, seller.agent.setup, now))
    assert found.channels[0].trouble == "orders: no answer"
    said = {"orders_failed": "", "unreadable_since": now, "unreadable_why": "it answered 503"}
    await seller.database.transact(lambda c: channels.save_channel(c, "shop", **said))
    found = await seller.database.query(lambda c: status(c, seller.agent.setup, now))
    assert (
        found.channels[0].trouble
        == f"numbers cannot be read or written since {now:%Y-%m-%d %H:%M} UTC: it answered 503"
    )
    breaker = b'{"failures":1,"retry_at":null,"pause":0.0,"needs_seller":"renew it"}'
    await seller.database.transact(lambda c: channels.save_channel(c, "shop", breaker=breaker))
    found = await seller.database.query(lambda c: status(c, seller.agent.setup, now))
    assert found.channels[0].trouble == "waits for you: renew it"


async def test_a_process_is_ready_when_all_is_well_and_amber_where_a_channel_is_not(seller: Any) -> None:
    await seller.sells("MUG", 5)
    states = {one.what: one.level for one in await readiness(seller.agent)}
    assert states == {"database": "green", "publisher": states["publisher"], "channel shop": "green"}
    with pytest.raises(NeedsSeller), seller.channel().breaker.guard(cheap_read=True):
        raise NeedsSeller("renew the token")
    states = {one.what: one for one in await readiness(seller.agent)}
    assert states["channel shop"].level == "amber"
    assert "renew the token" in states["channel shop"].found


@pytest.mark.fault(13, "the process is not ready, and says by how many seconds its clock is off")
async def test_a_clock_that_is_minutes_off_every_channels_is_red(seller: Any) -> None:
    now = seller.clock.now()
    for ahead, level in ((20, "green"), (60, "amber"), (-600, "red")):
        theirs = now + timedelta(seconds=ahead)
        seller.channel().breaker.server_time = ServerTime(theirs, now, now)
        states = {one.what: one for one in await readiness(seller.agent)}
        assert states["clock"].level == level
    assert "600 s ahead of every channel" in states["clock"].found or "599 s ahead" in states["clock"].found


async def test_a_part_that_failed_makes_readiness_amber(seller: Any) -> None:
    finding = Finding(kind=FindingKind.TASK_FAILED, subject=("x",), summary="part x failed")
    await seller.database.transact(lambda c: findings.open_findings(c, [finding], seller.clock.now()))
    assert [(one.level, one.found) for one in await readiness(seller.agent) if one.what == "part"] == [
        ("amber", "part x failed")
    ]


async def test_a_database_that_does_not_answer_is_red(seller: Any, monkeypatch: Any) -> None:
    async def gone(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("it is gone")

    monkeypatch.setattr(type(seller.agent.database), "query", gone)
    states = [*await readiness(seller.agent), *await receiver_readiness(seller.agent.database)]
    monkeypatch.undo()
    assert [(one.what, one.level) for one in states] == [("database", "red")] * 2
    assert [one.level for one in await receiver_readiness(seller.agent.database)] == ["green"]


async def test_a_database_without_room_is_red_until_something_could_be_written(seller: Any) -> None:
    def no_room(_connection: Any) -> None:
        raise DatabaseFull

    with pytest.raises(DatabaseFull):
        await seller.database.transact(no_room)
    states = [*await readiness(seller.agent), *await receiver_readiness(seller.database)]
    found = [(one.level, one.found) for one in states if one.what == "database"]
    assert found == [("red", str(DatabaseFull()))] * 2
    await seller.database.transact(lambda c: None)
    assert [one.level for one in await receiver_readiness(seller.database)] == ["green"]
