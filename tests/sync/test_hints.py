"""Hints from a queue: noted before they are acknowledged, once however often they come, and none holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.polled_hints import PolledHint, PollsHints
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.store import keys, orders
from channelsync.sync.hints import fetch_hints, follow, note_hints, read_hints, take_hints
from channelsync.sync.leasing import Leases
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

Message = WebhookHint | Harmless | None | Exception


class PowerCut(BaseException):
    """The process dies here."""


class QueueChannel(MemoryChannel):
    """A shop with a queue. waiting: messages that nobody acknowledged; after them the test ends where `ends` is set."""

    polls_hints = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting: dict[str, Message] = {}
        self.acknowledged: list[str] = []
        self.received = 0
        self.ends = False
        self.before_acknowledging: Callable[[], None] = lambda: None

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.waiting[f"m{len(self.waiting) + len(self.acknowledged)}"] = message

    async def hints(self) -> Sequence[PolledHint]:
        self.received += 1
        if not self.waiting and self.ends:
            raise asyncio.CancelledError
        for receipt, message in list(self.waiting.items()):
            if isinstance(message, Exception):
                del self.waiting[receipt]
                raise message
        return [PolledHint(receipt, told) for receipt, told in list(self.waiting.items())[:10]]  # type: ignore[arg-type]

    async def acknowledge(self, hints: Sequence[PolledHint]) -> None:
        self.before_acknowledging()
        for one in hints:
            del self.waiting[one.receipt]
            self.acknowledged.append(one.receipt)


@pytest.fixture
async def queued(open_seller: Any) -> Any:
    """A seller whose shop has a queue."""
    return await open_seller("shop", connectors={"shop": memory_connector(QueueChannel)})


def queue_of(seller: Any) -> QueueChannel:
    found = seller.channel().channel
    assert isinstance(found, QueueChannel)
    return found


def about(*orders: str, keys: Sequence[str] = (), event: str = "e") -> WebhookHint:
    sent_at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    named = tuple(QuantityKey(key) for key in keys)
    return WebhookHint(topic="ORDER_CHANGE", event=event, sent_at=sent_at, orders=orders, keys=named)


async def wanted(seller: Any, listing: str) -> bool:
    identity = seller.channel().identity

    def unit(connection: Any) -> bool:
        (row,) = keys.ids_of(connection, identity, [(listing, "")]).values()
        return bool(keys.load_keys(connection, [row])[row].read_wanted)

    return await seller.database.query(unit)


async def take(seller: Any) -> int:
    return await take_hints(seller.agent, seller.channel(), queue_of(seller))


async def test_what_a_message_names_is_noted_and_whoever_reads_it_is_woken(queued: Any) -> None:
    mug = await queued.sells("MUG", 5)
    channel, queue = queued.channel(), queue_of(queued)
    queue.send(about("o-1", "o-2"), about(keys=[mug, "unknown"]), about())
    for event in (channel.wake_hinted, channel.wake_orders, channel.wake_publisher):
        event.clear()

    assert await take(queued) == 3

    assert sorted(await queued.hinted()) == ["o-1", "o-2"]
    assert await wanted(queued, mug)
    assert channel.wake_hinted.is_set()
    assert channel.wake_orders.is_set()
    assert channel.wake_publisher.is_set()
    assert queue.waiting == {}


async def test_a_process_that_ends_before_it_acknowledged_gets_the_message_again_and_has_lost_nothing(
    queued: Any,
) -> None:
    queue = queue_of(queued)
    queue.send(about("o-1"))

    def dies() -> None:
        raise PowerCut

    queue.before_acknowledging = dies
    with pytest.raises(PowerCut):
        await take(queued)
    assert await queued.hinted() == ["o-1"], "it was durable before it was acknowledged"

    queue.before_acknowledging = lambda: None
    await take(queued)
    assert await queued.hinted() == ["o-1"]
    assert queue.acknowledged == ["m0"]


async def test_nothing_is_acknowledged_that_could_not_be_noted(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(queued)
    queue.send(about("o-1"))

    def fails(*_: Any) -> None:
        raise PowerCut

    monkeypatch.setattr(orders, "hint_orders", fails)
    with pytest.raises(PowerCut):
        await take(queued)
    assert queue.acknowledged == []


async def test_a_message_that_comes_twice_is_one_hint(queued: Any) -> None:
    queue_of(queued).send(about("o-1", event="same"), about("o-1", event="same"))
    await take(queued)
    queue_of(queued).send(about("o-1", event="same"))
    await take(queued)
    assert await queued.hinted() == ["o-1"]


async def test_malformed_messages_are_counted_and_taken_out_and_hold_up_nobody(queued: Any) -> None:
    queue = queue_of(queued)
    queue.send(None, Harmless("a report"), None, about("o-1"), None)
    await take(queued)
    counted = queued.channel().hints
    assert (counted.taken, counted.harmless, counted.malformed) == (1, 1, 3)
    assert queue.waiting == {}
    assert await queued.hinted() == ["o-1"]


@pytest.mark.parametrize("name", ["o\x00-1", "o-\ud800", "o" * 5_000], ids=["NUL", "surrogate", "long"])
async def test_names_that_no_database_takes_hold_up_nobody(queued: Any, name: str) -> None:
    """Not to be noted, their message would come again and again."""
    queue = queue_of(queued)
    queue.send(about(name), about(keys=[name]), about("o-1"))

    assert await take(queued) == 3

    assert queue.acknowledged == ["m0", "m1", "m2"]
    assert await queued.hinted() == ["o-1"]
    assert queued.channel().hints.malformed == 2


async def test_an_empty_queue_costs_no_transaction(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(type(queued.database), "transact", fails)
        assert await take(queued) == 0


async def test_a_key_of_another_account_is_not_read(queued: Any) -> None:
    mug = await queued.sells("MUG", 5)
    now = queued.clock.now()
    noted = await queued.database.transact(lambda c: note_hints(c, "shop", "another", [about(keys=[mug])], now))
    assert not noted.keys
    assert not await wanted(queued, mug)


# Loops


async def run(seller: Any, loop: Any) -> None:
    leases = Leases(seller.agent, "test")
    await leases.take(seller.channel().identity)
    with suppress(asyncio.CancelledError):
        await loop(seller.agent, seller.channel(), leases)


async def test_the_queue_is_emptied_though_it_could_not_be_asked_at_times(queued: Any) -> None:
    await queued.sells("MUG", 5)
    queue = queue_of(queued)
    queue.ends = True
    queue.send(TryLater("SQS is away"), *[about(f"o-{number}") for number in range(25)])
    before = queued.clock.now()
    await run(queued, fetch_hints)
    assert len(await queued.hinted()) == 25
    assert queue.received == 5, "once in vain, three times ten at most, once to find it empty"
    assert (queued.clock.now() - before).total_seconds() == 30


async def test_a_queue_that_needs_the_seller_is_a_finding_until_it_can_be_asked(queued: Any) -> None:
    await queued.sells("MUG", 5)
    queue = queue_of(queued)
    queue.send(NeedsSeller("Let the key read the queue."))
    stop = iter([False, True])

    async def ends_when_asked_again(_seconds: float) -> None:
        if next(stop):
            raise asyncio.CancelledError

    queued.clock.sleep = ends_when_asked_again
    queue.ends = True
    await run(queued, fetch_hints)
    (found,) = [one for one in await queued.findings() if one.kind == FindingKind.NEEDS_SELLER]
    assert "Let the key read the queue." in found.summary

    queue.ends = False
    stop = iter([True])
    await run(queued, fetch_hints)
    assert FindingKind.NEEDS_SELLER not in await queued.kinds()


async def test_an_account_without_a_queue_is_asked_for_none(queued: Any) -> None:
    assert isinstance(queued.channel().channel, PollsHints)
    queue = queue_of(queued)
    queue.polls_hints = False
    await run(queued, fetch_hints)
    assert queue.received == 0


async def test_hinted_orders_are_read_at_once_and_not_more_often_than_every_few_seconds(queued: Any) -> None:
    mug = await queued.sells("MUG", 5)
    channel, shop = queued.channel(), queued.shop()
    sale = shop.buy((shop.items[mug], 2))
    now = queued.clock.now()
    noted = await queued.database.transact(
        lambda c: note_hints(c, "shop", channel.identity, [about(sale.id)], now),
    )
    follow(channel, noted)
    slept: list[float] = []

    async def ends(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    queued.clock.sleep = ends
    await run(queued, read_hints)
    assert (await queued.position("MUG")).reserved == 2
    assert await queued.hinted() == []
    assert slept == [5]
