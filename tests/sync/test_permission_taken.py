"""A channel whose account keeps only some of its permissions: what needs none of those that it lost goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.sdk.errors import NotPermitted, TryLater
from channelsync.store import keys, listings
from channelsync.sync.publish import publish_tick
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

GIVE = "Give the app the permission write_inventory."


class Limited(MemoryChannel):
    """lost: what it may not do any more: "push", "read" or "orders". busy: it answers nothing for now."""

    lost: str = ""
    busy = False

    def _may(self, what: str) -> None:
        if Limited.lost == what:
            raise NotPermitted(GIVE)
        if Limited.busy:
            raise TryLater("it is busy")

    async def orders(self, *, cursor: str | None) -> AsyncIterator[Any]:
        self._may("orders")
        async for page in super().orders(cursor=cursor):
            yield page

    async def read(self, wanted: Sequence[Any]) -> Sequence[Any]:
        self._may("read")
        return await super().read(wanted)

    async def push(self, updates: Sequence[Any]) -> Sequence[Any]:
        self._may("push")
        return await super().push(updates)


@pytest.fixture
async def limited(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A seller at a shop with one mug, number 5, of which 4 are left: that is to be written."""
    monkeypatch.setattr(Limited, "lost", "")
    seller = await open_seller("shop", connectors={"shop": memory_connector(Limited)})
    await seller.sells("MUG", 5)
    await poll_orders(seller.agent, seller.channel())
    await ticks(seller, 3)
    return seller


async def ticks(seller: Any, many: int) -> None:
    for _ in range(many):
        await publish_tick(seller.agent, seller.channel())
        await seller.clock.sleep(60)


async def due(seller: Any) -> None:
    """The number of the mug is to be read, and looked at."""
    (mug,) = await seller.database.query(listings.get_listings)
    await seller.database.transact(lambda c: keys.want_reads(c, mug.keys))
    await seller.database.transact(lambda c: keys.mark_keys_due(c, mug.keys, seller.clock.now()))


async def bought(seller: Any, units: int) -> int:
    """So many mugs are bought; returns how many we know to be reserved once orders were asked for."""
    (mug,) = seller.shop().items.values()
    seller.shop().buy((mug, units))
    await seller.clock.sleep(10)
    await poll_orders(seller.agent, seller.channel())
    reserved: int = (await seller.position("MUG")).reserved
    return reserved


@pytest.mark.fault(37, "numbers may not be written: orders are taken all the same, one finding says what to do")
@pytest.mark.parametrize("lost", ["push", "read"])
async def test_without_the_right_to_numbers_orders_are_taken_and_one_finding_says_what_to_do(
    limited: Any, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    (mug,) = limited.shop().items.values()
    monkeypatch.setattr(Limited, "lost", lost)
    await limited.has("MUG", 3)
    await due(limited)
    await ticks(limited, 3)
    assert await bought(limited, 1) == 1
    (found,) = await limited.findings()
    assert (found.kind, found.channel, GIVE in found.summary) == (FindingKind.NEEDS_SELLER, "shop", True)

    monkeypatch.setattr(Limited, "lost", "")
    monkeypatch.setattr(Limited, "busy", True)
    await ticks(limited, 1)
    assert await limited.kinds() == [FindingKind.NEEDS_SELLER], "that it is busy does not mean that it may"
    monkeypatch.setattr(Limited, "busy", False)
    await due(limited)
    await ticks(limited, 3)
    assert await limited.findings() == []
    assert mug.number == 7


@pytest.mark.fault(37, "orders may not be read: numbers are written all the same, one finding says what to do")
async def test_without_the_right_to_orders_numbers_are_written_and_one_finding_says_what_to_do(
    limited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mug,) = limited.shop().items.values()
    monkeypatch.setattr(Limited, "lost", "orders")
    assert await bought(limited, 1) == 0
    await poll_orders(limited.agent, limited.channel())
    await limited.has("MUG", 3)
    await due(limited)
    (found,) = await limited.findings()
    assert (found.kind, GIVE in found.summary) == (FindingKind.NEEDS_SELLER, True)
    await ticks(limited, 5)
    assert mug.number == 7, "8 came in, and 1 was bought"

    monkeypatch.setattr(Limited, "lost", "")
    await poll_orders(limited.agent, limited.channel())
    await ticks(limited, 2)
    assert (await limited.position("MUG")).reserved == 1
    assert await limited.findings() == []
    assert mug.number == 7
