"""Many raises have calls of their own, where the channel has a way for them; lowerings go first and never in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.domain.watermark import Timing, Write, overdue
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store import keys, ledger
from channelsync.store.items import item_id
from channelsync.sync.publish import publish_tick
from channelsync.sync.read_numbers import Published, read_keys
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


class NotingChannel(MemoryChannel):
    """Notes its pushes: of each update whether it lowers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pushed: list[list[bool]] = []
        self.within: timedelta | None = None

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        self.pushed.append([one.lowering for one in updates])
        return [replace(one, within=self.within, shown=None) for one in await super().push(updates)]


@pytest.fixture
async def seller(open_seller: Any) -> Any:
    """Twelve SKUs, five of each; two go in a push, and of raises five."""
    opened = await open_seller("shop", connectors={"shop": memory_connector(NotingChannel)})
    for number in range(12):
        await opened.sells(f"SKU-{number:02}", 5)
    setup = opened.channel().setup
    few = replace(setup, capabilities=replace(setup.capabilities, updates_per_push=2, raises_per_push=5))
    opened.channel().setup = opened.agent.setup.channels["shop"] = few
    await read_all(opened)
    return opened


async def read_all(seller: Any) -> None:
    identity = seller.channel().identity
    names = [(name, "") for name in seller.shop().items]
    ids = await seller.database.query(lambda c: keys.ids_of(c, identity, names))
    await read_keys(seller.agent, seller.channel(), sorted(ids.values()), Published())


async def count(seller: Any, changes: dict[str, int]) -> None:
    """On hand changes by so much."""
    now = seller.clock.now()

    def unit(connection: Connection) -> None:
        positions = ledger.lock_positions(connection, [item_id(sku) for sku in changes])
        movements = [
            Movement(
                id=entry_id("adjust", sku, positions[PositionKey(item_id(sku), "main")].entries),
                position=PositionKey(item_id(sku), "main"),
                kind=EntryKind.ADJUST,
                on_hand=units,
                at=now,
                cause=Cause(actor="test", run="test", reason="counted"),
            )
            for sku, units in sorted(changes.items())
        ]
        ledger.write(connection, movements, positions, now)
        keys.mark_due(connection, {item_id(sku) for sku in changes}, now)

    await seller.database.transact(unit)


async def test_lowerings_go_first_in_small_calls_and_many_raises_in_their_own(seller: Any) -> None:
    await count(seller, {f"SKU-{number:02}": -1 if number < 3 else 4 for number in range(12)})
    await publish_tick(seller.agent, seller.channel())
    pushed = seller.channel().channel.pushed
    assert pushed == [[True, True], [True], [False] * 5, [False] * 4]
    assert sorted(one.number for one in seller.shop().items.values()) == [4] * 3 + [9] * 9


async def test_few_raises_fill_up_the_calls_of_lowerings(seller: Any) -> None:
    await count(seller, {"SKU-00": -1, "SKU-01": 4})
    await publish_tick(seller.agent, seller.channel())
    assert seller.channel().channel.pushed == [[True, False]]


async def test_a_write_that_takes_longer_is_not_lost_before_its_time(seller: Any) -> None:
    seller.channel().channel.within = timedelta(hours=1)
    await count(seller, {"SKU-00": 4})
    await publish_tick(seller.agent, seller.channel())
    (row,) = (
        await seller.database.query(
            lambda c: keys.ids_of(c, seller.channel().identity, [(next(iter(seller.shop().items)), "")])
        )
    ).values()
    record = (await seller.database.query(lambda c: keys.load_keys(c, [row])))[row]
    (write,) = record.state.writes
    assert write.within == timedelta(hours=1)
    answered = write.answered
    assert answered is not None
    timing = seller.channel().setup.capabilities.timing
    assert not overdue(write, answered + timedelta(minutes=59), timing)
    assert overdue(write, answered + timedelta(minutes=61), timing)
    usual = Write(generation=1, value=1, sent=answered, answered=answered)
    assert overdue(usual, answered + timedelta(minutes=59), Timing())
