"""Orders that were hinted at are read by their ids; one that cannot be read holds up nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.domain.orders import OrderSnapshot
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, NeedsSeller, NotPermitted, TryLater
from channelsync.sdk.values import UnreadableOrder
from channelsync.store import orders
from channelsync.sync import orders_by_id
from channelsync.sync.orders_by_id import HINT_ATTEMPTS, read_hinted, take_by_id
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

HOUR = 3_600.0


class Moody(MemoryChannel):
    """A shop that raises when it is asked for some orders by their ids. bad: None: for any order."""

    asked: list[list[str]]
    trouble: ChannelError | None
    bad: set[str] | None

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        Moody.asked.append(list(orders))
        if Moody.trouble is not None and (Moody.bad is None or Moody.bad & set(orders)):
            raise Moody.trouble
        return await super().orders_by_id(orders)


@pytest.fixture
async def moody(open_seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A seller at such a shop, with plenty of mugs."""
    for name, first in (("asked", []), ("trouble", None), ("bad", None)):
        monkeypatch.setattr(Moody, name, first, raising=False)
    seller = await open_seller("shop", connectors={"shop": memory_connector(Moody)})
    await seller.sells("MUG", 500)
    return seller


def buys(seller: Any, number: int) -> list[str]:
    """So many orders of one mug each; returns their ids."""
    shop = seller.shop()
    (mug,) = shop.items.values()
    return [shop.buy((mug, 1)).id for _ in range(number)]


async def hint(seller: Any, *names: str) -> None:
    now = seller.clock.now()
    await seller.database.transact(lambda c: orders.hint_orders(c, "shop", dict.fromkeys(names, "a webhook"), now))


async def read(seller: Any) -> int:
    return await read_hinted(seller.agent, seller.channel())


async def reserved(seller: Any) -> int:
    return int((await seller.position("MUG")).reserved)


def sizes() -> list[int]:
    """Of how many orders each call was; they are counted anew from then on."""
    made = [len(asked) for asked in Moody.asked]
    Moody.asked.clear()
    return made


async def test_hinted_orders_are_read_by_id_as_many_in_a_call_as_go(moody: Any) -> None:
    await hint(moody, *buys(moody, 60), "unknown-order")

    taken = await poll_orders(moody.agent, moody.channel())

    assert sizes() == [50, 11]
    assert taken.booked == 60, "the poll brought them already, so the second read changes nothing"
    assert await reserved(moody) == 60
    assert await moody.hinted() == []


@pytest.mark.parametrize("trouble", [None, TryLater("HTTP 500")])
async def test_a_hint_that_comes_while_its_order_is_being_read_is_not_forgotten(
    moody: Any, monkeypatch: pytest.MonkeyPatch, trouble: ChannelError | None
) -> None:
    """Whether that order could be read or not: it is read once more at once."""
    (sale,) = buys(moody, 1)
    await hint(moody, sale)
    take = take_by_id

    async def take_and_be_told_more(agent: Any, channel: Any, wanted: Sequence[str]) -> int:
        await moody.clock.sleep(1)
        await hint(moody, *wanted)
        if trouble:
            raise trouble
        return int(await take(agent, channel, wanted))

    monkeypatch.setattr(orders_by_id, "take_by_id", take_and_be_told_more)
    await poll_orders(moody.agent, moody.channel())

    assert await moody.hinted() == [sale]


# Orders that cannot be read


@pytest.mark.fault(64, "an order that cannot be read by its id is asked for again later; the others are read at once")
@pytest.mark.parametrize("trouble", [TryLater("HTTP 500"), ChannelMisbehaved("nonsense"), NotPermitted("not yours")])
async def test_of_orders_one_of_which_cannot_be_read_all_others_are_read_at_once(
    moody: Any, trouble: ChannelError
) -> None:
    sales = buys(moody, 60)
    Moody.trouble, Moody.bad = trouble, {"poison"}
    await hint(moody, *sales[:30], "poison", *sales[30:])

    assert await read(moody) == 60
    assert sizes() == [50, 13, 13, 13, 11, 4, 4, 4, 1, 1, 1, 1, 1, 11]


async def test_an_order_that_cannot_be_read_is_asked_for_again_after_ever_longer_pauses(moody: Any) -> None:
    Moody.trouble, Moody.bad = TryLater("HTTP 500"), {"poison"}
    await hint(moody, "poison")
    asked_after = []
    for minute in range(240):
        await read(moody)
        asked_after += [minute] * len(sizes())
        await moody.clock.sleep(60)
    assert asked_after == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    Moody.trouble = None
    await moody.clock.sleep(HOUR)
    await read(moody)
    assert await moody.hinted() == []


