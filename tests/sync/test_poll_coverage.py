"""What a poll says to have read: up to when its channel told, as of when it was asked, and nothing that it lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.sdk.values import OrderPage
from channelsync.store import channels
from channelsync.sync import book_orders
from channelsync.sync.catch_up import mark_restored
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector


class PowerCut(BaseException):
    """The process dies here."""


class Slow(MemoryChannel):
    """A channel that is sure only of what happened five minutes ago, and of which something happens during a poll."""

    happens: Callable[[], Awaitable[object]]

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        async for page in super().orders(cursor=cursor):
            await Slow.happens()
            sure = page.covered_to and page.covered_to - timedelta(minutes=5)
            yield replace(page, covered_to=sure)


@pytest.fixture
async def slow(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A seller at such a channel, on which a minute passes between the call and the answer."""
    seller = await open_seller("shop", connectors={"shop": memory_connector(Slow)})

    async def a_minute() -> None:
        await seller.clock.sleep(60)

    monkeypatch.setattr(Slow, "happens", a_minute, raising=False)
    return seller


async def poll(seller: Any) -> Any:
    return await poll_orders(seller.agent, seller.channel())


async def state(seller: Any) -> Any:
    return await seller.database.transact(lambda c: channels.channel_state(c, "shop"))


async def test_a_poll_was_asked_when_it_began_and_covers_what_its_channel_says(slow: Any) -> None:
    """Whatever happened while it was under way may be missing from it."""
    began = slow.clock.now()

    await poll(slow)

    after = await state(slow)
    assert slow.clock.now() == began + timedelta(minutes=1)
    assert (after.orders_asked_at, after.covered_to) == (began, began - timedelta(minutes=5))


async def test_a_poll_that_began_before_the_database_was_restored_ends_no_catching_up(
    slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def restored() -> None:
        await slow.clock.sleep(1)
        await slow.database.transact(lambda c: mark_restored(c, slow.clock.now()))

    a_minute = Slow.happens
    await poll(slow)
    monkeypatch.setattr(Slow, "happens", restored)
    await slow.clock.sleep(60)

    assert (await poll(slow)).failed == ""
    assert (await state(slow)).catch_up_since == slow.clock.now()

    monkeypatch.setattr(Slow, "happens", a_minute)
    await poll(slow)
    assert (await state(slow)).catch_up_since is None


async def test_no_cursor_is_saved_before_the_orders_of_its_page(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies while it books them."""
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))

    def dies(*_: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(book_orders, "book", dies)
        with pytest.raises(PowerCut):
            await poll(seller)

    assert (await state(seller)).cursor is None
    assert (await poll(seller)).booked == 3
    assert (await seller.position("MUG")).reserved == 3
