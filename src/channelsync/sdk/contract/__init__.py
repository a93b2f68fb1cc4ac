"""The contract that every connector keeps, as tests to inherit from.

    class TestMemory(ConnectorContract):
        connector = CONNECTOR
        settings = MemorySettings()

        @pytest.fixture
        def world(self, clock):
            return MemoryWorld(clock)

What a channel cannot do is skipped with the reason; what it declares it must do. The tests are coroutines: run them
with pytest-asyncio in its `auto` mode. Only tests import this package: it needs pytest.
"""

from __future__ import annotations

import pytest

_PARTS = ("base", "declared", "deliveries", "failures", "folder", "forgeries", "numbers", "orders", "pages")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from channelsync.sdk.contract.base import OpenChannel  # noqa: E402 - asserts are rewritten when they are imported
from channelsync.sdk.contract.declared import BehaviourContract, WriteContract  # noqa: E402
from channelsync.sdk.contract.deliveries import WebhookContract  # noqa: E402
from channelsync.sdk.contract.failures import FailureContract, SecretContract  # noqa: E402
from channelsync.sdk.contract.faults import HttpFaults  # noqa: E402
from channelsync.sdk.contract.folder import FolderContract  # noqa: E402
from channelsync.sdk.contract.numbers import PushContract, ReadContract  # noqa: E402
from channelsync.sdk.contract.orders import LifeContract, OrderContract  # noqa: E402
from channelsync.sdk.contract.pages import ListingPageContract, PageContract  # noqa: E402
from channelsync.sdk.contract.quality import HEADINGS, QUALITY_RULES  # noqa: E402
from channelsync.sdk.contract.world import (  # noqa: E402
    CANARY,
    ContractClock,
    Delivery,
    Fault,
    Garbles,
    Keeps,
    Nonsense,
    Offered,
    World,
)

__all__ = [
    "CANARY",
    "HEADINGS",
    "QUALITY_RULES",
    "ConnectorContract",
    "ContractClock",
    "Delivery",
    "Fault",
    "Garbles",
    "HttpFaults",
    "Keeps",
    "Nonsense",
    "Offered",
    "OpenChannel",
    "World",
]


class ConnectorContract(
    PageContract,
    ListingPageContract,
    OrderContract,
    LifeContract,
    ReadContract,
    PushContract,
    BehaviourContract,
    WriteContract,
    FailureContract,
    SecretContract,
    WebhookContract,
    FolderContract,
):
    """Everything a connector promises. Set `connector` and `settings`, and override the `world` fixture."""