async def test_a_new_hint_at_an_order_that_could_not_be_read_is_followed_at_once(moody: Any) -> None:
    (sale,) = buys(moody, 1)
    await hint(moody, sale)
    Moody.trouble = TryLater("HTTP 500")
    await read(moody)
    assert await moody.hinted() == [], "not now"
    Moody.trouble = None
    await hint(moody, sale)
    assert await read(moody) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(TryLater("HTTP 500"), FindingKind.CHANNEL_DOWN), (NeedsSeller("allow it"), FindingKind.NEEDS_SELLER)],
)
async def test_that_an_order_cannot_be_read_is_found_once_and_closed_when_none_is_left(
    moody: Any, trouble: ChannelError, kind: FindingKind
) -> None:
    first, second = buys(moody, 2)
    await hint(moody, first, second)
    Moody.trouble, Moody.bad = trouble, {first}
    for _ in range(3):
        await read(moody)
        await moody.clock.sleep(HOUR)
    (found,) = await moody.findings()
    assert (found.kind, found.channel) == (kind, "shop")
    assert first in found.summary
    assert str(trouble) in found.summary

    await poll_orders(moody.agent, moody.channel())
    assert await moody.kinds() == [kind], "that the list can be read says nothing of it"
    Moody.trouble = None
    await moody.clock.sleep(HOUR)
    await read(moody)
    assert await moody.findings() == []


async def test_the_finding_stays_while_one_of_several_orders_still_cannot_be_read(moody: Any) -> None:
    first, second = buys(moody, 2)
    await hint(moody, first, second)
    Moody.trouble, Moody.bad = TryLater("HTTP 500"), {first, second}
    await read(moody)
    Moody.bad = {second}
    await moody.clock.sleep(HOUR)
    assert await read(moody) == 1
    assert await moody.kinds() == [FindingKind.CHANNEL_DOWN]
    assert len(await moody.findings(only_open=False)) == 1, "it was never closed in between"
    Moody.trouble = None
    await moody.clock.sleep(HOUR)
    assert await read(moody) == 1
    assert await moody.kinds() == []


async def test_a_channel_that_answers_no_call_by_id_is_left_alone_until_later(moody: Any) -> None:
    sales = buys(moody, 260)
    await hint(moody, *sales)
    Moody.trouble = TryLater("HTTP 503")
    await read(moody)
    assert sizes() == [50, 13, 13, 13]
    Moody.trouble = None
    assert await read(moody) == 210, "those that were not asked for yet"
    await moody.clock.sleep(61)
    assert await read(moody) == 50
    assert await moody.findings() == []


async def test_many_orders_that_cannot_be_read_leave_none_unread_that_can(moody: Any) -> None:
    sales = buys(moody, 50)
    Moody.trouble, Moody.bad = TryLater("HTTP 500"), set(sales[::6])
    await hint(moody, *sales)
    for _ in range(6):
        await read(moody)
        await moody.clock.sleep(HOUR)
    assert await reserved(moody) == 50 - len(Moody.bad)


async def test_an_order_to_which_nonsense_is_answered_is_given_up_and_found(moody: Any) -> None:
    sales = buys(moody, 60)
    Moody.trouble, Moody.bad = ChannelMisbehaved("nonsense"), {"poison"}
    await hint(moody, *sales[:30], "poison", *sales[30:])
    for _ in range(HINT_ATTEMPTS):
        await read(moody)
        await moody.clock.sleep(HOUR)
    assert sizes()[-4:] == [1, 1, 1, 1]
    await moody.clock.sleep(HOUR)
    await read(moody)
    assert sizes() == []
    (finding,) = [one for one in await moody.findings() if one.kind == FindingKind.UNREADABLE_ORDER]
    assert "poison" in finding.summary
    assert (await poll_orders(moody.agent, moody.channel())).failed == ""


@pytest.mark.fault(64, "orders that cannot be read by their ids hold up nothing that follows from the list of orders")
async def test_a_poll_whose_hinted_orders_cannot_be_read_is_complete_all_the_same(moody: Any) -> None:
    Moody.trouble = TryLater("HTTP 500")
    await hint(moody, "poison")
    buys(moody, 1)
    await moody.clock.sleep(timedelta(minutes=1).total_seconds())

    taken = await poll_orders(moody.agent, moody.channel())

    assert (taken.failed, taken.booked) == ("", 1)
    assert moody.agent.counts.polls["shop", "done"] == 1
