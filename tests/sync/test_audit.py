"""The completeness audit books what is missing and says how much of a day we have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from channelsync.domain.findings import FindingKind
from channelsync.domain.orders import OrderSnapshot
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import UnreadableOrder
from channelsync.store.tables import metadata
from channelsync.sync.audit import Completeness, audit_day
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import ShopSilent
from channelsync_memory.world import memory_connector

DAY = date(2026, 3, 1)
AUDITED = metadata.tables["audited_day"]


async def audit(seller: Any, day: date = DAY) -> Completeness:
    return await audit_day(seller.agent, seller.channel(), day)


async def recorded(seller: Any) -> list[tuple[date, int, int]]:
    found = await seller.database.query(lambda c: c.execute(select(AUDITED)).all())
    return [(row.day, row.theirs, row.missing) for row in found]


async def test_a_day_that_we_have_whole_says_0_of_n_missing(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))
    await poll_orders(seller.agent, seller.channel())

    result = await audit(seller)

    assert str(result) == "shop 2026-03-01: 0 of 3 missing"
    assert result.fetched == 0
    assert await recorded(seller) == [(DAY, 3, 0)]


async def test_what_no_poll_brought_is_booked_by_the_audit(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))

    result = await audit(seller)

    assert (result.fetched, result.missing) == (3, ())
    assert (await seller.position("MUG")).reserved == 3
    await poll_orders(seller.agent, seller.channel())
    assert (await seller.position("MUG")).reserved == 3, "the poll that comes late finds them booked"


async def test_only_the_orders_of_the_day_are_asked_for(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    seller.shop().buy((seller.shop().items[mug], 1))
    await seller.clock.sleep(86400)
    seller.shop().buy((seller.shop().items[mug], 2))

    assert str(await audit(seller)) == "shop 2026-03-01: 0 of 1 missing"
    assert (await seller.position("MUG")).reserved == 1


class Concealing(MemoryChannel):
    """A channel that lists orders which it does not show."""

    concealed: frozenset[str] = frozenset()

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        return await super().orders_by_id([one for one in orders if one not in Concealing.concealed])


async def test_an_order_that_the_channel_lists_and_does_not_show_is_found_and_closed_once_it_does(
    open_seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Concealing, "concealed", frozenset({"sale-2"}))
    seller = await open_seller("shop", connectors={"shop": memory_connector(Concealing)})
    mug = await seller.sells("MUG", 9)
    for _ in range(3):
        seller.shop().buy((seller.shop().items[mug], 1))

    first, second = await audit(seller), await audit(seller)

    assert str(first) == str(second) == "shop 2026-03-01: 1 of 3 missing"
    assert first.fetched == 2
    (found,) = await seller.findings()
    assert found.kind == FindingKind.ORDER_MISSING
    assert "sale-2" in found.summary
    assert await recorded(seller) == [(DAY, 3, 1)]

    monkeypatch.setattr(Concealing, "concealed", frozenset())
    assert str(await audit(seller)) == "shop 2026-03-01: 0 of 3 missing"
    assert await seller.findings() == []
    assert await recorded(seller) == [(DAY, 3, 0)]


async def test_an_unreadable_order_is_not_missing_for_it_is_kept(seller: Any) -> None:
    mug = await seller.sells("MUG", 9)
    sale = seller.shop().buy((seller.shop().items[mug], 1))
    sale.lines.clear()

    result = await audit(seller)

    assert result.missing == ()
    assert await seller.kinds() == [FindingKind.UNREADABLE_ORDER]


async def test_a_channel_that_cannot_be_asked_leaves_no_record(seller: Any) -> None:
    seller.shop().trouble = ShopSilent("no answer came")

    with pytest.raises(TryLater):
        await audit(seller)

    assert await recorded(seller) == []
