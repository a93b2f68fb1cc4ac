"""The shop as tests drive it, and memory channels that behave otherwise. Only tests import this: it needs pytest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from channelsync.sdk.channel import Connector
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import CANARY, Delivery, Fault, Nonsense, Offered
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync.sdk.values import QuantityKey
from channelsync_memory import CAPABILITIES, CONNECTOR, MemoryChannel, MemorySettings
from channelsync_memory.shop import SHOPS, Sale, Shop, ShopBusy, ShopShut, ShopSilent


def memory_connector(channel: type[MemoryChannel] = MemoryChannel, **declared: Any) -> Connector:
    """The memory connector with a channel of another kind, or with other capabilities than its shop has.

    The shop must be in SHOPS by the time the channel is opened.
    """

    @asynccontextmanager
    async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[MemoryChannel]:
        mine = own(MemorySettings, settings)
        yield channel(mine, SHOPS[mine.shop], resources.clock)

    capabilities = replace(CAPABILITIES, **declared)
    return replace(CONNECTOR, open=open_channel, capabilities=lambda _settings: capabilities)


class MemoryWorld:
    """A new shop of this name; it takes the place of the one before."""

    orders_per_page = 3
    listings_per_page = 3
    canaries: Collection[str] = CANARY
    secrets: Collection[str] = ()

    def __init__(self, name: str, clock: Clock) -> None:
        self.shop = SHOPS[name] = Shop(clock)
        self.clock = clock

    async def offer(self, sku: str, number: int) -> Offered:
        item = self.shop.list_item(sku, number)
        return Offered(item.id, sku, QuantityKey(item.id))

    async def remove(self, offered: Offered) -> None:
        self.shop.remove(self.shop.items[offered.listing])

    async def stop_counting(self, offered: Offered) -> None:
        self.shop.items[offered.listing].counted = False

    async def number(self, key: QuantityKey) -> int | None:
        item = self.shop.items.get(key.key)
        return None if item is None else item.number

    async def set_number(self, key: QuantityKey, number: int) -> None:
        self.shop.items[key.key].number = number

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        wanted = [(self.shop.items[offered.listing], units) for offered, units in lines]
        return self.shop.buy(*wanted, buyer=repr(CANARY)).id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        item = self.shop.list_item("NONSENSE", 10)
        sale = self.shop.buy((item, 1), buyer=repr(CANARY))
        if nonsense is Nonsense.NO_LINES:
            sale.lines.clear()
        else:
            sale.lines[0].units = 0.5 if nonsense is Nonsense.FRACTION else -1  # type: ignore[assignment]
        return sale.id

    async def pay(self, order: str) -> None:
        """Buyers pay when they order."""

    async def edit(self, order: str, units: int) -> None:
        self.shop.edit(self._sale(order), units)

    async def cancel(self, order: str) -> None:
        self.shop.cancel(self._sale(order))

    async def ship(self, order: str, units: int) -> None:
        self.shop.ship(self._sale(order), units)

    async def take_back(self, order: str, units: int) -> None:
        self.shop.take_back(self._sale(order), units)

    async def keep_back(self, order: str, units: int) -> None:
        self.shop.keep_back(self._sale(order), units)

    async def refuse(self, offered: Offered, reason: str) -> None:
        self.shop.items[offered.listing].under_review = reason

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        self.shop.does_it_first = fault is Fault.NO_ANSWER_AFTER
        match fault:
            case Fault.THROTTLED:
                self.shop.trouble = ShopBusy(retry_after)
            case Fault.UNAUTHORISED | Fault.FORBIDDEN:
                self.shop.trouble = ShopShut("it does not let us in")
            case Fault.SERVER_ERROR | Fault.NO_ANSWER | Fault.NO_ANSWER_AFTER:
                self.shop.trouble = ShopSilent("no answer came")
            case _:
                pytest.skip("there is no HTTP, so no answer that could not be read")

    async def heal(self) -> None:
        self.shop.trouble = None

    async def advance(self, by: timedelta) -> None:
        await self.clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        pytest.skip("the shop tells nobody")

    def _sale(self, order: str) -> Sale:
        return self.shop.sales[order]
