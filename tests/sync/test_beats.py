"""A part is late when it was not heard of in the time that it named itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from channelsync.sync.beats import Beats
from channelsync.sync.publish import publish_tick
from channelsync.sync.take_orders import poll_orders


def test_a_part_is_late_only_after_the_time_that_it_named(clock: Any) -> None:
    beats = Beats(clock)
    beats.touch("quick", 10)
    beats.touch("patient", 3600)
    assert beats.late() == []
    clock.at += timedelta(seconds=11)
    assert beats.late() == ["quick"]
    assert beats.now()["quick"].late == 1
    assert beats.now()["patient"].age == 11
    beats.touch("quick", 10)
    assert beats.late() == []


def test_a_part_that_has_ended_is_not_waited_for(clock: Any) -> None:
    beats = Beats(clock)
    beats.touch("shop: orders", 1)
    beats.forget("shop: orders")
    beats.forget("never there")
    clock.at += timedelta(seconds=100)
    assert beats.late() == []


async def test_the_loops_of_a_channel_say_when_they_will_be_heard_of_again(seller: Any) -> None:
    await seller.sells("MUG", 5)
    await poll_orders(seller.agent, seller.channel())
    await publish_tick(seller.agent, seller.channel())
    assert "shop: orders" in seller.agent.beats.now()
    assert seller.agent.beats.late() == []
    assert seller.agent.counts.polls["shop", "done"] == 1
    assert seller.agent.counts.ticks["shop", "done"] == 1


async def test_a_write_is_counted_by_what_became_of_it(seller: Any) -> None:
    await seller.sells("MUG", 5, units=3)
    seller.clock.at += timedelta(minutes=2)
    await poll_orders(seller.agent, seller.channel())
    await publish_tick(seller.agent, seller.channel())
    assert seller.agent.counts.pushes["shop", "accepted"] == 1
