"""Connectors whose pushes go in several calls, one of which fails, and the contract that must see what they hide.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from channelsync.sdk.contract import ConnectorContract, HttpFaults
from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.pushes import Written, push_in_groups
from channelsync.sdk.values import PushResult
from channelsync_memory import MemoryChannel, MemorySettings
from channelsync_memory.shop import SHOPS
from channelsync_memory.world import MemoryWorld, memory_connector


class Wired(MemoryChannel):
    """Each row of a push is a call of its own."""

    def __init__(self, settings, shop, clock, wire) -> None:
        super().__init__(settings, shop, clock)
        self._wire = wire

    async def push(self, updates):
        results = await push_in_groups(
            updates,
            [[place] for place in range(len(updates))],
            lambda places: self._row(places[0], updates[places[0]]),
            clock=self._clock,
            seconds=60,
        )
        return [results[place] for place in range(len(updates))]

    async def _row(self, place, update):
        await self._sent(update)
        return Written({place: PushResult.accepted(update.key, update.value)})

    async def _sent(self, update):
        body = json.dumps([update.key.key, update.value]).encode()
        try:
            answer = await self._wire.handle_async_request(httpx.Request("POST", "http://shop.test/", content=body))
        except httpx.ReadTimeout:
            raise OutcomeUnknown("no answer came") from None
        if answer.status_code == 429:
            raise TryLater("too many calls")
        if answer.status_code != 200:
            raise NeedsSeller("Let us in.")


def wired_connector(channel=Wired):
    @asynccontextmanager
    async def open_channel(settings, resources):
        yield channel(settings, SHOPS[settings.shop], resources.clock, resources.transport)

    return replace(memory_connector(), open=open_channel)


class WiredWorld(MemoryWorld):
    def arrived(self, request: httpx.Request) -> httpx.Response:
        item, number = json.loads(request.content)
        self.shop.items[item].number = number
        return httpx.Response(200)


class Sabotaged(ConnectorContract):
    connector = wired_connector()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return WiredWorld("sabotaged", clock)

    @pytest.fixture
    def transport(self, world):
        return HttpFaults(httpx.MockTransport(world.arrived))


class TestNothingBroken(Sabotaged):
    pass


class RaisesInTheMiddle(Wired):
    """What was written before a call failed is in force, and nobody hears of it."""

    async def push(self, updates):
        for update in updates:
            await self._sent(update)
        return [PushResult.accepted(update.key, update.value) for update in updates]


class TestRaisesInTheMiddle(Sabotaged):
    connector = wired_connector(RaisesInTheMiddle)


class SureOfWhatNeverLeft(Wired):
    """A call that failed is taken for one that may have got through."""

    async def _sent(self, update):
        try:
            await super()._sent(update)
        except (TryLater, NeedsSeller) as error:
            raise OutcomeUnknown(str(error)) from error


class TestNeverLeftCalledUnknown(Sabotaged):
    connector = wired_connector(SureOfWhatNeverLeft)
