"""A write of a worker that lost its account is neither recorded nor sent, whatever code talks to the channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from channelsync.sdk.right_to_write import writing_while
from channelsync.store.leases import LeaseLost, give_up_lease, take_lease
from channelsync.store.sent_writes import NEVER_LEFT
from channelsync.store.tables import metadata
from channelsync.sync.publish import publish_tick
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

WRITE = metadata.tables["quantity_write"]
LASTS = timedelta(days=1000)
"""The test's clock is not the database's, by which leases are measured on PostgreSQL."""


class Noted(MemoryChannel):
    """A channel without HTTP: nothing below it asks for the right to write."""

    pushed: list[int] = []  # noqa: RUF012 - the test's own, set anew for each

    async def push(self, updates: Sequence[Any]) -> Sequence[Any]:
        Noted.pushed.extend(update.value for update in updates)
        return await super().push(updates)


@pytest.fixture
async def lowering(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A seller whose shop shows 9 mugs of which 5 are there, which was read: that is to be written."""
    monkeypatch.setattr(Noted, "pushed", [])
    seller = await open_seller("shop", connectors={"shop": memory_connector(Noted)})
    await seller.sells("MUG", 9, units=5)
    await poll_orders(seller.agent, seller.channel())
    await seller.clock.sleep(60)
    return seller


async def lease_of(seller: Any, owner: str) -> Any:
    now = seller.clock.now()
    return await seller.database.transact(lambda c: take_lease(c, seller.channel().identity, owner, now, LASTS))


async def recorded(seller: Any) -> int:
    """How many writes were ever recorded."""
    return int(await seller.database.query(lambda c: c.execute(select(func.count()).select_from(WRITE)).scalar_one()))


async def test_a_worker_that_lost_its_account_records_and_sends_nothing(lowering: Any) -> None:
    lost = await lease_of(lowering, "a")
    await lowering.database.transact(lambda c: give_up_lease(c, lost, lowering.clock.now()))
    held = await lease_of(lowering, "b")

    with pytest.raises(LeaseLost):
        await publish_tick(lowering.agent, lowering.channel(), lost)
    assert (Noted.pushed, await recorded(lowering)) == ([], 0)

    await publish_tick(lowering.agent, lowering.channel(), held)
    assert (Noted.pushed, await recorded(lowering)) == ([5], 1)


async def test_a_write_that_is_recorded_when_the_account_was_just_lost_does_not_leave(lowering: Any) -> None:
    with writing_while(lambda: False):
        done = await publish_tick(lowering.agent, lowering.channel())
    assert Noted.pushed == []
    assert "the right to write to this account ran out" in done.held_back
    outcomes = await lowering.database.query(lambda c: list(c.execute(select(WRITE.c.outcome)).scalars()))
    assert outcomes == [NEVER_LEFT]

    await publish_tick(lowering.agent, lowering.channel())
    assert Noted.pushed == [5], "it stayed on the agenda"
