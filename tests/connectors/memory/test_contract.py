"""The memory connector keeps the contract: this is all that a connector's test needs."""

import pytest

from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import ConnectorContract
from channelsync_memory import CONNECTOR, MemorySettings
from channelsync_memory.world import MemoryWorld


class TestMemory(ConnectorContract):
    connector = CONNECTOR
    settings = MemorySettings(shop="contract", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock: Clock) -> MemoryWorld:
        return MemoryWorld("contract", clock)
