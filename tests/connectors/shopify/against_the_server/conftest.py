"""A connector and the shop that it talks to, which was written without knowledge of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_values import Order
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.resources import Resources, unused
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings
from vendor_shopify import ShopifySite, open_vendor


@dataclass
class Both:
    """A shop and what a connector to it is given."""

    site: ShopifySite
    settings: ShopifySettings
    resources: Resources
    clock: ContractClock

    def open(self, **changed: Any) -> Any:
        """The channel, opened anew."""
        return CONNECTOR.open(self.settings.model_copy(update=changed), self.resources)

    def order(self, number: str) -> Order:
        """The truth about an order."""
        found = self.site.shop.book.find(number)
        assert found is not None
        return found


@pytest.fixture
def both(contracts: Path, clock: ContractClock) -> Iterator[Both]:
    site = open_vendor("corner-shop", clock, contracts=contracts.parent, faults=FaultPlan())
    settings = ShopifySettings(shop=site.domain, client_id=site.client_id, client_secret=site.client_secret)
    resources = unused("shop-uk", CONNECTOR.budgets(settings), clock, transport=_Kept(site.transport))
    yield Both(site, settings, resources, clock)
    assert site.api.problems == []
    assert site.api.bucket.violations == [], "calls above the budget"


class _Kept:
    """A transport that stays open when a channel is closed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def handle_async_request(self, request: Any) -> Any:
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        pass
