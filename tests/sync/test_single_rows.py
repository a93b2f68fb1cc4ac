"""Single rows of a call: an update that never left, a number that cannot be read. Their neighbours go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.publishing import WriteLimit
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey, QuantityUpdate
from channelsync.store import keys, ledger, sent_writes
from channelsync.store.items import item_id
from channelsync.sync.publish import publish_tick
from channelsync.sync.read_numbers import Published, read_keys
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


class PartlyChannel(MemoryChannel):
    """Some rows never leave, some numbers cannot be read."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.held_up: set[str] = set()
        self.garbled: set[str] = set()
        self.pushed: list[list[str]] = []
        self.read_keys = 0

    async def read(self, wanted: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        self.read_keys += len(wanted)
        return [
            replace(one, value=None, unreadable="the number is half a unit") if one.key.key in self.garbled else one
            for one in await super().read(wanted)
        ]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        self.pushed.append([one.key.key for one in updates])
        leaving = [one for one in updates if one.key.key not in self.held_up]
        answered = {one.key: one for one in await super().push(leaving)}
        return [answered.get(one.key) or PushResult.not_sent(one.key, "a feed holds it") for one in updates]


@pytest.fixture
async def partly(open_seller: Any) -> Any:
    """A seller of a MUG and a CUP, five of each, on one channel; the CUP is what is held up or garbled."""
    seller = await open_seller("shop", connectors={"shop": memory_connector(PartlyChannel)})
    await seller.sells("MUG", 5)
    await seller.sells("CUP", 5)
    rows = [(await row_of(seller, sku)).id for sku in ("MUG", "CUP")]
    await read_keys(seller.agent, seller.channel(), rows, Published())
    return seller


def shop_of(seller: Any) -> PartlyChannel:
    found = seller.channel().channel
    assert isinstance(found, PartlyChannel)
    return found


async def tick(seller: Any) -> Published:
    return await publish_tick(seller.agent, seller.channel())


async def later(seller: Any, minutes: float = 5) -> None:
    await seller.clock.sleep(minutes * 60)


async def lose(seller: Any, sku: str, units: int) -> None:
    """So many units more (or fewer) are there."""
    key = PositionKey(item_id(sku), "main")
    now = seller.clock.now()

    def unit(connection: Connection) -> None:
        positions = ledger.lock_positions(connection, [key.item])
        movement = Movement(
            id=entry_id("adjust", sku, positions[key].entries),
            position=key,
            kind=EntryKind.ADJUST,
            on_hand=-units,
            at=now,
            cause=Cause(actor="test", run="test", reason="counted"),
        )
        ledger.write(connection, [movement], positions, now)
        keys.mark_due(connection, {key.item}, now)

    await seller.database.transact(unit)


async def listing_of(seller: Any, sku: str) -> str:
    return next(name for name, item in seller.shop().items.items() if item.sku == sku)


async def row_of(seller: Any, sku: str) -> keys.KeyRecord:
    listing = await listing_of(seller, sku)
    identity = seller.channel().identity

    def unit(connection: Connection) -> keys.KeyRecord:
        (row,) = keys.ids_of(connection, identity, [(listing, "")]).values()
        return keys.load_keys(connection, [row])[row]

    return await seller.database.query(unit)


async def outcomes(seller: Any) -> list[str]:
    found = await seller.database.query(lambda c: c.execute(text("SELECT outcome FROM quantity_write ORDER BY 1")))
    return list(found.scalars())


def shown(seller: Any, sku: str) -> int:
    return next(item.number for item in seller.shop().items.values() if item.sku == sku)


async def test_a_row_that_never_left_is_decided_anew_and_nothing_is_read_for_it(partly: Any) -> None:
    shop_of(partly).held_up = {await listing_of(partly, "CUP")}
    await later(partly)
    await lose(partly, "MUG", 2)
    await lose(partly, "CUP", 2)
    await tick(partly)
    assert (shown(partly, "MUG"), shown(partly, "CUP")) == (3, 5)
    assert sorted(await outcomes(partly)) == ["accepted", "not sent"]
    assert not (await row_of(partly, "CUP")).state.writes, "it is no write that may still become visible"
    assert await partly.kinds() == []

    pushes = len(shop_of(partly).pushed)
    await tick(partly)
    assert len(shop_of(partly).pushed) == pushes, "not again in the same breath"
    shop_of(partly).held_up = set()
    await later(partly)
    await lose(partly, "CUP", 1)
    await tick(partly)
    assert shown(partly, "CUP") == 2
    assert sorted(await outcomes(partly)) == ["accepted", "accepted", "not sent"]


async def test_a_row_that_never_left_is_tried_again_by_itself(partly: Any) -> None:
    shop_of(partly).held_up = {await listing_of(partly, "CUP")}
    await lose(partly, "CUP", 2)
    await tick(partly)
    shop_of(partly).held_up = set()
    await later(partly)
    await tick(partly)
    assert shown(partly, "CUP") == 3


async def test_a_row_that_never_left_counts_against_no_daily_limit(partly: Any) -> None:
    shop_of(partly).held_up = {await listing_of(partly, "CUP")}
    limit = WriteLimit(most=3, span=timedelta(days=1), kept=1)
    setup = partly.channel().setup
    limited = replace(setup, capabilities=replace(setup.capabilities, writes_per_day=limit))
    partly.channel().setup = partly.agent.setup.channels["shop"] = limited
    await lose(partly, "CUP", 1)
    for _ in range(5):
        await tick(partly)
        await later(partly)
    record = await row_of(partly, "CUP")
    since = partly.clock.now() - timedelta(days=1)
    assert await partly.database.query(lambda c: sent_writes.sent_since(c, [record], since, 3)) == {}
    shop_of(partly).held_up = set()
    await tick(partly)
    assert shown(partly, "CUP") == 4


async def test_a_number_that_cannot_be_read_is_a_finding_and_its_neighbours_are_read(partly: Any) -> None:
    mug, cup = await row_of(partly, "MUG"), await row_of(partly, "CUP")
    shop_of(partly).garbled = {await listing_of(partly, "CUP")}
    await later(partly)
    await read_keys(partly.agent, partly.channel(), [mug.id, cup.id], Published())
    now = await row_of(partly, "CUP")
    assert now.unreadable == "the number is half a unit"
    assert now.state == cup.state, "what is known of it stays: it has not ended, nor sold anything"
    assert (await row_of(partly, "MUG")).read_at == partly.clock.now()
    (found,) = await partly.findings()
    assert found.kind == "unreadable number"
    assert "the number is half a unit" in found.summary

    shop_of(partly).garbled = set()
    await later(partly)
    await read_keys(partly.agent, partly.channel(), [mug.id, cup.id], Published())
    assert (await row_of(partly, "CUP")).unreadable == ""
    assert await partly.kinds() == []


async def test_a_number_that_cannot_be_read_is_lowered_and_not_raised(partly: Any) -> None:
    shop_of(partly).garbled = {await listing_of(partly, "CUP")}
    await lose(partly, "CUP", 2)
    await later(partly)
    await tick(partly)
    await later(partly)
    cup = await row_of(partly, "CUP")
    await read_keys(partly.agent, partly.channel(), [cup.id], Published())
    await lose(partly, "CUP", -6)
    for _ in range(3):
        await later(partly)
        await tick(partly)
    assert shown(partly, "CUP") == 3, "lowered by what is known of it; a raise waits for a read"


async def test_a_number_that_cannot_be_read_holds_up_no_other_channel(open_seller: Any) -> None:
    seller = await open_seller("shop", "market", connectors={"shop": memory_connector(PartlyChannel)})
    await seller.sells("CUP", 5)
    await seller.lists("CUP", 5, channel="market")
    await seller.pull("market")
    (listing,) = seller.shop("market").items
    await seller.map(listing, "CUP", channel="market")
    for name in ("shop", "market"):
        await publish_tick(seller.agent, seller.channel(name))
    shop_of(seller).garbled = {await listing_of(seller, "CUP")}
    await later(seller)
    cup = await row_of(seller, "CUP")
    await read_keys(seller.agent, seller.channel(), [cup.id], Published())
    await lose(seller, "CUP", -4)
    for _ in range(4):
        await later(seller, 1)
        for name in ("shop", "market"):
            await publish_tick(seller.agent, seller.channel(name))
    assert seller.shop("market").items[listing].number == 9
    assert shown(seller, "CUP") == 5


def test_a_number_that_cannot_be_read_has_no_value(partly: Any) -> None:
    now = partly.clock.now()
    with pytest.raises(ValueError, match="has no value"):
        KeyRead(key=QuantityKey("CUP"), value=3, asked=now, answered=now, unreadable="no number")
