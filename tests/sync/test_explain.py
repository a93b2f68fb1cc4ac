"""Why this number, now and at a past time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from channelsync.domain.errors import BrokenChain
from channelsync.domain.rules import Fixed, LastUnits, Rule, RuleScope, RuleValues
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store import items
from channelsync.sync.explain import Explanation, NumberWhy, explain_now, explain_then
from channelsync.sync.publish import publish_tick
from channelsync.sync.switches import change_channel
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

Seller = Any


class SlowChannel(MemoryChannel):
    """A push takes a second, so that no two things happen at one time."""

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        await self._clock.sleep(1)
        return await super().push(updates)


SLOW = {"shop": memory_connector(SlowChannel)}
BUFFER = Rule("#1", RuleScope(channel="shop"), RuleValues(buffer=Fixed(2)), "config.toml line 14")


async def tick(seller: Seller, times: int = 2) -> None:
    for _ in range(times):
        await seller.clock.sleep(60)
        for channel in seller.agent.channels.values():
            await publish_tick(seller.agent, channel)
            await poll_orders(seller.agent, channel)


async def explained(seller: Seller, sku: str = "MUG", at: datetime | None = None, **only: Any) -> Explanation:
    def unit(connection: Any) -> Explanation:
        item = items.items_by_sku(connection, [sku])[sku]
        channels = only.get("only")
        if at is not None:
            return explain_then(connection, seller.agent.setup, item, channels, at)
        return explain_now(connection, seller.agent.setup, seller.agent.measures, item, channels, seller.clock.now())

    return await seller.database.query(unit, snapshot=True)


async def number(seller: Seller, **more: Any) -> NumberWhy:
    (found,) = (await explained(seller, **more)).numbers
    return found


async def test_a_position_says_who_has_reserved_its_units(seller: Seller) -> None:
    listing = await seller.sells("MUG", 6)
    await tick(seller)
    sale = seller.shop().buy((seller.shop().items[listing], 2))
    await tick(seller)
    found = await explained(seller)

    (position,) = found.positions
    assert (position.sku, position.on_hand, position.reserved, position.available) == ("MUG", 6, 2, 4)
    (reserved,) = position.reserved_by
    assert (reserved.kind, reserved.channel, reserved.order, reserved.units) == ("order", "shop", sale.id, 2)


async def test_a_drop_that_no_order_explains_is_said_to_hold_the_units(seller: Seller) -> None:
    listing = await seller.sells("MUG", 6)
    await tick(seller)
    seller.shop().items[listing].number = 4
    await seller.clock.sleep(60)
    await seller.pull()
    found = await explained(seller)

    (reserved,) = found.positions[0].reserved_by
    assert (reserved.kind, reserved.units, reserved.order) == ("provisional", 2, "")
    (held,) = found.numbers[0].provisional
    assert (held.units, held.open, held.location) == (2, 2, "main")


async def test_the_steps_name_the_rule_that_bit_and_its_source(open_seller: Any) -> None:
    seller = await open_seller("shop", rules=(BUFFER,))
    await seller.sells("MUG", 6)
    await tick(seller)
    found = await number(seller)

    assert (found.shown, found.should) == (4, 4)
    buffer = next(step for step in found.steps if step.step == "buffer")
    assert (buffer.before, buffer.after, buffer.why) == (6, 4, "2 held back")
    assert buffer.rule == "rule #1 for channel shop (config.toml line 14)"


async def test_a_rule_of_an_item_names_its_sku(open_seller: Any) -> None:
    seller = await open_seller("shop")
    scope = RuleScope(channel="shop", item=await seller.has("MUG", 0))
    rule = Rule("r-1", scope, RuleValues(buffer=Fixed(2), may_raise=False), "`channelsync rules set`")
    seller.agent.setup = replace(seller.agent.setup, rules=(rule,))
    await seller.sells("MUG", 6, units=9)
    await tick(seller)
    found = await number(seller)

    named = "rule r-1 for SKU MUG + channel shop (`channelsync rules set`)"
    assert next(step.rule for step in found.steps if step.step == "buffer") == named
    assert found.why == f"raising is switched off: {named}"


async def test_a_holiday_is_a_step_of_its_own(seller: Seller) -> None:
    await seller.sells("MUG", 6)
    now = seller.clock.now()
    await seller.database.transact(lambda c: change_channel(c, "shop", {"zeroed": True}, run="test", now=now))
    found = await number(seller)

    assert found.should == 0
    assert (found.steps[-1].step, found.steps[-1].before, found.steps[-1].after) == ("holiday", 6, 0)


async def test_what_it_must_be_showing_counts_the_orders_that_the_last_read_lacked(seller: Seller) -> None:
    listing = await seller.sells("MUG", 6)
    await tick(seller)
    await seller.clock.sleep(60)
    sale = seller.shop().buy((seller.shop().items[listing], 2))
    await poll_orders(seller.agent, seller.channel())
    found = await number(seller)

    assert found.shown == 6
    assert [(one.low, one.high, one.generation) for one in found.expected] == [(4, 4, None)]
    assert [(one.order, one.delta) for one in found.effects] == [(sale.id, -2)]
    assert (found.should, found.action) == (4, "none")


async def test_the_next_step_says_why_it_waits(seller: Seller) -> None:
    await seller.sells("MUG", 6, units=9)
    await seller.clock.sleep(60)
    await seller.pull()
    now = seller.clock.now()
    await seller.database.transact(lambda c: change_channel(c, "shop", {"stop": "all"}, run="test", now=now))
    found = await number(seller)

    assert (found.action, found.why) == ("wait", "all writes are stopped: `channelsync stop --all-writes` was given")


async def test_the_last_writes_say_why_they_were_sent_and_what_came_of_them(open_seller: Any) -> None:
    seller = await open_seller("shop", connectors=SLOW)
    await seller.sells("MUG", 6, units=9)
    await tick(seller)
    found = await number(seller)

    (write,) = found.writes
    assert (write.value, write.why, write.outcome) == (9, "raise from 6 to 9", "accepted")
    assert write.visible_at is not None
    assert [step[0] for step in write.steps] == ["sum of locations"]
    assert found.in_force == write
    assert found.reads[0].meaning == "as expected"


async def test_only_the_asked_channels_are_explained(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    await seller.sells("MUG", 6)
    other = await seller.lists("MUG", 6, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")

    assert {one.channel for one in (await explained(seller)).numbers} == {"shop", "market"}
    assert [one.channel for one in (await explained(seller, only=["market"])).numbers] == ["market"]


async def test_a_bundle_shows_the_positions_of_its_parts_and_a_part_names_its_bundles(open_seller: Any) -> None:
    seller = await open_seller("shop", recipes={"SET": {"MUG": 2, "TRAY": 1}})
    await seller.has("MUG", 5)
    await seller.has("TRAY", 9)

    assert {(one.sku, one.available) for one in (await explained(seller, "SET")).positions} == {
        ("MUG", 5),
        ("TRAY", 9),
    }
    assert (await explained(seller, "MUG")).in_bundles == ("SET",)


async def test_findings_about_the_item_are_told(seller: Seller) -> None:
    listing = await seller.sells("MUG", 1)
    await tick(seller)
    seller.shop().items[listing].number = 3
    seller.shop().buy((seller.shop().items[listing], 3))
    await tick(seller)
    (found,) = (await explained(seller)).findings

    assert found.kind == "oversold"
    assert "MUG at main" in found.summary


async def test_at_a_past_time_the_position_is_replayed_as_it_was_known(seller: Seller) -> None:
    listing = await seller.sells("MUG", 6)
    await tick(seller)
    then = seller.clock.now()
    await seller.clock.sleep(60)
    seller.shop().buy((seller.shop().items[listing], 2))
    await tick(seller)
    await seller.has("MUG", 10)
    later = seller.clock.now()

    past = await explained(seller, at=then)
    assert past.past
    assert [(one.on_hand, one.reserved, one.available) for one in past.positions] == [(6, 0, 6)]
    present = await explained(seller, at=later)
    assert [(one.on_hand, one.reserved, one.available) for one in present.positions] == [(16, 2, 14)]
    assert [one.units for one in present.positions[0].reserved_by] == [2]
    assert [(one.on_hand, one.reserved) for one in (await explained(seller)).positions] == [(16, 2)]


async def test_at_a_past_time_the_write_in_force_tells_its_steps_although_rules_have_changed(open_seller: Any) -> None:
    seller = await open_seller("shop", rules=(BUFFER,), connectors=SLOW)
    await seller.sells("MUG", 6)
    await tick(seller)
    then = seller.clock.now()
    seller.agent.setup = type(seller.agent.setup)(channels=seller.agent.setup.channels, locations=("main",))
    await seller.database.transact(lambda c: c.execute(text("UPDATE quantity_key SET due_at = asked_at")))
    await tick(seller, 4)

    assert (await number(seller)).shown == 6
    past = await number(seller, at=then)
    assert (past.shown, past.should, past.action) == (4, 4, "written")
    assert past.in_force is not None
    assert past.said_at == past.in_force.sent_at < then
    assert [(step.step, step.after, step.rule) for step in past.steps][-1] == ("buffer", 4, "rule #1")
    assert past.why == "lower from 6 to 4"
    assert [read.value for read in past.reads] == [6, 6, 4, 6]


async def test_at_a_past_time_of_observing_the_prediction_tells(open_seller: Any) -> None:
    seller = await open_seller("shop", rules=(BUFFER,), channel={"mode": "observe"})
    await seller.sells("MUG", 6)
    await tick(seller)
    past = await number(seller, at=seller.clock.now())

    assert (past.shown, past.should, past.action) == (6, 4, "predicted")
    assert past.steps[-1].rule == "rule #1 for channel shop (config.toml line 14)"
    assert past.said_at is not None
    assert past.said_at < seller.clock.now()


async def test_before_anything_happened_nothing_is_known(seller: Seller) -> None:
    began = seller.clock.now() - timedelta(days=1)
    await seller.sells("MUG", 6)
    past = await explained(seller, at=began)

    assert past.positions == ()
    (found,) = past.numbers
    assert (found.shown, found.should, found.in_force, found.writes, found.steps) == (None, None, None, (), ())
    assert found.said_at is None


async def test_last_units_are_explained_on_the_channel_that_must_leave_them(open_seller: Any) -> None:
    last = Rule("last", RuleScope(), RuleValues(last_units=LastUnits(2, ("market",))), "config.toml line 3")
    seller = await open_seller("shop", "market", rules=(last,))
    await seller.sells("MUG", 2)
    other = await seller.lists("MUG", 2, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")
    shop = next(one for one in (await explained(seller)).numbers if one.channel == "shop")

    assert shop.should == 0
    assert ("last units", "rule last for everything (config.toml line 3)") in {(s.step, s.rule) for s in shop.steps}


async def test_a_ledger_that_was_altered_since_is_not_replayed(open_seller: Any, clock: Any) -> None:
    seller = await open_seller("shop")
    await seller.has("MUG", 6)
    await seller.database.transact(lambda c: c.execute(text("UPDATE ledger_entry SET reason = 'gift'")))
    with pytest.raises(BrokenChain):
        await explained(seller, at=seller.clock.now())
    await seller.database.transact(lambda c: c.execute(text("UPDATE ledger_entry SET reason = 'received'")))
