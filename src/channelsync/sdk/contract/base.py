"""What every part of the contract starts from: fixtures that a connector's test overrides, ways to ask a channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from itertools import count
from typing import ClassVar, TypeVar

import httpx
import pytest
from pydantic import BaseModel

from channelsync.sdk.channel import Capabilities, Channel, Connector
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.world import ContractClock, Offered, World
from channelsync.sdk.memory import Memory, ProcessMemory
from channelsync.sdk.resources import Resources, unused
from channelsync.sdk.values import (
    KeyRead,
    OrderPage,
    OrderSnapshot,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    UnreadableOrder,
)
from channelsync.sdk.vault import MemoryVault, Vault

OpenChannel = Callable[[], AbstractAsyncContextManager[Channel]]
"""Opens the channel anew, as after a restart: nothing is remembered from the last time."""

FreshResources = Callable[[], Resources]

MOMENT = timedelta(seconds=1)
"""The finest difference of times that every channel can tell."""

T = TypeVar("T")

_NUMBERS = count(1)


class ContractBase:
    """The attributes and fixtures that a subclass gives; the tests are in the parts that inherit from it."""

    connector: ClassVar[Connector]
    settings: ClassVar[BaseModel]

    @pytest.fixture
    def clock(self) -> Clock:
        """The time of both sides. Override it where the other side needs a clock of its own kind."""
        return ContractClock()

    @pytest.fixture
    def world(self) -> World:
        """The other side. Override it."""
        pytest.fail("this contract needs a `world` fixture: what the connector talks to, driven by the tests")

    @pytest.fixture
    def transport(self) -> httpx.AsyncBaseTransport | None:
        """What HTTP calls go through. Override it with the world's `HttpFaults`; None: there is no HTTP."""
        return None

    @pytest.fixture
    def channel_settings(self) -> BaseModel:
        """The settings; override it where they are known only at run time, e.g. the port of a server."""
        return self.settings

    @pytest.fixture
    def capabilities(self, channel_settings: BaseModel) -> Capabilities:
        """What the connector declares for these settings."""
        return self.connector.capabilities(channel_settings)

    @pytest.fixture
    def vault(self) -> Vault:
        """What the connector keeps over restarts. Override it where an account needs secrets to begin with."""
        return MemoryVault()

    @pytest.fixture
    def memory(self) -> Memory:
        """What the connector has under way over restarts."""
        return ProcessMemory()

    @pytest.fixture
    def fresh_resources(
        self,
        channel_settings: BaseModel,
        clock: Clock,
        vault: Vault,
        memory: Memory,
        transport: httpx.AsyncBaseTransport | None,
    ) -> FreshResources:
        """Makes what a connector is given, as after a restart: vault and memory are kept, all else is new."""
        budgets = self.connector.budgets(channel_settings)
        return lambda: unused("contract", budgets, clock, vault=vault, memory=memory, transport=transport)

    @pytest.fixture
    def open_channel(self, channel_settings: BaseModel, fresh_resources: FreshResources) -> OpenChannel:
        """Opens the channel as the daemon does. Each test opens it in its own task, and may open it again."""
        return lambda: self.connector.open(channel_settings, fresh_resources())


def update(offered: Offered, value: int, expected: int | None = None) -> QuantityUpdate:
    """One update with an idempotency key of its own."""
    return QuantityUpdate(
        key=offered.key,
        value=value,
        listing=offered.listing,
        sku=offered.sku,
        expected=expected,
        idempotency=f"contract-{next(_NUMBERS)}",
    )


async def push_one(channel: Channel, offered: Offered, value: int, expected: int | None = None) -> PushResult:
    """Pushes one number; there is exactly one result, and it is for its key."""
    results = await channel.push([update(offered, value, expected)])
    assert [one.key for one in results] == [offered.key]
    return results[0]


async def read_one(channel: Channel, key: QuantityKey) -> KeyRead:
    """Reads one number; there is exactly one answer, and it is for its key."""
    reads = await channel.read([key])
    assert [one.key for one in reads] == [key]
    return reads[0]


async def pages_from(channel: Channel, cursor: str | None = None) -> list[OrderPage]:
    """All pages from a cursor."""
    return await everything(channel.orders(cursor=cursor))


async def bought(world: World, orders: int, *, sku: str = "MUG-BLUE", apart: timedelta = MOMENT) -> list[str]:
    """So many orders of one unit each, some time apart. sku: of a new listing; some channels take none twice."""
    return await bought_of(world, await world.offer(sku, 1_000), orders, apart)


async def bought_of(world: World, offered: Offered, orders: int, apart: timedelta) -> list[str]:
    """The same, of a listing that is there."""
    placed = []
    for _ in range(orders):
        placed.append(await world.buy((offered, 1)))
        await world.advance(apart)
    return placed


async def offered_many(world: World, number: int) -> list[Offered]:
    """So many listings; the first nine show 1 to 9."""
    return [await world.offer(f"SKU-{place:04}", 1 + place % 9) for place in range(number)]


async def everything(found: AsyncIterator[T]) -> list[T]:
    """All of it, as a list."""
    return [one async for one in found]


def ids_of(pages: Iterable[OrderPage]) -> set[str]:
    """The ids of all orders on the pages, readable or not."""
    found: set[str] = set()
    for page in pages:
        found |= {one.order for one in page.orders} | {one.order for one in page.unreadable}
    return found


def snapshots_of(pages: Iterable[OrderPage]) -> dict[str, OrderSnapshot]:
    """The newest snapshot of each order on the pages."""
    newest: dict[str, OrderSnapshot] = {}
    for page in pages:
        for order in page.orders:
            if order.order not in newest or newest[order.order].version <= order.version:
                newest[order.order] = order
    return newest


async def snapshot(channel: Channel, order: str) -> OrderSnapshot:
    """One order as it is now."""
    found: Sequence[OrderSnapshot | UnreadableOrder] = await channel.orders_by_id([order])
    assert len(found) == 1, f"order {order} was asked for by its id; {len(found)} orders came"
    assert isinstance(found[0], OrderSnapshot), f"order {order} counts as unreadable: {found[0]}"
    return found[0]


def lag(capabilities: Capabilities) -> timedelta:
    """After so long a read must show what the channel did by itself."""
    return capabilities.timing.staleness + capabilities.timing.skew + MOMENT


def lag_of_writes(capabilities: Capabilities) -> timedelta:
    """After so long a read must show what was pushed."""
    return capabilities.timing.grace + lag(capabilities)
